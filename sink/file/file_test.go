package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

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
			t.Helper()
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			if _, err := f.WriteString("x\n"); err != nil {
				t.Fatal(err)
			}
		}, "somebody else wrote"},
		"cut": {func(t *testing.T, name string) {
			t.Helper()
			if err := os.Truncate(name, 10); err != nil {
				t.Fatal(err)
			}
		}, "somebody else wrote"},
		"replaced": {func(t *testing.T, name string) {
			t.Helper()
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
