package dashboard

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const labPath = "/policies/lab"

type labData struct {
	*labAnswer
	State    *labState
	Examples []labExample
	Example  string // the name of the one that is shown
	Layers   []labLayer
	// APIs and Routes are offered from the estate; Picked is the API that is
	// among APIs.
	APIs     []option
	Picked   string
	Routes   []string
	Stages   []string
	Partial  bool
	Link     string // keeps it all; empty if it would be too long
	LinkSize int
	// Alert is a mistake of the whole: a damaged link, a case that cannot be
	// imported.
	Alert  string
	Import string // the case that could not be imported
	Fault  *labFault
}

// Operations and the like are what the form offers.
func (*labData) Operations() []string { return labOperations }

// Methods lists the methods, the chosen one among them.
func (d *labData) Methods() []string {
	if m := d.State.method(); !slices.Contains(labMethods, m) {
		return append([]string{m}, labMethods...)
	}
	return labMethods
}

// Auths lists the ways of authorization.
func (*labData) Auths() []option {
	return []option{
		{Value: string(iam.AuthIAM), Title: "AWS_IAM"},
		{Value: string(iam.AuthNone), Title: "NONE"},
		{Value: string(iam.AuthLambda), Title: "Lambda authorizer"},
		{Value: string(iam.AuthCognito), Title: "Cognito or JWT"},
	}
}

// Types lists the types of API.
func (*labData) Types() []string {
	return []string{string(iam.REST), string(iam.HTTP), string(iam.WebSocket)}
}

// labPage shows the lab as its address says: packed, an example, or field by
// field. The fields of a form lead to a short address that keeps them all.
func (s *server) labPage(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	switch {
	case v.Has("s"):
		st, err := unpackLab(v.Get("s"))
		if err != nil {
			st = &labState{}
			*st = labExamples[0].State
			s.showLab(w, r, http.StatusBadRequest, &labData{State: st, Alert: "This link is damaged: it was cut or changed on its way. Ask for it again; below is an example."})
			return
		}
		s.showLab(w, r, 0, &labData{State: st})
	case v.Has("example"), len(v) == 0:
		e := labExamples[0]
		for _, x := range labExamples {
			if x.Name == v.Get("example") {
				e = x
			}
		}
		s.showLab(w, r, 0, &labData{State: &e.State, Example: e.Name})
	default:
		s.labForm(w, r, v)
	}
}

// labPost takes forms that are too large for an address.
func (s *server) labPost(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.message(w, r, http.StatusRequestEntityTooLarge, "This is too much for the policy lab", "It takes "+size(maxLab)+". Use gatehouse policy eval, which takes 16 MB.")
		return
	}
	s.labForm(w, r, r.PostForm)
}

// labForm does what the pressed button says and leads to the address that keeps
// the result, or shows it where no address can.
func (s *server) labForm(w http.ResponseWriter, r *http.Request, v url.Values) {
	st := labFromForm(v)
	d := &labData{State: st}
	anchor := ""
	do, what, _ := strings.Cut(v.Get("do"), ".")
	switch do {
	case "add":
		st.add(what, 1+st.levels(what), "")
		anchor = "#policy-" + strconv.Itoa(len(st.Policies)-1)
	case "remove":
		if i, err := strconv.Atoi(what); err == nil && i >= 0 && i < len(st.Policies) {
			st.Policies = slices.Delete(st.Policies, i, i+1)
		}
		anchor = "#policies"
	case "format":
		for i := range st.Policies {
			text, _ := plainPolicy(st.Policies[i].Text)
			st.Policies[i].Text = indented([]byte(text))
		}
		anchor = "#policies"
	case "key":
		st.Context = strings.TrimPrefix(st.Context+"\n"+what+" = ", "\n")
		anchor = "#context"
	case "import":
		d.Import = v.Get("case")
		imported, err := labFromCase([]byte(d.Import))
		if err != nil {
			d.Fault = faultOf(d.Import, err)
			d.Alert = "The case cannot be read."
			s.showLab(w, r, 0, d)
			return
		}
		d.State, d.Import = imported, ""
	}
	if pick := v.Get("pick"); pick != "" && pick != v.Get("picked") {
		st.pick(s.estate(r.Context()), pick)
	}
	link := s.labLink(d.State)
	if len(link) > maxLink {
		s.showLab(w, r, 0, d)
		return
	}
	http.Redirect(w, r, link+anchor, http.StatusSeeOther) //nolint:gosec // A path of this server; what comes from the form is packed in its query.
}

// levels is how many levels a layer has policies of.
func (st *labState) levels(layer string) int {
	n := 0
	for _, p := range st.Policies {
		if p.Layer == layer {
			n = max(n, p.Level)
		}
	}
	return n
}

func (s *server) labLink(st *labState) string { return s.BasePath + labPath + "?s=" + st.pack() }

// labDecide answers the script: the parts of the page that follow from the form.
func (s *server) labDecide(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read: "+err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	d := &labData{State: labFromForm(r.PostForm)}
	s.fillLab(d, nil)
	var b bytes.Buffer
	p := s.shell(r, "Policy lab", labPath, d)
	if err := s.pages["lab"].ExecuteTemplate(&b, "lab-parts", p); err != nil {
		s.Logger.ErrorContext(r.Context(), "rendering a page failed", "page", "lab-parts", "error", err)
		http.Error(w, "this page could not be rendered; Gatehouse's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(visible(b.Bytes()))
}

func (s *server) showLab(w http.ResponseWriter, r *http.Request, status int, d *labData) {
	s.fillLab(d, s.estate(r.Context()))
	p := s.shell(r, "Policy lab", labPath, d)
	p.Place = []crumb{{Title: "Check"}, {Title: "Policy lab"}}
	s.render(w, r, status, "lab", p)
}

func (s *server) fillLab(d *labData, snap *estate.Snapshot) {
	d.labAnswer = d.State.decide()
	d.Examples, d.Layers = labExamples, labLayers
	d.Link = s.labLink(d.State)
	if d.LinkSize = len(d.Link); d.LinkSize > maxLink {
		d.Link = ""
	}
	d.offer(snap)
}

// maxOffered bounds the APIs and the routes that the form offers to choose from.
const maxOffered = 500

// offer lists the APIs of the estate, and the stages and routes of the one that
// is filled in.
func (d *labData) offer(snap *estate.Snapshot) {
	if snap == nil {
		return
	}
	for i := range snap.Accounts {
		account := &snap.Accounts[i]
		for j := range account.Regions {
			region := &account.Regions[j]
			for k := range region.APIs {
				api := &region.APIs[k]
				o := option{
					Value:  account.ID + "/" + region.Name + "/" + api.ID,
					Title:  strings.Join([]string{cmp.Or(api.Name, api.ID), string(api.Type), cmp.Or(account.Name, account.ID), region.Name}, " · "),
					Chosen: !d.State.ByARN && api.ID == d.State.API && account.ID == d.State.Account && region.Name == d.State.Region,
				}
				if o.Chosen {
					d.Picked = o.Value
					d.routes(api)
				}
				d.APIs = append(d.APIs, o)
			}
		}
	}
	slices.SortStableFunc(d.APIs, func(a, b option) int { return strings.Compare(a.Title, b.Title) })
	if len(d.APIs) > maxOffered {
		d.APIs, d.Partial = d.APIs[:maxOffered], true
	}
}

func (d *labData) routes(api *estate.API) {
	for i := range api.Stages {
		d.Stages = append(d.Stages, api.Stages[i].Name)
	}
	for i := range api.Routes {
		if path := samplePath(api.Routes[i].Path); !slices.Contains(d.Routes, path) && len(d.Routes) < maxOffered {
			d.Routes = append(d.Routes, path)
		}
	}
}

// findAPI returns an API of the estate; nil if it is not there.
func findAPI(snap *estate.Snapshot, account, region, id string) *estate.API {
	if snap == nil {
		return nil
	}
	for i := range snap.Accounts {
		for j := range snap.Accounts[i].Regions {
			if snap.Accounts[i].ID != account || snap.Accounts[i].Regions[j].Name != region {
				continue
			}
			for k := range snap.Accounts[i].Regions[j].APIs {
				if api := &snap.Accounts[i].Regions[j].APIs[k]; api.ID == id {
					return api
				}
			}
		}
	}
	return nil
}

// pick fills in an API of the estate: "account/region/id".
func (st *labState) pick(snap *estate.Snapshot, which string) {
	parts := strings.SplitN(which, "/", 3)
	if len(parts) != 3 {
		return
	}
	if api := findAPI(snap, parts[0], parts[1], parts[2]); api != nil {
		st.use(parts[0], parts[1], api)
	}
}

// takePolicy puts the resource policy of an API in the place of the one that is
// there, if the estate knows it.
func (st *labState) takePolicy(api *estate.API) {
	if api == nil || api.Policy == "" {
		return
	}
	text := indented([]byte(api.Policy))
	for i := range st.Policies {
		if st.Policies[i].Layer == "resource" {
			st.Policies[i].Text = text
			return
		}
	}
	st.add("resource", 0, text)
}

func (st *labState) use(account, region string, api *estate.API) {
	st.ByARN, st.Account, st.Region, st.API, st.Type = false, account, region, api.ID, string(api.Type)
	st.Private = api.EndpointType == "PRIVATE"
	st.takePolicy(api)
	if !slices.ContainsFunc(api.Stages, func(s estate.Stage) bool { return s.Name == st.Stage }) && len(api.Stages) > 0 {
		st.Stage = api.Stages[0].Name
	}
	if len(api.Routes) == 0 {
		return
	}
	r := &api.Routes[0]
	st.Method, st.Path, st.Auth = r.Method, samplePath(r.Path), authOf(r.Authorization)
	if st.Method == "ANY" || st.Method == "" {
		st.Method = "GET"
	}
}

// authOf is the lab's name for a route's authorization.
func authOf(authorization string) string {
	switch authorization {
	case "NONE":
		return string(iam.AuthNone)
	case "CUSTOM":
		return string(iam.AuthLambda)
	case "COGNITO_USER_POOLS", "JWT":
		return string(iam.AuthCognito)
	default:
		return string(iam.AuthIAM)
	}
}

// samplePath makes a path of a template: policies speak of paths, not of
// templates.
func samplePath(template string) string {
	var b strings.Builder
	for {
		from := strings.IndexByte(template, '{')
		to := strings.IndexByte(template, '}')
		if from < 0 || to < from {
			return b.String() + template
		}
		b.WriteString(template[:from] + "1")
		template = template[to+1:]
	}
}

// labRoute is one route of an API, or one call to it, for the lab.
type labRoute struct {
	Type                                         transaction.APIType
	Account, Region, APIID, Stage, Method, Route string
}

func labRequestOf(t *transaction.Transaction) labRoute {
	return labRoute{t.APIType, t.Account, t.Region, t.APIID, t.Stage, t.Method, t.Path}
}

// labFor leads to the lab with the request of a route filled in; "" if too little
// of it is known. The API's resource policy comes with it where the estate knows
// it.
func (s *server) labFor(snap *estate.Snapshot, r labRoute, authorization, principal string) string {
	if r.Account == "" || r.Region == "" || r.APIID == "" {
		return ""
	}
	st := &labState{
		Principal: principal, Operation: labOperations[0], Region: r.Region, Account: r.Account, API: r.APIID, Stage: r.Stage,
		Method: r.Method, Path: samplePath(r.Route), Type: string(r.Type), Auth: authOf(authorization),
		Policies: []labPolicy{{Layer: "identity"}, {Layer: "resource"}},
	}
	if st.Method == "ANY" || st.Method == "" {
		st.Method = "GET"
	}
	if api := findAPI(snap, r.Account, r.Region, r.APIID); api != nil {
		st.Private = api.EndpointType == "PRIVATE"
		st.takePolicy(api)
	}
	link := s.labLink(st)
	if len(link) > maxLink { // a policy that no link can hold
		st.Policies[1].Text = ""
		link = s.labLink(st)
	}
	return link
}
