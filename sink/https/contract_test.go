package https

import (
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	for _, options := range []string{"?batch_count=16&timeout=", "?format=cequence&batch_bytes=900&timeout="} {
		sinktest.Exercise(t, func(t *testing.T) sinktest.World {
			t.Helper()
			p := newPlatform(t)
			letters := &sinktest.Letters{}
			flag := func(f *bool) func(*testing.T) func() {
				return func(*testing.T) func() {
					p.set(func() { *f = true })
					return func() { p.set(func() { *f = false }) }
				}
			}
			return sinktest.World{
				Open: func(t *testing.T) collect.Sink {
					t.Helper()
					c := p.config(t, options+patience.String())
					c.DeadLetters, c.Now = letters, time.Now
					s, err := Open(c)
					if err != nil {
						t.Fatal(err)
					}
					return s
				},
				Delivered: func(*testing.T) []string { return p.ids() },
				Break:     flag(&p.down),
				Slow:      flag(&p.slow),
				Half:      flag(&p.half),
				Mute:      flag(&p.mute),
				Refuse: func(_ *testing.T, ids ...string) {
					p.set(func() {
						for _, id := range ids {
							p.refuse[id] = true
						}
					})
				},
				Letters: letters,
			}
		})
	}
}
