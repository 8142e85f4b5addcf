package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/ingest"
	"github.com/gatehouse-project/gatehouse/spool"
)

const (
	accessKey = "0123456789abcdef0123456789abcdef"
	groupA    = "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"
)

type endpoint struct {
	*ingest.Firehose
	spool *memory
	log   *bytes.Buffer
}

func newEndpoint(tb testing.TB) *endpoint {
	tb.Helper()
	e := &endpoint{spool: &memory{}, log: &bytes.Buffer{}}
	var err error
	e.Firehose, err = ingest.NewFirehose(ingest.FirehoseConfig{
		Spool: e.spool, AccessKeys: []string{"an older key of enough length", accessKey},
		MaxBody: 1 << 20, MaxExpanded: 4 << 20,
		Clock: func() time.Time { return time.UnixMilli(42) }, Log: slog.New(slog.NewTextHandler(e.log, nil)),
		Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// request is a good request; change spoils it.
func request(id string, body []byte, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/firehose", bytes.NewReader(body))
	r.Header.Set("X-Amz-Firehose-Protocol-Version", "1.0")
	r.Header.Set("X-Amz-Firehose-Request-Id", id)
	r.Header.Set("X-Amz-Firehose-Access-Key", accessKey)
	r.Header.Set("X-Amz-Firehose-Source-Arn", "arn:aws:firehose:eu-west-1:111122223333:deliverystream/logs")
	r.Header.Set("Content-Type", "application/json")
	for _, f := range change {
		f(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, value)
	}
}

type answer struct {
	RequestID    string `json:"requestId"`
	Timestamp    int64  `json:"timestamp"`
	ErrorMessage string `json:"errorMessage"`
}

func (e *endpoint) post(tb testing.TB, r *http.Request) (int, answer) {
	tb.Helper()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		tb.Fatalf("the answer is not JSON: %v\n%s", err, w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		tb.Errorf("Content-Type of the answer: %q", ct)
	}
	return w.Code, a
}

// Every form in which a subscription's payload reaches a Firehose endpoint.
func TestFirehoseTakes(t *testing.T) {
	t.Parallel()
	one, two := message(groupA, number(1), number(2)), message(groupA, number(3))
	for name, c := range map[string]struct {
		records  [][]byte
		want     []string
		rejected int
	}{
		"compressed, as CloudWatch Logs sends":  {[][]byte{zipped(one), zipped(two)}, []string{number(1), number(2), number(3)}, 0},
		"decompressed by Firehose":              {[][]byte{one, two}, []string{number(1), number(2), number(3)}, 0},
		"several behind one another":            {[][]byte{append(append([]byte{}, one...), two...)}, []string{number(1), number(2), number(3)}, 0},
		"one a line":                            {[][]byte{append(append(append([]byte{}, one...), '\n'), append(two, '\n')...)}, []string{number(1), number(2), number(3)}, 0},
		"gzip members behind one another":       {[][]byte{zipped(one, two)}, []string{number(1), number(2), number(3)}, 0},
		"control messages":                      {[][]byte{zipped(control()), control()}, nil, 0},
		"no records":                            {nil, nil, 0},
		"broken records do not hold up others":  {[][]byte{[]byte("hello"), zipped(one), zipped(one)[:40], {}, []byte(`{"messageType":"DATA_MESSAGE"}`)}, []string{number(1), number(2)}, 4},
		"what came before the broken part":      {[][]byte{append(append([]byte{}, one...), `{"messageType":`...)}, []string{number(1), number(2)}, 1},
		"messages that Firehose has taken out":  {[][]byte{[]byte("(a) Method completed with status: 200\n")}, nil, 1},
		"a type of message that nobody knows":   {[][]byte{[]byte(`{"messageType":"OTHER","logGroup":"g"}`)}, nil, 1},
		"gzip that holds something else":        {[][]byte{zipped([]byte("\x00\x01\x02"))}, nil, 1},
		"an event without an id":                {[][]byte{[]byte(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"message":"m"}]}`)}, []string{""}, 0},
		"members of the payload of wrong types": {[][]byte{[]byte(`{"messageType":"DATA_MESSAGE","logGroup":7}`)}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, compress := range []bool{false, true} {
				e := newEndpoint(t)
				body := requestBody("id-1", c.records...)
				change := header("Content-Encoding", "")
				if compress {
					body, change = zipped(body), header("Content-Encoding", "gzip")
				}
				status, a := e.post(t, request("id-1", body, change))
				if d := cmp.Diff(answer{RequestID: "id-1", Timestamp: 42}, a); status != 200 || d != "" {
					t.Fatalf("status %d, answer:\n%s", status, d)
				}
				if d := cmp.Diff(c.want, e.spool.ids()); d != "" {
					t.Errorf("events (-want +got):\n%s", d)
				}
				if len(e.spool.rejected) != c.rejected {
					t.Errorf("rejected: %q", e.spool.rejected)
				}
			}
		})
	}
}

func TestFirehoseKnowsWhereGroupsAre(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.post(t, request("1", requestBody("1", message(groupA, number(1)))))
	e.post(t, request("2", requestBody("2", message(groupA, number(2))),
		header("X-Amz-Firehose-Common-Attributes", `{"commonAttributes":{"region":"us-east-2"}}`)))
	for i, region := range []string{"eu-west-1", "us-east-2"} {
		g := e.spool.batches[i].Group
		if g.Account != "111122223333" || g.Region != region || g.Name != groupA {
			t.Errorf("group %d: %+v", i, g)
		}
	}
}

func TestFirehoseRefuses(t *testing.T) {
	t.Parallel()
	good := requestBody("id", message(groupA, number(1)))
	bomb := zipped(bytes.Repeat([]byte(" "), 6<<20))
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		says    string
	}{
		"no key":             {request("id", good, header("X-Amz-Firehose-Access-Key", "")), 401, "access key"},
		"a wrong key":        {request("id", good, header("X-Amz-Firehose-Access-Key", accessKey+"x")), 401, "access key"},
		"a part of the key":  {request("id", good, header("X-Amz-Firehose-Access-Key", accessKey[:16])), 401, "access key"},
		"GET":                {request("id", nil, func(r *http.Request) { r.Method = http.MethodGet }), 405, "POST"},
		"no version":         {request("id", good, header("X-Amz-Firehose-Protocol-Version", "")), 400, "Protocol-Version"},
		"version 2.0":        {request("id", good, header("X-Amz-Firehose-Protocol-Version", "2.0")), 400, "Protocol-Version"},
		"no request id":      {request("", good), 400, "Request-Id"},
		"another request id": {request("other", good), 400, "requestId"},
		"no source":          {request("id", good, header("X-Amz-Firehose-Source-Arn", "")), 400, "Source-Arn"},
		"a strange source":   {request("id", good, header("X-Amz-Firehose-Source-Arn", "arn:aws:s3:::x")), 400, "Source-Arn"},
		"broken attributes":  {request("id", good, header("X-Amz-Firehose-Common-Attributes", "{")), 400, "commonAttributes"},
		"not JSON":           {request("id", []byte("hello")), 400, "JSON"},
		"empty":              {request("id", nil), 400, "JSON"},
		"cut":                {request("id", good[:len(good)-5]), 400, "JSON"},
		"not gzip":           {request("id", good, header("Content-Encoding", "gzip")), 400, "gzip"},
		"broken gzip":        {request("id", zipped(good)[:30], header("Content-Encoding", "gzip")), 400, "JSON"},
		"deflate":            {request("id", good, header("Content-Encoding", "deflate")), 415, "Content-Encoding"},
		"said to be large":   {request("id", good, func(r *http.Request) { r.ContentLength = 2 << 20 }), 413, "1 MiB"},
		"large":              {request("id", bytes.Repeat([]byte(" "), 2<<20), func(r *http.Request) { r.ContentLength = -1 }), 413, "1 MiB"},
		"a large gzip":       {request("id", zipped(bytes.Repeat([]byte(" "), 2<<20)), header("Content-Encoding", "gzip")), 413, "1 MiB"},
		"a bomb in a record": {request("id", requestBody("id", message(groupA, number(1)), bomb)), 413, "4 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t)
			status, a := e.post(t, c.request)
			if status != c.status || !strings.Contains(a.ErrorMessage, c.says) {
				t.Errorf("status %d, %q; want %d with %q", status, a.ErrorMessage, c.status, c.says)
			}
			if e.spool.appends != 0 {
				t.Error("a refused request was spooled")
			}
			if strings.Contains(e.log.String(), accessKey[:16]) || strings.Contains(a.ErrorMessage, accessKey[:16]) {
				t.Errorf("the access key was shown:\n%s", e.log)
			}
		})
	}
}

// Whatever keeps the events from being safe, the sender is told to come again; and
// what was acknowledged once is not spooled a second time.
func TestFirehoseAcknowledgesWhatIsSafe(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	body := requestBody("id", message(groupA, number(1)))
	for _, err := range []error{fmt.Errorf("writing: %w", spool.ErrFull), errors.New("disk /var/lib/secret failed")} {
		e.spool.err = err
		status, a := e.post(t, request("id", body))
		if status != http.StatusServiceUnavailable || a.ErrorMessage == "" || strings.Contains(a.ErrorMessage, "secret") {
			t.Errorf("%v: status %d, %q", err, status, a.ErrorMessage)
		}
	}
	e.spool.err = nil
	for range 3 {
		if status, _ := e.post(t, request("id", body)); status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if got := e.spool.ids(); len(got) != 1 {
		t.Errorf("spooled: %v", got)
	}
}

func TestNewFirehoseNeedsAKey(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{nil, {""}, {"short"}, {strings.Repeat("x", 5000)}} {
		if _, err := ingest.NewFirehose(ingest.FirehoseConfig{Spool: &memory{}, AccessKeys: keys}); err == nil {
			t.Errorf("keys %.20q were accepted", keys)
		}
	}
}

// A request that nobody finishes holds one place and is given up with its client.
func TestFirehoseUnfinished(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	server := httptest.NewServer(e)
	defer server.Close()
	in, out := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = request("id", nil).Header
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	_, _ = out.Write([]byte(`{"requestId":"id","records":[`))
	_ = out.CloseWithError(errors.New("the client is gone"))
	<-done
	if e.spool.appends != 0 {
		t.Error("half a request was spooled")
	}
}

func FuzzFirehose(f *testing.F) {
	f.Add(requestBody("id", zipped(message(groupA, number(1)))), `{"commonAttributes":{"region":"x"}}`, "")
	f.Add([]byte(`{"requestId":"id","records":[{"data":"!"}]}`), "", "gzip")
	f.Add(zipped([]byte(`{"requestId":"id","records":null}`)), "{}", "gzip")
	f.Fuzz(func(t *testing.T, body []byte, attributes, encoding string) {
		e := newEndpoint(t)
		status, a := e.post(t, request("id", body, header("X-Amz-Firehose-Common-Attributes", attributes), header("Content-Encoding", encoding)))
		if a.RequestID != "id" || status == 200 != (a.ErrorMessage == "") {
			t.Errorf("status %d, answer %+v", status, a)
		}
		if status != 200 && e.spool.appends > 0 {
			t.Error("a refused request was spooled")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(zipped(message(groupA, number(1))))
	f.Add(append(message(groupA, number(1)), message(groupA, number(2))...))
	f.Add(control())
	f.Fuzz(func(t *testing.T, record []byte) {
		d := &ingest.Decoder{Left: 1 << 20}
		batches, err := d.Decode(record)
		for _, b := range batches {
			if b.Group.Name == "" || len(b.Events) == 0 {
				t.Errorf("batch %+v, %v", b, err)
			}
		}
		if d.Left < 0 {
			t.Errorf("%d more bytes than allowed were read", -d.Left)
		}
	})
}
