package access

import (
	"context"
)

// followEvery is how many looks a desk that only follows lets pass: a page that is a
// second behind serves as well, and the store is spared.
const followEvery = 4

// Follow is for a process that shows lending and leaves the work to others: it tells
// those who subscribed that others changed something, and keeps its clock up with
// theirs, until ctx is done. Run does so too.
func (d *Desk) Follow(ctx context.Context) error {
	var seq int64
	failed := false
	for pause(ctx, followEvery*d.limits.Poll) {
		pulse, err := d.store.Pulse(ctx)
		if err != nil {
			if ctx.Err() == nil && !failed {
				d.log.ErrorContext(ctx, "looking for what others changed; it is tried again", "error", err)
			}
			failed = true
			continue
		}
		failed = false
		d.clock.Follow(pulse.High, pulse.Epoch)
		if seq != 0 && pulse.Seq != seq {
			d.watch.tell(Event{Kind: "any", At: d.clock.Now()})
		}
		seq = pulse.Seq
	}
	return nil
}
