package dashboard

import (
	"context"
	"html/template"
	"net/http"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

type overviewData struct {
	Collecting bool
	Health     collect.Health
	Rate       float64
	Chart      chart
	Coverage   []coverageRow
	Bar        template.HTML
	Endpoints  int
	InvErr     bool
	Newest     []inventory.Endpoint
	Names      map[string]string
	Complete   completeness
	Found      bool
	EstateErr  bool
	FacetsErr  bool
	Totals     estate.Totals
	Discovered time.Time
}

// coverageRow is a visibility, what is called with it, and what it means.
type coverageRow struct {
	Visibility transaction.Visibility
	Rate       float64
	Endpoints  int
	Means      string
}

func (s *server) overview(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	h := s.health()
	snap, estateErr := s.estateOrError(ctx)
	d := overviewData{
		Collecting: s.Health != nil, Health: h, Names: accountNames(snap), Complete: judge(&h, s.Health != nil, snap),
		Chart: s.traffic(ctx, "", r.URL.Query().Get("range")),
		Found: snap != nil, EstateErr: estateErr != nil, Totals: snap.Totals(),
	}
	if snap != nil {
		d.Discovered = snap.Finished
	}
	page, err := s.Inventory.Endpoints(ctx, inventory.Query{Sort: "first_seen", Descending: true, Limit: 8})
	if err != nil {
		s.Logger.ErrorContext(ctx, "dashboard read failed", "what", "the inventory", "error", err)
		d.InvErr = true
	}
	d.Endpoints, d.Newest = page.Total, page.Endpoints
	facets, err := s.Inventory.Facets(ctx, inventory.Query{})
	if err != nil {
		d.FacetsErr = true
		facets = &inventory.Facets{}
	}
	d.coverage(&h, facets)
	s.render(w, r, 0, "overview", s.shell(r, "Overview", "/", &d))
}

func (d *overviewData) coverage(h *collect.Health, facets *inventory.Facets) {
	for _, row := range []coverageRow{
		{Visibility: transaction.Full, Means: "headers and bodies seen"},
		{Visibility: transaction.Truncated, Means: "bodies cut at 1,024 bytes by API Gateway"},
		{Visibility: transaction.Metadata, Means: "bodies not visible: HTTP API, or data trace is off"},
	} {
		row.Rate, row.Endpoints = h.CallsPerSecond[row.Visibility], facets.Visibilities[row.Visibility]
		d.Rate += row.Rate
		d.Coverage = append(d.Coverage, row)
	}
	if d.Rate > 0 {
		shares := make([]share, 0, len(d.Coverage))
		for _, row := range d.Coverage {
			shares = append(shares, share{"f-" + seen(row.Visibility).Class, row.Rate / d.Rate})
		}
		d.Bar = bar(shares...)
	}
}

// accountNames maps account ids to the names that the organization gave them.
func accountNames(snap *estate.Snapshot) map[string]string {
	names := map[string]string{}
	if snap != nil {
		for i := range snap.Accounts {
			if a := &snap.Accounts[i]; a.Name != "" {
				names[a.ID] = a.Name
			}
		}
	}
	return names
}

// apiNames maps API ids to their names.
func apiNames(snap *estate.Snapshot) map[string]string {
	names := map[string]string{}
	if snap == nil {
		return names
	}
	for i := range snap.Accounts {
		for j := range snap.Accounts[i].Regions {
			for k := range snap.Accounts[i].Regions[j].APIs {
				if a := &snap.Accounts[i].Regions[j].APIs[k]; a.Name != "" {
					names[a.ID] = a.Name
				}
			}
		}
	}
	return names
}
