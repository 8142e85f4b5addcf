package file

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

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
