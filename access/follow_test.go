package access_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// A process that only shows lending is told what another one did.
func TestFollowTellsWhatOthersDid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	works := w.desk(func(*access.Options) {})
	shows := w.desk(func(o *access.Options) { o.Limits.Poll = time.Millisecond })
	w.setup(works)
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		if err := shows.Follow(ctx); err != nil {
			t.Error(err)
		}
	})
	events := shows.Subscribe(ctx, w.person("ann"))
	// It has to have looked once to know that anything is new.
	for end := time.After(time.Minute); ; {
		if _, err := works.Request(t.Context(), access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}}); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-events:
			if e.Kind != "any" || e.ID != "" {
				t.Errorf("it is told of %+v", e)
			}
			stop()
			following.Wait()
			return
		case <-end:
			t.Fatal("nothing is told")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
