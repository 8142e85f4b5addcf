package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	loggingPath        = "/api/v1/logging"
	loggingPlansPath   = loggingPath + "/plans"
	loggingRunsPath    = loggingPath + "/runs"
	maxRunLines        = 20_000
	maxStaleDetails    = 100
	defaultLoggingRuns = 50
)

// Logging is what the API needs of the desk that switches logging.
type Logging interface {
	Status(ctx context.Context, c *logging.Choice) (*logging.Status, error)
	Propose(ctx context.Context, r logging.Request) (*logging.Proposal, error)
	Proposal(digest string) (*logging.Proposal, error)
	Start(ctx context.Context, digest, who string) (*logging.Run, error)
	Follow(id string) (*logging.Run, <-chan struct{}, error)
	Lines(ctx context.Context, id string, limit int) (*logging.Past, []logging.Entry, error)
	History(ctx context.Context, limit int) ([]logging.Past, error)
}

var _ Logging = (*logging.Desk)(nil)

// StageChoice says which stages are meant: a stage must pass every list that is given.
type StageChoice struct {
	Accounts []string          `json:"accounts,omitempty" maxItems:"1000" doc:"Account ids."`
	Regions  []string          `json:"regions,omitempty" maxItems:"100"`
	Types    []string          `json:"types,omitempty" enum:"REST,HTTP,WEBSOCKET"`
	APIs     []string          `json:"apis,omitempty" maxItems:"2000" doc:"API ids, or stages as ID/STAGE."`
	Names    []string          `json:"names,omitempty" maxItems:"100" doc:"Names of APIs; * and ? stand for any letters."`
	Stages   []string          `json:"stages,omitempty" maxItems:"100" doc:"Names of stages; * and ? stand for any letters."`
	Tags     map[string]string `json:"tags,omitempty" doc:"Tags of the API or the stage; an empty value stands for any."`
	Places   []string          `json:"places,omitempty" maxItems:"2000" doc:"ACCOUNT, ACCOUNT/REGION, ACCOUNT/REGION/API or ACCOUNT/REGION/API/STAGE."`
}

func (c *StageChoice) choice() logging.Choice {
	out := logging.Choice{Accounts: c.Accounts, Regions: c.Regions, APIs: c.APIs, Names: c.Names, Stages: c.Stages, Tags: c.Tags, Places: c.Places}
	for _, t := range c.Types {
		out.Types = append(out.Types, transaction.APIType(t))
	}
	return out
}

// LoggingPlanRequest asks for a plan.
type LoggingPlanRequest struct {
	Command         string `json:"command" enum:"enable,disable,destroy" doc:"disable puts back what was there before enable; destroy also removes what enable made, log groups with their logs."`
	DataTrace       *bool  `json:"data_trace,omitempty" default:"true" doc:"Log headers and bodies in execution logs; they may hold secrets."`
	Role            string `json:"role,omitempty" doc:"Name of the IAM role to make where an account has none for API Gateway, or the ARN of one that exists."`
	RetentionDays   *int32 `json:"retention_days,omitempty" default:"30" doc:"How long log groups that are made keep events; 0: for ever."`
	KMSKey          string `json:"kms_key,omitempty" doc:"ARN of the KMS key of log groups that are made."`
	HTTPGroup       string `json:"http_group,omitempty" doc:"One log group for the access logs of all HTTP APIs of an account and region."`
	HTTPGroupExists bool   `json:"http_group_exists,omitempty" doc:"That group exists and is not made."`
	ReplaceFormat   bool   `json:"replace_format,omitempty" doc:"Set the access-log format also where there is another."`
	Delivery        bool   `json:"delivery,omitempty" doc:"Deliver execution logs of REST APIs with lines of up to 1 MB too."`
	Force           bool   `json:"force,omitempty" doc:"disable and destroy: put back also what somebody changed since."`
	StageChoice
}

func (r *LoggingPlanRequest) request() logging.Request {
	out := logging.Request{Command: logging.Command(r.Command), EnableOptions: logging.EnableOptions{Choice: r.choice()}}
	if out.Command != logging.Enable {
		out.Force = r.Force
		return out
	}
	out.EnableOptions = logging.DefaultEnable()
	out.Choice = r.choice()
	if r.DataTrace != nil {
		out.DataTrace = *r.DataTrace
	}
	if r.RetentionDays != nil {
		out.RetentionDays = *r.RetentionDays
	}
	out.Role = cmp.Or(r.Role, out.Role)
	out.KMSKey, out.HTTPGroup, out.HTTPGroupExists, out.ReplaceFormat, out.Delivery = r.KMSKey, r.HTTPGroup, r.HTTPGroupExists, r.ReplaceFormat, r.Delivery
	return out
}

// LoggingStart names the plan to carry out.
type LoggingStart struct {
	Digest string `json:"digest" minLength:"64" maxLength:"64" doc:"Of the plan, as it was shown."`
}

// LoggingRunDetail is a run: as it stands if this process carries it out, and as the journal
// tells it.
type LoggingRunDetail struct {
	*logging.Run
	Journal *logging.Past   `json:"journal,omitempty"`
	Lines   []logging.Entry `json:"lines,omitempty" doc:"The journal's lines of the run, the oldest first."`
}

type planAnswer struct {
	Location string `header:"Location"`
	Body     *logging.Proposal
}

type runAnswer struct {
	Location string `header:"Location"`
	Body     *logging.Run
}

func (s *server) registerLogging(a huma.API) {
	if s.Logging == nil {
		return
	}
	const tag = "Logging"
	huma.Register(a, operation("list-stage-logging", loggingPath+"/stages", tag, "How every stage logs: what is on, where it goes, how long it is kept"),
		func(ctx context.Context, in *struct {
			Account []string `query:"account,explode"`
			Region  []string `query:"region,explode"`
			Type    []string `query:"type,explode" enum:"REST,HTTP,WEBSOCKET"`
			API     []string `query:"api,explode" doc:"API ids, or stages as ID/STAGE."`
			Place   []string `query:"place,explode" doc:"ACCOUNT, ACCOUNT/REGION, ACCOUNT/REGION/API or ACCOUNT/REGION/API/STAGE."`
		},
		) (*struct{ Body *logging.Status }, error) {
			c := StageChoice{Accounts: in.Account, Regions: in.Region, Types: in.Type, APIs: in.API, Places: in.Place}
			choice := c.choice()
			status, err := s.Logging.Status(ctx, &choice)
			return &struct{ Body *logging.Status }{status}, s.loggingError(ctx, err)
		})

	op := operation("plan-logging", loggingPlansPath, tag, "Make a plan: what would change, from what to what, how long it takes and what it is likely to cost")
	op.Description = "Nothing is changed. The plan is made with the estate of the last discovery and held for an hour under its digest."
	op.Method, op.DefaultStatus = http.MethodPost, http.StatusCreated
	op.Errors = []int{http.StatusConflict, http.StatusUnprocessableEntity}
	huma.Register(a, op, func(ctx context.Context, in *struct{ Body LoggingPlanRequest }) (*planAnswer, error) {
		p, err := s.Logging.Propose(ctx, in.Body.request())
		if err := s.loggingError(ctx, err); err != nil {
			return nil, err
		}
		return &planAnswer{loggingPlansPath + "/" + p.Digest, p}, nil
	})
	huma.Register(a, operation("get-logging-plan", loggingPlansPath+"/{digest}", tag, "A plan as it was made"),
		func(ctx context.Context, in *struct {
			Digest string `path:"digest"`
		},
		) (*struct{ Body *logging.Proposal }, error) {
			p, err := s.Logging.Proposal(in.Digest)
			return &struct{ Body *logging.Proposal }{p}, s.loggingError(ctx, err)
		})
	s.registerLoggingRuns(a, tag)
}

func (s *server) registerLoggingRuns(a huma.API, tag string) {
	op := operation("run-logging-plan", loggingRunsPath, tag, "Carry out a plan, exactly as it was shown")
	op.Description = "It answers at once; GET the run to see how far it is. Before anything is changed the estate is read again: " +
		"a plan that would not do what was shown is refused (409 here, or state refused of the run) with what is different. One run at a time."
	op.Method, op.DefaultStatus = http.MethodPost, http.StatusAccepted
	op.Errors = []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}
	huma.Register(a, op, func(ctx context.Context, in *struct{ Body LoggingStart }) (*runAnswer, error) {
		person := identity.FromContext(ctx)
		if !person.Role.Allows(identity.Admin) {
			return nil, huma.Error403Forbidden("this needs the role admin")
		}
		run, err := s.Logging.Start(ctx, in.Body.Digest, cmp.Or(person.Name, "somebody not signed in"))
		if err := s.loggingError(ctx, err); err != nil {
			return nil, err
		}
		return &runAnswer{loggingRunsPath + "/" + run.ID, run}, nil
	})
	huma.Register(a, operation("list-logging-runs", loggingRunsPath, tag, "Who switched what and when, from the dashboard, the API and the command line, the newest first"),
		func(ctx context.Context, in *struct {
			Limit int `query:"limit" minimum:"1" maximum:"1000" default:"50"`
		},
		) (*struct{ Body []logging.Past }, error) {
			runs, err := s.Logging.History(ctx, cmp.Or(in.Limit, defaultLoggingRuns))
			return &struct{ Body []logging.Past }{append([]logging.Past{}, runs...)}, s.loggingError(ctx, err)
		})
	huma.Register(a, operation("get-logging-run", loggingRunsPath+"/{id}", tag, "A run: how far it is, and what came of each change"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"100"`
		},
		) (*struct{ Body LoggingRunDetail }, error) {
			out := LoggingRunDetail{}
			run, _, err := s.Logging.Follow(in.ID)
			if err == nil {
				out.Run = run
			}
			past, lines, failed := s.Logging.Lines(ctx, in.ID, maxRunLines)
			switch {
			case failed == nil:
				out.Journal, out.Lines = past, lines
			case err != nil || !errors.Is(failed, logging.ErrUnknownRun): // a run that has not begun yet has no line
				return nil, s.loggingError(ctx, failed)
			}
			return &struct{ Body LoggingRunDetail }{out}, nil
		})
}

func (s *server) loggingError(ctx context.Context, err error) error {
	var invalid *logging.InvalidError
	var stale *logging.StaleError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, logging.ErrNothing):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, logging.ErrUnknownPlan), errors.Is(err, logging.ErrUnknownRun):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, logging.ErrBusy), errors.Is(err, logging.ErrNoEstate):
		return huma.Error409Conflict(err.Error())
	case errors.As(err, &stale):
		details := make([]error, 0, min(len(stale.Differences), maxStaleDetails))
		for i := range stale.Differences[:cap(details)] {
			details = append(details, &huma.ErrorDetail{Message: differs(&stale.Differences[i]), Location: locationOf(stale.Differences[i].Of()), Value: stale.Differences[i]})
		}
		return huma.Error409Conflict(err.Error()+"; the plan as it is now is "+loggingPlansPath+"/"+stale.Fresh, details...)
	default:
		return s.unavailable(ctx, "the switching of logging", err)
	}
}

func locationOf(c *logging.Change) string {
	return fmt.Sprintf("%s/%s %s %s %s", c.Account, c.Region, c.Kind, c.Subject, c.Part)
}

// differs says in a sentence what is different.
func differs(d *logging.Difference) string {
	says := func(c *logging.Change) string {
		if c == nil {
			return "no change"
		}
		return fmt.Sprintf("%q to %q", logging.Describe(c.Kind, c.Now), logging.Describe(c.Kind, c.Then))
	}
	return "shown: " + says(d.Was) + "; now: " + says(d.Is)
}
