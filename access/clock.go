package access

import (
	"log/slog"
	"sync"
	"time"
)

// Clock is the time that lending goes by. It never goes back, whatever the wall
// clock does, for a grant that was due must stay due:
//
//   - As long as the wall clock and the monotonic clock agree, it is the wall clock.
//   - When the wall clock jumps back, it goes on with the monotonic one, so that no
//     grant is lengthened, until the wall clock has caught up.
//   - When the wall clock jumps forward by more than the monotonic clock explains,
//     it follows at once: a machine that was suspended looks just like that, and of
//     the two errors the safe one is that grants end early.
//   - Every commit carries its time to the store's high water, and every look at the
//     store brings the high water back. So a restart with a wrong clock does not go
//     back either, and of several servers none is behind the newest commit of another
//     for longer than a look takes.
//
// A time that ran ahead by mistake stays ahead until the wall clock has caught up, and is
// as good as any for what is lent: all ends after the time that it was lent for. Who wants
// it right sooner sets it back, and all that is open with it: see Desk.ResetClock.
//
// Both jumps are alarms: what is shown, annotated in a target or written into a
// session policy as a time is only as right as the wall clock.
type Clock struct {
	wall  func() time.Time
	log   *slog.Logger
	alarm func(off time.Duration)

	mu   sync.Mutex
	mono time.Time // reading of the monotonic clock at the last look
	last time.Time // the answer at the last look
	off  time.Duration
	// since is when the wall clock was first seen behind, by the wall clock.
	since time.Time
	// epoch counts how often the time was set back, if that is known.
	epoch int64
	known bool
}

// jump is how far the clocks may be apart before it is a jump. Below, they are
// slewed against each other.
const jump = 2 * time.Second

// NewClock makes a Clock over a wall clock; nil: time.Now. alarm, if not nil, is
// called with how far the wall clock is ahead (behind: negative) when that begins to
// be a jump, and with 0 when it is over.
func NewClock(wall func() time.Time, log *slog.Logger, alarm func(off time.Duration)) *Clock {
	if wall == nil {
		wall = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if alarm == nil {
		alarm = func(time.Duration) {}
	}
	return &Clock{wall: wall, log: log, alarm: alarm}
}

// Now returns the time, in UTC and without a monotonic part. It is never before an
// earlier answer. It is in whole microseconds, which every store keeps exactly: what a
// store calls due must be due here, too.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Truncate(time.Microsecond)
}

func (c *Clock) now() time.Time {
	mono, wall := time.Now(), c.wall().Round(0).UTC()
	if c.last.IsZero() {
		c.mono, c.last = mono, wall
		return wall
	}
	explained := c.last.Add(max(mono.Sub(c.mono), 0))
	off := wall.Sub(explained)
	c.mono = mono
	c.last = explained
	if off > 0 {
		c.last = wall
	}
	switch {
	case off > jump:
		c.log.Error("the wall clock jumped ahead: grants may end early", "by", off.Round(time.Millisecond).String(), "now", wall)
		c.alarm(off)
		c.off, c.since = 0, time.Time{}
	case off < -jump && c.off == 0:
		c.log.Error("the wall clock is behind the time that lending has seen: going on without it until it has caught up; check the clock of this machine",
			"by", (-off).Round(time.Millisecond).String(), "wall", wall, "now", c.last,
			"hint", "if the time of lending is wrong and not the wall clock: gatehouse access clock")
		c.off, c.since = off, wall
		c.alarm(off)
	case off < -jump:
		c.off = off
		c.alarm(off)
	case c.off != 0:
		c.off, c.since = 0, time.Time{}
		c.log.Info("the wall clock has caught up with the time of lending")
		c.alarm(0)
	}
	return c.last
}

// Raise makes sure that the time is not before t, the newest that anybody has
// committed.
func (c *Clock) Raise(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raise(t)
}

func (c *Clock) raise(t time.Time) {
	if now := c.now(); t.After(now) {
		c.last = t.Round(0).UTC()
	}
}

// Follow makes sure that the time is not before high, the newest that anybody has
// committed in an epoch. In an epoch that is new it begins anew from high, or from the
// wall clock where that is further: the time of before it holds no longer.
func (c *Clock) Follow(high time.Time, epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known && epoch > c.epoch {
		c.log.Warn("the time of lending was set back", "from", c.now(), "to", high)
		c.mono, c.last, c.off, c.since = time.Now(), high.Round(0).UTC(), 0, time.Time{}
		c.alarm(0)
	}
	if !c.known || epoch >= c.epoch {
		c.known, c.epoch = true, max(epoch, c.epoch)
		c.raise(high)
	}
}

// epochAt is the epoch that a time was told in, a moment ago; nil: none is known yet. A
// time of before the newest epoch lies ahead of the time of now, for only what is ahead
// is set back.
func (c *Clock) epochAt(t time.Time) *int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return nil
	}
	epoch := c.epoch
	if t.After(c.now()) {
		epoch--
	}
	return &epoch
}

// reading is what the clocks show in one moment. since is when this process first saw
// that the wall clock is behind, by the wall clock.
func (c *Clock) reading() (wall, now, since time.Time, epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The wall clock first: the time of lending, read after it, is then never before it.
	wall = c.wall().Round(0).UTC().Truncate(time.Microsecond)
	now = c.now().Truncate(time.Microsecond)
	return wall, now, c.since, c.epoch
}

// Off is how far the wall clock is behind the time of lending, negative, while
// that is more than slewing explains; else 0.
func (c *Clock) Off() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now()
	return c.off
}
