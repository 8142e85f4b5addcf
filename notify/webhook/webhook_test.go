package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/webhook"
)

const (
	secret1 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secret2 = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD7a1bOyl6LBg="
	token   = "t0ken-in-the-url"
)

// The example of the Standard Webhooks specification's libraries.
func TestSignatureVector(t *testing.T) {
	t.Parallel()
	key, err := webhook.ParseSecret(secret1)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 0)
	body := []byte(`{"test": 2432232314}`)
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := webhook.Sign([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, other := range map[string]string{
		"id":   webhook.Sign([][]byte{key}, "msg_other", at, body),
		"time": webhook.Sign([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at.Add(time.Second), body),
		"body": webhook.Sign([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{}`)),
	} {
		if other == want {
			t.Errorf("the %s is not signed", name)
		}
	}
}

func TestParseSecretRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!", "whsec_" + strings.Repeat("QUFB", 30)} {
		if _, err := webhook.ParseSecret(s); err == nil || len(s) > 8 && strings.Contains(err.Error(), s) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

// request is what a receiver saw.
type request struct {
	header http.Header
	body   []byte
}

// receiver is an HTTPS endpoint of this machine.
func receiver(t *testing.T, h http.HandlerFunc) (rawURL, caFile string, got chan request) {
	t.Helper()
	got = make(chan request, 10)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- request{r.Header, b}
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(s.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL + "/in?token=" + token, caFile, got
}

func secrets(ss ...string) func() ([]string, error) {
	return func() ([]string, error) { return ss, nil }
}

func open(t *testing.T, o webhook.Options) *webhook.Webhook {
	t.Helper()
	if o.Name == "" {
		o.Name = "siem"
	}
	if o.Secrets == nil {
		o.Secrets = secrets(secret1)
	}
	w, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func notice() notify.Notice {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return notify.Notice{
		ID: "n_1", Kind: "request.created", Title: "Alice asks for <production>", Text: "line\nline",
		Fields:  []notify.Field{{Name: "Why", Value: `"quoted" & more`}},
		Actions: []notify.Action{{ID: notify.Approve, Label: "Approve", Value: "req-1", URL: "https://gatehouse.example.com/requests/1"}, {ID: notify.Open, Label: "Look", URL: "javascript:alert(1)"}},
		Link:    "https://gatehouse.example.com/requests/1", Time: at, Expires: at.Add(time.Hour), Thread: "req-1", Loud: true,
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	rawURL, ca, got := receiver(t, nil)
	now := time.Unix(1767322000, 0)
	w := open(t, webhook.Options{URL: rawURL, CAFile: ca, Secrets: secrets(secret1, secret2), Now: func() time.Time { return now }})
	d := notify.Delivery{Channel: "webhook:siem", Address: "siem", Notice: notice()}
	r, err := w.Send(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != "n_1" {
		t.Errorf("receipt %+v", r)
	}
	req := <-got
	// Verified as a receiver does: id.timestamp.body with either secret.
	stamp, err := strconv.ParseInt(req.header.Get("webhook-timestamp"), 10, 64)
	if err != nil || stamp != now.Unix() {
		t.Errorf("timestamp %d, %v", stamp, err)
	}
	given := strings.Fields(req.header.Get("webhook-signature"))
	if len(given) != 2 {
		t.Fatalf("%d signatures, want one for each secret", len(given))
	}
	for i, s := range []string{secret1, secret2} {
		key, _ := webhook.ParseSecret(s)
		if want := webhook.Sign([][]byte{key}, req.header.Get("webhook-id"), time.Unix(stamp, 0), req.body); given[i] != want {
			t.Errorf("signature %d is %s, want %s", i, given[i], want)
		}
	}
	valid(t, req.body)

	// The same notice again: the same id and bytes.
	if _, err := w.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	again := <-got
	if again.header.Get("webhook-id") != req.header.Get("webhook-id") || !bytes.Equal(again.body, req.body) {
		t.Error("a repeat cannot be told from a new notice")
	}
	if strings.Contains(string(req.body), "javascript:") {
		t.Error("the body has a link that is no web link")
	}
}

// valid checks a body against the published schema.
func valid(t *testing.T, body []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(webhook.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("notice.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("notice.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, body)
	}
	// Every field that is sent is described.
	var sent, described map[string]any
	_ = json.Unmarshal(body, &sent)
	_ = json.Unmarshal(webhook.Schema, &described)
	known := described["properties"].(map[string]any)["data"].(map[string]any)["properties"].(map[string]any)
	for k := range sent["data"].(map[string]any) {
		if known[k] == nil {
			t.Errorf("%s is not in the schema", k)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]notify.Class{
		200: "", 201: "", 202: "", 204: "", 299: "",
		301: notify.Misconfigured, 302: notify.Misconfigured, 307: notify.Misconfigured,
		400: notify.Permanent, 401: notify.Misconfigured, 403: notify.Misconfigured, 404: notify.Misconfigured,
		408: notify.Temporary, 410: notify.Permanent, 413: notify.Permanent, 422: notify.Permanent, 425: notify.Temporary,
		429: notify.Temporary, 500: notify.Temporary, 502: notify.Temporary, 503: notify.Temporary,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			rawURL, ca, got := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.Header().Set("Retry-After", "17")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, r.URL.String()+secret1)
			})
			_, err := open(t, webhook.Options{URL: rawURL, CAFile: ca}).Send(t.Context(), notify.Delivery{Notice: notice()})
			if (err == nil) != (want == "") || err != nil && notify.ClassOf(err) != want {
				t.Fatalf("got %v, want %q", err, want)
			}
			if err != nil {
				if notify.RetryAfter(err) != 17*time.Second {
					t.Errorf("Retry-After is not heard: %v", err)
				}
				if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "whsec_") {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
			if len(got) != 1 {
				t.Errorf("%d requests, want one: redirects are not followed", len(got))
			}
		})
	}
}

// An answer without an end holds nobody and fills no memory.
func TestAnEndlessAnswer(t *testing.T) {
	t.Parallel()
	rawURL, ca, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := open(t, webhook.Options{URL: rawURL, CAFile: ca}).Send(t.Context(), notify.Delivery{Notice: notice()}); err != nil {
		t.Error(err)
	}
}

func TestFailuresToConnect(t *testing.T) {
	t.Parallel()
	rawURL, ca, _ := receiver(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, c := range map[string]struct {
		o    webhook.Options
		want notify.Class
	}{
		"an unknown authority": {webhook.Options{URL: rawURL}, notify.Misconfigured},
		"no answer":            {webhook.Options{URL: rawURL, CAFile: ca, Timeout: 50 * time.Millisecond}, notify.Temporary},
		"nobody there":         {webhook.Options{URL: "https://" + closed.Addr().String() + "/?token=" + token}, notify.Temporary},
		"no TLS":               {webhook.Options{URL: strings.Replace(plain.URL, "http:", "https:", 1) + "/?token=" + token}, notify.Misconfigured},
		"the metadata service": {webhook.Options{URL: "https://169.254.169.254/latest?token=" + token}, notify.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, c.o).Send(t.Context(), notify.Delivery{Notice: notice()})
			if notify.ClassOf(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}

// The secret is read for each request: a rotation needs no restart.
func TestSecretsAreReadEachTime(t *testing.T) {
	t.Parallel()
	rawURL, ca, got := receiver(t, nil)
	now := []string{secret1}
	var broken error
	w := open(t, webhook.Options{URL: rawURL, CAFile: ca, Secrets: func() ([]string, error) { return now, broken }})
	now = []string{secret2}
	if _, err := w.Send(t.Context(), notify.Delivery{Notice: notice()}); err != nil {
		t.Fatal(err)
	}
	req := <-got
	key, _ := webhook.ParseSecret(secret2)
	stamp, _ := strconv.ParseInt(req.header.Get("webhook-timestamp"), 10, 64)
	if req.header.Get("webhook-signature") != webhook.Sign([][]byte{key}, "n_1", time.Unix(stamp, 0), req.body) {
		t.Error("signed with the old secret")
	}
	broken = errors.New("no such file")
	if _, err := w.Send(t.Context(), notify.Delivery{Notice: notice()}); notify.ClassOf(err) != notify.Misconfigured {
		t.Errorf("got %v: an unsigned notice must not be sent", err)
	}
	if len(got) != 0 {
		t.Error("something was sent without a signature")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]webhook.Options{
		"plain text":    {Name: "a", URL: "http://example.com/" + token, Secrets: secrets(secret1)},
		"a password":    {Name: "a", URL: "https://u:" + token + "@example.com/", Secrets: secrets(secret1)},
		"no host":       {Name: "a", URL: "https:///" + token, Secrets: secrets(secret1)},
		"another thing": {Name: "a", URL: "file:///" + token, Secrets: secrets(secret1)},
		"no secret":     {Name: "a", URL: "https://example.com/", Secrets: secrets()},
		"no authority":  {Name: "a", URL: "https://example.com/", Secrets: secrets(secret1), CAFile: "/none"},
	} {
		_, err := webhook.New(o)
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	t.Parallel()
	rawURL, ca, got := receiver(t, nil)
	w := open(t, webhook.Options{URL: rawURL, CAFile: ca})
	seen := map[string]bool{}
	for _, id := range []string{"plain-id_1", "with.dot", "with.dots", "line\r\nbreak", strings.Repeat("a", 500)} {
		d := notify.Delivery{Notice: notice()}
		d.Notice.ID = id
		if _, err := w.Send(context.WithoutCancel(t.Context()), d); err != nil {
			t.Fatal(err)
		}
		head := (<-got).header.Get("webhook-id")
		if head == "" || strings.ContainsAny(head, ". \r\n") || seen[head] {
			t.Errorf("%.20q became %q", id, head)
		}
		seen[head] = true
	}
	if d := cmp.Diff(true, seen["plain-id_1"]); d != "" {
		t.Error("a plain id is kept")
	}
}
