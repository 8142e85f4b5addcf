package eks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Where the API groups are.
const (
	coreAPI           = "/api/v1"
	rbacAPI           = "/apis/rbac.authorization.k8s.io/v1"
	authenticationAPI = "/apis/authentication.k8s.io/v1"
	authorizationAPI  = "/apis/authorization.k8s.io/v1"

	rbacGroup = "rbac.authorization.k8s.io"
)

const (
	maxAnswer   = 64 << 20 // bytes of one answer
	maxMessage  = 2 << 10  // of what a target says that is repeated
	pageSize    = 500
	mergePatch  = "application/merge-patch+json"
	partialList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)

// tokens gives the bearer token of a cluster. again is set after the cluster refused
// the last one.
type tokens func(ctx context.Context, again bool) (string, error)

// kube speaks to one Kubernetes API server. It is safe for concurrent use.
type kube struct {
	base    string
	http    *http.Client
	token   tokens
	limit   *rate.Limiter
	timeout time.Duration // of one request
	// unreached is called after a request that nobody answered, if it is set.
	unreached func()
}

// newKube makes a client that trusts the given authority alone, or without one the
// system's.
func newKube(server string, authority []byte, token tokens, limit *rate.Limiter, timeout time.Duration) (*kube, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(authority) > 0 {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(authority) {
			return nil, errors.New("the certificate authority of the cluster holds no certificate")
		}
	}
	return &kube{
		base: strings.TrimRight(server, "/"), token: token, limit: limit, timeout: timeout,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, ForceAttemptHTTP2: true,
				MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
			},
			// An API server does not redirect. Following one would carry the token
			// to wherever it says.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// apiError is what a Kubernetes API server answers in place of what was asked for.
type apiError struct {
	Code    int
	Reason  string
	Message string
	method  string
	path    string
}

// Error says what was asked and what the server said.
func (e *apiError) Error() string {
	what := e.Message
	if what == "" {
		what = http.StatusText(e.Code)
	}
	return fmt.Sprintf("%s %s: the Kubernetes API answered %d: %s", e.method, e.path, e.Code, what)
}

func answered(err error, code int) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.Code == code
}

// reply is an answer's headers, of which the clock check needs the Date.
type reply struct{ header http.Header }

// request is one question to the API server.
type request struct {
	method string
	path   string
	query  url.Values
	kind   string // of the body; empty: application/json
	accept string // empty: application/json
	body   any
	// token stands in the place of the client's own.
	token string
}

// do asks, and decodes the answer into out. A refused token is fetched anew once. A
// server that is asked too much says when to come again, and is obeyed.
func (k *kube) do(ctx context.Context, q request, out any) (reply, error) {
	again := false
	for tries := 1; ; tries++ {
		r, err := k.once(ctx, q, out, again)
		if q.token == "" && !again && answered(err, http.StatusUnauthorized) {
			again = true
			continue
		}
		wait, busy := retryAfter(r, err)
		if !busy || tries >= busyTries {
			return r, err
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return r, err // what it said tells more than a deadline would
		}
		if sleep(ctx, wait) != nil {
			return r, err
		}
	}
}

const (
	// busyTries bounds how often one request is sent to a server that is asked too much,
	// and busyMost how long it is waited for between two.
	busyTries = 4
	busyMost  = 5 * time.Second
)

// retryAfter is when a server that took a request for too much wants it again. Only what
// was surely not done is asked again: a 429, or a 503 that says when.
func retryAfter(r reply, err error) (wait time.Duration, busy bool) {
	text := r.header.Get("Retry-After")
	if !answered(err, http.StatusTooManyRequests) && (!answered(err, http.StatusServiceUnavailable) || text == "") {
		return 0, false
	}
	seconds, bad := strconv.Atoi(text)
	if bad != nil || seconds < 1 {
		seconds = 1
	}
	wait = time.Duration(min(seconds, int(busyMost/time.Second))) * time.Second
	// Not all that were refused together come again together.
	return wait + time.Duration(rand.Int64N(int64(wait/4))), true //nolint:gosec // it spreads waits, nothing rests on it
}

func (k *kube) once(ctx context.Context, q request, out any, again bool) (reply, error) {
	if err := k.limit.Wait(ctx); err != nil {
		return reply{}, fmt.Errorf("%s %s: waiting for the cluster's rate limit: %w", q.method, q.path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	token := q.token
	if token == "" {
		var err error
		if token, err = k.token(ctx, again); err != nil {
			return reply{}, err
		}
	}
	var body io.Reader
	if q.body != nil {
		data, err := json.Marshal(q.body)
		if err != nil {
			return reply{}, fmt.Errorf("%s %s: %w", q.method, q.path, err)
		}
		body = bytes.NewReader(data)
	}
	target := k.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return reply{}, fmt.Errorf("%s %s: %w", q.method, q.path, err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", orElse(q.accept, "application/json"))
	r.Header.Set("User-Agent", "gatehouse")
	if body != nil {
		r.Header.Set("Content-Type", orElse(q.kind, "application/json"))
	}
	answer, err := k.http.Do(r)
	if err != nil {
		if k.unreached != nil {
			k.unreached()
		}
		// A *url.Error tells the URL, which holds no secret: the token is in a header.
		return reply{}, fmt.Errorf("reaching the Kubernetes API: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // what was read is checked
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	got := reply{header: answer.Header}
	switch {
	case err != nil:
		return got, fmt.Errorf("%s %s: reading the answer: %w", q.method, q.path, err)
	case len(data) > maxAnswer:
		return got, fmt.Errorf("%s %s: the answer is longer than %d MiB", q.method, q.path, maxAnswer>>20)
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return got, readError(q, answer, data, token)
	case out == nil:
		return got, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return got, fmt.Errorf("%s %s: the answer is not what the Kubernetes API answers: %w", q.method, q.path, err)
	}
	return got, nil
}

// readError reads a Status. What stands before the API server may answer anything, and
// may repeat what it was sent.
func readError(q request, answer *http.Response, data []byte, token string) error {
	e := &apiError{Code: answer.StatusCode, method: q.method, path: q.path}
	var status struct{ Kind, Reason, Message string }
	if json.Unmarshal(data, &status) == nil && status.Kind == "Status" {
		e.Reason, e.Message = status.Reason, status.Message
	}
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + "…"
	}
	if token != "" {
		e.Message = strings.ReplaceAll(e.Message, token, "[redacted]")
	}
	return e
}

func (k *kube) get(ctx context.Context, path string, out any) error {
	_, err := k.do(ctx, request{method: http.MethodGet, path: path}, out)
	return err
}

func (k *kube) create(ctx context.Context, path string, body, out any) error {
	_, err := k.do(ctx, request{method: http.MethodPost, path: path, body: body}, out)
	return err
}

// patch merges a change into an object. A resourceVersion in it makes the server refuse
// it with 409 where the object is another by now; what the change does not name stays.
func (k *kube) patch(ctx context.Context, path string, body, out any) error {
	_, err := k.do(ctx, request{method: http.MethodPatch, path: path, kind: mergePatch, body: body}, out)
	return err
}

// remove deletes the very object that has the UID, and none that has its name by now.
func (k *kube) remove(ctx context.Context, path, uid string) error {
	_, err := k.do(ctx, request{method: http.MethodDelete, path: path, body: map[string]any{
		"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": map[string]string{"uid": uid},
	}}, nil)
	return err
}

// listAll reads a list page by page and gives each item to add, until that is false.
func listAll[T any](ctx context.Context, k *kube, path, selector string, metadataOnly bool, add func(T) bool) error {
	q := request{method: http.MethodGet, path: path, query: url.Values{"limit": {strconv.Itoa(pageSize)}}}
	if metadataOnly {
		q.accept = partialList
	}
	if selector != "" {
		q.query.Set("labelSelector", selector)
	}
	seen := map[string]bool{}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if _, err := k.do(ctx, q, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			if !add(item) {
				return nil
			}
		}
		token := page.Metadata.Continue
		if token == "" {
			return nil
		}
		if seen[token] {
			return fmt.Errorf("GET %s: the list does not end", path)
		}
		seen[token] = true
		q.query.Set("continue", token)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
