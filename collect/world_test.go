package collect_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/smithy-go"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	testAccount = "111122223333"
	testRegion  = "eu-west-1"
)

// logs is a CloudWatch in memory. An event is visible from its own time on or
// later; reading is as FilterLogEvents does it.
type logs struct {
	mu       sync.Mutex
	groups   map[string]*logGroup
	order    []string
	pageSize int
	nextID   uint64
	random   *rand.Rand // nil: no faults
	faults   faults

	reads    map[string]int // by group name
	onWire   int
	problems []collect.Problem
	fail     map[string]error // by group name: every read of it
	delay    time.Duration    // of each read
	skew     time.Duration    // of the clock by which events are counted
	uncount  error            // every count fails
	asked    int              // counts
	reading  func(name string)
}

// faults are probabilities for each page.
type faults struct {
	failed, emptyPage, pageTwice, doubled, badToken, shuffled float64
}

type logGroup struct {
	info    transaction.Group
	created time.Time
	events  []logEvent // by timestamp, then id
}

type logEvent struct {
	transaction.Event
	visible time.Time
}

func newLogs() *logs {
	return &logs{groups: map[string]*logGroup{}, reads: map[string]int{}, fail: map[string]error{}, pageSize: 1000}
}

func (l *logs) create(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.groups[name] == nil {
		l.groups[name] = &logGroup{
			info:    transaction.Group{Account: testAccount, Region: testRegion, Name: name},
			created: time.Now(),
		}
		l.order = append(l.order, name)
	}
}

func (l *logs) drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.groups, name)
	l.order = slices.DeleteFunc(l.order, func(n string) bool { return n == name })
}

// put adds one event that readers see from visible on.
func (l *logs) put(name, stream, message string, at, visible time.Time) {
	l.take(name, stream, message, at, at, visible)
}

// take adds one event that CloudWatch took in at a time of its own.
func (l *logs) take(name, stream, message string, at, ingested, visible time.Time) {
	l.create(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextID++
	g := l.groups[name]
	e := logEvent{visible: visible, Event: transaction.Event{
		ID: fmt.Sprintf("%020d%036d", at.UnixMilli(), l.nextID), Stream: stream, Timestamp: at.UnixMilli(), Message: message,
		Ingested: ingested.UnixMilli(),
	}}
	i, _ := slices.BinarySearchFunc(g.events, e, compareLogEvents)
	g.events = slices.Insert(g.events, i, e)
}

func compareLogEvents(a, b logEvent) int {
	return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(a.ID, b.ID))
}

func (l *logs) distinct() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, g := range l.groups {
		n += len(g.events)
	}
	return n
}

func (l *logs) setFail(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		delete(l.fail, name)
	} else {
		l.fail[name] = err
	}
}

func (l *logs) readsOf(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads[name]
}

func (l *logs) Groups(context.Context) ([]transaction.Group, []collect.Problem) {
	panic("Find is asked")
}

func (l *logs) Find(context.Context) ([]collect.Found, []collect.Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []collect.Found
	for _, name := range l.order {
		g := l.groups[name]
		found = append(found, collect.Found{Group: g.info, Created: g.created})
	}
	return found, slices.Clone(l.problems)
}

var (
	errTransient = errors.New("connection reset by peer")
	errToken     = apiError{code: "InvalidParameterException", message: "The specified nextToken is invalid."}
	errGone      = apiError{code: "ResourceNotFoundException", message: "The specified log group does not exist."}
	errDenied    = apiError{code: "AccessDeniedException", message: "not authorized to perform: logs:FilterLogEvents"}
)

func (l *logs) Read(ctx context.Context, group transaction.Group, from, to int64, next string) (collect.Page, error) {
	if l.reading != nil {
		l.reading(group.Name)
	}
	if l.delay > 0 {
		select {
		case <-time.After(l.delay):
		case <-ctx.Done():
			return collect.Page{}, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads[group.Name]++
	if err := l.fail[group.Name]; err != nil {
		return collect.Page{}, err
	}
	hit := func(p float64) bool { return l.random != nil && l.random.Float64() < p }
	switch {
	case hit(l.faults.failed):
		return collect.Page{}, errTransient
	case next != "" && hit(l.faults.badToken):
		return collect.Page{}, errToken
	}
	g := l.groups[group.Name]
	if g == nil {
		return collect.Page{}, errGone
	}
	// A token is "kind|time|id": after which event to go on, and which trick was
	// already played there, so that a reader always gets on.
	var after logEvent
	played := ""
	after.Timestamp = from - 1
	after.ID = "~"
	if next != "" {
		parts := strings.Split(next, "|")
		played = parts[0]
		after.Timestamp, _ = strconv.ParseInt(parts[1], 10, 64)
		after.ID = parts[2]
	}
	token := func(kind string, e logEvent) string { return fmt.Sprintf("%s|%d|%s", kind, e.Timestamp, e.ID) }
	if played != "e" && hit(l.faults.emptyPage) {
		return collect.Page{Next: token("e", after)}, nil
	}
	now := time.Now()
	var page collect.Page
	var last logEvent
	more := false
	start, _ := slices.BinarySearchFunc(g.events, after, compareLogEvents)
	for i := start; i < len(g.events); i++ {
		e := g.events[i]
		if e.Timestamp > to {
			break
		}
		if compareLogEvents(e, after) <= 0 || e.visible.After(now) {
			continue
		}
		if len(page.Events) == l.pageSize {
			more = true
			break
		}
		page.Events = append(page.Events, e.Event)
		page.Bytes += int64(len(e.Message))
		last = e
	}
	switch {
	case played != "t" && hit(l.faults.pageTwice):
		page.Next = token("t", after)
	case more:
		page.Next = token("", last)
	}
	if len(page.Events) > 0 && hit(l.faults.doubled) {
		page.Events = append(page.Events, page.Events[l.random.IntN(len(page.Events))])
	}
	if hit(l.faults.shuffled) {
		l.random.Shuffle(len(page.Events), func(i, j int) { page.Events[i], page.Events[j] = page.Events[j], page.Events[i] })
	}
	l.onWire += len(page.Events)
	return page, nil
}

// counts is CloudWatch's metric: events by the minute in which they were taken
// in, visible or not.
func (l *logs) counts(groups []transaction.Group, from, to int64) ([][]collect.MinuteCount, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.uncount != nil {
		return nil, l.uncount
	}
	now := time.Now().UnixMilli()
	all := make([][]collect.MinuteCount, len(groups))
	for i := range groups {
		g := l.groups[groups[i].Name]
		if g == nil {
			continue
		}
		n := map[int64]int64{}
		for _, e := range g.events {
			at := e.Ingested + l.skew.Milliseconds()
			if at >= from && at < to && e.Ingested <= now {
				n[at/60_000*60_000]++
			}
		}
		for m, events := range n {
			all[i] = append(all[i], collect.MinuteCount{Minute: m, Events: events})
		}
	}
	return all, nil
}

// counting is a source that can count.
type counting struct{ source }

func (s counting) Counts(_ context.Context, groups []transaction.Group, from, to int64) ([][]collect.MinuteCount, error) {
	if s.p.dead.Load() {
		return nil, errDead
	}
	return s.p.logs.counts(groups, from, to)
}

// apiError is an error as AWS codes it.
type apiError struct{ code, message string }

func (e apiError) Error() string                 { return e.code + ": " + e.message }
func (e apiError) ErrorCode() string             { return e.code }
func (e apiError) ErrorMessage() string          { return e.message }
func (e apiError) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

// callLines are the lines of a call in an execution log without data trace.
func callLines(requestID string) []string {
	lines := []string{
		"Extended Request Id: X" + requestID + "=",
		"Verifying Usage Plan for request: " + requestID + ". API Key:  API Stage: a1b2c3d4e5/prod",
		"API Key  authorized because method 'GET /pets/{id}' does not require API Key. Request will not contribute to throttle or quota limits",
		"Usage Plan check succeeded for API Key  and API Stage a1b2c3d4e5/prod",
		"Starting execution for request: " + requestID,
		"HTTP Method: GET, Resource Path: /pets/7",
		"Successfully completed execution",
		"Method completed with status: 200",
	}
	for i, l := range lines {
		lines[i] = "(" + requestID + ") " + l
	}
	return lines
}

// requestID is a UUID with n in it.
func requestID(n int) string { return fmt.Sprintf("%08x-1111-4222-8333-444455556666", n) }

// call puts a whole call whose events are visible at once.
func (l *logs) call(name string, n int, at time.Time) { l.lateCall(name, n, at, 0) }

// lateCall puts a whole call that becomes visible later than it says.
func (l *logs) lateCall(name string, n int, at time.Time, late time.Duration) {
	for i, line := range callLines(requestID(n)) {
		t := at.Add(time.Duration(i) * time.Millisecond)
		l.put(name, "stream", line, t, t.Add(late))
	}
}

const linesPerCall = 8

func groupName(n int) string {
	return fmt.Sprintf("API-Gateway-Execution-Logs_a1b2c3d%03d/prod", n)
}

// disk is what survives a crash: the state and what the sinks have.
type disk struct {
	mu      sync.Mutex
	groups  map[string]collect.GroupCheckpoint
	sinks   map[string]string
	changes int // observed transactions, as the state knows them
	commits int
	kept    map[string][]*transaction.Transaction // by sink
	fail    map[string]error                      // by sink name, or "state"
	random  *rand.Rand                            // nil: no random failures
	flaky   float64
	largest map[string]int // batch by sink
}

func newDisk() *disk {
	return &disk{
		groups: map[string]collect.GroupCheckpoint{}, sinks: map[string]string{},
		kept: map[string][]*transaction.Transaction{}, fail: map[string]error{}, largest: map[string]int{},
	}
}

func (d *disk) setFail(what string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail[what] = err
}

// failure is called with the lock held.
func (d *disk) failure(what string) error {
	if err := d.fail[what]; err != nil {
		return err
	}
	if d.random != nil && d.random.Float64() < d.flaky {
		return errors.New("no space left on device")
	}
	return nil
}

// delivered counts the transactions of a sink by request id.
func (d *disk) delivered(sink string) map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := map[string]int{}
	for _, t := range d.kept[sink] {
		n[t.RequestID]++
	}
	return n
}

// checkpoints are the groups as they were saved last.
func (d *disk) checkpoints() []collect.GroupCheckpoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.groups))
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

// process is one life of a collector: once it is killed, nothing that it does
// has any effect.
type process struct {
	dead atomic.Bool
	disk *disk
	logs *logs
}

var errDead = errors.New("the process is dead")

type source struct{ p *process }

func (s source) Groups(ctx context.Context) ([]transaction.Group, []collect.Problem) {
	return s.p.logs.Groups(ctx)
}

func (s source) Find(ctx context.Context) ([]collect.Found, []collect.Problem) {
	return s.p.logs.Find(ctx)
}

func (s source) Read(ctx context.Context, g transaction.Group, from, to int64, next string) (collect.Page, error) {
	if s.p.dead.Load() {
		return collect.Page{}, errDead
	}
	return s.p.logs.Read(ctx, g, from, to, next)
}

type state struct{ p *process }

func (s state) LoadCheckpoint(context.Context) (*collect.Checkpoint, error) {
	d := s.p.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &collect.Checkpoint{Sinks: maps.Clone(d.sinks)}
	for _, key := range slices.Sorted(maps.Keys(d.groups)) {
		c.Groups = append(c.Groups, d.groups[key])
	}
	return c, nil
}

func (s state) Commit(_ context.Context, c *collect.Checkpoint) error {
	if s.p.dead.Load() {
		return errDead
	}
	d := s.p.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.failure("state"); err != nil {
		return err
	}
	for _, g := range c.Groups {
		key := g.Group.Key()
		var seen []collect.Seen
		for _, old := range append(slices.Clone(d.groups[key].Seen), g.Seen...) {
			if old.Newest >= g.SeenFrom {
				seen = append(seen, old)
			}
		}
		g.Seen = seen
		var aged []collect.AgedMinute
		for _, old := range append(slices.Clone(d.groups[key].Aged), g.Aged...) {
			if old.Minute >= g.AgedFrom {
				aged = append(aged, old)
			}
		}
		g.Aged = aged
		d.groups[key] = g
	}
	maps.Copy(d.sinks, c.Sinks)
	for _, n := range c.Changes {
		d.changes += n.(int)
	}
	d.commits++
	return nil
}

// sink keeps transactions on the disk. With positions it is as the file sink:
// what stands behind the last acknowledged offset is cut off.
type sink struct {
	p         *process
	name      string
	positions bool
	offset    int
	block     <-chan struct{}
}

func (s *sink) Name() string { return s.name }

func (s *sink) Deliver(ctx context.Context, batch []*transaction.Transaction) error {
	if s.block != nil {
		select {
		case <-s.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.p.dead.Load() {
		return errDead
	}
	d := s.p.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	d.largest[s.name] = max(d.largest[s.name], len(batch))
	if s.positions {
		d.kept[s.name] = d.kept[s.name][:s.offset]
	}
	if err := d.failure(s.name); err != nil {
		d.kept[s.name] = append(d.kept[s.name], batch[:len(batch)/2]...)
		return err
	}
	d.kept[s.name] = append(d.kept[s.name], batch...)
	s.offset = len(d.kept[s.name])
	return nil
}

func (s *sink) Position() string {
	if !s.positions {
		return ""
	}
	return strconv.Itoa(s.offset)
}

func (s *sink) Restore(_ context.Context, position string) error {
	if !s.positions {
		return nil
	}
	d := s.p.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	s.offset, _ = strconv.Atoi(position)
	if s.offset > len(d.kept[s.name]) {
		return fmt.Errorf("%s ends before its position %d", s.name, s.offset)
	}
	d.kept[s.name] = d.kept[s.name][:s.offset]
	return nil
}

func (s *sink) Close(context.Context) error { return nil }

// counter is an Observer that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Observe(batch []*transaction.Transaction) { c.n.Add(int64(len(batch))) }
func (c *counter) Changes() any                             { return int(c.n.Swap(0)) }

// newProcess starts a life on a disk.
func newProcess(l *logs, d *disk, cfg collect.Config) (*process, *collect.Collector) {
	p := &process{disk: d, logs: l}
	c, err := collect.New(cfg, p.deps())
	if err != nil {
		panic(err)
	}
	return p, c
}

// counted are deps with a source that can count.
func (p *process) counted() collect.Deps {
	deps := p.deps()
	deps.Source = counting{source{p}}
	return deps
}

func (p *process) deps() collect.Deps {
	return collect.Deps{
		Source:    source{p},
		State:     state{p},
		Sinks:     []collect.Sink{&sink{p: p, name: "file", positions: true}, &sink{p: p, name: "kafka"}},
		Observers: []collect.Observer{&counter{}},
	}
}
