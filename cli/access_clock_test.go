package cli

import (
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/access"
)

func TestAccessClock(t *testing.T) {
	w := newLendWorld(t)
	if s := w.as("amir", "", "access", "clock"); s.status != 1 || !strings.Contains(s.err, "needs the role admin") {
		t.Errorf("amir looks at the clocks: %+v", s)
	}
	wants(t, "the clocks", w.must("sofia", nil, "access", "clock").out, "they agree")
	var clock access.ClockState
	w.must("sofia", &clock, "access", "clock")
	if clock.Wall.IsZero() || clock.Lending.Before(clock.Wall) || clock.AheadSeconds != 0 {
		t.Errorf("the clocks: %+v", clock)
	}
	if s := w.as("sofia", "", "access", "clock", "reset"); s.status == 0 || !strings.Contains(s.err, "give --yes") {
		t.Errorf("without consent: %+v", s)
	}
	if s := w.as("sofia", "", "access", "clock", "reset", "--yes"); s.status != 1 || !strings.Contains(s.err, "nothing to set back") {
		t.Errorf("with nothing to set back: %+v", s)
	}
	if s := w.as("amir", "", "access", "clock", "reset", "--yes"); s.status != 1 || !strings.Contains(s.err, "needs the role admin") {
		t.Errorf("amir sets the time back: %+v", s)
	}
}
