package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Overview is Gatehouse's state in numbers.
type Overview struct {
	Time           time.Time                          `json:"time"`
	CallsPerSecond float64                            `json:"calls_per_second" doc:"Over the last minute."`
	ByVisibility   map[transaction.Visibility]float64 `json:"calls_per_second_by_visibility"`
	LagSeconds     float64                            `json:"lag_seconds" doc:"How far the log group that is furthest behind is behind now."`
	OpenCalls      int                                `json:"open_calls"`
	Endpoints      int                                `json:"endpoints"`
	Groups         Counts                             `json:"groups"`
	Sinks          Counts                             `json:"sinks"`
	Problems       int                                `json:"problems"`
	Books          Books                              `json:"books"`
	Estate         *estate.Totals                     `json:"estate,omitempty" doc:"Absent before the first discovery."`
	Discovered     time.Time                          `json:"discovered,omitzero"`
	// Unavailable names what could not be read; its numbers are of before.
	Unavailable []string `json:"unavailable,omitempty"`
}

// Counts says how many there are and how many of them fail.
type Counts struct {
	Total   int `json:"total"`
	Failing int `json:"failing"`
}

// Books account for every event read: read = assembled + unparsed + filtered +
// open.
type Books struct {
	Read      int64 `json:"read"`
	Assembled int64 `json:"assembled"`
	Unparsed  int64 `json:"unparsed"`
	Filtered  int64 `json:"filtered"`
	Open      int64 `json:"open"`
	Balanced  bool  `json:"balanced"`
	Doubles   int64 `json:"doubles"`
	Late      int64 `json:"late_lines"`
	Calls     int64 `json:"calls"`
}

func books(b collect.Books) Books {
	return Books{
		Read: b.Read, Assembled: b.Assembled, Unparsed: b.Unparsed, Filtered: b.Filtered, Open: b.Open,
		Balanced: b.Balanced(), Doubles: b.Doubles, Late: b.Late, Calls: b.Calls,
	}
}

func (s *server) registerOverview(a huma.API) {
	huma.Register(a, operation("get-overview", "/api/v1/overview", "Overview", "The state in numbers"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body *Overview }, error) {
			o, _ := s.hub.overview(ctx)
			return &struct{ Body *Overview }{o}, nil
		})
}

// health returns the collector's health, empty where nothing is collected here.
func (s *server) health() collect.Health {
	if s.Health == nil {
		return collect.Health{}
	}
	return s.Health()
}

func (s *server) estate(ctx context.Context) (*estate.Snapshot, error) {
	if s.Estate == nil {
		return nil, nil
	}
	return s.Estate(ctx)
}

// measure takes the numbers; before gives those that cannot be had now.
func (s *server) measure(ctx context.Context, h *collect.Health, before *Overview) (*Overview, []inventory.Endpoint) {
	o := &Overview{
		Time: s.Clock().UTC(), ByVisibility: map[transaction.Visibility]float64{}, LagSeconds: h.Lag.Seconds(), OpenCalls: h.OpenCalls,
		Groups: Counts{Total: len(h.Groups)}, Sinks: Counts{Total: len(h.Sinks)}, Problems: len(h.Problems), Books: books(h.Totals),
	}
	for v, n := range h.CallsPerSecond {
		o.ByVisibility[v] = n
		o.CallsPerSecond += n
	}
	for i := range h.Groups {
		if h.Groups[i].Error != "" {
			o.Groups.Failing++
		}
	}
	for i := range h.Sinks {
		if h.Sinks[i].Error != "" {
			o.Sinks.Failing++
		}
	}
	page, err := s.Inventory.Endpoints(ctx, inventory.Query{Sort: "first_seen", Descending: true, Limit: 20})
	if err != nil {
		s.Logger.ErrorContext(ctx, "overview: reading the inventory failed", "error", err)
		o.Unavailable = append(o.Unavailable, "inventory")
		o.Endpoints = before.Endpoints
	} else {
		o.Endpoints = page.Total
	}
	snap, err := s.estate(ctx)
	switch {
	case err != nil:
		s.Logger.ErrorContext(ctx, "overview: reading the estate failed", "error", err)
		o.Unavailable = append(o.Unavailable, "estate")
		o.Estate, o.Discovered = before.Estate, before.Discovered
	case snap != nil:
		t := snap.Totals()
		o.Estate, o.Discovered = &t, snap.Finished
	}
	return o, page.Endpoints
}
