package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// event is what Gatehouse's demo functions read of the events that API Gateway
// gives them: proxy events of both payload versions, WebSocket and authorizer
// events.
type event struct {
	HTTPMethod            string            `json:"httpMethod"`
	Resource              string            `json:"resource"`
	RouteKey              string            `json:"routeKey"`
	PathParameters        map[string]string `json:"pathParameters"`
	QueryStringParameters map[string]string `json:"queryStringParameters"`
	Body                  string            `json:"body"`
	AuthorizationToken    string            `json:"authorizationToken"`
	RequestContext        struct {
		EventType    string `json:"eventType"`
		ConnectionID string `json:"connectionId"`
	} `json:"requestContext"`
}

// route is the route that the event came by, such as "GET /orders/{orderId}".
func (e *event) route() string {
	if e.RouteKey != "" {
		return e.RouteKey
	}
	return e.HTTPMethod + " " + e.Resource
}

// response is the answer of a function behind a proxy integration.
type response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body,omitempty"`
}

// answer is a response in JSON.
func answer(status int, body string, headers ...string) response {
	r := response{StatusCode: status, Body: body, Headers: map[string]string{"Content-Type": "application/json;charset=utf-8"}}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Headers[headers[i]] = headers[i+1]
	}
	return r
}

// function is a Lambda function. What it returns is its result as JSON; an error
// is one that it raised, unless it is that of ctx.
type function func(ctx context.Context, e *event) (any, error)

// backends are all that stands behind the APIs: Lambda's Invoke operation for the
// functions, by name, and other hosts.
type backends struct {
	clock     *clock
	dice      *dice
	functions map[string]function
	hosts     map[string]http.Handler
}

var _ http.RoundTripper = (*backends)(nil)

// maxEvent bounds what a backend reads: API Gateway's largest body, in base64 and
// with headers.
const maxEvent = 16 << 20

// RoundTrip answers a request of the gateway's.
func (b *backends) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, maxEvent)); err != nil {
			return nil, fmt.Errorf("reading a request: %w", err)
		}
	}
	if strings.HasPrefix(r.URL.Host, "lambda.") {
		return b.invoke(r, body)
	}
	h := b.hosts[r.URL.Host]
	if h == nil {
		return nil, fmt.Errorf("there is no host %s", r.URL.Host)
	}
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	out := &recorder{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(out, in)
	if err := out.failed; err != nil {
		return nil, err
	}
	return out.response(r), nil
}

// invoke runs a function as Lambda's Invoke operation does.
func (b *backends) invoke(r *http.Request, body []byte) (*http.Response, error) {
	arn := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/2015-03-31/functions/"), "/invocations")
	out := &recorder{header: http.Header{"Content-Type": {"application/json"}, "X-Amzn-Requestid": {uuid.NewString()}}, status: http.StatusOK}
	f := b.functions[arn[strings.LastIndexByte(arn, ':')+1:]]
	if f == nil {
		out.status = http.StatusNotFound
		return out.response(r), nil
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("reading the event for %s: %w", arn, err)
	}
	result, err := f(r.Context(), &e)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		out.header.Set("X-Amz-Function-Error", "Unhandled")
		result = map[string]string{"errorType": "Error", "errorMessage": err.Error()}
	}
	text, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encoding the result of %s: %w", arn, err)
	}
	out.body.Write(text)
	return out.response(r), nil
}

// work is the time that a backend needs. Now and then it needs more than API
// Gateway waits, and then the call is over.
func (b *backends) work(ctx context.Context) error {
	d := 8*time.Millisecond + min(b.dice.about(35*time.Millisecond), backendTimeout/2)
	if b.dice.oneIn(150) {
		d = 2 * backendTimeout
	}
	return b.clock.pass(ctx, d.Round(time.Millisecond))
}

// host makes a handler of a host that works as the functions do.
func (b *backends) host(answer func(*http.Request) response) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.work(r.Context()); err != nil {
			if out, ok := w.(*recorder); ok {
				out.failed = err
			}
			return
		}
		a := answer(r)
		for name, v := range a.Headers {
			w.Header().Set(name, v)
		}
		w.WriteHeader(a.StatusCode)
		_, _ = io.WriteString(w, a.Body) // a recorder takes all
	})
}

// recorder keeps what a handler answers.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	failed error // the host gave no answer at all
}

// Header is the header of the answer.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write keeps a part of the body.
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

func (r *recorder) response(to *http.Request) *http.Response {
	return &http.Response{
		Status: http.StatusText(r.status), StatusCode: r.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header, Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()), Request: to,
	}
}
