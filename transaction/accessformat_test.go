package transaction

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// valueOf draws what API Gateway may put in the place of a variable.
func valueOf(t *rapid.T, name string, literals []string) string {
	if rapid.IntRange(0, 7).Draw(t, "unset") == 0 {
		return "-"
	}
	from := func(values ...string) string { return rapid.SampledFrom(values).Draw(t, name) }
	switch c := classOfVariable(name); {
	case c.any:
		// What the caller writes may look like what stands between the values.
		piece := rapid.OneOf(rapid.SampledFrom(append(slices.Clone(literals), `"`, " ", "200", "-", rid, "/x", "1.2.3.4", "HTTP/1.1", "GET", `\`, "ü", "\n", ",", "{", "}")), rapid.StringN(0, 4, 8))
		v := strings.Trim(strings.Join(rapid.SliceOfN(piece, 0, 5).Draw(t, name), ""), " \n\r\t\v\f\u0085\u00a0")
		if v == "" || strings.ContainsRune(v, 0) {
			return "v"
		}
		return v
	case c == status:
		return from("200", "404", "503")
	case c == count:
		return from("0", "7", "1767225605123")
	case c == duration:
		return from("0", "41", "29012")
	case c == requestTime:
		return from("01/Jan/2026:00:00:05 +0000", "31/Dec/2025:23:59:59 +0000")
	case c == protocol:
		return from("HTTP/1.1", "HTTP/2.0", "HTTP/2")
	case name == "httpMethod":
		return from("GET", "POST", "DELETE")
	case name == "identity.sourceIp":
		return from("203.0.113.9", "2001:db8::1")
	case c == template:
		return from("/", "/pets/{id}", "/a,b/{proxy+}", "/v1.0/x:y")
	case c == visible:
		return from("AROAX:me,you", "arn:aws:iam::111122223333:user/a\"b/c", "k", "Root=1-a;b")
	case c == requestID:
		return from(rid, ext1, "c1=", "5d1c2b3a-0a0b-4c0d-8e0f-001122334455")
	default:
		return from("a1b2c3d4e5", "prod", "CONNECT", "UNAUTHORIZED")
	}
}

// TestAnyFormatNeverTellsWrong writes lines in formats of all kinds as API
// Gateway does, with values as they are, and reads them back: each value is the
// one that was written, or absent and counted.
func TestAnyFormatNeverTellsWrong(t *testing.T) {
	t.Parallel()
	all := slices.Sorted(maps.Keys(contextFields))
	all = append(all, "accountId", "xrayTraceId", "dataProcessed", "authorizer.own", "identity.clientCert.subjectDN", "messageId", "unknown.thing")
	literals := []string{" ", ",", "|", `"`, `" "`, "] [", "\t", " - ", "-", "/", ":", ";", "", `","`, "><", "</a><b>", " x ", ", ", "||", "=", `":"`}
	parsed, whole := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 12, rapid.ID[string]).Draw(t, "names")
		if rapid.Bool().Draw(t, "identified") {
			names = append(names, "requestId")
			slices.Sort(names[len(names)/2:])
			names = slices.Compact(names)
		}
		asJSON := rapid.IntRange(0, 2).Draw(t, "json") == 0
		used := literals
		if rapid.Bool().Draw(t, "few") {
			used = []string{rapid.SampledFrom(literals).Draw(t, "literal")}
		}
		var format, line strings.Builder
		want := map[field][]string{}
		for i, name := range names {
			literal := rapid.SampledFrom(used).Draw(t, "literal")
			if asJSON {
				literal = fmt.Sprintf(`"k%d%s":"`, i, name)
				if i == 0 {
					literal = "{" + literal
				} else {
					literal = `",` + literal
				}
			}
			value := valueOf(t, name, append(slices.Clone(used), `","status":"200`, `","`+name+`":"x`))
			told := value
			if name == "error.messageString" && value != "-" {
				value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
			}
			format.WriteString(literal + "$context." + name)
			line.WriteString(literal + value)
			if f := fieldOfVariable(name); f != fieldNone {
				want[f] = append(want[f], told)
			}
		}
		if asJSON {
			format.WriteString(`"}`)
			line.WriteString(`"}`)
		}
		f, err := CompileAccessFormat(format.String())
		if err != nil {
			t.Fatal(err)
		}
		if !f.sameVariables(names) {
			return // two variables and what stands between them read as another one
		}
		var r record
		kind := r.parse(line.String(), f, &keyMemo{})
		if kind != 0 {
			return // counted as unparsed
		}
		parsed++
		seen := map[field]bool{}
		for _, v := range r.vars {
			seen[v.field] = true
			if !slices.Contains(want[v.field], v.value) {
				t.Fatalf("format %s\nline   %s\nfield %d is %q, but was %q", format.String(), line.String(), v.field, v.value, want[v.field])
			}
		}
		absent := 0
		for field, values := range want {
			if !seen[field] && slices.ContainsFunc(values, func(v string) bool { return v != "-" && v != "null" }) {
				absent++
			}
		}
		if absent > r.ambiguous {
			t.Fatalf("format %s\nline   %s\n%d values are absent, and %d were counted", format.String(), line.String(), absent, r.ambiguous)
		}
		if absent == 0 {
			whole++
		}
	})
	if parsed < 10 || whole < parsed/4 {
		t.Errorf("of %d lines that were read, %d were read whole", parsed, whole)
	}
}

// sameVariables reports whether the format was compiled into these variables.
func (f *AccessFormat) sameVariables(names []string) bool {
	if len(f.segments)-1 != len(names) {
		return false
	}
	for i, name := range names {
		if f.segments[i+1].field != fieldOfVariable(name) || f.segments[i+1].class != classOfVariable(name) {
			return false
		}
	}
	return true
}

func TestAmbiguousLines(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		format, line string
		want         map[field]string // nil if the line cannot be read
		ambiguous    int
	}{
		"side by side, of a certain length": {
			"$context.requestId$context.status$context.requestTime", ext1 + "20001/Jan/2026:00:00:05 +0000",
			map[field]string{fieldRequestID: ext1, fieldStatus: "200", fieldRequestTime: "01/Jan/2026:00:00:05 +0000"},
			0,
		},
		"side by side, of any length": {
			"$context.requestId $context.responseLength$context.responseLatency", rid + " 1234",
			map[field]string{fieldRequestID: rid},
			2,
		},
		"two texts that the caller writes": {
			`$context.requestId "$context.identity.userAgent" $context.status "$context.path"`, rid + ` "a" 200 "/b" 404 "/c"`,
			map[field]string{fieldRequestID: rid},
			3,
		},
		"the same, but harmless": {
			`$context.requestId "$context.identity.userAgent" $context.status "$context.path"`, rid + ` "a "b" c" 404 "/c "d" 99"`,
			map[field]string{fieldRequestID: rid, fieldUserAgent: `a "b" c`, fieldStatus: "404", fieldPath: `/c "d" 99`},
			0,
		},
		"one text, whatever is in it": {
			`$context.status,$context.identity.userAgent,$context.requestId`, "200,404,x," + rid + ",-," + rid,
			map[field]string{fieldRequestID: rid, fieldStatus: "200", fieldUserAgent: "404,x," + rid + ",-"},
			0,
		},
		"the id cannot be told":                {"$context.path/$context.requestId/$context.identity.userAgent", "/a/b/c/d", nil, 3},
		"unset at a place where hyphens stand": {"$context.requestId--$context.status-$context.responseLength", rid + "-----", map[field]string{}, 0},
		"an empty value, though it should be a hyphen": {
			"$context.identity.sourceIp,$context.status,$context.requestId", ",," + rid,
			map[field]string{fieldRequestID: rid},
			0,
		},
		"space at the ends": {"$context.requestId $context.identity.userAgent", rid + " a \n", map[field]string{fieldRequestID: rid, fieldUserAgent: "a \n"}, 0},
		"parentheses":       {"($context.requestId) $context.status", "(" + rid + ") 200", map[field]string{fieldRequestID: rid, fieldStatus: "200"}, 0},
		"a JSON value with backslashes is as it came": {
			`{"requestId":"$context.requestId","ua":"$context.identity.userAgent","m":$context.error.messageString}`,
			`{"requestId":"` + rid + `","ua":"a\n"b","m":"say \"no\""}`,
			map[field]string{fieldRequestID: rid, fieldUserAgent: `a\n"b`, fieldErrorMessage: `say "no"`},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := CompileAccessFormat(tc.format)
			if err != nil {
				t.Fatal(err)
			}
			var r record
			kind := r.parse(tc.line, f, nil)
			if (kind == 0) != (tc.want != nil) && name != "unset at a place where hyphens stand" {
				t.Fatalf("kind %q", kind)
			}
			if tc.want == nil {
				return
			}
			got := map[field]string{}
			for _, v := range r.vars {
				got[v.field] = v.value
			}
			if diff := cmp.Diff(tc.want, got); diff != "" && name != "unset at a place where hyphens stand" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if r.ambiguous != tc.ambiguous && name != "unset at a place where hyphens stand" {
				t.Errorf("%d values counted as ambiguous, want %d", r.ambiguous, tc.ambiguous)
			}
		})
	}
}

// TestAccessLinesInExecutionGroups reads an access record that begins as an
// execution line, and one in which a caller wrote such a line.
func TestParenthesizedRecords(t *testing.T) {
	t.Parallel()
	g := Group{Name: "access", AccessFormat: "$context.identity.userAgent|$context.status|$context.requestId"}
	tx := record1(t, g, "(5d1c2b3a-0a0b-4c0d-8e0f-001122334455) Method completed with status: 500|200|"+rid)
	if tx.RequestID != rid || tx.Response.Status != 200 {
		t.Errorf("got %s", tx.AppendJSON(nil))
	}
	g.AccessFormat = "($context.requestId) $context.httpMethod $context.status"
	if tx := record1(t, g, "("+rid+") GET 404"); tx.Response.Status != 404 || tx.Sources[0] != SourceAccess {
		t.Errorf("got %s", tx.AppendJSON(nil))
	}
	if tx := record1(t, g, "("+rid+") Method completed with status: 404"); tx.Sources[0] != SourceExecution {
		t.Errorf("got %s", tx.AppendJSON(nil))
	}
}
