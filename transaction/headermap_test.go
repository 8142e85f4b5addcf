package transaction

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitHeaders(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string // name, value, …
		cut  bool
	}{
		"empty": {"{}", nil, false},
		"lists": {
			"{Accept=application/json, text/plain, */*, X-Forwarded-For=62.254.81.74, 52.46.38.85, Date=Tue, 26 Feb 2019 10:00:00 GMT, Accept-Encoding=gzip, deflate, br}",
			[]string{"accept", "application/json, text/plain, */*", "x-forwarded-for", "62.254.81.74, 52.46.38.85", "date", "Tue, 26 Feb 2019 10:00:00 GMT", "accept-encoding", "gzip, deflate, br"},
			false,
		},
		"allowed headers before one of them": {
			"{Access-Control-Allow-Headers=X-Shop-Token, X-Shop-Id, X-Amzn-Trace-Id=Root=1-a;Sampled=0}",
			[]string{"access-control-allow-headers", "X-Shop-Token, X-Shop-Id", "x-amzn-trace-id", "Root=1-a;Sampled=0"},
			false,
		},
		"directives": {
			"{Cache-Control=private, max-age=0, Keep-Alive=timeout=5, max=10, Accept=text/html, q=0.8, Via=1.1 a}",
			[]string{"cache-control", "private, max-age=0", "keep-alive", "timeout=5, max=10", "accept", "text/html, q=0.8", "via", "1.1 a"},
			false,
		},
		"challenge": {
			`{WWW-Authenticate=Bearer realm="a, b", error="invalid", error_description="x, y=z", Content-Length=0}`,
			[]string{"www-authenticate", `Bearer realm="a, b", error="invalid", error_description="x, y=z"`, "content-length", "0"},
			false,
		},
		"signature": {
			"{Authorization=AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host;x-amz-date, Signature=abc, Host=h}",
			[]string{"authorization", "AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host;x-amz-date, Signature=abc", "host", "h"},
			false,
		},
		"user agent": {
			"{User-Agent=Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1, x-custom=1}",
			[]string{"user-agent", "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1", "x-custom", "1"},
			false,
		},
		"parentheses": {
			"{User-Agent=a (b=c, d=e), host=h}",
			[]string{"user-agent", "a (b=c, d=e)", "host", "h"},
			false,
		},
		"folded cookies": {
			"{Set-Cookie=AWSALB=x; Expires=Wed, 12 Oct 2022 07:28:00 GMT; Path=/,AWSALBCORS=y; Path=/; SameSite=None; Secure, XSRF-TOKEN=z; Path=/, Server=nginx}",
			[]string{"set-cookie", "AWSALB=x; Expires=Wed, 12 Oct 2022 07:28:00 GMT; Path=/,AWSALBCORS=y; Path=/; SameSite=None; Secure, XSRF-TOKEN=z; Path=/", "server", "nginx"},
			false,
		},
		"trace state": {
			"{tracestate=congo=t61, rojo=00f067, traceparent=00-a-b-01}",
			[]string{"tracestate", "congo=t61, rojo=00f067", "traceparent", "00-a-b-01"},
			false,
		},
		"forwarded": {
			"{Forwarded=for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http, host=example.com, Host=real}",
			[]string{"forwarded", "for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http, host=example.com", "host", "real"},
			false,
		},
		"twice, any case": {
			"{X-A=1, x-a=2}", []string{"x-a", "1", "x-a", "2"}, false,
		},
		"lower-case custom names":     {"{accept=*/*, apiversion=3, host=h}", []string{"accept", "*/*", "apiversion", "3", "host", "h"}, false},
		"empty value":                 {"{X-A=, X-B=1}", []string{"x-a", "", "x-b", "1"}, false},
		"cut in a name":               {"{Accept=*/*, X-Forw [TRUNCATED]", []string{"accept", "*/*"}, true},
		"cut in a value":              {"{Accept=*/*, Host=exam [TRUNCATED]", []string{"accept", "*/*", "host", "exam"}, true},
		"cut in a character":          {"{Accept=*/*, X-Name=J\xc3 [TRUNCATED]", []string{"accept", "*/*", "x-name", "J"}, true},
		"cut after a comma":           {"{Accept=*/*, [TRUNCATED]", []string{"accept", "*/*"}, true},
		"cut in the first name":       {"{Acce [TRUNCATED]", nil, true},
		"closing brace lost":          {"{Host=h", []string{"host", "h"}, true},
		"not a map":                   {"no map at all", nil, true},
		"nothing":                     {"", nil, false},
		"value that ends with braces": {"{X-Json={\"a\":{\"b\":1}}}", []string{"x-json", `{"a":{"b":1}}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pairs, cut := splitHeaders(nil, tc.text, &headerOrder{})
			var got []string
			for _, p := range pairs {
				got = append(got, p.name, p.value)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || cut != tc.cut {
				t.Errorf("cut %v, headers (-want +got):\n%s", cut, diff)
			}
		})
	}
}

func TestSplitQuery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"{}":                                nil,
		"{q=koa-oop}":                       {"q", "koa-oop"},
		"{q=a, b, c=d=e, filter[name]=x y}": {"q", "a, b", "c", "d=e", "filter[name]", "x y"},
		"{empty=, q=1}":                     {"empty", "", "q", "1"},
		"{url=https://a/?x=1, y z=2}":       {"url", "https://a/?x=1, y z=2"},
		"{q=a, b=c [TRUNCATED]":             {"q", "a", "b", "c"},
		"{q=a, longna [TRUNCATED]":          {"q", "a"},
	} {
		pairs, _ := splitQuery(nil, text)
		var got []string
		for _, p := range pairs {
			got = append(got, p.name, p.value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestHeaderThatCameTwice(t *testing.T) {
	t.Parallel()
	tx := one(t, "Method request headers: {X-A=1, X-B=2, x-a=3, X-A=4}")
	want := map[string][]string{"x-a": {"1", "3", "4"}, "x-b": {"2"}}
	if diff := cmp.Diff(want, tx.Request.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}
