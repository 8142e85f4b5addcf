//go:build integration

package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// TestIntegrationKafka delivers to a broker that this project did not write, in both
// forms, and reads back what it has. GATEHOUSE_TEST_KAFKA is its host:port.
func TestIntegrationKafka(t *testing.T) {
	broker := os.Getenv("GATEHOUSE_TEST_KAFKA")
	if broker == "" {
		t.Skip("GATEHOUSE_TEST_KAFKA is not set: no real Kafka to test against")
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)

	for _, format := range []Format{Native, AktoTraffic} {
		t.Run(string(format), func(t *testing.T) {
			name := fmt.Sprintf("gatehouse-test-%s-%d", format, time.Now().UnixNano())
			limit := "100000"
			if _, err := admin.CreateTopic(t.Context(), 3, 1, map[string]*string{"max.message.bytes": &limit}, name); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = admin.DeleteTopic(context.Background(), name) })
			config, err := Parse("kafka://" + broker + "/" + name + "?batch_count=50&format=" + string(format))
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			// A topic is there a moment after its creation was answered.
			for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				if err = s.Check(t.Context()); err == nil || time.Now().After(until) {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			batch, ids := calls(300)
			batch[150].Request = &transaction.Request{Body: `{"a":1,"b":"` + noise(400_000)}
			if err := s.Deliver(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}

			got := consumeTopic(t, broker, name, len(ids))
			var seen []string
			for _, r := range got {
				if format == Native {
					var c transaction.Transaction
					if err := json.Unmarshal(r.Value, &c); err != nil {
						t.Fatal(err)
					}
					seen = append(seen, c.ID)
					continue
				}
				c, err := consume(r.Value)
				if err != nil {
					t.Fatal(err)
				}
				var n int
				if _, err := fmt.Sscanf(strings.TrimPrefix(c.path, "/pets/"), "%d", &n); err != nil {
					t.Fatal(err)
				}
				seen = append(seen, fmt.Sprintf("%08d", n))
			}
			slices.Sort(seen)
			if diff := cmp.Diff(ids, seen); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIntegrationKafkaMakesTheTopic: brokers make a missing topic on demand by
// default, as whoever sets up the consumer later expects.
func TestIntegrationKafkaMakesTheTopic(t *testing.T) {
	broker := os.Getenv("GATEHOUSE_TEST_KAFKA")
	if broker == "" {
		t.Skip("GATEHOUSE_TEST_KAFKA is not set: no real Kafka to test against")
	}
	topic := fmt.Sprintf("gatehouse-missing-%d", time.Now().UnixNano())
	s, err := Open(t.Context(), Config{Brokers: []string{broker}, Topic: topic, DeliveryTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	batch, _ := calls(3)
	// The answer to the first attempt may be that the topic is not there yet.
	for range 20 {
		if err = s.Deliver(t.Context(), batch); err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	consumeTopic(t, broker, topic, 3)
}

func consumeTopic(t *testing.T, broker, name string, n int) []*kgo.Record {
	t.Helper()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(name))
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n && ctx.Err() == nil {
		all = append(all, consumer.PollFetches(ctx).Records()...)
	}
	if len(all) != n {
		t.Fatalf("%d records in the topic, want %d", len(all), n)
	}
	return all
}
