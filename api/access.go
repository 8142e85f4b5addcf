package api

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	accessPath       = "/api/v1/access"
	accessEventsPath = accessPath + "/events"
	accessEventsID   = "stream-access-events"
	accessTag        = "Access"
)

// Access is what the API needs of the desk that lends access. The desk decides
// who may see and do what; the roles that are asked for here come on top of it.
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
	Clock(ctx context.Context, who flow.Person) (*access.ClockState, error)
	ResetClock(ctx context.Context, by flow.Person, reason, via string) (*access.ClockState, error)
	Requests(ctx context.Context, who flow.Person, q access.RequestQuery) (*access.RequestViews, error)
	RequestByID(ctx context.Context, who flow.Person, id string) (*access.RequestView, error)
	Grants(ctx context.Context, who flow.Person, q access.GrantQuery) (*access.GrantViews, error)
	GrantByID(ctx context.Context, who flow.Person, id string) (*access.GrantView, error)
	GrantDetails(ctx context.Context, who flow.Person, id string) (*access.Details, error)
	Credentials(ctx context.Context, who flow.Person, integration, grant, via string) (*access.Credentials, error)
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
	Subscribe(ctx context.Context, who flow.Person) <-chan access.Event
}

var _ Access = (*access.Desk)(nil)

func (s *server) registerAccess(a huma.API) {
	if s.Access == nil {
		return
	}
	s.registerAccessRequests(a)
	s.registerAccessGrants(a)
	s.registerAccessStops(a)
	s.registerAccessClock(a)
	s.registerIntegrations(a)
	s.registerIntegrationRuns(a)
	s.registerFlows(a)
	s.registerAccessCode(a)
	s.registerAccessEvents(a)
}

// accessChange describes a change of what is lent.
func accessChange(id, method, path, summary string) huma.Operation {
	op := operation(id, path, accessTag, summary)
	op.Method = method
	op.Errors = []int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable,
	}
	return op
}

// borrower returns who is signed in as lending knows them, if they have the role,
// and the way by which they came.
func borrower(ctx context.Context, want identity.Role) (who flow.Person, via string, err error) {
	p := identity.FromContext(ctx)
	if !p.SignedIn() {
		return flow.Person{}, "", huma.Error401Unauthorized("sign in first")
	}
	if !p.Role.Allows(want) {
		return flow.Person{}, "", huma.Error403Forbidden("this needs the role " + want.String() + ", and you have " + p.Role.String() +
			"; who administers Gatehouse gives roles with role_" + want.String() + "s")
	}
	via = "api"
	if p.Via == identity.ViaCLI || p.Via == identity.ViaWeb {
		via = p.Via
	}
	return access.PersonOf(p), via, nil
}

// accessError tells what the desk refused, and logs what it could not do.
func (s *server) accessError(ctx context.Context, err error) error {
	var notGiven *access.NotGivenError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notGiven):
		problems := make([]error, 0, len(notGiven.Decision.Reasons))
		for _, r := range notGiven.Decision.Reasons {
			problems = append(problems, &huma.ErrorDetail{Message: r})
		}
		return huma.Error403Forbidden(access.ErrNotGiven.Error(), problems...)
	case errors.Is(err, access.ErrForbidden), errors.Is(err, access.ErrStopped):
		return huma.Error403Forbidden(err.Error())
	case errors.Is(err, access.ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, access.ErrConflict), errors.Is(err, access.ErrDecided), errors.Is(err, access.ErrEnded), errors.Is(err, access.ErrBusy):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, access.ErrInvalid), errors.Is(err, access.ErrInvalidQuery):
		return huma.Error422UnprocessableEntity(err.Error())
	default:
		return s.unavailable(ctx, "lending", err)
	}
}

// versionTag is the strong tag of something that counts its changes.
func versionTag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// contentTag is the tag of something whose answer changes between its versions too: a
// change names the version, and whoever polls sees what is new.
func contentTag(version int64, body any) string {
	h := fnv.New64a()
	_ = json.NewEncoder(h).Encode(body) // a tag of half an answer is a tag too
	return `"` + strconv.FormatInt(version, 10) + "-" + strconv.FormatUint(h.Sum64(), 36) + `"`
}

// ifMatch reads the version that a change names, so that nobody's change is lost.
func ifMatch(header string) (int64, error) {
	if header == "" {
		return 0, huma.NewError(http.StatusPreconditionRequired, "send If-Match with the ETag of what you looked at, so that nobody's change is lost")
	}
	tag, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(strings.TrimSpace(header), "W/"), `"`), "-")
	version, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || version < 0 {
		return 0, huma.NewError(http.StatusPreconditionFailed, "If-Match is not an ETag of this; read it again")
	}
	return version, nil
}

// AccessItem is one permission on one resource.
type AccessItem struct {
	Integration string `json:"integration"`
	Type        string `json:"type" doc:"The resource's type."`
	Resource    string `json:"resource" doc:"The resource's id within its integration."`
	Name        string `json:"name"`
	Path        string `json:"path,omitempty"`
	Permission  string `json:"permission"`
	// Confirmed is only said of a grant's items.
	Confirmed *bool `json:"confirmed,omitempty" doc:"The target was read back and has it; after the end: and has it no more."`
}

func accessItem(i *flow.Item) AccessItem {
	r := &i.Resource
	return AccessItem{Integration: r.Integration, Type: r.Type, Resource: r.ID, Name: r.Name, Path: r.Path, Permission: i.Permission}
}

func accessItems(items []flow.Item) []AccessItem {
	out := make([]AccessItem, len(items))
	for i := range items {
		out[i] = accessItem(&items[i])
	}
	return out
}

// AccessPerson names a person.
type AccessPerson struct {
	ID   string `json:"id" doc:"The e-mail address, as the identity provider writes it."`
	Name string `json:"name,omitempty"`
}

func accessPerson(p *flow.Person) AccessPerson { return AccessPerson{ID: p.ID, Name: p.Name} }

// AccessTerms are what the flows say to a question.
type AccessTerms struct {
	Outcome           flow.Outcome  `json:"outcome" enum:"refused,needs_approval,auto_approved"`
	Flow              string        `json:"flow,omitempty"`
	FlowVersion       int           `json:"flow_version,omitempty"`
	Reasons           []string      `json:"reasons,omitempty" doc:"For people, in order: why this flow, why not the others, what is missing."`
	Approval          flow.Approval `json:"approval,omitzero" doc:"Who has to agree."`
	DurationSeconds   int64         `json:"duration_seconds,omitempty"`
	MaxSeconds        int64         `json:"max_seconds,omitempty"`
	MaxExtensions     int           `json:"max_extensions,omitempty"`
	ExtensionSeconds  int64         `json:"extension_seconds,omitempty"`
	ApproverReason    bool          `json:"approver_reason,omitempty" doc:"Who agrees has to say why."`
	BreakGlass        bool          `json:"break_glass,omitempty"`
	LapseAfterSeconds int64         `json:"lapse_after_seconds,omitempty"`
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func accessTerms(d *flow.Decision) AccessTerms {
	return AccessTerms{
		Outcome: d.Outcome, Flow: d.Flow, FlowVersion: d.FlowVersion, Reasons: d.Reasons, Approval: d.Approval,
		DurationSeconds: seconds(d.Duration), MaxSeconds: seconds(d.MaxDuration), MaxExtensions: d.MaxExtensions,
		ExtensionSeconds: seconds(d.ExtensionDuration), ApproverReason: d.ApproverReason, BreakGlass: d.BreakGlass,
		LapseAfterSeconds: seconds(d.LapseAfter),
	}
}
