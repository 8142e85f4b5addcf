package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

var (
	// errSplit occurs when a window turned out to hold far more than was
	// expected; it is read again in smaller parts.
	errSplit = errors.New("the window holds too many pages")
	// errStuck occurs when a page leads to itself.
	// errCounts occurs when a Counter does not answer what it was asked.
	errCounts = errors.New("the count tells of other log groups than were asked for")
	errStuck  = errors.New("the page's token leads to the same page again")
)

// serve reads a window and takes note of how it went.
func (l *lane) serve(ctx context.Context, t task) {
	began := l.c.now()
	err := l.readWindow(ctx, t)
	switch {
	case err == nil && t.again:
		l.reread(ctx, t)
	case err == nil:
		l.finished(ctx, t, began)
	case ctx.Err() != nil:
		// Stopping; the window is read again after the next start.
	default:
		l.failed(ctx, t, err)
	}
	l.mu.Lock()
	t.group.busy = false
	l.mu.Unlock()
}

// readWindow reads all pages of a window. Whatever happens before the last of
// them, the frontier stays and the window is read again: events that were
// already taken are then doubles.
func (l *lane) readWindow(ctx context.Context, t task) error {
	l.mu.Lock()
	info := t.group.info
	l.mu.Unlock()
	limit := 8 * l.c.cfg.WindowPages
	var next string
	var bytes, events int64
	var pages int
	var digests []uint64
	for {
		page, err := l.readPage(ctx, &info, t, next)
		if err != nil {
			if next != "" {
				// A shorter window is more likely to come to its end. Without this
				// one error in a hundred pages could keep a window of a thousand
				// from ever being read.
				l.shorten(t, 2)
			}
			return fmt.Errorf("reading log group %s: %w", info.Name, err)
		}
		if len(page.Events) > 0 {
			pages++
			bytes += page.Bytes
			events += int64(len(page.Events))
		}
		if digests = order(page.Events, digests); t.again {
			l.sift(t, &page, digests)
		} else {
			l.absorb(t, &page, digests)
		}
		if page.Next == "" {
			break
		}
		if page.Next == next {
			return fmt.Errorf("reading log group %s: %w", info.Name, errStuck)
		}
		next = page.Next
		if pages >= limit && t.to-t.from > minSpan.Milliseconds() {
			l.shorten(t, 8)
			return errSplit
		}
		if err := l.c.pipeline.waitRoom(ctx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	t.reading().adapt(t.to-t.from, bytes, events, pages, l.c.cfg.WindowPages)
	l.mu.Unlock()
	return nil
}

// reading is what chooses the size of the next window.
func (t *task) reading() *reading {
	if t.again {
		return &t.group.check.reread.span
	}
	return &t.group.readings[t.pass]
}

// pageAttempts is how often a page is asked for before its window is given up
// and read again from its beginning. The SDK has tried several times each.
const pageAttempts = 3

func (l *lane) readPage(ctx context.Context, info *transaction.Group, t task, next string) (Page, error) {
	for attempt := 1; ; attempt++ {
		page, err := l.c.deps.Source.Read(ctx, *info, t.from, t.to-1, next)
		if err == nil {
			return page, nil
		}
		class := account.Classify(err)
		l.meters.failed(class)
		switch class {
		case account.Denied, account.Gone, account.Invalid, account.Canceled:
			return Page{}, err
		}
		if attempt == pageAttempts || !sleep(ctx, backoff(attempt)) {
			return Page{}, err
		}
	}
}

// shorten makes the next window at this place a part of the one that failed.
func (l *lane) shorten(t task, parts int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.reading().span = max(minSpan.Milliseconds(), (t.to-t.from)/parts)
}

// order sorts the events of a page, which AWS promises only in part, by time and
// then by eventId, which tells the order within a millisecond. It returns their
// digests, in the room of those of another page.
func order(events []transaction.Event, digests []uint64) []uint64 {
	for i := 1; i < len(events); i++ {
		if before(&events[i], &events[i-1]) {
			slices.SortStableFunc(events, compareEvents)
			break
		}
	}
	digests = slices.Grow(digests[:0], len(events))[:len(events)]
	for i := range events {
		digests[i] = events[i].Digest()
	}
	return digests
}

// before is compareEvents without copies.
func before(a, b *transaction.Event) bool {
	switch {
	case a.Timestamp != b.Timestamp:
		return a.Timestamp < b.Timestamp
	case len(a.ID) != len(b.ID):
		return len(a.ID) < len(b.ID)
	default:
		return a.ID < b.ID
	}
}

// compareEvents compares eventIds as the decimal numbers that they are.
func compareEvents(a, b transaction.Event) int {
	return cmp.Or(
		cmp.Compare(a.Timestamp, b.Timestamp),
		cmp.Compare(a.Logged, b.Logged),
		cmp.Compare(len(a.ID), len(b.ID)),
		cmp.Compare(a.ID, b.ID),
	)
}

// failed decides what an error means for the group or its lane, and when to try
// again.
func (l *lane) failed(ctx context.Context, t task, err error) {
	if errors.Is(err, errSplit) {
		return
	}
	now := l.c.now()
	v := judge(err)
	l.mu.Lock()
	g := t.group
	where := &g.trouble
	if v.lane {
		where = &l.trouble
	}
	fresh := where.state != v.state
	if fresh {
		where.since = now
	}
	where.state, where.passing, where.err, where.mend = v.state, v.passing, account.Text(err), v.mend
	where.failures++
	where.retry = now.Add(v.delay(where.failures))
	wait := where.retry.Sub(now)
	l.mu.Unlock()
	attrs := []any{
		slog.String("account", l.account), slog.String("region", l.region),
		slog.String("state", v.state), slog.String("error", account.Text(err)),
		slog.Duration("retry_in", wait.Round(time.Millisecond)),
	}
	if !v.lane {
		attrs = append(attrs, slog.String("group", g.info.Name))
	}
	if v.mend != "" {
		attrs = append(attrs, slog.String("mend", v.mend))
	}
	switch {
	case !fresh:
		l.c.log.DebugContext(ctx, "still cannot read", attrs...)
	case v.lane:
		l.c.log.WarnContext(ctx, "cannot read the account in this region", attrs...)
	default:
		l.c.log.WarnContext(ctx, "cannot read a log group", attrs...)
	}
}

// verdict is what an error means for reading on.
type verdict struct {
	state   string
	mend    string
	lane    bool          // nothing of the account and region can be read
	passing bool          // it may pass by itself
	first   time.Duration // until the second try
}

// isChain reports whether credentials could not be had.
func isChain(err error) bool {
	_, ok := errors.AsType[*account.ChainError](err)
	return ok
}

// judge is the one place that decides what a failed read means.
func judge(err error) verdict {
	var mender interface{ Mend() string }
	var chain *account.ChainError
	v := verdict{state: stateFailing, passing: true, first: 500 * time.Millisecond}
	if errors.As(err, &mender) {
		v.mend = mender.Mend()
	}
	class := account.Classify(err)
	switch class {
	case account.Denied:
		v.state, v.passing = stateDenied, false
		if v.mend == "" {
			v.mend = "allow logs:FilterLogEvents on this log group to the role that reads it, and kms:Decrypt where the group has a key of its own"
		}
		v.first = 5 * time.Second
	case account.Gone:
		v.state, v.passing = stateGone, false
		v.first = 5 * time.Second
	case account.Invalid:
		// With a page token this is a token that AWS no longer knows; without
		// one the group cannot be read in this way, as one of the Infrequent
		// Access class. Which of the two it is shows when the window is begun
		// again.
	default:
		// Throttling, expired credentials, cut answers and everything that nobody
		// knows: reading again loses nothing, giving up might.
	}
	// Credentials that cannot be had fail all groups in the same way: one
	// warning and one back-off for all of them.
	v.lane = class == account.Expired || errors.As(err, &chain)
	return v
}

// delay is the wait before the nth try, doubling to 5 minutes. The random part
// keeps groups that failed together from returning together.
func (v verdict) delay(n int) time.Duration {
	d := min(v.first<<min(n-1, 16), 5*time.Minute)
	return d/2 + rand.N(d/2+1) //nolint:gosec // not a secret
}
