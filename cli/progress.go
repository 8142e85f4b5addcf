package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	barWidth = 24
	// Reports are thinned out: a terminal is redrawn at most ten times a second,
	// a log gets a line at most every five seconds.
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 5 * time.Second
)

// progress shows how far a long piece of work is: one line that is redrawn on a
// terminal, plain lines elsewhere. It writes to standard error.
type progress struct {
	w        io.Writer
	terminal bool
	unit     string // what is counted, in the plural
	now      func() time.Time
	started  time.Time
	shown    time.Time
	drawn    int // width of the line on the terminal
}

func newProgress(w io.Writer, unit string) *progress {
	return &progress{w: w, terminal: isTerminal(w), unit: unit, now: time.Now}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show reports that done of total are done. The last report is always shown.
func (p *progress) show(done, total int, note string) {
	now := p.now()
	if p.started.IsZero() {
		p.started = now
	}
	every := lineEvery
	if p.terminal {
		every = redrawEvery
	}
	if !p.shown.IsZero() && done < total && now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	line := p.line(done, total, now.Sub(p.started))
	if note != "" {
		line += ", " + printable(note)
	}
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	line = bar(done, total) + " " + line
	width := len([]rune(line))
	fmt.Fprint(p.w, "\r"+line+strings.Repeat(" ", max(0, p.drawn-width)))
	p.drawn = width
}

// line says "12/51 regions, 3.4/s, 12s left".
func (p *progress) line(done, total int, elapsed time.Duration) string {
	line := fmt.Sprintf("%d/%d %s", done, total, p.unit)
	if done <= 0 || elapsed <= 0 {
		return line
	}
	rate := float64(done) / elapsed.Seconds()
	line += fmt.Sprintf(", %.1f/s", rate)
	if done < total {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return line
}

func bar(done, total int) string {
	full := barWidth
	if total > 0 {
		full = barWidth * done / total
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// end leaves the terminal's line as it is and goes on below it.
func (p *progress) end() {
	if p.terminal && p.drawn > 0 {
		fmt.Fprintln(p.w)
		p.drawn = 0
	}
}
