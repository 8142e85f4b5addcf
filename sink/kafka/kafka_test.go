package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestNativeRecord(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	before := time.Now().Add(-time.Second)
	if err := w.sink.Deliver(t.Context(), []*transaction.Transaction{call(1)}); err != nil {
		t.Fatal(err)
	}
	r := w.records(1)[0]
	if diff := cmp.Diff("111122223333/eu-west-1/api1/prod", string(r.Key)); diff != "" {
		t.Errorf("key:\n%s", diff)
	}
	if diff := cmp.Diff(string(call(1).AppendJSON(nil)), string(r.Value)); diff != "" {
		t.Errorf("value:\n%s", diff)
	}
	if diff := cmp.Diff([]kgo.RecordHeader{{Key: "content-type", Value: []byte("application/json")}}, r.Headers); diff != "" {
		t.Errorf("headers:\n%s", diff)
	}
	if r.Timestamp.Before(before) {
		t.Errorf("timestamp %s: not the time of sending", r.Timestamp)
	}
	if got := w.counter("records_total", ""); got != 1 {
		t.Errorf("records_total = %v", got)
	}
	if got := w.counter("bytes_total", ""); got != float64(len(r.Key)+len(r.Value)) {
		t.Errorf("bytes_total = %v", got)
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	size := len(appendKey(nil, call(0))) + len(call(0).AppendJSON(nil))
	tests := map[string]struct {
		change func(*Config)
		want   int64
	}{
		"one":   {func(*Config) {}, 1},
		"count": {func(c *Config) { c.BatchCount = 30 }, 4},
		"bytes": {func(c *Config) { c.BatchBytes = 10*size + 20 }, 10},
		"time": {func(c *Config) {
			// Each look at the clock finds a tenth of a second gone.
			var looks atomic.Int64
			c.BatchTime = time.Second
			c.Now = func() time.Time { return time.UnixMilli(100 * looks.Add(1)) }
		}, 10},
		"a record over the size goes alone": {func(c *Config) { c.BatchBytes = size - 40 }, 100},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, test.change)
			requests := w.produces()
			batch, ids := calls(100)
			for i := range 10 { // ids and paths of one length, so that sizes are equal
				batch[i].Path = fmt.Sprintf("/pets/%02d", i)
			}
			if err := w.sink.Deliver(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if got := requests.Load(); got != test.want {
				t.Errorf("%d produce requests, want %d", got, test.want)
			}
			if diff := cmp.Diff(ids, w.ids(100)); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEmptyBatch(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	if err := w.sink.Deliver(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestAktoSkipsAreCounted(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.Format, c.Akto.DropErrors = AktoTraffic, true })
	batch, _ := calls(4)
	batch[0].Response = nil
	batch[1].Path = ""
	batch[2].Response.Status = 500
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	r := w.records(1)[0]
	if _, err := consume(r.Value); err != nil {
		t.Error(err)
	}
	if len(r.Headers) != 0 || string(r.Key) != "111122223333/eu-west-1/api0/prod" {
		t.Errorf("record %q with headers %v", r.Key, r.Headers)
	}
	for _, reason := range []skip{skipNoStatus, skipNoPath, skipErrorStatus} {
		if got := w.counter("skipped_total", string(reason)); got != 1 {
			t.Errorf("skipped_total{%s} = %v", reason, got)
		}
	}
}

// A partition fails for good in the middle of a batch: the retry sends what is
// left and nothing twice, and the calls of one API stay in order.
func TestRetrySendsOnlyTheRest(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.BatchCount = 10 })
	requests := map[kmsg.Request]bool{} // When is asked several times a request
	w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: 1,
		When: func(r kmsg.Request) bool { requests[r] = true; return len(requests) == 4 },
	})
	batch, ids := calls(100)
	err := w.sink.Deliver(t.Context(), batch)
	var failed *DeliveryError
	if !errors.As(err, &failed) || !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatalf("err = %v", err)
	}
	if failed.Failed != 70 || failed.Total != 100 || failed.InDoubt != 0 || !strings.Contains(err.Error(), "70 of 100") {
		t.Errorf("err = %v (%+v)", err, failed)
	}
	if !strings.Contains(failed.Mend(), "grant Write") {
		t.Errorf("mend = %q", failed.Mend())
	}
	if got := w.counter("failures_total", string(classConfig)); got != 1 {
		t.Errorf("failures_total{config} = %v", got)
	}
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids, w.ids(100)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	// The same batch once more is a new batch: what was acknowledged before
	// the success is forgotten.
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	w.records(200)
}

func TestLeaderMoves(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.BatchCount = 10 }, kfake.NumBrokers(3), kfake.SeedTopics(3, topic))
	var n atomic.Int64
	w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 5,
		When: func(kmsg.Request) bool { return n.Add(1)%2 == 0 },
	})
	batch, ids := calls(100)
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	got := w.ids(100)
	slices.Sort(got)
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// The answer to a produce request gets lost, the records do not. The client
// must ask again under the same sequence numbers, in this Deliver or the next.
func TestLostAnswerDoublesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.BatchCount = 10; c.DeliveryTimeout = 50 * time.Millisecond })
	w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 3})
	batch, ids := calls(50)
	w.deliver(batch)
	if diff := cmp.Diff(ids, w.ids(50)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// deliver does what the collector does: the same batch until it is through.
func (w *world) deliver(batch []*transaction.Transaction) (failures int) {
	w.t.Helper()
	until := time.Now().Add(30 * time.Second)
	for {
		err := w.sink.Deliver(w.t.Context(), batch)
		if err == nil {
			return failures
		}
		failures++
		if time.Now().After(until) {
			w.t.Fatalf("still failing: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// All brokers are gone for a while: Deliver says so in time, nothing is given
// up, and the sink needs no restart when they are back.
func TestBrokersGone(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	w := setup(t, func(c *Config) { c.DeliveryTimeout = 200 * time.Millisecond; c.BatchCount = 10 })
	w.cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		if down.Load() {
			return nil, errors.New("connection cut"), true
		}
		return nil, nil, false
	})
	first, firstIDs := calls(20)
	if err := w.sink.Deliver(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	second, _ := calls(60)
	second = second[20:]
	for range 3 {
		start := time.Now()
		err := w.sink.Deliver(t.Context(), second)
		var failed *DeliveryError
		if !errors.As(err, &failed) || failed.Failed != 40 {
			t.Fatalf("err = %v", err)
		}
		if waited := time.Since(start); waited > 5*time.Second {
			t.Errorf("Deliver took %s", waited)
		}
	}
	if n := w.sink.client.BufferedProduceRecords(); n > 10 {
		t.Errorf("%d records are with the client: more than a chunk", n)
	}
	down.Store(false)
	w.deliver(second)
	_, all := calls(60)
	if diff := cmp.Diff(append(firstIDs, all[20:]...), w.ids(60)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// The client needs longer than a Deliver waits to find out that the topic is
// missing: a later Deliver tells.
func TestUnknownTopicIsToldLate(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.Topic = "missing"; c.DeliveryTimeout = 300 * time.Millisecond })
	batch, _ := calls(3)
	for until := time.Now().Add(time.Minute); ; {
		err := w.sink.Deliver(t.Context(), batch)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			return
		}
		if !errors.Is(err, errNoAnswer) || time.Now().After(until) {
			t.Fatalf("err = %v", err)
		}
	}
}

func TestNoBrokerAtAll(t *testing.T) {
	t.Parallel()
	sink, err := Open(t.Context(), Config{Brokers: []string{"127.0.0.1:1"}, Topic: topic, DeliveryTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	batch, _ := calls(3)
	err = sink.Deliver(t.Context(), batch)
	if err == nil || !strings.Contains(err.Error(), "3 of 3") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("err = %v: it must name the broker", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := sink.Close(ctx); err == nil || !strings.Contains(err.Error(), "in doubt") {
		t.Errorf("close: %v", err)
	}
	if err := sink.Deliver(t.Context(), batch); err == nil {
		t.Error("delivered after close")
	}
}

// A chaotic cluster, and a collector that repeats what failed: each call is
// there, in order for each API. A call is there twice only where its first
// answer was lost and the question whether it arrived was then refused.
func TestChaos(t *testing.T) {
	t.Parallel()
	lost := []*kerr.Error{kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError}
	refused := []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.NotLeaderForPartition}
	tests := map[string]struct {
		faults  []*kerr.Error
		doubles bool
	}{
		"lost answers": {lost, false},
		"refusals":     {refused, false},
		"both":         {slices.Concat(lost, refused), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, func(c *Config) { c.BatchCount = 7; c.DeliveryTimeout = 100 * time.Millisecond },
				kfake.NumBrokers(2), kfake.SeedTopics(2, topic))
			random := rand.New(rand.NewPCG(1, 2))
			for _, err := range test.faults {
				w.cluster.Fault(kfake.Fault{
					Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: 6,
					When: func(kmsg.Request) bool { return random.IntN(4) == 0 },
				})
			}
			all, ids := calls(210)
			failures := 0
			for batch := range slices.Chunk(all, 35) {
				failures += w.deliver(batch)
			}
			if failures == 0 {
				t.Error("nothing failed: the test shows nothing")
			}
			got := w.ids(int(w.end()))
			if !test.doubles && len(got) != len(ids) {
				t.Errorf("%d records, want %d", len(got), len(ids))
			}
			seen := map[string]bool{}
			latest := map[string]string{}
			for _, id := range got {
				if seen[id] {
					continue
				}
				seen[id] = true
				n, err := strconv.Atoi(id)
				if err != nil {
					t.Fatal(err)
				}
				api := call(n).APIID
				if id < latest[api] {
					t.Errorf("%s comes after %s", id, latest[api])
				}
				latest[api] = id
			}
			if len(seen) != len(ids) {
				t.Errorf("%d of %d calls arrived", len(seen), len(ids))
			}
		})
	}
}

func TestUnknownTopic(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.Topic = "missing"; c.DeliveryTimeout = 20 * time.Second })
	batch, _ := calls(3)
	if err := w.sink.Check(t.Context()); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("check: %v", err)
	}
	err := w.sink.Deliver(t.Context(), batch)
	var failed *DeliveryError
	if !errors.As(err, &failed) || !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatalf("err = %v", err)
	}
	if !strings.Contains(failed.Mend(), "create topic missing") {
		t.Errorf("mend = %q", failed.Mend())
	}
	if err := w.cluster.CreateTopic("missing", 1, nil); err != nil {
		t.Fatal(err)
	}
	w.deliver(batch)
	if err := w.sink.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if got := w.cluster.PartitionInfo("missing", 0).HighWatermark; got != 3 {
		t.Errorf("%d records, want 3", got)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) { c.DeliveryTimeout = time.Hour })
	w.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		return nil, errors.New("cut"), true
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	batch, _ := calls(3)
	start := time.Now()
	err := w.sink.Deliver(ctx, batch)
	if !errors.Is(err, context.Canceled) || time.Since(start) > 10*time.Second {
		t.Errorf("err = %v after %s", err, time.Since(start))
	}
	if got := w.counter("failures_total", string(classStopped)); got != 1 {
		t.Errorf("failures_total{stopped} = %v", got)
	}
}

func TestTwoSinksShareARegistry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	open := func(topic string) (*Sink, error) {
		return Open(t.Context(), Config{Brokers: []string{"127.0.0.1:1"}, Topic: topic, Metrics: registry})
	}
	a, err := open("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := open("b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open("a"); err == nil {
		t.Error("one topic twice: no error")
	}
	for _, s := range []*Sink{a, b} {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if a, err = open("a"); err != nil {
		t.Errorf("opened again: %v", err)
	} else if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func BenchmarkDeliver(b *testing.B) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic), kfake.BlackholeProduce())
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	sink, err := Open(b.Context(), Config{Brokers: cluster.ListenAddrs(), Topic: topic})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sink.Close(context.Background()) }()
	batch, _ := calls(1000)
	n := 0
	for _, c := range batch {
		c.Response.Body = noise(500)
		n += len(c.AppendJSON(nil))
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if err := sink.Deliver(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
