package kafka

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRepairJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{`{"a":1}`, `{"a":1}`},
		{" [1, 2]\n", `[1, 2]`},
		{`{"a":1,"b":"xy`, `{"a":1}`},
		{`{"a":1,"b":`, `{"a":1}`},
		{`{"a":1,"b"`, `{"a":1}`},
		{`{"a":1,`, `{"a":1}`},
		{`{"a":"x\"y","b":"\u00`, `{"a":"x\"y"}`},
		{`{"a":[1,2,3`, `{"a":[1,2]}`},
		{`{"a":[1,2,3 `, `{"a":[1,2,3]}`},
		{`{"a":[1,{"b":true,"c":{"d":nul`, `{"a":[1,{"b":true}]}`},
		{`[true`, `[true]`},
		{`[trueish`, `[]`},
		{`[1.5e3,2.`, `[1.5e3]`},
		{`[-0,01]`, `[-0]`},
		{`{"a":{`, `{}`},
		{`{"a":1,"b":{`, `{"a":1}`},
		{`{"a":1,"b":{}`, `{"a":1,"b":{}}`},
		{`{"a":1}trailing`, `{"a":1}`},
		{`{"a":1}}`, `{"a":1}`},
		{`[1,2}`, `[1,2]`},
		{`{"a" 1}`, `{}`},
		{`{a:1}`, `{}`},
		{"[\"a\x01b\"]", `[]`},
		{`[`, `[]`},
		{`{`, `{}`},
		{``, `{}`},
		{`"text"`, `{}`},
		{`{"a":"[redacted]","b":"[reda`, `{"a":"[redacted]"}`},
		{`{"a":1,"b":"x[TRUNCATED]`, `{"a":1}`},
		{strings.Repeat("[", 100_000), `[]`},
		{`[1,` + strings.Repeat("[", 100_000), `[1]`},
	}
	for _, test := range tests {
		if got := RepairJSON(test.in); got != test.want {
			t.Errorf("RepairJSON(%.60q) = %.60q, want %q", test.in, got, test.want)
		}
	}
}

// FuzzRepairJSON holds the result to its three promises: it is valid JSON,
// repairing it again changes nothing, and up to its closing brackets it is the
// input's own text, so nothing in it is made up. Valid objects and arrays stay
// as they are.
func FuzzRepairJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[true,false,null,"x\u00e9\n"],"c":{"d":-1.5e+10}}`,
		`[[],{},"",0]`, `{"a":1,"b":"xy`, `[1,2,3`, "{\"\xff\":1", `{"a":{"b":{"c":1,`, `[tru`,
	} {
		f.Add(seed)
		f.Add(seed[:len(seed)/2])
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := RepairJSON(in)
		if !json.Valid([]byte(got)) {
			t.Fatalf("RepairJSON(%q) = %q: not JSON", in, got)
		}
		if again := RepairJSON(got); again != got {
			t.Fatalf("repaired twice: %q, then %q", got, again)
		}
		trimmed := strings.Trim(in, " \t\r\n")
		if got != "{}" && got != "[]" {
			kept := strings.TrimRight(got, "]}")
			if !strings.HasPrefix(trimmed, kept) {
				t.Fatalf("RepairJSON(%q) = %q: not of the input", in, got)
			}
		}
		if json.Valid([]byte(trimmed)) && trimmed != "" && (trimmed[0] == '{' || trimmed[0] == '[') &&
			strings.Count(trimmed, "[")+strings.Count(trimmed, "{") <= maxRepairDepth && got != trimmed {
			t.Fatalf("RepairJSON(%q) = %q: valid input changed", in, got)
		}
	})
}
