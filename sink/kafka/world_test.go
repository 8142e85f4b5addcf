package kafka

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const topic = "calls"

// world is a cluster of its own and a sink into it.
type world struct {
	t       *testing.T
	cluster *kfake.Cluster
	sink    *Sink
	log     *lockedBuffer
	metrics *prometheus.Registry
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func setup(t *testing.T, change func(*Config), options ...kfake.Opt) *world {
	t.Helper()
	options = append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, topic)}, options...)
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := &world{t: t, cluster: cluster, log: &lockedBuffer{}, metrics: prometheus.NewRegistry()}
	config := Config{
		Brokers: cluster.ListenAddrs(), Topic: topic, DeliveryTimeout: 10 * time.Second,
		Logger: slog.New(slog.NewTextHandler(w.log, nil)), Metrics: w.metrics,
	}
	if change != nil {
		change(&config)
	}
	w.sink, err = Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = w.sink.Close(ctx)
	})
	return w
}

// records reads n records of the topic from its beginning.
func (w *world) records(n int) []*kgo.Record {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.ConsumeTopics(topic))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n && ctx.Err() == nil {
		all = append(all, client.PollFetches(ctx).Records()...)
	}
	if end := w.end(); int64(len(all)) != end || len(all) != n {
		w.t.Fatalf("the topic has %d records of which %d were read, want %d", end, len(all), n)
	}
	return all
}

// end is the number of records in the topic's partitions.
func (w *world) end() int64 {
	var n int64
	for _, p := range w.cluster.PartitionInfos(topic) {
		n += p.HighWatermark
	}
	return n
}

func (w *world) ids(n int) []string {
	w.t.Helper()
	ids := []string{}
	for _, r := range w.records(n) {
		var t transaction.Transaction
		if err := json.Unmarshal(r.Value, &t); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, t.ID)
	}
	return ids
}

func (w *world) counter(name, label string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "gatehouse_kafka_sink_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" {
				return m.GetCounter().GetValue()
			}
			for _, l := range m.GetLabel() {
				if l.GetValue() == label {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// produces counts the produce requests that the brokers get.
func (w *world) produces() *atomic.Int64 {
	var n atomic.Int64
	w.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		n.Add(1)
		return nil, nil, false
	})
	return &n
}

func call(i int) *transaction.Transaction {
	return &transaction.Transaction{
		ID: fmt.Sprintf("%08d", i), Account: "111122223333", Region: "eu-west-1", APIID: fmt.Sprintf("api%d", i%3),
		Stage: "prod", Time: 1_750_000_000_000 + transaction.Time(i), Method: "GET", Path: fmt.Sprintf("/pets/%d", i),
		Response: &transaction.Response{Status: 200},
	}
}

func calls(n int) ([]*transaction.Transaction, []string) {
	batch, ids := make([]*transaction.Transaction, n), make([]string, n)
	for i := range batch {
		batch[i] = call(i)
		ids[i] = batch[i].ID
	}
	return batch, ids
}
