package transaction

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func redactionOf(t *testing.T, rules RedactionRules) *redaction {
	t.Helper()
	r, err := NewRedactor(rules)
	if err != nil {
		t.Fatal(err)
	}
	d := &redaction{}
	d.init(r)
	return d
}

func TestRedactHeaders(t *testing.T) {
	t.Parallel()
	d := redactionOf(t, RedactionRules{Headers: []string{"X-Tenant", "x-internal-*", "*-Trace", "*user*"}})
	for name, secret := range map[string]bool{
		"x-tenant": true, "x_tenant": true, "x-tenants": false, "x-internal-id": true, "x-external-id": false,
		"my-trace": true, "trace-my": false, "x-user-id": true, "authorization": true, "accept": false,
	} {
		if got := d.header(name, "value", false); (got == Redacted) != secret {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := d.parameter("x-tenant", "value", false); got != "value" {
		t.Error("a rule for headers took out a query parameter")
	}
	tx, _ := assemble(restGroup(), Options{Redactor: d.rules}, lines(rid, "Method request headers: {User-Agent=a, X-Internal-Key-Of=1, Host=h}", "Method response headers: {X-Tenant=acme}")...)
	if got := jsonOf(tx[0]); strings.Contains(got, "acme") || strings.Contains(got, `["a"]`) || strings.Contains(got, `"user_agent":"a"`) || !strings.Contains(got, `"host":["h"]`) {
		t.Errorf("got %s", got)
	}
}

func TestRedactJSONPaths(t *testing.T) {
	t.Parallel()
	for _, tc := range [][3]string{
		{"$.user.email", `{"user":{"email":"a@b","name":"x"},"email":"kept"}`, `{"user":{"email":"[redacted]","name":"x"},"email":"kept"}`},
		{"user", `{"user":{"a":[1,{"b":2}]},"n":1}`, `{"user":"[redacted]","n":1}`},
		{"items[*].id", `{"items":[{"id":1,"k":2},{"id":"x"}]}`, `{"items":[{"id":"[redacted]","k":2},{"id":"[redacted]"}]}`},
		{"items[1]", `{"items":[1, 2 ,3]}`, `{"items":[1, "[redacted]" ,3]}`},
		{"[0].a", `[{"a":true},{"a":true}]`, `[{"a":"[redacted]"},{"a":true}]`},
		{"$..phone", `{"phone":1,"a":[{"phone":{"x":1}},{"b":{"phone":"2"}}]}`, `{"phone":"[redacted]","a":[{"phone":"[redacted]"},{"b":{"phone":"[redacted]"}}]}`},
		{"a.*.c", `{"a":{"x":{"c":1,"d":2},"y":{"c":3}}}`, `{"a":{"x":{"c":"[redacted]","d":2},"y":{"c":"[redacted]"}}}`},
		{`$["a.b"]['c']`, `{"a.b":{"c":1}}`, `{"a.b":{"c":"[redacted]"}}`},
		{"a", `{"a":null,"b":{"a":1}}`, `{"a":null,"b":{"a":1}}`},
		{"a.b", `{"a":{"x":"}{","b":"cut of`, `{"a":{"x":"}{","b":"[redacted]"`},
		{"a", `{"\u0061":1}`, `{"\u0061":"[redacted]"}`},
		{"a", `not { "a": 1 }`, `not { "a": 1 }`},
		{"a", ` [ {"a" : 1 } ]`, ` [ {"a" : 1 } ]`},
		{"*", `{"a":1,"b":[2]}`, `{"a":"[redacted]","b":"[redacted]"}`},
	} {
		if got := redactionOf(t, RedactionRules{JSONPaths: []string{tc[0]}}).body(tc[1], false); got != tc[2] {
			t.Errorf("%s of %s:\ngot  %s\nwant %s", tc[0], tc[1], got, tc[2])
		}
	}
	both := redactionOf(t, RedactionRules{JSONPaths: []string{"a.b", "a.c", "..d"}})
	if got, want := both.body(`{"a":{"b":1,"c":2,"x":{"d":3}}}`, false), `{"a":{"b":"[redacted]","c":"[redacted]","x":{"d":"[redacted]"}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	deep := strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)
	if got := redactionOf(t, RedactionRules{JSONPaths: []string{"..x"}}).body(deep, false); !json.Valid([]byte(got)) {
		t.Error("deep JSON was broken")
	}
}

func TestRulesThatCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	for _, rules := range []RedactionRules{
		{Headers: []string{""}},
		{Headers: []string{"*"}},
		{Headers: []string{"a b"}},
		{Headers: []string{"a*b"}},
		{Headers: []string{"Name: value"}},
		{JSONPaths: []string{""}},
		{JSONPaths: []string{"$"}},
		{JSONPaths: []string{"a."}},
		{JSONPaths: []string{"a..."}},
		{JSONPaths: []string{"a[x]"}},
		{JSONPaths: []string{"a[-1]"}},
		{JSONPaths: []string{"a[1"}},
		{JSONPaths: []string{`a["b]`}},
		{JSONPaths: []string{strings.Repeat("a.", 600) + "b"}},
		{Classes: []Class{"everything"}},
	} {
		if _, err := NewRedactor(rules); err == nil {
			t.Errorf("%+v was accepted", rules)
		}
	}
}

func TestRedactClasses(t *testing.T) {
	t.Parallel()
	all := redactionOf(t, RedactionRules{Classes: Classes()})
	for _, text := range []string{
		"4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "3782 822463 10005", "30569309025904", "6011111111111117",
		"3530111333300000", "5105105105105100", "2223003122003222", "card:4111111111111111.", "n=4111111111111111&x", "+4111+1111+1111+1111",
		"bob@example.com", "a.b+c@mail.example.co.uk", "<bob@example.com>", "to=bob%2Bx@example.com",
		"DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR1420041010050500013M02606",
		"078-05-1120", "ssn 219-09-9999.",
		"+49 30 901820", "+1 (212) 555-0100", "(212) 555-0100", "212-555-0100", "call +442079460000!",
	} {
		if got := all.body("x "+text+" y", false); !strings.Contains(got, Redacted) || strings.Contains(got, "111") && !strings.Contains(text, "x=") {
			t.Errorf("%s became %s", text, got)
		}
		if got := all.text(text, false); !strings.Contains(got, Redacted) {
			t.Errorf("%s alone became %s", text, got)
		}
	}
	for _, text := range []string{
		"4111111111111112", "41111111111111111", "1234567812345670", "id4111111111111111", "4111111111111111x", "0.4111111111111111", "4111.1111",
		"2026-11-22 08:02:33", "1767225605123456", "7d1c2b3a-0a0b-4c0d-8e0f-001122334455", "11111111-2222-3333-4444-555555555555", "10.0.0.1, 203.0.113.9",
		"bob@", "@home", "a@b", "user@localhost", "DE88370400440532013000", "DE89", "000-12-3456", "666-12-3456", "123-45-67890", "2026-01-01", "+1", "+0123456789", "123-456",
	} {
		if got := all.text(text, false); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	if got, want := all.body(`{"card":4111111111111111,"list":[4111111111111111],"text":"4111111111111111"}`, false),
		`{"card":"[redacted]","list":["[redacted]"],"text":"[redacted]"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	none := redactionOf(t, RedactionRules{Classes: []Class{}})
	if got := none.body("4111111111111111 AKIAIOSFODNN7EXAMPLE", false); got != "4111111111111111 "+Redacted {
		t.Errorf("without classes: %s", got)
	}
}

// TestRedactedJSONStaysJSON redacts JSON of all kinds with all rules.
func TestRedactedJSONStaysJSON(t *testing.T) {
	t.Parallel()
	d := redactionOf(t, RedactionRules{Classes: Classes(), JSONPaths: []string{"..b", "a[1].c", "*.x"}})
	value := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"4111111111111111", "a", "bob@example.com", `q"uote`, "Bearer abcdefgh12345", "password=x y", "<password>x</password>", `{"token":"x"}`, "\n"}), func(s string) any { return s }),
		rapid.SampledFrom([]any{4111111111111111, 1, true, nil, 2.5}),
	)
	name := rapid.SampledFrom([]string{"a", "b", "c", "x", "password", "name", "value", "pin", "key"})
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{}
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			v := value.Draw(t, "value")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				v = []any{v, map[string]any{name.Draw(t, "name"): value.Draw(t, "value")}}
			case 1:
				v = map[string]any{name.Draw(t, "name"): v}
			}
			in[name.Draw(t, "name")] = v
		}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		got := d.body(string(text), false)
		if !json.Valid([]byte(got)) || strings.Contains(got, "4111111111111111") || strings.Contains(got, "abcdefgh") {
			t.Fatalf("%s became %s", text, got)
		}
		if again := d.body(got, false); again != got {
			t.Fatalf("%s became %s, and then %s", text, got, again)
		}
	})
}
