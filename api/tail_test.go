package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/tail"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// follow opens a stream and reads it line by line.
func (b *bundle) follow(ctx context.Context, path string, headers ...string) (*http.Response, *bufio.Scanner) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = res.Body.Close() })
	return res, bufio.NewScanner(res.Body)
}

func TestTailAsEvents(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, lines := b.follow(ctx, "/api/v1/tail?status=5xx&q=orders")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("answers %d, %v", res.StatusCode, res.Header)
	}
	b.world.Tail.Observe([]*transaction.Transaction{
		{ID: "a", Path: "/orders", Response: &transaction.Response{Status: 200}},
		{ID: "b", Path: "/orders", Response: &transaction.Response{Status: 502}, Visibility: transaction.Full},
	})
	var got []string
	for len(got) < 2 && lines.Scan() {
		got = append(got, lines.Text())
	}
	if strings.Join(got, "|") != `event: call|data: {"id":"b","path":"/orders","response":{"status":502},"visibility":"full"}` {
		t.Errorf("it sends %q, %v", got, lines.Err())
	}
}

func TestTailAsLines(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	w.Tail = tail.New(tail.Options{Keep: 3})
	b := setup(t, w)
	w.Tail.Observe([]*transaction.Transaction{{ID: "1"}, {ID: "2"}})
	res, lines := b.follow(t.Context(), "/api/v1/tail?kept=true", "Accept", "application/x-ndjson")
	if res.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("headers are %v", res.Header)
	}
	scan := func() (out struct {
		ID      string `json:"id"`
		Skipped int    `json:"skipped"`
	},
	) {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &out); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		return out
	}
	if a, b := scan(), scan(); a.ID != "1" || b.ID != "2" {
		t.Errorf("the kept calls are %+v, %+v", a, b)
	}
	w.Tail.Observe([]*transaction.Transaction{{ID: "3"}, {ID: "4"}, {ID: "5"}, {ID: "6"}})
	if s, c := scan(), scan(); s.Skipped != 1 || c.ID != "4" {
		t.Errorf("after too many it sends %+v, %+v", s, c)
	}
}

func TestTailRefuses(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	w.Tail = tail.New(tail.Options{MaxReaders: 1})
	b := setup(t, w)
	for path, want := range map[string]int{"/api/v1/tail?status=x": 422, "/api/v1/tail?strange=1": 422, "/api/v1/tail?format=xml": 422} {
		if res, text := b.get(path); res.StatusCode != want {
			t.Errorf("%s answers %d: %s", path, res.StatusCode, text)
		}
	}
	b.follow(t.Context(), "/api/v1/tail")
	if res, text := b.get("/api/v1/tail"); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("one too many gets %d: %s", res.StatusCode, text)
	}
	w = apitest.Rich(now)
	w.Tail = nil
	if res, text := setup(t, w).get("/api/v1/tail"); res.StatusCode != http.StatusNotFound || !strings.Contains(text, "collects nothing") {
		t.Errorf("without a collector it answers %d: %s", res.StatusCode, text)
	}
}

func (b *bundle) post(path, body string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(text)
}

func TestPolicyEvaluateAnswersAsTheCommandDoes(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Empty(now))
	const kase = `{"request": {"principal": "arn:aws:iam::444455556666:role/web", "action": "execute-api:Invoke", "resource": "arn:aws:execute-api:eu-west-1:111122223333:a1b2/prod/GET/", "context": {"aws:SourceIp": "203.0.113.9"}},
 "identity_policies": [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}}]}`
	res, text := b.post("/api/v1/policy/evaluate", kase)
	c, err := iam.ParseCase([]byte(kase))
	if err != nil {
		t.Fatal(err)
	}
	var r iam.Result
	c.Evaluate(&r)
	if want := string(r.AppendJSON(nil)) + "\n"; res.StatusCode != http.StatusOK || text != want || !strings.Contains(text, `"missing":["resource"]`) {
		t.Errorf("answers %d %s, want %s", res.StatusCode, text, want)
	}
	res, text = b.post("/api/v1/policy/evaluate", "{\"request\": {\n\"principal\": \"alice\", \"action\": \"s3:GetObject\", \"resource\": \"*\"}}")
	var problem struct {
		Status int       `json:"status"`
		Detail string    `json:"detail"`
		Error  iam.Error `json:"error"`
	}
	if err := json.Unmarshal([]byte(text), &problem); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if res.StatusCode != http.StatusUnprocessableEntity || problem.Status != http.StatusUnprocessableEntity || res.Header.Get("Content-Type") != "application/problem+json" ||
		problem.Error.Path != "request.principal" || problem.Error.Line != 2 || problem.Error.Column != 14 || !strings.Contains(problem.Detail, "is not a principal") {
		t.Errorf("a broken case answers %d %v %s", res.StatusCode, res.Header, text)
	}
	for body, want := range map[string]int{"": 400, "{": 422, `{"request":{}, "strange": 1}`: 422, strings.Repeat(" ", 200<<10) + kase: 200, strings.Repeat(" ", 2<<20): 413} {
		if res, text := b.post("/api/v1/policy/evaluate", body); res.StatusCode != want {
			t.Errorf("%.30q answers %d, want %d: %s", body, res.StatusCode, want, text)
		}
	}
}
