package audit_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/audit"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before, after string
		want          []audit.Difference
	}{
		"nothing": {},
		"same":    {before: `{"a":1}`, after: `{"a":1}`},
		"inner": {
			before: `{"a":{"b":1,"c":[1,2]},"gone":"<x>","same":true}`, after: `{"a":{"b":2,"c":[1,3,4]},"new":null,"same":true}`,
			want: []audit.Difference{
				{Path: "a.b", Before: "1", After: "2"},
				{Path: "a.c[1]", Before: "2", After: "3"},
				{Path: "a.c[2]", After: "4"},
				{Path: "gone", Before: `"<x>"`},
				{Path: "new", After: "null"},
			},
		},
		"made":           {after: `{"a":1,"b":{"c":2}}`, want: []audit.Difference{{Path: "a", After: "1"}, {Path: "b.c", After: "2"}}},
		"removed":        {before: `{"a":1}`, want: []audit.Difference{{Path: "a", Before: "1"}}},
		"another kind":   {before: `{"a":[1]}`, after: `{"a":{"b":1}}`, want: []audit.Difference{{Path: "a", Before: "[1]", After: `{"b":1}`}}},
		"long numbers":   {before: `12345678901234567890`, after: `12345678901234567891`, want: []audit.Difference{{Before: "12345678901234567890", After: "12345678901234567891"}}},
		"written anyhow": {before: `1.0`, after: `1`, want: []audit.Difference{{Before: "1.0", After: "1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := audit.Differences(json.RawMessage(tc.before), json.RawMessage(tc.after))
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("differences (-want +got):\n%s", d)
			}
		})
	}
}
