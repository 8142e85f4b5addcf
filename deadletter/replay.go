package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// replayCount and replayBytes bound one delivery of a replay: the collector
	// waits for its turn meanwhile.
	replayCount = 100
	replayBytes = 2 << 20
	// replayTimeout ends a delivery that hangs, for the same reason.
	replayTimeout = time.Minute
	// maxPause is the longest wait after failures in a row.
	maxPause = time.Minute
)

// Run delivers the letters that are marked, until ctx is done. It returns ctx's
// error.
func (k *Keeper) Run(ctx context.Context) error {
	pauses := map[string]time.Duration{}
	due := map[string]time.Time{}
	for {
		more := false
		for _, name := range k.Sinks() {
			if k.now().Before(due[name]) {
				continue
			}
			n, err := k.replayOnce(ctx, name)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				if pauses[name] == 0 && !errors.Is(err, errBusy) {
					k.log.WarnContext(ctx, "dead letters could not be replayed; tried again later",
						slog.String("sink", name), slog.String("error", err.Error()))
				}
				pauses[name] = min(max(2*pauses[name], k.poll), maxPause)
				due[name] = k.now().Add(pauses[name])
			default:
				delete(pauses, name)
				more = more || n > 0
			}
		}
		k.measure(ctx)
		if more {
			continue
		}
		timer := time.NewTimer(k.poll)
		select {
		case <-k.wake:
			timer.Stop()
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Drain delivers what is marked for the sinks of this process, once, and
// returns how many letters the sinks were given. It is for a process that runs
// no collector.
func (k *Keeper) Drain(ctx context.Context) (int, error) {
	total := 0
	var errs []error
	for _, name := range k.Sinks() {
		for {
			n, err := k.replayOnce(ctx, name)
			total += n
			if err != nil {
				errs = append(errs, err)
			}
			if err != nil || n == 0 {
				break
			}
		}
	}
	return total, errors.Join(errs...)
}

// replayOnce delivers some of a sink's marked letters and removes them. Those
// that are refused again have lost their mark by then, and stay.
func (k *Keeper) replayOnce(ctx context.Context, name string) (int, error) {
	k.mu.Lock()
	o := k.outlets[name]
	k.mu.Unlock()
	letters, err := k.store.MarkedLetters(ctx, name, replayCount, replayBytes)
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	batch := make([]*transaction.Transaction, 0, len(letters))
	ids := make([]string, 0, len(letters))
	for i := range letters {
		t := new(transaction.Transaction)
		if err := json.Unmarshal(letters[i].Transaction, t); err != nil {
			return 0, fmt.Errorf("dead letter %s cannot be read: %w (discard it)", letters[i].ID, err)
		}
		batch = append(batch, t)
		ids = append(ids, letters[i].ID)
	}
	limited, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	if err := o.replay(limited, batch); err != nil {
		return 0, fmt.Errorf("replaying %d dead letters to %s: %w", len(batch), name, err)
	}
	taken, err := k.store.RemoveLetters(ctx, ids, true)
	if err != nil {
		return 0, err
	}
	k.metrics.replayed(name, taken)
	k.log.InfoContext(ctx, "dead letters were replayed",
		slog.String("sink", name), slog.Int("taken", taken), slog.Int("refused_again", len(ids)-taken))
	return len(ids), nil
}

// measure sets the gauges.
func (k *Keeper) measure(ctx context.Context) {
	if !k.metrics.on() {
		return
	}
	if counts, err := k.store.CountLetters(ctx); err == nil {
		k.metrics.set(counts)
	}
}
