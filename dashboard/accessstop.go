package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

var stopDone = map[string]string{
	"stopped": "Stopped. What was lent there is being taken back; nothing is lent there until somebody lifts it.",
	"lifted":  "Lifted. Access can be lent there again; what was taken back stays so.",
}

// stopWord is what has to be typed to stop everything; for the other scopes it is the
// name of what is stopped.
const stopWord = "everything"

type stopData struct {
	Kind         string
	Scope        access.StopScope
	Said         string // the scope in words
	Word         string // what has to be typed; empty: the scope is not chosen yet
	Reason       string
	Live         int
	Grants       []lent
	Link         string // to all of them
	Integrations []option
	Fault        *fault
	Back         string
}

// scopeOf reads what is to be stopped.
func scopeOf(v url.Values) (sc access.StopScope, word string) {
	sc.Kind = v.Get("kind")
	person, integration, resource := strings.TrimSpace(v.Get("person")), strings.TrimSpace(v.Get("integration")), strings.TrimSpace(v.Get("resource"))
	switch sc.Kind {
	case "all":
		return sc, stopWord
	case "person":
		sc.Person = person
		return sc, person
	case "integration":
		sc.Integration = integration
		return sc, integration
	case "resource":
		if sc.Integration, sc.Resource = integration, resource; integration == "" {
			return sc, ""
		}
		return sc, resource
	}
	return sc, ""
}

func (s *server) stopPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showStop(w, r, 0, who, r.URL.Query(), nil)
}

// showStop shows what stopping a scope would end, before the button that does it.
func (s *server) showStop(w http.ResponseWriter, r *http.Request, status int, who flow.Person, v url.Values, f *fault) {
	ctx := r.Context()
	d := &stopData{Kind: v.Get("kind"), Reason: v.Get("reason"), Fault: f, Back: s.BasePath + grantsPath}
	d.Scope, d.Word = scopeOf(v)
	all, err := s.Access.Integrations(ctx, who)
	if err != nil {
		s.lendFailed(w, r, "The integrations", err)
		return
	}
	for _, i := range all {
		d.Integrations = append(d.Integrations, option{Value: i.Name, Title: i.Name, Chosen: i.Name == v.Get("integration")})
	}
	if d.Word != "" {
		d.Said = d.Scope.String()
		q := access.GrantQuery{
			Person: d.Scope.Person, Integration: d.Scope.Integration, Resource: d.Scope.Resource,
			States: []access.GrantState{access.Provisioning, access.Active}, Limit: 20,
		}
		page, err := s.Access.Grants(ctx, who, q)
		if err != nil {
			s.lendFailed(w, r, "What would end", err)
			return
		}
		d.Live = page.Total
		for _, g := range page.Grants {
			d.Grants = append(d.Grants, s.lentOf(g, who))
		}
		d.Link = with(s.BasePath+grantsPath, nil, "person", q.Person, "integration", q.Integration, "resource", q.Resource)
	}
	s.render(w, r, status, "accessstop", s.shell(r, "Stop lending", grantsPath, d))
}

func (s *server) stopPost(w http.ResponseWriter, r *http.Request, who flow.Person) {
	v := r.PostForm
	sc, word := scopeOf(v)
	if word == "" || strings.TrimSpace(v.Get("typed")) != word {
		text := "Type " + strconv.Quote(word) + " to stop it. Nothing was stopped."
		if word == "" {
			text = "Say what is to be stopped. Nothing was stopped."
		}
		s.showStop(w, r, http.StatusUnprocessableEntity, who, v, &fault{Text: text})
		return
	}
	if _, err := s.Access.Panic(r.Context(), sc, who, v.Get("reason"), "web"); err != nil {
		f := s.faultOf(r.Context(), err)
		s.showStop(w, r, f.Status, who, v, f)
		return
	}
	s.goOn(w, r, s.BasePath+grantsPath+"?done=stopped")
}

func (s *server) stopLift(w http.ResponseWriter, r *http.Request, who flow.Person) {
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	if reason == "" {
		s.showGrants(w, r, http.StatusUnprocessableEntity, who, &fault{Text: "Say why it is lifted. It still stands."})
		return
	}
	if err := s.Access.Lift(r.Context(), r.PathValue("id"), who, reason, "web"); err != nil {
		f := s.faultOf(r.Context(), err)
		s.showGrants(w, r, f.Status, who, f)
		return
	}
	s.goOn(w, r, s.BasePath+grantsPath+"?done=lifted")
}
