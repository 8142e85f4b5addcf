package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	t.Helper()
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
	for {
		ids, err := w.readIDs()
		if err == nil {
			return ids
		}
		if !errors.Is(err, fs.ErrNotExist) { // compressed and removed just now
			w.t.Fatal(err)
		}
	}
}

func (w *world) readIDs() ([]string, error) {
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
		content, err := readPlain(w.path(name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for line := range bytes.Lines(content) {
			var c transaction.Transaction
			if err := json.Unmarshal(line, &c); err != nil || line[len(line)-1] != '\n' {
				return nil, fmt.Errorf("%s has the line %q: %w", name, line, err)
			}
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

// readPlain reads a file, decompressed as its name says.
func readPlain(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for codec, extension := range extensions {
		if extension == "" || !strings.HasSuffix(path, extension) {
			continue
		}
		plain, closePlain, err := decoder(codec, f)
		if err != nil {
			return nil, err
		}
		defer closePlain()
		return io.ReadAll(plain)
	}
	return io.ReadAll(f)
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
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not in time; there are %v\n%s", what, w.names(), w.log)
		}
	}
}
