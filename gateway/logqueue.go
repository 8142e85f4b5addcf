package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LogBatch are events of one log stream, in the order in which they were put.
type LogBatch struct {
	Account, Region string
	Group, Stream   string
	Events          []LogEvent
}

// BatchWriter writes log events where they stay. It may wait; an error means that
// the batch was not written, and a *LossError that a part of it was not.
type BatchWriter interface {
	WriteBatch(ctx context.Context, b *LogBatch) error
}

// LogQueue is a bounded buffer in front of a BatchWriter. Put never waits: an event
// that finds the buffer full is dropped and counted, and the drop is told.
type LogQueue struct {
	to  BatchWriter
	log *slog.Logger
	max int

	mu      sync.Mutex
	batches map[batchKey]*LogBatch
	order   []batchKey
	size    int
	dropped uint64
	told    uint64
	wake    chan struct{}

	droppedTotal, writtenTotal prometheus.Counter
}

type batchKey struct{ account, region, group, stream string }

// eventOverhead is what CloudWatch Logs counts for an event beside its text, and
// about what it costs in memory.
const eventOverhead = 26

// NewLogQueue makes a queue of at most maxBytes of events, 16 MiB if zero. registry
// may be nil.
func NewLogQueue(to BatchWriter, maxBytes int, log *slog.Logger, registry prometheus.Registerer) *LogQueue {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	q := &LogQueue{
		to: to, log: log, max: orDefault(maxBytes, 16<<20), batches: map[batchKey]*LogBatch{}, wake: make(chan struct{}, 1),
		droppedTotal: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatehouse_gateway_log_events_dropped_total", Help: "Log events that were dropped because the buffer was full or writing failed.",
		}),
		writtenTotal: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatehouse_gateway_log_events_written_total", Help: "Log events that were written.",
		}),
	}
	if registry != nil {
		registry.MustRegister(q.droppedTotal, q.writtenTotal)
	}
	return q
}

// Writer is the LogWriter of an account and region.
func (q *LogQueue) Writer(account, region string) LogWriter { return &queueWriter{q, account, region} }

type queueWriter struct {
	q               *LogQueue
	account, region string
}

var _ LogWriter = (*queueWriter)(nil)

// Put takes events, or drops those for which there is no room.
func (w *queueWriter) Put(group, stream string, events []LogEvent) {
	w.q.put(batchKey{w.account, w.region, group, stream}, events)
}

func (q *LogQueue) put(k batchKey, events []LogEvent) {
	size := 0
	for i := range events {
		size += len(events[i].Message) + eventOverhead
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size+size > q.max {
		q.drop(len(events))
		return
	}
	q.size += size
	b := q.batches[k]
	if b == nil {
		b = &LogBatch{Account: k.account, Region: k.region, Group: k.group, Stream: k.stream}
		q.batches[k] = b
		q.order = append(q.order, k)
	}
	b.Events = append(b.Events, events...)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// drop counts events that are lost; the lock is held.
func (q *LogQueue) drop(n int) {
	q.dropped += uint64(n)
	q.droppedTotal.Add(float64(n))
}

// Dropped is how many events were lost.
func (q *LogQueue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// flushEvery is how long events are gathered before they are written.
const flushEvery = 200 * time.Millisecond

// drainTimeout bounds how long events are written after a stop.
const drainTimeout = 10 * time.Second

// Run writes what comes until ctx is done, and then what is left.
func (q *LogQueue) Run(ctx context.Context) error {
	// A stop does not break off a batch that is being written.
	writing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			q.flush(writing)
			q.tell()
			return nil
		case <-tick.C:
		}
		select {
		case <-q.wake:
			q.flush(writing)
			q.tell()
		default:
		}
	}
}

// flush writes all batches that there are. While one is written its events still
// count as held, so that a slow writer cannot make the buffer grow past its bound.
func (q *LogQueue) flush(ctx context.Context) {
	q.mu.Lock()
	order, batches := q.order, q.batches
	q.order, q.batches = nil, map[batchKey]*LogBatch{}
	q.mu.Unlock()
	for _, k := range order {
		b := batches[k]
		err := q.to.WriteBatch(ctx, b)
		lost := 0
		if err != nil {
			lost = len(b.Events)
			if part, ok := errors.AsType[*LossError](err); ok {
				lost = min(lost, part.Lost)
			}
		}
		q.mu.Lock()
		for i := range b.Events {
			q.size -= len(b.Events[i].Message) + eventOverhead
		}
		q.drop(lost)
		q.writtenTotal.Add(float64(len(b.Events) - lost))
		q.mu.Unlock()
		if err != nil {
			q.log.Error("cannot write log events", "group", b.Group, "events", lost, "error", err)
		}
	}
}

// tell says how many events were lost since it was last said.
func (q *LogQueue) tell() {
	q.mu.Lock()
	lost, all := q.dropped-q.told, q.dropped
	q.told = q.dropped
	q.mu.Unlock()
	if lost > 0 {
		q.log.Warn("log events were dropped", "events", lost, "since_start", all)
	}
}
