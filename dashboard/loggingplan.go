package dashboard

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/logging"
)

// loggingPlanData is a plan as people read it.
type loggingPlanData struct {
	*logging.Proposal
	Title   string
	Button  string
	Stages  []changeLine // settings of stages
	Shared  []changeLine // what is made in accounts, or shared there
	Left    []changeLine
	Kept    []logging.Kept
	Cut     int // of all tables
	Todo    int
	Losing  bool // logs are deleted
	Admin   bool
	Current *logging.Run
	Took    time.Duration // what AWS's quotas ask for
	Wrong   string
	Stale   []staleLine
	JSON    string
	Names   map[string]string
}

// changeLine is a change in words.
type changeLine struct {
	*logging.Change
	Setting   string
	From, To  string
	Badge     badge
	AccountAs string // its name, or its id
}

// staleLine is a change that is not as it was shown.
type staleLine struct {
	changeLine
	Shown, Fresh string
}

// settingOf names a setting for people.
func settingOf(k *logging.Key) string {
	switch k.Kind {
	case logging.KindExecution:
		if k.Part == "*/*" || k.Part == "*" || k.Part == "" {
			return "execution logs"
		}
		return "execution logs of " + strings.NewReplacer("~1", "/", "~0", "~").Replace(k.Part)
	case logging.KindAccess:
		return "access logs"
	case logging.KindGroup:
		return "log group"
	case logging.KindRole:
		return "IAM role"
	case logging.KindAccount:
		return "API Gateway's CloudWatch role"
	case logging.KindDelivery:
		return "delivery of 1 MB lines"
	case logging.KindRun:
	}
	return string(k.Kind)
}

func lineOf(c *logging.Change, names map[string]string) changeLine {
	l := changeLine{
		Change: c, Setting: settingOf(&c.Key), From: logging.Describe(c.Kind, c.Now), To: logging.Describe(c.Kind, c.Then),
		Badge: becameOf(c.State), AccountAs: cmp.Or(names[c.Account], c.Account),
	}
	if c.Kind == logging.KindExecution {
		l.From, l.To = strings.Replace(l.From, "+trace", " + data trace", 1), strings.Replace(l.To, "+trace", " + data trace", 1)
	}
	if c.Then == "" && (c.Kind == logging.KindGroup || c.Kind == logging.KindRole || c.Kind == logging.KindDelivery) {
		l.To = "removed"
	}
	return l
}

func becameOf(s logging.State) badge {
	switch s {
	case logging.Done:
		return badge{"good", "●", "done", ""}
	case logging.Failed:
		return badge{"bad", "■", "failed", ""}
	case logging.Skipped:
		return badge{"bad", "■", "not tried", ""}
	case logging.Left:
		return badge{"wait", "◐", "left", ""}
	case logging.Unchanged:
		return badge{"unknown", "○", "so already", ""}
	case logging.Planned:
		return badge{"unknown", "○", "planned", ""}
	case logging.Intended:
		return badge{"wait", "◐", "begun", "the journal has no word of how it ended"}
	case logging.Stopped:
		return badge{"wait", "◐", "stopped", ""}
	}
	return badge{"unknown", "○", string(s), ""}
}

func (s *server) loggingPlan(w http.ResponseWriter, r *http.Request) {
	s.showPlan(w, r, 0, r.PathValue("digest"), "", nil)
}

// showPlan shows a plan; wrong says why it was not carried out, and stale what is not
// as it was shown.
func (s *server) showPlan(w http.ResponseWriter, r *http.Request, code int, digest, wrong string, stale []logging.Difference) {
	p, err := s.Logging.Proposal(digest)
	if err != nil {
		s.message(w, r, http.StatusNotFound, "This plan is not known any more", "Plans are held for an hour, and not over a restart. Go to Logging and make a new one.")
		return
	}
	names := accountNames(s.estate(r.Context()))
	d := &loggingPlanData{
		Proposal: p, Title: deeds[p.Command].Title, Button: deeds[p.Command].Button, Todo: p.Count(logging.Planned),
		Admin: identity.FromContext(r.Context()).Role.Allows(identity.Admin), Current: s.Logging.Current(), Wrong: wrong,
		Took: time.Duration(p.Pace.Seconds) * time.Second, JSON: s.BasePath + "/api/v1/logging/plans/" + p.Digest, Names: names,
	}
	d.sort(names)
	d.Stale = staleLines(stale, names)
	page := s.shell(r, d.Title, loggingPath, d)
	page.Place = []crumb{{Title: "Logging", Link: s.BasePath + loggingPath}, {Title: "Plan"}}
	s.render(w, r, code, "loggingplan", page)
}

func staleLines(stale []logging.Difference, names map[string]string) []staleLine {
	says := func(c *logging.Change) string {
		if c == nil {
			return "no change"
		}
		l := lineOf(c, names)
		if c.State == logging.Left {
			return "left: " + c.Why
		}
		return l.From + " → " + l.To
	}
	out := make([]staleLine, 0, min(len(stale), shownChanges))
	for i := range stale[:min(len(stale), shownChanges)] {
		out = append(out, staleLine{lineOf(stale[i].Of(), names), says(stale[i].Was), says(stale[i].Is)})
	}
	return out
}

// sort puts the changes of a plan into the tables of the page, each up to a bound.
func (d *loggingPlanData) sort(names map[string]string) {
	put := func(to *[]changeLine, c *logging.Change) {
		if len(*to) >= shownChanges {
			d.Cut++
			return
		}
		*to = append(*to, lineOf(c, names))
	}
	for _, c := range d.Changes {
		d.Losing = d.Losing || c.Kind == logging.KindGroup && c.Then == "" && c.State == logging.Planned
		switch {
		case c.State == logging.Left:
			put(&d.Left, c)
		case c.Kind == logging.KindRole || c.Kind == logging.KindAccount || c.Kind == logging.KindGroup:
			put(&d.Shared, c)
		default:
			put(&d.Stages, c)
		}
	}
	d.Kept = d.Proposal.Kept[:min(len(d.Proposal.Kept), shownChanges)]
	d.Cut += len(d.Proposal.Kept) - len(d.Kept)
}

// loggingStart has a plan carried out, exactly as it was shown.
func (s *server) loggingStart(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.message(w, r, http.StatusBadRequest, "This form cannot be read", "Reload the page and try again.")
		return
	}
	ctx, digest := r.Context(), r.PostForm.Get("digest")
	if p, err := s.Logging.Proposal(digest); err == nil && p.Command == logging.Destroy && r.PostForm.Get("sure") == "" {
		s.showPlan(w, r, http.StatusUnprocessableEntity, digest, "Say that the logs may be deleted.", nil)
		return
	}
	run, err := s.Logging.Start(ctx, digest, cmp.Or(identity.FromContext(ctx).Name, "somebody not signed in"))
	var stale *logging.StaleError
	switch {
	case errors.As(err, &stale):
		s.showPlan(w, r, http.StatusConflict, stale.Fresh, "Nothing was changed: the estate is not as it was when the plan was shown. Below is the plan as it is now.", stale.Differences)
	case errors.Is(err, logging.ErrUnknownPlan), errors.Is(err, logging.ErrBusy), errors.Is(err, logging.ErrNothing):
		s.showPlan(w, r, http.StatusConflict, digest, strings.ToUpper(err.Error()[:1])+err.Error()[1:]+".", nil)
	case err != nil:
		s.unavailable(w, r, "The plan", err)
	default:
		s.Logger.InfoContext(ctx, "a run of switching was started", "by", run.Who, "run", run.ID, "command", run.Command)
		http.Redirect(w, r, s.BasePath+loggingRunsPath+"/"+run.ID, http.StatusSeeOther) //nolint:gosec // A name of our own leads nowhere else.
	}
}
