package kafka

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	sinktest.Exercise(t, func(t *testing.T) sinktest.World {
		t.Helper()
		var down atomic.Bool
		w := setup(t, nil, kfake.SeedTopics(2, topic))
		w.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.cluster.KeepControl()
			return nil, errors.New("connection cut"), down.Load()
		})
		return sinktest.World{
			Open: func(t *testing.T) collect.Sink {
				t.Helper()
				s, err := Open(t.Context(), Config{
					Brokers: w.cluster.ListenAddrs(), Topic: topic, BatchCount: 16,
					DeliveryTimeout: 200 * time.Millisecond,
				})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Kill: func(_ *testing.T, s collect.Sink) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				_ = s.Close(ctx)
			},
			Delivered: func(t *testing.T) []string {
				t.Helper()
				w.t = t
				return w.ids(int(w.end()))
			},
			Break: func(*testing.T) func() {
				down.Store(true)
				return func() { down.Store(false) }
			},
		}
	})
}
