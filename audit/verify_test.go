package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/audit"
)

func TestVerifyNamesTheFirstBreak(t *testing.T) {
	t.Parallel()
	c := newChain(t, 9)
	noted := audit.Head{Seq: 9, Hash: c.head.Hash}
	fifth, err := audit.Decode(c.lines[4])
	if err != nil {
		t.Fatal(err)
	}
	other := newChain(t, 4)
	e := event(4)
	e.Reason = "another one"
	other.add(t, e)
	lines := func(change func([][]byte) [][]byte) []byte {
		return append(bytes.Join(change(slices.Clone(c.lines)), []byte("\n")), '\n')
	}
	for name, tc := range map[string]struct {
		file    []byte
		options audit.VerifyOptions
		fault   audit.Fault
		seq     uint64
		line    int64
	}{
		"whole":           {file: c.file()},
		"whole, noted":    {file: c.file(), options: audit.VerifyOptions{Heads: []audit.Head{noted}}},
		"no last newline": {file: bytes.TrimSuffix(c.file(), []byte("\n"))},
		"empty":           {},
		"a part of it": {
			file:    lines(func(l [][]byte) [][]byte { return l[5:] }),
			options: audit.VerifyOptions{After: audit.Head{Seq: 5, Hash: fifth.Hash}, Heads: []audit.Head{noted}},
		},
		"a part after another event": {
			file:    lines(func(l [][]byte) [][]byte { return l[5:] }),
			options: audit.VerifyOptions{After: audit.Head{Seq: 5, Hash: other.head.Hash}}, fault: audit.Unchained, seq: 6, line: 1,
		},
		"a word changed": {
			file:  lines(func(l [][]byte) [][]byte { l[4] = bytes.Replace(l[4], []byte("left"), []byte("lift"), 1); return l }),
			fault: audit.Changed, seq: 5, line: 5,
		},
		"changed and sealed again": {
			file:  lines(func(l [][]byte) [][]byte { l[4] = other.lines[4]; return l }),
			fault: audit.Unchained, seq: 6, line: 6,
		},
		"sealed again, noted": {
			file: append(bytes.Join(other.lines, []byte("\n")), '\n'), options: audit.VerifyOptions{Heads: []audit.Head{{Seq: 5, Hash: fifth.Hash}}},
			fault: audit.Rewritten, seq: 5, line: 5,
		},
		"dropped":       {file: lines(func(l [][]byte) [][]byte { return slices.Delete(l, 4, 5) }), fault: audit.Missing, seq: 5, line: 5},
		"begins late":   {file: lines(func(l [][]byte) [][]byte { return l[1:] }), fault: audit.Missing, seq: 1, line: 1},
		"doubled":       {file: lines(func(l [][]byte) [][]byte { return slices.Insert(l, 5, l[4]) }), fault: audit.Doubled, seq: 5, line: 6},
		"swapped":       {file: lines(func(l [][]byte) [][]byte { l[4], l[5] = l[5], l[4]; return l }), fault: audit.Reordered, seq: 5, line: 5},
		"cut off":       {file: lines(func(l [][]byte) [][]byte { return l[:7] }), options: audit.VerifyOptions{Heads: []audit.Head{noted}}, fault: audit.Truncated, seq: 8},
		"emptied":       {options: audit.VerifyOptions{Heads: []audit.Head{noted}}, fault: audit.Truncated, seq: 1},
		"cut in a line": {file: c.file()[:len(c.file())-20], fault: audit.Unreadable, seq: 9, line: 9},
		"blank line":    {file: lines(func(l [][]byte) [][]byte { return slices.Insert(l, 3, []byte{}) }), fault: audit.Unreadable, seq: 4, line: 4},
		"endless line":  {file: append(lines(func(l [][]byte) [][]byte { return l[:2] }), bytes.Repeat([]byte("x"), 9<<20)...), fault: audit.Unreadable, seq: 3, line: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := verify(t, tc.file, tc.options)
			broken, ok := errors.AsType[*audit.BreakError](err)
			if tc.fault == "" {
				if want := uint64(bytes.Count(append(bytes.TrimSuffix(tc.file, []byte("\n")), '\n'), []byte("\n"))); err != nil || len(tc.file) > 0 && report.Events != want {
					t.Errorf("verified %d events, %v; want %d", report.Events, err, want)
				}
				return
			}
			if !ok || broken.Fault != tc.fault || broken.Seq != tc.seq || broken.Line != tc.line {
				t.Fatalf("found %#v, %v; want %s at event %d, line %d", broken, err, tc.fault, tc.seq, tc.line)
			}
			if text := broken.Error(); !strings.Contains(text, fmt.Sprintf("event %d", tc.seq)) || broken.Mend() == "" {
				t.Errorf("it says %q, and %q to mend it", text, broken.Mend())
			}
		})
	}
}

func TestTimeGoingBackIsANotice(t *testing.T) {
	t.Parallel()
	c := newChain(t, 3)
	e := event(3)
	e.Time = start.Add(-time.Hour)
	c.add(t, e)
	report, err := verify(t, c.file(), audit.VerifyOptions{})
	if err != nil || report.NoticeCount != 1 || report.Notices[0].Seq != 4 {
		t.Errorf("notices %+v, %v", report.Notices, err)
	}
}

// Whatever is done to a log whose head was noted is found, except to the very end of
// the file: its last line end may be missing.
func TestEveryChangeIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "events")
		c := &chain{}
		for i := range n {
			e := event(i)
			e.Reason = rapid.String().Draw(t, "reason")
			e.Detail = map[string]string{"x": rapid.String().Draw(t, "detail")}
			c.add(t, e)
		}
		lines := slices.Clone(c.lines)
		o := audit.VerifyOptions{Heads: []audit.Head{c.head}}
		if report, err := verify(t, c.file(), o); err != nil || report.Last != c.head {
			t.Fatalf("the log as it is: %+v, %v", report, err)
		}
		file := c.file()
		at := rapid.IntRange(0, n-1).Draw(t, "event")
		switch rapid.SampledFrom([]string{"byte", "cut byte", "add byte", "drop", "swap", "double", "truncate", "move"}).Draw(t, "change") {
		case "byte":
			i := rapid.IntRange(0, len(file)-1).Draw(t, "at")
			file[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "xor"))
		case "cut byte":
			i := rapid.IntRange(0, len(file)-2).Draw(t, "at")
			file = slices.Delete(file, i, i+1)
		case "add byte":
			i := rapid.IntRange(0, len(file)).Draw(t, "at")
			file = slices.Insert(file, i, rapid.Byte().Draw(t, "byte"))
		case "drop":
			file = join(slices.Delete(lines, at, at+1))
		case "swap":
			other := rapid.IntRange(0, n-1).Draw(t, "with")
			if other == at {
				t.Skip("swapped with itself")
			}
			lines[at], lines[other] = lines[other], lines[at]
			file = join(lines)
		case "double":
			file = join(slices.Insert(lines, rapid.IntRange(0, n).Draw(t, "to"), lines[at]))
		case "truncate":
			file = file[:rapid.IntRange(0, len(file)-2).Draw(t, "to")]
		case "move":
			to := rapid.IntRange(0, n-1).Draw(t, "to")
			if to == at {
				t.Skip("moved to its place")
			}
			line := lines[at]
			file = join(slices.Insert(slices.Delete(lines, at, at+1), to, line))
		}
		if _, err := verify(t, file, o); err == nil {
			t.Fatal("not found")
		} else if _, ok := errors.AsType[*audit.BreakError](err); !ok {
			t.Fatalf("the error is no break: %v", err)
		}
	})
}

func join(lines [][]byte) []byte {
	if len(lines) == 0 {
		return nil
	}
	return append(bytes.Join(lines, []byte("\n")), '\n')
}

func FuzzDecode(f *testing.F) {
	for _, line := range newChain(f, 3).lines {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := audit.Decode(line)
		if err == nil && !bytes.Equal(audit.Encode(&e), line) {
			t.Errorf("%q is read and written as %q", line, audit.Encode(&e))
		}
		_, _ = audit.VerifyFile(t.Context(), bytes.NewReader(line), audit.VerifyOptions{})
	})
}

// endless makes a log as it is read.
type endless struct {
	events int
	last   audit.Head
	rest   []byte
}

func (r *endless) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.events == 0 {
			return 0, io.EOF
		}
		r.events--
		e := event(0)
		e.Before, e.After = nil, nil
		e, err := audit.Prepare(&e, start)
		if err != nil {
			return 0, err
		}
		e.Seq, e.Prev = r.last.Seq+1, r.last.Hash
		e.Hash = audit.Seal(r.last.Hash, e)
		r.last = audit.Head{Seq: e.Seq, Hash: e.Hash}
		r.rest = append(audit.Encode(&e), '\n')
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestVerificationStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a long log")
	}
	// Not parallel: it looks at the memory of the process.
	const events = 40_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most := uint64(0)
	r := &watched{Reader: &endless{events: events}, every: 1 << 20, look: func() {
		runtime.GC()
		runtime.ReadMemStats(&after)
		most = max(most, after.HeapAlloc)
	}}
	report, err := audit.VerifyFile(t.Context(), r, audit.VerifyOptions{})
	if err != nil || report.Events != events {
		t.Fatalf("%+v, %v", report, err)
	}
	if most > before.HeapAlloc+8<<20 {
		t.Errorf("verifying %d events held %d bytes, %d before", events, most, before.HeapAlloc)
	}
}

type watched struct {
	io.Reader
	every, read int
	look        func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.read += n; w.read >= w.every {
		w.read = 0
		w.look()
	}
	return n, err
}

func TestVerifyStoreStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.VerifyStore(ctx, newChain(t, 3), audit.VerifyOptions{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a verification that was stopped returns %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	var log bytes.Buffer
	if _, err := io.Copy(&log, &endless{events: 20_000}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(log.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.VerifyFile(b.Context(), bytes.NewReader(log.Bytes()), audit.VerifyOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds(), "events/s")
}
