package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// maxFrame is the largest frame that a WebSocket client may send. A message may be
// larger, in several of them.
const maxFrame = 32 << 10

// errFrameTooBig means that a client has sent a frame that is too large.
var errFrameTooBig = errors.New("a frame is larger than 32 KB")

// frameWriter is an answer whose connection, once it is a WebSocket's, is read
// through a frameConn.
type frameWriter struct{ http.ResponseWriter }

// Hijack takes the connection over. What the server has read of it already is read
// through the frameConn again.
func (w frameWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	f := &frameConn{Conn: conn}
	if n := buffers.Reader.Buffered(); n > 0 {
		b, err := buffers.Peek(n)
		if err != nil {
			return nil, nil, errors.Join(err, conn.Close())
		}
		f.early = append(f.early, b...)
	}
	return f, bufio.NewReadWriter(bufio.NewReader(f), bufio.NewWriter(f)), nil
}

// frameConn reads a client's frames and stops before one that is too large: the
// library behind it bounds messages, and knows no bound of frames. It is read by
// one goroutine at a time.
type frameConn struct {
	net.Conn
	early  []byte
	header []byte // of the frame that begins, as far as it has come
	left   uint64 // of the payload of the frame that has begun
	tooBig bool
}

// Read reads up to a frame that is too large, and then fails.
func (c *frameConn) Read(p []byte) (int, error) {
	if c.tooBig {
		return 0, errFrameTooBig
	}
	var n int
	var err error
	if len(c.early) > 0 {
		n = copy(p, c.early)
		c.early = c.early[n:]
	} else {
		n, err = c.Conn.Read(p)
	}
	if good := c.scan(p[:n]); c.tooBig {
		if good == 0 {
			return 0, errFrameTooBig
		}
		return good, nil
	}
	return n, err
}

// scan follows the frames in b and returns how many bytes come before the header of
// one that is too large, or were read before its header was complete.
func (c *frameConn) scan(b []byte) int {
	begin := 0 // of the header, in b
	for i := 0; i < len(b); {
		if c.left > 0 {
			n := min(c.left, uint64(len(b)-i))
			c.left -= n
			i += int(n)
			begin = i
			continue
		}
		c.header = append(c.header, b[i])
		i++
		size, length, ok := frameSize(c.header)
		if !ok || len(c.header) < size {
			continue
		}
		// Control frames have bounds of their own, which the library keeps.
		if opcode := c.header[0] & 0x0f; opcode < 8 && length > maxFrame {
			c.tooBig = true
			return begin
		}
		c.header, c.left, begin = c.header[:0], length, i
	}
	return len(b)
}

// frameSize reads the size of a frame's header and of its payload; ok is false
// until enough of the header is there.
func frameSize(h []byte) (size int, length uint64, ok bool) {
	if len(h) < 2 {
		return 0, 0, false
	}
	size = 2
	if h[1]&0x80 != 0 {
		size += 4 // the mask
	}
	switch n := h[1] & 0x7f; n {
	case 126:
		size += 2
		if len(h) < 4 {
			return 0, 0, false
		}
		return size, uint64(binary.BigEndian.Uint16(h[2:])), true
	case 127:
		size += 8
		if len(h) < 10 {
			return 0, 0, false
		}
		return size, binary.BigEndian.Uint64(h[2:]), true
	default:
		return size, uint64(n), true
	}
}

// Close closes the connection. After a frame that was too large what the client
// still sends is read first, for a moment: a system that closes with data unread
// resets the connection, and the client would not see why.
func (c *frameConn) Close() error {
	if c.tooBig {
		_ = c.SetReadDeadline(time.Now().Add(drainFrame)) // it is being closed
		_, _ = io.CopyN(io.Discard, c.Conn, 4*maxMessage) // as above
	}
	return c.Conn.Close()
}

// drainFrame is how long the rest of a frame that is too large is read.
const drainFrame = 200 * time.Millisecond
