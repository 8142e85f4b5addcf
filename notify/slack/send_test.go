package slack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/slack"
)

func toDecide() notify.Notice {
	return notify.Notice{
		ID: "n1", Kind: "request.created", Title: "Bob asks for production", Text: "Deploy the fix & watch",
		Fields: []notify.Field{{Name: "Who", Value: "bob@example.com"}, {Name: "How long", Value: "2 h"}, {Name: "Who may decide", Value: "alice@example.com"}},
		Actions: []notify.Action{
			{ID: notify.Approve, Label: "Approve", Style: "primary", Value: "req-1"},
			{ID: notify.Deny, Label: "Deny", Style: "danger", Value: "req-1", Reason: true},
		},
		Link: "https://gatehouse.example.com/requests/req-1", Time: start, Expires: start.Add(time.Hour), Thread: "req-1",
	}
}

func decided() notify.Notice {
	return notify.Notice{ID: "n2", Kind: "request.approved", Title: "Approved", Text: "by alice@example.com", Time: start, Thread: "req-1"}
}

func to(address string, n notify.Notice, earlier ...notify.Receipt) notify.Delivery {
	return notify.Delivery{Channel: notify.Slack, Address: address, Notice: n, Earlier: earlier}
}

// deliver sends as the router does and gives the receipt that the outbox keeps.
func deliver(t *testing.T, w *world, d notify.Delivery) notify.Receipt {
	t.Helper()
	r, err := w.app.Send(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	r.Channel, r.Address, r.Kind = d.Channel, d.Address, d.Notice.Kind
	return r
}

type block struct {
	Type     string          `json:"type"`
	Text     map[string]any  `json:"text"`
	Elements json.RawMessage `json:"elements"`
}

func blocksOf(t *testing.T, text string) []block {
	t.Helper()
	var out []block
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func types(bs []block) (out []string) {
	for _, b := range bs {
		out = append(out, b.Type)
	}
	return out
}

func TestPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := deliver(t, w, to("alice@example.com", toDecide()))
	if r.Place != "DALICE" || r.ID == "" || !r.Open {
		t.Errorf("receipt %+v", r)
	}
	form := w.took("chat.postMessage")[0]
	if form.Get("channel") != "UALICE" || form.Get("parse") != "none" || form.Get("unfurl_links") != "false" {
		t.Errorf("%v", form)
	}
	bs := blocksOf(t, form.Get("blocks"))
	if d := cmp.Diff([]string{"header", "section", "rich_text", "rich_text", "actions"}, types(bs)); d != "" {
		t.Fatal(d)
	}
	if bs[1].Text["type"] != "plain_text" || bs[1].Text["text"] != "Deploy the fix &amp; watch" {
		t.Errorf("text %v", bs[1].Text)
	}
	if fields := string(bs[2].Elements); !strings.Contains(fields, "Who may decide:") || !strings.Contains(fields, " alice@example.com") {
		t.Errorf("fields %s", fields)
	}
	if until := string(bs[3].Elements); !strings.Contains(until, "Can be decided until") || !strings.Contains(until, fmt.Sprint(start.Add(time.Hour).Unix())) {
		t.Errorf("until %s", until)
	}
	var buttons []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
		Style    string `json:"style"`
		URL      string `json:"url"`
	}
	if err := json.Unmarshal(bs[4].Elements, &buttons); err != nil {
		t.Fatal(err)
	}
	if len(buttons) != 3 || buttons[0].ActionID != "approve:0" || buttons[0].Value != "req-1" || buttons[0].Style != "primary" ||
		buttons[1].ActionID != "deny:reason:1" || buttons[2].URL != "https://gatehouse.example.com/requests/req-1" {
		t.Errorf("buttons %+v", buttons)
	}
}

// Where nobody takes what is clicked, buttons lead to the page.
func TestPostWithoutInteractions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app, err := slack.New(slack.Options{Token: func() (string, error) { return botToken, nil }, API: w.url, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	n := toDecide()
	n.Actions[0].URL = "https://gatehouse.example.com/requests/req-1?approve"
	r, err := app.Send(t.Context(), to("C1", n))
	if err != nil {
		t.Fatal(err)
	}
	text := w.took("chat.postMessage")[0].Get("blocks")
	if r.Open || strings.Contains(text, `"approve:0"`) || strings.Contains(text, `"deny`) || !strings.Contains(text, "req-1?approve") {
		t.Errorf("%+v %s", r, text)
	}
}

// A request that waited in the outbox until its time was over has no buttons.
func TestPostAfterItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.Store(int64(time.Hour))
	r := deliver(t, w, to("UALICE", toDecide()))
	text := w.took("chat.postMessage")[0].Get("blocks")
	if r.Open || strings.Contains(text, `"approve:0"`) || !strings.Contains(text, "The time to decide ended") {
		t.Errorf("%+v %s", r, text)
	}
}

func TestPeopleAreFoundByEmailOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		deliver(t, w, to("Alice@example.com", notify.Notice{ID: "n", Kind: "grant.ready", Title: "x"}))
	}
	w.clock.Add(int64(2 * time.Hour))
	deliver(t, w, to("alice@example.com", toDecide()))
	if n := len(w.took("users.lookupByEmail")); n != 2 {
		t.Errorf("%d look-ups, want one an hour", n)
	}
	for range 3 {
		if _, err := w.app.Send(t.Context(), to("nobody@example.com", toDecide())); !notify.IsPermanent(err) {
			t.Errorf("got %v", err)
		}
	}
	if n := len(w.took("users.lookupByEmail")); n != 3 {
		t.Errorf("%d look-ups: that there is nobody is remembered too", n)
	}
}

// What is to be decided is not sent to guests and strangers who were found by an
// e-mail address.
func TestOnlyMembersAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users["UGUEST"] = member("UGUEST", "guest@example.com", `"is_restricted":true`)
	w.users["UOTHER"] = strings.Replace(member("UOTHER", "other@example.com", ""), `"T1"`, `"T2"`, 1)
	for _, who := range []string{"guest@example.com", "other@example.com"} {
		if _, err := w.app.Send(t.Context(), to(who, toDecide())); !notify.IsPermanent(err) {
			t.Errorf("%s: %v", who, err)
		}
	}
	if n := len(w.took("chat.postMessage")); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// Three people and a channel were asked; when one decides, all four messages
// change, and nothing hangs for ever.
func TestMessagesChangeInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var earlier []notify.Receipt
	for _, a := range []string{"alice@example.com", "UBOB", "C1"} {
		earlier = append(earlier, deliver(t, w, to(a, toDecide())))
	}
	// One that had no buttons, and one about something else.
	earlier = append(earlier,
		notify.Receipt{Channel: notify.Slack, Address: "UCAROL", Kind: "request.created", Place: "DCAROL", ID: "1.1"},
		notify.Receipt{Channel: notify.Slack, Address: "UCAROL", Kind: "grant.ready", Place: "DCAROL", ID: "1.2", Open: true})

	deliver(t, w, to("", decided(), earlier...))
	ups := w.took("chat.update")
	if len(ups) != 3 {
		t.Fatalf("%d messages changed, want 3", len(ups))
	}
	for i, u := range ups {
		if u.Get("channel") != earlier[i].Place || u.Get("ts") != earlier[i].ID {
			t.Errorf("changed %s %s, want %+v", u.Get("channel"), u.Get("ts"), earlier[i])
		}
		if strings.Contains(u.Get("blocks"), `"actions"`) || !strings.Contains(u.Get("blocks"), "by alice@example.com") {
			t.Errorf("it still offers something: %s", u.Get("blocks"))
		}
	}
	// The channel has its message: it gets no second one.
	r := deliver(t, w, to("C1", decided(), earlier...))
	if r.ID != earlier[2].ID || len(w.took("chat.postMessage")) != 3 {
		t.Error("the channel was told twice")
	}
	// The requester has none: a message of its own.
	deliver(t, w, to("UDAVE", decided(), earlier...))
	if n := len(w.took("chat.postMessage")); n != 4 {
		t.Errorf("%d messages, want one for the requester", n)
	}
	// What comes later is a reply there.
	ready := notify.Notice{ID: "n3", Kind: "grant.ready", Title: "Ready", Time: start, Thread: "req-1"}
	deliver(t, w, to("C1", ready, earlier...))
	if got := w.took("chat.postMessage")[4]; got.Get("thread_ts") != earlier[2].ID || got.Get("channel") != "C1" {
		t.Errorf("no reply: %v", got)
	}
}

// Messages that were deleted are left; one that fails does not keep the others.
func TestChangesThatFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	earlier := []notify.Receipt{
		{Channel: notify.Slack, Address: "UALICE", Kind: "request.created", Place: "D1", ID: "1.1", Open: true},
		{Channel: notify.Slack, Address: "UBOB", Kind: "request.created", Place: "D2", ID: "1.2", Open: true},
	}
	w.say("chat.update", `{"ok":false,"error":"message_not_found"}`)
	if _, err := w.app.Send(t.Context(), to("", decided(), earlier...)); err != nil {
		t.Errorf("messages that are gone: %v", err)
	}
	w.say("chat.update", `{"ok":false,"error":"internal_error"}`)
	if _, err := w.app.Send(t.Context(), to("", decided(), earlier...)); err == nil || notify.IsPermanent(err) {
		t.Errorf("got %v, want a failure that is tried again", err)
	}
	if n := len(w.took("chat.update")); n != 4 {
		t.Errorf("%d attempts, want each message each time", n)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		status int
		after  string
		want   notify.Class
		wait   time.Duration
	}{
		"limited":          {after: "42", want: notify.Temporary, wait: 42 * time.Second},
		"limited for ever": {after: "99999999", want: notify.Temporary, wait: time.Hour},
		"limit of zero":    {after: "0", want: notify.Temporary, wait: time.Second},
		"limit in words":   {after: "soon", want: notify.Temporary},
		"down":             {status: 503, want: notify.Temporary},
		"a proxy":          {status: 407, want: notify.Misconfigured},
		"a redirect":       {status: 302, want: notify.Misconfigured},
		"no JSON":          {answer: "<html>", want: notify.Temporary},
		"no place":         {answer: `{"ok":true}`, want: notify.Temporary},
		"bad token":        {answer: `{"ok":false,"error":"invalid_auth"}`, want: notify.Misconfigured},
		"no scope":         {answer: `{"ok":false,"error":"missing_scope","needed":"chat:write"}`, want: notify.Misconfigured},
		"not invited":      {answer: `{"ok":false,"error":"not_in_channel"}`, want: notify.Misconfigured},
		"no channel":       {answer: `{"ok":false,"error":"channel_not_found"}`, want: notify.Permanent},
		"archived":         {answer: `{"ok":false,"error":"is_archived"}`, want: notify.Permanent},
		"bad blocks":       {answer: `{"ok":false,"error":"invalid_blocks"}`, want: notify.Permanent},
		"their fault":      {answer: `{"ok":false,"error":"fatal_error"}`, want: notify.Temporary},
		"quoting":          {answer: `{"ok":false,"error":"weird ` + botToken + `"}`, want: notify.Permanent},
		"endless":          {answer: `{"ok":true,"more":"` + strings.Repeat("x", 2<<20) + `","channel":"C1","ts":"1.1"}`, want: notify.Temporary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.status, w.after = c.status, c.after
			w.say("chat.postMessage", c.answer)
			_, err := w.app.Send(t.Context(), to("C1", toDecide()))
			if err == nil || notify.ClassOf(err) != c.want || notify.RetryAfter(err) != c.wait {
				t.Errorf("got %v (%s, after %s), want %s after %s", err, notify.ClassOf(err), notify.RetryAfter(err), c.want, c.wait)
			}
			if err != nil && (strings.Contains(err.Error(), botToken) || strings.Contains(err.Error(), "http://")) {
				t.Errorf("the error shows too much: %v", err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	token := func() (string, error) { return botToken, nil }
	for name, o := range map[string]slack.Options{
		"no token":       {},
		"plain text":     {Token: token, API: "http://slack.example.com/api/"},
		"a password":     {Token: token, API: "https://u:p@slack.com/api/"},
		"something else": {Token: token, API: "slack.com"},
	} {
		if _, err := slack.New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

var hostile = []string{
	"<!channel>", "<!here|here>", "<@UALICE>", "<#C1|general>", "<https://evil.example|https://gatehouse.example.com>", "<!subteam^S1>",
	"@here", "*bold* _it_ ~no~ `code`", "&lt;!channel&gt;", "<!date^1^{date}|x>", "a\u202Eb", strings.Repeat("<", 10_000), strings.Repeat("&", 200), ":tada:", "\x00\x1b", "",
}

// Whatever a requester writes stays text: no link, no mention, nothing too long.
func TestInjection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, bad := range hostile {
		n := toDecide()
		n.Title, n.Text = bad, bad
		n.Fields = append(n.Fields, notify.Field{Name: bad, Value: bad})
		n.Actions[0].Label = bad
		n.Actions = append(n.Actions, notify.Action{ID: notify.Approve, Label: "x", Value: bad}, notify.Action{ID: bad, Label: bad, URL: bad})
		n.Link = bad
		deliver(t, w, to("C1", n))
	}
	for i, form := range w.took("chat.postMessage") {
		check(t, hostile[i], form.Get("text"), form.Get("blocks"))
	}
}

func check(t interface{ Errorf(string, ...any) }, what, text, blocks string) {
	if strings.ContainsAny(text, "<>") || utf8.RuneCountInString(text) > 4000 {
		t.Errorf("%.30q: the text is %.80q", what, text)
	}
	if strings.Contains(blocks, "mrkdwn") {
		t.Errorf("%.30q: there is markup in %s", what, blocks)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(blocks), &all); err != nil {
		t.Errorf("%.30q: %v", what, err)
	}
	limits := map[string]int{"header": 150, "section": 3000, "button": 75}
	ids := map[any]bool{}
	var walk func(kind string, v any)
	walk = func(kind string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(kind, e)
			}
		case map[string]any:
			typ, _ := v["type"].(string)
			switch typ {
			case "plain_text":
				s := v["text"].(string)
				if strings.ContainsAny(s, "<>") || s == "" || kind != "" && utf8.RuneCountInString(s) > limits[kind] {
					t.Errorf("%.30q: %s has %.80q of %d characters", what, kind, s, utf8.RuneCountInString(s))
				}
			case "broadcast", "user", "usergroup", "channel", "link":
				t.Errorf("%.30q: became a %s", what, typ)
			case "button":
				if ids[v["action_id"]] {
					t.Errorf("%.30q: two buttons have the id %v", what, v["action_id"])
				}
				ids[v["action_id"]] = true
				if u, ok := v["url"].(string); ok && !strings.HasPrefix(u, "http") {
					t.Errorf("%.30q: a button leads to %q", what, u)
				}
			}
			for k, e := range v {
				inner := ""
				if limits[typ] > 0 && k == "text" {
					inner = typ
				}
				walk(inner, e)
			}
		}
	}
	for _, b := range all {
		walk("", b)
	}
	if len(all) > 50 {
		t.Errorf("%.30q: %d blocks", what, len(all))
	}
}

func TestAnyText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("<>&@!|*_`~\n")))).Draw(rt, "text")
		n := toDecide()
		n.Title, n.Text, n.Fields = text, text, []notify.Field{{Name: text, Value: text}}
		if _, err := w.app.Send(t.Context(), to("C1", n)); err != nil {
			rt.Fatal(err)
		}
		got := w.took("chat.postMessage")
		last := got[len(got)-1]
		check(rt, text, last.Get("text"), last.Get("blocks"))
	})
}

// A redirect would take the token to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.status = http.StatusTemporaryRedirect
	if _, err := w.app.Send(t.Context(), to("C1", toDecide())); err == nil {
		t.Error("a redirect counts as success")
	}
	if n := len(w.took("chat.postMessage")); n != 1 {
		t.Errorf("%d requests", n)
	}
}
