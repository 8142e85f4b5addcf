package dashboard_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api/apitest"
)

const editPayments = "prod-1/eks-namespace/namespace%2Fpayments/edit"

// has checks an answer: its status, what is in its words, and what is not, after "-".
func (v *visitor) has(method, path string, form url.Values, status int, want ...string) string {
	v.t.Helper()
	got, page := v.send(method, path, form)
	if got != status {
		v.t.Errorf("%s %s answers %d, want %d", method, path, got, status)
	}
	if !strings.Contains(page, "<main") {
		v.t.Fatalf("%s %s is no page: %s", method, path, page)
	}
	text := words(page)
	for _, w := range want {
		if not, ok := strings.CutPrefix(w, "-"); ok {
			if strings.Contains(text, not) {
				v.t.Errorf("%s %s says %q: %s", method, path, not, text)
			}
		} else if !strings.Contains(text, w) {
			v.t.Errorf("%s %s does not say %q: %s", method, path, w, text)
		}
	}
	if strings.Contains(page, "<img src=x") {
		v.t.Errorf("%s %s lets text of others in as HTML", method, path)
	}
	return page
}

// until reads a page again until it says everything that is wanted.
func (v *visitor) until(path string, want ...string) string {
	v.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, page := v.send("GET", path, nil)
		text := words(page)
		missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool { return strings.Contains(text, w) })
		if len(missing) == 0 {
			return page
		}
		if time.Now().After(end) {
			v.t.Fatalf("%s does not come to say %q: %s", path, missing, text)
		}
	}
}

func field(t *testing.T, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page has no field %s", name)
	}
	return m[1]
}

// TestLendingStory goes the way of access through the pages alone: asked for, agreed
// to, there, longer, given back.
func TestLendingStory(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	ann, sam := w.enter("ann"), w.enter("sam")

	ann.has("GET", "/access", nil, 200, "payments", "kube-system", "shop", "at once", "asks")
	page := ann.has("GET", "/access/request?item="+url.QueryEscape(editPayments), nil, 200,
		"edit on payments", "at most 4 h", "say why first", "Then it waits until group sre agrees.", "-Break the glass")
	form := url.Values{"item": {editPayments}, "key": {field(t, page, "key")}, "duration": {"2h"}, "justification": {"OPS-7 the queue <b>stands</b>"}, "do": {"try"}}
	ann.has("POST", "/access/request", form, 200, "somebody has to agree", "group sre", "sam@example.com, sue@example.com", "After 30 min", "2 h of at most 4 h")
	form.Set("do", "ask")
	page = ann.has("POST", "/access/request", form, 200, "Asked.", "group sre has to agree", "Could agree now: sam@example.com, sue@example.com", "Take the request back")
	again := ann.has("POST", "/access/request", form, 200)
	link := regexp.MustCompile(`/access/requests/r\w+`)
	request := link.FindString(page)
	if request == "" || link.FindString(again) != request {
		t.Fatalf("the form sent twice makes %s and %s", request, link.FindString(again))
	}
	ann.has("GET", "/access/mine", nil, 200, "You hold nothing now.", "edit on prod-1 / payments", "group sre")
	ann.has("GET", "/access/inbox", nil, 403, "This needs the role approver")

	page = sam.has("GET", "/access/inbox", nil, 200, "1 request waits for your word", "ann@example.com", "OPS-7", "2 h of at most 4 h", "flow change things", "Holds now", "nothing else")
	if !regexp.MustCompile(`class="tally"[^>]*>1<`).MatchString(page) {
		t.Error("the rail does not count what waits")
	}
	vote := url.Values{"do": {"approve"}, "version": {field(t, page, "version")}, "back": {"inbox"}}
	sam.has("POST", request, vote, 200, "You agreed.", "Nothing waits for you.")
	w.enter("sue").has("POST", request, vote, 409, "approved by sam@example.com", "The request, and what became of it")

	id := "g" + strings.TrimPrefix(request, "/access/requests/r")
	w.granted(id, access.Active)
	if !w.target.has("ann@example.com:namespace/payments:edit") {
		t.Error("the target does not have it")
	}
	ann.has("GET", "/access/mine", nil, 200, "● active", "1 h 59 min", "left", "Be kind to the cluster.", "role_session_name = ann@example.com", "Make it longer…", "Give it back")
	ann.has("GET", "/access/grants/"+id, nil, 200, "the target has it", "grant.created", "grant.ready", "request.approved", "Sam", "-Revoke…")
	ann.has("GET", request, nil, 200, "● active", "How to use it, and give it back", "agreed")
	ann.has("POST", "/access/grants/"+id, url.Values{"do": {"extend"}, "duration": {"9h"}, "reason": {"more"}}, 403, "No access flow gives this.", "at most 30m")
	ann.has("POST", "/access/grants/"+id, url.Values{"do": {"extend"}, "duration": {"30m"}, "reason": {"more"}}, 200, "Asked.", "has to agree", "to be longer")
	w.enter("vera").has("GET", "/access/grants/"+id, nil, 403)
	w.enter("sofia").has("GET", "/access/grants/"+id, nil, 200, "Revoke…", "-Give back…", "-How to use it")
	ann.has("POST", "/access/grants/"+id, url.Values{"do": {"return"}, "back": {"mine"}}, 200, "Given back.")
	w.granted(id, access.Ended)
	ann.has("GET", "/access/grants/"+id, nil, 200, "○ ended", "given back, by ann@example.com", "grant.ended", "-How to use it")
	if w.target.has("ann@example.com:namespace/payments:edit") {
		t.Error("the target still has it")
	}
}

// TestLendingShowsEachTheirs: who may not do something is neither shown nor let.
func TestLendingShowsEachTheirs(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	r := w.ask("ann", "edit", "payments")
	g := w.ask("ann", "view", "payments")
	w.granted(g.Grant, access.Active)
	nobody, vera, ann, sam, root := w.enter(""), w.enter("vera"), w.enter("ann"), w.enter("sam"), w.enter("root")
	all := []string{
		"/access", "/access/request?bundle=shop", "/access/mine", "/access/inbox", "/access/grants", "/access/stop", "/access/flows", "/access/flows/edit", "/access/flows/versions",
		"/access/flows/test", "/access/code", "/access/integrations", "/access/integrations/new", "/access/integrations/prod-1", "/access/integrations/prod-1/edit",
		"/access/requests/" + r.ID, "/access/grants/" + g.Grant, "/access/code?integration=prod-1",
	}
	for who, c := range map[string]struct {
		v       *visitor
		refused []string
		nav     []string
	}{
		"nobody":    {nobody, all, nil},
		"viewer":    {vera, all, nil},
		"requester": {ann, []string{"/access/inbox", "/access/stop", "/access/flows/edit", "/access/integrations/new", "/access/integrations/prod-1/edit", "/access/code?integration=prod-1"}, []string{"/access", "/access/mine", "/access/flows"}},
		"approver":  {sam, []string{"/access/stop", "/access/flows/edit", "/access/integrations/new", "/access/integrations/prod-1/edit", "/access/code?integration=prod-1", "/access/grants/" + g.Grant}, []string{"/access", "/access/mine", "/access/inbox", "/access/flows"}},
		"admin":     {root, nil, []string{"/access", "/access/mine", "/access/inbox", "/access/grants", "/access/flows", "/access/integrations"}},
	} {
		for _, path := range all {
			want := map[bool]string{true: "refused", false: "shown"}[slices.Contains(c.refused, path)]
			status, page := c.v.send("GET", path, nil)
			if got := map[bool]string{true: "shown", false: "refused"}[status == 200]; got != want {
				t.Errorf("%s for %s: %d", path, who, status)
			}
			if status == 200 && strings.Contains(page, `value="revoke"`) != (who == "admin") && strings.Contains(path, "/grants/g") {
				t.Errorf("%s for %s offers what they may not do", path, who)
			}
		}
		_, page := c.v.send("GET", "/", nil)
		for _, path := range []string{"/access", "/access/mine", "/access/inbox", "/access/grants", "/access/flows", "/access/integrations"} {
			if got := strings.Contains(page, `<li><a href="`+path+`"`); got != slices.Contains(c.nav, path) {
				t.Errorf("the rail of %s shows %s: %t", who, path, got)
			}
		}
	}
	for path, form := range map[string]url.Values{
		"/access/stop":                {"kind": {"all"}, "typed": {"everything"}, "reason": {"x"}},
		"/access/flows/edit":          {"do": {"plan"}, "text": {"flows: []"}, "base": {"1"}},
		"/access/integrations":        {"name": {"x"}},
		"/access/integrations/prod-1": {"do": {"check"}},
	} {
		sam.has("POST", path, form, 403, "This needs the role admin")
	}
	ann.has("POST", "/access/requests/"+r.ID, url.Values{"do": {"approve"}}, 403, "ann@example.com")
	ann.has("POST", "/access/requests/"+r.ID, url.Values{"do": {"strange"}}, 400)
	sam.has("POST", "/access/grants/"+g.Grant, url.Values{"do": {"revoke"}, "reason": {"x"}}, 404)
	ann.has("GET", "/access/integrations/prod-1", nil, 200, "ready", "-cluster_name", "-Check now", "-Remove", "-chronyc")
	ann.has("GET", "/access/grants?person=sam@example.com", nil, 200, "of yours", "-Stop lending")
	sam.has("GET", "/access/requests/rnothing", nil, 404, "The request is not there")
	ann.has("GET", "/access/request", nil, 422, "Nothing was chosen")
	ann.has("GET", "/access/request?item=prod-1", nil, 422, "is no permission on a resource")
	ann.has("GET", "/access/request?item=prod-1%2Feks-namespace%2Fnamespace%252Fnone%2Fedit", nil, 404, "cannot be asked for")
}

func TestCatalogFilters(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	ann := w.enter("ann")
	g := w.ask("ann", "view", "orders")
	w.granted(g.Grant, access.Active)
	ann.has("GET", "/access?q=pay", nil, 200, "payments", "-search", "Search pay", "team=shop", "more", "-kubernetes.io")
	ann.has("GET", "/access?tag=team%3Dfind", nil, 200, "search", "-payments", "-kube-system")
	ann.has("GET", "/access?tag=nothing", nil, 200, "Nothing that you may ask for matches.")
	ann.has("GET", "/access?type=eks-cluster-role", nil, 200, "Nothing that you may ask for matches.")
	ann.has("GET", "/access?integration=prod-1&q=orders", nil, 200, "held", "-shop 2")
	ann.has("GET", "/access?for=sue@example.com", nil, 200, "for sue@example.com", "-payments")
	ann.has("GET", "/access?cursor=strange", nil, 400, "This address leads nowhere")
	// The glass is offered to those who may break it, with what it means.
	w.enter("sue").has("GET", "/access/request?item="+url.QueryEscape(editPayments), nil, 200, "Break the glass")
	w.enter("sue").has("POST", "/access/request", url.Values{"item": {editPayments}, "break_glass": {"1"}, "duration": {"15m"}, "justification": {"it burns"}, "do": {"try"}}, 200, "at once, and loudly")

	bare := openLending(t, true)
	bare.enter("ann").has("GET", "/access", nil, 200, "There are no access flows yet.", "Who administers Gatehouse writes them.")
	root := bare.enter("root")
	root.has("GET", "/access", nil, 200, "Write the first one", "connect an integration")
	root.has("GET", "/access/integrations", nil, 200, "Nothing is connected yet.")
	root.has("GET", "/access/grants", nil, 200, "Nothing was lent yet.")
	root.has("GET", "/access/flows", nil, 200, "There are no flows, so nothing is lent.")
	root.has("GET", "/access/flows/versions", nil, 200, "There is no version yet.")
	root.has("GET", "/access/code", nil, 200, "All flows and bundles as code")
}

// TestInboxKeepsWhatWasTyped: a vote that is not complete comes back with its reason.
func TestInboxKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	r := w.ask("ann", "admin", "payments")
	w.ask("ann", "view", "orders")
	earlier := w.ask("ann", "edit", "search")
	if _, err := w.desk.Vote(t.Context(), earlier.ID, access.Ballot{By: w.who("sue"), Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	sue := w.enter("sue")
	path := "/access/requests/" + r.ID
	sue.has("GET", "/access/inbox", nil, 200, "Holds now (1)", "view on prod-1 / orders", "Asked before (2)", "■ denied edit on prod-1 / search", "needed to approve")
	sue.has("POST", path, url.Values{"do": {"approve"}, "version": {"1"}, "back": {"inbox"}}, 422, "wants a reason of those who agree")
	sue.has("POST", path, url.Values{"do": {"approve"}, "version": {"9"}, "reason": {"typed before"}, "back": {"inbox"}}, 409, "changed since you saw it")
	sue.has("POST", path, url.Values{"do": {"approve"}, "reason": {"looks right"}}, 200, "You agreed.", "looks right", "the owner has to agree")
	w.enter("sofia").has("POST", path, url.Values{"do": {"deny"}, "reason": {"not <today>"}, "back": {"inbox"}}, 200, "You refused it.")
	w.enter("ann").has("GET", path, nil, 200, "■ denied", "by sofia@example.com", "not <today")
	mine := w.ask("ann", "edit", "orders")
	w.enter("ann").has("POST", "/access/requests/"+mine.ID, url.Values{"do": {"cancel"}}, 200, "taken back")
}

// TestTroubleIsLoud: what cannot be taken away stands before everything else, with the
// target's words and the next try.
func TestTroubleIsLoud(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	g := w.ask("ann", "view", "payments")
	w.granted(g.Grant, access.Active)
	w.target.set(func(l *lendingTarget) { l.down = errDown })
	root := w.enter("root")
	root.has("POST", "/access/grants/"+g.Grant, url.Values{"do": {"revoke"}, "reason": {""}}, 422, "Give a reason")
	root.has("POST", "/access/grants/"+g.Grant, url.Values{"do": {"revoke"}, "reason": {"it is late"}}, 200, "Revoked.", "being taken back")
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		v, err := w.desk.GrantByID(t.Context(), w.who("root"), g.Grant)
		if err != nil || time.Now().After(end) {
			t.Fatalf("no trouble: %+v, %v", v, err)
		}
		if v.Trouble != "" {
			break
		}
	}
	root.has("GET", "/access/grants", nil, 200, "Late or failing (1)", "had to be gone", "no route to host", "next try")
	root.has("GET", "/access/grants/"+g.Grant, nil, 200, "It had to be gone", "no route to host", "goes on until it works", "by root@example.com")
	root.has("GET", "/access/grants?state=ended", nil, 200, "No grant matches.", "State ended")
	root.has("GET", "/access/grants?person=ann@example.com", nil, 200, "1 grant", "failing")
	root.has("GET", "/access/grants?cursor=x", nil, 400)
	w.target.set(func(l *lendingTarget) { l.down = nil })
	w.granted(g.Grant, access.Ended)
	root.has("GET", "/access/grants", nil, 200, "-Late or failing", "revoked")
}

func TestStoppingLending(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	g := w.ask("ann", "view", "payments")
	w.granted(g.Grant, access.Active)
	root := w.enter("root")
	root.has("GET", "/access/stop?kind=person&person=ann@example.com", nil, 200, "1 grant ends", "everything of ann@example.com", "Type ann@example.com to stop it")
	root.has("GET", "/access/stop?kind=resource&resource=namespace/payments", nil, 200, "-Type")
	form := url.Values{"kind": {"all"}, "reason": {"a laptop was lost"}, "typed": {"all"}}
	root.has("POST", "/access/stop", form, 422, `Type "everything" to stop it. Nothing was stopped.`, "1 grant ends")
	root.has("POST", "/access/stop", url.Values{"kind": {"strange"}, "typed": {""}}, 422, "Say what is to be stopped.")
	form.Set("typed", "everything")
	root.has("POST", "/access/stop", form, 200, "Stopped.", "Lending is stopped: everything.", "a laptop was lost", "Lift it…")
	w.granted(g.Grant, access.Ended)
	ann := w.enter("ann")
	ann.has("GET", "/access", nil, 200, "Lending is stopped: everything.", "-Lift it…")
	ann.has("GET", "/access/request?item="+url.QueryEscape(strings.Replace(editPayments, "/edit", "/view", 1)), nil, 200, "■ stopped", "a laptop was lost")
	ann.has("POST", "/access/request", url.Values{"item": {strings.Replace(editPayments, "/edit", "/view", 1)}, "do": {"ask"}}, 403, "a laptop was lost")
	stops, err := w.desk.Stops(t.Context(), w.who("root"))
	if err != nil || len(stops) != 1 {
		t.Fatalf("stops: %v, %v", stops, err)
	}
	path := "/access/stop/" + stops[0].ID
	ann.has("POST", path, url.Values{"reason": {"x"}}, 403)
	root.has("POST", path, url.Values{"reason": {" "}}, 422, "Say why it is lifted.")
	root.has("POST", path, url.Values{"reason": {"found it"}}, 200, "Lifted.", "-Lending is stopped")
	root.has("POST", path, url.Values{"reason": {"found it"}}, 404)
}

func TestFlowsPages(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	root := w.enter("root")
	root.has("GET", "/access/flows", nil, 200, "look around", "nobody: it grants at once", "edit on prod-1 / eks-namespace without name kube-*", "bundle shop", "group sre", "the owner and, each apart, group sre", "glass broken by group sre, for at most 30m", "version 1 by root@example.com")
	page := root.has("GET", "/access/flows/edit", nil, 200, "over version 1", "# Who may have what.")
	edit := func(text string) url.Values {
		return url.Values{"do": {"plan"}, "text": {strings.ReplaceAll(text, "\n", "\r\n")}, "base": {field(t, page, "base")}, "prune": {"1"}}
	}
	root.has("POST", "/access/flows/edit", edit("flows:\n  - name: x\n    durration: {max: 1h}\n"), 422, "wrong:", "line 3", "^", "-Apply:")
	root.has("POST", "/access/flows/edit", edit(strings.Replace(lendingFlows, "[{type: group, values: [sre]}]}]}", "[{type: group, values: [nobody]}]}]}", 1)), 200, "warning:", "the group nobody has no known members", "Apply:")
	changed := strings.Replace(lendingFlows, "max: 8h", "max: 6h", 1)
	form := edit(changed)
	page = root.has("POST", "/access/flows/edit", form, 200, "nothing is changed yet", "look around", "duration.max", "8h", "6h", "Apply: make this version 2")
	form.Set("do", "apply")
	form.Set("digest", field(t, page, "digest"))
	other := edit(strings.Replace(lendingFlows, "max: 8h", "max: 300h", 1))
	other.Set("do", "apply")
	other.Set("digest", form.Get("digest"))
	root.has("POST", "/access/flows/edit", other, 409, "not the one that the plan was shown of; nothing was applied", "300h")
	root.has("POST", "/access/flows/edit", form, 200, "Applied.", "From version 1 to 2", "duration.max", "# Who may have what.")
	root.has("POST", "/access/flows/edit", form, 409, "Somebody made version 2 meanwhile; nothing was applied.")
	root.has("POST", "/access/flows/edit", url.Values{"do": {"plan"}, "text": {changed}, "base": {"2"}, "prune": {"1"}}, 200, "nothing would change", "-Apply:")
	root.has("GET", "/access/flows/edit?version=1", nil, 200, "this is the text of version 1")
	root.has("GET", "/access/flows/edit?version=9", nil, 404)
	w.enter("ann").has("GET", "/access/flows/versions?from=0&to=1", nil, 200, "Version 1, from nothing", "● new", "-edit ")
	root.has("GET", "/access/flows/versions?to=77", nil, 404)

	test := "/access/flows/test?integration=prod-1&type=eks-namespace&resource=payments&permission=admin&justification=OPS-1"
	root.has("GET", test+"&by=ann@example.com", nil, 200, "somebody has to agree", "by flow administer", "the owner", "Sofia", "Sam", "Sue", "● answers", "does not give it", "it does not lend")
	root.has("GET", test+"&by=sue@example.com", nil, 200, "■ not given", "its requestors are group dev")
	w.enter("ann").has("GET", test+"&duration=strange", nil, 422, "strange")
	w.enter("ann").has("GET", "/access/flows/test?bundle=shop&justification=x&by=root@example.com", nil, 200, "edit on orders", "-Who asks; empty")
	root.has("GET", "/access/flows/test?bundle=none", nil, 404)

	// The text in the editor is asked alone, and is in force nowhere.
	page = root.has("GET", "/access/flows/edit", nil, 200, "Test this text")
	draft := url.Values{"text": {"# <draft>\nflows: []\n"}, "base": {field(t, page, "base")}, "do": {"test"}}
	root.has("POST", "/access/flows/test", draft, 200, "The draft answers.", "# <draft", "-The answer")
	draft.Set("integration", "prod-1")
	draft.Set("resource", "payments")
	draft.Set("permission", "view")
	draft.Set("by", "ann@example.com")
	root.has("GET", "/access/flows/test?integration=prod-1&resource=payments&permission=view&by=ann@example.com", nil, 200, "given at once", "of the flows in force, version", "-The draft answers")
	root.has("POST", "/access/flows/test", draft, 200, "of the draft", "not given", "-given at once")
	draft.Set("text", "")
	root.has("POST", "/access/flows/test", draft, 200, "of the draft", "not given")
	draft.Set("text", "flows: 7\n")
	root.has("POST", "/access/flows/test", draft, 422, "The draft answers.", "flows: 7")
	draft.Set("text", lendingFlows)
	page = root.has("POST", "/access/flows/test", draft, 200, "of the draft", "given at once", "Back to the editor")
	draft.Set("do", "plan")
	draft.Set("base", field(t, page, "base"))
	root.has("POST", "/access/flows/edit", draft, 200, "The plan")
	w.enter("ann").has("POST", "/access/flows/test", draft, 403)

	w.enter("ann").has("GET", "/access/code", nil, 200, "Gatehouse YAML", "name: change things")
	root.has("GET", "/access/code?flow=change+things&as=terraform", nil, 200, "apono_access_flow_v2", "What this text cannot say", "break_glass")
	root.has("GET", "/access/code?flow=none", nil, 404)
	root.has("GET", "/access/code?all=1", nil, 200, "cluster_name: prod-1", "name: administer")
	if status, text := root.send("GET", "/access/code?flow=administer&download=1", nil); status != 200 || !strings.HasPrefix(text, "flows:") {
		t.Errorf("the download: %d %s", status, text)
	}
}

func TestIntegrationPages(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	root := w.enter("root")
	root.has("GET", "/access/integrations", nil, 200, "prod-1", "ready, with remarks", "View as code")
	root.has("GET", "/access/integrations/new", nil, 200, "Role that people share", "Namespace", "of 400 characters")
	form := url.Values{
		"type": {"eks-rbac"}, "version": {"0"}, "name": {"prod-2"}, "config.cluster_name": {"prod-2"}, "config.region": {"us-east-1"}, "other": {"odd = 1\r\ntext = \"a\\nb\""},
		"resource_type": {"eks-namespace"}, "secret": {"kubernetes"}, "secret_namespace": {"gatehouse"}, "secret_name": {"prod-2"},
		"custom_access_details": {strings.Repeat("ö", 401)}, "owner": {"group sre\r\nuser sofia@example.com"}, "owner_tag": {"owner"}, "owner_kind": {"user"}, "cleanup": {"30"}, "do": {"preview"},
	}
	root.has("POST", "/access/integrations", form, 200, "401 of 400 characters")
	form.Set("do", "save")
	root.has("POST", "/access/integrations", form, 422, "more than 400 characters")
	form.Set("custom_access_details", "Ask <sre> first.\nThen look.")
	form.Set("cleanup", "soon")
	form.Set("owner", "sre")
	root.has("POST", "/access/integrations", form, 422, "are no number", "is no owner: write a line such as group sre")
	form.Set("cleanup", "30")
	form.Set("owner", "group sre")
	page := root.has("POST", "/access/integrations", form, 200, "Saved, and checked.", "■ not lent from", "trust-policy-session-name", "To mend:", "sts:RoleSessionName", "Ask <sre", "Kubernetes secret gatehouse/prod-2", "group sre", "tag owner names a user", "30 days after the last grant")
	if !strings.Contains(page, "data-copy=") {
		t.Error("how to mend it cannot be copied")
	}
	root.has("POST", "/access/integrations", form, 409, "Nothing was saved.")
	page = root.has("GET", "/access/integrations/prod-2/edit", nil, 200, "Settings of prod-2", "odd = 1", `text = "a\nb"`, "group sre")
	form.Set("version", field(t, page, "version"))
	form.Set("config.region", "eu-west-1")
	form.Del("config.cluster_name")
	root.has("POST", "/access/integrations", form, 422, "config.cluster_name: it is missing")
	form.Set("config.cluster_name", "prod-2")
	root.has("POST", "/access/integrations", form, 200, "ready, with remarks")
	i, err := w.desk.Integration(t.Context(), w.who("root"), "prod-2")
	if err != nil || i.Version != 2 || i.Config["text"] != "a\nb" || i.Config["region"] != "eu-west-1" || len(i.ResourceTypes) != 1 || i.CleanupDays != 30 || i.Secret.Kubernetes.Name != "prod-2" {
		t.Errorf("saved: %+v, %v", i, err)
	}

	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"discover"}}, 200, "Discovery", "by root@example.com")
	root.until("/access/integrations/prod-2", "● done", "4 resources", "Resources (4)", "kube-system")
	root.has("GET", "/access/integrations/prod-2?q=pay", nil, 200, "payments", "-kube-system", "Resources (1)")
	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"check"}}, 200, "Check")
	root.until("/access/integrations/prod-2", "3 checks, none failed")
	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"strange"}}, 400)
	w.target.set(func(l *lendingTarget) { l.down = errDown })
	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"discover"}}, 200, "Discovery")
	root.until("/access/integrations/prod-2", "■ failed", "no route to host")
	w.target.set(func(l *lendingTarget) { l.down = nil; l.objects["eve:x:y"] = []string{"gunknown"} })
	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"reconcile"}}, 200, "Comparison")
	root.until("/access/integrations/prod-2", "1 difference, of which 1 somebody has to mend", "Differs from what is lent", "orphan", "RoleBinding eve:x:y")

	page = root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"plan"}}, 200, "What connecting changes", "add role apono-k8s-access", "rolearn", "Change ConfigMap aws-auth of prod-2")
	connect := url.Values{"do": {"connect"}, "shown": {field(t, page, "shown")}}
	w.target.set(func(l *lendingTarget) { l.foreign = true })
	root.has("POST", "/access/integrations/prod-2", connect, 422, "has changed since this was shown; nothing was done", "somebody else was here")
	w.target.set(func(l *lendingTarget) { l.foreign = false })
	root.has("POST", "/access/integrations/prod-2", connect, 200, "Connected, and checked.")
	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"plan"}}, 200, "Nothing has to be changed: it is connected.")

	root.has("GET", "/access/code?integration=prod-2", nil, 200, "name: prod-2", "secret_store")
	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"remove"}, "typed": {"prod-1"}, "version": {"2"}}, 422, "nothing was removed")
	g := w.ask("ann", "view", "payments")
	w.granted(g.Grant, access.Active)
	root.has("GET", "/access/integrations/prod-1", nil, 200, "1 grant is not ended", "-Type prod-1 to remove it")
	root.has("POST", "/access/integrations/prod-1", url.Values{"do": {"remove"}, "typed": {"prod-1"}, "version": {"1"}}, 409, "1 grant is not ended")
	root.has("POST", "/access/integrations/prod-2", url.Values{"do": {"remove"}, "typed": {"prod-2"}, "version": {"2"}}, 200, "The integration was removed.", "-prod-2")
}

func TestLendingFormsComeFromHere(t *testing.T) {
	t.Parallel()
	w := openLending(t, false)
	r := w.ask("ann", "edit", "payments")
	sam := w.enter("sam")
	sam.header = map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
	if status, _ := sam.send("POST", "/access/requests/"+r.ID, url.Values{"do": {"approve"}}); status != 403 {
		t.Errorf("another site's vote answers %d", status)
	}
	if v, err := w.desk.RequestByID(t.Context(), w.who("ann"), r.ID); err != nil || v.State != access.Pending {
		t.Errorf("the request: %+v, %v", v, err)
	}
	if apitest.Hostile == "" {
		t.Error("the names of the world are harmless")
	}
}
