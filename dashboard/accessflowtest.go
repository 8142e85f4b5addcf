package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

type flowTestData struct {
	Values       url.Values
	Integrations []option
	Draft        *draftText // nil: the flows in force are asked
	Asked        bool
	E            *access.Explanation
	Fault        *fault
	Admin        bool
	Back         string
}

// draftText is a text of flows as the editor sent it.
type draftText struct {
	Text  string
	Base  string
	Prune bool
}

// noFlows is a text of flows that has none: a draft without a flow gives nothing, and
// must not be taken for no draft.
const noFlows = "flows: []\n"

// flowTestPage says what each flow in force would make of an ask, and who could agree.
func (s *server) flowTestPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showFlowTest(w, r, who, r.URL.Query(), nil)
}

// flowTestDraft says the same of the text in the editor, which is in force nowhere.
func (s *server) flowTestDraft(w http.ResponseWriter, r *http.Request, who flow.Person) {
	v := r.PostForm
	s.showFlowTest(w, r, who, v, &draftText{Text: strings.ReplaceAll(v.Get("text"), "\r\n", "\n"), Base: v.Get("base"), Prune: v.Get("prune") != ""})
}

func (s *server) showFlowTest(w http.ResponseWriter, r *http.Request, who flow.Person, v url.Values, draft *draftText) {
	ctx, status := r.Context(), 0
	d := &flowTestData{Values: v, Draft: draft, Admin: who.Admin, Back: s.BasePath + flowsPath}
	all, err := s.Access.Integrations(ctx, who)
	if err != nil {
		s.lendFailed(w, r, "The integrations", err)
		return
	}
	for _, i := range all {
		d.Integrations = append(d.Integrations, option{Value: i.Name, Title: i.Name, Chosen: i.Name == v.Get("integration")})
	}
	d.Asked = v.Get("bundle") != "" || v.Get("resource") != ""
	if d.Asked {
		if d.E, err = s.flowTest(ctx, who, v, draft); err != nil {
			d.Fault = s.faultOf(ctx, err)
			status = d.Fault.Status
		}
	}
	s.render(w, r, status, "accesstest", s.shell(r, "Test the flows", flowsPath, d))
}

// flowTest reads an ask and has the flows in force, or a draft, say what they make of it.
func (s *server) flowTest(ctx context.Context, who flow.Person, v url.Values, draft *draftText) (*access.Explanation, error) {
	a := access.Ask{By: who, For: strings.TrimSpace(v.Get("for")), Bundle: strings.TrimSpace(v.Get("bundle")), Justification: v.Get("justification"), BreakGlass: v.Get("break_glass") != "", Via: "web"}
	if by := strings.TrimSpace(v.Get("by")); by != "" && who.Admin && by != who.ID {
		a.By = flow.Person{ID: by}
	}
	if a.Bundle == "" {
		a.Items = []access.ItemRef{{Integration: v.Get("integration"), Type: strings.TrimSpace(v.Get("type")), Resource: strings.TrimSpace(v.Get("resource")), Permission: strings.TrimSpace(v.Get("permission"))}}
	}
	if text := strings.TrimSpace(v.Get("duration")); text != "" {
		var err error
		if a.Duration, err = flow.ParseDuration(text); err != nil {
			return nil, badField(err)
		}
	}
	text := ""
	if draft != nil {
		text = cmp.Or(draft.Text, noFlows)
	}
	return s.Access.TestFlow(ctx, who, a, text)
}
