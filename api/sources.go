package api

import (
	"context"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/collect"
)

// Sources is the collector's health.
type Sources struct {
	Started    time.Time            `json:"started,omitzero"`
	LagSeconds float64              `json:"lag_seconds"`
	OpenCalls  int                  `json:"open_calls"`
	Totals     Books                `json:"totals"`
	Groups     []LogGroup           `json:"groups"`
	Sinks      []collect.SinkHealth `json:"sinks"`
	Problems   []collect.Problem    `json:"problems"`
	// Check compares with the source's own count, Filters are calls left out.
	Check   collect.Check          `json:"check"`
	Filters []collect.FilterHealth `json:"filters"`
}

// LogGroup is one log group and how far it has been read.
type LogGroup struct {
	Account       string    `json:"account,omitempty"`
	Region        string    `json:"region,omitempty"`
	Name          string    `json:"name"`
	APIID         string    `json:"api_id,omitempty"`
	Stage         string    `json:"stage,omitempty"`
	State         string    `json:"state" doc:"reading, waiting, catching up, denied, gone or failing."`
	LagSeconds    float64   `json:"lag_seconds"`
	Cursor        time.Time `json:"cursor,omitzero" doc:"Everything before it has been delivered."`
	Frontier      time.Time `json:"frontier,omitzero" doc:"How far has been read."`
	LastRead      time.Time `json:"last_read,omitzero"`
	LastEvent     time.Time `json:"last_event,omitzero"`
	OpenCalls     int       `json:"open_calls"`
	Amplification float64   `json:"read_amplification" doc:"Events on the wire for each distinct event."`
	Books         Books     `json:"books"`
	Error         string    `json:"error,omitempty"`
	Mend          string    `json:"mend,omitempty"`
	ErrorSince    time.Time `json:"error_since,omitzero"`

	Check collect.Check `json:"check" doc:"How the events that were read compare with the source's own count."`
}

func (s *server) sources() Sources {
	h := s.health()
	out := Sources{
		Started: h.Started, LagSeconds: h.Lag.Seconds(), OpenCalls: h.OpenCalls, Totals: books(h.Totals),
		Groups: make([]LogGroup, 0, len(h.Groups)), Sinks: h.Sinks, Problems: h.Problems,
		Check: h.Check, Filters: h.Filters,
	}
	for i := range h.Groups {
		g := &h.Groups[i]
		out.Groups = append(out.Groups, LogGroup{
			Account: g.Group.Account, Region: g.Group.Region, Name: g.Group.Name, APIID: g.Group.APIID, Stage: g.Group.Stage,
			State: g.State, LagSeconds: g.Lag.Seconds(), Cursor: g.Cursor, Frontier: g.Frontier, LastRead: g.LastRead, LastEvent: g.LastEvent,
			OpenCalls: g.OpenCalls, Amplification: g.Amplification, Books: books(g.Books), Error: g.Error, Mend: g.Mend, ErrorSince: g.ErrorSince,
			Check: g.Check,
		})
	}
	if out.Sinks == nil {
		out.Sinks = []collect.SinkHealth{}
	}
	if out.Filters == nil {
		out.Filters = []collect.FilterHealth{}
	}
	if out.Problems == nil {
		out.Problems = []collect.Problem{}
	}
	return out
}

func (s *server) registerSources(a huma.API) {
	const tag = "Sources"
	huma.Register(a, operation("get-sources", "/api/v1/sources", tag, "Every log group and sink: lag, books, errors"),
		func(context.Context, *struct{}) (*struct{ Body Sources }, error) {
			return &struct{ Body Sources }{s.sources()}, nil
		})
	huma.Register(a, csvContent(operation("export-sources-csv", "/api/v1/sources.csv", tag, "Every log group, as CSV")),
		func(context.Context, *struct{}) (*huma.StreamResponse, error) {
			n := func(v int64) string { return strconv.FormatInt(v, 10) }
			f := func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
			return csvAnswer("sources", s.Clock(), []string{
				"account", "region", "log_group", "api_id", "stage", "state", "lag_seconds", "cursor", "frontier", "last_event", "open_calls",
				"read", "assembled", "unparsed", "filtered", "open", "balanced", "doubles", "late_lines", "calls", "read_amplification", "error", "mend", "check", "check_through", "missing",
			}, func(yield func([]string) bool) {
				for _, g := range s.sources().Groups {
					b := g.Books
					if !yield([]string{
						g.Account, g.Region, g.Name, g.APIID, g.Stage, g.State, f(g.LagSeconds), stamp(g.Cursor), stamp(g.Frontier), stamp(g.LastEvent), strconv.Itoa(g.OpenCalls),
						n(b.Read), n(b.Assembled), n(b.Unparsed), n(b.Filtered), n(b.Open), strconv.FormatBool(b.Balanced), n(b.Doubles), n(b.Late), n(b.Calls), f(g.Amplification), g.Error, g.Mend, g.Check.State, stamp(g.Check.Through), n(g.Check.Missing),
					}) {
						return
					}
				}
			}), nil
		})
}
