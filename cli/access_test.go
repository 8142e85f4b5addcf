package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

// Ask, agree, use, give back.
func TestAccessFromAskingToGivingBack(t *testing.T) {
	w := newLendWorld(t)
	var asked result
	w.must("rosa", &asked, "access", "request", "-i", "blue", "-r", "payments", "-p", "role:edit", "-d", "30m", "-j", "INC-1", "--no-wait")
	if asked.Request.State != access.Pending || asked.Request.DurationSeconds != 1800 || asked.Request.Items[0].Resource != "namespace/payments" {
		t.Fatalf("asked: %+v", asked.Request)
	}
	id := asked.Request.ID
	wants(t, "rosa's list", w.must("rosa", nil, "access", "list").out, id, "pending", "role:edit on blue / payments", "INC-1")
	wants(t, "rosa's inbox", w.must("rosa", nil, "access", "list", "--inbox").out, "nothing waits")
	wants(t, "amir's inbox", w.must("amir", nil, "access", "list", "--inbox").out, id, "Rosa.Diaz@example.com")
	if s := w.as("rosa", "", "access", "approve", id); s.status != 1 || !strings.Contains(s.err, "needs the role approver") {
		t.Errorf("rosa approves her own: %+v", s)
	}
	wants(t, "approving", w.must("amir", nil, "access", "approve", id, "--reason", "ok").err, "agreed to "+id, "approved, grant g")
	if s := w.as("amir", "", "access", "deny", id); s.status != 1 || !strings.Contains(s.err, "decided already") {
		t.Errorf("denying what is approved: %+v", s)
	}
	grant := "g" + id[1:]
	shown := w.becomes("rosa", grant, access.Active)
	wants(t, "the grant", shown, "role:edit on blue / payments", "Mind the batch jobs.", "role_session_name = Rosa.Diaz@example.com", "aws sts assume-role")
	if strings.Contains(shown, "get-token\n          - \"--role-arn") {
		t.Errorf("the details give --role-arn to get-token:\n%s", shown)
	}
	wants(t, "the request", w.must("rosa", nil, "access", "show", id).out, "approved", "Amir <amir@example.com> agreed", grant)
	if s := w.as("vera", "", "access", "show", grant); s.status != 1 || strings.Contains(s.err, "payments") {
		t.Errorf("a viewer looks at it: %+v", s)
	}
	wants(t, "returning", w.must("rosa", nil, "access", "return", grant).err, grant+" of Rosa.Diaz@example.com is")
	w.becomes("rosa", grant, access.Ended)
	wants(t, "what is left", w.must("rosa", nil, "access", "list").out, "nothing is lent")
	wants(t, "what was", w.must("rosa", nil, "access", "list", "--ended").out, grant, "returned")
	if s := w.as("rosa", "", "access", "extend", grant); s.status != 1 || !strings.Contains(s.err, "has ended") {
		t.Errorf("extending what has ended: %+v", s)
	}
}

// becomes waits for a state of a grant and returns what is shown of it.
func (w *lendWorld) becomes(person, grant string, state access.GrantState) string {
	w.t.Helper()
	for range 400 {
		if s := w.must(person, nil, "access", "show", grant); strings.Contains(s.out, "state   "+string(state)) || strings.Contains(s.out, string(state)+"\n") {
			return s.out
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("grant %s does not become %s:\n%s", grant, state, w.must(person, nil, "access", "show", grant).out)
	return ""
}

// A request that nobody has to agree to is followed until it is there.
func TestAccessRequestWaits(t *testing.T) {
	w := newLendWorld(t)
	s := w.must("rosa", nil, "access", "request", "-i", "blue", "-r", "search", "-p", "role:view")
	wants(t, "the progress", s.err, "Request r", "ready until")
	wants(t, "the result", s.out, "active", "role:view on blue / search", "# ~/.aws/config")
	var got result
	w.must("rosa", &got, "access", "request", "-b", "Kit", "-d", "1h")
	if got.Grant == nil || got.Grant.State != access.Active || len(got.Grant.Items) != 3 || got.Details == nil {
		t.Errorf("the bundle: %+v", got.Grant)
	}
	// An extension that the flow gives by itself.
	w.must("rosa", &got, "access", "extend", got.Grant.ID, "-d", "20m")
	if got.Grant.DurationSeconds != 80*60 || got.Request.Extends != got.Grant.ID {
		t.Errorf("the extension: %+v", got.Grant)
	}
	if s := w.as("rosa", "", "access", "extend", got.Grant.ID); s.status != 1 || !strings.Contains(s.err, "1 time") {
		t.Errorf("a second extension: %+v", s)
	}
	// Break-glass: at once, for those who may alone.
	w.must("amir", &got, "access", "request", "-i", "blue", "-r", "search", "-p", "role:edit", "-j", "all is down", "--break-glass", "-d", "10m")
	if !got.Grant.BreakGlass || got.Grant.State != access.Active {
		t.Errorf("the broken glass: %+v", got.Grant)
	}
	if s := w.as("rosa", "", "access", "request", "-i", "blue", "-r", "search", "-p", "role:edit", "-j", "x", "--break-glass"); s.status != 1 {
		t.Errorf("rosa breaks the glass: %+v", s)
	}
	// Who agreed, owns or administers takes it back.
	if s := w.as("rosa", "", "access", "revoke", got.Grant.ID, "--reason", "x"); s.status != 1 {
		t.Errorf("rosa revokes amir's: %+v", s)
	}
	wants(t, "revoking", w.must("sofia", nil, "access", "revoke", got.Grant.ID, "--reason", "over").err, got.Grant.ID+" of amir@example.com is")
	w.becomes("sofia", got.Grant.ID, access.Ended)
}

func TestAccessRequestThatDoesNotCome(t *testing.T) {
	w := newLendWorld(t)
	// Nobody answers.
	s := w.as("rosa", "", "access", "request", "-i", "blue", "-r", "payments", "-p", "role:edit", "-j", "x", "--timeout", "100ms")
	wants(t, "the timeout", s.err, "waiting for", "amir@example.com", "is not done after 100ms: it stays, and is pending", "gatehouse access cancel r")
	if s.status != 1 || s.out != "" {
		t.Errorf("the timeout: %+v", s)
	}
	// The target is down: the trouble is shown, and the access comes once it is up.
	w.cluster.mu.Lock()
	w.cluster.down = true
	w.cluster.mu.Unlock()
	s = w.as("rosa", "", "access", "request", "-i", "blue", "-r", "payments", "-p", "role:view", "--timeout", "1500ms")
	wants(t, "the trouble", s.err, "being put in place", "connection refused", "grant g")
	if s.status != 1 {
		t.Errorf("the target is down: %+v", s)
	}
	w.cluster.mu.Lock()
	w.cluster.down = false
	w.cluster.mu.Unlock()
	w.must("rosa", nil, "access", "request", "-i", "blue", "-r", "payments", "-p", "role:view")
	// Somebody refuses while it waits.
	answered := make(chan ended, 1)
	token := w.tokens["amir"]
	go func() {
		c := &client{server: w.srv.URL, token: token, http: w.srv.Client()}
		for range 300 {
			page, err := c.requests(context.Background(), map[string][]string{"inbox": {"true"}}, 10)
			for _, r := range page {
				if err == nil && r.Justification == "refuse me" {
					_, err = c.do(context.Background(), "POST", at("requests", r.ID, "votes"), map[string]any{"approve": false, "reason": "not \x1b[31mtoday"}, nil)
					answered <- ended{err: errText(err)}
					return
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		answered <- ended{err: "it never came"}
	}()
	s = w.as("rosa", "", "access", "request", "-i", "blue", "-r", "payments", "-p", "role:edit", "-j", "refuse me")
	if a := <-answered; a.err != "" {
		t.Fatal(a.err)
	}
	if s.status != 1 || !strings.Contains(s.err, "was denied by amir@example.com: not ?[31mtoday") {
		t.Errorf("a refusal: %+v", s)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAccessDryRun(t *testing.T) {
	w := newLendWorld(t)
	s := w.must("rosa", nil, "access", "request", "-i", "blue", "-r", "payments", "-p", "role:edit", "-j", "x", "--dry-run")
	wants(t, "the dry run", s.out, "would be asked for 1h, by flow change", "has to agree: group sre", "can agree now: amir@example.com")
	s = w.as("rosa", "", "access", "request", "-i", "blue", "-r", "payments", "-p", "role:view", "-d", "9h", "--dry-run")
	if s.status != 1 || !strings.Contains(s.out, "would be refused") || !strings.Contains(s.err, "no access flow gives this") {
		t.Errorf("a refusal: %+v", s)
	}
	var e api.AccessExplanation
	w.must("rosa", &e, "access", "request", "-b", "Kit", "--dry-run")
	if len(e.Items) != 3 || e.Terms.Flow != "look" {
		t.Errorf("the bundle: %+v", e)
	}
	wants(t, "the list after it", w.must("rosa", nil, "access", "list").out, "nothing is lent and nothing is asked for")
	// What cannot be: said by the server, one line, with the reasons.
	s = w.as("vera", "", "access", "request", "-b", "Kit", "--no-wait")
	if s.status != 1 || !strings.Contains(s.err, "needs the role requester") {
		t.Errorf("a viewer asks: %+v", s)
	}
	s = w.as("amir", "", "access", "request", "-i", "blue", "-r", "payments", "-p", "role:view", "--no-wait")
	if s.status != 1 || !strings.Contains(s.err, "no access flow gives this; ") {
		t.Errorf("amir asks for what is not his: %+v", s)
	}
	wants(t, "the catalog", w.must("rosa", nil, "access", "catalog", "payments").out, "namespace/payments-batch", "role:edit", "group sre", "nobody")
	wants(t, "the whole catalog", w.must("rosa", nil, "access", "catalog").out, "bundle", "Kit", "prod/GET/orders")
}

func TestAccessUsage(t *testing.T) {
	w := newLendWorld(t)
	for _, c := range []struct {
		args string
		want string
	}{
		{"access request", "say what you ask for"},
		{"access request -b Kit -i blue", "not both"},
		{"access request -b Kit -d 1fortnight", "--duration"},
		{"access request -b Kit -d 1500ms", "whole number of seconds"},
		{"access request -b Kit --timeout -1s", "negative"},
		{"access request -b Kit -o yaml", "table or -o json"},
		{"access approve", "takes the ids of requests"},
		{"access approve g123", "is not the id of a request"},
		{"access revoke gabc", "say why"},
		{"access revoke rabc --reason x", "is not the id of a grant"},
		{"access show 17", "neither a request nor a grant"},
		{"access panic --reason x", "say what to take back"},
		{"access panic --everything", "say why"},
		{"access panic --everything --reason x", "give --yes"},
		{"access panic --resource x --reason x", "--integration"},
		{"access creds", "name an integration"},
		{"access creds a b", "takes the name of an integration"},
		{"access creds a -i b", "named twice"},
		{"access list extra", "takes no arguments"},
		{"access list --inbox --all", "--inbox and --all: give one of them"},
		{"access panic --everything --person x --reason x", "--person and --everything"},
		{"access kubeconfig --alias a/b", "--alias"},
		{"flow test -b Kit", "--by"},
		{"flow export --as cobol", "--as yaml"},
		{"flow apply x.yaml", "give --yes"},
		{"integration apply x.yaml", "give --yes"},
		{"integration connect blue", "give --yes"},
		{"integration delete blue", "give --yes"},
		{"integration check", "takes the name of an integration"},
	} {
		if s := w.as("rosa", "", strings.Fields(c.args)...); s.status != 2 || !strings.Contains(s.err, c.want) || s.out != "" {
			t.Errorf("%s: %d %q %q, want 2 and %q", c.args, s.status, s.out, s.err, c.want)
		}
	}
}

func TestAccessAsksWhatIsLeftOut(t *testing.T) {
	w := newLendWorld(t)
	for name, c := range map[string]struct {
		typed  string
		args   []string
		want   string // in what is shown
		status int
		items  int
	}{
		// bundle Kit, blue, orders; the filter, then the second of what is left.
		"by filter and number": {"2\npayments\n2\n2\n15m\nINC-2\ny\n", nil, "role:edit on blue / payments-batch", 0, 1},
		"several":              {"2\n1,3\n1\n\nINC-2\n\n", nil, "would be given at once for 10m", 0, 2},
		"a bundle":             {"kit\n1h\n\ny\n", nil, "bundle Kit", 0, 3},
		"mistakes are asked again": {
			"9\n1,2\n2\nnothing like it\n\n3\n2\n3 fortnights\n99d\n10m\nwhy not\nmaybe\ny\n", nil, "It is lent for at most 1h.", 0, 1,
		},
		"one permission needs no question": {"orders\n10m\n\ny\n", nil, "invoke on orders / prod/GET/orders", 0, 1},
		"what flags say is not asked":      {"1\n10m\ny\n", []string{"-i", "blue", "-r", "search", "-j", "x"}, "by flow look", 0, 1},
		"no":                               {"1\n10m\n\nn\n", nil, "nothing was asked for", 1, 0},
		"the input ends":                   {"2\n1\n", nil, "the input ended", 1, 0},
		"not offered":                      {"", []string{"-i", "blue", "-r", "kube-system"}, "no access flow gives this on kube-system of blue", 1, 0},
	} {
		s := w.as("rosa", c.typed, append([]string{"access", "request", "--interactive", "--no-wait", "-o", "json"}, c.args...)...)
		if s.status != c.status || !strings.Contains(s.err, c.want) {
			t.Errorf("%s: %d, want %d and %q:\n%s", name, s.status, c.status, c.want, s.err)
			continue
		}
		if c.items == 0 {
			continue
		}
		var got result
		if err := json.Unmarshal([]byte(s.out), &got); err != nil || len(got.Request.Items) != c.items {
			t.Errorf("%s: asked for %+v, %v", name, got.Request, err)
		}
	}
	if s := w.as("amir", "", "access", "request", "--interactive", "-i", "orders"); s.status != 1 || !strings.Contains(s.err, "no access flow gives this on orders") {
		t.Errorf("amir asks for an API: %+v", s)
	}
}

func TestAccessPanic(t *testing.T) {
	w := newLendWorld(t)
	var got result
	w.must("rosa", &got, "access", "request", "-b", "Kit")
	if s := w.as("amir", "", "access", "panic", "--everything", "--reason", "x", "--yes"); s.status != 1 || !strings.Contains(s.err, "needs the role admin") {
		t.Errorf("amir panics: %+v", s)
	}
	wants(t, "panic", w.must("sofia", nil, "access", "panic", "--person", "Rosa.Diaz@example.com", "--reason", "stolen", "--yes").out, "1 grant on the way out")
	w.becomes("sofia", got.Grant.ID, access.Ended)
	if s := w.as("rosa", "", "access", "request", "-b", "Kit"); s.status != 1 || !strings.Contains(s.err, "lending is stopped here") {
		t.Errorf("asking under a stop: %+v", s)
	}
	var stops []access.Stop
	w.must("sofia", &stops, "access", "stops")
	if len(stops) != 1 || stops[0].Reason != "stolen" {
		t.Fatalf("stops: %+v", stops)
	}
	wants(t, "lifting", w.must("sofia", nil, "access", "lift", stops[0].ID).err, "is lifted")
	w.must("rosa", &got, "access", "request", "-b", "Kit")
}

// The SDK reads standard output: credentials and nothing else, or nothing at all.
func TestAccessCreds(t *testing.T) {
	w := newLendWorld(t)
	s := w.as("rosa", "", "access", "creds", "orders")
	if s.status != 1 || s.out != "" || !strings.Contains(s.err, "you hold nothing on orders") || !strings.Contains(s.err, "access request -i orders") {
		t.Errorf("without a grant: %+v", s)
	}
	var got result
	w.must("rosa", &got, "access", "request", "-i", "orders", "-r", "prod/GET/orders", "-p", "invoke")
	before := filesUnder(t, w.home)
	s = w.as("rosa", "", "access", "creds", "orders")
	var creds map[string]any
	if err := json.Unmarshal([]byte(s.out), &creds); err != nil || s.status != 0 || s.err != "" {
		t.Fatalf("credentials: %+v, %v", s, err)
	}
	if creds["Version"] != 1.0 || creds["AccessKeyId"] != "ASIAEXAMPLER" || creds["SecretAccessKey"] != "secret" || creds["SessionToken"] != "token" || len(creds) != 5 {
		t.Errorf("credentials: %v", creds)
	}
	if end, err := time.Parse(time.RFC3339, creds["Expiration"].(string)); err != nil || time.Until(end) > 11*time.Minute {
		t.Errorf("they end at %v, %v", creds["Expiration"], err)
	}
	if after := filesUnder(t, w.home); len(after) != len(before) {
		t.Errorf("files were left: %v", after)
	}
	if s := w.as("rosa", "", "access", "creds", "--integration", "orders", "--grant", got.Grant.ID); s.status != 0 || !strings.HasPrefix(s.out, `{"Version":1,`) {
		t.Errorf("by flags: %+v", s)
	}
	for _, args := range [][]string{{"creds", "blue"}, {"creds", "nowhere"}, {"creds", "orders", "--grant", "gnone"}} {
		if s := w.as("rosa", "", append([]string{"access"}, args...)...); s.status != 1 || s.out != "" || s.err == "" {
			t.Errorf("%v: %+v", args, s)
		}
	}
	w.must("rosa", nil, "access", "return", got.Grant.ID)
	if s := w.as("rosa", "", "access", "creds", "orders"); s.status != 1 || s.out != "" {
		t.Errorf("after it was given back: %+v", s)
	}
}

func filesUnder(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
