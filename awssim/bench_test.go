package awssim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const benchMessage = `(3f0c5a52-5a3e-4b0f-9f5e-000000000000) Method request headers: {Accept="*/*", Host=x}`

// benchSim is a Sim whose group "g" holds n events of eight streams.
func benchSim(n int) (sim *awssim.Sim, key awssim.Credentials) {
	sim = awssim.New(awssim.Options{})
	a := sim.Account(orders)
	logs := a.Region(region).Logs()
	batch := make([]awssim.LogEvent, 12)
	for i := 0; i < n; i += len(batch) {
		for j := range batch {
			batch[j] = awssim.LogEvent{Timestamp: 1_700_000_000_000 + int64(i+j)/10, Message: benchMessage}
		}
		logs.Put("g", fmt.Sprint("stream-", i%8), batch...)
	}
	return sim, a.AddAccessKey("admin")
}

func logsRequest(b *testing.B, key awssim.Credentials, operation, body string) *http.Request {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	sign(b, r, key, "logs", region)
	return r
}

// BenchmarkFilterLogEvents reads one page out of the middle of groups of
// growing size: a page costs its own size, whatever the group's.
func BenchmarkFilterLogEvents(b *testing.B) {
	for _, group := range []int{20_000, 200_000, 1_200_000} {
		sim, key := benchSim(group)
		for _, limit := range []int{100, 10_000} {
			b.Run(fmt.Sprintf("group=%d/page=%d", group, limit), func(b *testing.B) {
				body := fmt.Sprintf(`{"logGroupName":"g","limit":%d,"startTime":%d}`, limit, 1_700_000_000_000+int64(group)/20)
				var w discard
				for b.Loop() {
					w = discard{header: http.Header{}}
					sim.Handler().ServeHTTP(&w, logsRequest(b, key, "FilterLogEvents", body))
				}
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
				b.SetBytes(int64(w.bytes))
				b.ReportMetric(float64(limit)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// discard is a response that is counted and thrown away.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

// BenchmarkPut puts calls of 12 events, in order and with every tenth call a
// second late.
func BenchmarkPut(b *testing.B) {
	for _, late := range []bool{false, true} {
		b.Run(fmt.Sprintf("late=%t", late), func(b *testing.B) {
			sim := awssim.New(awssim.Options{Retention: time.Hour})
			logs := sim.Account(orders).Region(region).Logs()
			batch := make([]awssim.LogEvent, 12)
			now := time.Now().UnixMilli()
			b.ReportAllocs()
			i := int64(0)
			for b.Loop() {
				ts := now + i/10
				if late && i%10 == 0 {
					ts -= 1000
				}
				for j := range batch {
					batch[j] = awssim.LogEvent{Timestamp: ts, Message: benchMessage}
				}
				logs.Put("g", "stream", batch...)
				i++
			}
			b.ReportMetric(12*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkPutLogEvents takes batches of 1,000 events over the wire form.
func BenchmarkPutLogEvents(b *testing.B) {
	sim := awssim.New(awssim.Options{Retention: time.Second})
	a := sim.Account(orders)
	a.Region(region).Logs().Put("g", "s")
	key := a.AddAccessKey("admin")
	type event struct {
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	events := make([]event, 1000)
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now().UnixMilli()
		for i := range events {
			events[i] = event{now, benchMessage}
		}
		body, err := json.Marshal(map[string]any{"logGroupName": "g", "logStreamName": "s", "logEvents": events})
		if err != nil {
			b.Fatal(err)
		}
		r := logsRequest(b, key, "PutLogEvents", string(body))
		w := discard{header: http.Header{}}
		sim.Handler().ServeHTTP(&w, r)
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
