package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const deadLettersPath = "/deadletters"

// DeadLetters is what the pages need of the dead letters' keeper.
type DeadLetters interface {
	List(ctx context.Context, q deadletter.Query) (deadletter.Page, error)
	Get(ctx context.Context, id string) (*deadletter.Letter, error)
	Counts(ctx context.Context) ([]deadletter.Count, error)
	Limits() deadletter.Limits
	Replay(ctx context.Context, ids []string) (int, error)
	Discard(ctx context.Context, ids []string) (int, error)
}

var _ DeadLetters = (*deadletter.Keeper)(nil)

type deadLettersData struct {
	Counts   []deadletter.Count
	Letters  []letterRow
	Limits   deadletter.Limits
	Total    int64
	Bytes    int64
	Waiting  int64 // to be delivered again
	Full     int   // how many of 100 that may be kept are there
	Sinks    []option
	Reasons  []option
	Sink     string
	Reason   string
	Filtered bool
	Next     string
	First    string
	Admin    bool
	Back     string
	Done     string
}

type letterRow struct {
	deadletter.Letter
	At    time.Time
	Class string
	Names map[string]string
	Now   time.Time
	Link  string
	Why   string
}

var refusals = map[deadletter.Reason]string{
	deadletter.TooLarge: "too large for the place, alone",
	deadletter.Refused:  "refused by the place",
	deadletter.Unclear:  "one of a batch of which some were refused",
}

func (s *server) deadLetters(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	v := r.URL.Query()
	path := s.BasePath + deadLettersPath
	d := &deadLettersData{
		Sink: v.Get("sink"), Reason: v.Get("reason"), Limits: s.DeadLetters.Limits(),
		Admin: identity.FromContext(r.Context()).Role.Allows(identity.Admin), Back: with(path, v, "done", "", "n", ""),
	}
	d.Filtered = d.Sink != "" || d.Reason != ""
	counts, err := s.DeadLetters.Counts(ctx)
	if err != nil {
		s.unavailable(w, r, "The dead letters", err)
		return
	}
	page, err := s.DeadLetters.List(ctx, deadletter.Query{Sink: d.Sink, Reason: deadletter.Reason(d.Reason), Limit: rowsPerPage, Cursor: v.Get("cursor")})
	if errors.Is(err, deadletter.ErrInvalidQuery) {
		http.Redirect(w, r, with(path, v, "cursor", ""), http.StatusSeeOther)
		return
	}
	if err != nil {
		s.unavailable(w, r, "The dead letters", err)
		return
	}
	names := accountNames(s.estate(ctx))
	for i := range page.Letters {
		l := &page.Letters[i]
		d.Letters = append(d.Letters, letterRow{
			Letter: *l, At: l.Summary.Time.Time(), Class: statusClass(l.Summary.Status), Names: names, Now: s.Clock().UTC(),
			Link: path + "/" + url.PathEscape(l.ID), Why: refusals[l.Reason],
		})
	}
	d.Counts = counts
	d.sum()
	for _, reason := range []deadletter.Reason{deadletter.TooLarge, deadletter.Refused, deadletter.Unclear} {
		d.Reasons = append(d.Reasons, option{Value: string(reason), Title: refusals[reason], Chosen: d.Reason == string(reason)})
	}
	if page.Next != "" {
		d.Next = with(path, v, "cursor", page.Next, "done", "", "n", "")
	}
	if v.Get("cursor") != "" {
		d.First = with(path, v, "cursor", "", "done", "", "n", "")
	}
	if n, err := strconv.Atoi(v.Get("n")); err == nil && n >= 0 {
		switch v.Get("done") {
		case "replay":
			d.Done = plural(n, "call is", "calls are") + " marked and delivered again in a moment. One that is refused again stays here."
		case "discard":
			d.Done = plural(n, "call was", "calls were") + " discarded for good."
		}
	}
	s.render(w, r, 0, "deadletters", s.shell(r, "Dead letters", deadLettersPath, d))
}

func (d *deadLettersData) sum() {
	for _, c := range d.Counts {
		d.Total += c.Letters
		d.Bytes += c.Bytes
		d.Waiting += c.Replaying
		d.Sinks = append(d.Sinks, option{Value: c.Sink, Title: c.Sink, Count: int(c.Letters), Chosen: c.Sink == d.Sink})
	}
	if d.Sink != "" && !slices.ContainsFunc(d.Sinks, func(o option) bool { return o.Chosen }) {
		d.Sinks = append(d.Sinks, option{Value: d.Sink, Title: d.Sink, Chosen: true})
	}
	if d.Limits.Count > 0 && d.Limits.Bytes > 0 {
		d.Full = int(100 * max(float64(d.Total)/float64(d.Limits.Count), float64(d.Bytes)/float64(d.Limits.Bytes)))
	}
}

type letterData struct {
	Letter *deadletter.Letter
	Sample *sample // nil if the call cannot be read
	Why    string
	Admin  bool
	Names  map[string]string
	Back   string
}

func (s *server) deadLetter(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	l, err := s.DeadLetters.Get(ctx, r.PathValue("id"))
	if errors.Is(err, deadletter.ErrNotFound) || errors.Is(err, deadletter.ErrInvalidQuery) {
		s.message(w, r, http.StatusNotFound, "There is no such dead letter", "It was delivered again or discarded.")
		return
	}
	if err != nil {
		s.unavailable(w, r, "The dead letter", err)
		return
	}
	d := &letterData{
		Letter: l, Why: refusals[l.Reason], Admin: identity.FromContext(r.Context()).Role.Allows(identity.Admin),
		Names: accountNames(s.estate(ctx)), Back: s.BasePath + deadLettersPath,
	}
	t := new(transaction.Transaction)
	if json.Unmarshal(l.Transaction, t) == nil {
		shown := sampleOf(t, true)
		d.Sample = &shown
	}
	s.render(w, r, 0, "deadletter", s.shell(r, "Dead letter "+l.ID, deadLettersPath, d))
}

// deadLettersAct replays or discards what was chosen, or replays all that match
// the filter.
func (s *server) deadLettersAct(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if err := r.ParseForm(); err != nil {
		s.message(w, r, http.StatusBadRequest, "This form cannot be read", "Reload the page and try again.")
		return
	}
	person := identity.FromContext(ctx)
	do, ids := r.PostForm.Get("do"), r.PostForm["id"]
	var n int
	var err error
	switch do {
	case "replay":
		n, err = s.DeadLetters.Replay(ctx, ids)
	case "replay-all":
		do = "replay"
		n, err = s.replayAll(ctx, deadletter.Query{Sink: r.PostForm.Get("sink"), Reason: deadletter.Reason(r.PostForm.Get("reason")), Limit: 1000})
	case "discard":
		n, err = s.DeadLetters.Discard(ctx, ids)
	default:
		s.message(w, r, http.StatusBadRequest, "There is nothing of that kind to do", "Reload the page and try again.")
		return
	}
	switch {
	case errors.Is(err, deadletter.ErrInvalidQuery):
		s.message(w, r, http.StatusBadRequest, "This is not the id of a dead letter", "Reload the page and try again.")
		return
	case err != nil:
		s.unavailable(w, r, "The dead letters", err)
		return
	}
	s.Logger.InfoContext(ctx, "dead letters were changed", "by", person.Name, "what", do, "letters", n)
	back := s.localPath(r.PostForm.Get("back"))
	separator := "?"
	if strings.Contains(back, "?") {
		separator = "&"
	}
	http.Redirect(w, r, back+separator+"done="+do+"&n="+strconv.Itoa(n), http.StatusSeeOther) //nolint:gosec // localPath lets no other site through.
}

func (s *server) replayAll(ctx context.Context, q deadletter.Query) (int, error) {
	total := 0
	for {
		page, err := s.DeadLetters.List(ctx, q)
		if err != nil {
			return total, err
		}
		ids := make([]string, len(page.Letters))
		for i := range page.Letters {
			ids[i] = page.Letters[i].ID
		}
		n, err := s.DeadLetters.Replay(ctx, ids)
		total += n
		if err != nil || page.Next == "" {
			return total, err
		}
		q.Cursor = page.Next
	}
}
