package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/notify"
)

const (
	// DefaultTimeout bounds one request, from connecting to the end of the answer.
	DefaultTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, so that the connection can be used
	// again; nothing of it is kept.
	maxAnswer = 64 << 10
)

// Options are what a Webhook is made of. Name, URL and Secrets are needed.
type Options struct {
	// Name is its name in the settings.
	Name string
	// URL may hold a token; it is shown nowhere.
	URL string
	// Secrets gives the signing secrets, each as ParseSecret reads it. It is asked
	// before each request, so that a secret in a file can be changed while Gatehouse
	// runs.
	Secrets func() ([]string, error)
	// CAFile has the certificate authorities to trust instead of the system's.
	CAFile  string
	Timeout time.Duration    // 0: DefaultTimeout
	Now     func() time.Time // nil: time.Now
}

// Webhook sends notices to one URL. It is safe for concurrent use.
type Webhook struct {
	channel string
	url     string
	secrets func() ([]string, error)
	client  *http.Client
	now     func() time.Time
}

var _ notify.Sender = (*Webhook)(nil)

// New makes a Webhook. It connects to nothing.
func New(o Options) (*Webhook, error) {
	if o.Name == "" || o.Secrets == nil {
		return nil, errors.New("webhook: no name or no signing secret")
	}
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("webhook %s: the URL: %w", o.Name, err)
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &Webhook{channel: notify.WebhookPrefix + o.Name, url: u.String(), secrets: o.Secrets, now: o.Now}
	if w.client, err = newClient(u, o.CAFile, o.Timeout); err != nil {
		return nil, fmt.Errorf("webhook %s: %w", o.Name, err)
	}
	if _, err := w.keys(); err != nil {
		return nil, fmt.Errorf("webhook %s: %w", o.Name, err)
	}
	return w, nil
}

func (w *Webhook) keys() ([][]byte, error) {
	texts, err := w.secrets()
	if err != nil {
		return nil, fmt.Errorf("reading the signing secret: %w", err)
	}
	if len(texts) == 0 {
		return nil, errors.New("there is no signing secret")
	}
	keys := make([][]byte, 0, len(texts))
	for _, t := range texts {
		k, err := ParseSecret(t)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// messageID is a notice's id, or a digest of it if it has characters that the
// header or the signed text has another use for.
func messageID(id string) string {
	if len(id) <= 128 && id != "" && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "msg_" + hex.EncodeToString(sum[:16])
}

// Send sends one request. Any 2xx status means that the notice was taken.
func (w *Webhook) Send(ctx context.Context, d notify.Delivery) (notify.Receipt, error) {
	fail := func(class notify.Class, after time.Duration, err error, hint string) (notify.Receipt, error) {
		return notify.Receipt{}, &notify.Error{Channel: w.channel, Class: class, After: after, Err: err, Hint: hint}
	}
	keys, err := w.keys()
	if err != nil {
		return fail(notify.Misconfigured, 0, err, "mend notify_webhook_secrets or the file that it is read from")
	}
	content, err := encode(&d.Notice)
	if err != nil {
		return fail(notify.Permanent, 0, fmt.Errorf("writing the notice: %w", err), "")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(content))
	if err != nil {
		return fail(notify.Misconfigured, 0, errors.New("the URL cannot be used"), "mend notify_webhooks")
	}
	id, at := messageID(d.Notice.ID), w.now()
	req.Header = http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {"Gatehouse"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {strconv.FormatInt(at.Unix(), 10)},
		"Webhook-Signature": {Sign(keys, id, at, content)},
	}
	resp, err := w.client.Do(req)
	if err != nil {
		class, hint := classify(err)
		return fail(class, 0, bare(err), hint)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if resp.StatusCode/100 == 2 {
		return notify.Receipt{ID: id, Time: at}, nil
	}
	class, hint := judge(resp.StatusCode)
	// The answer's text stays out: it may quote what was sent to it.
	return fail(class, notify.ParseRetryAfter(resp.Header, at), fmt.Errorf("the receiver answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)), hint)
}

// judge decides what a status asks for.
func judge(status int) (notify.Class, string) {
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return notify.Temporary, ""
	case status/100 == 3:
		return notify.Misconfigured, "redirects are not followed: give the address that it leads to"
	case status == http.StatusBadRequest, status == http.StatusGone, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return notify.Permanent, "the receiver does not want this notice; take the webhook out of the settings if it is gone"
	default:
		// 401, 403, 404, …: the receiver would take it once it is set up right.
		return notify.Misconfigured, "check the receiver's address and the signing secret on both sides"
	}
}

// classify decides what a failure to get an answer asks for.
func classify(err error) (notify.Class, string) {
	var address *addressError
	var unknownCA x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &address):
		return notify.Misconfigured, "give the address of a receiver on another machine; name localhost itself for one on this"
	case errors.As(err, &unknownCA), errors.As(err, &hostname), errors.As(err, &verify):
		return notify.Misconfigured, "give the receiver's certificate authority with notify_webhook_ca_file, or use the name in its certificate"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return notify.Misconfigured, "the receiver does not speak TLS on this port"
	default:
		return notify.Temporary, ""
	}
}
