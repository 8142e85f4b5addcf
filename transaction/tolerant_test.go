package transaction

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestUnknownFormatNeverTellsWrong reads JSON records of which no format is known,
// with a user agent and a path that play the members of a record.
func TestUnknownFormatNeverTellsWrong(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.Permutation([]string{"requestId", "ip", "userAgent", "httpMethod", "resourcePath", "path", "status", "protocol", "own"}).Draw(t, "keys")
		keys = keys[:rapid.IntRange(3, len(keys)).Draw(t, "n")]
		if !slices.Contains(keys, "requestId") {
			keys = append(keys, "requestId")
		}
		if !slices.Contains(keys, "status") {
			keys = append(keys, "status")
		}
		piece := rapid.SampledFrom([]string{
			`"`, `","status":"500`, `","status":"500","ip":"6.6.6.6`, `"}`, `","x":"y`, `\`, `, "ip": "6.6.6.6"`, "a", " ", `":"`, "{", "}", `\"`, `","requestId":"evil`, `","path":"/evil","own":"`,
		})
		values := map[string]string{"requestId": rid, "ip": "198.51.100.7", "httpMethod": "POST", "resourcePath": "/pay", "status": "403", "protocol": "HTTP/1.1", "own": "v"}
		values["userAgent"] = "ua" + strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, "agent"), "") + "ua"
		values["path"] = "/p" + strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, "path"), "") + "p"
		var b strings.Builder
		for i, k := range keys {
			b.WriteString([]string{"{", ","}[min(i, 1)] + `"` + k + `":"` + values[k] + `"`)
		}
		b.WriteString("}")
		var r record
		if kind := r.parse(b.String(), nil, &keyMemo{}); kind != 0 {
			return
		}
		for _, v := range r.vars {
			switch v.field {
			case fieldRequestID, fieldIP, fieldMethod, fieldResourcePath, fieldStatus, fieldProtocol:
				name := map[field]string{fieldRequestID: "requestId", fieldIP: "ip", fieldMethod: "httpMethod", fieldResourcePath: "resourcePath", fieldStatus: "status", fieldProtocol: "protocol"}[v.field]
				// Nothing shows that a key is not the record's own.
				if slices.Contains(keys, name) && v.value != values[name] {
					t.Fatalf("%s\n%s is %q", b.String(), name, v.value)
				}
			}
		}
	})
}
