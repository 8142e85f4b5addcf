package collect_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/collect"
)

func TestGroupInTroubleDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct {
		err   error
		state string
	}{
		"denied":  {errDenied, "denied"},
		"gone":    {errGone, "gone"},
		"failing": {errTransient, "failing"},
		"token":   {errToken, "failing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, d := newLogs(), newDisk()
				p := &process{disk: d, logs: l}
				const calls = 1200
				for i := range calls {
					l.call(groupName(i%2), i, time.Now().Add(time.Duration(i)*time.Second))
				}
				r := start(t, collect.Config{}, p.deps())
				time.Sleep(2 * time.Minute)
				l.setFail(groupName(0), trouble.err)
				time.Sleep(10 * time.Minute)
				g := r.group(t, groupName(0))
				if g.State != trouble.state || g.Error == "" || g.ErrorSince.IsZero() {
					t.Errorf("health says %+v", g)
				}
				if name == "denied" && g.Mend == "" {
					t.Error("health does not say how to mend it")
				}
				if other := r.group(t, groupName(1)); other.Lag > 30*time.Second || other.Error != "" {
					t.Errorf("the other group is %v behind: %+v", other.Lag, other)
				}
				reads := l.readsOf(groupName(0))
				time.Sleep(10 * time.Minute)
				if n := l.readsOf(groupName(0)) - reads; n < 1 || n > 16 {
					t.Errorf("a group in trouble was tried %d times in ten minutes", n)
				}
				l.setFail(groupName(0), nil)
				time.Sleep(20 * time.Minute)
				if g := r.group(t, groupName(0)); g.Error != "" || g.Lag > 30*time.Second {
					t.Errorf("after it was mended, health says %+v", g)
				}
				r.stop(t)
				wantCalls(t, d, "file", calls)
				if n := r.warnings(groupName(0)); n != 1 {
					t.Errorf("%d warnings of one trouble:\n%s", n, r.log)
				}
			})
		})
	}
}

func TestGroupDeletedWhileReadAndMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		l.call(groupName(0), 0, time.Now())
		// A call whose end is never written before the group is deleted.
		for _, line := range callLines(requestID(1))[:6] {
			l.put(groupName(0), "stream", line, time.Now(), time.Now())
		}
		l.create(groupName(1))
		r := start(t, collect.Config{}, p.deps())
		time.Sleep(35 * time.Second)
		l.drop(groupName(0))
		time.Sleep(10 * time.Minute)
		if g := r.group(t, groupName(0)); g.State != "gone" {
			t.Errorf("health says %+v", g)
		}
		wantCalls(t, d, "file", 2) // the second by idle
		l.call(groupName(0), 2, time.Now())
		time.Sleep(10 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 3)
		b := d.books()
		if b.Incomplete != 1 || !b.Balanced() {
			t.Errorf("books: %+v", b)
		}
	})
}

func TestRoleThatCannotBeAssumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		const calls = 300
		for i := range calls {
			l.call(groupName(i%3), i, time.Now().Add(time.Duration(i)*time.Second))
		}
		r := start(t, collect.Config{}, p.deps())
		time.Sleep(time.Minute)
		for g := range 3 {
			l.setFail(groupName(g), &account.ChainError{
				Link: account.LinkRole, ARN: "arn:aws:iam::111122223333:role/collector", Account: testAccount, Err: errDenied,
			})
		}
		time.Sleep(5 * time.Minute)
		problems := r.Health().Problems
		if len(problems) != 1 || problems[0].Account != testAccount || problems[0].Mend == "" {
			t.Errorf("one role failed, health says %+v", problems)
		}
		for g := range 3 {
			l.setFail(groupName(g), nil)
		}
		time.Sleep(20 * time.Minute)
		if problems := r.Health().Problems; len(problems) != 0 {
			t.Errorf("after it was mended, health says %+v", problems)
		}
		r.stop(t)
		wantCalls(t, d, "file", calls)
		if n := r.warnings("role/collector"); n != 1 {
			t.Errorf("%d warnings of one role:\n%s", n, r.log)
		}
	})
}

func TestAccountThatCannotBeListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		l.problems = []collect.Problem{{Account: "444455556666", What: "role arn:aws:iam::444455556666:role/r: AccessDenied", Mend: "trust the hub"}}
		l.call(groupName(0), 0, time.Now())
		r := start(t, collect.Config{}, p.deps())
		time.Sleep(2 * time.Minute)
		if problems := r.Health().Problems; len(problems) != 1 || problems[0].Mend != "trust the hub" || problems[0].Since.IsZero() {
			t.Errorf("health says %+v", problems)
		}
		l.mu.Lock()
		l.problems = nil
		l.mu.Unlock()
		time.Sleep(6 * time.Minute)
		if problems := r.Health().Problems; len(problems) != 0 {
			t.Errorf("after it was mended, health says %+v", problems)
		}
		r.stop(t)
		wantCalls(t, d, "file", 1)
		if n := r.warnings("444455556666"); n != 1 {
			t.Errorf("%d warnings of one problem", n)
		}
	})
}
