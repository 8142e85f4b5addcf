package flow_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/access/flow/flowtest"
)

var same = cmp.Options{cmpopts.IgnoreUnexported(flow.Set{}), cmpopts.EquateEmpty()}

func TestFormatParsesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := flowtest.Set(t)
		text := s.Format()
		back, err := flow.Parse(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(s, back, same); diff != "" {
			t.Fatalf("(-was +read):\n%s\n%s", diff, text)
		}
		if s.Digest() != back.Digest() || len(s.Drift(back.Digests())) != 0 {
			t.Fatal("the digest changed")
		}
		for _, c := range s.Diff(back) {
			if c.Action != flow.Unchanged {
				t.Fatalf("the plan is not empty: %+v", c)
			}
		}
	})
}
