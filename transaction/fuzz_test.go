package transaction

import (
	"encoding/json"
	"testing"
)

// check runs a message through everything, and looks at what must always hold.
func check(t *testing.T, g Group, messages ...string) {
	t.Helper()
	calls, counts := assemble(g, Options{}, messages...)
	events := 0
	for _, c := range calls {
		for _, p := range c.Parts {
			events += len(p.Events)
		}
		text := c.Transaction.AppendJSON(nil)
		if !json.Valid(text) {
			t.Errorf("not JSON: %q", text)
		}
		if string(text) != asEncodingJSON(t, c.Transaction) {
			t.Errorf("not what encoding/json writes: %q", text)
		}
	}
	if events != counts["held"] {
		t.Errorf("%d events in calls, %v", events, counts)
	}
}

func FuzzExecutionLine(f *testing.F) {
	for _, text := range append(authorizerPhase, callLines...) {
		f.Add("(" + rid + ") " + text)
	}
	f.Add("(" + rid + ") Method request headers: {A=b, C=d [TRUNCATED]")
	f.Add("(x")
	f.Fuzz(func(t *testing.T, message string) {
		check(t, restGroup(), message, "("+rid+") Starting execution for request: "+rid, message)
		check(t, restGroup(), "("+rid+") "+message, "("+rid+") Starting authorizer: a", "("+rid+") "+message)
	})
}

func FuzzHeaderMap(f *testing.F) {
	f.Add("{Accept=text/html, q=0.8, Host=h}")
	f.Add("{Set-Cookie=a=b; Path=/, c=d; Secure, X=1 [TRUNCATED]")
	f.Add(`{A="x, B=c", password=x}`)
	f.Fuzz(func(t *testing.T, text string) {
		inner, _ := mapText(text)
		pairs, _ := splitHeaders(nil, text, &headerOrder{})
		size := 0
		for _, p := range pairs {
			size += len(p.name) + 1 + len(p.value)
			if p.name == "" {
				t.Error("a header without a name")
			}
		}
		if size > len(inner)*3 { // lower case may be longer in UTF-8, but names are ASCII
			t.Errorf("%d bytes of headers from %d", size, len(inner))
		}
		splitQuery(nil, text)
		check(t, restGroup(), "("+rid+") Method request headers: "+text, "("+rid+") Method request query string: "+text)
	})
}

func FuzzAccessFormat(f *testing.F) {
	events, _ := accessCorpus(1, false)
	f.Add(clfFormat, events[0].Message)
	events, _ = accessCorpus(1, true)
	f.Add(jsonFormat, events[0].Message)
	f.Add(`$context.requestId$context.status-$context.path`, rid+"200-/x")
	f.Add(`{"a":{"b":"$context.requestId $context.path"}}`, `{"a":{"b":"x /y"}}`)
	f.Fuzz(func(t *testing.T, format, message string) {
		if _, err := CompileAccessFormat(format); err != nil {
			return
		}
		check(t, Group{Name: "access", AccessFormat: format}, message, message)
	})
}

func FuzzTolerantJSON(f *testing.F) {
	f.Add(`{"requestId":"` + rid + `","userAgent":"a "b", "c":"d","status":200,"error":{"message":""Forbidden""},"x":-,"headers":{"A":"b"}}`)
	f.Add(`{"requestId":"x","message":"(x) Method completed with status: 200"}`)
	f.Add(`{"requestId":"x","path":"\u00e4\ud83d\ude00\q","status":`)
	f.Fuzz(func(t *testing.T, message string) {
		check(t, Group{Name: "access"}, message, "{"+message, message)
	})
}
