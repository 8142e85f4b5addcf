package api

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	auditPath       = "/api/v1/audit"
	auditCSVPath    = auditPath + ".csv"
	auditNDJSONPath = auditPath + ".ndjson"
)

// Audit is what the API needs of the audit log.
type Audit interface {
	audit.Reader
	Verify()
	State() audit.Verification
}

var _ Audit = (*audit.Watch)(nil)

// AuditStanding is the newest event and how the last verification went.
type AuditStanding struct {
	// Head is what to note elsewhere; absent before the first event.
	Head         *audit.Head        `json:"head,omitempty"`
	Verification audit.Verification `json:"verification"`
}

// AuditFilter chooses events.
type AuditFilter struct {
	Actor   string    `query:"actor" maxLength:"2048" doc:"The actor's id or name, whole."`
	Kind    string    `query:"kind" enum:"person,gatehouse,token,unknown" doc:"The kind of actor."`
	Via     string    `query:"via" maxLength:"100" doc:"The way that it came: web, cli, api, …"`
	Action  string    `query:"action" maxLength:"100" doc:"How the action begins: finding. or finding.decided."`
	Subject string    `query:"subject" maxLength:"2048" doc:"The subject's id, name or kind, whole."`
	Since   time.Time `query:"since" doc:"From this time on."`
	Until   time.Time `query:"until" doc:"Before this time."`
}

// query is the filter within what the person of a request may read.
func (f *AuditFilter) query(ctx context.Context) audit.Query {
	return audit.Readable(audit.Query{
		Actor: f.Actor, Kind: audit.ActorKind(f.Kind), Via: audit.Via(f.Via), Action: f.Action, Subject: f.Subject, Since: f.Since, Until: f.Until,
	}, identity.FromContext(ctx))
}

func (s *server) registerAudit(a huma.API) {
	if s.Audit == nil {
		return
	}
	const tag = "Audit"
	list := operation("list-audit-events", auditPath, tag, "Who changed what, the newest first")
	list.Description = "Approvers and admins read all events, everybody else their own."
	huma.Register(a, list, func(ctx context.Context, in *struct {
		AuditFilter
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		Cursor string `query:"cursor" maxLength:"100" doc:"The next of the page before."`
	},
	) (*struct{ Body audit.Page }, error) {
		q := in.query(ctx)
		q.Limit, q.Cursor = in.Limit, in.Cursor
		page, err := s.Audit.AuditEvents(ctx, q)
		return &struct{ Body audit.Page }{page}, s.auditError(ctx, err)
	})
	huma.Register(a, operation("get-audit-head", auditPath+"/head", tag, "The number and hash of the newest event, and how the last verification went"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body AuditStanding }, error) {
			if err := mayReadAll(ctx); err != nil {
				return nil, err
			}
			head, err := s.Audit.AuditHead(ctx)
			if err != nil {
				return nil, s.auditError(ctx, err)
			}
			out := AuditStanding{Verification: s.Audit.State()}
			if head.Seq > 0 {
				out.Head = &head
			}
			return &struct{ Body AuditStanding }{out}, nil
		})
	huma.Register(a, operation("get-audit-event", auditPath+"/events/{seq}", tag, "One event"),
		func(ctx context.Context, in *struct {
			Seq uint64 `path:"seq"`
		},
		) (*struct{ Body *audit.Event }, error) {
			e, err := s.Audit.AuditEvent(ctx, in.Seq)
			if err := s.auditError(ctx, err); err != nil {
				return nil, err
			}
			// An event of somebody else is not told apart from none.
			if q := audit.Readable(audit.Query{}, identity.FromContext(ctx)); !q.Matches(e) {
				return nil, s.auditError(ctx, audit.ErrNotFound)
			}
			return &struct{ Body *audit.Event }{e}, nil
		})
	verify := operation("verify-audit", auditPath+"/verify", tag, "Begin to verify the log; the head tells how it went")
	verify.Method, verify.DefaultStatus, verify.Errors = http.MethodPost, http.StatusAccepted, []int{http.StatusForbidden}
	huma.Register(a, verify, func(ctx context.Context, _ *struct{}) (*struct{ Body audit.Verification }, error) {
		if err := mayReadAll(ctx); err != nil {
			return nil, err
		}
		s.Audit.Verify()
		return &struct{ Body audit.Verification }{s.Audit.State()}, nil
	})
	s.registerAuditExports(a, tag)
}

func mayReadAll(ctx context.Context) error {
	if !identity.FromContext(ctx).Role.Allows(identity.Approver) {
		return huma.Error403Forbidden("this needs the role approver")
	}
	return nil
}

func (s *server) auditError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrNotFound):
		return huma.Error404NotFound("there is no such audit event")
	case errors.Is(err, audit.ErrInvalidQuery):
		return huma.Error422UnprocessableEntity(err.Error())
	default:
		return s.unavailable(ctx, "the audit log", err)
	}
}

var auditColumns = []string{
	"seq", "time", "actor_kind", "actor_id", "actor", "address", "via", "action", "subject_kind", "subject_id", "subject", "reason", "before", "after", "detail", "prev", "hash",
}

// registerAuditExports adds the exports. They stream, for a log has no bound; one that
// fails half-way breaks the connection off, so that it does not look like a whole one.
func (s *server) registerAuditExports(a huma.API, tag string) {
	csv := csvContent(operation("export-audit-csv", auditCSVPath, tag, "All events that are filtered, as CSV, the oldest first"))
	huma.Register(a, csv, func(ctx context.Context, in *struct{ AuditFilter }) (*huma.StreamResponse, error) {
		q := in.query(ctx)
		if err := s.auditReadable(ctx); err != nil {
			return nil, err
		}
		return csvAnswer("audit", s.Clock(), auditColumns, func(yield func([]string) bool) {
			for e := range s.auditLines(ctx, &q, 0) {
				if !yield(auditRow(&e.event)) {
					return
				}
			}
		}), nil
	})
	lines := operation("export-audit-ndjson", auditNDJSONPath, tag, "All events that are filtered, a line each as it was sealed, the oldest first; all events are what 'gatehouse audit verify' takes")
	lines.Responses = map[string]*huma.Response{"200": {
		Description: "Each line is the canonical encoding of an event; its bytes are what is verified.",
		Content:     map[string]*huma.MediaType{"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	huma.Register(a, lines, func(ctx context.Context, in *struct {
		AuditFilter
		After uint64 `query:"after" doc:"Only events after this number."`
	},
	) (*huma.StreamResponse, error) {
		q := in.query(ctx)
		if err := s.auditReadable(ctx); err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/x-ndjson")
			hc.SetHeader("Content-Disposition", attachment("audit", s.Clock(), "ndjson"))
			w := hc.BodyWriter()
			for e := range s.auditLines(ctx, &q, in.After) {
				if _, err := w.Write(append(e.line, '\n')); err != nil {
					return // the client went away
				}
			}
		}}, nil
	})
}

// auditReadable tells of a store that fails before an answer begins.
func (s *server) auditReadable(ctx context.Context) error {
	_, err := s.Audit.AuditHead(ctx)
	return s.auditError(ctx, err)
}

type auditLine struct {
	line  []byte
	event audit.Event
}

var errEnough = errors.New("enough lines")

// auditLines are the events after a number that a query chooses.
func (s *server) auditLines(ctx context.Context, q *audit.Query, after uint64) iter.Seq[auditLine] {
	return func(yield func(auditLine) bool) {
		err := s.Audit.AuditLines(ctx, after, func(line []byte) error {
			e, err := audit.Decode(line)
			if err != nil {
				return err
			}
			if q.Matches(&e) && !yield(auditLine{line, e}) {
				return errEnough
			}
			return ctx.Err()
		})
		if err != nil && !errors.Is(err, errEnough) {
			s.Logger.ErrorContext(ctx, "an export of the audit log failed", "error", err)
			panic(http.ErrAbortHandler) // breaks the connection off
		}
	}
}

func auditRow(e *audit.Event) []string {
	detail := ""
	if len(e.Detail) > 0 {
		b, err := json.Marshal(e.Detail)
		if err == nil {
			detail = string(b)
		}
	}
	return []string{
		strconv.FormatUint(e.Seq, 10), audit.TimeText(e.Time), string(e.Actor.Kind), e.Actor.ID, e.Actor.Name, e.Actor.Address, string(e.Actor.Via), e.Action,
		e.Subject.Kind, e.Subject.ID, e.Subject.Name, e.Reason, string(e.Before), string(e.After), detail, e.Prev.String(), e.Hash.String(),
	}
}
