package collect_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// A pass each minute, as a Lambda function makes them, finds what a collector
// that always runs finds: every call once, also those that become visible late or
// that are open while a pass ends, and no event more than twice.
func TestPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		const calls = 240
		start := time.Now()
		for n := range calls {
			late := time.Duration(0)
			switch n % 4 {
			case 1:
				late = 30 * time.Second
			case 2:
				late = 4 * time.Minute
			}
			// Some end a minute after they began, over the end of a pass.
			step := time.Millisecond
			if n%7 == 0 {
				step, late = 7*time.Second, 0
			}
			at := start.Add(time.Duration(n) * 2 * time.Second)
			for i, line := range callLines(requestID(n)) {
				e := at.Add(time.Duration(i) * step)
				l.put(groupName(n%2), "stream", line, e, e.Add(late))
			}
		}
		distinct := l.distinct()
		for time.Since(start) < 20*time.Minute {
			time.Sleep(time.Minute)
			_, c := newProcess(l, d, collect.Config{StartFrom: time.Hour})
			caughtUp, err := c.RunPass(t.Context())
			if err != nil || !caughtUp {
				t.Fatalf("RunPass: %v, %v", caughtUp, err)
			}
		}
		for _, sink := range []string{"file", "kafka"} {
			for n := range calls {
				if got := d.delivered(sink)[requestID(n)]; got != 1 {
					t.Errorf("call %d was delivered %d times to %s", n, got, sink)
				}
			}
		}
		b := d.books()
		if !b.Balanced() || int(b.Read) != distinct || b.Incomplete != 0 {
			t.Errorf("books of %d events: %+v", distinct, b)
		}
		// Beside the two readings, the events of calls that are open at the end of a
		// pass are read again by the next.
		if got := float64(l.onWire) / float64(distinct); got > 3 {
			t.Errorf("each event was read %.1f times", got)
		}
	})
}

// A pass whose time is over delivers what it has, says that there is more, and the
// next one goes on.
func TestPassInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		l.pageSize, l.delay = 20, time.Second
		start := time.Now()
		const calls = 200
		for n := range calls {
			l.call(groupName(0), n, start.Add(time.Duration(n)*time.Second))
		}
		time.Sleep(10 * time.Minute)
		passes := 0
		for caughtUp := false; !caughtUp; passes++ {
			if passes > 50 {
				t.Fatal("the passes do not get on")
			}
			_, c := newProcess(l, d, collect.Config{StartFrom: time.Hour})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			var err error
			if caughtUp, err = c.RunPass(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
		if passes < 3 {
			t.Errorf("%d passes: the test shows nothing", passes)
		}
		for n := range calls {
			if got := d.delivered("file")[requestID(n)]; got != 1 {
				t.Errorf("call %d was delivered %d times", n, got)
			}
		}
	})
}

// fixed is a Source of given groups that tells its name with every page.
type fixed struct {
	name   string
	groups []transaction.Group
}

func (f *fixed) Groups(context.Context) ([]transaction.Group, []collect.Problem) {
	return f.groups, []collect.Problem{{What: f.name}}
}

func (f *fixed) Read(context.Context, transaction.Group, int64, int64, string) (collect.Page, error) {
	return collect.Page{Events: []transaction.Event{{Message: f.name}}}, nil
}

func (f *fixed) Counts(_ context.Context, groups []transaction.Group, _, _ int64) ([][]collect.MinuteCount, error) {
	out := make([][]collect.MinuteCount, len(groups))
	for i := range out {
		out[i] = []collect.MinuteCount{{Events: int64(len(f.name))}}
	}
	return out, nil
}

// A group that is pushed is not polled, even if it is found by polling first.
func TestJoin(t *testing.T) {
	t.Parallel()
	group := func(n int) transaction.Group {
		return transaction.Group{Account: testAccount, Region: testRegion, Name: fmt.Sprint("group", n)}
	}
	pushed := &fixed{name: "pushed"}
	polled := &fixed{name: "polled by request", groups: []transaction.Group{group(1), group(2)}}
	known := group(1)
	known.AccessFormat = "$context.requestId"
	j := collect.Join(pushed, polled, func() []transaction.Group { return []transaction.Group{known} })
	source := func(g transaction.Group) string {
		page, err := j.Read(t.Context(), g, 0, 1, "")
		if err != nil {
			t.Fatal(err)
		}
		return page.Events[0].Message
	}
	if found, _ := j.Find(t.Context()); len(found) != 2 || source(group(1)) != polled.name {
		t.Errorf("before the push: %v", found)
	}
	pushed.groups = []transaction.Group{group(1)}
	found, problems := j.Find(t.Context())
	if len(found) != 2 || found[0].Group != known || found[1].Group != group(2) || len(problems) != 2 {
		t.Errorf("after it: %+v, %v", found, problems)
	}
	if source(group(1)) != pushed.name || source(group(2)) != polled.name {
		t.Errorf("group 1 is %s, group 2 is %s", source(group(1)), source(group(2)))
	}
	pushed.groups = nil
	if _, _ = j.Find(t.Context()); source(group(1)) != pushed.name {
		t.Error("a group that was pushed once is polled again")
	}
	counts, err := j.Counts(t.Context(), []transaction.Group{group(2), group(1)}, 0, 1)
	if err != nil || counts[0][0].Events != int64(len(polled.name)) || counts[1][0].Events != int64(len(pushed.name)) {
		t.Errorf("counts: %v, %v", counts, err)
	}
}
