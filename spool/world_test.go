package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// disk is what survives a crash: blobs, the state and what a sink has.
type disk struct {
	mu     sync.Mutex
	blobs  map[string][]byte
	groups map[string]collect.GroupCheckpoint
	sinks  map[string]string
	sent   []string // request ids, in the sink that restores its position
	random *rand.Rand
	// lost is how likely a write is done though its writer is told it failed, and
	// failed how likely it is not done.
	lost, failed float64
	slow         time.Duration // how long a Put may take
}

func newDisk(seed uint64) *disk {
	return &disk{
		blobs: map[string][]byte{}, groups: map[string]collect.GroupCheckpoint{}, sinks: map[string]string{},
		random: rand.New(rand.NewPCG(seed, 9)),
	}
}

var errDisk = errors.New("the disk failed")

// process is one life of the product. After its crash it has no effect.
type process struct {
	d    *disk
	dead bool
}

// do runs one write, or not, or runs it and says it failed.
func (p *process) do(f func()) error {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if p.dead {
		return errDisk
	}
	r := p.d.random.Float64()
	if r < p.d.failed {
		return errDisk
	}
	f()
	if r < p.d.failed+p.d.lost {
		return errDisk
	}
	return nil
}

func (p *process) crash() {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	p.dead = true
}

func (p *process) Put(ctx context.Context, name string, data []byte) error {
	if p.d.slow > 0 {
		p.d.mu.Lock()
		wait := time.Duration(p.d.random.Int64N(int64(p.d.slow)))
		p.d.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.do(func() { p.d.blobs[name] = slices.Clone(data) })
}

func (p *process) Get(_ context.Context, name string) ([]byte, error) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	data, ok := p.d.blobs[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (p *process) List(_ context.Context, prefix string) ([]spool.Blob, error) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	var out []spool.Blob
	for _, name := range slices.Sorted(maps.Keys(p.d.blobs)) {
		if strings.HasPrefix(name, prefix) {
			out = append(out, spool.Blob{Name: name, Size: int64(len(p.d.blobs[name]))})
		}
	}
	return out, nil
}

func (p *process) Delete(_ context.Context, name string) error {
	return p.do(func() { delete(p.d.blobs, name) })
}

func (p *process) LoadCheckpoint(context.Context) (*collect.Checkpoint, error) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	c := &collect.Checkpoint{Sinks: maps.Clone(p.d.sinks)}
	for _, g := range p.d.groups {
		g.Seen = slices.Clone(g.Seen)
		c.Groups = append(c.Groups, g)
	}
	return c, nil
}

func (p *process) Commit(_ context.Context, c *collect.Checkpoint) error {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if p.dead || p.d.random.Float64() < p.d.failed {
		return errDisk
	}
	for _, g := range c.Groups {
		seen := append(slices.Clone(p.d.groups[g.Group.Key()].Seen), g.Seen...)
		g.Seen = slices.DeleteFunc(seen, func(s collect.Seen) bool { return s.Newest < g.SeenFrom })
		p.d.groups[g.Group.Key()] = g
	}
	maps.Copy(p.d.sinks, c.Sinks)
	return nil
}

// sink restores its position, as the file sink does.
type sink struct{ p *process }

func (s *sink) Name() string                { return "file" }
func (s *sink) Close(context.Context) error { return nil }

func (s *sink) Position() string {
	s.p.d.mu.Lock()
	defer s.p.d.mu.Unlock()
	return fmt.Sprint(len(s.p.d.sent))
}

func (s *sink) Restore(_ context.Context, position string) error {
	n := 0
	if position != "" {
		if _, err := fmt.Sscan(position, &n); err != nil {
			return err
		}
	}
	s.p.d.mu.Lock()
	defer s.p.d.mu.Unlock()
	s.p.d.sent = s.p.d.sent[:n]
	return nil
}

func (s *sink) Deliver(_ context.Context, batch []*transaction.Transaction) error {
	s.p.d.mu.Lock()
	defer s.p.d.mu.Unlock()
	if s.p.dead || s.p.d.random.Float64() < s.p.d.failed {
		return errDisk
	}
	for _, t := range batch {
		s.p.d.sent = append(s.p.d.sent, t.RequestID)
	}
	return nil
}

func (d *disk) delivered() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := map[string]int{}
	for _, id := range d.sent {
		n[id]++
	}
	return n
}

func (d *disk) books() collect.Books {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b collect.Books
	for _, g := range d.groups {
		b.Add(g.Books)
	}
	return b
}

func (d *disk) eventBlobs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for name := range d.blobs {
		if strings.HasPrefix(name, "events/") {
			n++
		}
	}
	return n
}

func groupOf(n int) transaction.Group {
	return transaction.Group{Account: "111122223333", Region: "eu-west-1", Name: fmt.Sprintf("API-Gateway-Execution-Logs_a1b2c3d%03d/prod", n)}
}

func requestID(n int) string { return fmt.Sprintf("%08x-1111-4222-8333-444455556666", n) }

// callEvents are the events of one call, a millisecond apart.
func callEvents(n int, at time.Time) []transaction.Event {
	id := requestID(n)
	texts := []string{
		"Extended Request Id: X" + id + "=",
		"Verifying Usage Plan for request: " + id + ". API Key:  API Stage: a1b2c3d4e5/prod",
		"API Key  authorized because method 'GET /pets/{id}' does not require API Key. Request will not contribute to throttle or quota limits",
		"Starting execution for request: " + id,
		"HTTP Method: GET, Resource Path: /pets/7",
		"Successfully completed execution",
		"Method completed with status: 200",
	}
	events := make([]transaction.Event, len(texts))
	for i, text := range texts {
		t := at.Add(time.Duration(i) * time.Millisecond).UnixMilli()
		events[i] = transaction.Event{
			ID: fmt.Sprintf("%020d%018d%018d", t, n, i), Stream: "stream", Timestamp: t, Message: "(" + id + ") " + text,
		}
	}
	return events
}
