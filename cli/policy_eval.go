package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/iam"
)

const policyEvalLong = `Decide policy cases as AWS decides them.

A case is a JSON object: a request and every policy that has a say in it. Cases
come from FILE or standard input, one, or one a line (NDJSON). One JSON line a
case goes out, in the same order: decision, reasons, missing, message (the text
that AWS would show) and advice. A case that cannot be read answers
{"error": {"path", "line", "column", "message"}} on its line; the others go on,
and the exit status is 1.

docs/policy.md describes the case.`

const policyEvalExample = `  gatehouse policy eval < case.json
  gatehouse policy eval cases.ndjson | jq -r .decision | sort | uniq -c`

func newPolicyEval(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "eval [FILE…]",
		Short:   "Decide cases: a request and the policies that have a say in it",
		Long:    policyEvalLong,
		Example: policyEvalExample,
	}
	asJSON := addOutput(cmd)
	defaultJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		lines, err := asJSON()
		if err != nil {
			return err
		}
		in, closeAll, err := openAll(s, files)
		if err != nil {
			return err
		}
		defer closeAll()
		return evalCases(cmd.Context(), in, s.Out, !lines)
	}
	return cmd
}

// defaultJSON makes JSON what a command prints unless asked otherwise: its
// output is for programs.
func defaultJSON(cmd *cobra.Command) {
	flag := cmd.Flags().Lookup("output")
	flag.DefValue = "json"
	_ = flag.Value.Set("json") // a string flag takes any text
}

// openAll opens files one after the other as one input; none, or "-", is
// standard input.
func openAll(s *Streams, files []string) (io.Reader, func(), error) {
	if len(files) == 0 {
		return s.In, func() {}, nil
	}
	var readers []io.Reader
	var opened []*os.File
	closeAll := func() {
		for _, f := range opened {
			_ = f.Close() // it was only read
		}
	}
	for _, name := range files {
		if name == "-" {
			readers = append(readers, s.In)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("reading cases: %w", err)
		}
		opened = append(opened, f)
		readers = append(readers, f, strings.NewReader("\n"))
	}
	return io.MultiReader(readers...), closeAll, nil
}

// caseBatch is some cases on their way through one worker.
type caseBatch struct {
	cases   []rawCase
	out     []byte
	invalid int
	done    chan struct{}
}

type rawCase struct {
	text []byte
	line int
}

// Bounds of a batch: large enough to keep workers busy, small enough to keep
// memory and delay low.
const (
	batchCases = 128
	batchBytes = 256 << 10
)

// evalCases reads cases from in and writes an answer for each to out, in order.
// Several workers decide, and the writer takes their batches in the order in
// which they were read. A batch is sent on as soon as the input pauses, so that
// a program may write one case and wait for its answer.
func evalCases(ctx context.Context, in io.Reader, out io.Writer, table bool) error {
	outer := ctx
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *caseBatch)
	order := make(chan *caseBatch, 2*workers)

	// A read of standard input cannot be interrupted. When ctx ends first, this
	// goroutine is left in its read and ends with the process.
	readErr := make(chan error, 1)
	go func() {
		defer close(work)
		defer close(order)
		readErr <- readCases(in, func(b *caseBatch) bool {
			select {
			case order <- b:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- b:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()

	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			w := evalWorker{table: table}
			for {
				select {
				case b, ok := <-work:
					if !ok {
						return
					}
					w.decide(b)
					close(b.done)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	total, invalid, err := writeAnswers(ctx, out, order)
	cancel()
	group.Wait()
	if err == nil {
		err = outer.Err()
	}
	if err == nil {
		// The order of batches has ended, so reading has.
		err = <-readErr
	}
	if err != nil {
		return err
	}
	if invalid > 0 {
		return withHint(fmt.Errorf("%d of %d cases are invalid", invalid, total), "their answers say where and why")
	}
	if total == 0 {
		return withHint(errors.New("there is no case in the input"), "see 'gatehouse policy eval --help'")
	}
	return nil
}

// writeAnswers writes the batches in order and flushes when it would have to
// wait.
func writeAnswers(ctx context.Context, out io.Writer, order <-chan *caseBatch) (total, invalid int, err error) {
	w := bufio.NewWriterSize(out, 64<<10)
	for {
		var b *caseBatch
		var ok bool
		select {
		case b, ok = <-order:
		default:
			if err := w.Flush(); err != nil {
				return total, invalid, fmt.Errorf("writing answers: %w", err)
			}
			select {
			case b, ok = <-order:
			case <-ctx.Done():
				return total, invalid, ctx.Err()
			}
		}
		if !ok {
			if err := w.Flush(); err != nil {
				return total, invalid, fmt.Errorf("writing answers: %w", err)
			}
			return total, invalid, nil
		}
		select {
		case <-b.done:
		case <-ctx.Done():
			return total, invalid, ctx.Err()
		}
		total += len(b.cases)
		invalid += b.invalid
		if _, err := w.Write(b.out); err != nil {
			return total, invalid, fmt.Errorf("writing answers: %w", err)
		}
	}
}

// evalWorker decides batches; it keeps compiled policies from case to case.
type evalWorker struct {
	cases  iam.Cases
	result iam.Result
	table  bool
}

func (w *evalWorker) decide(b *caseBatch) {
	for _, raw := range b.cases {
		c, err := w.cases.Parse(raw.text, raw.line)
		if err != nil {
			b.invalid++
			b.out = w.appendError(b.out, err)
		} else {
			c.Evaluate(&w.result)
			b.out = w.appendResult(b.out)
		}
		b.out = append(b.out, '\n')
	}
}

func (w *evalWorker) appendError(out []byte, err error) []byte {
	e, ok := errors.AsType[*iam.Error](err)
	if !ok {
		e = &iam.Error{Message: err.Error()}
	}
	if w.table {
		return fmt.Appendf(out, "%-13s  %s", "invalid", printable(e.Error()))
	}
	return e.AppendJSON(out)
}

func (w *evalWorker) appendResult(out []byte) []byte {
	r := &w.result
	if !w.table {
		return r.AppendJSON(out)
	}
	said := r.Message()
	if len(r.Reasons) > 0 && r.Decision != iam.ImplicitDeny {
		said = "by " + reasonText(r.Reasons[0])
		if more := len(r.Reasons) - 1; more > 0 {
			said += " and " + strconv.Itoa(more) + " more"
		}
	}
	return fmt.Appendf(out, "%-13s  %s", r.Decision, printable(said))
}

func reasonText(r iam.Reason) string {
	text := fmt.Sprintf("statement %d", r.Statement)
	if r.Sid != "" {
		text += " (" + r.Sid + ")"
	}
	if r.Policy == "" {
		return text + " of the " + r.Layer.String() + " policy"
	}
	return text + " of " + r.Policy
}

// readCases cuts in into cases and hands them on in batches until send returns
// false. A case ends with its line, or, if that leaves brackets open, with the
// line that closes them, so that an indented case is one case. A line that opens
// what it does not close is a broken case of its own if the next one starts a
// case.
func readCases(in io.Reader, send func(*caseBatch) bool) error {
	r := bufio.NewReaderSize(in, 256<<10)
	cut := caseCutter{batch: newBatch()}
	for number := 1; ; number++ {
		line, err := readLine(r)
		if len(line) > 0 {
			cut.add(line, number)
		}
		if err == io.EOF { //nolint:errorlint // bufio returns io.EOF itself
			cut.end()
			if len(cut.batch.cases) > 0 {
				send(cut.batch)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading cases: %w", err)
		}
		if cut.full() || r.Buffered() == 0 && cut.idle() {
			if len(cut.batch.cases) > 0 && !send(cut.batch) {
				return nil
			}
			cut.batch, cut.size = newBatch(), 0
		}
	}
}

func newBatch() *caseBatch { return &caseBatch{done: make(chan struct{})} }

// readLine returns a line with its end, in memory of its own. A line longer than
// any case may be is cut off, so that input without line ends cannot fill the
// memory; what is left still fails as too large.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line) <= iam.MaxCaseSize {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// caseCutter puts lines together into cases.
type caseCutter struct {
	batch *caseBatch
	size  int
	// open is a case whose brackets are not closed yet, of depth levels.
	open     []byte
	openLine int
	depth    int
}

func (c *caseCutter) full() bool { return len(c.batch.cases) >= batchCases || c.size >= batchBytes }

// idle reports whether no case is half read.
func (c *caseCutter) idle() bool { return c.open == nil }

func (c *caseCutter) add(line []byte, number int) {
	if c.open != nil && startsCase(line) {
		c.end()
	}
	if c.open == nil {
		if len(bytes.TrimSpace(line)) == 0 {
			return
		}
		c.openLine, c.depth = number, 0
		c.open = line
	} else {
		c.open = append(c.open, line...)
	}
	// A string cannot go past a line end, so a broken one ends here.
	c.depth += depthOf(line)
	if c.depth <= 0 || len(c.open) > iam.MaxCaseSize {
		c.end()
	}
}

func (c *caseCutter) end() {
	if c.open == nil {
		return
	}
	c.batch.cases = append(c.batch.cases, rawCase{c.open, c.openLine})
	c.size += len(c.open)
	c.open = nil
}

// startsCase reports whether a line at the left margin is the whole of a case, as
// in NDJSON.
func startsCase(line []byte) bool {
	return line[0] == '{' && bytes.Contains(line[:min(len(line), 64)], []byte(`"request"`)) && depthOf(line) == 0
}

// depthOf is how many brackets a line opens less those it closes, strings left
// out.
func depthOf(line []byte) int {
	depth := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(line) && line[i] != '"'; i++ {
				if line[i] == '\\' {
					i++
				}
			}
		}
	}
	return depth
}
