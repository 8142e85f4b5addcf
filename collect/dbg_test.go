package collect_test

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/collect"
)

func TestDbg(t *testing.T) {
	c := newCloud(t, overTCP(t))
	began := time.Now().Add(-time.Hour)
	const calls = 800
	for n := range calls {
		id := []string{ordersID, catalogID}[n%2]
		c.call(id, groupName(n%3), n, began.Add(time.Duration(n)*4*time.Second))
	}
	for _, f := range []awssim.Fault{
		{Kind: awssim.CutConnection, Operation: "FilterLogEvents", Every: 7, Times: 6},
	} {
		c.sim.Inject(f)
	}
	d := newDisk()
	deps := c.deps(t, d, collect.CloudWatchConfig{Prefix: collect.DefaultPrefix})
	deps.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	collector, _ := collect.New(collect.Config{Settle: time.Millisecond, CommitInterval: time.Millisecond, WindowPages: 1, OnceAttempts: 20}, deps)
	at := time.Now()
	go func() {
		for range 5 {
			time.Sleep(2 * time.Second)
			for _, g := range collector.Health().Groups {
				t.Logf("%s %s %v %s %s", g.Group.Account, g.Group.Name, g.Frontier.Sub(began), g.State, g.Error)
			}
		}
	}()
	err := collector.RunOnce(t.Context(), began.Add(-time.Minute))
	t.Log(err, time.Since(at))
	for _, x := range c.sim.Calls() {
		t.Logf("%+v", x)
	}
}
