package dashboard

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

// The addresses of lending.
const (
	lendPath         = "/access"
	askPath          = lendPath + "/request"
	requestsPath     = lendPath + "/requests"
	inboxPath        = lendPath + "/inbox"
	minePath         = lendPath + "/mine"
	grantsPath       = lendPath + "/grants"
	stopPath         = lendPath + "/stop"
	flowsPath        = lendPath + "/flows"
	integrationsPath = lendPath + "/integrations"
	codePath         = lendPath + "/code"
)

const (
	// targetTimeout bounds what asks a target while somebody waits for the page.
	targetTimeout = 2 * time.Minute
	// maxFlowForm bounds the form with the flows' text, in bytes.
	maxFlowForm = 4 << 20
)

// Access is what the pages need of the desk that lends access, which decides who may
// see and do what.
type Access interface {
	Catalog(ctx context.Context, who flow.Person, q access.CatalogQuery) (*access.CatalogPage, error)
	Explain(ctx context.Context, a access.Ask) (*access.Explanation, error)
	Request(ctx context.Context, a access.Ask) (*access.Request, error)
	Vote(ctx context.Context, id string, b access.Ballot) (*access.Request, error)
	Cancel(ctx context.Context, id string, by flow.Person, via string) (*access.Request, error)
	Extend(ctx context.Context, grant string, by flow.Person, duration time.Duration, justification, via string) (*access.Request, error)
	Return(ctx context.Context, grant string, by flow.Person, via string) (*access.Grant, error)
	Revoke(ctx context.Context, grant string, by flow.Person, reason, via string) (*access.Grant, error)
	Panic(ctx context.Context, scope access.StopScope, by flow.Person, reason, via string) (int, error)
	Lift(ctx context.Context, stop string, by flow.Person, reason, via string) error
	Stops(ctx context.Context, who flow.Person) ([]access.Stop, error)
	Requests(ctx context.Context, who flow.Person, q access.RequestQuery) (*access.RequestViews, error)
	RequestByID(ctx context.Context, who flow.Person, id string) (*access.RequestView, error)
	Background(ctx context.Context, who flow.Person, request string) (*access.Background, error)
	Grants(ctx context.Context, who flow.Person, q access.GrantQuery) (*access.GrantViews, error)
	GrantByID(ctx context.Context, who flow.Person, id string) (*access.GrantView, error)
	GrantDetails(ctx context.Context, who flow.Person, id string) (*access.Details, error)
	IntegrationTypes() map[string][]access.ResourceType
	Integrations(ctx context.Context, who flow.Person) ([]*access.IntegrationView, error)
	Integration(ctx context.Context, who flow.Person, name string) (*access.IntegrationView, error)
	SaveIntegration(ctx context.Context, i *access.Integration, by flow.Person, version int64, via string) (*access.Integration, error)
	DeleteIntegration(ctx context.Context, name string, by flow.Person, version int64, via string) error
	Connect(ctx context.Context, name string, apply bool, by flow.Person, via string) (*access.Connection, error)
	Resources(ctx context.Context, who flow.Person, q access.ResourceQuery) (*access.ResourcePage, error)
	Flows(ctx context.Context, who flow.Person, version int) (*access.FlowVersion, error)
	FlowVersions(ctx context.Context, who flow.Person, limit int) ([]access.FlowVersion, error)
	ApplyFlows(ctx context.Context, f access.Flowing) (*access.FlowPlan, error)
	TestFlow(ctx context.Context, who flow.Person, a access.Ask, text string) (*access.Explanation, error)
}

// AccessRuns has targets asked in the background, and decides who may.
type AccessRuns interface {
	Start(ctx context.Context, name string, kind access.RunKind, by flow.Person, via string) (*access.TargetRun, error)
}

var (
	_ Access     = (*access.Desk)(nil)
	_ AccessRuns = (*access.TargetRuns)(nil)
)

// lendRoles are the roles that see a section of lending in the rail.
var lendRoles = map[string]identity.Role{
	lendPath: identity.Requester, minePath: identity.Requester, flowsPath: identity.Requester,
	inboxPath: identity.Approver, grantsPath: identity.Admin, integrationsPath: identity.Admin,
}

// isLending reports whether a path is of lending.
func isLending(path string) bool { return path == lendPath || strings.HasPrefix(path, lendPath+"/") }

func (s *server) accessRoutes(mux *http.ServeMux) {
	if s.Access == nil {
		return
	}
	// The guard before all of this lets no other site's form come here.
	for pattern, h := range map[string]http.HandlerFunc{
		"GET " + lendPath:                          s.lend(identity.Requester, s.catalogPage),
		"GET " + askPath:                           s.lend(identity.Requester, s.askPage),
		"POST " + askPath:                          s.lend(identity.Requester, s.askPost),
		"GET " + requestsPath + "/{id}":            s.lend(identity.Requester, s.requestPage),
		"POST " + requestsPath + "/{id}":           s.lend(identity.Requester, s.requestAct),
		"GET " + inboxPath:                         s.lend(identity.Approver, s.inboxPage),
		"GET " + minePath:                          s.lend(identity.Requester, s.minePage),
		"GET " + grantsPath:                        s.lend(identity.Requester, s.grantsPage),
		"GET " + grantsPath + "/{id}":              s.lend(identity.Requester, s.grantPage),
		"POST " + grantsPath + "/{id}":             s.lend(identity.Requester, s.grantAct),
		"GET " + stopPath:                          s.lend(identity.Admin, s.stopPage),
		"POST " + stopPath:                         s.lend(identity.Admin, s.stopPost),
		"POST " + stopPath + "/{id}":               s.lend(identity.Admin, s.stopLift),
		"GET " + flowsPath:                         s.lend(identity.Requester, s.flowsPage),
		"GET " + flowsPath + "/edit":               s.lend(identity.Admin, s.flowEditPage),
		"POST " + flowsPath + "/edit":              s.lend(identity.Admin, s.flowEditPost),
		"GET " + flowsPath + "/versions":           s.lend(identity.Requester, s.flowVersionsPage),
		"GET " + flowsPath + "/test":               s.lend(identity.Requester, s.flowTestPage),
		"POST " + flowsPath + "/test":              s.lend(identity.Admin, s.flowTestDraft),
		"GET " + codePath:                          s.lend(identity.Requester, s.codePage),
		"GET " + integrationsPath:                  s.lend(identity.Requester, s.integrationsPage),
		"POST " + integrationsPath:                 s.lendFor(targetTimeout, identity.Admin, s.integrationSave),
		"GET " + integrationsPath + "/new":         s.lend(identity.Admin, s.integrationNew),
		"GET " + integrationsPath + "/{name}":      s.lend(identity.Requester, s.integrationPage),
		"GET " + integrationsPath + "/{name}/edit": s.lend(identity.Admin, s.integrationEdit),
		"POST " + integrationsPath + "/{name}":     s.lendFor(targetTimeout, identity.Admin, s.integrationAct),
	} {
		mux.HandleFunc(pattern, h)
	}
}

type lendHandler func(w http.ResponseWriter, r *http.Request, who flow.Person)

// lend lets people with a role in, as lending knows them.
func (s *server) lend(want identity.Role, f lendHandler) http.HandlerFunc {
	return s.lendFor(readTimeout, want, f)
}

func (s *server) lendFor(within time.Duration, want identity.Role, f lendHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := identity.FromContext(r.Context())
		switch {
		case !p.SignedIn():
			s.message(w, r, http.StatusUnauthorized, "Sign in first", "Access is lent to people, so Gatehouse has to know who you are.")
			return
		case !p.Role.Allows(want):
			s.message(w, r, http.StatusForbidden, "This needs the role "+want.String(), "You have the role "+p.Role.String()+". Who administers Gatehouse gives roles.")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		r = r.WithContext(ctx)
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				s.message(w, r, http.StatusBadRequest, "This form cannot be read", "It may be too large. Go back, and try again.")
				return
			}
		}
		f(w, r, access.PersonOf(p))
	}
}

// lendFailed shows why something of lending cannot be shown.
func (s *server) lendFailed(w http.ResponseWriter, r *http.Request, what string, err error) {
	switch {
	case errors.Is(err, access.ErrNotFound):
		s.message(w, r, http.StatusNotFound, what+" is not there", "It may have been removed, or is not yours to see.")
	case errors.Is(err, access.ErrForbidden):
		s.message(w, r, http.StatusForbidden, "This is not yours to see", sentence(err.Error()))
	case errors.Is(err, access.ErrInvalidQuery):
		s.message(w, r, http.StatusBadRequest, "This address leads nowhere", "It may be of a page of a list that has changed since. Begin the list anew.")
	default:
		s.unavailable(w, r, what, err)
	}
}

// fault is what the desk refused, in words.
type fault struct {
	Status  int
	Text    string
	Reasons []string
}

// faultOf tells people what the desk refused, and logs what it could not do.
func (s *server) faultOf(ctx context.Context, err error) *fault {
	var notGiven *access.NotGivenError
	var status int
	switch {
	case errors.As(err, &notGiven):
		return &fault{http.StatusForbidden, "No access flow gives this.", notGiven.Decision.Reasons}
	case errors.Is(err, access.ErrForbidden), errors.Is(err, access.ErrStopped):
		status = http.StatusForbidden
	case errors.Is(err, access.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, access.ErrConflict), errors.Is(err, access.ErrDecided), errors.Is(err, access.ErrEnded), errors.Is(err, access.ErrBusy):
		status = http.StatusConflict
	case errors.Is(err, access.ErrInvalid):
		status = http.StatusUnprocessableEntity
	default:
		s.Logger.ErrorContext(ctx, "a change in lending failed", "error", err)
		return &fault{Status: http.StatusServiceUnavailable, Text: "It could not be done now: the store or the target did not answer in time, or failed. Gatehouse's log says why. Reload the page to see what stands."}
	}
	text := err.Error()
	for _, kind := range []error{access.ErrInvalid, access.ErrForbidden} {
		text = strings.TrimPrefix(text, kind.Error()+": ") // what follows says it better
	}
	return &fault{Status: status, Text: sentence(text)}
}

// sentence makes a sentence of an error.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// goOn leads to another page of this server.
func (s *server) goOn(w http.ResponseWriter, r *http.Request, to string) {
	http.Redirect(w, r, s.localPath(to), http.StatusSeeOther) //nolint:gosec // localPath lets no other site through.
}

// inboxCount is how many requests wait for a person's vote; 0 where that cannot be
// told, for every page asks.
func (s *server) inboxCount(ctx context.Context, p identity.Person) int {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	who := access.PersonOf(p)
	page, err := s.Access.Requests(ctx, who, access.RequestQuery{Voter: who.ID, Limit: 1})
	if err != nil {
		if ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "dashboard read failed", "what", "the inbox's count", "error", err)
		}
		return 0
	}
	return page.Total
}

// itemText writes a permission on a resource for an address.
func itemText(i *flow.Item) string {
	r := &i.Resource
	return strings.Join([]string{url.PathEscape(r.Integration), url.PathEscape(r.Type), url.PathEscape(r.ID), url.PathEscape(i.Permission)}, "/")
}

// itemRef reads what itemText wrote.
func itemRef(text string) (access.ItemRef, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 {
		return access.ItemRef{}, fmt.Errorf("%w: %q is no permission on a resource", access.ErrInvalid, text)
	}
	for i := range parts {
		var err error
		if parts[i], err = url.PathUnescape(parts[i]); err != nil || parts[i] == "" {
			return access.ItemRef{}, fmt.Errorf("%w: %q is no permission on a resource", access.ErrInvalid, text)
		}
	}
	return access.ItemRef{Integration: parts[0], Type: parts[1], Resource: parts[2], Permission: parts[3]}, nil
}

// lasts are the times that are offered, as far as they are allowed.
var lasts = []time.Duration{
	15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour,
}

// durations offers times up to most, most itself and what is chosen.
func durations(most, chosen time.Duration) []option {
	var all []time.Duration
	for _, d := range append(slices.Clip(lasts), chosen) {
		if d > 0 && (d < most || d == chosen) {
			all = append(all, d)
		}
	}
	all = append(all, most)
	slices.Sort(all)
	all = slices.Compact(all)
	out := make([]option, 0, len(all))
	for _, d := range all {
		out = append(out, option{Value: flow.FormatDuration(d), Title: duration(d), Chosen: d == chosen})
	}
	return out
}

func requestBadge(state access.RequestState) badge {
	switch state {
	case access.Pending:
		return badge{"wait", "◐", "waiting", "somebody has to agree"}
	case access.Approved:
		return badge{"good", "●", "approved", ""}
	case access.Denied:
		return badge{"bad", "■", "denied", ""}
	case access.Cancelled:
		return badge{"unknown", "○", "taken back", ""}
	case access.Lapsed:
		return badge{"unknown", "○", "lapsed", "nobody answered in time"}
	default:
		return badge{"unknown", "?", string(state), ""}
	}
}

// lateFrom is from when on a change that is not there yet is shown as late.
const lateFrom = time.Minute

func grantBadge(g *access.GrantView) badge {
	class := "wait"
	if g.Late > lateFrom {
		class = "bad"
	}
	switch g.State {
	case access.Provisioning:
		return badge{class, "◐", "being put in place", "the time does not run yet"}
	case access.Active:
		return badge{"good", "●", "active", "the target has it"}
	case access.Revoking:
		return badge{class, "◐", "being taken back", "not known to be gone yet"}
	case access.Ended:
		return badge{"unknown", "○", "ended", "the target was read back and has it no more"}
	default:
		return badge{"unknown", "?", string(g.State), ""}
	}
}

var endWords = map[access.EndReason]string{
	access.Expired: "its time was up", access.Returned: "given back", access.Revoked: "revoked", access.Panic: "all was stopped",
	access.Left: "the person was disabled", access.Failed: "it could not be put in place in time",
}

func endWord(r access.EndReason) string {
	if w := endWords[r]; w != "" {
		return w
	}
	return string(r)
}

// coarse writes the largest unit of a duration.
func coarse(d time.Duration) string {
	text := duration(d)
	if parts := strings.Fields(text); len(parts) > 2 {
		return parts[0] + " " + parts[1]
	}
	return text
}

// moment writes a time as seen from now; the script keeps it so, and has the time
// itself in the reader's zone on hover.
func moment(form string, t, now time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="muted">never</span>`
	}
	t = t.UTC()
	var text string
	switch d := t.Sub(now); {
	case form == "left" && d <= 0:
		text = "time is up"
	case form == "left":
		text = duration(d) + " left"
	case d.Abs() < 2*time.Second:
		text = "just now"
	case d > 0:
		text = "in " + coarse(d)
	default:
		text = coarse(-d) + " ago"
	}
	return template.HTML(`<time datetime="` + t.Format("2006-01-02T15:04:05.000Z") + `" data-form="` + form + `" title="` + t.Format("2006-01-02 15:04:05") + ` UTC">` + text + `</time>`) //nolint:gosec // Digits, units and a form of our own alone.
}

func ago(t, now time.Time) template.HTML  { return moment("ago", t, now) }
func left(t, now time.Time) template.HTML { return moment("left", t, now) }

// waitingFor says who has to agree yet.
func waitingFor(rule *flow.Decision, standing flow.Standing) string {
	parts := make([]string, 0, len(standing.Waiting))
	for i := range standing.Waiting {
		parts = append(parts, standing.Waiting[i].String())
	}
	if rule.Approval.Mode == flow.AllOf {
		return strings.Join(parts, "; and ")
	}
	return strings.Join(parts, " or ")
}

func approvalText(a flow.Approval) string {
	if len(a.Groups) == 0 {
		return "nobody"
	}
	return a.String()
}

// changed leaves out what stays as it is.
func changed(all []flow.Change) []flow.Change {
	var out []flow.Change
	for _, c := range all {
		if c.Action != flow.Unchanged {
			out = append(out, c)
		}
	}
	return out
}

// lendFunctions are what the templates of lending format with.
var lendFunctions = template.FuncMap{
	"ago":        ago,
	"left":       left,
	"endword":    endWord,
	"asked":      requestBadge,
	"checked":    checkBadge,
	"approval":   approvalText,
	"changed":    changed,
	"connection": connectionDigest,
	"more":       func(all []string, shown int) int { return len(all) - shown },
	"next":       func(n int) int { return n + 1 },
	"rows":       func(text string) int { return min(max(strings.Count(text, "\n")+2, 16), 40) },
	"lift": func(may bool, path string) string {
		if !may {
			return ""
		}
		return path
	},
}
