package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// pageBytes and pageEvents bound a page as CloudWatch's are.
	pageBytes  = 1 << 20
	pageEvents = 10_000
)

var (
	_ collect.Source  = (*Spool)(nil)
	_ collect.Finder  = (*Spool)(nil)
	_ collect.Counter = (*Spool)(nil)
)

// Groups lists the groups that were ever pushed.
func (s *Spool) Groups(ctx context.Context) ([]transaction.Group, []collect.Problem) {
	found, problems := s.Find(ctx)
	groups := make([]transaction.Group, len(found))
	for i := range found {
		groups[i] = found[i].Group
	}
	return groups, problems
}

// Find lists the groups that were ever pushed, with where their events begin. A
// group whose events were all delivered stays: were it polled from now on, what
// was pushed late would be lost.
func (s *Spool) Find(ctx context.Context) ([]collect.Found, []collect.Problem) {
	var problems []collect.Problem
	if s.cfg.Shared {
		if err := s.list(ctx); err != nil {
			problems = append(problems, collect.Problem{
				What: "listing the spool: " + err.Error(), Mend: "allow listing and reading the spool's bucket, or free its folder",
			})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]collect.Found, 0, len(s.order))
	for _, id := range s.order {
		sh := s.shelves[id]
		f := collect.Found{Group: sh.group}
		if len(sh.entries) > 0 {
			f.First = time.UnixMilli(sh.entries[0].at)
		}
		found = append(found, f)
	}
	return found, problems
}

// Read gives a page of the events that arrived with from <= time <= to.
func (s *Spool) Read(ctx context.Context, group transaction.Group, from, to int64, next string) (collect.Page, error) {
	after, skip, err := parseToken(next)
	if err != nil {
		return collect.Page{}, err
	}
	if err := s.wait(ctx, to); err != nil {
		return collect.Page{}, err
	}
	s.mu.Lock()
	sh := s.shelves[idOf(&group)]
	var entries []entry
	if sh != nil {
		entries = sh.between(from, to)
	}
	s.mu.Unlock()

	var page collect.Page
	for _, e := range entries {
		if e.name < after {
			continue
		}
		events, err := s.events(ctx, e)
		if errors.Is(err, fs.ErrNotExist) && !s.removed(sh, e) {
			s.log.ErrorContext(ctx, "a blob of the spool was removed by someone else; its events are lost",
				slog.String("blob", e.name), slog.Int64("events", e.events))
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return collect.Page{}, &damagedError{e.name, err}
		}
		at := 0
		if e.name == after {
			at = min(skip, len(events))
		}
		for ; at < len(events); at++ {
			if len(page.Events) == pageEvents || page.Bytes >= pageBytes {
				page.Next = e.name + "#" + strconv.Itoa(at)
				return page, nil
			}
			ev := events[at]
			// Whatever is dated, also by a clock that is wrong, has a Logged, which
			// tells the collector that this event was pushed.
			ev.Logged, ev.Timestamp = ev.Timestamp, e.at
			if ev.Logged == 0 {
				ev.Logged = e.at
			}
			page.Events = append(page.Events, ev)
			page.Bytes += int64(len(ev.Message))
		}
	}
	return page, nil
}

// wait waits for the blobs of a window that are being written, and sees to it
// that none comes into it afterwards.
func (s *Spool) wait(ctx context.Context, to int64) error {
	for {
		s.mu.Lock()
		s.floor = max(s.floor, min(to, s.clock().UnixMilli()))
		var written chan struct{}
		for at, ch := range s.pending {
			if at <= to {
				written = ch
				break
			}
		}
		s.mu.Unlock()
		if written == nil {
			return nil
		}
		select {
		case <-written:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// removed takes a blob that is not there any more out of the index. It reports
// whether that was to be expected: it had been passed, or the index was old.
func (s *Spool) removed(sh *shelf, e entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.drop(e) {
		s.bytes -= e.size
		return s.cfg.Shared
	}
	return true
}

// damagedError is a blob that cannot be read. It holds up its group and no other:
// going on would lose what was acknowledged.
type damagedError struct {
	name string
	err  error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("reading %s of the spool: %v", e.name, e.err)
}

func (e *damagedError) Unwrap() error { return e.err }

// Mend says what to do.
func (e *damagedError) Mend() string {
	if errors.Is(e.err, errForm) {
		return "restore " + e.name + " from a backup, or remove it to go on without its events"
	}
	return "see that the spool can be read"
}

// Counts tells how many events of each group arrived in each minute since the
// spool was opened, or that it still holds.
func (s *Spool) Counts(_ context.Context, groups []transaction.Group, from, to int64) ([][]collect.MinuteCount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([][]collect.MinuteCount, len(groups))
	for i := range groups {
		sh := s.shelves[idOf(&groups[i])]
		if sh == nil {
			continue
		}
		for m, n := range sh.counts {
			if from <= m && m < to {
				all[i] = append(all[i], collect.MinuteCount{Minute: m, Events: n})
			}
		}
		slices.SortFunc(all[i], func(a, b collect.MinuteCount) int { return int(a.Minute-b.Minute) / minute })
	}
	return all, nil
}

// parseToken reads where a page goes on: the name of a blob and how many of its
// events were given.
func parseToken(next string) (after string, skip int, err error) {
	if next == "" {
		return "", 0, nil
	}
	after, text, ok := strings.Cut(next, "#")
	skip, err = strconv.Atoi(text)
	if !ok || err != nil || skip < 0 {
		return "", 0, fmt.Errorf("page token %q is not of this spool", next)
	}
	return after, skip, nil
}

// events reads a blob's events.
func (s *Spool) events(ctx context.Context, e entry) ([]transaction.Event, error) {
	if events, ok := s.cache.get(e.name); ok {
		return events, nil
	}
	data, err := s.blobs.Get(ctx, e.name)
	if err != nil {
		return nil, err
	}
	_, events, err := Decode(data)
	if err != nil {
		return nil, err
	}
	s.cache.put(e.name, events)
	return events, nil
}

// cache keeps the last blobs that were decoded: a blob is longer than a page, so
// each page of it would decode it again.
type cache struct {
	mu   sync.Mutex
	kept []cached
}

type cached struct {
	name   string
	events []transaction.Event
}

const maxCached = 8

func (c *cache) get(name string) ([]transaction.Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kept {
		if k.name == name {
			return k.events, true
		}
	}
	return nil, false
}

func (c *cache) put(name string, events []transaction.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) == maxCached {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	c.kept = append(c.kept, cached{name, events})
}
