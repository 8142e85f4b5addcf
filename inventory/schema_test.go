package inventory

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// exchange is a call with JSON bodies.
func exchange(id, request, response string) *transaction.Transaction {
	t := routedCall(id, "POST", "/orders", transaction.RouteFromAccessLog)
	t.Request = &transaction.Request{Body: request}
	t.Response.Body = response
	return t
}

func detailOf(t *testing.T, calls ...*transaction.Transaction) *Detail {
	t.Helper()
	inv := newTest()
	inv.Observe(calls)
	saved := inv.Changes().(*Changes).Endpoints[0]
	d, _, err := NewDetail(saved.Endpoint, saved.State)
	if err != nil {
		t.Fatalf("NewDetail: %v", err)
	}
	return d
}

// lines writes fields for comparison.
func lines(d *Detail) (out []string) {
	for _, f := range d.Schema.Fields {
		line := fmt.Sprintf("%s%s %s: %s", f.In, f.Status, f.Path, strings.Join(f.Types, "|"))
		if f.Of > 0 {
			line += fmt.Sprintf(" %d/%d", f.Present, f.Of)
		}
		if f.Format != "" {
			line += " " + f.Format
		}
		if f.Enum != nil {
			line += " " + strings.Join(f.Enum, ",")
		}
		if f.Minimum != nil {
			line += fmt.Sprintf(" %g..%g", *f.Minimum, *f.Maximum)
		}
		out = append(out, line)
	}
	return out
}

func TestSchema(t *testing.T) {
	t.Parallel()
	var calls []*transaction.Transaction
	for i := range 20 {
		state := []string{"OPEN", "PAID"}[i%2]
		note := ""
		if i < 5 {
			note = `,"note":null`
		}
		c := exchange(fmt.Sprint("t", i),
			fmt.Sprintf(`{"items":[{"sku":"A-%d","n":%d},{"sku":"B","n":2.5,"gift":true}]}`, i, i),
			fmt.Sprintf(`{"id":"%08d-0000-4000-8000-000000000000","state":%q,"at":"2026-01-31T10:00:00Z","by":{"%024d":1}%s}`, i, state, i, note))
		c.Query = map[string][]string{"page": {fmt.Sprint(i)}}
		calls = append(calls, c)
	}
	// A body that was cut teaches types and no absence.
	cut := exchange("cut", `{"items":[{"sku":"C","late":1},{"sk`, "")
	cut.Request.Truncated = true
	// What was refused teaches nothing of the request.
	refused := exchange("refused", `{"evil":1}`, `{"message":"no"}`)
	refused.Response.Status = 400
	calls = append(calls, cut, refused)
	want := []string{
		"request : object",
		"request items: array 20/20",
		"request items[]: object",
		"request items[].gift: boolean 20/40",
		"request items[].late: integer 0/40 1..1",
		"request items[].n: integer|number 40/40 0..19",
		"request items[].sku: string 40/40",
		"query : object",
		"query page: string 20/20 integer-string",
		"response2xx : object",
		"response2xx at: string 20/20 date-time",
		"response2xx by: object 20/20",
		"response2xx by.*: integer 1..1",
		"response2xx id: string 20/20 uuid",
		"response2xx note: null 5/20",
		"response2xx state: string 20/20 OPEN,PAID",
		"response4xx : object",
		"response4xx message: string 1/1",
	}
	if d := cmp.Diff(want, lines(detailOf(t, calls...))); d != "" {
		t.Errorf("fields (-want +got):\n%s", d)
	}
}

func TestSensitiveData(t *testing.T) {
	t.Parallel()
	values := map[string]func(i int) string{
		"contact":  func(i int) string { return fmt.Sprintf("p%d@example.com", i) },
		"number":   func(i int) string { return fmt.Sprint(1_000_000_000_000_000 + i*7_777_777) }, // some fit Luhn
		"card":     func(int) string { return transaction.Redacted },
		"mobile":   func(i int) string { return fmt.Sprintf("+4915112345%03d", i) },
		"ssn":      func(i int) string { return fmt.Sprintf("219-09-%04d", 1000+i) },
		"dob":      func(i int) string { return fmt.Sprintf("19%02d-05-17", 50+i) },
		"created":  func(i int) string { return fmt.Sprintf("19%02d-05-17", 50+i) },
		"password": func(int) string { return transaction.Redacted },
		"lone":     func(i int) string { return []string{"someone@example.com", fmt.Sprint("text ", i)}[min(i, 1)] },
		"order":    func(i int) string { return fmt.Sprintf("%010d", 4_915_112_345+i) },
	}
	var calls []*transaction.Transaction
	for i := range 30 {
		body := map[string]string{}
		for name, value := range values {
			body[name] = value(i)
		}
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, exchange(fmt.Sprint(i), "", string(b)))
	}
	var got []string
	for _, s := range detailOf(t, calls...).Sensitive {
		got = append(got, fmt.Sprintf("%s: %s %s %v", s.Path, s.Class, s.Confidence, s.Redacted))
		if !s.Redacted && (s.Matches < 15 || s.Matches > s.Distinct || s.Distinct > 60) {
			t.Errorf("%s: %d of %d; want about 30 of 30", s.Path, s.Matches, s.Distinct)
		}
	}
	want := []string{
		"card: card high true", "contact: email high false", "dob: birth_date high false", "mobile: phone high false",
		"password: secret high true", "ssn: ssn high false",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("sensitive data (-want +got):\n%s", d)
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value string
		want        class
	}{
		{"x", "ann@example.com", classEmail},
		{"x", "ann@example", classNone},
		{"x", "@a.bc", classNone},
		{"x", "4111111111111111", classCard},
		{"x", "4111 1111 1111 1111", classCard},
		{"x", "4111111111111112", classNone},
		{"x", "0000000000000000", classNone},
		{"x", "9111111111111111", classNone},
		{"x", "378282246310005", classCard},
		{"x", "GB82 WEST 1234 5698 7654 32", classIBAN},
		{"x", "gb82west12345698765432", classIBAN},
		{"x", "DE89370400440532013000", classIBAN},
		{"x", "DE88370400440532013000", classNone},
		{"x", "219-09-9999", classSSN},
		{"x", "000-09-9999", classNone},
		{"x", "666-09-9999", classNone},
		{"x", "900-09-9999", classNone},
		{"x", "219099999", classNone},
		{"ssn", "219099999", classSSN},
		{"x", "+14155552671", classPhone},
		{"x", "+04155552671", classNone},
		{"x", "4155552671", classNone},
		{"phone_number", "(415) 555-2671", classPhone},
		{"x", "529.982.247-25", classNationalID},
		{"x", "52998224725", classNone},
		{"cpf", "52998224725", classNationalID},
		{"cpf", "52998224726", classNone},
		{"cpf", "11111111111", classNone},
		{"aadhaar", "2363 2363 2361", classNone},
		{"nationalId", "12345678Z", classNationalID},
		{"nationalId", "X1234567L", classNationalID},
		{"nationalId", "12345678A", classNone},
		{"nhsNumber", "9434765919", classNationalID},
		{"bsn", "111222333", classNationalID},
		{"dateOfBirth", "1980-02-29", classBirthDate},
		{"dateOfBirth", "1981-02-29", classNone},
		{"x", "192.0.2.1", classIP},
		{"version", "192.0.2.256", classNone},
		{"x", "2001:db8::1", classIP},
		{"lat", "52.5200", classLocation},
		{"x", "", classNone},
	} {
		if got := classOfText(c.value, formatOf(c.value), hintOf(c.name)); got != c.want {
			t.Errorf("%s %q is %q; want %q", c.name, c.value, classNames[got], classNames[c.want])
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]format{
		"2026-02-28": formatDate, "2026-02-30": formatText, "2026-02-28T10:00:00+01:00": formatDateTime, "123": formatInteger,
		"-12.5": formatDecimal, "-12": formatInteger, "https://example.com/a": formatURI, "PENDING": formatWord, "": formatEmpty,
		"two words": formatText, "deadbeefdeadbeef01": formatHex, "1.2.3.4": formatIPv4, "::1": formatIPv6, "-": formatText,
		"0d9b2f3c-1111-4222-8333-444455556666": formatUUID,
	} {
		if got := formatOf(value); got != want {
			t.Errorf("%q has form %b; want %b", value, got, want)
		}
	}
}

// A value of JSON, of few names so that fields come again.
func jsonValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.IntRange(-5, 5).AsAny(), rapid.Float64Range(-1e6, 1e6).AsAny(),
		rapid.SampledFrom([]string{"", "A", "B", "C", "D", "E", "F", "G", "a@b.co", "c@d.co", "+14155552671", "[redacted]", "2026-01-01", "4111111111111111"}).AsAny(),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.MapOfN(rapid.StringMatching(`[a-h]{1,2}|id|card|phone`), jsonValue(depth-1), 0, 6).AsAny(),
			rapid.SliceOfN(jsonValue(depth-1), 0, 3).AsAny())
	}
	return rapid.OneOf(kinds...)
}

func drawCalls(t *rapid.T) []*transaction.Transaction {
	n := rapid.IntRange(1, 25).Draw(t, "calls")
	calls := make([]*transaction.Transaction, n)
	for i := range calls {
		text := func(what string) string {
			b, err := json.Marshal(map[string]any{"v": jsonValue(4).Draw(t, what), "w": jsonValue(2).Draw(t, what)})
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		c := exchange(fmt.Sprint(i), text("request"), text("response"))
		c.Query = map[string][]string{rapid.StringMatching(`[a-h]`).Draw(t, "name"): {"A"}, "q": {"1", "2"}}
		c.Response.Status = rapid.SampledFrom([]int{200, 200, 404, 500}).Draw(t, "status")
		if rapid.IntRange(0, 4).Draw(t, "cut") == 0 {
			c.Response.Body = c.Response.Body[:len(c.Response.Body)*2/3]
			c.Response.Truncated = true
		}
		calls[i] = c
	}
	return calls
}

func learnAll(calls []*transaction.Transaction) *schema {
	s := &schema{}
	for _, c := range calls {
		s.observe(c, c.Response.Status)
	}
	return s
}

func TestSchemaIsOfAnyOrderAndMerges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		calls := drawCalls(t)
		whole := learnAll(calls)
		want := whole.append(nil)
		shuffled := rapid.Permutation(calls).Draw(t, "order")
		if d := cmp.Diff(want, learnAll(shuffled).append(nil)); d != "" {
			t.Fatalf("another order teaches something else:\n%s", d)
		}
		at := rapid.IntRange(0, len(calls)).Draw(t, "split")
		left, right := learnAll(calls[:at]), learnAll(calls[at:])
		left.merge(right)
		if d := cmp.Diff(want, left.append(nil)); d != "" {
			t.Fatalf("merged halves are not the whole:\n%s", d)
		}
		if len(whole.fields) > maxAllFields || cap(whole.fields) > maxAllFields {
			t.Fatalf("%d fields in room for %d; want at most %d", len(whole.fields), cap(whole.fields), maxAllFields)
		}
		for i, f := range whole.fields {
			if f.key < whole.fields[f.up].key || int(f.up) != i && childKey(whole.fields[f.up].key, f.name.Value()) != f.key {
				t.Fatalf("field %d has the wrong parent %d", i, f.up)
			}
		}
		var back schema
		if err := back.decode(want); err != nil {
			t.Fatalf("decode: %v", err)
		}
		if d := cmp.Diff(want, back.append(nil)); d != "" {
			t.Fatalf("saved and read (-want +got):\n%s", d)
		}
	})
}

// After the first thousand calls one of sixteen teaches.
func TestSchemaIsSampled(t *testing.T) {
	t.Parallel()
	var s schema
	for i := range 17_000 {
		c := exchange(fmt.Sprint("call-", i), "", `{"a":1}`)
		s.observe(c, 200)
	}
	if s.calls != 17_000 || s.learnt < 1900 || s.learnt > 2100 {
		t.Errorf("learnt from %d of %d calls; want about 2,000 of 17,000", s.learnt, s.calls)
	}
}

// hostileBodies are made to make memory or time grow, or to break the reader.
func hostileBodies() []string {
	var names strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&names, `"n%c%c%c":{"x":%d},`, 'a'+i%26, 'a'+i/26%26, 'a'+i/676, i)
	}
	return []string{
		strings.Repeat("[", 1_000_000), strings.Repeat(`{"a":`, 100_000), "{" + strings.Repeat(`"a":[`, 100) + strings.Repeat("]", 100) + "}",
		"{" + strings.TrimSuffix(names.String(), ",") + "}", `{"` + strings.Repeat("k", 100_000) + `":1}`, `{"a":"` + strings.Repeat("v", 900_000) + `"}`,
		`{"a":1e999,"b":-1e999,"c":1` + strings.Repeat("0", 1000) + `}`, "{", `{"a"`, `{"a":`, `{"a":"\`, `[1,]`, `{"a":1,}`, `{,}`, "\x00", `{"":""}`, `{"\ud800":"\ud800"}`,
		`[` + strings.Repeat(`[],`, 100_000) + `[]]`, `{"[]":[{"[]":1}]}`, "[\"a\nb\"]", `-`, `[-]`, `[1.]`, `[1e]`, `[tru]`,
	}
}

func TestHostileBodies(t *testing.T) {
	t.Parallel()
	var s schema
	for i, body := range hostileBodies() {
		for _, cut := range []bool{false, true} {
			c := exchange(fmt.Sprint(i), body, body)
			c.Request.Truncated, c.Response.Truncated = cut, cut
			c.Query = map[string][]string{body[:min(len(body), 500)]: {body}}
			s.observe(c, 200)
		}
	}
	b := s.append(nil)
	if len(s.fields) > maxAllFields || len(b) > 5000 {
		t.Errorf("%d fields, %d bytes saved", len(s.fields), len(b))
	}
	shown, _ := s.shown()
	if _, err := json.Marshal(shown); err != nil {
		t.Errorf("the schema cannot be written: %v", err)
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(`{"a":[{"email":"a@b.co","n":1.5,"card":"4111 1111 1111 1111"}],"b":null}`, "page", "GB82WEST12345698765432", false)
	for _, body := range hostileBodies() {
		if len(body) < 200 {
			f.Add(body, body, body, true)
		}
	}
	f.Fuzz(func(t *testing.T, body, name, value string, cut bool) {
		if validJSON(body) && !json.Valid([]byte(body)) && !strings.Contains(body, `\`) {
			t.Errorf("%q is not JSON", body)
		}
		c := exchange("1", body, body)
		c.Response.Truncated = cut
		c.Query = map[string][]string{name: {value}}
		var s schema
		s.observe(c, 200)
		want := s.append(nil)
		var back schema
		if err := back.decode(want); err != nil {
			t.Fatalf("what was learnt cannot be read: %v", err)
		}
		if !slices.Equal(want, back.append(nil)) {
			t.Fatal("what was learnt changed by saving")
		}
		shown, sensitive := s.shown()
		if _, err := json.Marshal([]any{shown, sensitive}); err != nil {
			t.Fatal(err)
		}
	})
}

// orders are calls with bodies as a shop's are, of 2 KB together.
func orders(n int) (calls []*transaction.Transaction, size int) {
	for i := range n {
		var items []string
		for k := range 8 {
			items = append(items, fmt.Sprintf(`{"sku":"SKU-%05d","name":"A thing for the house","quantity":%d,"price":%d.95,"currency":"EUR","tags":["home","new"]}`, i*8+k, k, 10+k))
		}
		c := exchange(fmt.Sprintf("%032x", i*100_003),
			fmt.Sprintf(`{"customer":{"id":%d,"email":"person%d@example.com","phone":"+4915112%06d"},"items":[%s],"coupon":null}`, 100_000+i, i, i, strings.Join(items[:3], ",")),
			fmt.Sprintf(`{"id":"%08x-1111-4222-8333-444455556666","status":"CONFIRMED","created_at":"2026-01-31T10:%02d:00Z","total":%d.5,"items":[%s],"shipping":{"city":"Berlin","iban":"DE89370400440532013000"}}`, i, i%60, i, strings.Join(items, ",")))
		c.Route = fmt.Sprintf("/orders/%d", i%500)
		size += len(c.Request.Body) + len(c.Response.Body)
		calls = append(calls, c)
	}
	return calls, size
}

func BenchmarkObserveBodies(b *testing.B) {
	calls, size := orders(4000)
	run := func(name string, prepare func(inv *Inventory)) {
		b.Run(name, func(b *testing.B) {
			inv := newTest()
			inv.Observe(calls)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				prepare(inv)
				inv.Observe(calls)
			}
			b.ReportMetric(float64(len(calls))*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
	// Every call teaches, as of an endpoint's first thousand.
	run("all", func(inv *Inventory) {
		for _, s := range inv.stages {
			for _, e := range s.endpoints {
				e.state.schema.calls = 0
			}
		}
	})
	// One call of sixteen teaches.
	run("sampled", func(inv *Inventory) {
		for _, s := range inv.stages {
			for _, e := range s.endpoints {
				e.state.schema.calls = schemaWhole
			}
		}
	})
}

func TestLearningAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	calls, _ := orders(500)
	inv := newTest()
	inv.Observe(calls)
	if n := testing.AllocsPerRun(2, func() { inv.Observe(calls) }); n > 5 {
		t.Errorf("%g allocations for %d calls; want none", n, len(calls))
	}
}
