package ingest

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/spool"
)

const (
	// defaultMaxBody is the most that Firehose puts into one request.
	defaultMaxBody = 64 << 20
	// maxExpanded bounds what the records of one request, or invocation, expand to.
	maxExpanded = 256 << 20
	// requestsAtOnce bounds the memory that requests take together.
	requestsAtOnce = 4
	// spoolTimeout is less than the 3 minutes after which Firehose gives up.
	spoolTimeout = 150 * time.Second
	// retryAfter is, in seconds, when to come back to a spool that is full.
	retryAfter = "30"
	// maxAnswered is how many request ids that were acknowledged are remembered.
	maxAnswered = 4096
	maxAccess   = 4096 // bytes of an access key, as Firehose allows
)

// Spool is where pushed events go.
type Spool interface {
	// Append returns nil once every event survives a crash.
	Append(ctx context.Context, batches ...spool.Batch) error
	// Reject keeps what is no log events, as far as there is room.
	Reject(ctx context.Context, why string, data []byte)
}

var _ Spool = (*spool.Spool)(nil)

// FirehoseConfig says how a Firehose endpoint works.
type FirehoseConfig struct {
	Spool Spool
	// AccessKeys are the values of X-Amz-Firehose-Access-Key that are accepted. At
	// least one is needed; a second one lets the key be changed without a gap.
	AccessKeys []string
	// MaxBody bounds a request, before and after gzip; 64 MiB, which is the most that
	// Firehose sends. MaxExpanded bounds what its records expand to; 256 MiB. A
	// request that is larger is answered with 413.
	MaxBody, MaxExpanded int64
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Log may be nil.
	Log *slog.Logger
	// Metrics may be nil: nothing is registered then.
	Metrics prometheus.Registerer
}

// Firehose is the endpoint: an http.Handler that speaks version 1.0 of the HTTP
// endpoint delivery protocol of Amazon Data Firehose. It answers 200 only when all
// events of a request are in the spool; Firehose repeats a request as a whole
// until then, and what was already there is recognised by its eventId.
type Firehose struct {
	spool    Spool
	keys     [][sha256.Size]byte
	body     int64 // MaxBody
	expanded int64 // MaxExpanded
	clock    func() time.Time
	log      *slog.Logger
	slots    chan struct{}
	answered answered
	requests *prometheus.CounterVec
}

// NewFirehose returns the endpoint. It fails without a usable access key: without
// one anybody could push.
func NewFirehose(cfg FirehoseConfig) (*Firehose, error) {
	f := &Firehose{
		spool: cfg.Spool, clock: cfg.Clock, log: cfg.Log, slots: make(chan struct{}, requestsAtOnce),
		body: cfg.MaxBody, expanded: cfg.MaxExpanded,
	}
	if f.body <= 0 {
		f.body = defaultMaxBody
	}
	if f.expanded <= 0 {
		f.expanded = maxExpanded
	}
	if f.clock == nil {
		f.clock = time.Now
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	for _, k := range cfg.AccessKeys {
		if len(k) < 16 || len(k) > maxAccess {
			return nil, fmt.Errorf("an access key has %d characters: it must have 16 to %d", len(k), maxAccess)
		}
		f.keys = append(f.keys, sha256.Sum256([]byte(k)))
	}
	if len(f.keys) == 0 {
		return nil, errors.New("no access key: whoever reaches the endpoint could push")
	}
	f.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Subsystem: "ingest", Name: "requests_total",
		Help: "Requests to the Firehose endpoint by the status of their answer.",
	}, []string{"status"})
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(f.requests); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// refusal is an answer other than 200. The message goes to the sender, so it tells
// nothing that the sender does not know.
type refusal struct {
	status  int
	message string
}

func (e *refusal) Error() string { return e.message }

// firehoseRequest is the body of a request.
type firehoseRequest struct {
	RequestID string `json:"requestId"`
	Timestamp int64  `json:"timestamp"`
	Records   []struct {
		Data string `json:"data"`
	} `json:"records"`
}

// firehoseAnswer is the body of an answer, whether good or bad.
type firehoseAnswer struct {
	RequestID string `json:"requestId"`
	Timestamp int64  `json:"timestamp"`
	Error     string `json:"errorMessage,omitempty"`
}

// ServeHTTP answers one request.
func (f *Firehose) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Amz-Firehose-Request-Id")
	if len(id) > 128 {
		id = id[:128]
	}
	err := f.take(w, r, id)
	status, message := http.StatusOK, ""
	var no *refusal
	switch {
	case err == nil:
	case errors.As(err, &no):
		status, message = no.status, no.message
	case errors.Is(err, spool.ErrFull):
		status, message = http.StatusServiceUnavailable, "no room for more events at the moment"
		w.Header().Set("Retry-After", retryAfter)
	default:
		status, message = http.StatusServiceUnavailable, "the events cannot be kept at the moment"
	}
	f.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	if err != nil {
		f.log.WarnContext(r.Context(), "a Firehose request was not acknowledged",
			slog.String("request_id", id), slog.Int("status", status), slog.String("error", err.Error()))
	}
	body, err := json.Marshal(firehoseAnswer{id, f.clock().UnixMilli(), message})
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// take spools the events of a request. Nil means that all of them are safe.
func (f *Firehose) take(w http.ResponseWriter, r *http.Request, id string) error {
	// The key comes first: nobody else gets anything read.
	if !f.knows(r.Header.Get("X-Amz-Firehose-Access-Key")) {
		return &refusal{http.StatusUnauthorized, "the access key is missing or wrong"}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return &refusal{http.StatusMethodNotAllowed, "only POST is answered"}
	}
	if v := r.Header.Get("X-Amz-Firehose-Protocol-Version"); v != "1.0" {
		return &refusal{http.StatusBadRequest, "X-Amz-Firehose-Protocol-Version must be 1.0"}
	}
	if id == "" {
		return &refusal{http.StatusBadRequest, "X-Amz-Firehose-Request-Id is missing"}
	}
	if f.answered.has(id) {
		return nil // its acknowledgement got lost
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	req, err := f.read(w, r)
	if err != nil {
		return err
	}
	if req.RequestID != id {
		return &refusal{http.StatusBadRequest, "requestId is not that of X-Amz-Firehose-Request-Id"}
	}
	account, region, err := origin(r)
	if err != nil {
		return err
	}
	batches, err := f.decode(r.Context(), req, account, region)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), spoolTimeout)
	defer cancel()
	if err := f.spool.Append(ctx, batches...); err != nil {
		return err
	}
	f.answered.add(id)
	return nil
}

// knows compares in constant time, also over the length of the key.
func (f *Firehose) knows(key string) bool {
	sum := sha256.Sum256([]byte(key))
	known := 0
	for i := range f.keys {
		known |= subtle.ConstantTimeCompare(sum[:], f.keys[i][:])
	}
	return known == 1
}

// read reads the body.
func (f *Firehose) read(w http.ResponseWriter, r *http.Request) (*firehoseRequest, error) {
	tooLarge := &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("a request may have %d MiB", f.body>>20)}
	if r.ContentLength > f.body {
		return nil, tooLarge
	}
	var in io.Reader = http.MaxBytesReader(w, r.Body, f.body)
	left := f.body
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, &refusal{http.StatusBadRequest, "the body is not gzip"}
		}
		in = z
	default:
		return nil, &refusal{http.StatusUnsupportedMediaType, "Content-Encoding must be gzip or absent"}
	}
	req := new(firehoseRequest)
	decoder := json.NewDecoder(&limitedReader{in, &left})
	err := decoder.Decode(req)
	var many *http.MaxBytesError
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, &many):
		return nil, tooLarge
	case err != nil:
		return nil, &refusal{http.StatusBadRequest, "the body is not the JSON of a Firehose request"}
	}
	return req, nil
}

// origin tells where the log groups are: CloudWatch Logs delivers to a stream of
// its own region. The stream's common attributes "region" and "account" say
// otherwise where a stream collects from elsewhere.
func origin(r *http.Request) (account, region string, err error) {
	arn := strings.SplitN(r.Header.Get("X-Amz-Firehose-Source-Arn"), ":", 6)
	if len(arn) != 6 || arn[0] != "arn" || arn[2] != "firehose" || arn[3] == "" {
		return "", "", &refusal{http.StatusBadRequest, "X-Amz-Firehose-Source-Arn is not the ARN of a Firehose stream"}
	}
	region, account = arn[3], arn[4]
	text := r.Header.Get("X-Amz-Firehose-Common-Attributes")
	if text == "" {
		return account, region, nil
	}
	var common struct {
		Attributes map[string]string `json:"commonAttributes"`
	}
	if json.Unmarshal([]byte(text), &common) != nil {
		return "", "", &refusal{http.StatusBadRequest, "X-Amz-Firehose-Common-Attributes is not JSON with commonAttributes"}
	}
	if v := common.Attributes["region"]; v != "" {
		region = v
	}
	if v := common.Attributes["account"]; v != "" {
		account = v
	}
	return account, region, nil
}

// decode reads all records. One that cannot be read is kept aside and does not
// hold up the others: Firehose would send the whole request again and again.
func (f *Firehose) decode(ctx context.Context, req *firehoseRequest, account, region string) ([]spool.Batch, error) {
	d := &Decoder{Account: account, Region: region, Left: f.expanded}
	var batches []spool.Batch
	for i := range req.Records {
		text := req.Records[i].Data
		req.Records[i].Data = ""
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			f.spool.Reject(ctx, "the record is not Base64", []byte(text))
			continue
		}
		got, err := d.Decode(data)
		batches = append(batches, got...)
		if errors.Is(err, errTooLarge) && len(req.Records) > 1 {
			// Firehose sends smaller requests if told so by the size of its buffer.
			return nil, &refusal{
				http.StatusRequestEntityTooLarge,
				fmt.Sprintf("the records expand to more than %d MiB; make the buffer of the stream smaller", f.expanded>>20),
			}
		}
		if err != nil {
			f.spool.Reject(ctx, err.Error(), data)
		}
	}
	return merge(batches), nil
}

// merge joins the batches of one group, so that each group is one blob.
func merge(batches []spool.Batch) []spool.Batch {
	at := make(map[string]int)
	out := batches[:0]
	for _, b := range batches {
		key := b.Group.Key()
		if i, ok := at[key]; ok {
			out[i].Events = append(out[i].Events, b.Events...)
			continue
		}
		at[key] = len(out)
		out = append(out, b)
	}
	return out
}

// answered remembers the last requests that were acknowledged.
type answered struct {
	mu    sync.Mutex
	known map[string]bool
	order []string
}

func (a *answered) has(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known[id]
}

func (a *answered) add(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = make(map[string]bool)
	}
	if a.known[id] {
		return
	}
	if len(a.order) == maxAnswered {
		delete(a.known, a.order[0])
		a.order = a.order[1:]
	}
	a.known[id] = true
	a.order = append(a.order, id)
}
