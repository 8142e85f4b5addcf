package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/transaction"
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
	Tree     bool
	AsTable  string
	AsTree   string
	History  *historyData // nil: no history is kept here
	Switch   bool         // logging can be switched
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
	Execution string
	Access    string
	// Findings leads to what the rules found in the API; Waiting counts what waits for
	// somebody, and is -1 where there is too much to count here.
	Findings string
	Waiting  int
	// Unjudged is set where the rules have not looked at the API, so that there being
	// no finding says nothing; Partly where they could not see all of it.
	Unjudged, Partly bool
}

// waiting counts the findings of APIs that wait for somebody; nil: not known.
type waiting map[[3]string]int

// countAtMost bounds the findings that the page reads to count them by API.
const countAtMost = 2000

// waitingFindings counts the findings that wait for somebody by API. Above the bound
// it counts none, for a number that is too low would look like good news.
func (s *server) waitingFindings(ctx context.Context) waiting {
	if s.Findings == nil {
		return nil
	}
	out := waiting{}
	q := finding.Query{States: finding.Unsettled(), Limit: 1000}
	for {
		page, err := s.Findings.List(ctx, q)
		if err != nil {
			if !errors.Is(err, finding.ErrNotKept) {
				s.Logger.ErrorContext(ctx, "dashboard read failed", "what", "the findings", "error", err)
			}
			return nil
		}
		if page.Total > countAtMost {
			return nil
		}
		for i := range page.Findings {
			f := &page.Findings[i].Subject
			out[[3]string{f.Account, f.Region, f.API}]++
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return out
		}
	}
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
	d := &estateData{Snapshot: snap, Totals: snap.Totals(), Query: v.Get("q"), Coverage: v.Get("coverage"), Tree: v.Get("view") == "tree", Switch: s.Logging != nil}
	d.AsTable, d.AsTree = with(s.BasePath+"/estate", v, "view", ""), with(s.BasePath+"/estate", v, "view", "tree")
	if snap != nil {
		d.Took = snap.Finished.Sub(snap.Started)
		for i := range snap.Accounts {
			d.account(&snap.Accounts[i], s.BasePath)
		}
		d.History = s.estateHistory(ctx, v)
		s.linkFindings(ctx, d)
	}
	for _, c := range []estate.Coverage{estate.CoverageFull, estate.CoverageMetadata, estate.CoverageErrors, estate.CoverageNone} {
		d.Options = append(d.Options, option{Value: string(c), Title: covers(c).Word, Count: d.Totals.StagesByCoverage[c], Chosen: string(c) == d.Coverage})
	}
	s.render(w, r, 0, "estate", s.shell(r, "Estate", "/estate", d))
}

// linkFindings leads from each API to what the rules found in it.
func (s *server) linkFindings(ctx context.Context, d *estateData) {
	if s.Findings == nil {
		return
	}
	counts := s.waitingFindings(ctx)
	posture, err := s.Findings.Posture(ctx)
	if err != nil {
		posture = nil // what is not known to be judged is not shown as clean
	}
	for i := range d.Accounts {
		a := &d.Accounts[i]
		for j := range a.Regions {
			r := &a.Regions[j]
			for k := range r.Stages {
				row := &r.Stages[k]
				row.Unjudged, row.Partly = unjudged(posture, a.ID, row.API), unseenParts(row.API)
				row.Findings = with(s.BasePath+findingsPath, nil, "account", a.ID, "region", r.Name, "api", row.API.ID)
				row.Waiting = -1
				if counts != nil {
					row.Waiting = counts[[3]string{a.ID, r.Name, row.API.ID}]
				}
			}
		}
	}
}

// unjudged reports whether the rules have not looked at an API: nothing was judged yet,
// nothing of its account gave an answer, or it was made after they last looked.
func unjudged(p *finding.Posture, account string, api *estate.API) bool {
	if p == nil || p.Evaluated.IsZero() || api.Created.After(p.Evaluated) {
		return true
	}
	i := slices.IndexFunc(p.Accounts, func(t finding.AccountTally) bool { return t.Account == account })
	// Postures of earlier versions have no tallies of accounts.
	return len(p.Accounts) > 0 && (i < 0 || p.Accounts[i].Pass+p.Accounts[i].Fail+p.Accounts[i].NotApplicable == 0)
}

// unseenParts reports whether parts of an API that rules look at were not read.
func unseenParts(api *estate.API) bool { return len(api.Unseen) > 0 || api.RoutesPartial }

// execution says what a stage's execution logs hold.
func execution(api *estate.API, st *estate.Stage) string {
	switch {
	case api.Type == transaction.HTTP:
		return "" // an HTTP API has none
	case st.LoggingLevel == "":
		return "OFF"
	case st.DataTrace && st.LoggingLevel != "OFF":
		return st.LoggingLevel + " + data trace"
	default:
		return st.LoggingLevel
	}
}

// accessForm names the form of a stage's access log lines; empty: it writes none.
func accessForm(st *estate.Stage) string {
	format := strings.TrimSpace(st.AccessFormat)
	switch {
	case st.AccessLogARN == "":
		return ""
	case strings.HasPrefix(format, "{"):
		return "JSON"
	case strings.HasPrefix(format, "<"):
		return "XML"
	case format == "":
		return "unknown"
	default:
		return "text"
	}
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
		r.Execution, r.Access = execution(api, st), accessForm(st)
		for _, g := range []string{st.ExecutionGroup, st.AccessGroup} {
			if g != "" {
				r.Groups = append(r.Groups, g)
			}
		}
	}
	r.Inventory = with(base+"/inventory", url.Values{}, "account", a.ID, "region", region.Name, "api", api.ID, "stage", stage)
	return r
}
