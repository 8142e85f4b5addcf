package file

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

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
