package transaction

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

func deflated(text string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

func inBase64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func TestDecodeBody(t *testing.T) {
	t.Parallel()
	const text = `{"name":"Rex","age":7}`
	type result struct {
		Kind      BodyKind
		Text      string
		Encodings string
		Truncated bool
		JSON      string
		Whole     bool
	}
	gz := map[string][]string{"content-encoding": {"gzip"}, "content-type": {"application/json"}}
	for name, tc := range map[string]struct {
		headers map[string][]string
		text    string
		cut     bool
		want    result
	}{
		"nothing":                  {nil, "", false, result{}},
		"JSON":                     {nil, text, false, result{BodyJSON, text, "", false, text, true}},
		"broken JSON":              {nil, `{"a":1,}`, false, result{BodyJSON, `{"a":1,}`, "", false, "", false}},
		"cut JSON":                 {nil, `{"a":1,"b":"x`, true, result{BodyJSON, `{"a":1,"b":"x`, "", true, `{"a":1}`, false}},
		"gzip":                     {gz, string(gzipped(text)), false, result{BodyJSON, text, "gzip", false, text, true}},
		"base64 of gzip":           {gz, inBase64(gzipped(text)), false, result{BodyJSON, text, "base64,gzip", false, text, true}},
		"unmarked":                 {nil, inBase64(gzipped(text)), false, result{BodyJSON, text, "base64,gzip", false, text, true}},
		"base64 of deflate":        {map[string][]string{"content-encoding": {"deflate"}}, inBase64(deflated(text)), false, result{BodyJSON, text, "base64,deflate", false, text, true}},
		"base64 of JSON":           {nil, inBase64([]byte(text)), false, result{BodyJSON, text, "base64", false, text, true}},
		"base64, marked":           {map[string][]string{"content-transfer-encoding": {"Base64"}}, inBase64([]byte("plain words")), false, result{BodyText, "plain words", "base64", false, "", false}},
		"cut gzip":                 {gz, inBase64(gzipped(text))[:40], true, result{BodyJSON, "", "base64,gzip", true, `{"name":"Rex"}`, false}},
		"marked, but it is a word": {gz, "abcdefgh", false, result{BodyJSON, "abcdefgh", "", false, "", false}},
		"a token":                  {nil, "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln", false, result{BodyText, "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln", "", false, "", false}},
		"form":                     {map[string][]string{"content-type": {"application/x-www-form-urlencoded; charset=utf-8"}}, "a=1&b=x+y%26&a=2&c", false, result{BodyForm, "a=1&b=x+y%26&a=2&c", "", false, `{"a":["1","2"],"b":"x y&","c":""}`, true}},
		"cut form":                 {map[string][]string{"content-type": {"application/x-www-form-urlencoded"}}, "a=1&b=x", true, result{BodyForm, "a=1&b=x", "", true, `{"a":"1"}`, false}},
		"multipart": {
			map[string][]string{"content-type": {`multipart/form-data; boundary="xx"`}},
			"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n--xx\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.png\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n--xx--\r\n", false,
			result{BodyMultipart, "", "", false, `{"a":"1\r\n2","f":{"filename":"x.png"}}`, true},
		},
		"cut multipart, boundary unknown": {
			nil, "--xx\nContent-Disposition: form-data; name=a\n\n1\n--xx\nContent-Disposition: form-data; name=b\n\n2", true,
			result{BodyMultipart, "", "", true, `{"a":"1"}`, false},
		},
		"XML":     {nil, `<?xml version="1.0"?><order id="7"><item>a &amp; b</item><item>c</item><x:n xmlns:x="u">1</x:n></order>`, false, result{BodyXML, "", "", false, `{"order":{"@id":"7","item":["a & b","c"],"n":"1"}}`, true}},
		"cut XML": {nil, `<order><item>a</item><item>b</it`, true, result{BodyXML, "", "", true, `{"order":{"item":"a"}}`, false}},
		"text":    {nil, "hello", false, result{BodyText, "hello", "", false, "", false}},
		"binary":  {nil, "[Binary Data]", false, result{BodyBinary, "[Binary Data]", "", false, "", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := DecodeBody(tc.headers, tc.text, tc.cut)
			got := result{Kind: b.Kind, Encodings: strings.Join(b.Encodings, ","), Truncated: b.Truncated}
			if tc.want.Text != "" {
				got.Text = b.Text
			}
			got.JSON, got.Whole = b.JSON()
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBombsAreBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size, most int
	}{
		"more than is decoded": {8 << 20, MaxDecodedBody},
		"much out of little":   {300 << 10, ratioRun + ratioRun/8},
	} {
		bomb := inBase64(gzipped(strings.Repeat("a", tc.size)))
		if b := DecodeBody(nil, bomb, false); len(b.Text) > tc.most || !b.Truncated {
			t.Errorf("%s: %d bytes of %d, truncated %v", name, len(b.Text), tc.size, b.Truncated)
		}
		tx := one(t, "Method request headers: {Content-Encoding=gzip}", "Method request body before transformations: "+bomb)
		if !tx.Request.Truncated || tx.Request.Body == bomb || len(tx.Request.Body) > len(bomb) {
			t.Errorf("%s: a body that nobody looked at is passed on", name)
		}
	}
}

// TestSalvageInventsNothing cuts JSON everywhere: what is salvaged is valid, and
// all of it stands in the whole at the same place.
func TestSalvageInventsNothing(t *testing.T) {
	t.Parallel()
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		plain := []*rapid.Generator[any]{
			rapid.Just(any(nil)), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Map(rapid.IntRange(-1000, 1000), func(n int) any { return float64(n) / 4 }),
			rapid.Map(rapid.String(), func(s string) any { return s }),
		}
		if depth > 0 {
			plain = append(plain,
				rapid.Map(rapid.SliceOfN(value(depth-1), 0, 4), func(l []any) any { return l }),
				rapid.Map(rapid.MapOfN(rapid.StringN(0, 4, 8), value(depth-1), 0, 4), func(m map[string]any) any { return m }))
		}
		return rapid.OneOf(plain...)
	}
	var within func(part, whole any) bool
	within = func(part, whole any) bool {
		switch p := part.(type) {
		case map[string]any:
			w, ok := whole.(map[string]any)
			for name, v := range p {
				other, has := w[name]
				ok = ok && has && within(v, other)
			}
			return ok
		case []any:
			w, ok := whole.([]any)
			if !ok || len(p) > len(w) {
				return false
			}
			for i, v := range p {
				if !within(v, w[i]) {
					return false
				}
			}
			return true
		default:
			return cmp.Equal(part, whole)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{"a": value(3).Draw(t, "a"), "b": value(3).Draw(t, "b")}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var whole any
		if err := json.Unmarshal(text, &whole); err != nil {
			t.Fatal(err)
		}
		kept := 0
		for n := range text {
			out := SalvageJSON(string(text[:n]))
			if out == "" {
				continue
			}
			var part any
			if err := json.Unmarshal([]byte(out), &part); err != nil {
				t.Fatalf("%s of %s: %v", out, text[:n], err)
			}
			if !within(part, whole) {
				t.Fatalf("%s of %s is not in the whole", out, text[:n])
			}
			if len(out) < kept {
				t.Fatalf("%s of %s: less than of a shorter one", out, text[:n])
			}
			kept = len(out)
		}
		if got := SalvageJSON(string(text)); got != string(text) {
			t.Fatalf("%s became %s", text, got)
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add("application/json", `{"a":[1,{"b":"c`, true)
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--", false)
	f.Add("text/xml", "<a b='c'><d>e</d></a>", false)
	f.Add("", inBase64(gzipped(`{"a":1}`)), false)
	f.Fuzz(func(t *testing.T, contentType, text string, cut bool) {
		b := DecodeBody(map[string][]string{"content-type": {contentType}}, text, cut)
		if len(b.Text) > max(len(text), MaxDecodedBody) {
			t.Errorf("%d bytes", len(b.Text))
		}
		if out, _ := b.JSON(); out != "" && !json.Valid([]byte(out)) {
			t.Errorf("not JSON: %s", out)
		}
		check(t, restGroup(), "("+rid+") Method request headers: {Content-Type="+contentType+", Content-Encoding=gzip}", "("+rid+") Method request body before transformations: "+text)
	})
}
