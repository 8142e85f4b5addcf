package access_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/gatehouse-project/gatehouse/access"
)

// An ask that is sent again, because nobody knows whether it arrived, makes one request
// and one grant, however many arrive at once.
func TestAskWithAKeyIsAskedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk(func(*access.Options) {})
	w.setup(d)
	a := access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Justification: "INC-1", Key: "k-1"}
	ids := make([]string, 20)
	var wg sync.WaitGroup
	for n := range ids {
		wg.Go(func() {
			r, err := d.Request(t.Context(), a)
			if err != nil {
				t.Error(err)
				return
			}
			ids[n] = r.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one ask made the requests %s and %s", ids[0], id)
		}
	}
	root := w.person("root")
	if page, err := d.Requests(t.Context(), root, access.RequestQuery{}); err != nil || page.Total != 1 {
		t.Fatalf("there are %+v, %v", page, err)
	}
	if page, err := d.Grants(t.Context(), root, access.GrantQuery{}); err != nil || page.Total != 1 {
		t.Fatalf("there are %+v, %v", page, err)
	}
	other := a
	other.Justification = "INC-2"
	if _, err := d.Request(t.Context(), other); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("another ask with the same key: %v", err)
	}
	other.By = w.person("ben")
	if r, err := d.Request(t.Context(), other); err != nil || r.ID == ids[0] {
		t.Errorf("the key of one person names the request of another: %+v, %v", r, err)
	}
}
