package archive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gatehouse-project/gatehouse/archive"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const groupName = "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"

func requestID(n int) string { return fmt.Sprintf("%08x-1111-4222-8333-444455556666", n) }

type line struct {
	at   time.Time
	text string
}

// callLines are the lines of the n-th call.
func callLines(n int, at time.Time) []line {
	id := requestID(n)
	var out []line
	for i, text := range []string{
		"Extended Request Id: X" + id + "=",
		"Starting execution for request: " + id,
		"HTTP Method: GET, Resource Path: /pets/7",
		"Successfully completed execution",
		"Method completed with status: 200",
	} {
		out = append(out, line{at.Add(time.Duration(i) * time.Millisecond), "(" + id + ") " + text})
	}
	return out
}

// exported is a file as CloudWatch's export to S3 writes it.
func exported(lines []line) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, l := range lines {
		fmt.Fprintf(z, "%s %s\n", l.at.UTC().Format("2006-01-02T15:04:05.000Z"), l.text)
	}
	_ = z.Close()
	return b.Bytes()
}

// filtered is what aws logs filter-log-events prints.
func filtered(lines []line, group string) []byte {
	events := make([]map[string]any, len(lines))
	for i, l := range lines {
		events[i] = map[string]any{
			"logStreamName": "s", "timestamp": l.at.UnixMilli(), "message": l.text, "eventId": fmt.Sprintf("%020d%036d", l.at.UnixMilli(), i),
		}
	}
	page := map[string]any{"events": events}
	if group != "" {
		page["logGroup"] = group
	}
	b, _ := json.Marshal(page)
	return b
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// world keeps what lasts from one import to the next.
type world struct {
	mu     sync.Mutex
	groups map[string]collect.GroupCheckpoint
	known  map[string]bool
	sent   []*transaction.Transaction
	saved  string         // position
	calls  map[string]int // by request id
	times  map[string]time.Time
	fail   int // this delivery fails for good
	n      int
}

func newWorld() *world {
	return &world{groups: map[string]collect.GroupCheckpoint{}, known: map[string]bool{}, calls: map[string]int{}, times: map[string]time.Time{}}
}

func (w *world) LoadCheckpoint(context.Context) (*collect.Checkpoint, error) {
	return &collect.Checkpoint{Groups: slices.Collect(maps.Values(w.groups)), Sinks: map[string]string{"test": w.saved}}, nil
}

func (w *world) Commit(_ context.Context, c *collect.Checkpoint) error {
	for _, g := range c.Groups {
		g.Seen = append(slices.Clone(w.groups[g.Group.Key()].Seen), g.Seen...)
		w.groups[g.Group.Key()] = g
	}
	w.saved = c.Sinks["test"]
	return nil
}

// The sink restores its position, as the file sink does.
func (*world) Name() string                { return "test" }
func (*world) Close(context.Context) error { return nil }

func (w *world) Position() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strconv.Itoa(len(w.sent))
}

func (w *world) Restore(_ context.Context, position string) error {
	n := 0
	if position != "" {
		var err error
		if n, err = strconv.Atoi(position); err != nil {
			return err
		}
	}
	w.sent = w.sent[:n]
	return nil
}

var errStopped = errors.New("stopped")

func (w *world) Deliver(_ context.Context, batch []*transaction.Transaction) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n++; w.fail > 0 && w.n >= w.fail {
		return errStopped
	}
	w.sent = append(w.sent, batch...)
	return nil
}

// run imports paths. It is stopped after a while if deliveries fail.
func (w *world) run(t *testing.T, group string, paths ...string) (*archive.Archive, collect.Books, error) {
	t.Helper()
	w.n = 0
	a, err := archive.Open(t.Context(), archive.Config{
		Paths: paths, Group: transaction.NewGroup(group), Folder: t.TempDir(),
		Known: func(_ context.Context, d string) (bool, error) { return w.known[d], nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx := t.Context()
	cfg := collect.Config{Settle: time.Millisecond, BatchTransactions: 20, ShutdownTimeout: 10 * time.Millisecond, CommitInterval: time.Millisecond}
	if w.fail > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
	}
	c, err := collect.New(cfg, collect.Deps{Source: collect.Join(a, nil, nil), State: a.State(w), Sinks: []collect.Sink{w}})
	if err != nil {
		t.Fatal(err)
	}
	err = c.RunOnce(ctx, time.Time{})
	if err == nil {
		for _, d := range a.Digests() {
			w.known[d] = true
		}
	}
	return a, c.Health().Totals, err
}

func (w *world) check(t *testing.T, calls int) {
	t.Helper()
	clear(w.calls)
	for _, tx := range w.sent {
		w.calls[tx.RequestID]++
		w.times[tx.RequestID] = tx.Time.Time()
	}
	for n := range calls {
		if got := w.calls[requestID(n)]; got != 1 {
			t.Errorf("call %d was delivered %d times", n, got)
		}
	}
	if len(w.calls) != calls {
		t.Errorf("%d calls were delivered; want %d", len(w.calls), calls)
	}
}

// A folder with every form that people keep logs in: each call comes once, whole,
// at its own time, although its lines lie in two streams or two files.
func TestImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	var all [][]line
	for n := range 60 {
		all = append(all, callLines(n, start.Add(time.Duration(n)*time.Second)))
	}
	join := func(from, to int) []line { return slices.Concat(all[from:to]...) }
	// The export has two streams; call 9 began in one file and ended in the next.
	half := join(0, 10)
	write(t, dir, "export/2f1c/stream-a/000000.gz", exported(half[:len(half)-2]))
	write(t, dir, "export/2f1c/stream-a/000001.gz", exported(half[len(half)-2:]))
	write(t, dir, "export/2f1c/stream-b/000000.gz", exported(join(10, 20)))
	write(t, dir, "export/aws-logs-write-test", []byte("Permission Check Successful"))
	write(t, dir, "pages/filter.json", filtered(join(20, 30), ""))
	write(t, dir, "pages/named.json", filtered(join(30, 40), "API-Gateway-Execution-Logs_zzzzzzzzzz/prod"))
	var nd bytes.Buffer
	for _, l := range join(40, 50) {
		_ = json.NewEncoder(&nd).Encode(map[string]any{"timestamp": l.at.UnixMilli(), "message": l.text, "logStreamName": "s"})
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "events.ndjson.zst", z.EncodeAll(nd.Bytes(), nil))
	var plain strings.Builder
	for _, l := range join(50, 60) {
		fmt.Fprintln(&plain, l.text)
	}
	write(t, dir, "plain.log", []byte(plain.String()))
	write(t, dir, ".hidden", []byte("not read"))

	w := newWorld()
	a, books, err := w.run(t, "arn:aws:logs:eu-west-1:111122223333:log-group:"+groupName, dir)
	if err != nil {
		t.Fatal(err)
	}
	w.check(t, 60)
	if files, _, bad := a.Counts(); files != 7 || bad != 0 {
		t.Errorf("%d files, %d bad places", files, bad)
	}
	if !books.Balanced() || books.Read != 300 || books.Incomplete != 0 {
		t.Errorf("books: %+v", books)
	}
	for _, n := range []int{0, 9, 25, 45} {
		if got, want := w.times[requestID(n)], start.Add(time.Duration(n)*time.Second); !got.Equal(want) {
			t.Errorf("call %d is of %v; want %v", n, got, want)
		}
	}

	// Again, under another name and with one file more.
	if err := os.Rename(filepath.Join(dir, "plain.log"), filepath.Join(dir, "renamed.log")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "late.json", filtered(callLines(60, start.Add(5*time.Second)), ""))
	a, books, err = w.run(t, groupName, dir)
	if err != nil || books.Read != 5 {
		t.Errorf("the second import: %+v, %v", books, err)
	}
	if files, known, _ := a.Counts(); files != 1 || known != 7 {
		t.Errorf("%d files imported, %d known", files, known)
	}
	w.check(t, 61)
}

// An import that is stopped in the middle delivers the rest when it is started
// again, and nothing twice.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	const calls = 3000
	var lines []line
	for n := range calls {
		lines = append(lines, callLines(n, start.Add(time.Duration(n)*300*time.Millisecond))...)
	}
	path := write(t, t.TempDir(), "a.json", filtered(lines, ""))
	w := newWorld()
	stops := 0
	for w.fail = 30; ; w.fail += 40 {
		_, _, err := w.run(t, groupName, path)
		if err == nil {
			break
		}
		if stops++; stops > 50 {
			t.Fatal(err)
		}
	}
	if stops == 0 {
		t.Error("the import was never stopped: the test shows nothing")
	}
	w.check(t, calls)
}

// Events with times that are out of order, missing, or after the import are read.
func TestStrangeTimes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var lines []line
	for n, at := range []time.Time{now.Add(48 * time.Hour), now.Add(-30 * 24 * time.Hour), now.Add(-time.Hour), now.Add(-2 * time.Second)} {
		lines = append(lines, callLines(n, at)...)
	}
	w := newWorld()
	_, books, err := w.run(t, groupName, write(t, t.TempDir(), "a.json", filtered(lines, "")))
	if err != nil || !books.Balanced() {
		t.Fatalf("books: %+v, %v", books, err)
	}
	w.check(t, 4)
	if got := w.times[requestID(0)]; got.Before(now.Add(47 * time.Hour)) {
		t.Errorf("a call of the future was given another time: %v", got)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filtered(callLines(0, time.Now().Add(-time.Hour)), "")
	write(t, dir, "a.json", append([]byte(`{"events": [ {"broken`+"\n"), good...))
	w := newWorld()
	a, _, err := w.run(t, groupName, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, bad := a.Counts(); bad == 0 {
		t.Error("a broken place was not counted")
	}
	if _, err := archive.Open(t.Context(), archive.Config{Paths: []string{filepath.Join(dir, "none")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a path that is not there: %v", err)
	}
	truncated := exported(callLines(1, time.Now().Add(-time.Hour)))
	write(t, dir, "b.gz", truncated[:len(truncated)-9])
	if _, err := archive.Open(t.Context(), archive.Config{Paths: []string{dir}, Folder: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "b.gz") {
		t.Errorf("a file that is cut short: %v; want an error that names it", err)
	}
}
