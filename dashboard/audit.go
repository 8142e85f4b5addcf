package dashboard

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/identity"
)

const auditPath = "/audit"

// Audit is what the pages need of the audit log.
type Audit interface {
	audit.Reader
	Verify()
	State() audit.Verification
}

var _ Audit = (*audit.Watch)(nil)

// auditKeys are the filters of the audit log in the address; the API's names too.
var auditKeys = []string{"action", "actor", "subject", "kind", "via", "since", "until"}

var auditTitles = map[string]string{
	"action": "Action", "actor": "Actor", "subject": "Subject", "kind": "Kind of actor", "via": "Via", "since": "Since", "until": "Up to",
}

type auditData struct {
	Rows     []auditRow
	Values   map[string]string // of the filters, as they are typed
	Kinds    []option
	Vias     []option
	Chips    []chip
	Fault    string // of a filter
	Clear    string
	Next     string
	ToFirst  string
	CSV      string
	NDJSON   string
	Own      bool // only the person's own events are shown
	SignedIn bool
	Filtered bool
	Check    auditCheck
}

// auditCheck is what the page says about the verification of the log.
type auditCheck struct {
	Shown   bool
	Class   string // of the line: good, bad or wait
	Shape   string
	Text    string
	Time    time.Time
	Head    string
	Running bool
	Notices []string
}

type auditRow struct {
	audit.Event
	Link  string
	Actor string
	About string
	Of    string // link to all events of the actor; empty for one without a name
}

func (s *server) auditRoutes(mux *http.ServeMux) {
	if s.Audit == nil {
		return
	}
	mux.HandleFunc("GET "+auditPath, s.auditPage)
	mux.HandleFunc("GET "+auditPath+"/{seq}", s.auditEventPage)
	// The guard before all of this lets no other site's form come here.
	mux.Handle("POST "+auditPath+"/verify", identity.Require(identity.Approver, http.HandlerFunc(s.auditVerify)))
}

func (s *server) auditPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	v := r.URL.Query()
	path := s.BasePath + auditPath
	person := identity.FromContext(ctx)
	d := &auditData{
		Clear: path, Values: map[string]string{}, Own: !person.Role.Allows(identity.Approver), SignedIn: person.SignedIn(),
		CSV: s.auditExport("csv", v), NDJSON: s.auditExport("ndjson", v),
	}
	q, err := auditQueryOf(v)
	if err != nil {
		d.Fault = err.Error()
	}
	page, err := s.Audit.AuditEvents(ctx, audit.Readable(q, person))
	if errors.Is(err, audit.ErrInvalidQuery) {
		http.Redirect(w, r, with(path, v, "cursor", ""), http.StatusSeeOther)
		return
	}
	if err != nil {
		s.unavailable(w, r, "The audit log", err)
		return
	}
	for i := range page.Events {
		e := &page.Events[i]
		row := auditRow{Event: *e, Link: path + "/" + strconv.FormatUint(e.Seq, 10), Actor: e.Actor.Title(), About: e.Subject.Title()}
		if key := cmp.Or(e.Actor.ID, e.Actor.Name); key != "" {
			row.Of = with(path, v, "actor", key, "cursor", "")
		}
		d.Rows = append(d.Rows, row)
	}
	if page.Next != "" {
		d.Next = with(path, v, "cursor", page.Next)
	}
	if v.Get("cursor") != "" {
		d.ToFirst = with(path, v, "cursor", "")
	}
	d.choices(path, v)
	if !d.Own {
		d.Check = auditCheckOf(s.Audit.State())
	}
	s.render(w, r, 0, "audit", s.shell(r, "Audit", auditPath, d))
}

// auditQueryOf reads the filters of an address. Dates are days in UTC, and the last of
// them is included.
func auditQueryOf(v url.Values) (audit.Query, error) {
	q := audit.Query{
		Actor: v.Get("actor"), Kind: audit.ActorKind(v.Get("kind")), Via: audit.Via(v.Get("via")), Action: v.Get("action"), Subject: v.Get("subject"),
		Limit: rowsPerPage, Cursor: v.Get("cursor"),
	}
	var err error
	day := func(key string) time.Time {
		text := v.Get(key)
		if text == "" {
			return time.Time{}
		}
		t, parseErr := time.Parse(time.DateOnly, text)
		if parseErr != nil {
			err = errors.New("a date is of the form 2026-01-31; this filter is left out")
		}
		return t
	}
	q.Since = day("since")
	if until := day("until"); !until.IsZero() {
		q.Until = until.AddDate(0, 0, 1)
	}
	return q, err
}

// auditExport leads to the API's export of what is filtered.
func (s *server) auditExport(ext string, v url.Values) string {
	c := url.Values{}
	for _, key := range auditKeys {
		c.Set(key, v.Get(key))
	}
	c.Del("since")
	c.Del("until")
	if q, err := auditQueryOf(v); err == nil {
		for key, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
			if !t.IsZero() {
				c.Set(key, t.Format(time.RFC3339))
			}
		}
	}
	return with(s.BasePath+"/api/v1/audit."+ext, c)
}

func (d *auditData) choices(path string, v url.Values) {
	for _, k := range audit.ActorKinds() {
		d.Kinds = append(d.Kinds, option{Value: string(k), Title: string(k), Chosen: v.Get("kind") == string(k)})
	}
	vias := []string{string(audit.ViaWeb), string(audit.ViaCLI), string(audit.ViaAPI), string(audit.ViaSlack), string(audit.ViaSweeper), string(audit.ViaServer)}
	if via := v.Get("via"); via != "" && !slices.Contains(vias, via) {
		vias = append(vias, via)
	}
	for _, via := range vias {
		d.Vias = append(d.Vias, option{Value: via, Title: via, Chosen: v.Get("via") == via})
	}
	for _, key := range auditKeys {
		if value := v.Get(key); value != "" {
			d.Values[key], d.Filtered = value, true
			d.Chips = append(d.Chips, chip{auditTitles[key], value, with(path, v, key, "", "cursor", "")})
		}
	}
}

func auditCheckOf(state audit.Verification) auditCheck {
	c := auditCheck{Shown: true, Running: state.Running, Time: state.Time, Notices: state.Notices}
	if state.Verified.Seq > 0 {
		c.Head = state.Verified.String()
	}
	switch {
	case state.Broken != "":
		c.Class, c.Shape, c.Text = "bad", "■", state.Broken
	case state.Failed != "":
		c.Class, c.Shape, c.Text = "wait", "◐", state.Failed
	case state.Time.IsZero():
		c.Class, c.Shape, c.Text = "wait", "◐", "The log was not verified yet."
	case state.Verified.Seq == 0:
		c.Class, c.Shape, c.Text = "good", "●", "The log is empty."
	default:
		c.Class, c.Shape, c.Text = "good", "●", "Verified up to event "+count(int64(state.Verified.Seq))+": no event was changed, removed or moved."
	}
	return c
}

func (s *server) auditVerify(w http.ResponseWriter, r *http.Request) {
	s.Audit.Verify()
	http.Redirect(w, r, s.BasePath+auditPath, http.StatusSeeOther)
}

type auditEventData struct {
	audit.Event
	Title       string
	About       string
	Details     []fact
	Differences []audit.Difference
	Before      string
	After       string
	Of, Toward  string
	Previous    string
	Line        string // where the whole event is, as JSON
	Back        string
}

func (s *server) auditEventPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	path := s.BasePath + auditPath
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	var e *audit.Event
	if err == nil {
		e, err = s.Audit.AuditEvent(ctx, seq)
	} else {
		err = audit.ErrNotFound
	}
	if err == nil {
		// An event of somebody else is not told apart from none.
		if q := audit.Readable(audit.Query{}, identity.FromContext(ctx)); !q.Matches(e) {
			err = audit.ErrNotFound
		}
	}
	switch {
	case errors.Is(err, audit.ErrNotFound):
		s.message(w, r, http.StatusNotFound, "There is no such event", "It may be one of somebody else, which approvers and admins see.")
		return
	case err != nil:
		s.unavailable(w, r, "The audit event", err)
		return
	}
	d := &auditEventData{
		Event: *e, Title: e.Action, About: e.Subject.Title(), Differences: audit.Differences(e.Before, e.After), Before: string(e.Before), After: string(e.After),
		Of: with(path, nil, "actor", e.Actor.ID), Toward: with(path, nil, "subject", e.Subject.ID),
		Line: s.BasePath + "/api/v1/audit/events/" + strconv.FormatUint(e.Seq, 10), Back: path,
	}
	for name, value := range e.Detail {
		d.Details = append(d.Details, fact{Name: name, Value: value})
	}
	slices.SortFunc(d.Details, func(a, b fact) int { return cmp.Compare(a.Name, b.Name) })
	if e.Seq > 1 && identity.FromContext(ctx).Role.Allows(identity.Approver) {
		d.Previous = path + "/" + strconv.FormatUint(e.Seq-1, 10)
	}
	s.render(w, r, 0, "auditevent", s.shell(r, "Event "+strconv.FormatUint(e.Seq, 10), auditPath, d))
}
