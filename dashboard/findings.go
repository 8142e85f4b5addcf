package dashboard

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
)

const (
	findingsPath = "/findings"
	// anyState is the choice of all states; without one the page shows what waits for
	// somebody.
	anyState = "all"
)

// findingKeys are the filters of findings in the address, in the order in which they
// are offered. They are the API's names too.
var findingKeys = []string{"severity", "state", "area", "rule", "account", "region", "api"}

var findingTitles = map[string]string{
	"severity": "Severity", "state": "State", "area": "Section", "rule": "Rule", "account": "Account", "region": "Region", "api": "API",
}

type findingsData struct {
	Rows                []findingRow
	Total, First, Last  int
	Choices             []choice
	Chips               []chip
	CSV, JSON, Clear    string
	Next, ToFirst       string
	Waiting, Everything bool // nothing was judged yet; all states are shown
	All                 string
}

type findingRow struct {
	finding.Finding
	Link, What, Where, Account string
}

func (s *server) findingsPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	v := r.URL.Query()
	path := s.BasePath + findingsPath
	q := findingQueryOf(v)
	page, err := s.Findings.List(ctx, q)
	if errors.Is(err, finding.ErrInvalidQuery) && v.Get("cursor") != "" {
		http.Redirect(w, r, with(path, v, "cursor", "", "at", ""), http.StatusSeeOther)
		return
	}
	if err != nil {
		s.findingsFailed(w, r, "The findings", err)
		return
	}
	snap := s.estate(ctx)
	d := &findingsData{Total: page.Total, Clear: path, Everything: v.Get("state") == anyState, All: with(path, v, "state", anyState, "cursor", "", "at", "")}
	d.First = min(offset(v)+1, d.Total)
	d.Last = min(d.First-1+len(page.Findings), d.Total)
	if page.Next != "" {
		d.Next = with(path, v, "cursor", page.Next, "at", strconv.Itoa(d.Last))
	}
	if v.Get("cursor") != "" {
		d.ToFirst = with(path, v, "cursor", "", "at", "")
	}
	for i := range page.Findings {
		d.Rows = append(d.Rows, findingRowOf(&page.Findings[i], path))
	}
	d.choices(path, v, snap)
	d.CSV, d.JSON = s.findingExport("csv", v), s.findingExport("json", v)
	if d.Total == 0 && len(d.Chips) == 0 {
		p, err := s.Findings.Posture(ctx)
		d.Waiting = err == nil && p == nil
	}
	s.render(w, r, 0, "findings", s.shell(r, "Findings", findingsPath, d))
}

func findingQueryOf(v url.Values) finding.Query {
	q := finding.Query{
		Rule: v.Get("rule"), Area: finding.Area(v.Get("area")), Account: v.Get("account"), Region: v.Get("region"), API: v.Get("api"),
		Limit: rowsPerPage, Cursor: v.Get("cursor"),
	}
	if sev := v.Get("severity"); sev != "" {
		q.Severities = []finding.Severity{finding.Severity(sev)}
	}
	switch state := v.Get("state"); state {
	case "":
		q.States = finding.Unsettled()
	case anyState:
	default:
		q.States = []finding.State{finding.State(state)}
	}
	return q
}

// findingExport leads to the API's export of exactly what is filtered.
func (s *server) findingExport(ext string, v url.Values) string {
	c := url.Values{}
	for _, key := range findingKeys {
		c.Set(key, v.Get(key))
	}
	switch v.Get("state") {
	case "":
		unsettled := finding.Unsettled()
		states := make([]string, len(unsettled))
		for i, st := range unsettled {
			states[i] = string(st)
		}
		c.Set("state", strings.Join(states, ","))
	case anyState:
		c.Del("state")
	}
	return with(s.BasePath+"/api/v1/findings."+ext, c)
}

func findingRowOf(f *finding.Finding, path string) findingRow {
	s := &f.Subject
	r := findingRow{Finding: *f, Link: path + "/" + url.PathEscape(f.ID), What: subjectName(s), Account: cmp.Or(s.AccountName, s.Account)}
	if s.API != "" {
		r.Where = cmp.Or(s.APIName, s.API)
	}
	return r
}

// subjectName names what a finding is about, below its API.
func subjectName(s *finding.Subject) string {
	switch s.Kind {
	case finding.OfStage:
		return "stage " + s.Stage
	case finding.OfAPI:
		return cmp.Or(s.APIName, s.API)
	case finding.OfRegion:
		return "region " + s.Region
	case finding.OfAccount:
		return "account " + s.Account
	case finding.OfCluster:
		return "cluster " + s.Name
	default:
		return s.Name
	}
}

// kindWord is the kind of what a finding is about, for people.
func kindWord(k finding.Kind) string {
	switch k {
	case finding.OfAPI:
		return "API"
	case finding.OfPrincipal:
		return "role or user"
	default:
		return strings.ReplaceAll(string(k), "_", " ")
	}
}

// choices fills in the filters and those that are in force.
func (d *findingsData) choices(path string, v url.Values, snap *estate.Snapshot) {
	accounts, apis := accountNames(snap), apiNames(snap)
	for _, key := range findingKeys {
		c := choice{Key: key, Title: findingTitles[key], Chosen: v.Get(key)}
		add := func(value, title string) {
			c.Options = append(c.Options, option{Value: value, Title: title, Chosen: value == c.Chosen})
		}
		switch key {
		case "severity":
			for _, sev := range finding.Severities() {
				add(string(sev), string(sev))
			}
		case "state":
			for _, st := range finding.States() {
				add(string(st), stands(st).Word)
			}
			add(anyState, "all")
		case "area", "rule":
			for _, rule := range finding.Catalogue() {
				value := map[string]string{"area": string(rule.Area), "rule": rule.ID}[key]
				if !slices.ContainsFunc(c.Options, func(o option) bool { return o.Value == value }) {
					add(value, value)
				}
			}
		case "account", "region", "api":
			for value, title := range estateValues(snap, key, map[string]map[string]string{"account": accounts, "api": apis}[key]) {
				add(value, title)
			}
			slices.SortFunc(c.Options, func(a, b option) int { return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Value, b.Value)) })
		}
		if c.Chosen != "" && !slices.ContainsFunc(c.Options, func(o option) bool { return o.Chosen }) {
			add(c.Chosen, c.Chosen)
		}
		d.Choices = append(d.Choices, c)
		for _, o := range c.Options {
			if o.Chosen {
				d.Chips = append(d.Chips, chip{c.Title, o.Title, with(path, v, key, "", "cursor", "", "at", "")})
			}
		}
	}
}

// estateValues maps what the estate has of accounts, regions or APIs to how people
// call it.
func estateValues(snap *estate.Snapshot, key string, names map[string]string) map[string]string {
	out := map[string]string{}
	if snap == nil {
		return out
	}
	add := func(value string) { out[value] = strings.TrimSpace(names[value] + " " + value) }
	for i := range snap.Accounts {
		a := &snap.Accounts[i]
		if key == "account" {
			add(a.ID)
			continue
		}
		for j := range a.Regions {
			if key == "region" {
				add(a.Regions[j].Name)
				continue
			}
			for k := range a.Regions[j].APIs {
				add(a.Regions[j].APIs[k].ID)
			}
		}
	}
	return out
}
