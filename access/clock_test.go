package access_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

func TestClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		off := time.Duration(0)
		var alarms []time.Duration
		c := access.NewClock(func() time.Time { return time.Now().Add(off) }, nil, func(d time.Duration) { alarms = append(alarms, d) })
		start := c.Now()
		want := func(what string, elapsed time.Duration, alarmed int) {
			t.Helper()
			if got := c.Now().Sub(start); got != elapsed {
				t.Errorf("%s: %s have passed; want %s", what, got, elapsed)
			}
			if len(alarms) != alarmed {
				t.Errorf("%s: alarms %v; want %d", what, alarms, alarmed)
			}
		}
		time.Sleep(time.Minute)
		want("as it should be", time.Minute, 0)
		off = -time.Hour
		want("an hour back", time.Minute, 1)
		time.Sleep(time.Minute)
		want("a minute later", 2*time.Minute, 2)
		if c.Off() != -time.Hour {
			t.Errorf("it is off by %s", c.Off())
		}
		off = 0
		time.Sleep(time.Second)
		want("right again", 2*time.Minute+time.Second, 4) // how far it is off is told again, and that it is over
		if alarms[len(alarms)-1] != 0 || c.Off() != 0 {
			t.Errorf("the alarm is not over: %v", alarms)
		}
		n := len(alarms)
		off = time.Second
		want("slewed ahead", 2*time.Minute+2*time.Second, n)
		off = 0
		want("slewed back", 2*time.Minute+2*time.Second, n)
		off = 10 * time.Minute
		want("ten minutes ahead", 12*time.Minute+time.Second, n+1)
		// Another server, or this one before it was started anew, was ahead.
		c.Raise(start.Add(20 * time.Minute))
		want("raised, which leaves the wall clock behind", 20*time.Minute, n+2)
		c.Raise(start)
		time.Sleep(time.Second)
		if got := c.Now().Sub(start); got != 20*time.Minute+time.Second {
			t.Errorf("after it was raised %s have passed", got)
		}
	})
}
