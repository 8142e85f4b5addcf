package access_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// noting is a target that says something of each object that is gone.
type noting struct{ *port }

func (n noting) Apply(ctx context.Context, i *access.Integration, w access.Wanted) (access.Applied, error) {
	got, err := n.port.Apply(ctx, i, w)
	if len(w.Holdings) == 0 {
		got.Note = "they have it by something else"
	}
	return got, err
}

// What the target said when access was gone stands on the ended grant, until the object is
// somebody's again: then it is of another grant.
func TestAftermath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk(func(o *access.Options) { o.Provisioners = []access.Provisioner{noting{w.port()}} })
		w.setup(d)
		stop := w.run(d)
		defer stop()
		ann := w.person("ann")
		lend := func() string {
			r := w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute})
			w.eventually(time.Minute, "the grant is active", func() bool { return w.grant(r.Grant).State == access.Active })
			return r.Grant
		}
		said := func(grant string) string {
			v, err := d.GrantByID(t.Context(), ann, grant)
			if err != nil {
				t.Fatal(err)
			}
			return v.Trouble
		}
		first := lend()
		if text := said(first); text != "" {
			t.Errorf("while it is lent it says %q", text)
		}
		w.eventually(2*time.Minute, "it has ended", func() bool { return w.grant(first).State == access.Ended })
		if text := said(first); text != "they have it by something else" {
			t.Errorf("after the end it says %q", text)
		}
		second := lend()
		if text := said(first); text != "" {
			t.Errorf("while another grant has the object the first says %q", text)
		}
		w.eventually(2*time.Minute, "the second has ended", func() bool { return w.grant(second).State == access.Ended })
		if one, two := said(first), said(second); one != "" || two != "they have it by something else" {
			t.Errorf("in the end the first says %q, the second %q", one, two)
		}
	})
}
