package api

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// EndpointFilter chooses and orders endpoints. The dashboard's addresses use
// the same names, so that an export holds what the page shows.
type EndpointFilter struct {
	Search     string    `query:"q" maxLength:"200" doc:"Part of the method, route, API id or API name."`
	Account    string    `query:"account" maxLength:"64"`
	Region     string    `query:"region" maxLength:"64"`
	API        string    `query:"api" maxLength:"128" doc:"API id."`
	Stage      string    `query:"stage" maxLength:"128"`
	Type       string    `query:"type" enum:"REST,HTTP,WEBSOCKET"`
	Method     string    `query:"method" maxLength:"32"`
	Visibility string    `query:"visibility" enum:"full,truncated,metadata" doc:"The best that was seen of the endpoint's calls."`
	Since      time.Time `query:"since" doc:"First seen at or after, RFC 3339."`
}

func (f *EndpointFilter) query() inventory.Query {
	return inventory.Query{
		Search: f.Search, Account: f.Account, Region: f.Region, APIID: f.API, Stage: f.Stage,
		APIType: transaction.APIType(f.Type), Method: f.Method, Visibility: transaction.Visibility(f.Visibility), Since: f.Since,
	}
}

// EndpointOrder orders endpoints.
type EndpointOrder struct {
	Sort  string `query:"sort" enum:"route,calls,errors,last_seen,first_seen,latency,callers" default:"route"`
	Order string `query:"order" enum:"asc,desc" default:"asc"`
}

func (o *EndpointOrder) apply(q inventory.Query) inventory.Query {
	q.Sort, q.Descending = o.Sort, o.Order == "desc"
	return q
}

type listInput struct {
	EndpointFilter
	EndpointOrder
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"1000" doc:"The next of the page before."`
}

type exportInput struct {
	EndpointFilter
	EndpointOrder
}

func (s *server) registerEndpoints(a huma.API) {
	const tag = "Inventory"
	huma.Register(a, operation("list-endpoints", "/api/v1/endpoints", tag, "Endpoints, a page at a time"),
		func(ctx context.Context, in *listInput) (*struct{ Body inventory.Page }, error) {
			q := in.apply(in.query())
			q.Limit, q.Cursor = in.Limit, in.Cursor
			page, err := s.Inventory.Endpoints(ctx, q)
			if err != nil {
				return nil, s.refused(ctx, err)
			}
			if page.Endpoints == nil {
				page.Endpoints = []inventory.Endpoint{}
			}
			return &struct{ Body inventory.Page }{page}, nil
		})
	huma.Register(a, operation("get-endpoint", "/api/v1/endpoints/{id}", tag, "One endpoint whole"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"128"`
		},
		) (*struct{ Body *inventory.Detail }, error) {
			d, err := s.Inventory.Endpoint(ctx, in.ID)
			if errors.Is(err, inventory.ErrNotFound) {
				return nil, huma.Error404NotFound("there is no endpoint " + strconv.Quote(in.ID))
			}
			if err != nil {
				return nil, s.unavailable(ctx, "the endpoint", err)
			}
			return &struct{ Body *inventory.Detail }{d}, nil
		})
	huma.Register(a, operation("get-facets", "/api/v1/facets", tag, "The values that each filter can take"),
		func(ctx context.Context, in *EndpointFilter) (*struct{ Body *inventory.Facets }, error) {
			f, err := s.Inventory.Facets(ctx, in.query())
			if err != nil {
				return nil, s.unavailable(ctx, "the inventory", err)
			}
			return &struct{ Body *inventory.Facets }{f}, nil
		})
	huma.Register(a, csvContent(operation("export-endpoints-csv", "/api/v1/endpoints.csv", tag, "All that are filtered, as CSV")), s.endpointsCSV)
	huma.Register(a, operation("export-endpoints-json", "/api/v1/endpoints.json", tag, "All that are filtered, as JSON"), s.endpointsJSON)
}

var endpointColumns = []string{
	"id", "api_type", "account", "region", "api_id", "api_name", "stage", "method", "route", "route_source", "visibility",
	"first_seen", "last_seen", "calls", "errors_4xx", "errors_5xx", "callers", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
}

func (s *server) all(ctx context.Context, in *exportInput) ([]inventory.Endpoint, error) {
	q := in.apply(in.query())
	q.Limit = -1
	page, err := s.Inventory.Endpoints(ctx, q)
	if err != nil {
		return nil, s.refused(ctx, err)
	}
	return page.Endpoints, nil
}

// refused tells a query that cannot be answered from a store that does not
// answer.
func (s *server) refused(ctx context.Context, err error) error {
	if errors.Is(err, inventory.ErrInvalidQuery) {
		return huma.Error422UnprocessableEntity("the cursor is damaged or belongs to another order; begin again without it")
	}
	return s.unavailable(ctx, "the inventory", err)
}

func (s *server) endpointsCSV(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	rows, err := s.all(ctx, in)
	if err != nil {
		return nil, err
	}
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return csvAnswer("endpoints", s.Clock(), endpointColumns, func(yield func([]string) bool) {
		for i := range rows {
			e := &rows[i]
			if !yield([]string{
				e.ID, string(e.APIType), e.Account, e.Region, e.APIID, e.APIName, e.Stage, e.Method, e.Route, string(e.RouteSource), string(e.Visibility),
				stamp(e.FirstSeen), stamp(e.LastSeen), n(e.Calls), n(e.Errors4xx), n(e.Errors5xx), n(e.Callers), ms(e.LatencyP50), ms(e.LatencyP95), ms(e.LatencyP99),
			}) {
				return
			}
		}
	}), nil
}

func (s *server) endpointsJSON(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	rows, err := s.all(ctx, in)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", "application/json")
		ctx.SetHeader("Content-Disposition", attachment("endpoints", s.Clock(), "json"))
		w := ctx.BodyWriter()
		enc := json.NewEncoder(w)
		for i := range rows {
			sep := ","
			if i == 0 {
				sep = "["
			}
			if _, err := w.Write([]byte(sep)); err != nil || enc.Encode(&rows[i]) != nil {
				return // the client went away
			}
		}
		if len(rows) == 0 {
			_, _ = w.Write([]byte("["))
		}
		_, _ = w.Write([]byte("]\n"))
	}}, nil
}
