package transaction

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestShapeReadsWhatTheScannerReads reads records of one shape, some of them
// broken or made to look like more members, with a shape that was learnt and
// without.
func TestShapeReadsWhatTheScannerReads(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{
		"", "-", "null", "a", "GET", "200", "/x/1", "shop (x)", `"`, `\"`, `","status":"500`, `","x":"`, `"}`, "}", ",", `\u0041`, " ", "{", "[1]", ":", "ü",
	})
	value := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 3).Draw(t, "value"), "") })
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SampledFrom([][]string{
			{"requestId", "ip", "userAgent", "status", "path"},
			{"requestId", "error.messageString", "path", "unknown", "httpMethod"},
			{"requestId", "path", "status", "status", "ip"},
			{"requestId", "message", "responseLatency", "userAgent"},
		}).Draw(t, "keys")
		bare := rapid.IntRange(1, len(keys)).Draw(t, "bare")
		space := rapid.SampledFrom([]string{"", " "}).Draw(t, "space")
		write := func(values []string) string {
			var b strings.Builder
			b.WriteByte('{')
			for i, key := range keys {
				if i > 0 {
					b.WriteString("," + space)
				}
				quote := `"`
				if i == bare {
					quote = ""
				}
				b.WriteString(`"` + key + `":` + space + quote + values[i] + quote)
			}
			b.WriteByte('}')
			return b.String()
		}
		plain := []string{rid, "1", "2", "3", "4"}
		var memo keyMemo
		var r record
		for range rapid.IntRange(1, 4).Draw(t, "records") {
			values := []string{rid}
			for range keys[1:] {
				values = append(values, value.Draw(t, "value"))
			}
			for _, message := range []string{write(plain), write(values)} {
				var scanned record
				want := scanned.parse(message, nil, &keyMemo{})
				got := r.parse(message, nil, &memo)
				if got != want || r.line != scanned.line || r.requestID != scanned.requestID {
					t.Fatalf("%s: got %v, want %v", message, got, want)
				}
				if diff := cmp.Diff(append([]accessVar{}, scanned.vars...), append([]accessVar{}, r.vars...), cmp.AllowUnexported(accessVar{})); diff != "" {
					t.Fatalf("%s (-scanned +by shape):\n%s", message, diff)
				}
				for i, s := range r.spans {
					if v := r.vars[i]; s.field != v.field || message[s.from:s.to] != v.value {
						t.Fatalf("%s: %q stands for %q", message, message[s.from:s.to], v.value)
					}
				}
			}
		}
	})
}

func TestShapeIsLearnt(t *testing.T) {
	t.Parallel()
	events, _ := accessCorpus(3, true)
	var memo keyMemo
	var r record
	for i := range events {
		if kind := r.parse(events[i].Message, nil, &memo); kind != 0 {
			t.Fatal(kind)
		}
		if learnt := len(r.spans) == len(r.vars); learnt != (i > 0) {
			t.Errorf("record %d: read by the shape is %v", i, learnt)
		}
	}
}
