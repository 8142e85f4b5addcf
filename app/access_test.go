package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/slack"
)

// rota says who is on call.
type rota struct {
	people []string
	err    error
}

func (r *rota) People(context.Context, string) ([]string, error) { return r.people, r.err }

func TestFactsAboutPeople(t *testing.T) {
	t.Parallel()
	on := &rota{people: []string{"ANN@example.com"}}
	w := newLendWorld(t, on)
	f := w.facts
	now := time.Now()
	f.clock = func() time.Time { return now }
	for _, id := range []string{"Ann@example.com", "ann@example.com", "ANN@EXAMPLE.COM"} {
		p, ok := f.Person(id)
		if !ok || p.ID != "Ann@example.com" || !slices.Equal(p.Groups, []string{"dev"}) || p.Manager != "olga@example.com" {
			t.Errorf("%s is %+v, %v", id, p, ok)
		}
	}
	// Kubernetes and Gatehouse take İ and K for letters of their own.
	for _, id := range []string{"", "nobody@example.com", identity.AdminID, "Anǹ@example.com"} {
		if p, ok := f.Person(id); ok {
			t.Errorf("%q is %+v", id, p)
		}
	}
	// Who signed in has an ID in the directory that lending does not know them by.
	ada := identity.Person{ID: "p-ada", Email: "Ada@example.com", Name: "Ada"}
	if err := w.store.SeePerson(t.Context(), ada, now); err != nil {
		t.Fatal(err)
	}
	if p, ok := f.Person("ada@example.com"); !ok || p.ID != "Ada@example.com" || !p.Admin {
		t.Errorf("ada is %+v, %v", p, ok)
	}
	if p, ok := f.Person("p-ada"); ok {
		t.Errorf("the directory's ID is taken for %+v", p)
	}
	// Whoever holds the admin token administers, and is nobody that flows know.
	if err := w.store.SeePerson(t.Context(), identity.Person{ID: identity.AdminID, Name: "admin token", Role: identity.Admin}, now); err != nil {
		t.Fatal(err)
	}
	f.forget()
	if p, ok := f.Person(identity.AdminID); ok {
		t.Errorf("the admin token is %+v", p)
	}
	// Who is shut out is told from those of whom nothing is known, and has nothing else.
	p, ok := f.Person("gone@example.com")
	if !ok || !p.Disabled || len(p.Groups) > 0 || p.Admin {
		t.Errorf("who is disabled is %+v, %v", p, ok)
	}
	if got := f.Members("owners"); !slices.Equal(got, []string{"olaf@example.com", "olga@example.com"}) {
		t.Errorf("the owners are %q", got)
	}
	if got := f.Members("nobody's"); len(got) > 0 {
		t.Errorf("a group that nobody is in has %q", got)
	}
	if got := f.everybody(t.Context()); !slices.Contains(got, "Ann@example.com") || slices.Contains(got, identity.AdminID) {
		t.Errorf("everybody is %q", got)
	}
	if !f.OnCall("sre", "Ann@example.com") || f.OnCall("sre", "ben@example.com") || f.OnCall("sre", "") {
		t.Error("who is on call is not who the rota names")
	}
	on.err = errors.New("down")
	if f.OnCall("sre", "Ann@example.com") {
		t.Error("with the rota down somebody is on call")
	}
	if newFacts(w.roster, nil, f.log).OnCall("sre", "Ann@example.com") {
		t.Error("without a rota somebody is on call")
	}
}

// failing is a directory that is down.
type failing struct{ identity.Directory }

func (failing) Person(context.Context, string) (*identity.Entry, error) {
	return nil, errors.New("down")
}

func (failing) Members(context.Context, string) ([]identity.Entry, error) {
	return nil, errors.New("down")
}

func TestFactsOfADirectoryThatIsDown(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	f := newFacts(failing{}, nil, w.facts.log)
	if _, ok := f.Person("Ann@example.com"); ok || f.Members("dev") != nil {
		t.Error("a directory that is down knows somebody")
	}
	f.directory = w.roster
	if _, ok := f.Person("Ann@example.com"); !ok {
		t.Error("an error is remembered as an answer")
	}
}

// What was known is believed for seconds, and of somebody who is disabled not at all.
func TestFactsForgetWhoIsDisabled(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	w.open()
	l := &lending{desk: w.desk, facts: w.facts}
	auto, waits := w.ask("Ann@example.com", "view"), w.ask("Ann@example.com", "edit")
	other := w.ask("ben@example.com", "view")
	w.eventually("both have it", func() bool { return w.target.size() == 2 })
	e, err := w.roster.Person(t.Context(), "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	w.facts.mu.Lock()
	w.facts.people["olga@example.com"] = knownPerson{until: time.Now().Add(time.Hour)}
	w.facts.mu.Unlock()
	e.Disabled = &identity.Disabling{At: time.Now(), By: "ada", Reason: "left"}
	for range 2 { // it may be told twice
		if err := l.personLeft(t.Context(), *e); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := w.facts.Person("olga@example.com"); !ok {
		t.Error("what was known is not forgotten")
	}
	w.eventually("ann's access has ended", func() bool { return w.state(auto.Grant) == access.Ended })
	r, err := w.desk.RequestByID(t.Context(), w.admin(), waits.ID)
	if err != nil || r.State != access.Cancelled {
		t.Errorf("what ann asked for is %+v, %v", r, err)
	}
	if w.state(other.Grant) != access.Active || w.target.size() != 1 {
		t.Errorf("somebody else lost access too")
	}
	if err := l.personLeft(t.Context(), identity.Entry{Person: identity.Person{ID: identity.AdminID, Name: "admin token"}}); err != nil {
		t.Errorf("the admin token cannot leave: %v", err)
	}
}

// The admin token does what who administers may do, and never agrees to anything, even
// if somebody writes its ID into a flow.
func TestAdminTokenNeverVotes(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	w.open()
	token := access.PersonOf(identity.Person{ID: identity.AdminID, Name: "admin token", Role: identity.Admin, Via: identity.ViaToken})
	if !token.Admin || token.ID == "" {
		t.Fatalf("the token is %+v", token)
	}
	text := strings.ReplaceAll(lendFlows, "{type: group, values: [owners]}", "{type: user, values: [olga@example.com, "+identity.AdminID+"]}")
	plan, err := w.desk.ApplyFlows(t.Context(), access.Flowing{Text: text, Prune: true, By: token, Via: "api", Source: "api"})
	if err != nil || plan.HasErrors() {
		t.Fatalf("the token applies flows: %+v, %v", plan, err)
	}
	r := w.ask("ben@example.com", "edit")
	if _, err := w.desk.Vote(t.Context(), r.ID, access.Ballot{By: token, Approve: true, Via: "api"}); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("the vote of the token: %v", err)
	}
	if v, err := w.desk.RequestByID(t.Context(), token, r.ID); err != nil || v.MayVote || !v.MayCancel {
		t.Errorf("the token sees %+v, %v", v, err)
	}
	if _, err := w.desk.Request(t.Context(), access.Ask{By: token, Items: []access.ItemRef{{Integration: "one", Type: "thing", Resource: "a", Permission: "view"}}}); !errors.Is(err, access.ErrNotGiven) {
		t.Errorf("the token gets access for itself: %v", err)
	}
}

// stub takes what is sent over a channel.
type stub struct {
	got []notify.Delivery
	err error
}

func (s *stub) Send(_ context.Context, d notify.Delivery) (notify.Receipt, error) {
	s.got = append(s.got, d)
	return notify.Receipt{Channel: d.Channel, Address: d.Address, Kind: d.Notice.Kind, ID: "m1"}, s.err
}

func TestMailerWritesLetters(t *testing.T) {
	t.Parallel()
	sender := &stub{}
	router, err := notify.New(notify.Options{Channels: []notify.Channel{{Name: notify.Email, Sender: sender}}})
	if err != nil {
		t.Fatal(err)
	}
	m := &mailer{router, "https://gatehouse.example.com"}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	item := flow.Item{Permission: "edit", Resource: flow.Resource{Integration: "prod", ID: "namespace/payments", Path: "prod / payments"}}
	r := &access.Request{
		ID: "r1", By: flow.Person{ID: "ann@example.com", Name: "Ann"}, For: flow.Person{ID: "ben@example.com"}, Items: []flow.Item{item},
		Duration: time.Hour, Justification: "INC-1", LapsesAt: at.Add(time.Hour), Rule: flow.Decision{Flow: "edit", ApproverReason: true},
	}
	n := access.Notice{ID: "n1", Kind: "request.created", To: []string{"olga@example.com", identity.AdminID}, Request: r, By: "ann@example.com", At: at, Thread: "r1"}
	letters, err := m.Plan(n)
	if err != nil || len(letters) != 1 || letters[0].Channel != notify.Email || letters[0].Thread != "r1" || !letters[0].At.Equal(at) {
		t.Fatalf("the letters are %+v, %v", letters, err)
	}
	again, err := m.Plan(n)
	if err != nil || again[0].Key != letters[0].Key {
		t.Errorf("the same notice has another key: %v", err)
	}
	receipt, err := m.Deliver(t.Context(), access.ClaimedLetter{Letter: letters[0], Earlier: [][]byte{[]byte(`{"channel":"email","id":"m0"}`), []byte("not a receipt"), nil}})
	if err != nil || !strings.Contains(string(receipt), `"m1"`) {
		t.Fatalf("sent with %s, %v", receipt, err)
	}
	d := sender.got[0]
	got := d.Notice
	if d.Address != "olga@example.com" || got.Title != "Ann (ann@example.com) asks for access to edit on prod / payments" || !got.Expires.Equal(r.LapsesAt) ||
		got.Link != "https://gatehouse.example.com/access/requests/r1" || len(d.Earlier) != 1 {
		t.Errorf("the delivery is %+v", d)
	}
	fields := map[string]string{}
	for _, f := range got.Fields {
		fields[f.Name] = f.Value
	}
	for name, want := range map[string]string{
		"For": "ben@example.com", "What": "edit on prod / payments (prod)", "How long": "1h", "Why": "INC-1", "Flow": "edit", "Can decide": "olga@example.com, " + identity.AdminID,
	} {
		if fields[name] != want {
			t.Errorf("%s is %q, want %q", name, fields[name], want)
		}
	}
	if len(got.Actions) != 2 || got.Actions[0].ID != notify.Approve || !got.Actions[0].Reason || got.Actions[0].Value != "r1" || got.Actions[1].ID != notify.Deny {
		t.Errorf("the actions are %+v", got.Actions)
	}

	sender.err = &notify.Error{Channel: notify.Email, Class: notify.Permanent, Err: errors.New("no such mailbox")}
	letters[0].Key = "another" // a router remembers what it sent
	n.ID = "n2"
	if letters, err = m.Plan(n); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Deliver(t.Context(), access.ClaimedLetter{Letter: letters[0]}); !errors.Is(err, access.ErrUndeliverable) {
		t.Errorf("a mailbox that is gone: %v", err)
	}
	sender.err = &notify.Error{Channel: notify.Email, Class: notify.Temporary, After: time.Minute, Err: errors.New("busy")}
	_, err = m.Deliver(t.Context(), access.ClaimedLetter{Letter: letters[0]})
	var wait interface{ RetryAfter() time.Duration }
	if errors.Is(err, access.ErrUndeliverable) || !errors.As(err, &wait) || wait.RetryAfter() != time.Minute {
		t.Errorf("a server that is busy: %v", err)
	}
	if _, err := m.Deliver(t.Context(), access.ClaimedLetter{Letter: access.Letter{Body: []byte("x")}}); !errors.Is(err, access.ErrUndeliverable) {
		t.Errorf("a letter that cannot be read: %v", err)
	}
}

// Each kind of notice has a title that a person understands, and a page to go to.
func TestEveryNoticeHasWords(t *testing.T) {
	t.Parallel()
	m := &mailer{base: "https://g.example.com"}
	g := &access.Grant{ID: "g1", Request: "r1", State: access.Active, Person: flow.Person{ID: "ann@example.com"}}
	r := &access.Request{ID: "r1", By: flow.Person{ID: "ann@example.com"}, For: flow.Person{ID: "ann@example.com"}, Grant: "g1"}
	for _, n := range []access.Notice{
		{Kind: "request.created", Request: r},
		{Kind: "request.approved", Request: r},
		{Kind: "request.denied", Request: r},
		{Kind: "request.cancelled", Request: r},
		{Kind: "request.lapsed", Request: r},
		{Kind: "request.escalated", Request: r},
		{Kind: "breakglass.used", Request: r, Loud: true},
		{Kind: "grant.ready", Grant: g},
		{Kind: "grant.ending", Grant: g},
		{Kind: "grant.extended", Grant: g, Request: r},
		{Kind: "grant.ended", Grant: g},
		{Kind: "grant.failed", Grant: g},
		{Kind: "grant.late", Integration: "prod"},
		{Kind: "panic.used", By: "ada"},
		{Kind: "panic.lifted", By: "ada"},
		{Kind: "drift.found", Integration: "prod"},
		{Kind: "integration.failed", Integration: "prod"},
	} {
		got := m.notice(&n)
		if got.Title == "" || strings.HasPrefix(got.Title, n.Kind) || !strings.HasPrefix(got.Link, "https://g.example.com/access/") || got.Loud != n.Loud {
			t.Errorf("%s: %+v", n.Kind, got)
		}
	}
	if got := m.notice(&access.Notice{Kind: "breakglass.used", Request: r}); len(got.Actions) != 1 || got.Actions[0].Value != "g1" {
		t.Errorf("who hears of a broken glass can do %+v", got.Actions)
	}
	if got := (&mailer{}).notice(&access.Notice{Kind: "grant.ready", Grant: g}); got.Link != "" {
		t.Errorf("without a public address there is a link: %s", got.Link)
	}
}

// A click in Slack is the vote of the person with that address, and of nobody else.
func TestDecidingInSlack(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	w.open()
	s := &slackDesk{w.desk, w.roster, "https://g.example.com"}
	decide := func(email, action, id, reason string) slack.Outcome {
		t.Helper()
		o, err := s.Decide(t.Context(), slack.Decision{RequestID: id, Action: action, Email: email, SlackUserID: "U1", Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	r := w.ask("Ann@example.com", "edit")
	for email, want := range map[string]string{
		"nobody@example.com": "does not know", "gone@example.com": "disabled", "ben@example.com": "role approver", "Ann@example.com": "role approver", identity.AdminID: "does not know",
	} {
		if o := decide(email, notify.Approve, r.ID, ""); o.Status != slack.NotAllowed || !strings.Contains(o.Text, want) {
			t.Errorf("%s: %+v, want %q", email, o, want)
		}
	}
	if o := decide("olga@example.com", notify.Approve, "rnone", ""); o.Status != slack.NotFound {
		t.Errorf("a request that is not there: %+v", o)
	}
	if o := decide("OLGA@example.com", notify.Approve, r.ID, ""); o.Status != slack.Done || o.Text != "" {
		t.Fatalf("who may: %+v", o)
	}
	v, err := w.desk.RequestByID(t.Context(), w.admin(), r.ID)
	if err != nil || v.State != access.Approved || v.Votes[0].By.ID != "olga@example.com" || v.Votes[0].Via != "slack" {
		t.Fatalf("after that: %+v, %v", v, err)
	}
	if o := decide("olaf@example.com", notify.Deny, r.ID, "no"); o.Status != slack.Already || o.By != "olga@example.com" || !strings.Contains(o.Text, "approved") {
		t.Errorf("who comes too late: %+v", o)
	}
	w.eventually("it is there", func() bool { return w.state(v.Grant) == access.Active })
	mine, err := s.Mine(t.Context(), "ann@example.com")
	if err != nil || len(mine) != 1 || mine[0].Until.IsZero() || mine[0].Link != "https://g.example.com/access/grants/"+v.Grant {
		t.Errorf("what ann has is %+v, %v", mine, err)
	}
	if mine, err := s.Mine(t.Context(), "nobody@example.com"); err != nil || len(mine) > 0 {
		t.Errorf("what nobody has is %+v, %v", mine, err)
	}
	if o := decide("Ann@example.com", notify.Extend, v.Grant, ""); o.Status != slack.Asked {
		t.Errorf("asking for more time: %+v", o)
	}
	if o := decide("ben@example.com", notify.Revoke, v.Grant, "x"); o.Status != slack.NotFound {
		t.Errorf("somebody else revokes: %+v", o)
	}
	if o := decide("olga@example.com", notify.Revoke, v.Grant, ""); o.Status != slack.NotAllowed {
		t.Errorf("revoking without a reason: %+v", o)
	}
	if o := decide("olga@example.com", notify.Revoke, v.Grant, "enough"); o.Status != slack.Done {
		t.Errorf("who agreed revokes: %+v", o)
	}
	w.eventually("it is gone", func() bool { return w.state(v.Grant) == access.Ended })
	if o := decide("olga@example.com", "delete", v.Grant, ""); o.Status != slack.NotAllowed {
		t.Errorf("an action that there is not: %+v", o)
	}
	down := &slackDesk{w.desk, failing{}, ""}
	if o, err := down.Decide(t.Context(), slack.Decision{Action: notify.Approve, RequestID: r.ID, Email: "olga@example.com"}); err == nil {
		t.Errorf("with the directory down: %+v", o)
	}
}

// A state that cannot keep what is lent says so to those who asked for lending.
func TestLendingNeedsAState(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		roles []string
		given bool
		file  string
		want  string
	}{
		"nobody asked":    {roles: []string{"web", "access"}},
		"the role":        {roles: []string{"access"}, given: true, want: "leave access out of --roles"},
		"a file of flows": {roles: []string{"web", "access"}, file: "flows.yaml", want: "sqlite:PATH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config.Default()
			c.State = "file:" + t.TempDir()
			c.Access.FlowsFile = test.file
			s, err := openStore(t.Context(), c, newLogger(nil, c))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			p := &product{config: c, log: newLogger(nil, c), store: s}
			err = p.openLendingFor(t.Context(), cli.ServeOptions{Roles: test.roles, RolesGiven: test.given})
			switch {
			case test.want == "" && (err != nil || p.lending != nil):
				t.Errorf("%+v, %v", p.lending, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("the error is %v", err)
			}
		})
	}
}
