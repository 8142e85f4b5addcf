package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	findingsPath = "/api/v1/findings"
	rulesPath    = "/api/v1/finding-rules"
	posturePath  = "/api/v1/posture"
)

// Findings is what the API needs of the book of findings.
type Findings interface {
	List(ctx context.Context, q finding.Query) (finding.Page, error)
	Get(ctx context.Context, id string) (*finding.Finding, error)
	Set(ctx context.Context, id string, d finding.Decision) (*finding.Finding, error)
	Posture(ctx context.Context) (*finding.Posture, error)
}

var _ Findings = (*finding.Book)(nil)

// FindingDetail is a finding with its history, its rule, and how to mend it.
type FindingDetail struct {
	finding.Finding
	Why   string        `json:"why,omitempty"`
	Looks string        `json:"looks_at,omitempty"`
	Mend  finding.Mend  `json:"mend"`
	Peers finding.Peers `json:"peers"`
}

// FindingDecision is a state that a person gives a finding.
type FindingDecision struct {
	State  finding.State `json:"state" enum:"open,acknowledged,accepted,false_positive"`
	Reason string        `json:"reason" minLength:"1" maxLength:"2000"`
	Until  time.Time     `json:"until,omitzero" required:"false" doc:"When an acceptance ends: in the future, within a year."`
}

// FindingFilter chooses findings.
type FindingFilter struct {
	Severity []string `query:"severity" enum:"critical,high,medium,low,info"`
	State    []string `query:"state" enum:"open,acknowledged,accepted,false_positive,fixed,regressed"`
	Rule     string   `query:"rule"`
	Area     string   `query:"area" enum:"logging,auth,exposure,limits,data,hygiene,clusters,roles"`
	Account  string   `query:"account"`
	Region   string   `query:"region"`
	API      string   `query:"api" doc:"The API's id."`
}

func (f *FindingFilter) query() finding.Query {
	q := finding.Query{Rule: f.Rule, Area: finding.Area(f.Area), Account: f.Account, Region: f.Region, API: f.API}
	for _, v := range f.Severity {
		q.Severities = append(q.Severities, finding.Severity(v))
	}
	for _, v := range f.State {
		q.States = append(q.States, finding.State(v))
	}
	return q
}

// findingAnswer is a finding with the strong tag that a change of it must name.
type findingAnswer struct {
	ETag string `header:"ETag"`
	Body FindingDetail
}

func (s *server) registerFindings(a huma.API) {
	if s.Findings == nil {
		return
	}
	const tag = "Findings"
	huma.Register(a, operation("list-findings", findingsPath, tag, "What the rules found in the estate, the worst first"),
		func(ctx context.Context, in *struct {
			FindingFilter
			Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
			Cursor string `query:"cursor" maxLength:"100" doc:"The next of the page before."`
		},
		) (*struct{ Body finding.Page }, error) {
			q := in.query()
			q.Limit, q.Cursor = in.Limit, in.Cursor
			page, err := s.Findings.List(ctx, q)
			return &struct{ Body finding.Page }{page}, s.findingError(ctx, err)
		})
	huma.Register(a, operation("get-finding", findingsPath+"/{id}", tag, "One finding with its history, why it matters and how to mend it"),
		func(ctx context.Context, in *struct {
			ID string `path:"id"`
		},
		) (*findingAnswer, error) {
			f, err := s.Findings.Get(ctx, in.ID)
			if err := s.findingError(ctx, err); err != nil {
				return nil, err
			}
			return s.findingAnswer(f), nil
		})
	s.registerFindingState(a, tag)
	s.registerFindingExports(a, tag)
	huma.Register(a, operation("list-finding-rules", rulesPath, tag, "The catalogue of rules"),
		func(context.Context, *struct{}) (*struct{ Body []*finding.Rule }, error) {
			return &struct{ Body []*finding.Rule }{finding.Catalogue()}, nil
		})
	huma.Register(a, operation("get-posture", posturePath, tag, "The sum of the last evaluation: verdicts by rule, findings by severity and state"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body *finding.Posture }, error) {
			p, err := s.Findings.Posture(ctx)
			if err != nil {
				return nil, s.findingError(ctx, err)
			}
			if p == nil {
				return nil, huma.Error404NotFound("nothing was evaluated yet: the first discovery has not finished")
			}
			return &struct{ Body *finding.Posture }{p}, nil
		})
}

func (s *server) registerFindingState(a huma.API, tag string) {
	op := operation("set-finding-state", findingsPath+"/{id}/state", tag, "Decide about a finding; If-Match names the version that was looked at")
	op.Method = http.MethodPut
	op.Errors = []int{http.StatusForbidden, http.StatusNotFound, http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusPreconditionRequired}
	huma.Register(a, op, func(ctx context.Context, in *struct {
		ID      string `path:"id"`
		IfMatch string `header:"If-Match" doc:"The ETag of the finding as it was looked at."`
		Body    FindingDecision
	},
	) (*findingAnswer, error) {
		person := identity.FromContext(ctx)
		if !person.Role.Allows(identity.Admin) {
			return nil, huma.Error403Forbidden("this needs the role admin")
		}
		if in.IfMatch == "" {
			return nil, huma.NewError(http.StatusPreconditionRequired, "send If-Match with the ETag of the finding, so that nobody's decision is lost")
		}
		version, ok := s.versionOf(in.IfMatch)
		if !ok {
			return nil, huma.NewError(http.StatusPreconditionFailed, "If-Match is not the ETag of this finding; read it again")
		}
		f, err := s.Findings.Set(ctx, in.ID, finding.Decision{
			State: in.Body.State, By: person.Name, Reason: in.Body.Reason, Until: in.Body.Until, Version: version,
		})
		if err := s.findingError(ctx, err); err != nil {
			return nil, err
		}
		s.Logger.InfoContext(ctx, "a finding was decided about", "by", person.Name, "finding", f.ID, "state", f.State)
		return s.findingAnswer(f), nil
	})
}

func (s *server) findingAnswer(f *finding.Finding) *findingAnswer {
	out := &findingAnswer{ETag: s.findingTag(f.Version), Body: FindingDetail{Finding: *f}}
	if r := finding.RuleOf(f.Rule); r != nil {
		out.Body.Why, out.Body.Looks, out.Body.Peers, out.Body.Mend = r.Why, r.Looks, r.Peers, r.For(f.Subject)
	}
	return out
}

// findingTag is the strong tag of a finding's version. The texts of rules come with
// the program, so its version is part of the tag.
func (s *server) findingTag(version int64) string {
	program := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '"' {
			return r
		}
		return -1
	}, s.Version)
	return `"` + strconv.FormatInt(version, 10) + "." + program + `"`
}

// versionOf reads a tag of findingTag, of whichever program: that a program was
// renewed in between makes no decision stale.
func (s *server) versionOf(tag string) (int64, bool) {
	text, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(tag), `"`), ".")
	if !ok {
		return 0, false
	}
	version, err := strconv.ParseInt(text, 10, 64)
	return version, err == nil && version > 0
}

func (s *server) findingError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, finding.ErrNotFound):
		return huma.Error404NotFound("there is no such finding")
	case errors.Is(err, finding.ErrConflict):
		return huma.NewError(http.StatusPreconditionFailed, "the finding was changed in the meantime; read it again")
	case errors.Is(err, finding.ErrInvalidQuery), errors.Is(err, finding.ErrDecision):
		return huma.Error422UnprocessableEntity(err.Error())
	default:
		return s.unavailable(ctx, "the findings", err)
	}
}
