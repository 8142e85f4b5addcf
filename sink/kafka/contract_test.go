package kafka

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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
		letters := &sinktest.Letters{}
		fault := func(f kfake.Fault) func(*testing.T) func() {
			return func(*testing.T) func() {
				f.Keys, f.Count = []kmsg.Key{kmsg.Produce}, -1
				return w.cluster.Fault(f).Remove
			}
		}
		return sinktest.World{
			Open: func(t *testing.T) collect.Sink {
				t.Helper()
				s, err := Open(t.Context(), Config{
					Brokers: w.cluster.ListenAddrs(), Topic: topic, BatchCount: 16,
					DeliveryTimeout: 200 * time.Millisecond, DeadLetters: letters, Compression: "none",
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
			Slow: func(*testing.T) func() {
				var n atomic.Int64
				var mended atomic.Bool
				w.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
					if mended.Load() {
						return nil, nil, false
					}
					w.cluster.KeepControl()
					if n.Add(1)%4 == 0 {
						w.cluster.SleepControl(func() { time.Sleep(300 * time.Millisecond) })
					}
					return nil, nil, false
				})
				return func() { mended.Store(true) }
			},
			Half: fault(kfake.Fault{Partitions: []int32{1}, Err: kerr.NotEnoughReplicas}),
			Mute: fault(kfake.Fault{Err: kerr.RequestTimedOut}),
			Refuse: func(_ *testing.T, ids ...string) {
				w.cluster.Fault(kfake.Fault{
					Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1,
					When: func(r kmsg.Request) bool {
						return slices.ContainsFunc(r.(*kmsg.ProduceRequest).Topics, func(t kmsg.ProduceRequestTopic) bool {
							return slices.ContainsFunc(t.Partitions, func(p kmsg.ProduceRequestTopicPartition) bool {
								return slices.ContainsFunc(ids, func(id string) bool { return bytes.Contains(p.Records, []byte(id)) })
							})
						})
					},
				})
			},
			Letters: letters,
		}
	})
}
