package collect_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/collect"
)

// TestEveryFault runs through every fault that AWS can have, each for some
// minutes in the middle of an hour of traffic: nothing is lost, a call that comes
// twice has the same id, the books balance, and health says in words what is
// wrong, and nothing once it is over.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults []awssim.Fault
		begin  func(*cloud)
		end    func(*cloud)
		says   string // health, while it lasts
		mend   string
		noisy  bool // health may say one thing or another, or nothing
		// passing trouble is said when it comes, and a look at one moment may miss it:
		// which of three groups the next call is of is anybody's guess.
		passing bool
	}{
		"throttled":           {faults: []awssim.Fault{{Kind: awssim.Throttle, Operation: "FilterLogEvents", Every: 2}}},
		"throttled for good":  {faults: []awssim.Fault{{Kind: awssim.Throttle, Operation: "FilterLogEvents"}}, says: "Rate exceeded"},
		"empty pages":         {faults: []awssim.Fault{{Kind: awssim.EmptyPage}}},
		"pages twice":         {faults: []awssim.Fault{{Kind: awssim.PageTwice}}},
		"events twice":        {faults: []awssim.Fault{{Kind: awssim.Double}}},
		"late":                {faults: []awssim.Fault{{Kind: awssim.Late, Delay: 3 * time.Minute}}},
		"later than overlap":  {faults: []awssim.Fault{{Kind: awssim.Late, Delay: 20 * time.Minute, Every: 7}}},
		"cut in mid-body":     {faults: []awssim.Fault{{Kind: awssim.CutConnection, Operation: "FilterLogEvents", Every: 2}}},
		"always cut":          {faults: []awssim.Fault{{Kind: awssim.CutConnection, Operation: "FilterLogEvents", Chunked: true}}, says: "cut"},
		"status 500":          {faults: []awssim.Fault{{Kind: awssim.Status500, Operation: "FilterLogEvents"}}, says: "internal error"},
		"tokens are invalid":  {faults: []awssim.Fault{{Kind: awssim.EmptyPage}, {Kind: awssim.TokenInvalid, Every: 2}}, says: "nextToken"},
		"slow":                {faults: []awssim.Fault{{Kind: awssim.Slow, Operation: "FilterLogEvents", Delay: 7 * time.Second}}},
		"denied":              {faults: []awssim.Fault{{Kind: awssim.Denied, Operation: "FilterLogEvents"}}, says: "not authorized", mend: "logs:FilterLogEvents"},
		"no count":            {faults: []awssim.Fault{{Kind: awssim.Denied, Operation: "GetMetricData"}}, says: "not authorized", mend: "cloudwatch:GetMetricData"},
		"count is throttled":  {faults: []awssim.Fault{{Kind: awssim.Throttle, Operation: "GetMetricData"}}, says: "Rate exceeded"},
		"count fails":         {faults: []awssim.Fault{{Kind: awssim.Status500, Operation: "GetMetricData"}}, says: "internal error"},
		"sessions end":        {faults: []awssim.Fault{{Kind: awssim.ExpireCredentials, Operation: "FilterLogEvents", Every: 3}}, says: "expired", passing: true},
		"session ends midway": {faults: []awssim.Fault{{Kind: awssim.EmptyPage}, {Kind: awssim.ExpireCredentials, Operation: "FilterLogEvents", After: 1, Every: 4}}, says: "expired", passing: true},
		"listing is denied":   {faults: []awssim.Fault{{Kind: awssim.Denied, Operation: "DescribeLogGroups"}}, says: "not authorized", mend: "logs:DescribeLogGroups"},
		"role removed": {
			begin: func(c *cloud) {
				c.sim.Account(ordersID).RemoveRole("Collector")
				c.sim.ExpireSessions(ordersID, "Collector")
			},
			end:  func(c *cloud) { c.addRole(ordersID) },
			says: "Collector", mend: "role",
		},
		"everything at once": {faults: []awssim.Fault{
			{Kind: awssim.Throttle, Every: 5},
			{Kind: awssim.EmptyPage, Every: 2},
			{Kind: awssim.PageTwice, Every: 3},
			{Kind: awssim.Double, Every: 2},
			{Kind: awssim.Late, Delay: 15 * time.Minute, Every: 11},
			{Kind: awssim.CutConnection, Every: 7},
			{Kind: awssim.Status500, Every: 6},
			{Kind: awssim.ExpireCredentials, Every: 23},
			{Kind: awssim.TokenInvalid, Every: 9},
		}, noisy: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCloud(t, inBubble)
				for g := range 3 {
					c.logs(ordersID).CreateGroup(groupName(g))
				}
				d := newDisk()
				cfg := collect.Config{WindowPages: 1}
				r := start(t, cfg, c.deps(t, d, collect.CloudWatchConfig{Prefix: collect.DefaultPrefix}))
				n, told := 0, false
				play := func(d time.Duration) {
					for range int(d / (4 * time.Second)) {
						c.call(ordersID, groupName(n%3), n, time.Now())
						n++
						time.Sleep(4 * time.Second)
						if test.passing && !told {
							told = saysNow(r.Health(), test.says)
						}
					}
				}
				play(15 * time.Minute)
				if test.begin != nil {
					test.begin(c)
				}
				for _, f := range test.faults {
					c.sim.Inject(f)
				}
				play(12 * time.Minute)
				switch {
				case test.noisy:
				case !test.passing:
					wantSaid(t, r.Health(), test.says, test.mend)
				case !told:
					t.Errorf("health never said %q", test.says)
				}
				for _, f := range c.sim.Faults() {
					if f.Acted == 0 {
						t.Errorf("the fault %s never came", f.Fault.Kind)
					}
				}
				if test.end != nil {
					test.end(c)
				}
				c.sim.ClearFaults()
				play(10 * time.Minute)
				time.Sleep(80 * time.Minute)
				wantSaid(t, r.Health(), "", "")
				h := r.Health()
				if h.OpenCalls != 0 || !h.Totals.Balanced() || h.Check.State != collect.CheckComplete {
					t.Errorf("after it was mended: %+v", h)
				}
				r.stop(t)
				wantCalls(t, d, "file", n)
				wantSameIDs(t, d, "kafka", n)
				if b := d.books(); b.Read != int64(n*linesPerCall) || !b.Balanced() {
					t.Errorf("books: %+v", b)
				}
			})
		})
	}
}

// saysNow reports whether a group is said to be in that trouble.
func saysNow(h collect.Health, what string) bool {
	return slices.ContainsFunc(h.Groups, func(g collect.GroupHealth) bool { return strings.Contains(g.Error, what) })
}

// wantSaid looks for words in what health says is wrong; with none, for silence.
func wantSaid(t *testing.T, h collect.Health, says, mend string) {
	t.Helper()
	var said, mends []string
	for _, p := range h.Problems {
		said, mends = append(said, p.What), append(mends, p.Mend)
	}
	for _, g := range h.Groups {
		said, mends = append(said, g.Error, g.Check.Error), append(mends, g.Mend, g.Check.Mend)
	}
	said = slices.DeleteFunc(said, func(s string) bool { return s == "" })
	switch {
	case says == "" && mend == "" && len(said) > 0 && h.Check.State != collect.CheckRereading:
		t.Errorf("health says %q", said)
	case !strings.Contains(strings.Join(said, "\n"), says) || !strings.Contains(strings.Join(mends, "\n"), mend):
		t.Errorf("health says %q and to mend it %q, want %q and %q", said, mends, says, mend)
	}
}

// wantSameIDs checks that every call is in a sink, and under one id however often
// it is there.
func wantSameIDs(t *testing.T, d *disk, sink string, n int) {
	t.Helper()
	ids := map[string]string{}
	for _, tx := range d.kept[sink] {
		if id, ok := ids[tx.RequestID]; ok && id != tx.ID {
			t.Errorf("call %s has the ids %s and %s", tx.RequestID, id, tx.ID)
		}
		ids[tx.RequestID] = tx.ID
	}
	if len(ids) != n {
		t.Errorf("%d calls are in sink %s, want %d", len(ids), sink, n)
	}
}

func TestGroupDeletedUnderTheCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, inBubble)
		d := newDisk()
		n := 0
		play := func(minutes int) {
			for range minutes * 12 {
				c.call(ordersID, groupName(n%2), n, time.Now())
				n++
				time.Sleep(5 * time.Second)
			}
		}
		c.logs(ordersID).CreateGroup(groupName(0))
		c.logs(ordersID).CreateGroup(groupName(1))
		r := start(t, collect.Config{}, c.deps(t, d, collect.CloudWatchConfig{Prefix: collect.DefaultPrefix}))
		play(20)
		time.Sleep(30 * time.Second) // what is there is read before it is deleted
		c.logs(ordersID).DeleteGroup(groupName(1))
		time.Sleep(10 * time.Minute)
		if g := r.group(t, groupName(1)); g.State != "gone" || g.Error == "" {
			t.Errorf("health says %+v", g)
		}
		play(20) // its next event makes it again
		time.Sleep(80 * time.Minute)
		if h := r.Health(); h.Check.State != collect.CheckComplete || len(h.Problems) != 0 {
			t.Errorf("health says %+v", h)
		}
		r.stop(t)
		wantCalls(t, d, "file", n)
	})
}

// Two collectors on one State, as when a lease was lost while its holder could
// not run: both deliver, every call has one id in both, and whoever goes on
// alone loses nothing.
func TestTwoCollectorsOnOneState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		traffic(l, 0, 3600)
		a := start(t, collect.Config{}, (&process{disk: d, logs: l}).counted())
		time.Sleep(20 * time.Minute)
		other := &process{disk: d, logs: l}
		deps := other.counted()
		deps.Sinks = []collect.Sink{&sink{p: other, name: "kafka"}}
		b := start(t, collect.Config{}, deps)
		time.Sleep(20 * time.Minute)
		a.stop(t)
		time.Sleep(30 * time.Minute)
		if h := b.Health(); !h.Totals.Balanced() || h.Check.State != collect.CheckComplete {
			t.Errorf("the one that goes on: %+v", h)
		}
		b.stop(t)
		wantSameIDs(t, d, "kafka", 3600)
	})
}

func TestRestrictionReadsNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, inBubble)
		for g := range 3 {
			c.call(ordersID, groupName(g), g, time.Now())
		}
		for _, test := range []struct {
			types, apis []string
			groups      int
		}{
			{nil, nil, 3},
			{[]string{"rest"}, nil, 3},
			{[]string{"HTTP", "websocket"}, nil, 0},
			{nil, []string{"a1b2c3d001", "a1b2c3d002/prod"}, 2},
			{nil, []string{"a1b2c3d001/test"}, 0},
			{[]string{"HTTP"}, []string{"a1b2c3d001"}, 0},
		} {
			restriction, err := collect.NewRestriction(test.types, test.apis)
			if err != nil {
				t.Fatal(err)
			}
			c.sim.ResetCalls()
			d := newDisk()
			r := start(t, collect.Config{}, c.deps(t, d, collect.CloudWatchConfig{Prefix: collect.DefaultPrefix, Restriction: restriction}))
			time.Sleep(time.Minute)
			if n := len(r.Health().Groups); n != test.groups {
				t.Errorf("%v %v: %d groups are read, want %d", test.types, test.apis, n, test.groups)
			}
			r.stop(t)
			if n := c.sim.CallsOf("logs", "FilterLogEvents"); test.groups == 0 && n != 0 {
				t.Errorf("%v %v: %d calls of FilterLogEvents", test.types, test.apis, n)
			}
		}
		for _, bad := range [][2][]string{{{"SOAP"}, nil}, {nil, {"a/b/c"}}, {nil, {"/prod"}}} {
			if _, err := collect.NewRestriction(bad[0], bad[1]); err == nil {
				t.Errorf("%v is taken", bad)
			}
		}
	})
}
