package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/identity"
)

type findingData struct {
	*finding.Finding
	Rule    *finding.Rule // nil: this version no longer has it
	RuleID  string
	Mend    finding.Mend
	Peers   []peer
	Changes []finding.Change // the newest first
	What    string
	Link    string
	Back    string
	API     string // the API's findings; empty: it is of none
	Estate  string
	Admin   bool
	Decides bool // people may decide about it
	Form    decisionForm
	Done    bool
}

// peer is a catalogue of others with what it calls the same question.
type peer struct {
	Title string
	IDs   []string
}

// decisionForm is the form as it was sent, so that a mistake in it costs nobody their
// words.
type decisionForm struct {
	State, Until, Reason string
	Version              int64
	States               []option
	First, Last          string // the days between which an acceptance can end
	Fault                string
}

// peopleStates are the states that people may set.
var peopleStates = []finding.State{finding.Acknowledged, finding.Accepted, finding.FalsePositive, finding.Open}

func (s *server) findingPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	s.showFinding(ctx, w, r, 0, decisionForm{})
}

// showFinding writes the page of the finding that the path names.
func (s *server) showFinding(ctx context.Context, w http.ResponseWriter, r *http.Request, status int, form decisionForm) {
	f, err := s.Findings.Get(ctx, r.PathValue("id"))
	if errors.Is(err, finding.ErrNotFound) {
		s.message(w, r, http.StatusNotFound, "There is no such finding", "What has been fixed for 400 days is forgotten.")
		return
	}
	if err != nil {
		s.findingsFailed(w, r, "The finding", err)
		return
	}
	path := s.BasePath + findingsPath
	d := &findingData{
		Finding: f, Rule: finding.RuleOf(f.Rule), RuleID: f.Rule, What: subjectName(&f.Subject), Link: path + "/" + url.PathEscape(f.ID), Back: path,
		Changes: slices.Clone(f.History), Admin: identity.FromContext(ctx).Role.Allows(identity.Admin), Decides: f.State != finding.Fixed,
		Done: r.Method == http.MethodGet && r.URL.Query().Get("done") != "",
	}
	slices.Reverse(d.Changes)
	if d.Rule != nil {
		d.Mend, d.Peers = d.Rule.For(f.Subject), peersOf(&d.Rule.Peers)
	}
	if f.Subject.API != "" {
		v := []string{"account", f.Subject.Account, "region", f.Subject.Region, "api", f.Subject.API}
		d.API = with(path, nil, v...)
		d.Estate = with(s.BasePath+"/estate", nil, "q", f.Subject.API)
	}
	now := s.Clock().UTC()
	if form.Version == 0 {
		form.Version = f.Version
	}
	form.First, form.Last = now.Format(time.DateOnly), now.AddDate(0, 0, 364).Format(time.DateOnly)
	for _, st := range peopleStates {
		form.States = append(form.States, option{Value: string(st), Title: stands(st).Word, Chosen: form.State == string(st)})
	}
	d.Form = form
	p := s.shell(r, f.Title, findingsPath, d)
	p.Back = d.Link
	p.Place = []crumb{{Title: "Findings", Link: path}, {Title: f.Title}}
	s.render(w, r, status, "finding", p)
}

func peersOf(p *finding.Peers) []peer {
	all := []peer{{"Security Hub", p.SecurityHub}, {"Prowler", p.Prowler}, {"Checkov", p.Checkov}, {"KICS", p.KICS}, {"CloudSploit", p.CloudSploit}}
	return slices.DeleteFunc(all, func(p peer) bool { return len(p.IDs) == 0 })
}

// findingDecide takes a person's decision about the version of the finding that the
// page showed: somebody else's, made since, is never overwritten unseen.
func (s *server) findingDecide(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if err := r.ParseForm(); err != nil {
		s.message(w, r, http.StatusBadRequest, "This form cannot be read", "Reload the page and try again.")
		return
	}
	person := identity.FromContext(ctx)
	form := decisionForm{State: r.PostForm.Get("state"), Until: r.PostForm.Get("until"), Reason: r.PostForm.Get("reason")}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		// 0 would mean whichever version there is.
		s.message(w, r, http.StatusBadRequest, "This form does not say which version of the finding it is about", "Reload the page and try again.")
		return
	}
	until, err := endOfDay(form.Until)
	var f *finding.Finding
	if err == nil {
		f, err = s.Findings.Set(ctx, r.PathValue("id"), finding.Decision{
			State: finding.State(form.State), By: person.Name, Reason: form.Reason, Until: until, Version: version,
		})
	}
	switch {
	case errors.Is(err, finding.ErrConflict):
		form.Fault = "The finding was changed in the meantime: look at it as it is now, and decide again."
		s.showFinding(ctx, w, r, http.StatusConflict, form)
	case errors.Is(err, finding.ErrDecision):
		// The version stays the one that was looked at: the refusal may have come before
		// anybody compared them.
		form.Fault, form.Version = err.Error(), version
		s.showFinding(ctx, w, r, http.StatusUnprocessableEntity, form)
	case errors.Is(err, finding.ErrNotFound):
		s.message(w, r, http.StatusNotFound, "There is no such finding", "What has been fixed for 400 days is forgotten.")
	case err != nil:
		s.findingsFailed(w, r, "The finding", err)
	default:
		s.Logger.InfoContext(ctx, "a finding was decided about", "by", person.Name, "finding", f.ID, "state", f.State)
		http.Redirect(w, r, s.BasePath+findingsPath+"/"+url.PathEscape(f.ID)+"?done=1", http.StatusSeeOther)
	}
}

// endOfDay is the end of a day, UTC; zero for none.
func endOfDay(day string) (time.Time, error) {
	if day == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: write the day like 2026-12-31", finding.ErrDecision)
	}
	return t.AddDate(0, 0, 1), nil
}
