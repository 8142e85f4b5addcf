package dashboard

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// lent is a grant as a page shows it.
type lent struct {
	*access.GrantView
	Badge   badge
	Link    string
	Share   int // of the time that is left, in percent
	Loud    bool
	Details *access.Details
	Closed  string // why there are no details
	Extend  []option
	Mine    bool
}

func (s *server) lentOf(v *access.GrantView, who flow.Person) lent {
	l := lent{GrantView: v, Badge: grantBadge(v), Link: s.BasePath + grantsPath + "/" + url.PathEscape(v.ID), Mine: strings.EqualFold(v.Person.ID, who.ID)}
	// That a target takes a moment is no trouble; that it refused is, from the first try.
	l.Loud = v.Late > lateFrom || v.Failing
	if v.State == access.Active && v.Duration > 0 {
		l.Share = min(max(int(v.Remaining*100/v.Duration), 0), 100)
	}
	if v.MayExtend > 0 {
		l.Extend = durations(v.MayExtend, v.MayExtend)
	}
	return l
}

// details adds how to use a grant.
func (s *server) details(ctx context.Context, who flow.Person, l *lent) error {
	if !l.IsLive() {
		return nil
	}
	d, err := s.Access.GrantDetails(ctx, who, l.ID)
	switch {
	case err == nil:
		l.Details = d
	case errors.Is(err, access.ErrStopped), errors.Is(err, access.ErrEnded), errors.Is(err, access.ErrInvalid):
		l.Closed = sentence(err.Error())
	case errors.Is(err, access.ErrNotFound):
	case ctx.Err() != nil:
		return err
	default:
		// What a provisioner cannot say of one grant must not hide the others.
		l.Closed = sentence(err.Error())
	}
	return nil
}

type mineData struct {
	Live     []lent
	Requests []requestRow // that wait
	Decided  []requestRow
	Ended    []lent
	Stops    []access.Stop
	All      string // all of the person's grants
	Done     string
}

type requestRow struct {
	*access.RequestView
	Badge   badge
	Link    string
	Waiting string
}

func (s *server) rowOf(v *access.RequestView) requestRow {
	return requestRow{v, requestBadge(v.State), s.BasePath + requestsPath + "/" + url.PathEscape(v.ID), waitingFor(&v.Rule, v.Standing)}
}

// shownBefore is how many ended grants and decided requests a person is shown.
const shownBefore = 10

var grantDone = map[string]string{
	"return": "Given back. It is being taken away; this page says when it is gone.", "revoke": "Revoked. It is being taken away; this page says when it is gone.",
	"extend": "It lasts longer now.",
}

func (s *server) minePage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx := r.Context()
	d := &mineData{All: with(s.BasePath+grantsPath, nil, "person", who.ID), Done: grantDone[r.URL.Query().Get("done")]}
	live, err := s.Access.Grants(ctx, who, access.GrantQuery{Person: who.ID, States: []access.GrantState{access.Provisioning, access.Active, access.Revoking}, Limit: rowsPerPage})
	if err != nil {
		s.lendFailed(w, r, "Your access", err)
		return
	}
	for _, v := range live.Grants {
		l := s.lentOf(v, who)
		if err := s.details(ctx, who, &l); err != nil {
			s.lendFailed(w, r, "Your access", err)
			return
		}
		d.Live = append(d.Live, l)
	}
	slices.SortStableFunc(d.Live, func(a, b lent) int { // what ends first, first
		return cmp.Or(cmp.Compare(order(a.State), order(b.State)), a.ExpiresAt.Compare(b.ExpiresAt))
	})
	ended, err := s.Access.Grants(ctx, who, access.GrantQuery{Person: who.ID, States: []access.GrantState{access.Ended}, Limit: shownBefore})
	if err != nil {
		s.lendFailed(w, r, "Your access", err)
		return
	}
	for _, v := range ended.Grants {
		d.Ended = append(d.Ended, s.lentOf(v, who))
	}
	for _, q := range []struct {
		to *[]requestRow
		access.RequestQuery
	}{
		{&d.Requests, access.RequestQuery{Person: who.ID, States: []access.RequestState{access.Pending}, Limit: rowsPerPage}},
		{&d.Decided, access.RequestQuery{Person: who.ID, States: []access.RequestState{access.Approved, access.Denied, access.Cancelled, access.Lapsed}, Limit: shownBefore}},
	} {
		page, err := s.Access.Requests(ctx, who, q.RequestQuery)
		if err != nil {
			s.lendFailed(w, r, "Your requests", err)
			return
		}
		for _, v := range page.Requests {
			*q.to = append(*q.to, s.rowOf(v))
		}
	}
	if d.Stops, err = s.Access.Stops(ctx, who); err != nil {
		s.lendFailed(w, r, "What is stopped", err)
		return
	}
	s.render(w, r, 0, "accessmine", s.shell(r, "My access", minePath, d))
}

// order puts what can be used first.
func order(st access.GrantState) int {
	return slices.Index([]access.GrantState{access.Active, access.Provisioning, access.Revoking, access.Ended}, st)
}

// grantKeys are the filters of the grants in the address; the API's names too.
var grantKeys = []string{"state", "person", "integration", "resource", "request"}

var grantTitles = map[string]string{"state": "State", "person": "Person", "integration": "Integration", "resource": "Resource", "request": "Request"}

type grantsData struct {
	Rows         []lent
	Late         []lent // loud, before all others
	LateMore     int
	Values       map[string]string
	States       []option
	Integrations []option
	Chips        []chip
	Clear        string
	Total        int
	Next         string
	ToFirst      string
	CSV, JSON    string
	All          bool // the person sees all
	Stops        []access.Stop
	Stop         string
	Fault        *fault
	Done         string
	Filtered     bool
}

func (s *server) grantsPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showGrants(w, r, 0, who, nil)
}

func (s *server) showGrants(w http.ResponseWriter, r *http.Request, status int, who flow.Person, f *fault) {
	ctx, v, path := r.Context(), r.URL.Query(), s.BasePath+grantsPath
	if r.Method != http.MethodGet {
		v = url.Values{}
	}
	d := &grantsData{
		Values: map[string]string{}, Clear: path, All: who.Admin, Fault: f, Stop: s.BasePath + stopPath, Done: stopDone[v.Get("done")],
		CSV: with(s.BasePath+"/api/v1/access/grants.csv", v, "cursor", "", "done", ""), JSON: with(s.BasePath+"/api/v1/access/grants", v, "cursor", "", "done", "", "limit", "1000"),
	}
	q := access.GrantQuery{Person: v.Get("person"), Integration: v.Get("integration"), Resource: v.Get("resource"), Request: v.Get("request"), Limit: rowsPerPage, Cursor: v.Get("cursor")}
	if st := v.Get("state"); st != "" {
		q.States = []access.GrantState{access.GrantState(st)}
	}
	for _, st := range []access.GrantState{access.Provisioning, access.Active, access.Revoking, access.Ended} {
		d.States = append(d.States, option{Value: string(st), Title: grantBadge(&access.GrantView{Grant: access.Grant{State: st}}).Word, Chosen: v.Get("state") == string(st)})
	}
	for _, key := range grantKeys {
		if value := v.Get(key); value != "" {
			d.Values[key], d.Filtered = value, true
			d.Chips = append(d.Chips, chip{grantTitles[key], value, with(path, v, key, "", "cursor", "", "done", "")})
		}
	}
	page, err := s.Access.Grants(ctx, who, q)
	if err != nil {
		s.lendFailed(w, r, "The grants", err)
		return
	}
	for _, g := range page.Grants {
		d.Rows = append(d.Rows, s.lentOf(g, who))
	}
	d.Total = page.Total
	if page.Next != "" {
		d.Next = with(path, v, "cursor", page.Next, "done", "")
	}
	if v.Get("cursor") != "" {
		d.ToFirst = with(path, v, "cursor", "", "done", "")
	}
	if err := s.aboutGrants(ctx, who, d); err != nil {
		s.lendFailed(w, r, "The grants", err)
		return
	}
	s.render(w, r, status, "accessgrants", s.shell(r, "Grants", grantsPath, d))
}

// lateShown is how many late grants stand before all others.
const lateShown = 20

// aboutGrants adds what stands beside the list: what is late, and what is stopped.
func (s *server) aboutGrants(ctx context.Context, who flow.Person, d *grantsData) error {
	page, err := s.Access.Grants(ctx, who, access.GrantQuery{States: []access.GrantState{access.Provisioning, access.Revoking}, Limit: 500})
	if err != nil {
		return err
	}
	for _, g := range page.Grants {
		if l := s.lentOf(g, who); l.Loud {
			d.Late = append(d.Late, l)
		}
	}
	slices.SortStableFunc(d.Late, func(a, b lent) int { // what should be gone is worse than what is not there yet
		return cmp.Or(-cmp.Compare(order(a.State), order(b.State)), -cmp.Compare(a.Late, b.Late))
	})
	if len(d.Late) > lateShown {
		d.LateMore = len(d.Late) - lateShown
		d.Late = d.Late[:lateShown]
	}
	all, err := s.Access.Integrations(ctx, who)
	if err != nil {
		return err
	}
	for _, i := range all {
		d.Integrations = append(d.Integrations, option{Value: i.Name, Title: i.Name, Chosen: i.Name == d.Values["integration"]})
	}
	d.Stops, err = s.Access.Stops(ctx, who)
	return err
}

type grantData struct {
	lent
	Lent     lent
	Request  *access.RequestView
	Timeline []happening
	Trail    string // link to the audit log
	Done     string
	Fault    *fault
	Reason   string
	Back     string
	Place    string
	JSON     string
}

// happening is a line of what became of a grant.
type happening struct {
	Time   time.Time
	Action string
	Who    string
	Reason string
	Until  time.Time // what the end was then
	Link   string
}

func (s *server) grantPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showGrant(w, r, 0, who, nil, "")
}

func (s *server) showGrant(w http.ResponseWriter, r *http.Request, status int, who flow.Person, f *fault, reason string) {
	ctx, id := r.Context(), r.PathValue("id")
	v, err := s.Access.GrantByID(ctx, who, id)
	if err != nil {
		s.lendFailed(w, r, "The grant", err)
		return
	}
	d := &grantData{
		lent: s.lentOf(v, who), Fault: f, Reason: reason, Done: grantDone[r.URL.Query().Get("done")], Back: s.BasePath + minePath, Place: "My access",
		JSON: s.BasePath + "/api/v1/access/grants/" + url.PathEscape(id),
	}
	if !d.Mine {
		d.Back, d.Place = s.BasePath+grantsPath, "Grants"
	}
	if err := s.details(ctx, who, &d.lent); err != nil {
		s.lendFailed(w, r, "The grant", err)
		return
	}
	d.Lent = d.lent
	if d.Request, err = s.Access.RequestByID(ctx, who, v.Request); err != nil && !errors.Is(err, access.ErrNotFound) {
		s.lendFailed(w, r, "The request", err)
		return
	}
	if s.Audit != nil {
		d.Trail = with(s.BasePath+auditPath, nil, "subject", id)
	}
	if d.Timeline, err = s.timeline(ctx, v); err != nil {
		s.lendFailed(w, r, "The timeline", err)
		return
	}
	here := grantsPath
	if d.Mine {
		here = minePath
	}
	s.render(w, r, status, "accessgrant", s.shell(r, v.Title(), here, d))
}

// timelineAtMost bounds the events of a grant, and of its request, that are shown.
const timelineAtMost = 200

// timeline tells what became of a grant and of the request before it, from the audit
// log, to whoever may see the grant.
func (s *server) timeline(ctx context.Context, v *access.GrantView) ([]happening, error) {
	if s.Audit == nil {
		return nil, nil
	}
	var events []audit.Event
	for _, subject := range []string{v.ID, v.Request} {
		page, err := s.Audit.AuditEvents(ctx, audit.Query{Subject: subject, Limit: timelineAtMost})
		if err != nil {
			return nil, err
		}
		events = append(events, page.Events...)
	}
	slices.SortFunc(events, func(a, b audit.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	out := make([]happening, 0, len(events))
	for i := range events {
		e := &events[i]
		h := happening{Time: e.Time, Action: e.Action, Who: e.Actor.Title(), Reason: e.Reason, Link: s.BasePath + auditPath + "/" + strconv.FormatUint(e.Seq, 10)}
		if until, err := time.Parse(time.RFC3339, e.Detail["expires_at"]); err == nil {
			h.Until = until
		}
		out = append(out, h)
	}
	return out, nil
}

// grantAct gives a grant back, revokes it or asks that it lasts longer.
func (s *server) grantAct(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx, id, do, reason := r.Context(), r.PathValue("id"), r.PostForm.Get("do"), strings.TrimSpace(r.PostForm.Get("reason"))
	to := s.BasePath + grantsPath + "/" + url.PathEscape(id) + "?done=" + do
	if r.PostForm.Get("back") == "mine" {
		to = s.BasePath + minePath + "?done=" + do
	}
	var err error
	switch do {
	case "return":
		_, err = s.Access.Return(ctx, id, who, "web")
	case "revoke":
		_, err = s.Access.Revoke(ctx, id, who, reason, "web")
	case "extend":
		var d time.Duration
		if d, err = flow.ParseDuration(r.PostForm.Get("duration")); err != nil {
			err = badField(err)
			break
		}
		var made *access.Request
		if made, err = s.Access.Extend(ctx, id, who, d, reason, "web"); err == nil && made.State == access.Pending {
			to = s.BasePath + requestsPath + "/" + url.PathEscape(made.ID) + "?done=asked"
		}
	default:
		s.message(w, r, http.StatusBadRequest, "There is nothing of that kind to do", "Reload the page and try again.")
		return
	}
	if err != nil {
		f := s.faultOf(ctx, err)
		s.showGrant(w, r, f.Status, who, f, reason)
		return
	}
	s.goOn(w, r, to)
}
