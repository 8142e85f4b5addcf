package access_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

func TestPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		root := w.person("root")
		var grants []string
		for _, who := range []string{"ann", "ben", "cleo"} {
			r := w.request(d, access.Ask{By: w.person(who), Items: []access.ItemRef{ref("one", "payments", "view")}})
			grants = append(grants, r.Grant)
		}
		pending := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "edit")}, Justification: "x"})
		if _, err := d.Panic(t.Context(), access.StopScope{Kind: "all"}, w.person("sam"), "x", "web"); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("who does not administer stops: %v", err)
		}
		if _, err := d.Panic(t.Context(), access.StopScope{Kind: "person"}, root, "x", "web"); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("nobody's scope: %v", err)
		}
		if n, err := d.Panic(t.Context(), access.StopScope{Kind: "person", Person: "Ann@example.com"}, root, "lost laptop", "web"); err != nil || n != 1 {
			t.Fatalf("stopping one person: %d, %v", n, err)
		}
		w.eventually(time.Minute, "hers has ended", func() bool { return w.grant(grants[0]).State == access.Ended })
		if g := w.grant(grants[0]); g.EndReason != access.Panic || w.grant(grants[1]).State == access.Ended {
			t.Errorf("it ended as %s", g.EndReason)
		}
		if _, err := d.Request(t.Context(), access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}}); !errors.Is(err, access.ErrStopped) || !strings.Contains(err.Error(), "lost laptop") {
			t.Errorf("asking under a stop: %v", err)
		}
		if _, err := d.Vote(t.Context(), pending.ID, access.Ballot{By: w.person("sam"), Approve: true}); !errors.Is(err, access.ErrStopped) {
			t.Errorf("agreeing under a stop: %v", err)
		}
		if n, err := d.Panic(t.Context(), access.StopScope{Kind: "all"}, root, "fire", "web"); err != nil || n != 2 {
			t.Fatalf("stopping all: %d, %v", n, err)
		}
		w.eventually(time.Minute, "all has ended", func() bool { return len(w.target.keys()) == 0 })
		stops, err := d.Stops(t.Context(), root)
		if err != nil || len(stops) != 2 {
			t.Fatalf("stops: %+v, %v", stops, err)
		}
		for _, s := range stops {
			if err := d.Lift(t.Context(), s.ID, root, "found", "web"); err != nil {
				t.Errorf("Lift: %v", err)
			}
		}
		w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}})
	})
}

// However a request and a panic meet, nothing is lent behind it.
func TestPanicRace(t *testing.T) {
	t.Parallel()
	w := fileWorld(t)
	d := w.desk()
	w.setup(d)
	for range 10 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := d.Request(t.Context(), access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}})
				if err != nil && !errors.Is(err, access.ErrStopped) && !errors.Is(err, access.ErrConflict) {
					t.Errorf("Request: %v", err)
				}
			})
		}
		wg.Go(func() {
			if _, err := d.Panic(t.Context(), access.StopScope{Kind: "integration", Integration: "one"}, w.person("root"), "x", "web"); err != nil {
				t.Errorf("Panic: %v", err)
			}
		})
		wg.Wait()
		live, err := w.l.Grants(t.Context(), access.GrantQuery{States: []access.GrantState{access.Provisioning, access.Active}})
		if err != nil || live.Total != 0 {
			t.Fatalf("after a panic %d grants are live, %v", live.Total, err)
		}
		stops, err := d.Stops(t.Context(), w.person("root"))
		if err != nil || len(stops) != 1 || !stops[0].Swept {
			t.Fatalf("stops: %+v, %v", stops, err)
		}
		if err := d.Lift(t.Context(), stops[0].ID, w.person("root"), "", "web"); err != nil {
			t.Fatal(err)
		}
	}
}
