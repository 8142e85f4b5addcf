package access_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// TestBackground: who decides sees what the person holds and asked for before, and
// nobody else does.
func TestBackground(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk()
	w.setup(d)
	ann := w.person("ann")
	held := w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: 10 * time.Minute})
	asked := w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "edit")}, Duration: 10 * time.Minute, Justification: "why"})
	for _, name := range []string{"sam", "root"} {
		b, err := d.Background(t.Context(), w.person(name), asked.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Live) != 1 || b.Live[0].ID != held.Grant || b.LiveTotal != 1 || len(b.Earlier) != 1 || b.Earlier[0].ID != held.ID || b.EarlierTotal != 1 {
			t.Errorf("%s: %+v", name, b)
		}
	}
	if b, err := d.Background(t.Context(), ann, asked.ID); !errors.Is(err, access.ErrForbidden) || b != nil {
		t.Errorf("who asked: %+v, %v", b, err)
	}
	if b, err := d.Background(t.Context(), w.person("ben"), asked.ID); !errors.Is(err, access.ErrNotFound) || b != nil {
		t.Errorf("somebody else: %+v, %v", b, err)
	}
}
