package dashboard

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// catalogLooks bounds how many pages of the desk are read for one page that a tag
// thins out.
const catalogLooks = 20

// catalogKeys are the filters of the catalog in the address.
var catalogKeys = []string{"q", "integration", "type", "tag", "for"}

var catalogTitles = map[string]string{"q": "Search", "integration": "Integration", "type": "Type", "tag": "Tag", "for": "For"}

type catalogData struct {
	Values       map[string]string
	Integrations []option
	Types        []option
	Groups       []catalogGroup
	Bundles      []catalogBundle
	Resources    int
	Chips        []chip
	Clear        string
	Next         string
	ToFirst      string
	JSON         string
	Stops        []access.Stop
	Filtered     bool
	NoFlows      bool
	NoneReady    bool // no integration can be lent from
	Fault        string
}

type catalogGroup struct {
	Integration string
	Rows        []catalogRow
}

type catalogRow struct {
	flow.Resource
	Kind        string // the title of the type
	Shown       []fact // the tags that people gave it
	Hidden      string // the others
	Permissions []catalogPermission
}

type catalogPermission struct {
	Name  string
	Value string // of the box
	Terms flow.Decision
	Held  string
}

type catalogBundle struct {
	access.CatalogEntry
	Link string
}

func (s *server) catalogPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx, v, path := r.Context(), r.URL.Query(), s.BasePath+lendPath
	d := &catalogData{Values: map[string]string{}, Clear: path, JSON: with(s.BasePath+"/api/v1/access/catalog", v, "tag", "", "limit", "1000", "cursor", "")}
	for _, key := range catalogKeys {
		if value := strings.TrimSpace(v.Get(key)); value != "" {
			d.Values[key], d.Filtered = value, true
			d.Chips = append(d.Chips, chip{catalogTitles[key], value, with(path, v, key, "", "cursor", "")})
		}
	}
	kinds, err := s.catalogChoices(ctx, who, d)
	if err != nil {
		s.lendFailed(w, r, "The integrations", err)
		return
	}
	page, err := s.catalogOf(ctx, who, d.Values, v.Get("cursor"))
	if err != nil {
		s.lendFailed(w, r, "The catalog", err)
		return
	}
	d.put(page.Entries, kinds)
	for i := range page.Bundles {
		d.Bundles = append(d.Bundles, catalogBundle{page.Bundles[i], with(s.BasePath+askPath, nil, "bundle", page.Bundles[i].Bundle, "for", d.Values["for"])})
	}
	if page.Next != "" {
		d.Next = with(path, v, "cursor", page.Next)
	}
	if v.Get("cursor") != "" {
		d.ToFirst = with(path, v, "cursor", "")
	}
	if d.Stops, err = s.Access.Stops(ctx, who); err != nil {
		s.lendFailed(w, r, "What is stopped", err)
		return
	}
	if flows, err := s.Access.Flows(ctx, who, 0); err == nil {
		d.NoFlows = flows.Version == 0
	}
	s.render(w, r, 0, "access", s.shell(r, "Catalog", lendPath, d))
}

// catalogChoices fills in the filters, and returns the titles of types.
func (s *server) catalogChoices(ctx context.Context, who flow.Person, d *catalogData) (map[string]string, error) {
	all, err := s.Access.Integrations(ctx, who)
	if err != nil {
		return nil, err
	}
	kinds := map[string]string{}
	d.NoneReady = true
	for _, i := range all {
		d.Integrations = append(d.Integrations, option{Value: i.Name, Title: i.Name, Chosen: i.Name == d.Values["integration"]})
		d.NoneReady = d.NoneReady && i.Trouble != ""
		for _, t := range i.ResourceTypesKnown {
			kinds[t.Name] = cmp.Or(t.Title, t.Name)
		}
	}
	for name, title := range kinds {
		d.Types = append(d.Types, option{Value: name, Title: title, Chosen: name == d.Values["type"]})
	}
	slices.SortFunc(d.Types, func(a, b option) int { return cmp.Compare(a.Title, b.Title) })
	return kinds, nil
}

// catalogOf reads a page of what somebody may ask for. A tag thins out what the desk
// gives, so several of its pages may go into one.
func (s *server) catalogOf(ctx context.Context, who flow.Person, values map[string]string, cursor string) (*access.CatalogPage, error) {
	out := &access.CatalogPage{Next: cursor}
	key, value, pair := strings.Cut(values["tag"], "=")
	for look := 0; look < catalogLooks && (look == 0 || out.Next != "" && len(out.Entries) < rowsPerPage); look++ {
		page, err := s.Access.Catalog(ctx, who, access.CatalogQuery{
			ResourceQuery: access.ResourceQuery{Integration: values["integration"], Type: values["type"], Text: values["q"], Limit: rowsPerPage, Cursor: out.Next},
			For:           values["for"],
		})
		if err != nil {
			return nil, err
		}
		if key == "" {
			return page, nil
		}
		for i := range page.Entries {
			have, ok := page.Entries[i].Item.Resource.Tags[strings.TrimSpace(key)]
			if ok && (!pair || strings.EqualFold(have, strings.TrimSpace(value))) {
				out.Entries = append(out.Entries, page.Entries[i])
			}
		}
		out.Next = page.Next
	}
	return out, nil
}

// put groups entries, which come by integration, type and resource.
func (d *catalogData) put(entries []access.CatalogEntry, kinds map[string]string) {
	for i := range entries {
		e := &entries[i]
		res := &e.Item.Resource
		if n := len(d.Groups); n == 0 || d.Groups[n-1].Integration != res.Integration {
			d.Groups = append(d.Groups, catalogGroup{Integration: res.Integration})
		}
		g := &d.Groups[len(d.Groups)-1]
		if n := len(g.Rows); n == 0 || g.Rows[n-1].ID != res.ID || g.Rows[n-1].Type != res.Type {
			row := catalogRow{Resource: *res, Kind: cmp.Or(kinds[res.Type], res.Type)}
			row.tags()
			g.Rows = append(g.Rows, row)
			d.Resources++
		}
		row := &g.Rows[len(g.Rows)-1]
		row.Permissions = append(row.Permissions, catalogPermission{Name: e.Item.Permission, Value: itemText(&e.Item), Terms: e.Terms, Held: e.Held})
	}
}

// tagsShown is how many tags of a resource the catalog shows.
const tagsShown = 3

// tags puts what people gave a resource before what machines did, whose keys have a
// name of the machine before them.
func (row *catalogRow) tags() {
	keys := slices.SortedFunc(maps.Keys(row.Tags), func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "/")+strings.Count(a, ":"), strings.Count(b, "/")+strings.Count(b, ":")), cmp.Compare(a, b))
	})
	var hidden []string
	for _, key := range keys {
		if len(row.Shown) < tagsShown && !strings.ContainsAny(key, "/:") {
			row.Shown = append(row.Shown, fact{Name: key, Value: row.Tags[key]})
		} else {
			hidden = append(hidden, key+"="+row.Tags[key])
		}
	}
	row.Hidden = strings.Join(hidden, "\n")
}

// askData is the form of a request, with what would become of it.
type askData struct {
	Items         []flow.Item
	Values        []string // the items, for the form
	Bundle        string
	For           string
	Justification string
	Duration      string
	Durations     []option
	Terms         flow.Decision // what is offered; its outcome is empty where nothing is
	BreakGlass    bool
	MayBreak      bool
	Key           string
	Happens       happens
	Fault         *fault
	Back          string
}

// happens is what would become of a request.
type happens struct {
	access.Explanation
	Badge    badge
	Sentence string
	Fault    *fault
	Waiting  string
	Early    bool // who could agree is told when it is said why
}

func (s *server) askPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showAsk(w, r, 0, who, r.URL.Query(), nil)
}

func (s *server) askPost(w http.ResponseWriter, r *http.Request, who flow.Person) {
	v := r.PostForm
	if v.Get("do") != "ask" {
		s.showAsk(w, r, 0, who, v, nil)
		return
	}
	a, err := askOf(v, who)
	if err == nil {
		var made *access.Request
		if made, err = s.Access.Request(r.Context(), a); err == nil {
			s.goOn(w, r, s.BasePath+requestsPath+"/"+url.PathEscape(made.ID)+"?done=asked")
			return
		}
	}
	f := s.faultOf(r.Context(), err)
	s.showAsk(w, r, f.Status, who, v, f)
}

// askOf reads an ask from a form or an address.
func askOf(v url.Values, who flow.Person) (access.Ask, error) {
	a := access.Ask{
		By: who, For: strings.TrimSpace(v.Get("for")), Bundle: v.Get("bundle"), Justification: strings.TrimSpace(v.Get("justification")),
		BreakGlass: v.Get("break_glass") != "", Via: "web", Key: v.Get("key"),
	}
	for _, text := range v["item"] {
		ref, err := itemRef(text)
		if err != nil {
			return a, err
		}
		a.Items = append(a.Items, ref)
	}
	if text := strings.TrimSpace(v.Get("duration")); text != "" {
		d, err := flow.ParseDuration(text)
		if err != nil {
			return a, badField(err)
		}
		a.Duration = d
	}
	return a, nil
}

// showAsk shows the form of a request.
func (s *server) showAsk(w http.ResponseWriter, r *http.Request, status int, who flow.Person, v url.Values, f *fault) {
	ctx := r.Context()
	d := &askData{
		Bundle: v.Get("bundle"), For: strings.TrimSpace(v.Get("for")), Justification: v.Get("justification"), Duration: v.Get("duration"),
		BreakGlass: v.Get("break_glass") != "", Values: v["item"], Key: cmp.Or(v.Get("key"), randomKey()), Fault: f, Back: s.BasePath + lendPath,
	}
	if d.Bundle == "" && len(d.Values) == 0 {
		s.message(w, r, http.StatusUnprocessableEntity, "Nothing was chosen", "Go back to the catalog, and choose what you need.")
		return
	}
	a, err := askOf(v, who)
	if err == nil {
		// What is asked for is known whatever the flows say to the rest.
		d.Terms, d.MayBreak, err = s.offer(ctx, who, a)
	}
	if err == nil {
		d.Happens = s.whatHappens(ctx, a)
		d.Items = d.Happens.Items
		d.Happens.sayWhyFirst(&d.Terms, &a)
		if d.Happens.Fault != nil && d.Fault == nil && d.Happens.Fault.Status == http.StatusNotFound {
			status = http.StatusNotFound
		}
	} else {
		d.Happens.Fault = s.faultOf(ctx, err)
		d.Happens.Badge = badge{"bad", "■", "cannot be asked for", ""}
		if status == 0 {
			status = d.Happens.Fault.Status
		}
	}
	most := d.Terms.MaxDuration
	if most <= 0 {
		most = 8 * time.Hour
	}
	chosen := cmp.Or(a.Duration, d.Happens.Decision.Duration, d.Terms.Duration)
	d.Durations = durations(most, chosen)
	s.render(w, r, status, "accessask", s.shell(r, "Ask for access", lendPath, d))
}

// offer says what the flows offer without a justification, and whether the person may
// break the glass: the flows' own checks but for what is still to be typed.
func (s *server) offer(ctx context.Context, who flow.Person, a access.Ask) (terms flow.Decision, mayBreak bool, err error) {
	plain := a
	plain.BreakGlass, plain.Duration, plain.Justification = a.BreakGlass, 0, ""
	e, err := s.Access.TestFlow(ctx, who, plain, "")
	if err != nil {
		return terms, false, err
	}
	terms = e.Decision
	if terms.Outcome == flow.Refused {
		// The catalog asks without a justification.
		for i := range e.Items {
			item := &e.Items[i]
			q := access.CatalogQuery{ResourceQuery: access.ResourceQuery{Integration: item.Resource.Integration, Type: item.Resource.Type, Text: item.Resource.ID, Limit: 1000}, For: a.For, Permission: item.Permission}
			if a.Bundle != "" {
				q = access.CatalogQuery{ResourceQuery: access.ResourceQuery{Text: a.Bundle, Limit: 1}, For: a.For}
			}
			page, err := s.Access.Catalog(ctx, who, q)
			if err != nil {
				return terms, false, err
			}
			offers := append(page.Bundles, page.Entries...)
			n := slices.IndexFunc(offers, func(o access.CatalogEntry) bool {
				return a.Bundle != "" && o.Bundle == a.Bundle || a.Bundle == "" && o.Bundle == "" && o.Item.Resource.ID == item.Resource.ID && o.Item.Permission == item.Permission
			})
			if n < 0 {
				terms = flow.Decision{}
				break
			}
			o := &offers[n].Terms
			if i == 0 || o.MaxDuration < terms.MaxDuration {
				terms = *o
			}
			if a.Bundle != "" {
				break
			}
		}
	}
	broken := plain
	broken.BreakGlass = true
	if e, err = s.Access.TestFlow(ctx, who, broken, ""); err != nil {
		return terms, false, err
	}
	if e.Trial != nil {
		mayBreak = slices.ContainsFunc(e.Trial.Flows, func(t flow.FlowTrial) bool {
			return !slices.ContainsFunc(t.Checks, func(c flow.Check) bool { return !c.OK && c.Name != "justification" && c.Name != "duration" })
		})
	}
	return terms, mayBreak, nil
}

// sayWhyFirst shows what would become of an ask of which only the justification is
// missing yet.
func (h *happens) sayWhyFirst(terms *flow.Decision, a *access.Ask) {
	if h.Fault != nil || h.Stopped != "" || h.Decision.Outcome != flow.Refused || a.Justification != "" || a.BreakGlass ||
		terms.MaxDuration <= 0 || a.Duration > terms.MaxDuration {
		return
	}
	h.Badge, h.Sentence = badge{"wait", "◐", "say why first", ""}, "Then you get it at once: nobody has to agree."
	if terms.Outcome == flow.NeedsApproval {
		h.Sentence = "Then it waits until " + approvalText(terms.Approval) + " agrees."
		h.Early = true
	}
	h.Decision = *terms
	h.Decision.Duration = cmp.Or(a.Duration, terms.Duration)
}

// whatHappens is the dry run of an ask.
func (s *server) whatHappens(ctx context.Context, a access.Ask) happens {
	var h happens
	e, err := s.Access.Explain(ctx, a)
	if err != nil {
		h.Fault = s.faultOf(ctx, err)
		h.Badge = badge{"bad", "■", "cannot be asked for", ""}
		return h
	}
	h.Explanation, h.Waiting = *e, waitingFor(&e.Decision, e.Standing)
	switch {
	case e.Stopped != "":
		h.Badge, h.Sentence = badge{"bad", "■", "stopped", ""}, sentence(e.Stopped)
	case e.Decision.Outcome == flow.AutoApproved && e.Decision.BreakGlass:
		h.Badge, h.Sentence = badge{"wait", "◐", "at once, and loudly", ""}, "You get it at once. Others are told that you broke the glass."
	case e.Decision.Outcome == flow.AutoApproved:
		h.Badge, h.Sentence = badge{"good", "●", "at once", ""}, "Nobody has to agree: it is put in place as soon as you ask."
	case e.Decision.Outcome == flow.NeedsApproval:
		h.Badge, h.Sentence = badge{"wait", "◐", "somebody has to agree", ""}, "It waits until "+approvalText(e.Decision.Approval)+" agrees."
	default:
		h.Badge, h.Sentence = badge{"bad", "■", "not given as it stands", ""}, "No flow gives this as it is asked for."
	}
	return h
}
