package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// magic begins every blob of events; the digit is the version of the form.
const magic = "GHSPOOL1"

// maxDecoded bounds what a blob may hold, in bytes: a blob is cut at maxChunk, and
// one event can be that much longer.
const maxDecoded = 256 << 20

var errForm = errors.New("not a blob of events, or a damaged one")

// Encode makes a blob of events of one group. Of each event its id, stream, own
// time and message are kept; the blob is compressed and has a checksum.
func Encode(g transaction.Group, events []transaction.Event) ([]byte, error) {
	head, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("encoding log group %s: %w", g.Name, err)
	}
	size := len(head) + 16
	for i := range events {
		size += len(events[i].ID) + len(events[i].Stream) + len(events[i].Message) + 16
	}
	raw := make([]byte, 0, size)
	raw = binary.AppendUvarint(raw, uint64(len(head)))
	raw = append(raw, head...)
	for i := range events {
		ev := &events[i]
		raw = binary.AppendVarint(raw, own(ev))
		for _, s := range [...]string{ev.ID, ev.Stream, ev.Message} {
			raw = binary.AppendUvarint(raw, uint64(len(s)))
			raw = append(raw, s...)
		}
	}
	body := s2.Encode(nil, raw)
	blob := append(make([]byte, 0, len(magic)+8+len(body)), magic...)
	blob = binary.LittleEndian.AppendUint64(blob, xxhash.Sum64(body))
	return append(blob, body...), nil
}

// own is the time that the event itself carries.
func own(ev *transaction.Event) int64 {
	if ev.Logged != 0 {
		return ev.Logged
	}
	return ev.Timestamp
}

// Decode reads a blob that Encode made. The events have their own time as
// Timestamp.
func Decode(blob []byte) (transaction.Group, []transaction.Event, error) {
	var g transaction.Group
	if len(blob) < len(magic)+8 || string(blob[:len(magic)]) != magic {
		return g, nil, errForm
	}
	sum, body := blob[len(magic):len(magic)+8], blob[len(magic)+8:]
	if binary.LittleEndian.Uint64(sum) != xxhash.Sum64(body) {
		return g, nil, errForm
	}
	if n, err := s2.DecodedLen(body); err != nil || n > maxDecoded {
		return g, nil, errForm
	}
	raw, err := s2.Decode(nil, body)
	if err != nil {
		return g, nil, fmt.Errorf("%w: %w", errForm, err)
	}
	c := cutter{rest: raw}
	if err := json.Unmarshal([]byte(c.text()), &g); err != nil || c.bad {
		return g, nil, errForm
	}
	var events []transaction.Event
	for len(c.rest) > 0 && !c.bad {
		ev := transaction.Event{Timestamp: c.time()}
		ev.ID, ev.Stream, ev.Message = c.text(), c.text(), c.text()
		events = append(events, ev)
	}
	if c.bad {
		return g, nil, errForm
	}
	return g, events, nil
}

// cutter takes values off raw bytes; bad says that one was not whole.
type cutter struct {
	rest []byte
	bad  bool
}

func (c *cutter) time() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cutter) text() string {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 || v > uint64(len(c.rest)-n) {
		c.bad, c.rest = true, nil
		return ""
	}
	s := string(c.rest[n : n+int(v)])
	c.rest = c.rest[n+int(v):]
	return s
}
