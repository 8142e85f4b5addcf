package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"pgregory.net/rapid"
)

// chunks is a connection that gives its bytes in pieces.
type chunks struct {
	net.Conn
	pieces [][]byte
}

// Read gives no more than one piece.
func (c *chunks) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

// frame is a client's frame.
func frame(opcode byte, size int) []byte {
	b := []byte{0x80 | opcode}
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(size))
	}
	b = append(b, 1, 2, 3, 4)
	return append(b, bytes.Repeat([]byte{0xff}, size)...)
}

// TestFramesAreFollowed: however the bytes come, all frames up to one that is too
// large are read as they are, and nothing of that one's payload is.
func TestFramesAreFollowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		good, bad := 0, -1
		for range rapid.IntRange(0, 6).Draw(t, "frames") {
			size := rapid.SampledFrom([]int{0, 1, 125, 126, 300, maxFrame - 1, maxFrame, maxFrame + 1, 1 << 16, 1<<16 + 9}).Draw(t, "size")
			opcode := rapid.SampledFrom([]byte{0, 1, 2}).Draw(t, "opcode")
			f := frame(opcode, size)
			if size > maxFrame && bad < 0 {
				good, bad = len(all), len(all)+len(f)-size
			}
			all = append(all, f...)
		}
		if bad < 0 {
			good = len(all)
		}
		c := &chunks{}
		early := rapid.IntRange(0, min(len(all), 20)).Draw(t, "early")
		for rest := all[early:]; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 50_000).Draw(t, "piece"))
			c.pieces, rest = append(c.pieces, rest[:n]), rest[n:]
		}
		conn := &frameConn{Conn: c, early: bytes.Clone(all[:early])}
		got, err := io.ReadAll(conn)
		switch {
		case bad < 0 && (err != nil || !bytes.Equal(got, all)):
			t.Fatalf("%d of %d bytes, %v", len(got), len(all), err)
		case bad >= 0 && (!errors.Is(err, errFrameTooBig) || len(got) < good || len(got) >= bad || !bytes.Equal(got, all[:len(got)])):
			t.Fatalf("%d bytes, of which %d to %d are good: %v", len(got), good, bad, err)
		}
	})
}
