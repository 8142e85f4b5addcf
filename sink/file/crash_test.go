package file

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	for _, rotate := range []int64{DefaultRotateSize, 1500} {
		sinktest.Exercise(t, func(t *testing.T) sinktest.World {
			t.Helper()
			w := setup(t)
			faulty := &faultyFS{}
			w.config.RotateSize, w.config.fs = rotate, faulty
			return sinktest.World{
				Open: func(t *testing.T) collect.Sink {
					t.Helper()
					s, err := Open(w.config)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { kill(s) })
					return s
				},
				Kill:      func(_ *testing.T, s collect.Sink) { kill(s.(*Sink)) },
				Delivered: func(*testing.T) []string { return w.ids() },
				Break: func(*testing.T) func() {
					faulty.full.Store(true)
					return func() { faulty.full.Store(false) }
				},
				Exact: true,
			}
		})
	}
}

// A process that dies at every single step of the disk, in turn, while it
// delivers, rotates, compresses, keeps its note and restores, leaves each id
// exactly once after the next start. The second process dies as well, at each
// of its first steps.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"zstd", "none"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(7, 8))
			steps := 0
			for step := int64(1); ; step++ {
				if !crashRun(t, codec, step, random) {
					break
				}
				steps++
			}
			if steps < 100 {
				t.Errorf("only %d steps: the run is too short to show much", steps)
			}
		})
	}
}

// crashRun reports whether the first process got to die.
func crashRun(t *testing.T, codec string, step int64, random *rand.Rand) bool {
	t.Helper()
	w := setup(t)
	w.config.Compress, w.config.RotateSize = codec, 2000
	all := sinktest.Calls(0, 60)
	committed, saved := 0, ""
	died := false
	for life := range 3 {
		faulty := &faultyFS{}
		switch life {
		case 0:
			faulty.steps.Store(step)
		case 1:
			faulty.steps.Store(1 + random.Int64N(12))
		case 2:
			faulty.steps.Store(1 << 60)
		}
		faulty.crash = true
		w.config.fs = faulty
		s, err := Open(w.config)
		if err != nil {
			died = true
			if s != nil {
				kill(s)
			}
			continue
		}
		err = s.Restore(t.Context(), saved)
		at := committed
		for err == nil && at < len(all) {
			n := min(5, len(all)-at)
			if err = s.Deliver(t.Context(), all[at:at+n]); err != nil {
				break
			}
			at += n
			if random.IntN(2) == 0 {
				committed, saved = at, s.Position()
			}
		}
		if err != nil {
			died = true
			if life == 2 {
				t.Fatalf("step %d: the last life: %v\n%s", step, err, w.log)
			}
		}
		kill(s)
	}
	want := map[string]int{}
	for _, c := range all {
		want[c.ID]++
	}
	got := map[string]int{}
	for _, id := range w.ids() {
		got[id]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("crash at step %d (-want +got):\n%s\nfiles %v\n%s", step, diff, w.names(), w.log)
	}
	return died && step < 1000
}
