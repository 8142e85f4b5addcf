package invoke

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/accesstest"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// desk is a Lender that remembers what is held, as the engine's ledger does, and keeps
// all credentials that were ever vended, as somebody who means no good would.
type desk struct {
	*Lender
	mu   sync.Mutex
	held map[string][]access.Holding // by object
	bag  map[string][]access.Credentials
}

func (d *desk) Apply(ctx context.Context, i *access.Integration, w access.Wanted) (access.Applied, error) {
	d.mu.Lock()
	if len(w.Holdings) == 0 {
		// The ledger forgets before the target does.
		delete(d.held, w.Key)
	}
	d.mu.Unlock()
	out, err := d.Lender.Apply(ctx, i, w)
	if err == nil && out.Pending == 0 && len(w.Holdings) > 0 {
		d.mu.Lock()
		d.held[w.Key] = w.Holdings
		d.mu.Unlock()
	}
	return out, err
}

func TestConformance(t *testing.T) {
	t.Parallel()
	accesstest.Run(t, func(t *testing.T) *accesstest.Target {
		t.Helper()
		w := newWorld(t, transaction.REST, orders)
		d := &desk{Lender: w.lender, held: map[string][]access.Holding{}, bag: map[string][]access.Credentials{}}
		paths := []string{"/prod/orders", "/prod/orders/17", "/prod/orders/17/items"}
		ids := []string{"GET/orders", "GET/orders/{id}", "GET/orders/{id}/items"}
		return &accesstest.Target{
			Provisioner: d, Integration: w.i, Unlisted: true,
			Item: func(n int) flow.Item {
				return w.lend("", flow.Person{}, routeID(apiOne, "prod", ids[n]), time.Hour).Item
			},
			Has: func(t *testing.T, p flow.Person, item flow.Item) bool {
				t.Helper()
				d.mu.Lock()
				defer d.mu.Unlock()
				var mine []access.Holding
				for _, holdings := range d.held {
					for _, h := range holdings {
						if h.Person.ID == p.ID {
							mine = append(mine, h)
						}
					}
				}
				if len(mine) > 0 {
					keys, err := d.Credentials(t.Context(), w.i, p, mine)
					if err != nil {
						t.Fatal(err)
					}
					d.bag[p.ID] = append(d.bag[p.ID], keys)
				}
				for n, id := range ids {
					if item.Resource.ID != routeID(apiOne, "prod", id) {
						continue
					}
					for _, keys := range d.bag[p.ID] {
						if w.call(keys, "GET", paths[n]) >= 0 {
							return true
						}
					}
				}
				return false
			},
			Break: func(_ *testing.T, applied bool) {
				w.faults.fail(map[bool]string{true: "after", false: "before"}[applied])
			},
			Wait: w.clock.Advance,
		}
	})
}
