package dashboard

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

type endpointData struct {
	*inventory.Detail
	Names      map[string]string
	Statuses   []portion
	Latencies  []portion
	Kinds      []portion
	Seen       []portion
	Unseen     []string
	PeakMinute uint32
	Configured *estate.Route
	Partial    bool // not all routes of the API could be read
	Coverage   *badge
	URL        string
	Curl       string
	Callers    []caller
	Samples    []sample
	Fields     []schemaRow
	List       string // the inventory of this API's stage
	Lab        string // the policy lab with this route filled in
	Tail       string // the live tail of this route
}

// portion is a row of a distribution.
type portion struct {
	Label, Hint, Class string
	Calls, Of          int64
	Bar                template.HTML
}

type caller struct {
	inventory.CallerCount
	Share string
}

func (s *server) endpoint(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	detail, err := s.Inventory.Endpoint(ctx, r.PathValue("id"))
	if errors.Is(err, inventory.ErrNotFound) {
		s.message(w, r, http.StatusNotFound, "There is no such endpoint", "It may have been forgotten after a long time without calls, or the address is not whole.")
		return
	}
	if err != nil {
		s.unavailable(w, r, "The endpoint", err)
		return
	}
	if detail.ID != r.PathValue("id") { // it became part of another
		http.Redirect(w, r, s.BasePath+"/inventory/"+url.PathEscape(detail.ID), http.StatusSeeOther)
		return
	}
	snap := s.estate(ctx)
	d := &endpointData{Detail: detail, Names: accountNames(snap)}
	d.Statuses = statuses(detail.Statuses)
	d.Latencies = latencies(detail.LatencyBuckets)
	d.Seen, d.Unseen = visibilities(detail)
	for k, n := range detail.Kinds {
		d.Kinds = append(d.Kinds, portion{Label: string(k), Class: "f-accent", Calls: n})
	}
	d.Kinds = measure(d.Kinds, true)
	for _, v := range detail.Recent {
		d.PeakMinute = max(d.PeakMinute, v)
	}
	for _, c := range detail.TopCallers {
		d.Callers = append(d.Callers, caller{c, percent(c.Calls, detail.Calls)})
	}
	for i, t := range detail.Samples {
		d.Samples = append(d.Samples, sampleOf(t, i == 0))
	}
	d.Fields = schemaRows(detail.Schema)
	d.configured(snap)
	d.List = with(s.BasePath+"/inventory", url.Values{}, "account", d.Account, "region", d.Region, "api", d.APIID, "stage", d.Stage)
	authorization := ""
	if d.Configured != nil {
		authorization = d.Configured.Authorization
	}
	d.Lab = s.labFor(snap, labRoute{d.APIType, d.Account, d.Region, d.APIID, d.Stage, d.Method, d.Route}, authorization, "")
	if s.Tail != nil {
		d.Tail = with(s.BasePath+tailPath, url.Values{}, "account", d.Account, "region", d.Region, "api", d.APIID, "stage", d.Stage, "method", tailMethod(d.Method), "route", d.Route)
	}
	p := s.shell(r, strings.TrimSpace(d.Method+" "+d.Route), "/inventory", d)
	p.Place = append(s.place(d.Names, d.Account, d.Region, d.APIID, d.APIName, d.Stage), crumb{Title: strings.TrimSpace(d.Method + " " + d.Route)})
	s.render(w, r, 0, "endpoint", p)
}

// measure gives each row its share of all and a bar beside the longest one, and
// puts the most first if sorted is set.
func measure(rows []portion, sorted bool) []portion {
	var all, most int64
	for i := range rows {
		all += rows[i].Calls
		most = max(most, rows[i].Calls)
	}
	for i := range rows {
		rows[i].Of = all
		if most > 0 {
			rows[i].Bar = bar(share{rows[i].Class, float64(rows[i].Calls) / float64(most)})
		}
	}
	if sorted {
		slices.SortFunc(rows, func(a, b portion) int { return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Label, b.Label)) })
	}
	return rows
}

func statuses(by map[int]int64) []portion {
	codes := make([]int, 0, len(by))
	for c := range by {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	rows := make([]portion, 0, len(codes))
	for _, c := range codes {
		p := portion{Label: strconv.Itoa(c), Hint: http.StatusText(c), Class: "f-good", Calls: by[c]}
		switch {
		case c == 0:
			p.Label, p.Hint, p.Class = "none", "the logs gave no status", "f-unknown"
		case c >= 500:
			p.Class = "f-bad"
		case c >= 400:
			p.Class = "f-wait"
		case c >= 300 || c < 200:
			p.Class = "f-unknown"
		}
		rows = append(rows, p)
	}
	return measure(rows, false)
}

// latencyEdges are the steps in which latencies are shown, in milliseconds.
var latencyEdges = []float64{5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000}

// latencies gathers a sketch's fine buckets into the steps that are shown,
// without the empty ones at both ends.
func latencies(buckets []inventory.LatencyBucket) []portion {
	counts := make([]int64, len(latencyEdges)+1)
	for _, b := range buckets {
		i, _ := slices.BinarySearch(latencyEdges, b.UpToMS)
		counts[i] += b.Calls
	}
	first, last := 0, len(counts)-1
	for first < len(counts) && counts[first] == 0 {
		first++
	}
	for last > first && counts[last] == 0 {
		last--
	}
	var rows []portion
	for i := first; i <= last && i < len(counts); i++ {
		var label string
		switch {
		case i == 0:
			label = "≤ " + edge(latencyEdges[0])
		case i == len(latencyEdges):
			label = "> " + edge(latencyEdges[i-1])
		default:
			label = "≤ " + edge(latencyEdges[i])
		}
		rows = append(rows, portion{Label: label, Class: "f-accent", Calls: counts[i]})
	}
	return measure(rows, false)
}

// edge writes the upper edge of a step.
func edge(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v/1000, 'f', -1, 64) + " s"
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + " ms"
}

// visibilities tells what was seen of the calls and, in words, what was not.
func visibilities(d *inventory.Detail) (rows []portion, unseen []string) {
	for _, v := range []transaction.Visibility{transaction.Full, transaction.Truncated, transaction.Metadata} {
		if n := d.Visibilities[v]; n > 0 {
			b := seen(v)
			rows = append(rows, portion{Label: b.Word, Hint: b.Hint, Class: "f-" + b.Class, Calls: n})
		}
	}
	rows = measure(rows, false)
	if d.Visibilities[transaction.Metadata] > 0 {
		switch d.APIType {
		case transaction.HTTP:
			unseen = append(unseen, "Headers and bodies: an HTTP API writes access logs only.")
		default:
			unseen = append(unseen, "Headers and bodies of "+count(d.Visibilities[transaction.Metadata])+" calls: data trace was off, or only the access log told of them.")
		}
	}
	if n := d.Visibilities[transaction.Truncated]; n > 0 {
		unseen = append(unseen, "The end of long headers and bodies of "+count(n)+" calls: API Gateway cuts execution-log lines at 1,024 bytes.")
	}
	if n := d.Kinds[transaction.CallerUnknown]; n > 0 {
		unseen = append(unseen, "Who made "+count(n)+" calls: the logs name no caller.")
	}
	if n := d.Statuses[0]; n > 0 {
		unseen = append(unseen, "The status of "+count(n)+" calls.")
	}
	return rows, unseen
}

// configured adds what the estate says of the endpoint: authorization, logging
// and the address to call it at.
func (d *endpointData) configured(snap *estate.Snapshot) {
	if snap == nil {
		return
	}
	for i := range snap.Accounts {
		if snap.Accounts[i].ID != d.Account {
			continue
		}
		for j := range snap.Accounts[i].Regions {
			if snap.Accounts[i].Regions[j].Name != d.Region {
				continue
			}
			for k := range snap.Accounts[i].Regions[j].APIs {
				if a := &snap.Accounts[i].Regions[j].APIs[k]; a.ID == d.APIID {
					d.fromAPI(a)
				}
			}
		}
	}
}

func (d *endpointData) fromAPI(a *estate.API) {
	method := d.Method
	if a.Type == transaction.WebSocket {
		method = "" // its routes have keys alone; the endpoint names the kind of event
	}
	for i := range a.Stages {
		if a.Stages[i].Name == d.Stage {
			st := a.Stages[i]
			for _, o := range st.Overrides {
				if o.Path == d.Route && o.Method == method {
					st.LoggingLevel, st.DataTrace = o.LoggingLevel, o.DataTrace
				}
			}
			b := covers(st.Coverage())
			d.Coverage = &b
		}
	}
	d.Partial = a.RoutesPartial
	var anyMethod *estate.Route
	for i := range a.Routes {
		rt := &a.Routes[i]
		if rt.Path != d.Route {
			continue
		}
		if rt.Method == method {
			d.Configured = rt
		}
		if rt.Method == "ANY" {
			anyMethod = rt
		}
	}
	if d.Configured == nil {
		d.Configured = anyMethod
	}
	if a.Endpoint == "" || a.DefaultDisabled || a.EndpointType == "PRIVATE" {
		return
	}
	scheme := "https://"
	if d.APIType == transaction.WebSocket {
		scheme = "wss://"
	}
	d.URL = scheme + a.Endpoint
	if d.Stage != "$default" {
		d.URL += "/" + d.Stage
	}
	if d.APIType != transaction.WebSocket && strings.HasPrefix(d.Route, "/") {
		d.URL += d.Route
		d.Curl = curl(d)
	}
}

// curl is a command that reads this endpoint, or "" where none that is ready to
// run can be given: another method, a template with parameters, or a way to
// authorize that is not known.
func curl(d *endpointData) string {
	if (d.Method != http.MethodGet && d.Method != http.MethodHead && d.Method != http.MethodOptions) || d.Configured == nil || strings.ContainsAny(d.URL, "{}") {
		return ""
	}
	target, ok := quoted(d.URL)
	region, ok2 := quoted("aws:amz:" + d.Region + ":execute-api")
	if !ok || !ok2 {
		return ""
	}
	auth := ""
	switch d.Configured.Authorization {
	case "NONE":
	case "AWS_IAM":
		auth = " --aws-sigv4 " + region + ` --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN"`
	case "JWT", "COGNITO_USER_POOLS":
		auth = ` -H "authorization: Bearer $TOKEN"`
	default:
		return ""
	}
	if d.Configured.APIKeyRequired {
		auth += ` -H "x-api-key: $API_KEY"`
	}
	method := ""
	switch d.Method {
	case http.MethodHead:
		method = " --head"
	case http.MethodOptions:
		method = " -X OPTIONS"
	}
	return "curl -i" + method + auth + " " + target
}

// quoted quotes s for a POSIX shell. It refuses text with characters that a
// terminal acts on, for people paste these commands and the text comes from
// whoever calls the APIs.
func quoted(s string) (string, bool) {
	for _, r := range s {
		if hidden(r) || r == '\n' || r == '\t' {
			return "", false
		}
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'", true
}
