package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// cut is a step of a lane: transactions, and the state that is true once they,
// and all cuts before, are delivered.
type cut struct {
	lane         *lane
	transactions []*transaction.Transaction
	bytes        int64
	groups       []GroupCheckpoint
}

// pipeline delivers cuts in their order to all sinks and commits them.
type pipeline struct {
	cfg       *Config
	state     State
	sinks     []*outlet
	observers []Observer
	log       *slog.Logger
	now       func() time.Time
	metrics   *metrics

	mu      sync.Mutex
	queue   []*cut
	waiting int   // transactions that some sink does not have yet
	bytes   int64 // of those
	closed  bool
	ready   chan struct{} // capacity 1: the queue is not empty, or closed
	room    chan struct{} // closed and replaced when room was made
	rates   rates
	batch   int     // transactions that are being delivered
	unsaved int     // transactions delivered but not committed
	commit  trouble // why the State cannot be written
}

// outlet is a sink with its meters.
type outlet struct {
	sink   Sink
	meters sinkMeters

	mu     sync.Mutex
	health SinkHealth
	acked  bool // it has the batch that is being delivered
}

func newPipeline(c *Collector) *pipeline {
	p := &pipeline{
		cfg:       &c.cfg,
		state:     c.deps.State,
		observers: c.deps.Observers,
		log:       c.log,
		now:       c.now,
		metrics:   c.metrics,
		ready:     make(chan struct{}, 1),
		room:      make(chan struct{}),
	}
	for _, s := range c.deps.Sinks {
		p.sinks = append(p.sinks, &outlet{
			sink:   s,
			meters: c.metrics.sink(s.Name()),
			health: SinkHealth{Name: s.Name()},
		})
	}
	return p
}

// push queues a cut. It never waits, because a lane pushes with its lock held:
// whoever reads waits for room before.
func (p *pipeline) push(c *cut) {
	p.mu.Lock()
	p.queue = append(p.queue, c)
	p.waiting += len(c.transactions)
	p.bytes += c.bytes
	p.mu.Unlock()
	p.signal()
}

func (p *pipeline) signal() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// waitRoom returns when there is room for more, or with ctx's error.
func (p *pipeline) waitRoom(ctx context.Context) error {
	for {
		p.mu.Lock()
		full := p.waiting >= p.cfg.MaxPendingTransactions || p.bytes >= p.cfg.MaxPendingBytes
		room := p.room
		p.mu.Unlock()
		if !full {
			return ctx.Err()
		}
		p.metrics.held()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close lets run end once everything is delivered and committed.
func (p *pipeline) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.signal()
}

// next takes whole cuts off the queue, as many as make a batch.
func (p *pipeline) next() (cuts []*cut, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, txs, bytes := 0, 0, int64(0)
	for _, c := range p.queue {
		if n > 0 && (txs+len(c.transactions) > p.cfg.BatchTransactions || bytes+c.bytes > p.cfg.BatchBytes) {
			break
		}
		n, txs, bytes = n+1, txs+len(c.transactions), bytes+c.bytes
	}
	cuts = append(cuts, p.queue[:n]...)
	rest := copy(p.queue, p.queue[n:])
	clear(p.queue[rest:])
	p.queue = p.queue[:rest]
	return cuts, p.closed && rest == 0
}

// run delivers and commits until the pipeline is closed and empty. It ends early
// only when ctx is done, and then tells what is left; nothing of that is lost,
// because no cursor has passed it.
func (p *pipeline) run(ctx context.Context) error {
	var staged []*cut
	unsaved := 0
	last := p.now()
	tick := time.NewTimer(p.cfg.CommitInterval)
	defer tick.Stop()
	for {
		cuts, drained := p.next()
		if len(cuts) > 0 {
			if err := p.deliver(ctx, cuts); err != nil {
				return p.left(err)
			}
			staged = append(staged, cuts...)
			for _, c := range cuts {
				unsaved += len(c.transactions)
				c.transactions = nil
			}
			p.setUnsaved(unsaved)
		}
		if len(staged) > 0 && (drained || p.now().Sub(last) >= p.cfg.CommitInterval || unsaved >= 10*p.cfg.BatchTransactions) {
			if err := p.save(ctx, staged); err != nil {
				return p.left(err)
			}
			staged, unsaved, last = nil, 0, p.now()
			p.setUnsaved(0)
		}
		if drained {
			return nil
		}
		if len(cuts) > 0 {
			continue
		}
		var due <-chan time.Time // never, while there is nothing to commit
		if len(staged) > 0 {
			tick.Reset(max(p.cfg.CommitInterval-p.now().Sub(last), time.Millisecond))
			due = tick.C
		}
		select {
		case <-p.ready:
		case <-due:
		case <-ctx.Done():
			if len(staged) > 0 {
				return p.left(ctx.Err())
			}
			return nil
		}
	}
}

// left says what was not delivered.
func (p *pipeline) left(err error) error {
	p.mu.Lock()
	waiting, unsaved := p.waiting, p.unsaved
	p.mu.Unlock()
	return fmt.Errorf("%d transactions were not delivered, and %d delivered ones not saved as such; they are read again at the next start: %w", waiting, unsaved, err)
}

func (p *pipeline) setUnsaved(n int) {
	p.mu.Lock()
	p.unsaved = n
	p.mu.Unlock()
}

// deliver gives the transactions of the cuts to every sink and waits for all.
func (p *pipeline) deliver(ctx context.Context, cuts []*cut) error {
	var batch []*transaction.Transaction
	var bytes int64
	for _, c := range cuts {
		batch = append(batch, c.transactions...)
		bytes += c.bytes
	}
	for len(batch) > 0 {
		// A single cut may be larger than a batch should be.
		n := min(len(batch), p.cfg.BatchTransactions)
		if err := p.deliverBatch(ctx, batch[:n:n]); err != nil {
			return err
		}
		for _, o := range p.observers {
			o.Observe(batch[:n:n])
		}
		p.delivered(batch[:n])
		batch = batch[n:]
	}
	p.mu.Lock()
	p.bytes -= bytes
	p.makeRoom()
	p.mu.Unlock()
	return nil
}

// delivered counts a batch that every sink has.
func (p *pipeline) delivered(batch []*transaction.Transaction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting -= len(batch)
	p.batch = 0
	p.rates.add(p.now(), batch)
	p.makeRoom()
}

// makeRoom wakes those who wait for room. It is called with the lock held.
func (p *pipeline) makeRoom() {
	if p.waiting < p.cfg.MaxPendingTransactions && p.bytes < p.cfg.MaxPendingBytes {
		close(p.room)
		p.room = make(chan struct{})
	}
}

func (p *pipeline) deliverBatch(ctx context.Context, batch []*transaction.Transaction) error {
	p.mu.Lock()
	p.batch = len(batch)
	p.mu.Unlock()
	errs := make([]error, len(p.sinks))
	var wg sync.WaitGroup
	for i, o := range p.sinks {
		wg.Go(func() { errs[i] = p.deliverTo(ctx, o, batch) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// deliverTo offers the batch to one sink until it takes it or ctx is done.
func (p *pipeline) deliverTo(ctx context.Context, o *outlet, batch []*transaction.Transaction) error {
	o.mu.Lock()
	o.acked = false
	o.mu.Unlock()
	for failures := 0; ; {
		start := p.now()
		err := o.sink.Deliver(ctx, batch)
		now := p.now()
		if err == nil {
			o.meters.delivered(len(batch), now.Sub(start))
			o.mu.Lock()
			recovered := o.health.Error != ""
			o.health.Delivered += int64(len(batch))
			o.health.Batches++
			o.health.Error, o.health.Mend, o.health.ErrorSince, o.health.LastOK = "", "", time.Time{}, now
			o.acked = true
			o.mu.Unlock()
			if recovered {
				p.log.InfoContext(ctx, "the sink takes transactions again", slog.String("sink", o.sink.Name()))
			}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("sink %s: %w", o.sink.Name(), err)
		}
		failures++
		o.meters.failed()
		o.mu.Lock()
		fresh := o.health.Error == ""
		o.health.Failures++
		o.health.Error, o.health.Mend = err.Error(), mendOf(err)
		if fresh {
			o.health.ErrorSince = now
		}
		o.mu.Unlock()
		if fresh {
			p.log.WarnContext(ctx, "the sink does not take transactions, which wait; reading stops when too many do",
				slog.String("sink", o.sink.Name()), slog.String("error", err.Error()))
		}
		if !sleep(ctx, backoff(failures)) {
			return fmt.Errorf("sink %s: %w", o.sink.Name(), err)
		}
	}
}

// mendOf is what a sink says of how its error can be mended; empty if nothing.
func mendOf(err error) string {
	var m interface{ Mend() string }
	if errors.As(err, &m) {
		return m.Mend()
	}
	return ""
}

// save commits the staged cuts, again and again until it works: a full disk is
// mended by a person, and until then nothing may be forgotten.
func (p *pipeline) save(ctx context.Context, staged []*cut) error {
	c := p.checkpoint(staged)
	for failures := 0; ; {
		start := p.now()
		err := p.state.Commit(ctx, c)
		now := p.now()
		if err == nil {
			p.metrics.committed(now.Sub(start))
			p.mu.Lock()
			recovered := p.commit.err != ""
			p.commit = trouble{}
			p.mu.Unlock()
			if recovered {
				p.log.InfoContext(ctx, "the state is saved again")
			}
			for _, s := range staged {
				s.lane.committed(s.groups)
			}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("saving the state: %w", err)
		}
		failures++
		p.metrics.commitFailed()
		p.mu.Lock()
		fresh := p.commit.err == ""
		p.commit.err = err.Error()
		if fresh {
			p.commit.since = now
		}
		p.mu.Unlock()
		if fresh {
			p.log.WarnContext(ctx, "the state cannot be saved; delivering stops until it can",
				slog.String("error", err.Error()))
		}
		if !sleep(ctx, backoff(failures)) {
			return fmt.Errorf("saving the state: %w", err)
		}
	}
}

// checkpoint merges staged cuts: the last word on each group, and all digests.
// It is made once, for the observers give their changes once.
func (p *pipeline) checkpoint(staged []*cut) *Checkpoint {
	c := &Checkpoint{Sinks: make(map[string]string, len(p.sinks))}
	at := make(map[string]int)
	for _, s := range staged {
		for _, g := range s.groups {
			key := g.Group.Key()
			i, ok := at[key]
			if !ok {
				at[key] = len(c.Groups)
				c.Groups = append(c.Groups, g)
				continue
			}
			g.Seen = joinSeen(c.Groups[i].Seen, g.Seen)
			g.Aged = append(c.Groups[i].Aged, g.Aged...)
			c.Groups[i] = g
		}
	}
	for _, o := range p.sinks {
		c.Sinks[o.sink.Name()] = o.sink.Position()
	}
	for _, o := range p.observers {
		if changes := o.Changes(); changes != nil {
			c.Changes = append(c.Changes, changes)
		}
	}
	return c
}

// joinSeen makes one segment of two neighbours, so that a commit adds one row a
// group. Segments whose newest events are minutes apart stay apart, for the
// older one can be forgotten earlier.
func joinSeen(a, b []Seen) []Seen {
	for _, s := range b {
		if n := len(a); n > 0 && floorDiv(a[n-1].Newest, bucketSpan) == floorDiv(s.Newest, bucketSpan) {
			last := &a[n-1]
			last.Newest = max(last.Newest, s.Newest)
			last.Events = append(last.Events, s.Events...)
			last.Calls = append(last.Calls, s.Calls...)
			continue
		}
		a = append(a, s)
	}
	return a
}

// backoff is the wait after the nth failure in a row: 100 ms doubling to 10 s.
func backoff(n int) time.Duration {
	return min(100*time.Millisecond<<min(n-1, 16), 10*time.Second)
}

// sleep reports false if ctx was done before d had passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
