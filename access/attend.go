package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Presence shows others that a holder of leases is there. The kernel ends it with the
// process, whatever that died of.
type Presence interface {
	// Check returns an error if others may take the holder for gone. From then on they
	// do, for ever.
	Check(ctx context.Context) error
	// Close ends it, as the end of the process would.
	Close() error
}

// attendance is under which name leases are taken. A name is attended once: when its
// Presence is lost, leases under it are anybody's, and the next ones are taken under
// another name.
type attendance struct {
	d *Desk

	mu       sync.Mutex
	count    int // names that were made
	name     string
	presence Presence             // of name; nil: the leases of name run out by time alone
	failed   bool                 // the last try to attend failed, and that was said
	lost     map[string]time.Time // when names were lost, for as long as it matters
	lanes    map[string]*lane
}

func newAttendance(d *Desk) *attendance {
	a := &attendance{d: d, lost: map[string]time.Time{}, lanes: map[string]*lane{}}
	a.name = a.next()
	return a
}

// next makes a name; a.mu is held, or nobody else knows a yet.
func (a *attendance) next() string {
	a.count++
	return a.d.instance + "/" + strconv.Itoa(a.count)
}

// holder is the name under which a lease is taken now.
func (a *attendance) holder() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.name
}

// isLost reports whether a name that was ours is so no longer. A name without a Presence
// is not lost: its leases last as long as they are renewed.
func (a *attendance) isLost(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, lost := a.lost[name]
	return lost
}

// run attends until ctx is done, and anew whenever what showed that we are there is lost.
func (a *attendance) run(ctx context.Context) {
	every := a.d.limits.Lease / 4
	for pause(ctx, every) {
		a.keep(ctx)
	}
}

// keep is look, whatever becomes of it: without it leases run out by time.
func (a *attendance) keep(ctx context.Context) {
	err := guarded("showing that this process is there", func() error {
		a.look(ctx)
		return nil
	})
	if err != nil {
		a.d.log.ErrorContext(ctx, "looking whether others know that this process is there", "error", err)
	}
}

// look sees whether we are known to be there, and to it that we are. Neither takes longer
// than a lease lasts.
func (a *attendance) look(ctx context.Context) {
	a.mu.Lock()
	name, presence := a.name, a.presence
	a.mu.Unlock()
	if presence != nil {
		// Not with ctx: a look that is broken off could cost the presence, while what is
		// under way is still being written down.
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.d.limits.Lease)
		err := presence.Check(bound)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		a.lose(name, err)
	}
	bound, cancel := context.WithTimeout(ctx, a.d.limits.Lease)
	defer cancel()
	a.attend(bound)
}

// lose stops what is under way under a name that others take for gone: they do it now.
// The name goes first, so that no change begins under it meanwhile.
func (a *attendance) lose(name string, why error) {
	a.mu.Lock()
	if a.name != name || a.presence == nil {
		a.mu.Unlock()
		return
	}
	presence := a.presence
	for old, at := range a.lost {
		if time.Since(at) > 2*a.d.limits.Lease {
			delete(a.lost, old) // a lease that was taken under it is over
		}
	}
	a.lost[name] = time.Now()
	a.name, a.presence = a.next(), nil
	lanes := make([]*lane, 0, len(a.lanes))
	for _, l := range a.lanes {
		lanes = append(lanes, l)
	}
	a.mu.Unlock()
	a.d.log.Warn("what shows others that this process is there is lost: what is under way is stopped and done again", "holder", name, "error", why)
	for _, l := range lanes {
		l.loseAll(name)
	}
	_ = presence.Close()
}

// attend makes us known under a new name. A try that fails may have made its name known
// and be gone already, so that name is never used.
func (a *attendance) attend(ctx context.Context) {
	a.mu.Lock()
	name := a.next()
	a.mu.Unlock()
	presence, err := a.d.store.Attend(ctx, name)
	a.mu.Lock()
	said := a.failed
	a.failed = err != nil
	if err == nil {
		a.name, a.presence = name, presence
	}
	a.mu.Unlock()
	if err != nil && !said && !errors.Is(err, context.Canceled) {
		a.d.log.WarnContext(ctx, "others cannot be shown that this process is there: if it dies, what it has under way waits for its leases to run out", "error", err)
	}
}

// leave takes our name back when nothing is under way any more.
func (a *attendance) leave(ctx context.Context) {
	a.mu.Lock()
	name, presence := a.name, a.presence
	a.presence = nil
	a.mu.Unlock()
	if presence == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	// Whoever looks next would do it else.
	if err := a.d.store.EndLeases(ctx, []string{name}); err != nil {
		a.d.log.DebugContext(ctx, "giving up the name of a holder", "error", err)
	}
	_ = presence.Close()
}

// bury ends the leases of holders that are gone, so that what they had under way is
// taken over now and not when their leases run out. A write of theirs that is still on
// its way is found as after any lease that was not ended by its holder.
func (a *attendance) bury(ctx context.Context, gone []string) error {
	if len(gone) == 0 {
		return nil
	}
	if name := a.holder(); slices.Contains(gone, name) {
		a.lose(name, errors.New("the store has it as gone"))
	}
	if err := a.d.store.EndLeases(ctx, gone); err != nil {
		return fmt.Errorf("taking over from a process that is gone: %w", err)
	}
	a.d.log.WarnContext(ctx, "a process that lends is gone: what it had under way is taken over", "holders", gone)
	return nil
}

// lane adds a lane to those that are told when a name is lost.
func (a *attendance) lane(l *lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lanes[l.name] = l
}
