package dashboard_test

import (
	"bufio"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/logging"
)

// TestLoggingIsSwitchedFromThePages is the whole way of an admin without JavaScript:
// choose, read the plan, confirm, see the estate change, and put it back.
func TestLoggingIsSwitchedFromThePages(t *testing.T) {
	t.Parallel()
	w := openSwitching(t, identity.Admin, "orders")
	if page := w.page("/estate"); !strings.Contains(page, `name="of" value="`+ordersProd+`"`) || !strings.Contains(page, `action="/logging"`) {
		t.Error("the estate offers no choice of stages")
	}
	if page := w.page("/estate?view=tree"); !strings.Contains(page, `name="of" value="`+ordersProd+`"`) || !strings.Contains(page, `value="`+loggedAccount+`"`) {
		t.Error("the tree offers no choice of stages")
	}
	w.says("/logging", "orders", "ERROR", "none: HTTP API", "all 2 stages", "5 stages", "Nothing was switched yet.")
	chosen := w.page("/logging?of=" + url.QueryEscape(ordersProd))
	if strings.Count(chosen, ` checked aria-label="Choose`) != 1 || strings.Contains(chosen, "catalog") {
		t.Error("what was chosen on the estate page is not what is shown and checked")
	}

	plan := w.plan(enabling(ordersProd, loggedAccount+"/"+loggedRegion+"/theirs1"))
	w.says(plan, "ERROR", "→ INFO + data trace", "execution logs of /pets/GET", "IAM role", logging.DefaultRole, "kept 14 days", "API Gateway's CloudWatch role",
		"What will not change", "theirs/prod", "logs all that was asked for already", "in a format of their own", "a million calls costs at most", "Assumed:", "10 a second in an account", "make these")
	if st, _ := w.region(loggedAccount).Stage("rest1", "prod"); st.LoggingLevel != "ERROR" {
		t.Fatal("looking at a plan changed something")
	}
	run := w.carryOut(plan)
	w.says(run, "done", "0 failed", "→ INFO + data trace", "somebody not signed in", "Plan to put it back")
	if st, _ := w.region(loggedAccount).Stage("rest1", "prod"); st.LoggingLevel != "INFO" || !st.DataTrace || st.MethodSettings["~1pets/GET"].LoggingLevel != "INFO" {
		t.Errorf("rest1/prod: %+v", st)
	}
	if st, _ := w.region(loggedAccount).Stage("rest1", "dev"); st.LoggingLevel == "INFO" {
		t.Error("a stage that was not chosen was switched")
	}
	w.says("/estate?q=orders", "INFO + data trace")
	w.says("/logging", "INFO + data trace", "Gatehouse's", "kept 14 days", "switched", "enable", "somebody not signed in")

	back := w.plan(url.Values{"run": {run[len("/logging/runs/"):]}, "do": {"undo"}})
	w.says(back, "Put logging back", "INFO + data trace", "→ ERROR")
	w.says(w.carryOut(back), "done", "0 failed")
	if st, _ := w.region(loggedAccount).Stage("rest1", "prod"); st.LoggingLevel != "ERROR" || st.DataTrace || st.AccessFormat != "" || st.MethodSettings["~1pets/GET"].LoggingLevel != "OFF" {
		t.Errorf("what was there is not back: %+v", st)
	}

	destroy := w.plan(url.Values{"command": {"destroy"}, "all": {"1"}})
	w.says(destroy, "removed", "Delete what Gatehouse made")
	res, text := w.post("/logging/runs", url.Values{"digest": {between(t, w.page(destroy), `name="digest" value="`, `"`)}})
	if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(words(text), "Say that the logs may be deleted") {
		t.Errorf("removing without saying so answers %d", res.StatusCode)
	}
	w.carryOut(destroy, "sure", "1")
	if _, ok := w.sim.Account(loggedAccount).Role(logging.DefaultRole); ok {
		t.Error("the role was left behind")
	}
	w.says("/logging", "destroy", "disable", "enable")
	if got := strings.Count(w.page("/logging"), `href="/logging/runs/`); got != 3 {
		t.Errorf("the history has %d runs", got)
	}
}

// TestLoggingSelection: what the boxes and the filter of the form mean.
func TestLoggingSelection(t *testing.T) {
	t.Parallel()
	w := openSwitching(t, identity.Viewer, "orders")
	account, region := loggedAccount, loggedAccount+"/"+loggedRegion
	for name, c := range map[string]struct {
		form url.Values
		want string // stages of the plan
	}{
		"a stage":                     {enabling(ordersProd), "in 1 stage"},
		"an API":                      {enabling(region + "/rest1"), "in 2 stages"},
		"an account":                  {enabling(account), "in 4 stages"},
		"two accounts":                {enabling(account, otherAccount+"/"+loggedRegion), "in 5 stages"},
		"an account, filtered":        {with(enabling(account), "type", "HTTP"), "in 2 stages"},
		"all":                         {with(enabling(), "all", "1"), "in 5 stages"},
		"all that are not logged":     {with(enabling(), "all", "1", "coverage", string(estate.CoverageNone)), "in 3 stages"},
		"all that match a word":       {with(enabling(), "all", "1", "q", "CHAT"), "in 1 stage"},
		"an account of what is shown": {with(enabling(account), "chosen", ordersProd), "in 1 stage"},
		"all of what is shown":        {with(enabling(), "all", "1", "chosen", ordersProd), "in 1 stage"},
	} {
		if got := w.text(w.plan(c.form)); !strings.Contains(got, c.want+" ") {
			t.Errorf("%s: the plan is not %s", name, c.want)
		}
	}
	for name, c := range map[string]struct {
		form url.Values
		want string
	}{
		"nothing chosen":      {enabling(), "Choose stages first"},
		"nothing matches":     {with(enabling(), "all", "1", "q", "nothing-like-this"), "none matches the filter"},
		"a strange retention": {with(enabling(account), "retention", "8"), "CloudWatch Logs takes"},
		"no number":           {with(enabling(account), "retention", "long"), "CloudWatch Logs takes"},
		"a strange key":       {with(enabling(account), "kms_key", "alias/x"), "wants the ARN of a KMS key"},
		"a strange command":   {with(enabling(account), "command", "explode"), "none of enable, disable, destroy"},
	} {
		if res, text := w.post("/logging/plan", c.form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, c.want) {
			t.Errorf("%s answers %d without %q", name, res.StatusCode, c.want)
		}
	}
}

// with returns a form with more fields.
func with(v url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestLoggingIsSwitchedByAdminsAlone(t *testing.T) {
	t.Parallel()
	w := openSwitching(t, identity.Viewer, "orders")
	plan := w.plan(enabling(ordersProd))
	page := w.page(plan)
	if strings.Contains(page, `action="/logging/runs"`) || !strings.Contains(words(page), "needs the role admin") {
		t.Error("a viewer is offered to switch")
	}
	digest := url.Values{"digest": {strings.TrimPrefix(plan, "/logging/plan/")}}
	if res, _ := w.post("/logging/runs", digest); res.StatusCode < 400 {
		t.Errorf("a viewer's run answers %d", res.StatusCode)
	}
	bearer := []string{"Authorization", "Bearer " + token}
	if res, _ := w.post("/logging/runs", digest, append(bearer, "Sec-Fetch-Site", "cross-site")...); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", res.StatusCode)
	}
	if w.desk.Current() != nil || len(runsOf(t, w)) != 0 {
		t.Fatal("somebody switched who may not")
	}
	res, _ := w.post("/logging/runs", digest, bearer...)
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("an admin's run answers %d", res.StatusCode)
	}
	id := res.Header.Get("Location")[len("/logging/runs/"):]
	w.ended(id)
	if runs := runsOf(t, w); len(runs) != 1 || runs[0].Who != "admin token" {
		t.Errorf("runs: %+v", runs)
	}
	for path, want := range map[string]int{
		"/logging/plan/" + strings.Repeat("0", 64): http.StatusNotFound, "/logging/runs/none": http.StatusNotFound, "/logging/runs/none/stream": http.StatusNotFound,
	} {
		if res, _ := w.get(path); res.StatusCode != want {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
	without := open(t, apitest.Rich(now))
	if res, text := without.get("/logging"); res.StatusCode != http.StatusNotFound || strings.Contains(text, `href="/logging"`) {
		t.Errorf("without a desk the page answers %d", res.StatusCode)
	}
	if strings.Contains(without.page("/estate"), `name="of"`) {
		t.Error("without a desk the estate offers a choice")
	}
}

func runsOf(t *testing.T, w *switching) []logging.Past {
	t.Helper()
	runs, err := w.desk.History(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// TestStalePlanShowsWhatChanged: once by the last discovery, once by the run itself.
func TestStalePlanShowsWhatChanged(t *testing.T) {
	t.Parallel()
	w := openSwitching(t, identity.Admin, "orders")
	plan := w.plan(enabling(loggedAccount))
	digest := url.Values{"digest": {strings.TrimPrefix(plan, "/logging/plan/")}}
	w.region(loggedAccount).ChangeStage("rest1", "prod", func(st *awssim.Stage) { st.LoggingLevel = "OFF" })
	run := w.carryOut(plan)
	w.says(run, "refused", "What is not as it was shown", "ERROR → INFO + data trace", "OFF → INFO + data trace", "The plan as it is now")
	if st, _ := w.region(loggedAccount).Stage("rest1", "prod"); st.LoggingLevel != "OFF" {
		t.Errorf("a stale plan changed %+v", st)
	}
	res, text := w.post("/logging/runs", digest)
	if got := html.UnescapeString(words(text)); res.StatusCode != http.StatusConflict || !strings.Contains(got, "Nothing was changed") || !strings.Contains(got, "ERROR → INFO + data trace") {
		t.Errorf("a plan known to be stale answers %d", res.StatusCode)
	}
	fresh := between(t, text, `name="digest" value="`, `"`)
	if fresh == digest.Get("digest") {
		t.Fatal("the plan that is shown then is the stale one")
	}
	w.says(w.carryOut("/logging/plan/"+fresh), "done", "0 failed")
}

// TestInterruptedRunIsResumedOrUndone: the journal of a process that was killed in the
// middle has a beginning without an end.
func TestInterruptedRunIsResumedOrUndone(t *testing.T) {
	t.Parallel()
	w := openSwitching(t, identity.Admin, "orders")
	request := logging.Request{Command: logging.Enable, EnableOptions: logging.DefaultEnable()}
	request.Places = []string{ordersProd}
	key := logging.Key{Account: loggedAccount, Region: loggedRegion, Kind: logging.KindExecution, Subject: "rest1/prod", Part: "*/*"}
	err := w.store.SaveLogging(t.Context(), &logging.Changes{
		Put: []logging.Record{{Key: key, APIType: "REST", API: "rest1", APIName: "orders", Stage: "prod", Before: "ERROR", After: "INFO+trace", Who: "bob@laptop"}},
		Log: []logging.Entry{
			{At: time.Now(), Who: "bob@laptop", Command: "enable", Key: logging.Key{Kind: logging.KindRun, Subject: "killed"}, Outcome: logging.Intended, Run: "killed", Summary: &logging.Summary{Planned: 5, Request: &request}},
			{At: time.Now(), Who: "bob@laptop", Command: "enable", Key: key, From: "ERROR", To: "INFO+trace", Outcome: logging.Intended, Run: "killed"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.says("/logging", "The last run did not end well", "bob@laptop", "Plan to go on", "Plan to undo", "has no end", "◐ unfinished")
	w.says("/logging/runs/killed", "has no end", "bob@laptop", "begun", "execution logs", "Plan to go on")
	w.says(w.plan(url.Values{"run": {"killed"}, "do": {"undo"}}), "Put logging back")
	w.says(w.carryOut(w.plan(url.Values{"run": {"killed"}, "do": {"resume"}})), "done", "0 failed")
	if strings.Contains(w.page("/logging"), "did not end well") {
		t.Error("it is still said after the run was finished")
	}
	if res, _ := w.post("/logging/plan", url.Values{"run": {"never"}, "do": {"resume"}}); res.StatusCode != http.StatusNotFound {
		t.Errorf("a run that never was answers %d", res.StatusCode)
	}
}

// TestRunIsFollowed reads the stream of a run from its beginning to its end.
func TestRunIsFollowed(t *testing.T) {
	t.Parallel()
	w := openSwitching(t, identity.Admin, apitest.Hostile)
	slow := w.sim.Inject(awssim.Fault{Kind: awssim.Slow, Operation: "UpdateStage", Delay: 400 * time.Millisecond})
	defer w.sim.RemoveFault(slow)
	plan := w.plan(with(enabling(), "all", "1"))
	if strings.Contains(w.page(plan), "<script>alert") || strings.Contains(w.page("/logging"), "<script>alert") {
		t.Error("an API's name is a script")
	}
	res, _ := w.post("/logging/runs", url.Values{"digest": {strings.TrimPrefix(plan, "/logging/plan/")}})
	run := res.Header.Get("Location")
	page := w.page(run)
	stream := between(t, page, `data-follow="`, `"`)
	if !strings.Contains(page, "<noscript>") {
		t.Error("without JavaScript the page does not say how to go on")
	}
	for id := run[len("/logging/runs/"):]; ; {
		now, changed, err := w.desk.Follow(id)
		if err != nil {
			t.Fatal(err)
		}
		if now.State == logging.Switching && now.Progress.Done > 0 {
			break
		}
		<-changed
	}
	w.says("/logging", "is switching now", "goes on")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+stream, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("the stream is %q", got)
	}
	parts, ended, last := 0, "", ""
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch text := lines.Text(); {
		case text == "event: part":
			parts++
		case text == "event: end":
			ended = "next"
		case strings.HasPrefix(text, "data: ") && ended == "next":
			ended = strings.TrimPrefix(text, "data: ")
		case strings.HasPrefix(text, "data: "):
			last = text
		}
	}
	if parts < 2 || ended != "done" || !strings.Contains(html.UnescapeString(last), "INFO + data trace") || strings.Contains(last, "<script>alert") {
		t.Errorf("%d parts, ended as %q, the last says %s", parts, ended, words(last))
	}
	if strings.Contains(w.page(run), "data-follow") {
		t.Error("a run that has ended is still followed")
	}
}
