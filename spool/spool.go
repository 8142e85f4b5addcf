package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// maxChunk is about how many bytes of messages one blob holds.
	maxChunk = 4 << 20
	// putsAtOnce is how many blobs of one Append are written at the same time.
	putsAtOnce = 4
	// slowPut is how long writing a blob of a shared spool may take. After that
	// the readings of another process may have passed its time, and it is written
	// again under a new one.
	slowPut = 30 * time.Second
	// trimEvery is how often Run removes what was delivered.
	trimEvery = 5 * time.Second
)

// Config says how a Spool works. The zero value is usable.
type Config struct {
	// MaxBytes bounds what the blobs of events take together; Append returns
	// ErrFull beyond it. 0: no bound.
	MaxBytes int64
	// Shared says that other processes write to the same blobs: what there is to
	// read is then listed anew by every Find.
	Shared bool
	// News is called when a group was seen for the first time; nil: nobody is.
	// It must not wait.
	News func()
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Log may be nil.
	Log *slog.Logger
	// Metrics may be nil: nothing is registered then.
	Metrics prometheus.Registerer
}

// Spool keeps pushed events until they were delivered. It is safe for concurrent
// use.
type Spool struct {
	blobs   Blobs
	cfg     Config
	clock   func() time.Time
	log     *slog.Logger
	metrics *metrics
	cache   cache

	mu      sync.Mutex
	shelves map[string]*shelf // by idOf
	order   []string          // of shelves, as they were found
	bytes   int64             // of all entries, and of those that are being written
	last    int64             // the youngest time given to a blob
	floor   int64             // up to here some reading or saved cursor has come
	pending map[int64]chan struct{}
	recent  recent
}

// Open opens the spool on blobs.
func Open(ctx context.Context, blobs Blobs, cfg Config) (*Spool, error) {
	s := &Spool{
		blobs: blobs, cfg: cfg, clock: cfg.Clock, log: cfg.Log,
		shelves: make(map[string]*shelf), pending: make(map[int64]chan struct{}),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.metrics, err = newMetrics(s, cfg.Metrics); err != nil {
		return nil, fmt.Errorf("opening the spool: %w", err)
	}
	if err := s.list(ctx); err != nil {
		return nil, fmt.Errorf("opening the spool: %w", err)
	}
	return s, nil
}

// list brings the index up to what the blobs are.
func (s *Spool) list(ctx context.Context) error {
	groups, err := s.blobs.List(ctx, groupsPrefix)
	if err != nil {
		return err
	}
	blobs, err := s.blobs.List(ctx, eventsPrefix)
	if err != nil {
		return err
	}
	for _, b := range groups {
		if err := s.learn(ctx, strings.TrimPrefix(b.Name, groupsPrefix), b.Name); err != nil {
			return err
		}
	}
	there := make(map[string]bool, len(blobs))
	for _, b := range blobs {
		id, e, ok := parseName(b.Name)
		if !ok {
			continue // not ours
		}
		e.size = b.Size
		there[b.Name] = true
		if err := s.learn(ctx, id, b.Name); err != nil {
			return err
		}
		s.mu.Lock()
		if shelf := s.shelves[id]; shelf != nil && shelf.add(e) {
			s.bytes += e.size
			s.last = max(s.last, e.at)
		}
		s.mu.Unlock()
	}
	if s.cfg.Shared {
		s.lose(there)
	}
	return nil
}

// lose takes out of the index what another process has removed since.
func (s *Spool) lose(there map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, shelf := range s.shelves {
		kept := shelf.entries[:0]
		for _, e := range shelf.entries {
			if there[e.name] || e.at > s.clock().Add(-time.Minute).UnixMilli() {
				kept = append(kept, e) // written after the listing, maybe
				continue
			}
			s.bytes -= e.size
		}
		shelf.entries = kept
	}
}

// learn makes the shelf of a group that is not known yet, from its own blob or
// from a blob of events.
func (s *Spool) learn(ctx context.Context, id, from string) error {
	s.mu.Lock()
	shelf := s.shelves[id]
	s.mu.Unlock()
	if shelf != nil {
		return nil
	}
	data, err := s.blobs.Get(ctx, from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since it was listed
	}
	if err != nil {
		return err
	}
	var g transaction.Group
	if strings.HasPrefix(from, groupsPrefix) {
		err = json.Unmarshal(data, &g)
	} else {
		g, _, err = Decode(data)
	}
	if err == nil && idOf(&g) != id {
		err = errForm
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", from, err)
	}
	s.shelf(g, strings.HasPrefix(from, groupsPrefix))
	return nil
}

// shelf is that of a group, made if there is none.
func (s *Spool) shelf(g transaction.Group, known bool) *shelf {
	id := idOf(&g)
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelves[id]
	if sh == nil {
		sh = &shelf{group: g}
		s.shelves[id] = sh
		s.order = append(s.order, id)
	}
	sh.known = sh.known || known
	return sh
}

// Batch is events of one log group that arrived together. The Timestamp of each
// is its own time.
type Batch struct {
	Group  transaction.Group
	Events []transaction.Event
}

// fresh leaves out the events that were written lately. Senders repeat what they
// got no answer for, and what is left out here need not be written, read and
// recognised again.
func (s *Spool) fresh(events []transaction.Event) (rest []transaction.Event, digests []uint64) {
	digests = make([]uint64, 0, len(events))
	s.mu.Lock()
	defer s.mu.Unlock()
	known := 0
	for i := range events {
		d := events[i].Digest()
		if s.recent.has(d) {
			if known == 0 {
				rest = append(make([]transaction.Event, 0, len(events)-1), events[:i]...)
			}
			known++
			continue
		}
		if known > 0 {
			rest = append(rest, events[i])
		}
		digests = append(digests, d)
	}
	if known == 0 {
		return events, digests
	}
	s.metrics.doubles.Add(float64(known))
	return rest, digests
}

// Append writes batches. When it returns nil every event survives a crash; when
// it returns an error some may, and the same batches can be appended again: an
// event is told by its id and counted once. The error is ErrFull if there is no
// room.
func (s *Spool) Append(ctx context.Context, batches ...Batch) error {
	writers, ctx := errgroup.WithContext(ctx)
	writers.SetLimit(putsAtOnce)
	var err error
	var written []uint64
	for i := range batches {
		b := Batch{Group: batches[i].Group}
		var digests []uint64
		if b.Events, digests = s.fresh(batches[i].Events); len(b.Events) == 0 {
			continue
		}
		written = append(written, digests...)
		if err = s.introduce(ctx, b.Group); err != nil {
			break
		}
		for from := 0; from < len(b.Events) && err == nil; {
			to := chunkEnd(b.Events, from)
			var data []byte
			if data, err = Encode(b.Group, b.Events[from:to]); err == nil {
				events := to - from
				writers.Go(func() error { return s.write(ctx, b.Group, data, events) })
			}
			from = to
		}
		if err != nil {
			break
		}
	}
	// The first cause, not the end of the context that it brought about.
	if werr := writers.Wait(); werr != nil {
		err = werr
	}
	switch {
	case errors.Is(err, ErrFull):
		s.metrics.refused.Inc()
		return err
	case err != nil:
		return fmt.Errorf("writing to the spool: %w", err)
	}
	s.metrics.events.Add(float64(len(written)))
	s.mu.Lock()
	s.recent.add(written)
	s.mu.Unlock()
	return nil
}

// chunkEnd is where the blob that begins at from ends.
func chunkEnd(events []transaction.Event, from int) int {
	size := 0
	for i := from; i < len(events); i++ {
		size += len(events[i].Message) + len(events[i].ID) + len(events[i].Stream)
		if size >= maxChunk {
			return i + 1
		}
	}
	return len(events)
}

// introduce writes which group an id stands for, before its first events.
func (s *Spool) introduce(ctx context.Context, g transaction.Group) error {
	sh := s.shelf(g, false)
	s.mu.Lock()
	known := sh.known
	s.mu.Unlock()
	if known {
		return nil
	}
	data, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := s.blobs.Put(ctx, groupsPrefix+idOf(&g), data); err != nil {
		return err
	}
	s.mu.Lock()
	first := !sh.known
	sh.known = true
	s.mu.Unlock()
	if first && s.cfg.News != nil {
		s.cfg.News()
	}
	return nil
}

// write writes one blob and puts it into the index.
func (s *Spool) write(ctx context.Context, g transaction.Group, data []byte, events int) error {
	for {
		e, done, err := s.place(&g, data, events)
		if err != nil {
			return err
		}
		began := s.clock()
		err = s.blobs.Put(ctx, e.name, data)
		slow := s.cfg.Shared && s.clock().Sub(began) > slowPut
		done(err == nil)
		if err != nil {
			// It may be there all the same, and the sender sends it again.
			_ = s.blobs.Delete(context.WithoutCancel(ctx), e.name)
			return err
		}
		if !slow {
			return nil
		}
		// The copy that is there already does no harm: its events have the same
		// ids.
		s.log.WarnContext(ctx, "writing to the spool took long; the events are written again under the present time",
			slog.Duration("took", s.clock().Sub(began)))
	}
}

// place reserves a time for a blob: after all that was read, was passed by a
// saved cursor or was given before, whatever the clock says. Reading waits for it
// until done is called.
func (s *Spool) place(g *transaction.Group, data []byte, events int) (e entry, done func(written bool), err error) {
	id := idOf(g)
	size := int64(len(data))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.MaxBytes > 0 && s.bytes+size > s.cfg.MaxBytes {
		return entry{}, nil, ErrFull
	}
	at := max(s.clock().UnixMilli(), s.last+1, s.floor+1)
	s.last = at
	s.bytes += size
	e = entry{name: nameOf(at, id, events), at: at, events: int64(events), size: size}
	written := make(chan struct{})
	s.pending[at] = written
	return e, func(ok bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.pending, at)
		if ok {
			s.shelves[id].add(e)
		} else {
			s.bytes -= size
		}
		close(written)
	}, nil
}

// Size tells how many blobs of events there are, what they take in bytes, and how
// old the oldest is; 0 if there is none.
func (s *Spool) Size() (blobs int, bytes int64, oldest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	for _, sh := range s.shelves {
		blobs += len(sh.entries)
		if len(sh.entries) > 0 {
			oldest = max(oldest, now.Sub(time.UnixMilli(sh.entries[0].at)))
		}
	}
	return blobs, s.bytes, oldest
}

// Run removes what was delivered until ctx is done.
func (s *Spool) Run(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		err := s.Trim(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.WarnContext(ctx, "what was delivered cannot be removed from the spool", slog.String("error", err.Error()))
		}
		failing = err != nil
	}
}

// Trim removes the blobs that the saved cursors of both readings have passed.
func (s *Spool) Trim(ctx context.Context) error {
	type old struct {
		shelf *shelf
		entry entry
	}
	var done []old
	s.mu.Lock()
	forget := s.clock().UnixMilli() - countsKept
	for _, sh := range s.shelves {
		sh.forget(forget)
		for _, e := range sh.entries {
			if !sh.hasPassed || e.at >= sh.passed {
				break
			}
			done = append(done, old{sh, e})
		}
	}
	s.mu.Unlock()
	for _, d := range done {
		if err := s.blobs.Delete(ctx, d.entry.name); err != nil {
			return fmt.Errorf("removing %s: %w", d.entry.name, err)
		}
		s.mu.Lock()
		if d.shelf.drop(d.entry) {
			s.bytes -= d.entry.size
		}
		s.mu.Unlock()
	}
	return nil
}
