package demo

import (
	"context"
	"log/slog"
	"sync"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// logs is where the gateway's log events go: through a LogQueue, as in the command
// gateway, or, in the past, into batches that are written as they fill up. There a
// queue would have to drop what comes in faster than CloudWatch takes it.
type logs struct {
	to    gateway.BatchWriter
	queue *gateway.LogQueue

	mu      sync.Mutex
	past    bool
	batches map[streamKey]*gateway.LogBatch
	size    int
	chats   chan struct{} // told in the past of each call to the chat API
}

type streamKey struct{ account, region, group, stream string }

func newLogs(to gateway.BatchWriter, log *slog.Logger) *logs {
	return &logs{to: to, queue: gateway.NewLogQueue(to, 0, log, nil), batches: map[streamKey]*gateway.LogBatch{}, chats: make(chan struct{}, 1)}
}

// writer is the LogWriter of an account and region.
func (l *logs) writer(account, region string) gateway.LogWriter {
	return &logWriter{l, l.queue.Writer(account, region), account, region}
}

type logWriter struct {
	logs            *logs
	queue           gateway.LogWriter
	account, region string
}

// Put takes the events of a call.
func (w *logWriter) Put(group, stream string, events []gateway.LogEvent) {
	if !w.logs.gather(streamKey{w.account, w.region, group, stream}, events) {
		w.queue.Put(group, stream, events)
	}
}

// gather keeps events of the past; false in the present.
func (l *logs) gather(k streamKey, events []gateway.LogEvent) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.past {
		return false
	}
	b := l.batches[k]
	if b == nil {
		b = &gateway.LogBatch{Account: k.account, Region: k.region, Group: k.group, Stream: k.stream}
		l.batches[k] = b
	}
	b.Events = append(b.Events, events...)
	for i := range events {
		l.size += len(events[i].Message)
	}
	if k.group == chatGroup {
		select {
		case l.chats <- struct{}{}:
		default:
		}
	}
	return true
}

const chatGroup = "/aws/apigateway/" + chatID + "/prod"

// setPast turns gathering on or off.
func (l *logs) setPast(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.past = on
}

// full are the gathered batches if they are larger than size, else nil.
func (l *logs) full(size int) []*gateway.LogBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size <= size {
		return nil
	}
	list := make([]*gateway.LogBatch, 0, len(l.batches))
	for _, b := range l.batches {
		list = append(list, b)
	}
	l.batches, l.size = map[streamKey]*gateway.LogBatch{}, 0
	return list
}

// write writes batches.
func (l *logs) write(ctx context.Context, list []*gateway.LogBatch) error {
	for _, b := range list {
		if err := l.to.WriteBatch(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
