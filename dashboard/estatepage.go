package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
)

type estateData struct {
	Snapshot *estate.Snapshot
	Totals   estate.Totals
	Took     time.Duration
	Accounts []accountRows
	Query    string
	Coverage string
	Shown    int // stages that the filter lets through
	Cut      int // of them, how many are not on the page
	Options  []option
}

// accountRows is an account with the stages that the filter lets through.
type accountRows struct {
	*estate.Account
	Regions []regionRows
}

type regionRows struct {
	*estate.Region
	Stages []stageRow
}

// stageRow is a stage, or an API without one.
type stageRow struct {
	API       *estate.API
	Stage     *estate.Stage
	Coverage  badge
	Groups    []string
	Inventory string
	Open      int // routes that ask for no authorization
}

// maxStages bounds the page; the filter finds the rest.
const maxStages = 300

func (s *server) estatePage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	snap, err := s.estateOrError(ctx)
	if err != nil {
		s.unavailable(w, r, "The estate", err)
		return
	}
	v := r.URL.Query()
	d := &estateData{Snapshot: snap, Totals: snap.Totals(), Query: v.Get("q"), Coverage: v.Get("coverage")}
	if snap != nil {
		d.Took = snap.Finished.Sub(snap.Started)
		for i := range snap.Accounts {
			d.account(&snap.Accounts[i], s.BasePath)
		}
	}
	for _, c := range []estate.Coverage{estate.CoverageFull, estate.CoverageMetadata, estate.CoverageErrors, estate.CoverageNone} {
		d.Options = append(d.Options, option{Value: string(c), Title: covers(c).Word, Count: d.Totals.StagesByCoverage[c], Chosen: string(c) == d.Coverage})
	}
	s.render(w, r, 0, "estate", s.shell(r, "Estate", "/estate", d))
}

func (d *estateData) account(a *estate.Account, base string) {
	out := accountRows{Account: a}
	for i := range a.Regions {
		region := &a.Regions[i]
		rr := regionRows{Region: region}
		for j := range region.APIs {
			api := &region.APIs[j]
			text := strings.ToLower(strings.Join([]string{a.ID, a.Name, region.Name, api.ID, api.Name, string(api.Type)}, " "))
			if !strings.Contains(text, strings.ToLower(d.Query)) {
				continue
			}
			if len(api.Stages) == 0 && d.Coverage == "" {
				rr.Stages = append(rr.Stages, d.row(a, region, api, nil, base))
			}
			for k := range api.Stages {
				st := &api.Stages[k]
				if d.Coverage != "" && d.Coverage != string(st.Coverage()) {
					continue
				}
				if d.Shown++; d.Shown > maxStages {
					d.Cut++
					continue
				}
				rr.Stages = append(rr.Stages, d.row(a, region, api, st, base))
			}
		}
		if len(rr.Stages) > 0 || (len(region.Errors) > 0 && d.Query == "" && d.Coverage == "") {
			out.Regions = append(out.Regions, rr)
		}
	}
	if len(out.Regions) > 0 || (d.Query == "" && d.Coverage == "") {
		d.Accounts = append(d.Accounts, out)
	}
}

func (*estateData) row(a *estate.Account, region *estate.Region, api *estate.API, st *estate.Stage, base string) stageRow {
	r := stageRow{API: api, Stage: st, Coverage: badge{"unknown", "–", "no stage", "nothing is deployed"}}
	for i := range api.Routes {
		if api.Routes[i].Authorization == "NONE" {
			r.Open++
		}
	}
	stage := ""
	if st != nil {
		stage = st.Name
		r.Coverage = covers(st.Coverage())
		for _, g := range []string{st.ExecutionGroup, st.AccessGroup} {
			if g != "" {
				r.Groups = append(r.Groups, g)
			}
		}
	}
	r.Inventory = with(base+"/inventory", url.Values{}, "account", a.ID, "region", region.Name, "api", api.ID, "stage", stage)
	return r
}
