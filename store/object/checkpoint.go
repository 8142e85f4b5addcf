package object

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/store"
)

// checkpointMagic begins the object; its digit is the version of the form.
const checkpointMagic = "GHSTATE1"

// maxCheckpoint bounds the decoded object, in bytes.
const maxCheckpoint = 1 << 30

// LoadCheckpoint returns what the last Commits left, of this process or another.
func (s *Store) LoadCheckpoint(ctx context.Context) (*collect.Checkpoint, error) {
	data, version, err := s.objects.Load(ctx, checkpointObject)
	if err != nil {
		return nil, fmt.Errorf("loading the checkpoint: %w", err)
	}
	c, err := decodeCheckpoint(data)
	if err != nil {
		return nil, fmt.Errorf("loading the checkpoint: %w", err)
	}
	s.mu.Lock()
	s.state, s.version, s.pending = c, version, nil
	s.mu.Unlock()
	return copyCheckpoint(c), nil
}

// Commit saves the groups named in c and the sinks' positions, all or nothing.
// Changes of observers are not known to this store and are an error.
func (s *Store) Commit(ctx context.Context, c *collect.Checkpoint) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, change := range c.Changes {
		if change != nil {
			return fmt.Errorf("changes of type %T are not known to this store: it keeps no inventory", change)
		}
	}
	s.mu.Lock()
	loaded := s.state != nil
	s.mu.Unlock()
	if !loaded {
		if _, err := s.LoadCheckpoint(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := merge(s.state, c)
	data, err := encodeCheckpoint(next)
	if err != nil {
		return fmt.Errorf("saving the checkpoint: %w", err)
	}
	version, err := s.save(ctx, checkpointObject, data, s.version)
	if errors.Is(err, ErrConflict) && s.pending != nil {
		// The save before failed for us and may have been done all the same.
		there, now, loadErr := s.objects.Load(ctx, checkpointObject)
		if loadErr == nil && bytes.Equal(there, s.pending) {
			version, err = s.save(ctx, checkpointObject, data, now)
		}
	}
	switch {
	case errors.Is(err, ErrConflict):
		return &conflictError{"saving the checkpoint"}
	case err != nil:
		s.pending = data
		return fmt.Errorf("saving the checkpoint: %w", err)
	}
	s.state, s.version, s.pending = next, version, nil
	return nil
}

// merge is old with the groups and sinks of c in it.
func merge(old, c *collect.Checkpoint) *collect.Checkpoint {
	next := &collect.Checkpoint{Groups: slices.Clone(old.Groups), Sinks: maps.Clone(old.Sinks)}
	if next.Sinks == nil {
		next.Sinks = make(map[string]string)
	}
	maps.Copy(next.Sinks, c.Sinks)
	at := make(map[string]int, len(next.Groups))
	for i := range next.Groups {
		at[next.Groups[i].Group.Key()] = i
	}
	for i := range c.Groups {
		g := c.Groups[i]
		key := g.Group.Key()
		k, ok := at[key]
		var seen []collect.Seen
		var aged []collect.AgedMinute
		if ok {
			seen, aged = slices.Clone(next.Groups[k].Seen), slices.Clone(next.Groups[k].Aged)
		}
		aged = append(aged, g.Aged...)
		g.Aged = slices.DeleteFunc(aged, func(a collect.AgedMinute) bool { return a.Minute < g.AgedFrom })
		seen = append(seen, g.Seen...)
		g.Seen = slices.DeleteFunc(seen, func(s collect.Seen) bool { return s.Newest < g.SeenFrom })
		if !ok {
			at[key] = len(next.Groups)
			next.Groups = append(next.Groups, g)
			continue
		}
		next.Groups[k] = g
	}
	return next
}

// copyCheckpoint is c for others to change. Digests are never changed in place.
func copyCheckpoint(c *collect.Checkpoint) *collect.Checkpoint {
	out := &collect.Checkpoint{Groups: slices.Clone(c.Groups), Sinks: maps.Clone(c.Sinks)}
	for i := range out.Groups {
		out.Groups[i].Seen = slices.Clone(out.Groups[i].Seen)
		out.Groups[i].Aged = slices.Clone(out.Groups[i].Aged)
	}
	return out
}

// document is the readable part of the object. The digests follow it, 8 bytes
// each, in the order of the groups, their segments, and events before calls.
type document struct {
	Groups   []collect.GroupCheckpoint `json:"groups"`
	Segments [][]segment               `json:"segments"` // of each group
	Sinks    map[string]string         `json:"sinks"`
}

type segment struct {
	Newest int64 `json:"newest"`
	Events int   `json:"events"`
	Calls  int   `json:"calls"`
}

func encodeCheckpoint(c *collect.Checkpoint) ([]byte, error) {
	doc := document{Groups: slices.Clone(c.Groups), Segments: make([][]segment, len(c.Groups)), Sinks: c.Sinks}
	var digests []byte
	for i := range doc.Groups {
		for _, s := range doc.Groups[i].Seen {
			doc.Segments[i] = append(doc.Segments[i], segment{s.Newest, len(s.Events), len(s.Calls)})
			for _, list := range [][]uint64{s.Events, s.Calls} {
				for _, d := range list {
					digests = binary.LittleEndian.AppendUint64(digests, d)
				}
			}
		}
		doc.Groups[i].Seen = nil
	}
	head, err := json.Marshal(&doc)
	if err != nil {
		return nil, err
	}
	raw := binary.AppendUvarint(make([]byte, 0, len(head)+len(digests)+10), uint64(len(head)))
	raw = append(append(raw, head...), digests...)
	encoded := s2.Encode(nil, raw)
	out := append(make([]byte, 0, len(checkpointMagic)+8+len(encoded)), checkpointMagic...)
	out = binary.LittleEndian.AppendUint64(out, xxhash.Sum64(encoded))
	return append(out, encoded...), nil
}

func decodeCheckpoint(data []byte) (*collect.Checkpoint, error) {
	c := &collect.Checkpoint{Sinks: make(map[string]string)}
	if len(data) == 0 {
		return c, nil
	}
	body, ok := bytes.CutPrefix(data, []byte(checkpointMagic))
	if !ok {
		if bytes.HasPrefix(data, []byte("GHSTATE")) {
			return nil, store.ErrNewer
		}
		return nil, store.ErrForeign
	}
	if len(body) < 8 || binary.LittleEndian.Uint64(body) != xxhash.Sum64(body[8:]) {
		return nil, store.ErrCorrupted
	}
	if n, err := s2.DecodedLen(body[8:]); err != nil || n > maxCheckpoint {
		return nil, store.ErrCorrupted
	}
	raw, err := s2.Decode(nil, body[8:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupted, err)
	}
	size, n := binary.Uvarint(raw)
	if n <= 0 || size > uint64(len(raw)-n) {
		return nil, store.ErrCorrupted
	}
	var doc document
	if err := json.Unmarshal(raw[n:n+int(size)], &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupted, err)
	}
	rest := raw[n+int(size):]
	take := func(n int) ([]uint64, bool) {
		if n < 0 || n > len(rest)/8 {
			return nil, false
		}
		if n == 0 {
			return nil, true
		}
		out := make([]uint64, n)
		for i := range out {
			out[i] = binary.LittleEndian.Uint64(rest[8*i:])
		}
		rest = rest[8*n:]
		return out, true
	}
	if len(doc.Segments) != len(doc.Groups) {
		return nil, store.ErrCorrupted
	}
	for i := range doc.Groups {
		for _, s := range doc.Segments[i] {
			events, ok := take(s.Events)
			calls, ok2 := take(s.Calls)
			if !ok || !ok2 {
				return nil, store.ErrCorrupted
			}
			doc.Groups[i].Seen = append(doc.Groups[i].Seen, collect.Seen{Newest: s.Newest, Events: events, Calls: calls})
		}
	}
	c.Groups = doc.Groups
	maps.Copy(c.Sinks, doc.Sinks)
	return c, nil
}
