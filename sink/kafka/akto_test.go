package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// consumed is what the consumer makes of a message.
type consumed struct {
	path, query, method, protocol   string
	requestHeaders, responseHeaders map[string]string
	requestPayload, responsePayload string
	status                          int
	time                            int64
	account                         int
	tag                             map[string]string
}

// consume applies the consumer's rules, the stricter of its two versions for
// each: every listed field is there and a JSON string, objects in strings hold
// strings only, numbers parse, the source is of the known ones, and a JSON
// payload that is not closed drops the call.
func consume(message []byte) (*consumed, error) {
	var raw map[string]any
	if err := json.Unmarshal(message, &raw); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	field := map[string]string{}
	for name, value := range raw {
		s, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s is a %T: cannot be cast to a string", name, value)
		}
		field[name] = s
	}
	names := []string{
		"path", "method", "type", "requestHeaders", "responseHeaders", "requestPayload", "responsePayload",
		"statusCode", "status", "time", "ip", "destIp", "akto_account_id", "akto_vxlan_id", "is_pending",
		"source", "direction", "tag",
	}
	if len(field) != len(names) {
		return nil, fmt.Errorf("has %d fields, not %d", len(field), len(names))
	}
	for _, name := range names {
		if _, ok := field[name]; !ok {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	c := &consumed{
		method: field["method"], protocol: field["type"],
		requestPayload: field["requestPayload"], responsePayload: field["responsePayload"],
	}
	c.path, c.query, _ = strings.Cut(field["path"], "?")
	if !strings.HasPrefix(c.path, "/") {
		return nil, fmt.Errorf("path %q", c.path)
	}
	if _, err := url.Parse(field["path"]); err != nil {
		return nil, err
	}
	if c.method == "" || c.method != strings.ToUpper(c.method) {
		return nil, fmt.Errorf("method %q", c.method)
	}
	var err error
	if c.status, err = strconv.Atoi(field["statusCode"]); err != nil {
		return nil, err
	}
	if c.time, err = strconv.ParseInt(field["time"], 10, 32); err != nil || c.time < 0 {
		return nil, fmt.Errorf("time %q", field["time"])
	}
	if c.account, err = strconv.Atoi(field["akto_account_id"]); err != nil {
		return nil, err
	}
	if _, err = strconv.Atoi(field["akto_vxlan_id"]); err != nil {
		return nil, err
	}
	if field["is_pending"] != "false" || field["source"] != "MIRRORING" || field["direction"] != "1" {
		return nil, fmt.Errorf("is_pending %q, source %q, direction %q", field["is_pending"], field["source"], field["direction"])
	}
	for name, to := range map[string]*map[string]string{
		"requestHeaders": &c.requestHeaders, "responseHeaders": &c.responseHeaders, "tag": &c.tag,
	} {
		if err := json.Unmarshal([]byte(field[name]), to); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	contentType, ok := c.requestHeaders["content-type"]
	if !ok || contentType == "application/json" {
		p := strings.TrimFunc(c.requestPayload, func(r rune) bool { return r <= ' ' })
		if strings.HasPrefix(p, "{") && !strings.HasSuffix(p, "}") || strings.HasPrefix(p, "[") && !strings.HasSuffix(p, "]") {
			return nil, errors.New("request payload is cut")
		}
		if p != "" && (p[0] == '{' || p[0] == '[') && !json.Valid([]byte(p)) {
			return nil, errors.New("request payload is broken JSON")
		}
	}
	return c, nil
}

func fixedNow() time.Time { return time.Unix(1_800_000_000, 0) }

func newAkto(config Akto) *aktoEncoder {
	if config.AccountID == "" {
		config.AccountID = defaultAktoAccount
	}
	return &aktoEncoder{config: config, now: fixedNow}
}

func exampleCall() *transaction.Transaction {
	return &transaction.Transaction{
		ID: "0123456789abcdef", Account: "111122223333", Region: "eu-west-1", APIID: "a1b2c3d4e5",
		APIType: transaction.REST, Stage: "prod", Time: 1_750_000_000_123,
		Method: "post", Path: "/pets/7/a b", Protocol: "HTTP/1.1", SourceIP: "203.0.113.9",
		Query: map[string][]string{"z": {"1", "2&3"}, "a b": {"ü"}},
		Request: &transaction.Request{
			Headers: map[string][]string{
				"host": {"api.example.com"}, "content-type": {"application/json"},
				"cookie": {"a=1", "b=2"}, "accept": {"text/html", `"quoted"`},
			},
			Body:      `{"name":"Rex","tags":["big","br`,
			Truncated: true,
		},
		Response: &transaction.Response{
			Status: 201, Headers: map[string][]string{"content-type": {"application/json"}},
			Body: "{\"id\":7}\n",
		},
		Visibility: transaction.Truncated, Complete: true,
	}
}

func TestAktoMessage(t *testing.T) {
	t.Parallel()
	e := newAkto(Akto{Accounts: map[string]string{"111122223333": "1000042"}})
	message, why := e.encode(nil, exampleCall())
	if why != "" {
		t.Fatalf("skipped: %s", why)
	}
	want := `{"path":"/pets/7/a%20b?a%20b=%C3%BC&z=1&z=2%263","method":"POST","type":"HTTP/1.1",` +
		`"requestHeaders":"{\"accept\":\"text/html, \\\"quoted\\\"\",\"content-type\":\"application/json\",\"cookie\":\"a=1; b=2\",\"host\":\"api.example.com\",\"x-akto-payload-truncated\":\"true\"}",` +
		`"requestPayload":"{\"name\":\"Rex\",\"tags\":[\"big\"]}",` +
		`"responseHeaders":"{\"content-type\":\"application/json\"}","responsePayload":"{\"id\":7}",` +
		`"statusCode":"201","status":"Created","time":"1750000000","ip":"203.0.113.9","destIp":"",` +
		`"akto_account_id":"1000042","akto_vxlan_id":"0","is_pending":"false","source":"MIRRORING","direction":"1",` +
		`"tag":"{\"service\":\"aws-api-gateway\",\"account\":\"111122223333\",\"region\":\"eu-west-1\",\"api\":\"a1b2c3d4e5\",\"stage\":\"prod\"}"}`
	if diff := cmp.Diff(want, string(message)); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if _, err := consume(message); err != nil {
		t.Errorf("the consumer would drop it: %v", err)
	}
}

func TestAktoRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config Akto
		change func(*transaction.Transaction)
		skip   skip
		check  func(*consumed) error
	}{
		"host from the access record": {
			change: func(c *transaction.Transaction) { delete(c.Request.Headers, "host"); c.Host = "h.example.com" },
			check:  func(c *consumed) error { return same("h.example.com", c.requestHeaders["host"]) },
		},
		"host made up from the API": {
			change: func(c *transaction.Transaction) { c.Request = nil },
			check: func(c *consumed) error {
				return same("a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", c.requestHeaders["host"])
			},
		},
		"host in China": {
			change: func(c *transaction.Transaction) { c.Request, c.Region = nil, "cn-north-1" },
			check: func(c *consumed) error {
				return same("a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn", c.requestHeaders["host"])
			},
		},
		"WebSocket message": {
			change: func(c *transaction.Transaction) {
				c.APIType, c.Path, c.Method, c.Route, c.EventType = transaction.WebSocket, "", "", "sendMessage", "MESSAGE"
			},
			check: func(c *consumed) error {
				return same("WEBSOCKET MESSAGE /sendMessage", c.protocol+" "+c.method+" "+c.path)
			},
		},
		"WebSocket connect without an event type, failed": {
			config: Akto{DropErrors: true},
			change: func(c *transaction.Transaction) {
				c.APIType, c.Path, c.Method, c.Route, c.Response.Status = transaction.WebSocket, "", "", "$connect", 403
			},
			check: func(c *consumed) error {
				return same("WEBSOCKET CONNECT /$connect", c.protocol+" "+c.method+" "+c.path)
			},
		},
		"error status sent": {
			change: func(c *transaction.Transaction) { c.Response.Status = 404 },
			check:  func(c *consumed) error { return same("404", strconv.Itoa(c.status)) },
		},
		"error status dropped": {
			config: Akto{DropErrors: true}, skip: skipErrorStatus,
			change: func(c *transaction.Transaction) { c.Response.Status = 404 },
		},
		"found is kept": {
			config: Akto{DropErrors: true},
			change: func(c *transaction.Transaction) { c.Response.Status = 302 },
		},
		"no status":      {change: func(c *transaction.Transaction) { c.Response.Status = 0 }, skip: skipNoStatus},
		"no response":    {change: func(c *transaction.Transaction) { c.Response = nil }, skip: skipNoStatus},
		"no path":        {change: func(c *transaction.Transaction) { c.Path = "" }, skip: skipNoPath},
		"no method":      {change: func(c *transaction.Transaction) { c.Method = "" }, skip: skipNoMethod},
		"time too large": {change: func(c *transaction.Transaction) { c.Time = 1 << 60 }, check: sentNow},
		"no time":        {change: func(c *transaction.Transaction) { c.Time = 0 }, check: sentNow},
		"question mark in the path": {
			change: func(c *transaction.Transaction) { c.Path, c.Query = "/a?b#c%2Fd%", nil },
			check:  func(c *consumed) error { return same("/a%3Fb%23c%2Fd%25", c.path+c.query) },
		},
		"text that begins with a bracket": {
			change: func(c *transaction.Transaction) {
				c.Request.Headers["content-type"] = []string{"text/plain"}
				c.Request.Body, c.Request.Truncated = "{not json", false
			},
			check: func(c *consumed) error { return same("{not json", c.requestPayload) },
		},
		"nothing to save, no content type": {
			change: func(c *transaction.Transaction) {
				delete(c.Request.Headers, "content-type")
				c.Request.Body, c.Request.Truncated = "{x", false
			},
			check: func(c *consumed) error {
				return same("{} true", c.requestPayload+" "+c.requestHeaders[payloadTruncated])
			},
		},
		"caller forges the mark": {
			change: func(c *transaction.Transaction) { c.Request.Headers[payloadTruncated] = []string{"false"} },
			check:  func(c *consumed) error { return same("true", c.requestHeaders[payloadTruncated]) },
		},
		"redacted values stay": {
			change: func(c *transaction.Transaction) {
				c.Request.Body = `{"password":"` + transaction.Redacted + `","n":1`
			},
			check: func(c *consumed) error { return same(`{"password":"[redacted]"}`, c.requestPayload) },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := exampleCall()
			test.change(call)
			message, why := newAkto(test.config).encode(nil, call)
			if why != test.skip {
				t.Fatalf("skip = %q, want %q", why, test.skip)
			}
			if why != "" {
				if len(message) != 0 {
					t.Errorf("skipped and yet wrote %q", message)
				}
				return
			}
			c, err := consume(message)
			if err != nil {
				t.Fatalf("the consumer would drop %s: %v", message, err)
			}
			if test.check != nil {
				if err := test.check(c); err != nil {
					t.Errorf("%s: %v", message, err)
				}
			}
		})
	}
}

func same(want, got string) error {
	if want != got {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

func sentNow(c *consumed) error {
	return same(strconv.FormatInt(fixedNow().Unix(), 10), strconv.FormatInt(c.time, 10))
}

// anyCall draws transactions that no log would give, too.
func anyCall() *rapid.Generator[*transaction.Transaction] {
	text := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "/", "GET", "a/b?c=d#e", "{", "[", `{"a":1`, `{"a":[1,{"b":"x`, "\xff\xfe", "\x0b{x", "{}\n", `"\\`, "100%", "HTTP/2.0"}),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	name := rapid.SampledFrom([]string{"host", "content-type", "cookie", "x", "Ä", "\xff", "", payloadTruncated})
	value := rapid.OneOf(text, rapid.SampledFrom([]string{"application/json", "text/plain", "application/json; charset=utf-8"}))
	headers := rapid.MapOfN(name, rapid.SliceOfN(value, 0, 3), 0, 5)
	return rapid.Custom(func(t *rapid.T) *transaction.Transaction {
		c := &transaction.Transaction{
			ID: text.Draw(t, "id"), Account: text.Draw(t, "account"), Region: text.Draw(t, "region"),
			APIID: text.Draw(t, "api"), Stage: text.Draw(t, "stage"),
			APIType: rapid.SampledFrom([]transaction.APIType{"", transaction.REST, transaction.HTTP, transaction.WebSocket}).Draw(t, "type"),
			Time:    transaction.Time(rapid.Int64().Draw(t, "time")), Method: text.Draw(t, "method"),
			Path: text.Draw(t, "path"), Route: text.Draw(t, "route"), Query: headers.Draw(t, "query"),
			Host: text.Draw(t, "host"), Protocol: text.Draw(t, "protocol"), SourceIP: text.Draw(t, "ip"),
			EventType: text.Draw(t, "event"),
		}
		if rapid.Bool().Draw(t, "has request") {
			c.Request = &transaction.Request{
				Headers: headers.Draw(t, "request headers"), Body: text.Draw(t, "request body"),
				Truncated: rapid.Bool().Draw(t, "cut"),
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "has response") > 0 {
			c.Response = &transaction.Response{
				Status:  rapid.OneOf(rapid.IntRange(100, 599), rapid.Int()).Draw(t, "status"),
				Headers: headers.Draw(t, "response headers"), Body: text.Draw(t, "response body"),
				Truncated: rapid.Bool().Draw(t, "response cut"),
			}
		}
		return c
	})
}

func TestAktoAlwaysConsumed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		call := anyCall().Draw(t, "call")
		config := Akto{DropErrors: rapid.Bool().Draw(t, "drop")}
		message, why := newAkto(config).encode(nil, call)
		if why != "" {
			return
		}
		c, err := consume(message)
		if err != nil {
			t.Fatalf("the consumer would drop %s: %v", message, err)
		}
		if c.status != call.Response.Status {
			t.Fatalf("status %d, want %d", c.status, call.Response.Status)
		}
		if config.DropErrors && c.protocol != "WEBSOCKET" && !aktoKeeps(c.status) {
			t.Fatalf("status %d was to be dropped", c.status)
		}
	})
}

func TestAktoQueryRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		query := rapid.MapOfN(rapid.String(), rapid.SliceOfN(rapid.String(), 1, 3), 0, 4).Draw(t, "query")
		call := exampleCall()
		call.Query = query
		message, _ := newAkto(Akto{}).encode(nil, call)
		c, err := consume(message)
		if err != nil {
			t.Fatal(err)
		}
		got, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(url.Values(query), got); diff != "" {
			t.Fatalf("query %q (-want +got):\n%s", c.query, diff)
		}
	})
}

func BenchmarkAkto(b *testing.B) {
	call := exampleCall()
	call.Response.Body = `{"items":[` + strings.Repeat(`{"id":123,"category":"book","title":"A \"quoted\" title"},`, 20) + `{"id":1`
	call.Response.Truncated = true
	e := newAkto(Akto{})
	var buffer []byte
	buffer, _ = e.encode(buffer[:0], call)
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	for b.Loop() {
		buffer, _ = e.encode(buffer[:0], call)
	}
}
