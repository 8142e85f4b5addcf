package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// WatchOptions are what a Watch works with. Reader is needed.
type WatchOptions struct {
	Reader Reader
	// NoteEvery is how often the head is noted; 0: an hour.
	NoteEvery time.Duration
	// VerifyEvery is how often the whole log is verified without being asked; 0: a day.
	VerifyEvery time.Duration
	Clock       func() time.Time      // nil: time.Now
	Logger      *slog.Logger          // nil: silent
	Metrics     prometheus.Registerer // nil: off
}

// Watch notes the head of the log where it outlives the store, in Gatehouse's own log
// and as a metric, and verifies the log: when it starts, once a day, and on request.
// Each verification holds the log to the heads that this Watch has noted, so that a
// log that is cut off under a running Gatehouse is found. It reads as its Reader does, and
// is safe for concurrent use.
type Watch struct {
	Reader

	o       WatchOptions
	asked   chan struct{} // capacity 1
	seq     prometheus.Gauge
	broken  prometheus.Gauge
	checked prometheus.Gauge

	mu    sync.Mutex
	noted Head
	state Verification
}

// Verification is how the last verification of the log went.
type Verification struct {
	// Running is set while one runs, and Done is how far it is.
	Running bool   `json:"running"`
	Done    uint64 `json:"done,omitempty"`
	// Time is when the last one ended; zero if there was none yet.
	Time time.Time `json:"time,omitzero"`
	// Verified is the newest event up to which the log is whole.
	Verified Head `json:"verified,omitzero"`
	// Broken says where the log is broken, if it is.
	Broken string `json:"broken,omitempty"`
	// Failed says why the log could not be read, if it could not.
	Failed  string   `json:"failed,omitempty"`
	Notices []string `json:"notices,omitempty"`
}

// NewWatch makes a Watch.
func NewWatch(o WatchOptions) (*Watch, error) {
	if o.NoteEvery <= 0 {
		o.NoteEvery = time.Hour
	}
	if o.VerifyEvery <= 0 {
		o.VerifyEvery = 24 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "gatehouse", Subsystem: "audit", Name: name, Help: help})
	}
	w := &Watch{
		Reader: o.Reader, o: o, asked: make(chan struct{}, 1),
		seq:     gauge("head_seq", "Number of the newest event of the audit log."),
		broken:  gauge("broken", "1 if the last verification found the audit log broken."),
		checked: gauge("verified_timestamp_seconds", "When the audit log was last verified whole, in seconds since the epoch."),
	}
	if o.Metrics != nil {
		for _, c := range []prometheus.Collector{w.seq, w.broken, w.checked} {
			if err := o.Metrics.Register(c); err != nil {
				return nil, fmt.Errorf("audit: registering metrics: %w", err)
			}
		}
	}
	return w, nil
}

// Run notes and verifies until ctx is done. It returns at once for a store that keeps
// no log.
func (w *Watch) Run(ctx context.Context) error {
	if err := w.Note(ctx); errors.Is(err, ErrNotKept) {
		<-ctx.Done()
		return ctx.Err()
	}
	w.verify(ctx)
	note, verify := time.NewTicker(w.o.NoteEvery), time.NewTicker(w.o.VerifyEvery)
	defer note.Stop()
	defer verify.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-note.C:
			_ = w.Note(ctx) // it is logged, and tried again in an hour
		case <-verify.C:
			w.verify(ctx)
		case <-w.asked:
			w.verify(ctx)
		}
	}
}

// Note writes the head to the log and the metric. The process calls it once more when
// it stops, after the last event.
func (w *Watch) Note(ctx context.Context) error {
	head, err := w.AuditHead(ctx)
	if err != nil {
		if !errors.Is(err, ErrNotKept) && ctx.Err() == nil {
			w.o.Logger.ErrorContext(ctx, "the head of the audit log could not be read", "error", err)
		}
		return err
	}
	w.mu.Lock()
	before := w.noted
	if head.Seq >= before.Seq {
		w.noted = head
	}
	w.mu.Unlock()
	w.seq.Set(float64(head.Seq))
	if head.Seq < before.Seq {
		w.o.Logger.ErrorContext(ctx, "the audit log was cut off", "head", head.String(), "noted", before.String())
		return nil
	}
	w.o.Logger.InfoContext(ctx, "the head of the audit log; 'gatehouse audit verify --head' takes it", "head", head.String())
	return nil
}

// Verify asks Run for a verification, soon; one that runs is enough.
func (w *Watch) Verify() {
	w.mu.Lock()
	w.state.Running = true
	w.mu.Unlock()
	select {
	case w.asked <- struct{}{}:
	default:
	}
}

// State returns how the last verification went.
func (w *Watch) State() Verification {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *Watch) verify(ctx context.Context) {
	w.mu.Lock()
	w.state.Running, w.state.Done = true, 0
	var o VerifyOptions
	if w.noted.Seq > 0 {
		o.Heads = []Head{w.noted}
	}
	w.mu.Unlock()
	report, err := VerifyStore(ctx, w, o, func(seq uint64) {
		w.mu.Lock()
		w.state.Done = seq
		w.mu.Unlock()
	})
	if ctx.Err() != nil {
		return
	}
	now := w.o.Clock()
	state := Verification{Time: now.UTC(), Verified: report.Last}
	if broken, ok := errors.AsType[*BreakError](err); ok {
		state.Broken = broken.Error()
		w.broken.Set(1)
		w.o.Logger.ErrorContext(ctx, "the audit log is broken", "event", broken.Seq, "fault", string(broken.Fault), "want", broken.Want, "got", broken.Got)
	} else if err != nil {
		state.Failed = "the audit log could not be read; Gatehouse's log says why"
		w.o.Logger.ErrorContext(ctx, "the audit log could not be verified", "error", err)
	} else {
		w.broken.Set(0)
		w.checked.Set(float64(now.Unix()))
		w.o.Logger.InfoContext(ctx, "the audit log was verified", "events", report.Events, "head", report.Last.String(), "notices", report.NoticeCount)
	}
	for _, n := range report.Notices {
		state.Notices = append(state.Notices, fmt.Sprintf("event %d: %s", n.Seq, n.Text))
	}
	w.mu.Lock()
	if err == nil && report.Last.Seq > w.noted.Seq {
		w.noted = report.Last
	}
	w.state = state
	w.mu.Unlock()
}
