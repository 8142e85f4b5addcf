package demo

import (
	"container/heap"
	"context"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// Player makes calls to the demo's APIs and writes what API Gateway would log
// of them into the simulated CloudWatch Logs. It belongs to one goroutine.
type Player struct {
	world *World
	scene *scene
	due   lineQueue
	next  time.Time // when the next call happens
	rate  float64
	gaps  *rand.Rand
	calls int
}

// NewPlayer makes a player that begins at a time with rate calls a second.
func (w *World) NewPlayer(start time.Time, rate float64, seed uint64) *Player {
	return &Player{
		world: w, scene: newScene(w.apis, seed), next: start, rate: rate,
		gaps: rand.New(rand.NewPCG(seed, 2)), //nolint:gosec // a demo repeats on purpose
	}
}

// Calls is how many calls were made.
func (p *Player) Calls() int { return p.calls }

// PlayUntil makes all calls that happen before t and writes every line whose
// time has come. Lines of calls that are still under way follow in later calls
// of PlayUntil.
func (p *Player) PlayUntil(t time.Time) {
	for p.next.Before(t) {
		p.play(p.scene.next(p.next))
		p.next = p.next.Add(time.Duration(p.gaps.ExpFloat64() / p.rate * float64(time.Second)))
	}
	p.write(t)
}

// Run plays in real time until ctx is done.
func (p *Player) Run(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.PlayUntil(time.Now())
		}
	}
}

func (p *Player) play(c *call) {
	p.calls++
	logs := p.world.Sim.Account(c.api.account).Region(c.api.region).Logs()
	stream := c.streamName()
	for _, l := range c.executionLines() {
		p.due.add(timedLine{c.at.Add(l.after).UnixMilli(), logs, c.stage.executionGroup(c.api), stream, l.text})
	}
	if rec := c.accessRecord(); rec != "" && c.stage.group != "" {
		p.due.add(timedLine{c.at.Add(c.latency).UnixMilli(), logs, c.stage.group, stream, rec})
	}
}

// streamName spreads calls over a few streams, as API Gateway does.
func (c *call) streamName() string {
	h := fnv.New64a()
	h.Write([]byte(c.id))
	const streams = 4
	n := h.Sum64() % streams
	h.Reset()
	h.Write([]byte(c.api.id + c.stage.name + strconv.FormatUint(n, 10)))
	s := strconv.FormatUint(h.Sum64(), 16)
	return ("0000000000000000" + s)[len(s):] + ("ffffffffffffffff" + s)[len(s):]
}

// write puts every line whose time has come, in batches by stream.
func (p *Player) write(t time.Time) {
	type target struct {
		logs          *awssim.Logs
		group, stream string
	}
	batches := map[target][]awssim.LogEvent{}
	for until := t.UnixMilli(); len(p.due.lines) > 0 && p.due.lines[0].at <= until; {
		l := heap.Pop(&p.due).(timedLine)
		k := target{l.logs, l.group, l.stream}
		batches[k] = append(batches[k], awssim.LogEvent{Timestamp: l.at, Message: l.text})
	}
	for k, events := range batches {
		k.logs.Put(k.group, k.stream, events...)
	}
}

// timedLine is a line that is to be written when its time comes.
type timedLine struct {
	at            int64 // milliseconds
	logs          *awssim.Logs
	group, stream string
	text          string
}

// lineQueue gives lines by time; lines of one time in the order in which they
// were added.
type lineQueue struct {
	lines []timedLine
	seq   []uint64
	n     uint64
}

func (q *lineQueue) add(l timedLine) { heap.Push(q, l) }

// Len is the number of lines.
func (q *lineQueue) Len() int { return len(q.lines) }

// Less orders by time, then by when a line was added.
func (q *lineQueue) Less(i, j int) bool {
	if q.lines[i].at != q.lines[j].at {
		return q.lines[i].at < q.lines[j].at
	}
	return q.seq[i] < q.seq[j]
}

// Swap swaps two lines.
func (q *lineQueue) Swap(i, j int) {
	q.lines[i], q.lines[j] = q.lines[j], q.lines[i]
	q.seq[i], q.seq[j] = q.seq[j], q.seq[i]
}

// Push adds a line.
func (q *lineQueue) Push(x any) {
	q.lines = append(q.lines, x.(timedLine))
	q.seq = append(q.seq, q.n)
	q.n++
}

// Pop takes the last line.
func (q *lineQueue) Pop() any {
	i := len(q.lines) - 1
	l := q.lines[i]
	q.lines, q.seq = q.lines[:i], q.seq[:i]
	return l
}
