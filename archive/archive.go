// Package archive makes a collect.Source of files and folders of exported logs.
// The files are read once, in whatever order and form they are, into a temporary
// folder from which their events can be had by time, as from CloudWatch.
//
// What was imported is known by content: a file is imported once, wherever it lies
// and whatever it is called. An import that was interrupted goes on where it was
// if it is started again with the same files.
package archive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/logfile"
	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// maxChunk is about how many bytes of messages a chunk holds, and maxBuffered
	// how many are held in memory before chunks are written.
	maxChunk    = 4 << 20
	maxBuffered = 32 << 20
	pageBytes   = 1 << 20
	pageEvents  = 10_000
	maxCached   = 8
	// maxComplaints is how many unreadable places of a file are logged one by one.
	maxComplaints = 10
)

// Config says what is imported.
type Config struct {
	// Paths are files, and folders that are read with all in them.
	Paths []string
	// Group is what the files do not tell of their log group.
	Group transaction.Group
	// Known reports whether a file with this SHA-256 was imported before.
	Known func(ctx context.Context, digest string) (bool, error)
	// Folder is where the temporary folder is made; empty: the system's.
	Folder string
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Log may be nil.
	Log *slog.Logger
}

// Archive is a Source of the events of files.
type Archive struct {
	folder  string
	now     int64
	log     *slog.Logger
	groups  []transaction.Group
	shelves map[string]*shelf // by Key
	digests []string          // of the files that are imported, sorted
	chunks  int
	known   int
	bad     int64

	mu    sync.Mutex
	cache []cached
	last  window
}

var (
	_ collect.Source = (*Archive)(nil)
	_ collect.Finder = (*Archive)(nil)
)

// shelf is the chunks of one group.
type shelf struct {
	group  transaction.Group
	chunks []chunk
	first  int64
}

// chunk is a file of events; from and to are their first and last time.
type chunk struct {
	number   int
	from, to int64
	bytes    int64 // of the messages
}

// Open reads the files. Close removes what it has written. It fails if a path
// cannot be read, and leaves out, with a line in the log, what is no log events.
func Open(ctx context.Context, cfg Config) (_ *Archive, err error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	a := &Archive{log: cfg.Log, shelves: make(map[string]*shelf), now: cfg.Clock().UnixMilli()}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	files, err := list(cfg.Paths)
	if err != nil {
		return nil, err
	}
	if a.folder, err = os.MkdirTemp(cfg.Folder, "gatehouse-import-"); err != nil {
		return nil, fmt.Errorf("importing: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	seen := make(map[string]bool)
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		digest, err := digestOf(name)
		if err != nil {
			return nil, fmt.Errorf("importing: %w", err)
		}
		known := seen[digest]
		if !known && cfg.Known != nil {
			if known, err = cfg.Known(ctx, digest); err != nil {
				return nil, fmt.Errorf("importing: %w", err)
			}
		}
		if known {
			a.known++
			a.log.InfoContext(ctx, "a file was imported before and is left out", slog.String("file", name))
			continue
		}
		seen[digest] = true
		if err := a.read(ctx, name, cfg.Group); err != nil {
			return nil, fmt.Errorf("importing %s: %w", name, err)
		}
		a.digests = append(a.digests, digest)
	}
	slices.Sort(a.digests)
	return a, nil
}

// Close removes the temporary folder.
func (a *Archive) Close() error { return os.RemoveAll(a.folder) }

// Digests are the SHA-256 of the files that are imported, to be made known once
// everything is delivered.
func (a *Archive) Digests() []string { return a.digests }

// Counts tells how many files are imported and how many were left out because
// they were imported before, and how many places could not be read.
func (a *Archive) Counts() (files, known int, unreadable int64) {
	return len(a.digests), a.known, a.bad
}

// writeTest is the file by which CloudWatch Logs tries out the bucket of an
// export.
const writeTest = "aws-logs-write-test"

// list finds the files under paths, each once.
func list(paths []string) ([]string, error) {
	var files []string
	seen := make(map[string]bool)
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			hidden := path != root && strings.HasPrefix(d.Name(), ".")
			switch {
			case d.IsDir() && hidden:
				return fs.SkipDir
			case d.IsDir(), hidden, d.Name() == writeTest, seen[path]:
				return nil
			case path != root && d.Type()&fs.ModeSymlink == 0 && !d.Type().IsRegular():
				return nil
			}
			seen[path] = true
			files = append(files, path)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("importing: %w", err)
		}
	}
	return files, nil
}

func digestOf(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// part is a file as an export to S3 names it: STREAM/000000.gz.
var part = regexp.MustCompile(`^\d{6}(\.gz|\.zst)?$`)

// read puts the events of a file into chunks.
func (a *Archive) read(ctx context.Context, name string, defaults transaction.Group) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	stream := ""
	if part.MatchString(filepath.Base(name)) {
		stream = filepath.Base(filepath.Dir(name))
	}
	// An event without a time has that of the one before.
	at := info.ModTime().UnixMilli()
	r := logfile.NewReader(file, defaults)
	b := buffers{archive: a}
	complaints := 0
	for {
		g, ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			a.bad++
			if complaints++; complaints <= maxComplaints {
				a.log.WarnContext(ctx, "a place of a file cannot be read and is left out", slog.String("file", name), slog.String("error", err.Error()))
			}
			if _, goesOn := errors.AsType[*logfile.RecordError](err); goesOn {
				continue
			}
			return err
		}
		if ev.Timestamp <= 0 {
			ev.Timestamp = at
		}
		at = ev.Timestamp
		if ev.Stream == "" {
			ev.Stream = stream
		}
		if err := b.add(g, ev); err != nil {
			return err
		}
	}
	return b.flush()
}

// buffers hold the events of a file that are not in chunks yet.
type buffers struct {
	archive *Archive
	groups  map[transaction.Group]*buffer
	bytes   int
}

type buffer struct {
	events []transaction.Event
	bytes  int
}

func (b *buffers) add(g transaction.Group, ev transaction.Event) error {
	if b.groups == nil {
		b.groups = make(map[transaction.Group]*buffer)
	}
	buf := b.groups[g]
	if buf == nil {
		buf = &buffer{}
		b.groups[g] = buf
	}
	buf.events = append(buf.events, ev)
	size := len(ev.Message) + len(ev.ID) + 64
	buf.bytes += size
	b.bytes += size
	if buf.bytes >= maxChunk {
		b.bytes -= buf.bytes
		delete(b.groups, g)
		return b.archive.write(g, buf.events)
	}
	if b.bytes >= maxBuffered {
		return b.flush()
	}
	return nil
}

func (b *buffers) flush() error {
	for g, buf := range b.groups {
		if err := b.archive.write(g, buf.events); err != nil {
			return err
		}
	}
	b.groups, b.bytes = nil, 0
	return nil
}

// write writes a chunk.
func (a *Archive) write(g transaction.Group, events []transaction.Event) error {
	c := chunk{number: a.chunks, from: a.place(events[0].Timestamp), to: a.place(events[0].Timestamp)}
	for i := range events {
		at := a.place(events[i].Timestamp)
		c.from, c.to = min(c.from, at), max(c.to, at)
		c.bytes += int64(len(events[i].Message))
	}
	data, err := spool.Encode(g, events)
	if err == nil {
		err = os.WriteFile(a.file(c.number), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing a temporary file: %w", err)
	}
	a.chunks++
	key := g.Key()
	s := a.shelves[key]
	if s == nil {
		s = &shelf{group: g, first: c.from}
		a.shelves[key] = s
		a.groups = append(a.groups, g)
	}
	s.chunks = append(s.chunks, c)
	s.first = min(s.first, c.from)
	return nil
}

// slack is how far before the start of the import its last events are placed, in
// milliseconds: the machine's clock may be set back a little before the collector
// looks at it to know where reading ends.
const slack = 1000

// place is where in time an event is read: its own time, but not after the start
// of the import, where reading ends.
func (a *Archive) place(at int64) int64 { return min(at, a.now-slack) }

func (a *Archive) file(n int) string {
	return filepath.Join(a.folder, strconv.Itoa(n))
}

// Groups lists the log groups of the files.
func (a *Archive) Groups(context.Context) ([]transaction.Group, []collect.Problem) {
	return slices.Clone(a.groups), nil
}

// Find lists the log groups of the files with where their events begin.
func (a *Archive) Find(context.Context) ([]collect.Found, []collect.Problem) {
	found := make([]collect.Found, len(a.groups))
	for i, g := range a.groups {
		found[i] = collect.Found{Group: g, First: time.UnixMilli(a.shelves[g.Key()].first)}
	}
	return found, nil
}

// window is the events of the part of a window that was read last, in order.
type window struct {
	shelf    *shelf
	from, to int64
	events   []transaction.Event
}

// Read gives a page of the events with from <= time <= to.
func (a *Archive) Read(_ context.Context, group transaction.Group, from, to int64, next string) (collect.Page, error) {
	begin, at := from, 0
	if next != "" {
		if n, err := fmt.Sscanf(next, "%d#%d", &begin, &at); n != 2 || err != nil || at < 0 || begin < from {
			return collect.Page{}, fmt.Errorf("page token %q is not of this archive", next)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.shelves[group.Key()]
	if s == nil {
		return collect.Page{}, nil
	}
	end := s.end(begin, to)
	w := &a.last
	if w.shelf != s || w.from != begin || w.to != end {
		events, err := a.between(s, begin, end)
		if err != nil {
			return collect.Page{}, err
		}
		*w = window{s, begin, end, events}
	}
	var page collect.Page
	for ; at < len(w.events); at++ {
		if len(page.Events) == pageEvents || page.Bytes >= pageBytes {
			page.Next = fmt.Sprintf("%d#%d", begin, at)
			return page, nil
		}
		page.Events = append(page.Events, w.events[at])
		page.Bytes += int64(len(w.events[at].Message))
	}
	if end < to {
		page.Next = fmt.Sprintf("%d#%d", end+1, 0)
	}
	return page, nil
}

// maxWindow is about how many bytes of messages are put in order at once.
const maxWindow = 32 << 20

// end is up to where the events from begin on are put in order at once: to, or
// less far where that would be very many.
func (s *shelf) end(begin, to int64) int64 {
	for to-begin > 1 {
		var bytes int64
		for _, c := range s.chunks {
			if overlap := min(to, c.to) - max(begin, c.from) + 1; overlap > 0 {
				bytes += int64(float64(c.bytes) * float64(overlap) / float64(c.to-c.from+1))
			}
		}
		if bytes <= maxWindow {
			break
		}
		to = begin + (to-begin)/2
	}
	return to
}

// between gathers the events of a window from all chunks that reach into it.
func (a *Archive) between(s *shelf, from, to int64) ([]transaction.Event, error) {
	var out []transaction.Event
	for _, c := range s.chunks {
		if c.to < from || c.from > to {
			continue
		}
		events, err := a.events(c)
		if err != nil {
			return nil, err
		}
		for _, ev := range events {
			place := a.place(ev.Timestamp)
			if place < from || place > to {
				continue
			}
			if place != ev.Timestamp {
				ev.Logged, ev.Timestamp = ev.Timestamp, place
			}
			out = append(out, ev)
		}
	}
	slices.SortStableFunc(out, func(x, y transaction.Event) int {
		return cmp.Or(cmp.Compare(x.Timestamp, y.Timestamp), transaction.CompareEventIDs(x.ID, y.ID))
	})
	return out, nil
}

type cached struct {
	number int
	events []transaction.Event
}

func (a *Archive) events(c chunk) ([]transaction.Event, error) {
	for _, k := range a.cache {
		if k.number == c.number {
			return k.events, nil
		}
	}
	data, err := os.ReadFile(a.file(c.number))
	if err != nil {
		return nil, err
	}
	_, events, err := spool.Decode(data)
	if err != nil {
		return nil, err
	}
	if len(a.cache) == maxCached {
		a.cache = slices.Delete(a.cache, 0, 1)
	}
	a.cache = append(a.cache, cached{c.number, events})
	return events, nil
}
