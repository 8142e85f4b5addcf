package dashboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/logging"
)

const (
	// runPace is how often a browser is told how far a run is, at most, and runIdle
	// how long a stream is silent at most.
	runPace = 250 * time.Millisecond
	runIdle = 15 * time.Second
	// runLines bounds the lines of the journal that are read for one page.
	runLines = 20_000
)

// loggingRunData is a run as it stands, or as the journal tells it.
type loggingRunData struct {
	*logging.Run               // nil: of the journal alone
	Past         *logging.Past // nil: it has not begun to change anything
	Title        string
	ID, Who      string
	Command      logging.Command
	Began, Ended time.Time
	Badge        badge
	Doing        string // what it does now
	Share        int    // of 100 that is done of it
	Over         bool
	Summary      *logging.Summary
	Wrong        []changeLine // what failed or was left
	Done         []changeLine
	Cut          int
	Stale        []staleLine
	Resume, Undo bool
	Admin        bool
	Stream       string
	Base         string
	Now          time.Time
}

func (s *server) loggingRun(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	d, err := s.runData(ctx, r.PathValue("id"))
	if errors.Is(err, logging.ErrUnknownRun) {
		s.message(w, r, http.StatusNotFound, "There is no such run", "A run that was refused is forgotten when Gatehouse is restarted; all others are in the journal.")
		return
	}
	if err != nil {
		s.unavailable(w, r, "The run", err)
		return
	}
	p := s.shell(r, d.Title, loggingPath, d)
	p.Place = []crumb{{Title: "Logging", Link: s.BasePath + loggingPath}, {Title: "Run"}}
	s.render(w, r, 0, "loggingrun", p)
}

// runData is a run: of this process if it holds it, else of the journal.
func (s *server) runData(ctx context.Context, id string) (*loggingRunData, error) {
	names := accountNames(s.estate(ctx))
	d := &loggingRunData{
		ID: id, Base: s.BasePath, Now: s.Clock().UTC(), Admin: identity.FromContext(ctx).Role.Allows(identity.Admin),
	}
	run, _, err := s.Logging.Follow(id)
	if err == nil {
		d.live(run, names)
		d.Stream = s.BasePath + loggingRunsPath + "/" + id + "/stream"
		d.Title = deeds[d.Command].Title
		return d, nil
	}
	past, lines, err := s.Logging.Lines(ctx, id, runLines)
	if err != nil {
		return nil, err
	}
	d.Past, d.Who, d.Command, d.Began, d.Ended, d.Over = past, past.Who, past.Command, past.Began, past.Ended, true
	d.Title, d.Badge, d.Summary = deeds[d.Command].Title, outcomeOf(past), &past.Summary
	d.journal(lines, names)
	d.Resume, d.Undo = past.Unfinished(), past.Command == logging.Enable
	return d, nil
}

// live fills in a run that this process holds.
func (d *loggingRunData) live(run *logging.Run, names map[string]string) {
	d.Run, d.Who, d.Command, d.Began, d.Ended = run, run.Who, run.Command, run.Began, run.Ended
	d.Over, d.Summary = run.State.Over(), run.Summary
	switch run.State {
	case logging.Waiting:
		d.Badge, d.Doing = badge{"wait", "◐", "waiting", ""}, "It begins in a moment."
	case logging.Checking:
		d.Badge, d.Doing, d.Share = badge{"wait", "◐", "checking", ""}, "Reading the estate, to see that the plan still does what was shown.", 15*run.Progress.Done/max(run.Progress.Total, 1)
	case logging.Switching:
		d.Badge, d.Doing, d.Share = badge{"wait", "◐", "switching", ""}, "Making the changes. Each is read back before it counts.", 15+70*run.Progress.Done/max(run.Progress.Total, 1)
	case logging.Reading:
		d.Badge, d.Doing, d.Share = badge{"wait", "◐", "reading the estate", ""}, "The changes are made. Reading the estate again, so that every page shows them.", 85+15*run.Progress.Done/max(run.Progress.Total, 1)
	case logging.RunDone:
		d.Badge = badge{"good", "●", "done", ""}
	case logging.RunFailed:
		d.Badge = badge{"bad", "■", "failed", ""}
	case logging.RunRefused:
		d.Badge = badge{"bad", "■", "refused", ""}
	case logging.RunStopped:
		d.Badge = badge{"wait", "◐", "stopped", ""}
	}
	if !d.Over {
		return
	}
	if run.Plan != nil {
		for _, c := range run.Plan.Changes {
			d.put(lineOf(c, names))
		}
	}
	d.Stale = staleLines(run.Stale, names)
	changed := run.Summary != nil && run.Summary.Done+run.Summary.Failed > 0
	d.Resume = changed && run.State != logging.RunDone
	d.Undo = changed && run.Command == logging.Enable
}

func (d *loggingRunData) put(l changeLine) {
	to := &d.Done
	if l.State != logging.Done && l.State != logging.Unchanged {
		to = &d.Wrong
	}
	if len(*to) >= shownChanges {
		d.Cut++
		return
	}
	*to = append(*to, l)
}

// journal fills in what the lines of the journal say of each setting: the last word
// counts.
func (d *loggingRunData) journal(lines []logging.Entry, names map[string]string) {
	last := map[logging.Key]int{}
	for i := range lines {
		last[lines[i].Key] = i
	}
	for i := range lines {
		if e := &lines[i]; last[e.Key] == i {
			c := &logging.Change{Key: e.Key, Now: e.From, Then: e.To, State: e.Outcome, Why: e.Error}
			if api, stage, ok := strings.Cut(e.Key.Subject, "/"); ok && e.Key.Kind != logging.KindGroup {
				c.API, c.APIName, c.Stage = api, api, stage
			}
			d.put(lineOf(c, names))
		}
	}
}

// isRunStream reports whether a path is the stream of a run, which no compressor may
// hold back.
func isRunStream(path string) bool {
	return strings.HasPrefix(path, loggingRunsPath+"/") && strings.HasSuffix(path, "/stream")
}

// loggingStream tells a browser how far a run is, as server-sent events: part (its
// state as HTML, at most four times a second) and end.
func (s *server) loggingStream(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, loggingRunsPath+"/"), "/stream")
	if s.Logging == nil {
		http.NotFound(w, r)
		return
	}
	if _, _, err := s.Logging.Follow(id); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	ctx := r.Context()
	send := func(b []byte) error {
		// Each write gets a time of its own, so that a browser that stopped reading does
		// not stay.
		_ = control.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := w.Write(b); err != nil { //nolint:gosec // html/template has escaped it.
			return err
		}
		return control.Flush()
	}
	for {
		_, changed, err := s.Logging.Follow(id)
		if err != nil {
			return // ten runs later it is forgotten
		}
		d, err := s.runData(ctx, id)
		if err != nil {
			return
		}
		b, err := s.runPart(ctx, d)
		if err != nil || send(b) != nil || d.Over {
			return
		}
		idle := time.NewTimer(runIdle)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				idle.Stop()
				return
			case <-changed:
				waiting = false
			case <-idle.C:
				if send([]byte(": still here\n\n")) != nil {
					return
				}
				idle.Reset(runIdle)
			}
		}
		idle.Stop()
		select {
		case <-ctx.Done():
			return
		case <-time.After(runPace):
		}
	}
}

func (s *server) runPart(ctx context.Context, d *loggingRunData) ([]byte, error) {
	var html, b bytes.Buffer
	if err := s.pages["loggingrun"].ExecuteTemplate(&html, "run", d); err != nil {
		s.Logger.ErrorContext(ctx, "rendering a run failed", "page", "loggingrun", "error", err)
		return nil, err
	}
	// An event's data ends with its line.
	fmt.Fprintf(&b, "event: part\ndata: %s\n\n", bytes.ReplaceAll(visible(html.Bytes()), []byte("\n"), []byte(" ")))
	if d.Over {
		fmt.Fprintf(&b, "event: end\ndata: %s\n\n", d.Badge.Word)
	}
	return b.Bytes(), nil
}
