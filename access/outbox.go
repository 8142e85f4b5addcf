package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lettersAtOnce is how many letters of a channel are under way at once.
	lettersAtOnce = 8
	// letterWithin bounds the sending of one, and how long a process that died keeps
	// it from others.
	letterWithin = time.Minute
	// maxLetterBackoff bounds the wait between two tries of a letter.
	maxLetterBackoff = 5 * time.Minute
)

// outbox sends letters until ctx is done. A channel that hangs is left out while all
// of its turns are taken, so it holds up no other.
type outbox struct {
	d    *Desk
	wake chan struct{}

	mu   sync.Mutex
	busy map[string]int // by channel
}

func (o *outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) run(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		for more := true; more && ctx.Err() == nil; {
			now := o.d.clock.Now()
			var letters []ClaimedLetter
			err := guarded("reading the outbox", func() (err error) {
				letters, err = o.d.store.ClaimLetters(ctx, now, now.Add(letterWithin+o.d.limits.Lease), o.full(), lettersAtOnce)
				return err
			})
			if err != nil {
				if ctx.Err() == nil {
					o.d.log.ErrorContext(ctx, "reading the outbox", "error", err)
				}
				break
			}
			more = len(letters) == lettersAtOnce
			for _, l := range letters {
				o.take(l.Channel, 1)
				sending.Go(func() {
					defer o.poke()
					defer o.take(l.Channel, -1)
					o.send(ctx, l)
				})
			}
		}
	}
}

func (o *outbox) take(channel string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy[channel] += n; o.busy[channel] == 0 {
		delete(o.busy, channel)
	}
}

// full are the channels with no turn left.
func (o *outbox) full() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for channel, n := range o.busy {
		if n >= lettersAtOnce {
			out = append(out, channel)
		}
	}
	slices.Sort(out)
	return out
}

func (o *outbox) send(ctx context.Context, l ClaimedLetter) {
	bound, cancel := context.WithTimeout(ctx, letterWithin)
	var receipt []byte
	err := guarded("the mailer", func() (err error) {
		receipt, err = o.d.mailer.Deliver(bound, l)
		return err
	})
	cancel()
	result, text, again := "sent", "", time.Time{}
	switch {
	case err == nil:
	case errors.Is(err, ErrUndeliverable):
		result, text = "refused", cutText(err.Error(), maxErrorText)
		o.d.log.ErrorContext(ctx, "a notice can never be delivered", "channel", l.Channel, "error", err)
	default:
		result, text = "failed", cutText(err.Error(), maxErrorText)
		wait := backoff(l.Attempts+1, maxLetterBackoff)
		var asked interface{ RetryAfter() time.Duration }
		if errors.As(err, &asked) {
			wait = max(wait, min(asked.RetryAfter(), time.Hour))
		}
		again = o.d.clock.Now().Add(wait)
	}
	o.d.metrics.letters.WithLabelValues(result).Inc()
	// What was sent is noted even while the process stops, or it would be sent twice.
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	if err := guarded("noting a sent notice", func() error {
		return o.d.store.SettleLetter(note, l.Key, receipt, text, again)
	}); err != nil {
		o.d.log.ErrorContext(ctx, "noting a sent notice; it will be sent again", "channel", l.Channel, "error", err)
	}
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}
