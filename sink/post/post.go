package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// levelTrace is below debug.
const levelTrace = slog.LevelDebug - 4

// Sink posts transactions to one endpoint. See the package's documentation for
// what it promises. It is written for one caller at a time.
type Sink struct {
	config  Config
	name    string
	client  *http.Client
	tokens  *tokens // nil: none is sent
	metrics *metrics
	log     *slog.Logger

	// through are the transactions of a batch that failed which need no sending:
	// the collector calls again with the same ones.
	through map[*transaction.Transaction]struct{}

	batchBytes int // Config.BatchBytes, or less if the endpoint takes less
	batchCount int // Config.BatchCount, or less while calls are refused unnamed

	failures  int       // in a row
	notBefore time.Time // when the endpoint may be asked again

	body       []byte // reused
	compressed bytes.Buffer
	gzip       *gzip.Writer

	closed    atomic.Bool
	closeOnce sync.Once
}

var _ collect.Sink = (*Sink)(nil)

// Open makes a Sink. It opens no connection: an endpoint that is down now may be
// up when there is something to deliver. Check finds out.
func Open(config Config) (*Sink, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("%s sink: %w", config.Kind, err)
	}
	tlsConfig, err := config.Trust.Config()
	if err != nil {
		return nil, fmt.Errorf("%s sink: %w", config.Kind, err)
	}
	s := &Sink{
		config: config, log: config.Logger, name: config.Name(),
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                 http.ProxyFromEnvironment,
				DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
				TLSClientConfig:       tlsConfig,
				TLSHandshakeTimeout:   10 * time.Second,
				ForceAttemptHTTP2:     true,
				MaxIdleConnsPerHost:   2,
				IdleConnTimeout:       90 * time.Second,
				ExpectContinueTimeout: time.Second,
				// What is asked for is a few hundred bytes; a compressed answer could
				// unpack to anything.
				DisableCompression:     true,
				MaxResponseHeaderBytes: 64 << 10,
			},
			Timeout:       config.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		through:    map[*transaction.Transaction]struct{}{},
		batchBytes: config.BatchBytes, batchCount: config.BatchCount,
	}
	if s.metrics, err = newMetrics(config.Metrics, s.name); err != nil {
		return nil, fmt.Errorf("opening sink %s: registering its metrics (is it named twice?): %w", s.name, err)
	}
	if config.Credentials != nil {
		s.tokens = newTokens(*config.Credentials, s.client, config.Now, s.metrics.tokens.Inc)
	}
	return s, nil
}

// Name is the endpoint without its query.
func (s *Sink) Name() string { return s.name }

// Position is empty: what the endpoint accepted cannot be taken back.
func (s *Sink) Position() string { return "" }

// Restore does nothing.
func (s *Sink) Restore(context.Context, string) error { return nil }

// Close frees the connections; nothing is in flight between two Delivers.
func (s *Sink) Close(context.Context) error {
	s.closeOnce.Do(func() {
		s.closed.Store(true)
		s.client.CloseIdleConnections()
		s.metrics.unregister()
	})
	return nil
}

// Check gets a token, if one is needed, and posts an empty batch. It must not run
// beside a Deliver.
func (s *Sink) Check(ctx context.Context) error {
	a, err := s.exchange(ctx, s.config.Form.AppendBody(nil, nil, nil))
	if err == nil {
		// An endpoint may refuse a batch without calls: it was reached all the same.
		if c := s.config.Form.Class(a.status); c == Accepted || c == Content {
			return nil
		}
		err = s.refusal(a)
	}
	class, mend := classify(err)
	status := 0
	if e, ok := errors.AsType[*statusError](err); ok {
		class, mend, status = s.config.Form.Class(e.status), mendOf(e.status), e.status
	}
	return &DeliveryError{Sink: s.name, Class: class, Status: status, Err: err, mend: mend}
}

// Deliver returns nil when every transaction that has a place in the form was
// accepted or is a dead letter. It returns a *DeliveryError on the first failure
// that asks to wait, and the next Deliver then waits first.
func (s *Sink) Deliver(ctx context.Context, batch []*transaction.Transaction) error {
	if s.closed.Load() {
		return fmt.Errorf("%s sink: deliver after close", s.config.Kind)
	}
	if err := s.pause(ctx); err != nil {
		return s.failed(ctx, batch, err)
	}
	for from := 0; from < len(batch); {
		var c chunk
		c, from = s.fill(batch, from)
		if err := s.deliverChunk(ctx, c); err != nil {
			return s.failed(ctx, batch, err)
		}
	}
	clear(s.through)
	return nil
}

// pause waits until the endpoint may be asked again.
func (s *Sink) pause(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wait := s.notBefore.Sub(s.config.Now())
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// chunk is what one request has.
type chunk struct {
	transactions []*transaction.Transaction
	items        [][]byte
	bytes        int
}

func (c chunk) part(from, to int) chunk {
	p := chunk{transactions: c.transactions[from:to], items: c.items[from:to]}
	for _, item := range p.items {
		p.bytes += len(item)
	}
	return p
}

// fill makes a chunk of what of the batch still has to go, from an index on, and
// returns where the next one begins.
func (s *Sink) fill(batch []*transaction.Transaction, from int) (chunk, int) {
	var c chunk
	for ; from < len(batch) && len(c.items) < s.batchCount; from++ {
		t := batch[from]
		if _, ok := s.through[t]; ok {
			continue
		}
		if why := s.config.Form.Skip(t); why != "" {
			s.metrics.skipped.WithLabelValues(why).Inc()
			s.through[t] = struct{}{}
			continue
		}
		item := s.config.Form.AppendItem(make([]byte, 0, sizeHint(t)), t)
		if len(c.items) > 0 && c.bytes+len(item) > s.batchBytes {
			break // t begins the next chunk
		}
		c.transactions, c.items, c.bytes = append(c.transactions, t), append(c.items, item), c.bytes+len(item)
	}
	return c, from
}

// sizeHint guesses the size of an item from above, so that encoding it seldom
// needs a second allocation.
func sizeHint(t *transaction.Transaction) int {
	n := 1024
	if t.Request != nil {
		n += len(t.Request.Body) + 64*len(t.Request.Headers)
	}
	if t.Response != nil {
		n += len(t.Response.Body) + 64*len(t.Response.Headers)
	}
	return n + n/4
}

// failed notes when to ask again and returns the error for the collector.
func (s *Sink) failed(ctx context.Context, batch []*transaction.Transaction, err error) error {
	e := &DeliveryError{Sink: s.name, Total: len(batch), Err: err}
	for _, t := range batch {
		if _, ok := s.through[t]; !ok {
			e.Open++
		}
	}
	var status *statusError
	var mender interface{ Mend() string }
	var after time.Duration
	switch {
	case ctx.Err() != nil:
		e.Class, e.Err = Stopped, ctx.Err()
		return e
	case errors.As(err, &status):
		e.Class, e.Status, e.mend, after = s.config.Form.Class(status.status), status.status, mendOf(status.status), status.after
		if e.Class == Accepted { // of a part
			e.Class = Later
		}
	case errors.As(err, &mender): // of the dead letters: they are full, or there are none
		e.Class, e.mend = Misconfigured, mender.Mend()
	default:
		e.Class, e.mend = classify(err)
		if token, ok := errors.AsType[*tokenError](err); ok {
			after = token.after
		}
	}
	s.failures++
	s.notBefore = s.config.Now().Add(max(after, s.backoff()))
	return e
}

// backoff is the wait after failures in a row: half of it certain, half by
// chance, so that those who failed together do not come back together.
func (s *Sink) backoff() time.Duration {
	d := min(s.config.Backoff<<min(s.failures-1, 16), maxBackoff)
	return d/2 + rand.N(d/2+1) //nolint:gosec // the jitter of a wait is no secret
}

// answer is what came back.
type answer struct {
	status int
	body   []byte
	after  time.Duration
}

// exchange posts a body, with a token that is renewed once if it is refused.
func (s *Sink) exchange(ctx context.Context, body []byte) (*answer, error) {
	token := ""
	for renewed := false; ; renewed = true {
		if s.tokens != nil {
			var err error
			if token, err = s.tokens.get(ctx); err != nil {
				return nil, err
			}
		}
		a, err := s.post(ctx, body, token)
		if err != nil {
			return nil, err
		}
		if s.config.Form.Class(a.status) != Unauthorized || s.tokens == nil {
			return a, nil
		}
		s.tokens.drop(token)
		if renewed {
			return a, nil
		}
	}
}

// post makes one request.
func (s *Sink) post(ctx context.Context, body []byte, token string) (*answer, error) {
	sent := body
	if !s.config.Plain {
		var err error
		if sent, err = s.compress(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.URL.String(), bytes.NewReader(sent))
	if err != nil {
		return nil, bare(err)
	}
	for name, value := range s.config.Header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", s.config.Form.ContentType())
	req.Header.Set("User-Agent", "gatehouse")
	if !s.config.Plain {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	start := s.config.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		class, _ := classify(err)
		s.metrics.requests.WithLabelValues(string(class)).Inc()
		return nil, bare(err)
	}
	defer func() { _ = resp.Body.Close() }()
	s.metrics.bytes.Add(float64(len(sent)))
	class := s.config.Form.Class(resp.StatusCode)
	s.metrics.requests.WithLabelValues(string(class)).Inc()
	// An endpoint that echoes what it was given may do so.
	read, more, err := readBounded(resp.Body, 1<<20+2*int64(len(body)))
	if err != nil {
		// The connection broke in the answer: whether it names calls is not known.
		return nil, fmt.Errorf("reading the answer: %w", bare(err))
	}
	if more && class == Accepted {
		return nil, errTooLong
	}
	s.log.Log(ctx, levelTrace, "posted a batch", "sink", s.name, "status", resp.StatusCode,
		"bytes", len(body), "sent", len(sent), "took", s.config.Now().Sub(start))
	return &answer{status: resp.StatusCode, body: read, after: retryAfter(resp.Header, s.config.Now())}, nil
}

func (s *Sink) compress(body []byte) ([]byte, error) {
	s.compressed.Reset()
	if s.gzip == nil {
		z, err := gzip.NewWriterLevel(&s.compressed, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		s.gzip = z
	} else {
		s.gzip.Reset(&s.compressed)
	}
	_, err := s.gzip.Write(body)
	if err = errors.Join(err, s.gzip.Close()); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return s.compressed.Bytes(), nil
}

// refusal is an answer as an error.
func (s *Sink) refusal(a *answer) *statusError {
	return &statusError{status: a.status, text: s.quote(string(a.body[:min(len(a.body), 4<<10)])), after: a.after}
}

// quote makes what the endpoint said fit for a message: short, printable, and
// without the secrets that it may have repeated.
func (s *Sink) quote(text string) string {
	secrets := make([]string, 0, len(s.config.Header)+2)
	for _, v := range s.config.Header {
		secrets = append(secrets, v)
	}
	if s.tokens != nil {
		secrets = append(secrets, s.tokens.secrets()...)
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, transaction.Redacted)
		}
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}
