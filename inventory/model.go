// Package inventory turns delivered transactions into endpoints: what is
// called, how often, by whom, how it answers, and how much of it was seen.
package inventory

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// ErrNotFound is returned for an endpoint that the inventory does not have.
var ErrNotFound = errors.New("endpoint not found")

// ErrInvalidQuery is returned, wrapped, for a Query that cannot be answered: an
// unknown Sort, or a Cursor that belongs to another Sort or is damaged.
var ErrInvalidQuery = errors.New("invalid query")

// Key is what makes an endpoint: API type + account + region + API + stage +
// method + route template.
type Key struct {
	APIType transaction.APIType `json:"api_type"`
	Account string              `json:"account"`
	Region  string              `json:"region"`
	APIID   string              `json:"api_id"`
	Stage   string              `json:"stage"`
	Method  string              `json:"method"`
	Route   string              `json:"route"`
}

// Endpoint is one row of the inventory.
type Endpoint struct {
	ID string `json:"id"` // digest of the Key, URL-safe
	Key
	APIName     string                  `json:"api_name,omitempty"` // from the estate
	RouteSource transaction.RouteSource `json:"route_source"`
	Visibility  transaction.Visibility  `json:"visibility"` // the best that was seen
	FirstSeen   time.Time               `json:"first_seen"`
	LastSeen    time.Time               `json:"last_seen"`
	Calls       int64                   `json:"calls"`
	Errors4xx   int64                   `json:"errors_4xx"`
	Errors5xx   int64                   `json:"errors_5xx"`
	Callers     int64                   `json:"callers"` // distinct principals, estimated
	LatencyP50  float64                 `json:"latency_p50_ms"`
	LatencyP95  float64                 `json:"latency_p95_ms"`
	LatencyP99  float64                 `json:"latency_p99_ms"`
	// Recent is calls a minute over the last 60 minutes, oldest first; the last
	// entry is the minute that has not ended.
	Recent []uint32 `json:"recent,omitempty"`
}

// Detail is what the endpoint's own page shows beside its row.
type Detail struct {
	Endpoint
	Statuses   map[int]int64                    `json:"statuses"`
	Kinds      map[transaction.CallerKind]int64 `json:"caller_kinds"`
	TopCallers []CallerCount                    `json:"top_callers"`
	// Visibilities counts calls by what was seen of them.
	Visibilities map[transaction.Visibility]int64 `json:"visibilities"`
	// LatencyBuckets is the distribution for a chart; UpToMS grows.
	LatencyBuckets []LatencyBucket `json:"latency_buckets"`
	// Schema is nil if no call had a JSON body or a query.
	Schema    *Schema          `json:"schema,omitempty"`
	Sensitive []SensitiveField `json:"sensitive"`
	// Samples are at most three redacted transactions, youngest first.
	Samples []*transaction.Transaction `json:"samples"`
}

// CallerCount is a caller of an endpoint and how often it called.
type CallerCount struct {
	Kind      transaction.CallerKind `json:"kind"`
	Principal string                 `json:"principal"`
	Account   string                 `json:"account,omitempty"`
	Calls     int64                  `json:"calls"`
	LastSeen  time.Time              `json:"last_seen"`
}

// LatencyBucket counts calls that took more than the bucket before and at most
// UpToMS milliseconds.
type LatencyBucket struct {
	UpToMS float64 `json:"up_to_ms"`
	Calls  int64   `json:"calls"`
}

// Query chooses and orders endpoints. Zero values choose all. Endpoints that
// are equal in the chosen order come in one of the store's own, the same on
// every page. An endpoint that changes while its pages are read may move.
type Query struct {
	Search     string // substring of "METHOD route", API id or name, in any case (ASCII)
	Account    string
	Region     string
	APIID      string
	Stage      string
	APIType    transaction.APIType
	Method     string
	Visibility transaction.Visibility
	Since      time.Time // first seen at or after
	Sort       string    // route (default), calls, errors, last_seen, first_seen, latency, callers
	Descending bool
	Limit      int    // 0: 100; at most 1000; -1: all, for exports
	Cursor     string // Page.Next of the page before
}

// Page is one page of a Query. Total counts all that match.
type Page struct {
	Endpoints []Endpoint `json:"endpoints"`
	Total     int        `json:"total"`
	Next      string     `json:"next,omitempty"`
}

// Facets are the values that a filter can take, with how many endpoints each
// has. The count of a value is what choosing it would give: a facet follows all
// filters of the Query but its own.
type Facets struct {
	Accounts     map[string]int                 `json:"accounts"`
	Regions      map[string]int                 `json:"regions"`
	APIs         map[string]int                 `json:"apis"`
	Stages       map[string]int                 `json:"stages"`
	Methods      map[string]int                 `json:"methods"`
	APITypes     map[transaction.APIType]int    `json:"api_types"`
	Visibilities map[transaction.Visibility]int `json:"visibilities"`
}

// Minute is the traffic of one minute. Minutes without a Minute were not
// observed: they are gaps, not zeroes.
type Minute struct {
	Time      time.Time `json:"time"`
	Calls     int64     `json:"calls"`
	Errors4xx int64     `json:"errors_4xx"`
	Errors5xx int64     `json:"errors_5xx"`
	Full      int64     `json:"full"`
	Truncated int64     `json:"truncated"`
	Metadata  int64     `json:"metadata"`
}

// Reader answers questions about the saved inventory. The store implements it;
// the API and the dashboard read through it.
type Reader interface {
	Endpoints(ctx context.Context, q Query) (Page, error)
	// Endpoint returns one endpoint whole, or ErrNotFound. The ID of an endpoint
	// that became part of another gives that one.
	Endpoint(ctx context.Context, id string) (*Detail, error)
	Facets(ctx context.Context, q Query) (*Facets, error)
	// Traffic returns the minutes in [from, to) of everything, or of one API
	// ("account/region/api_id/stage") if api is not empty.
	Traffic(ctx context.Context, api string, from, to time.Time) ([]Minute, error)
}
