package slack_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/slack"
)

// told gives what the person was shown, after all that was clicked is done.
func (d *desk) told() []string {
	d.stop()
	var out []string
	for _, form := range d.took("chat.postEphemeral") {
		out = append(out, form.Get("user")+": "+form.Get("text"))
	}
	return out
}

func TestDecide(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if rec := d.interact(clicked("UALICE", "approve:0", "req-1")); rec.Code != http.StatusOK || rec.Body.Len() != 0 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if diff := cmp.Diff([]string{"UALICE: Approved."}, d.told()); diff != "" {
		t.Error(diff)
	}
	// The address is that of Slack's API; the names in the payload say otherwise.
	want := []slack.Decision{{RequestID: "req-1", Action: notify.Approve, Email: "alice@example.com", SlackUserID: "UALICE"}}
	if diff := cmp.Diff(want, d.decider.decisions()); diff != "" {
		t.Error(diff)
	}
}

func TestDecideWithAReason(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if rec := d.interact(clicked("UALICE", "deny:reason:1", "req-1")); rec.Code != http.StatusOK {
		t.Fatal(rec.Code)
	}
	var view struct {
		TriggerID string `json:"trigger_id"`
		View      struct {
			CallbackID      string `json:"callback_id"`
			PrivateMetadata string `json:"private_metadata"`
			Title           struct{ Text string }
		}
	}
	for range 200 { // it is opened by a worker
		if got := d.took("views.open"); len(got) == 1 {
			if err := json.Unmarshal([]byte(got[0].Get("json")), &view); err != nil {
				t.Fatal(err)
			}
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if view.TriggerID == "" || len(view.View.Title.Text) > 24 || len(d.decider.decisions()) != 0 {
		t.Fatalf("the dialog is %+v", view)
	}
	submit := func(reason any) string {
		b, _ := json.Marshal(map[string]any{
			"type": "view_submission", "user": map[string]any{"id": "UALICE"},
			"view": map[string]any{
				"callback_id": view.View.CallbackID, "private_metadata": view.View.PrivateMetadata,
				"state": map[string]any{"values": map[string]any{"reason": map[string]any{"reason": map[string]any{"type": "plain_text_input", "value": reason}}}},
			},
		})
		return string(b)
	}
	for _, empty := range []any{"", "  \n ", "\u200b", nil} {
		if rec := d.interact(submit(empty)); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), `"response_action":"errors"`) {
			t.Errorf("%q: %d %s", empty, rec.Code, rec.Body)
		}
		d.clock.Add(int64(time.Second)) // the same again a second later
	}
	if rec := d.interact(submit(strings.Repeat("x", 1001))); rec.Code != http.StatusBadRequest {
		t.Errorf("a reason that is too long: %d", rec.Code)
	}
	if rec := d.interact(submit("not on Friday\x00")); rec.Code != http.StatusOK || rec.Body.Len() != 0 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if diff := cmp.Diff([]string{"UALICE: Denied."}, d.told()); diff != "" {
		t.Error(diff)
	}
	want := []slack.Decision{{RequestID: "req-1", Action: notify.Deny, Email: "alice@example.com", SlackUserID: "UALICE", Reason: "not on Friday"}}
	if diff := cmp.Diff(want, d.decider.decisions()); diff != "" {
		t.Error(diff)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome slack.Outcome
		err     error
		want    string
		settled bool
	}{
		"already":     {slack.Outcome{Status: slack.Already, By: "carol@example.com"}, nil, "This was already decided by carol@example.com.", true},
		"too late":    {slack.Outcome{Status: slack.Expired}, nil, "The time to decide this is over.", true},
		"gone":        {slack.Outcome{Status: slack.NotFound}, nil, "There is no such request any more.", true},
		"not allowed": {slack.Outcome{Status: slack.NotAllowed, Text: "You asked for it yourself."}, nil, "You may not do this. You asked for it yourself.", false},
		"more to do":  {slack.Outcome{Status: slack.Done, Text: "One more approval is needed."}, nil, "Approved. One more approval is needed.", false},
		"hostile":     {slack.Outcome{Status: slack.Already, By: "<!channel>"}, nil, "This was already decided by &lt;!channel&gt;.", true},
		"an error":    {slack.Outcome{}, errors.New("database is locked: /var/lib"), "Gatehouse could not do this just now.", false},
		"nothing":     {slack.Outcome{}, nil, "Gatehouse did not do this.", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.decider.outcome, d.decider.err = c.outcome, c.err
			d.interact(clicked("UALICE", "approve:0", "req-1"))
			told := d.told()
			if len(told) != 1 || !strings.HasPrefix(told[0], "UALICE: "+c.want) || strings.Contains(told[0], "/var/lib") {
				t.Errorf("told %q, want %q", told, c.want)
			}
			// A message that offers what is over loses its buttons.
			ups := d.took("chat.update")
			if (len(ups) == 1) != c.settled {
				t.Fatalf("%d messages changed", len(ups))
			}
			if c.settled {
				if b := ups[0].Get("blocks"); strings.Contains(b, `"actions"`) || strings.Contains(b, "until") || !strings.Contains(b, `A \u0026amp; B`) || ups[0].Get("ts") != "1700000001.000100" {
					t.Errorf("it became %s", b)
				}
			}
		})
	}
}

// A person is who Slack's API says, and only if it is one of this workspace.
func TestWhoMayNot(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]string{
		"a guest":            member("UX", "alice@example.com", `"is_restricted":true`),
		"a guest of one":     member("UX", "alice@example.com", `"is_ultra_restricted":true`),
		"a stranger":         member("UX", "alice@example.com", `"is_stranger":true`),
		"another workspace":  strings.Replace(member("UX", "alice@example.com", ""), `"T1"`, `"T2"`, 1),
		"no workspace":       strings.Replace(member("UX", "alice@example.com", ""), `"T1"`, `""`, 1),
		"another enterprise": strings.Replace(member("UX", "alice@example.com", `"enterprise_user":{"enterprise_id":"E2"}`), `"T1"`, `"T2"`, 1),
		"deactivated":        member("UX", "alice@example.com", `"deleted":true`),
		"a bot":              member("UX", "alice@example.com", `"is_bot":true`),
		"invited":            member("UX", "alice@example.com", `"is_invited_user":true`),
		"unconfirmed":        strings.Replace(member("UX", "alice@example.com", ""), `"is_email_confirmed":true`, `"is_email_confirmed":false`, 1),
		"confirmed not said": strings.Replace(member("UX", "alice@example.com", ""), `"is_email_confirmed":true,`, "", 1),
		"no address":         member("UX", "", ""),
		"somebody else":      member("UALICE", "alice@example.com", ""),
		"nobody":             "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.users["UX"] = user
			d.interact(clicked("UX", "approve:0", "req-1"))
			if told := d.told(); len(told) != 1 || !strings.HasPrefix(told[0], "UX: This is not possible") {
				t.Errorf("told %q", told)
			}
			if got := d.decider.decisions(); len(got) != 0 {
				t.Errorf("decided: %+v", got)
			}
		})
	}
	t.Run("the same organization", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.say("auth.test", `{"ok":true,"team_id":"T1","enterprise_id":"E1"}`)
		d.users["UX"] = strings.Replace(member("UX", "alice@example.com", `"enterprise_user":{"enterprise_id":"E1"}`), `"T1"`, `"T2"`, 1)
		d.interact(clicked("UX", "approve:0", "req-1"))
		if told := d.told(); len(told) != 1 || told[0] != "UX: Approved." {
			t.Errorf("told %q", told)
		}
	})
	t.Run("Slack is down", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.say("users.info", `{"ok":false,"error":"internal_error"}`)
		d.interact(clicked("UALICE", "approve:0", "req-1"))
		if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "nothing was decided") {
			t.Errorf("told %q", told)
		}
		if len(d.decider.decisions()) != 0 {
			t.Error("decided by somebody unknown")
		}
	})
}

// Where an ephemeral message cannot be shown, the person is told by the app.
func TestTellElsewhere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.say("chat.postEphemeral", `{"ok":false,"error":"user_not_in_channel"}`)
	d.interact(clicked("UALICE", "approve:0", "req-1"))
	d.stop()
	if got := d.took("chat.postMessage"); len(got) != 1 || got[0].Get("channel") != "UALICE" || got[0].Get("text") != "Approved." {
		t.Errorf("%v", got)
	}
}

func TestTheDialogDoesNotOpen(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.say("views.open", `{"ok":false,"error":"expired_trigger_id"}`)
	d.interact(clicked("UALICE", "deny:reason:0", "req-1"))
	if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "click again") {
		t.Errorf("told %q", told)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	body := url.Values{"payload": {clicked("UALICE", "approve:0", "req-1")}}.Encode()
	good := func(d *desk) http.Header { return sign(signing, d.now(), body) }
	for name, c := range map[string]struct {
		header func(d *desk) http.Header
		want   int
	}{
		"good":             {good, 200},
		"almost too old":   {func(d *desk) http.Header { return sign(signing, d.now().Add(-5*time.Minute), body) }, 200},
		"almost too young": {func(d *desk) http.Header { return sign(signing, d.now().Add(5*time.Minute), body) }, 200},
		"too old":          {func(d *desk) http.Header { return sign(signing, d.now().Add(-5*time.Minute-time.Second), body) }, 401},
		"too young":        {func(d *desk) http.Header { return sign(signing, d.now().Add(5*time.Minute+time.Second), body) }, 401},
		"another secret":   {func(d *desk) http.Header { return sign("another", d.now(), body) }, 401},
		"another body":     {func(d *desk) http.Header { return sign(signing, d.now(), body+"&x=1") }, 401},
		"a newer time": {func(d *desk) http.Header {
			h := good(d)
			h.Set("X-Slack-Request-Timestamp", "1900000000")
			return h
		}, 401},
		"no time": {func(d *desk) http.Header { h := good(d); h.Del("X-Slack-Request-Timestamp"); return h }, 401},
		"a time beyond": {func(d *desk) http.Header {
			h := good(d)
			h.Set("X-Slack-Request-Timestamp", "9223372036854775807")
			return h
		}, 401},
		"no signature": {func(d *desk) http.Header { h := good(d); h.Del("X-Slack-Signature"); return h }, 401},
		"half of it": {func(d *desk) http.Header {
			h := good(d)
			h.Set("X-Slack-Signature", h.Get("X-Slack-Signature")[:35])
			return h
		}, 401},
		"another version": {func(d *desk) http.Header {
			h := good(d)
			h.Set("X-Slack-Signature", strings.Replace(h.Get("X-Slack-Signature"), "v0=", "v1=", 1))
			return h
		}, 401},
		"no form": {func(d *desk) http.Header { h := good(d); h.Set("Content-Type", "application/json"); return h }, 415},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			rec := d.post(slack.InteractionsPath, c.header(d), body)
			if rec.Code != c.want {
				t.Errorf("status %d, want %d", rec.Code, c.want)
			}
			d.stop()
			if got := len(d.decider.decisions()); (got == 1) != (c.want == 200) {
				t.Errorf("%d decisions", got)
			}
		})
	}
}

// The example of Slack's documentation on verifying requests.
func TestSignatureVector(t *testing.T) {
	t.Parallel()
	const body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	d := newDesk(t)
	at := time.Unix(1531420618, 0)
	d.clock.Store(int64(at.Sub(start)))
	h := http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "X-Slack-Request-Timestamp": {"1531420618"},
		"X-Slack-Signature": {"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"},
	}
	if rec := d.post(slack.CommandsPath, h, body); rec.Code != http.StatusOK {
		t.Errorf("status %d", rec.Code)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	body := url.Values{"payload": {clicked("UALICE", "approve:0", "req-1")}}.Encode()
	h := sign(signing, d.now(), body)
	upper := h.Clone()
	upper.Set("X-Slack-Signature", "v0="+strings.ToUpper(strings.TrimPrefix(h.Get("X-Slack-Signature"), "v0=")))
	var mu sync.Mutex
	taken := 0
	var wg sync.WaitGroup
	for range 10 {
		for _, h := range []http.Header{h, upper} {
			wg.Go(func() {
				if d.post(slack.InteractionsPath, h, body).Code == http.StatusOK {
					mu.Lock()
					taken++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	d.clock.Add(int64(4 * time.Minute))
	if rec := d.post(slack.InteractionsPath, h, body); rec.Code != http.StatusConflict {
		t.Errorf("minutes later: %d", rec.Code)
	}
	d.clock.Add(int64(10 * time.Minute))
	if rec := d.post(slack.InteractionsPath, h, body); rec.Code != http.StatusUnauthorized {
		t.Errorf("when it is forgotten it is too old: %d", rec.Code)
	}
	d.stop()
	if taken != 1 || len(d.decider.decisions()) != 1 {
		t.Errorf("taken %d times, %d decisions; want one", taken, len(d.decider.decisions()))
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"too large":             {"payload=" + strings.Repeat("x", 600<<10), 413},
		"no payload":            {"x=1", 400},
		"no JSON":               {"payload=x", 400},
		"not a form":            {"payload=%zz", 400},
		"no user":               {url.Values{"payload": {clicked("", "approve:0", "req-1")}}.Encode(), 400},
		"a user that is a path": {url.Values{"payload": {clicked("../U1", "approve:0", "req-1")}}.Encode(), 400},
		"no request":            {url.Values{"payload": {clicked("UALICE", "approve:0", "")}}.Encode(), 400},
		"a hostile id":          {url.Values{"payload": {clicked("UALICE", "approve:0", "<!channel>")}}.Encode(), 400},
		"a link":                {url.Values{"payload": {clicked("UALICE", "open:2", "")}}.Encode(), 200},
		"no actions":            {url.Values{"payload": {`{"type":"block_actions","user":{"id":"U1"}}`}}.Encode(), 200},
		"another dialog":        {url.Values{"payload": {`{"type":"view_submission","user":{"id":"U1"},"view":{"callback_id":"x"}}`}}.Encode(), 200},
		"a forged dialog":       {url.Values{"payload": {`{"type":"view_submission","user":{"id":"U1"},"view":{"callback_id":"gatehouse.reason","private_metadata":"x"}}`}}.Encode(), 400},
		"a shortcut":            {url.Values{"payload": {`{"type":"shortcut"}`}}.Encode(), 200},
	} {
		if rec := d.post(slack.InteractionsPath, sign(signing, d.now(), c.body), c.body); rec.Code != c.want {
			t.Errorf("%s: %d, want %d", name, rec.Code, c.want)
		}
	}
	d.stop()
	if len(d.decider.decisions()) != 0 {
		t.Error("something was decided")
	}
	if rec := d.interact(clicked("UALICE", "approve:0", "req-1")); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("after the stop: %d, and nobody would do it", rec.Code)
	}
}

// With nobody to do it, what comes is refused before the memory is full.
func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in, err := slack.NewInteractions(slack.InteractionOptions{App: w.app, Secret: func() (string, error) { return signing, nil }, Decider: &decider{}, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{world: w, in: in}
	refused := 0
	for range 400 {
		w.clock.Add(int64(time.Second))
		if d.interact(clicked("UALICE", "approve:0", "req-1")).Code == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused != 400-256 {
		t.Errorf("%d refused of 400", refused)
	}
}

func TestWithoutASecretNothingIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in, err := slack.NewInteractions(slack.InteractionOptions{App: w.app, Secret: func() (string, error) { return "", nil }, Decider: &decider{}, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{world: w, in: in}
	body := "payload=x"
	if rec := d.post(slack.InteractionsPath, sign("", w.now(), body), body); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", rec.Code)
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.catalog.entries = []slack.Entry{
		{Title: "production / admin <!channel>", State: "active", Until: start.Add(time.Hour), Link: "https://gatehouse.example.com/grants/1"},
		{Title: "staging", State: "waiting for approval", Link: "javascript:alert(1)"},
	}
	run := func(user, text string) string {
		t.Helper()
		d.clock.Add(int64(time.Second))
		body := url.Values{"command": {"/gatehouse"}, "text": {text}, "user_id": {user}, "user_name": {"cto"}}.Encode()
		rec := d.post(slack.CommandsPath, sign(signing, d.now(), body), body)
		if rec.Code != http.StatusOK {
			t.Fatalf("%s: %d", text, rec.Code)
		}
		var answer struct {
			Type   string `json:"response_type"`
			Blocks []any  `json:"blocks"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer.Type != "ephemeral" || len(answer.Blocks) == 0 {
			t.Fatalf("%s: %v %s", text, err, rec.Body)
		}
		return rec.Body.String()
	}
	list := run("UALICE", " list ")
	for _, want := range []string{`production / admin`, `https://gatehouse.example.com/grants/1`, "active", "staging", "waiting for approval"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %s: %s", want, list)
		}
	}
	if strings.Contains(list, "javascript:") || strings.Contains(list, "broadcast") {
		t.Errorf("the list is %s", list)
	}
	if diff := cmp.Diff([]string{"alice@example.com"}, d.catalog.asked); diff != "" {
		t.Error(diff)
	}
	if got := run("UALICE", "request"); !strings.Contains(got, "https://gatehouse.example.com/request") {
		t.Errorf("request: %s", got)
	}
	if got := run("UALICE", ""); !strings.Contains(got, "list") {
		t.Errorf("help: %s", got)
	}
	d.users["UGUEST"] = member("UGUEST", "alice@example.com", `"is_restricted":true`)
	if got := run("UGUEST", "list"); !strings.Contains(got, "guests cannot") || len(d.catalog.asked) != 1 {
		t.Errorf("a guest sees %s", got)
	}
	body := "text=list&user_id=x"
	if rec := d.post(slack.CommandsPath, sign("wrong", d.now(), body), body); rec.Code != http.StatusUnauthorized {
		t.Errorf("unsigned: %d", rec.Code)
	}
}
