package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/access"
)

// A script can tell by the exit status whether somebody has to look at a target.
func TestReconcilingTellsWhatIsLeft(t *testing.T) {
	w := newLendWorld(t)
	find := func(found ...access.Found) {
		w.cluster.mu.Lock()
		defer w.cluster.mu.Unlock()
		w.cluster.found = slices.Clone(found)
	}
	var none reconciled
	w.must("sofia", &none, "integration", "reconcile", "blue")
	if none.Integration != "blue" || none.Found == nil || none.Mended == nil || none.Left == nil || len(none.Found)+len(none.Mended)+len(none.Left) > 0 {
		t.Errorf("nothing differs: %+v", none)
	}

	// What Gatehouse mends is mended before the command ends.
	var got result
	w.must("rosa", &got, "access", "request", "-i", "blue", "-r", "payments", "-p", "role:view")
	key := "Rosa.Diaz@example.com:namespace/payments:role:view"
	// The server looks by itself once after it has begun, and may be first.
	changed := access.Found{Key: key, Name: "binding", Grants: []string{got.Grant.ID}, Drift: "somebody added a subject"}
	mends := func(found ...access.Found) (s ended) {
		for range 5 {
			find(found...)
			if s = w.as("sofia", "", "integration", "reconcile", "blue"); strings.Contains(s.out, "mended") {
				break
			}
		}
		return s
	}
	s := mends(changed)
	if s.status != 0 {
		t.Errorf("with all mended: %+v", s)
	}
	wants(t, "what is mended", s.out, "NOW", "mended", "changed", "it is written again", got.Grant.ID)

	// What it does not mend is left, beside what it does.
	orphan := access.Found{Key: "nobody", Name: "a-copy", Grants: []string{"gunknown"}}
	s = mends(changed, orphan)
	if s.status != 1 {
		t.Errorf("with something left: %+v", s)
	}
	wants(t, "what is left", s.out, "left    orphan", "a-copy", "remove it by hand", "mended  changed")
	wants(t, "what is left", s.err, "1 difference left in the target of blue")
	var left reconciled
	s = w.as("sofia", "", "integration", "reconcile", "blue", "-o", "json")
	if err := json.Unmarshal([]byte(s.out), &left); err != nil || s.status != 1 || len(left.Found) != 1 || len(left.Left) != 1 || !left.Left[0].ByHand || left.Left[0].Name != "a-copy" || len(left.Mended) != 0 {
		t.Errorf("as JSON: %+v, %+v", s, left)
	}
	find()
	w.must("sofia", nil, "integration", "reconcile", "blue")

	// Where nobody could look, nothing is said to be well.
	w.cluster.mu.Lock()
	w.cluster.down = true
	w.cluster.mu.Unlock()
	if s := w.as("sofia", "", "integration", "reconcile", "blue"); s.status != 2 || s.out != "" {
		t.Errorf("of a target that is down: %+v", s)
	} else {
		wants(t, "the error", s.err, "comparing blue: connect: connection refused")
	}
	w.cluster.mu.Lock()
	w.cluster.down = false
	w.cluster.mu.Unlock()
	for _, args := range [][]string{{"none"}, {"blue", "--within", "-1s"}, {"blue", "extra"}} {
		if s := w.as("sofia", "", append([]string{"integration", "reconcile"}, args...)...); s.status != 2 {
			t.Errorf("%q: %+v", args, s)
		}
	}
}

// More differences than are told do not make what is not among them mended.
func TestReconciledIsNotGuessed(t *testing.T) {
	t.Parallel()
	a, b := access.Drift{Key: "a", Kind: "missing"}, access.Drift{Key: "b", Kind: "missing"}
	var r reconciled
	r.take([]access.Drift{a}, 2)
	if len(r.Left) != 1 || r.More != 1 {
		t.Errorf("one of two is told: %+v", r)
	}
	r.take([]access.Drift{b}, 2)
	if len(r.Found) != 2 || len(r.Left) != 1 || len(r.Mended) != 0 || r.More != 1 {
		t.Errorf("the other of two is told: %+v", r)
	}
	r.take(nil, 0)
	if len(r.Mended) != 2 || len(r.Left) != 0 || r.More != 0 {
		t.Errorf("none stands: %+v", r)
	}
}
