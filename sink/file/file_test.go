package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// clock goes a second further at each look, so that files get identities of
// their own.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		c.at = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	}
	c.at = c.at.Add(time.Second)
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a directory and what is needed to open sinks over it.
type world struct {
	t      *testing.T
	config Config
	clock  *clock
	log    *lockedBuffer
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

func setup(t *testing.T) *world {
	w := &world{t: t, clock: &clock{}, log: &lockedBuffer{}}
	w.config = Config{
		Dir: filepath.Join(t.TempDir(), "out"), Now: w.clock.now,
		Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	return w
}

func (w *world) open(position string) *Sink {
	w.t.Helper()
	s, err := Open(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { kill(s) })
	if err := s.Restore(w.t.Context(), position); err != nil {
		w.t.Fatalf("restoring %q: %v", position, err)
	}
	return s
}

// kill frees what the kernel frees when a process dies, and nothing more.
func kill(s *Sink) {
	if s.worker != nil {
		s.worker.stop()
	}
	_ = s.lock.Close()
	if s.active != nil {
		_ = s.active.Close()
	}
}

func (w *world) deliver(s *Sink, batch []*transaction.Transaction) {
	w.t.Helper()
	if err := s.Deliver(w.t.Context(), batch); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.config.Dir, name) }

func (w *world) names() []string {
	w.t.Helper()
	entries, err := os.ReadDir(w.config.Dir)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// ids reads every file of the set, oldest first.
func (w *world) ids() []string {
	w.t.Helper()
	names := w.names()
	slices.SortFunc(names, func(a, b string) int { // the active one has no time: last
		return strings.Compare(strings.Replace(a, activeName, "transactions-9", 1), strings.Replace(b, activeName, "transactions-9", 1))
	})
	ids := []string{}
	for i, name := range names {
		if !strings.HasPrefix(name, "transactions") || strings.HasSuffix(name, temporaryEnd) {
			continue
		}
		if i > 0 && strings.HasPrefix(name, names[i-1]) {
			continue // both forms of one file: its compression was cut short
		}
		f, err := os.Open(w.path(name))
		if err != nil {
			w.t.Fatal(err)
		}
		var in io.Reader = f
		for codec, extension := range extensions {
			if extension != "" && strings.HasSuffix(name, extension) {
				plain, closePlain, err := decoder(codec, f)
				if err != nil {
					w.t.Fatal(err)
				}
				defer closePlain()
				in = plain
			}
		}
		content, err := io.ReadAll(in)
		if err != nil {
			w.t.Fatalf("%s: %v", name, err)
		}
		_ = f.Close()
		for line := range bytes.Lines(content) {
			var c transaction.Transaction
			if err := json.Unmarshal(line, &c); err != nil || line[len(line)-1] != '\n' {
				w.t.Fatalf("%s has the line %q: %v", name, line, err)
			}
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (w *world) want(batch []*transaction.Transaction) {
	w.t.Helper()
	want := []string{}
	for _, c := range batch {
		want = append(want, c.ID)
	}
	if diff := cmp.Diff(want, w.ids()); diff != "" {
		w.t.Fatalf("ids in %v (-want +got):\n%s\n%s", w.names(), diff, w.log)
	}
}

// until waits for the worker.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not in time; there are %v\n%s", what, w.names(), w.log)
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for _, rotate := range []int64{DefaultRotateSize, 1500} {
		sinktest.Exercise(t, func(t *testing.T) sinktest.World {
			w := setup(t)
			faulty := &faultyFS{}
			w.config.RotateSize, w.config.fs = rotate, faulty
			return sinktest.World{
				Open: func(t *testing.T) collect.Sink {
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

func TestRotationBySize(t *testing.T) {
	t.Parallel()
	for codec, extension := range extensions {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.config.RotateSize, w.config.Compress = 3000, codec
			s := w.open("")
			all := sinktest.Calls(0, 100)
			for i := 0; i < 100; i += 10 {
				w.deliver(s, all[i:i+10])
			}
			w.until("compression", func() bool {
				return !slices.ContainsFunc(w.names(), func(n string) bool {
					return n != activeName && !strings.HasSuffix(n, rotatedEnd+extension)
				})
			})
			if len(w.names()) < 5 {
				t.Errorf("files %v", w.names())
			}
			w.want(all)
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRotationByAge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.config.RotateAge, w.config.Compress = time.Hour, "none"
	s := w.open("")
	all := sinktest.Calls(0, 4)
	w.deliver(s, all[:1])
	w.deliver(s, all[1:2])
	w.clock.add(time.Hour)
	w.deliver(s, all[2:3])
	if got := w.names(); len(got) != 2 {
		t.Errorf("files %v, want two", got)
	}
	w.clock.add(time.Hour)
	position := s.Position()
	kill(s)
	s = w.open(position)
	w.deliver(s, all[3:])
	if got := w.names(); len(got) != 3 {
		t.Errorf("files %v, want three: age counts over a restart", got)
	}
	w.want(all)
}

func TestKeep(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Config)
		want   int
	}{
		"for ever": {func(*Config) {}, 10},
		"count":    {func(c *Config) { c.KeepFiles = 3 }, 4},
		"age":      {func(c *Config) { c.KeepAge = 5 * time.Hour }, 0},
		"one":      {func(c *Config) { c.KeepAge = time.Nanosecond }, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.config.RotateSize, w.config.Compress = 1, "none"
			test.change(&w.config)
			s := w.open("")
			all := sinktest.Calls(0, 10)
			for i := range all {
				w.deliver(s, all[i:i+1])
				w.clock.add(time.Hour)
			}
			if test.want == 0 { // between 5 and 7, by when the worker looked
				w.until("keep", func() bool { return len(w.names()) <= 7 && len(w.names()) >= 5 })
				return
			}
			w.until("keep", func() bool { return len(w.names()) == test.want })
			w.want(all[10-test.want:])
		})
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.config.RotateSize = 1
	s := w.open("")
	w.deliver(s, sinktest.Calls(0, 1))
	w.deliver(s, sinktest.Calls(1, 1))
	w.until("compression", func() bool {
		return slices.ContainsFunc(w.names(), func(n string) bool { return strings.HasSuffix(n, ".zst") })
	})
	info, err := os.Stat(w.config.Dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(w.config.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.open("")
	_, err := Open(w.config)
	var mendable *Error
	if !errors.As(err, &mendable) || !errors.Is(err, errLocked) || !strings.Contains(err.Error(), w.config.Dir) || mendable.Mend() == "" {
		t.Errorf("err = %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.open(s.Position())
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := setup(t)
	faulty := &faultyFS{}
	w.config.fs = faulty
	s := w.open("")
	all := sinktest.Calls(0, 30)
	w.deliver(s, all[:10])
	size := func() int64 {
		info, err := os.Stat(w.path(activeName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	faulty.full.Store(true)
	err := s.Deliver(t.Context(), all[10:20])
	var mendable *Error
	if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &mendable) ||
		!strings.Contains(err.Error(), w.path(activeName)) || !strings.Contains(mendable.Mend(), "room") {
		t.Errorf("err = %v", err)
	}
	if got := size(); got != before {
		t.Errorf("the file has %d bytes, want %d: half a batch was left", got, before)
	}
	faulty.stuck.Store(true) // not even cutting back works
	if err := s.Deliver(t.Context(), all[10:20]); err == nil {
		t.Error("no error")
	}
	if got := size(); got == before {
		t.Error("the test shows nothing: the file was cut back")
	}
	faulty.full.Store(false)
	if err := s.Deliver(t.Context(), all[10:20]); err == nil {
		t.Error("wrote behind half a batch")
	}
	faulty.stuck.Store(false)
	w.deliver(s, all[10:20])
	w.deliver(s, all[20:])
	w.want(all)
}

func TestDirectoryRemoved(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.open("")
	all := sinktest.Calls(0, 20)
	w.deliver(s, all[:10])
	if err := os.RemoveAll(w.config.Dir); err != nil {
		t.Fatal(err)
	}
	w.deliver(s, all[10:15])
	position := s.Position()
	w.want(all[10:15])
	if _, err := Open(w.config); !errors.Is(err, errLocked) {
		t.Errorf("the new directory is not locked: %v", err)
	}
	w.deliver(s, all[15:])
	kill(s)
	s = w.open(position)
	w.deliver(s, all[15:])
	w.want(all[10:])
}

func TestActiveFileMovedAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.open("")
	all := sinktest.Calls(0, 20)
	w.deliver(s, all[:10])
	if err := os.Remove(w.path(activeName)); err != nil {
		t.Fatal(err)
	}
	w.deliver(s, all[10:])
	w.want(all[10:])
}

// Whatever somebody else does to the active file, the sink says so and does not
// write on.
func TestForeignChanges(t *testing.T) {
	t.Parallel()
	changes := map[string]struct {
		do   func(t *testing.T, name string)
		want string
	}{
		"appended": {func(t *testing.T, name string) {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString("x\n"); err != nil {
				t.Fatal(err)
			}
		}, "somebody else wrote"},
		"cut": {func(t *testing.T, name string) {
			if err := os.Truncate(name, 10); err != nil {
				t.Fatal(err)
			}
		}, "somebody else wrote"},
		"replaced": {func(t *testing.T, name string) {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name+"x", content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(name+"x", name); err != nil {
				t.Fatal(err)
			}
		}, "replaced"},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			s := w.open("")
			w.deliver(s, sinktest.Calls(0, 10))
			change.do(t, w.path(activeName))
			for range 2 {
				err := s.Deliver(t.Context(), sinktest.Calls(10, 10))
				var mendable *Error
				if !errors.As(err, &mendable) || !strings.Contains(err.Error(), change.want) || mendable.Mend() == "" {
					t.Errorf("err = %v", err)
				}
			}
			if err := os.Remove(w.path(activeName)); err != nil { // as the error says
				t.Fatal(err)
			}
			w.deliver(s, sinktest.Calls(10, 10))
			w.want(sinktest.Calls(10, 10))
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		position func(position string) string
		change   func(content []byte) []byte
		want     string
	}{
		"offset beyond the file": {change: func(b []byte) []byte { return b[:len(b)/2] }, want: "were acknowledged"},
		"not at the end of a line": {change: func(b []byte) []byte {
			return append([]byte("# a remark\n"), b...)
		}, want: "end of line"},
		"not a position": {position: func(string) string { return "12" }, want: "FILE:OFFSET"},
		"negative":       {position: func(p string) string { return strings.Replace(p, ":", ":-", 1) }, want: "number of bytes"},
		"not a time":     {position: func(string) string { return "yesterday:12" }, want: "parsing time"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			s := w.open("")
			w.deliver(s, sinktest.Calls(0, 10))
			position := s.Position()
			kill(s)
			if test.change != nil {
				content, err := os.ReadFile(w.path(activeName))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(w.path(activeName), test.change(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if test.position != nil {
				position = test.position(position)
			}
			s, err := Open(w.config)
			if err != nil {
				t.Fatal(err)
			}
			defer kill(s)
			before, _ := os.ReadFile(w.path(activeName))
			if err := s.Restore(t.Context(), position); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want %q in it", err, test.want)
			}
			if after, _ := os.ReadFile(w.path(activeName)); !bytes.Equal(before, after) {
				t.Error("the file was changed all the same")
			}
			if err := s.Deliver(t.Context(), sinktest.Calls(0, 1)); err == nil {
				t.Error("delivered without a restore")
			}
		})
	}
}

// The state was lost: what is there stays, under a rotated name.
func TestStateLost(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.open("")
	all := sinktest.Calls(0, 40)
	for i := 0; i < 30; i += 10 {
		w.deliver(s, all[i:i+10])
		_ = s.Position() // committed
	}
	kill(s)
	s = w.open("")
	w.deliver(s, all[30:])
	w.want(all)
	if !strings.Contains(w.log.String(), "no saved position") {
		t.Errorf("log %s", w.log)
	}
}

// A state of long ago comes back: later files are set aside, not deleted.
func TestOldState(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.config.RotateSize = 1
	s := w.open("")
	all := sinktest.Calls(0, 6)
	var positions []string
	for i := range all {
		w.deliver(s, all[i:i+1])
		positions = append(positions, s.Position())
	}
	w.until("compression", func() bool {
		return !slices.ContainsFunc(w.names(), func(n string) bool { return n != activeName && !strings.HasSuffix(n, ".zst") })
	})
	kill(s)
	s = w.open(positions[1])
	w.want(all[:2])
	aside := 0
	for _, name := range w.names() {
		if strings.HasPrefix(name, asideStart) {
			aside++
		}
	}
	if aside != 4 {
		t.Errorf("%d files set aside, want 4: %v", aside, w.names())
	}
	w.deliver(s, all[2:])
	w.want(all)
}

// The file of the position was removed by hand, and later lines are there.
func TestPositionOfARemovedFile(t *testing.T) {
	t.Parallel()
	for _, keepNote := range []bool{true, false} {
		w := setup(t)
		w.config.RotateSize, w.config.Compress = 1, "none"
		s := w.open("")
		all := sinktest.Calls(0, 10)
		w.deliver(s, all[:5])
		position := s.Position()
		w.deliver(s, all[5:])
		kill(s)
		at, err := parsePosition(position)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(w.path(at.file.rotatedName())); err != nil {
			t.Fatal(err)
		}
		if !keepNote {
			// The active file is longer than the position, so without the note
			// only the end of a line tells it from the right one; this one is
			// cut too short to pass.
			if err := errors.Join(os.Remove(w.path(stateName)), os.Truncate(w.path(activeName), at.offset-1)); err != nil {
				t.Fatal(err)
			}
			s, err := Open(w.config)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Restore(t.Context(), position); err == nil {
				t.Error("took another file for the one of the position")
			}
			kill(s)
			continue
		}
		s = w.open(position)
		w.deliver(s, all[5:])
		w.want(all[5:])
	}
}

func TestCloseWhileCompressing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.config.RotateSize = 1
	s := w.open("")
	all := sinktest.Calls(0, 200)
	w.deliver(s, all[:100])
	w.deliver(s, all[100:])
	position := s.Position()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want(all)
	w.open(position)
	w.until("compression after the restart", func() bool {
		return slices.ContainsFunc(w.names(), func(n string) bool { return strings.HasSuffix(n, ".zst") })
	})
	w.want(all)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := setup(t)
	registry := prometheus.NewRegistry()
	w.config.Metrics, w.config.RotateSize = registry, 1
	s := w.open("")
	w.deliver(s, sinktest.Calls(0, 10))
	w.deliver(s, sinktest.Calls(10, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Deliver(ctx, sinktest.Calls(11, 1)); err == nil {
		t.Fatal("no error")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[strings.TrimPrefix(f.GetName(), "gatehouse_file_sink_")] = f.GetMetric()[0].GetCounter().GetValue()
	}
	delete(got, "bytes_total")
	want := map[string]float64{"records_total": 11, "batches_total": 2, "failures_total": 1, "rotations_total": 1, "tidy_failures_total": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if families, _ := registry.Gather(); len(families) != 0 {
		t.Errorf("%d metrics are left after close", len(families))
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want Config
		err  string
	}{
		"file:out":               {want: Config{Dir: "out"}},
		"file:./a/b":             {want: Config{Dir: "./a/b"}},
		"file:/var/lib/x":        {want: Config{Dir: "/var/lib/x"}},
		"file:///var/lib/x%20y":  {want: Config{Dir: "/var/lib/x y"}},
		"file:a%20b":             {want: Config{Dir: "a b"}},
		"file:d?rotate_size=64M": {want: Config{Dir: "d", RotateSize: 64 << 20}},
		"file:d?rotate_age=7d&keep=30d&compress=gzip": {want: Config{
			Dir: "d", RotateAge: 7 * 24 * time.Hour, KeepAge: 30 * 24 * time.Hour, Compress: "gzip",
		}},
		"file:d?keep=10":                      {want: Config{Dir: "d", KeepFiles: 10}},
		"file:":                               {err: "no directory"},
		"file://host/dir":                     {err: "write file:DIR"},
		"file:d#x":                            {err: "write file:DIR"},
		"file:d?size=1":                       {err: "option size: unknown"},
		"file:d?keep=1&keep=2":                {err: "given once"},
		"file:d?keep=":                        {err: "given once"},
		"file:d?keep=-1":                      {err: "not a time"},
		"file:d?keep=0":                       {err: "not a time"},
		"file:d?rotate_size=0":                {err: "not a size"},
		"file:d?rotate_size=M":                {err: "not a size"},
		"file:d?rotate_size=9999999999999999": {err: "not a size"},
		"file:d?rotate_age=x":                 {err: "not a time"},
		"file:d?compress=lz4":                 {err: "choose zstd"},
		"kafka:d":                             {err: "not file"},
	}
	for raw, test := range tests {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseURL(u)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: err = %v, want %q in it", raw, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		want := test.want
		if err := want.validate(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Logger", "Now")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
}

func TestOpenWithoutPermission(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	if err := os.WriteFile(filepath.Join(parent, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: filepath.Join(parent, "plain", "dir")}); err == nil {
		t.Error("a directory below a file: no error")
	}
	_, err := Open(Config{Dir: filepath.Join(parent, "dir"), fs: &faultyFS{denied: true}})
	var mendable *Error
	if !errors.As(err, &mendable) || !errors.Is(err, fs.ErrPermission) || mendable.Mend() == "" {
		t.Errorf("err = %v", err)
	}
}

func BenchmarkDeliver(b *testing.B) {
	s, err := Open(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	if err := s.Restore(b.Context(), ""); err != nil {
		b.Fatal(err)
	}
	batch := sinktest.Calls(0, 5000)
	n := 0
	for _, c := range batch {
		c.Response.Body = strings.Repeat(`{"id":123,"category":"book"}`, 40)
		n += len(c.AppendJSON(nil)) + 1
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Deliver(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
