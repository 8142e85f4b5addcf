package kafka

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func noise(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"
	random := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[random.IntN(len(letters))]
	}
	return string(b)
}

// limited makes the topic refuse record batches over n bytes.
func (w *world) limited(n int) {
	w.t.Helper()
	if err := w.cluster.DeleteTopic(topic); err != nil {
		w.t.Fatal(err)
	}
	if err := w.cluster.CreateTopic(topic, 1, map[string]string{"max.message.bytes": fmt.Sprint(n)}); err != nil {
		w.t.Fatal(err)
	}
}

func TestRecordTooLarge(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Native, AktoTraffic} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			w := setup(t, func(c *Config) { c.Format = format })
			w.limited(60_000)
			batch, _ := calls(5)
			secret := noise(500_000)
			batch[2].Request = &transaction.Request{Body: `{"a":1,"b":"` + secret + `"}`}
			batch[2].Visibility = transaction.Full
			if err := w.sink.Deliver(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			value := w.records(5)[2].Value
			if format == Native {
				var got transaction.Transaction
				if err := json.Unmarshal(value, &got); err != nil {
					t.Fatal(err)
				}
				if got.ID != batch[2].ID || !got.Request.Truncated || got.Visibility != transaction.Truncated || len(got.Request.Body) != 32<<10 {
					t.Errorf("got %s, truncated %v, visibility %s, body of %d", got.ID, got.Request.Truncated, got.Visibility, len(got.Request.Body))
				}
			} else {
				got, err := consume(value)
				if err != nil {
					t.Fatal(err)
				}
				if got.requestPayload != `{"a":1}` || got.requestHeaders[payloadTruncated] != "true" {
					t.Errorf("payload %.100q, headers %v", got.requestPayload, got.requestHeaders)
				}
			}
			if batch[2].Request.Truncated || len(batch[2].Request.Body) < 500_000 {
				t.Error("the caller's transaction was changed")
			}
			if got := w.counter("poisoned_total", actionShrunk); got != 1 {
				t.Errorf("poisoned_total{shrunk} = %v", got)
			}
			if strings.Contains(w.log.String(), secret[:20]) || !strings.Contains(w.log.String(), batch[2].ID) {
				t.Errorf("log %.500s", w.log)
			}
		})
	}
}

func TestRecordTooLargeEvenWithoutBodies(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.limited(20_000)
	batch, ids := calls(3)
	batch[1].Request = &transaction.Request{Headers: map[string][]string{"x": {noise(100_000)}}, Body: "{}"}
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids, w.ids(3)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if got := w.counter("poisoned_total", actionMetadata); got != 1 {
		t.Errorf("poisoned_total{metadata} = %v", got)
	}
}

func TestRecordRefusedInEveryForm(t *testing.T) {
	t.Parallel()
	letters := &sinktest.Letters{}
	w := setup(t, func(c *Config) { c.Compression, c.DeadLetters = "none", letters })
	poison := []byte("/poison")
	w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1,
		When: func(r kmsg.Request) bool {
			return bytes.Contains(r.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records, poison)
		},
	})
	batch, ids := calls(6)
	batch[3].Path = "/poison"
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Delete(ids, 3, 4), w.ids(5)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if got := w.counter("poisoned_total", actionDeadLetter); got != 1 {
		t.Errorf("poisoned_total{dead_letter} = %v", got)
	}
	all := letters.All()
	if len(all) != 1 || all[0].Transaction != batch[3] || all[0].Reason != deadletter.Refused || all[0].Message == "" {
		t.Errorf("dead letters %+v", all)
	}
}

// Without a store for dead letters the sink waits: a call is not dropped.
func TestRefusedWithoutStore(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.Compression = "none" })
	fault := w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1,
		When: func(r kmsg.Request) bool {
			return bytes.Contains(r.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records, []byte("/poison"))
		},
	})
	batch, ids := calls(3)
	batch[1].Path = "/poison"
	for range 2 {
		var failed *DeliveryError
		if err := w.sink.Deliver(t.Context(), batch); !errors.As(err, &failed) || !strings.Contains(failed.Mend(), "sqlite") {
			t.Fatalf("err = %v", err)
		}
	}
	fault.Remove()
	w.deliver(batch)
	if diff := cmp.Diff(ids, w.ids(3)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// batch_bytes is more than the topic takes: the sink finds its own measure.
func TestBatchTooLarge(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.Compression = "none" })
	w.limited(100_000)
	batch, ids := calls(100)
	for _, c := range batch {
		c.Response.Body = noise(4000)
	}
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids, w.ids(100)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if got := w.counter("poisoned_total", actionShrunk); got != 0 {
		t.Errorf("%v records were cut that fit", got)
	}
	if w.sink.batchBytes >= DefaultBatchBytes || w.sink.batchBytes < minBatchBytes {
		t.Errorf("batch bytes %d", w.sink.batchBytes)
	}
}
