package notify

import (
	"sync"
	"time"
)

const (
	// breakAfter failures in a row open a breaker.
	breakAfter = 5
	// A breaker stays open for minBreak first, and for twice as long after each
	// probe that fails, up to maxBreak.
	minBreak = 5 * time.Second
	maxBreak = 5 * time.Minute
	// probeWait is how long others wait while one delivery probes the channel.
	probeWait = time.Second
)

// breaker keeps a channel that is down from being asked by every row of the
// outbox. It opens after failures of the channel, not of single addresses, and
// lets one delivery through after a while.
type breaker struct {
	now func() time.Time
	// turned is told under the lock when the breaker opens or closes, so that what
	// it shows is in the order of what happened.
	turned func(open bool)

	mu       sync.Mutex
	failures int
	wait     time.Duration
	until    time.Time // zero: closed
	probing  bool
}

// enter reports whether a delivery may go, and if not, how long to wait. probe
// must be handed to leave.
func (b *breaker) enter() (probe bool, wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return false, 0, true
	}
	if wait := b.until.Sub(b.now()); wait > 0 {
		return false, wait, false
	}
	if b.probing {
		return false, probeWait, false
	}
	b.probing = true
	return true, 0, true
}

// leave takes the outcome of a delivery. A failure that asks for a wait closes the
// way at once. A delivery that its caller gave up says nothing of the channel.
func (b *breaker) leave(probe bool, class Class, after time.Duration, gaveUp bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := !b.until.IsZero()
	defer func() {
		if open := !b.until.IsZero(); open != before {
			b.turned(open)
		}
	}()
	if probe {
		b.probing = false
	}
	switch {
	case gaveUp:
	case class == "" || class == Permanent: // the channel answered
		// One that began before the breaker opened says nothing of the time since.
		if probe || b.until.IsZero() {
			b.failures, b.wait, b.until = 0, 0, time.Time{}
		}
	default:
		b.failures++
		now := b.now()
		if after > 0 && now.Add(after).After(b.until) {
			b.until = now.Add(after)
		}
		if probe || b.failures == breakAfter {
			b.wait = min(max(2*b.wait, minBreak), maxBreak)
			if until := now.Add(b.wait); until.After(b.until) {
				b.until = until
			}
		}
	}
}
