// Package apitest is a world to look at: an inventory, a collector's health and
// an estate in memory, for the tests of the HTTP API and the dashboard.
package apitest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/tail"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// World answers what the store, the collector and the discovery would. Its
// fields may be changed before it is first read; Change does so later.
type World struct {
	Details []*inventory.Detail
	Minutes []inventory.Minute
	Status  collect.Health
	Estates *estate.Snapshot
	// Tail has the samples of all endpoints; nil: this process collects nothing.
	Tail *tail.Hub
	// Merged maps the id of an endpoint that became part of another to that one's.
	Merged map[string]string
	// Err, if set, is what every read of the inventory and the estate returns.
	Err error

	mu sync.Mutex
}

var _ inventory.Reader = (*World)(nil)

// Change runs f while nobody reads.
func (w *World) Change(f func(*World)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

// Health returns a copy of the collector's health.
func (w *World) Health() collect.Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.Status
	h.Groups = slices.Clone(h.Groups)
	h.Sinks = slices.Clone(h.Sinks)
	h.Problems = slices.Clone(h.Problems)
	return h
}

// Estate returns the last snapshot, nil if there is none.
func (w *World) Estate(context.Context) (*estate.Snapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Estates, w.Err
}

// Endpoints implements inventory.Reader.
func (w *World) Endpoints(_ context.Context, q inventory.Query) (inventory.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Err != nil {
		return inventory.Page{}, w.Err
	}
	rows := w.match(q)
	slices.SortStableFunc(rows, func(a, b inventory.Endpoint) int {
		c := compare(q.Sort, &a, &b)
		if q.Descending {
			c = -c
		}
		return cmp.Or(c, strings.Compare(a.Route+" "+a.Method+" "+a.ID, b.Route+" "+b.Method+" "+b.ID))
	})
	p := inventory.Page{Total: len(rows)}
	limit := q.Limit
	if limit == 0 {
		limit = 100
	}
	from := 0
	if q.Cursor != "" {
		var err error
		if from, err = strconv.Atoi(q.Cursor); err != nil || from < 0 {
			return inventory.Page{}, fmt.Errorf("cursor %q: %w", q.Cursor, inventory.ErrInvalidQuery)
		}
	}
	rows = rows[min(from, len(rows)):]
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
		p.Next = strconv.Itoa(from + limit)
	}
	p.Endpoints = rows
	return p, nil
}

func compare(by string, a, b *inventory.Endpoint) int {
	switch by {
	case "calls":
		return cmp.Compare(a.Calls, b.Calls)
	case "errors":
		return cmp.Compare(a.Errors4xx+a.Errors5xx, b.Errors4xx+b.Errors5xx)
	case "last_seen":
		return a.LastSeen.Compare(b.LastSeen)
	case "first_seen":
		return a.FirstSeen.Compare(b.FirstSeen)
	case "latency":
		return cmp.Compare(a.LatencyP95, b.LatencyP95)
	case "callers":
		return cmp.Compare(a.Callers, b.Callers)
	default:
		return strings.Compare(a.Route+" "+a.Method, b.Route+" "+b.Method)
	}
}

func (w *World) match(q inventory.Query) []inventory.Endpoint {
	is := func(want, got string) bool { return want == "" || want == got }
	var rows []inventory.Endpoint
	for _, d := range w.Details {
		e := d.Endpoint
		text := strings.ToLower(e.Method + " " + e.Route + " " + e.APIID + " " + e.APIName)
		if is(q.Account, e.Account) && is(q.Region, e.Region) && is(q.APIID, e.APIID) && is(q.Stage, e.Stage) &&
			is(string(q.APIType), string(e.APIType)) && is(q.Method, e.Method) && is(string(q.Visibility), string(e.Visibility)) &&
			!e.FirstSeen.Before(q.Since) && strings.Contains(text, strings.ToLower(q.Search)) {
			rows = append(rows, e)
		}
	}
	return rows
}

// Endpoint implements inventory.Reader.
func (w *World) Endpoint(_ context.Context, id string) (*inventory.Detail, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Err != nil {
		return nil, w.Err
	}
	if to, ok := w.Merged[id]; ok {
		id = to
	}
	for _, d := range w.Details {
		if d.ID == id {
			c := *d
			return &c, nil
		}
	}
	return nil, inventory.ErrNotFound
}

// Facets implements inventory.Reader.
func (w *World) Facets(_ context.Context, q inventory.Query) (*inventory.Facets, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Err != nil {
		return nil, w.Err
	}
	f := &inventory.Facets{
		Accounts: map[string]int{}, Regions: map[string]int{}, APIs: map[string]int{}, Stages: map[string]int{}, Methods: map[string]int{},
		APITypes: map[transaction.APIType]int{}, Visibilities: map[transaction.Visibility]int{},
	}
	// A facet follows all filters but its own.
	each := func(open func(*inventory.Query), count func(*inventory.Endpoint)) {
		c := q
		open(&c)
		for _, e := range w.match(c) {
			count(&e)
		}
	}
	each(func(q *inventory.Query) { q.Account = "" }, func(e *inventory.Endpoint) { f.Accounts[e.Account]++ })
	each(func(q *inventory.Query) { q.Region = "" }, func(e *inventory.Endpoint) { f.Regions[e.Region]++ })
	each(func(q *inventory.Query) { q.APIID = "" }, func(e *inventory.Endpoint) { f.APIs[e.APIID]++ })
	each(func(q *inventory.Query) { q.Stage = "" }, func(e *inventory.Endpoint) { f.Stages[e.Stage]++ })
	each(func(q *inventory.Query) { q.Method = "" }, func(e *inventory.Endpoint) { f.Methods[e.Method]++ })
	each(func(q *inventory.Query) { q.APIType = "" }, func(e *inventory.Endpoint) { f.APITypes[e.APIType]++ })
	each(func(q *inventory.Query) { q.Visibility = "" }, func(e *inventory.Endpoint) { f.Visibilities[e.Visibility]++ })
	return f, nil
}

// Traffic implements inventory.Reader.
func (w *World) Traffic(_ context.Context, _ string, from, to time.Time) ([]inventory.Minute, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Err != nil {
		return nil, w.Err
	}
	var out []inventory.Minute
	for _, m := range w.Minutes {
		if !m.Time.Before(from) && m.Time.Before(to) {
			out = append(out, m)
		}
	}
	return out, nil
}
