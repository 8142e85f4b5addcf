package collect_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestGroupFoundLaterIsReadFromItsCreation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		l.create(groupName(0))
		r := start(t, collect.Config{DiscoveryInterval: time.Hour, StartFrom: time.Minute}, (&process{disk: d, logs: l}).deps())
		time.Sleep(5 * time.Minute)
		l.call(groupName(1), 0, time.Now())
		time.Sleep(2 * time.Hour)
		r.stop(t)
		wantCalls(t, d, "file", 1)

		// And one that came while nothing ran.
		l.call(groupName(2), 1, time.Now())
		time.Sleep(3 * time.Hour)
		r = start(t, collect.Config{DiscoveryInterval: time.Hour, StartFrom: time.Minute}, (&process{disk: d, logs: l}).deps())
		time.Sleep(5 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 2)
	})
}

func TestRediscover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		r := start(t, collect.Config{DiscoveryInterval: time.Hour}, (&process{disk: d, logs: l}).deps())
		time.Sleep(time.Minute)
		l.call(groupName(0), 0, time.Now())
		r.Rediscover()
		time.Sleep(time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 1)
	})
}

func TestFirstStartReadsBackByStartFrom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		l.call(groupName(0), 1, time.Now())
		time.Sleep(10 * time.Minute)
		l.call(groupName(0), 0, time.Now())
		time.Sleep(4 * time.Minute)
		r := start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 1)
	})
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		now := time.Now()
		l.call(groupName(0), 0, now)
		for i, line := range callLines(requestID(1)) {
			// The writer's clock is an hour ahead; the events are there now.
			l.put(groupName(0), "stream", line, now.Add(time.Hour+time.Duration(i)*time.Millisecond), now)
		}
		r := start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(50 * time.Minute)
		wantCalls(t, d, "file", 1)
		time.Sleep(15 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 2)
	})
}

func TestRequestIDsThatCollide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		at := time.Now()
		for n := range 3 {
			for i, line := range callLines(requestID(0)) {
				line = strings.ReplaceAll(line, "X"+requestID(0), "X"+string(rune('a'+n)))
				when := at.Add(time.Duration(n)*20*time.Second + time.Duration(i)*time.Millisecond)
				l.put(groupName(0), "stream", line, when, when)
			}
		}
		r := start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(15 * time.Minute)
		r.stop(t)
		ids := map[string]int{}
		for _, tx := range d.kept["file"] {
			ids[tx.ID]++
		}
		if len(ids) != 3 || len(d.kept["file"]) != 3 {
			t.Errorf("three calls with one request id came out as %d with %d ids", len(d.kept["file"]), len(ids))
		}
		if b := d.books(); !b.Balanced() || b.Read != 3*linesPerCall {
			t.Errorf("books: %+v", b)
		}
	})
}

func TestLateLineOfACallThatIsStillOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		lines := callLines(requestID(0))
		body := "(" + requestID(0) + ") Endpoint response body before transformations: {}"
		lines = append(lines[:6:6], append(strings.Split(strings.Repeat(body+"\n", 16), "\n")[:16], lines[6:]...)...)
		for i, line := range lines {
			at := time.Now().Add(time.Duration(i) * 25 * time.Second)
			visible := at
			if i == 3 {
				visible = at.Add(2 * time.Minute)
			}
			l.put(groupName(0), "stream", line, at, visible)
		}
		r := start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(40 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 1)
		if b := d.books(); b.Late != 1 || b.Calls != 1 || b.Incomplete != 0 || !b.Balanced() {
			t.Errorf("books: %+v", b)
		}
	})
}

func TestWhatIsNotKeptIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		for i := range 10 {
			l.call(groupName(0), i, time.Now())
		}
		deps := (&process{disk: d, logs: l}).deps()
		deps.Enricher = enricher{}
		deps.Filter = filter(t, collect.FilterConfig{Paths: []string{"!/pets/{cat}"}})
		r := start(t, collect.Config{}, deps)
		time.Sleep(10 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 4)
		b := d.books()
		if b.Filtered != 6*linesPerCall || b.Calls != 4 || !b.Balanced() || b.Late != 0 {
			t.Errorf("books: %+v", b)
		}
	})
}

// enricher gives the calls from 4 on another route.
type enricher struct{}

func (enricher) Enrich(t *transaction.Transaction) {
	t.Route = "/pets/{id}"
	if t.RequestID >= requestID(4) {
		t.Route = "/pets/{cat}"
	}
}

func filter(t *testing.T, cfg collect.FilterConfig) *collect.Filter {
	t.Helper()
	f, err := collect.NewFilter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
