package gateway_test

import (
	"strings"
	"testing"
)

func TestSizeLimits(t *testing.T) {
	t.Parallel()
	const rest = "      - {method: GET, path: \"/{proxy+}\", authorization: AUTH, integration: {type: MOCK}}\n      - {method: POST, path: /p, integration: {type: MOCK}}\n"
	open := newWorld(t, restAPI(strings.Replace(rest, "AUTH", "NONE", 1), stagesProd))
	signed := newWorld(t, restAPI(strings.Replace(rest, "AUTH", "AWS_IAM", 1), stagesProd))
	http := newWorld(t, httpAPI("      - {method: ANY, path: \"/{proxy+}\", integration: {type: HTTP_PROXY, uri: \"BACKEND/\"}}\n", ""))
	http.backend.answers("/", "ok")
	long := func(n int) string { return strings.Repeat("x", n) }
	const (
		uri     = `{"message":"Request URI too long"}`
		headers = `{"message":"HTTP header is larger than 10240 bytes."}`
	)
	for name, c := range map[string]struct {
		w            *world
		method, path string
		body         string
		header       string
		status       int
		errorType    string
		want         string
	}{
		"a long URL":                       {open, "GET", "/prod/" + long(10200), "", "", 200, "", ""},
		"a URL that is too long":           {open, "GET", "/prod/" + long(10300), "", "", 414, "RequestTooLongException", uri},
		"a query that is too long":         {open, "GET", "/prod/a?" + long(10300), "", "", 414, "RequestTooLongException", uri},
		"large headers":                    {open, "GET", "/prod/a", "", long(10000), 200, "", ""},
		"headers that are too large":       {open, "GET", "/prod/a", "", long(10300), 431, "RequestTooLongException", headers},
		"a long ARN with authorization":    {signed, "GET", "/prod/" + long(1600), "", "", 414, "RequestTooLongException", uri},
		"a shorter ARN with authorization": {signed, "GET", "/prod/" + long(1400), "", "", 403, "MissingAuthenticationTokenException", missingToken},
		"a body that is too large":         {open, "POST", "/prod/p", long(10<<20 + 1), "", 413, "RequestTooLongException", `{"message":"Request Too Long"}`},
		"HTTP: a URL that is too long":     {http, "GET", "/" + long(10300), "", "", 414, "", `{"message":"URI Too Long"}`},
		"HTTP: line and headers together":  {http, "GET", "/" + long(6000), "", long(6000), 431, "", `{"message":"Request Header Fields Too Large"}`},
		"HTTP: a body that is too large":   {http, "POST", "/p", long(10<<20 + 1), "", 413, "", `{"message":"Request Entity Too Large"}`},
		"HTTP: all within":                 {http, "GET", "/" + long(4000), "", long(5000), 200, "", "ok"},
	} {
		var h []string
		if c.header != "" {
			h = []string{"X-Long", c.header}
		}
		r := c.w.call(c.method, c.path, c.body, h...)
		if r.status != c.status || r.body != c.want || r.header.Get("X-Amzn-Errortype") != c.errorType {
			t.Errorf("%s: %d %s %.80s", name, r.status, r.header.Get("X-Amzn-Errortype"), r.body)
		}
	}
}
