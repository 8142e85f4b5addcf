package access_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// The way of a grant: asked, put in place, its time runs from then, and it is gone.
func TestLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk(func(o *access.Options) { o.Mailer = w.mail })
		w.setup(d)
		w.target.setFault("one", fault{down: true})
		stop := w.run(d)
		defer stop()
		ann := w.person("ann")
		r := w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: 10 * time.Minute})
		if r.State != access.Approved || r.Grant == "" {
			t.Fatalf("the request is %+v", r)
		}
		time.Sleep(5 * time.Minute)
		v, err := d.GrantByID(t.Context(), ann, r.Grant)
		if err != nil || v.State != access.Provisioning || !v.Failing || !strings.Contains(v.Trouble, "connection refused") || v.NextTry.IsZero() || v.Late < 4*time.Minute {
			t.Errorf("while the target is down: %+v, %v", v, err)
		}
		w.eventually(time.Minute, "lateness is told", func() bool { return w.mail.has("email grant.late") })
		w.target.setFault("one", fault{})
		key := "one:ann@example.com:namespace/payments:view"
		w.eventually(time.Minute, "the grant is active", func() bool { return w.grant(r.Grant).State == access.Active })
		g := w.grant(r.Grant)
		if s, ok := w.target.get(key); !ok || !slices.Equal(s.grants, []string{g.ID}) {
			t.Errorf("the target has %+v", s)
		}
		if g.ExpiresAt.Sub(g.ReadyAt) != 10*time.Minute || g.ReadyAt.Sub(g.CreatedAt) < 5*time.Minute {
			t.Errorf("ready at %v, ends at %v", g.ReadyAt, g.ExpiresAt)
		}
		w.eventually(time.Minute, "being ready is told", func() bool { return w.mail.has("slack grant.ready") })
		time.Sleep(time.Until(g.ExpiresAt) - time.Second)
		if _, ok := w.target.get(key); !ok {
			t.Errorf("it is gone a second early")
		}
		if s, _ := w.target.get(key); s.expires.Sub(g.ExpiresAt).Abs() > time.Second {
			t.Errorf("the target says it ends at %v, the grant %v", s.expires, g.ExpiresAt)
		}
		if !w.mail.has("slack grant.ending") {
			t.Errorf("the end was not told before")
		}
		time.Sleep(1500 * time.Millisecond)
		if _, ok := w.target.get(key); ok {
			t.Errorf("it is there half a second after its end")
		}
		if g = w.grant(r.Grant); g.State != access.Ended || g.EndReason != access.Expired || g.EndedAt.Before(g.EndingAt) {
			t.Errorf("after its end: %+v", g)
		}
		if got, want := w.actions(g.ID), "grant.created grant.ready grant.expired grant.ended"; got != want {
			t.Errorf("the audit log has %s; want %s", got, want)
		}
	})
}

// actions are what the audit log tells of one subject, in order.
func (w *world) actions(id string) string {
	w.t.Helper()
	var out []string
	for _, e := range w.events() {
		if e.Subject.ID == id {
			out = append(out, e.Action)
		}
	}
	return strings.Join(out, " ")
}

func (w *world) events() []audit.Event {
	w.t.Helper()
	var out []audit.Event
	q := audit.Query{Limit: 1000}
	for {
		page, err := w.store.AuditEvents(w.t.Context(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, page.Events...)
		if q.Cursor = page.Next; q.Cursor == "" {
			slices.Reverse(out)
			return out
		}
	}
}

// However many agree at once, on two desks, there is one grant.
func TestApproveOnce(t *testing.T) {
	t.Parallel()
	w := fileWorld(t)
	desks := []*access.Desk{w.desk(), w.desk()}
	w.setup(desks[0])
	for round := range 3 {
		r := w.request(desks[0], access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "edit")}, Justification: "an incident"})
		if r.State != access.Pending {
			t.Fatalf("the request is %s", r.State)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		approved := 0
		for n := range 50 {
			wg.Go(func() {
				got, err := desks[n%2].Vote(t.Context(), r.ID, access.Ballot{By: w.person([]string{"sam", "sue"}[n%2]), Approve: true, Via: "slack"})
				switch {
				case err == nil && got.State == access.Approved:
					mu.Lock()
					approved++
					mu.Unlock()
				case !errors.Is(err, access.ErrDecided) && !errors.Is(err, access.ErrConflict):
					t.Errorf("Vote: %+v, %v", got, err)
				}
			})
		}
		wg.Wait()
		grants, err := w.l.Grants(t.Context(), access.GrantQuery{})
		if err != nil || grants.Total != round+1 || approved != 1 {
			t.Fatalf("%d approved, %d grants, %v; want one more each time", approved, grants.Total, err)
		}
	}
}

func TestVoting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk(func(o *access.Options) { o.Mailer = w.mail })
	w.setup(d)
	ask := func(permission string) *access.Request {
		t.Helper()
		return w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", permission)}, Justification: "an incident"})
	}
	vote := func(r *access.Request, who string, approve bool, reason string) (*access.Request, error) {
		return d.Vote(t.Context(), r.ID, access.Ballot{By: w.person(who), Approve: approve, Reason: reason})
	}
	edit := ask("edit")
	for who, want := range map[string]error{"ann": access.ErrForbidden, "ben": access.ErrNotFound, "eve": access.ErrNotFound, "root": access.ErrForbidden} {
		if _, err := vote(edit, who, true, "because"); !errors.Is(err, want) {
			t.Errorf("%s votes: %v; want %v", who, err, want)
		}
	}
	inbox, err := d.Requests(t.Context(), w.person("sam"), access.RequestQuery{Voter: "sam@example.com"})
	if err != nil || inbox.Total != 1 || !inbox.Requests[0].MayVote {
		t.Errorf("the inbox of sam: %+v, %v", inbox, err)
	}
	if inbox, err := d.Requests(t.Context(), w.person("ann"), access.RequestQuery{Voter: "ann@example.com"}); err != nil || inbox.Total != 0 {
		t.Errorf("the inbox of ann: %+v, %v", inbox, err)
	}
	if _, err := d.Requests(t.Context(), w.person("ann"), access.RequestQuery{Voter: "sam@example.com"}); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("another's inbox: %v", err)
	}
	if _, err := d.Vote(t.Context(), edit.ID, access.Ballot{By: w.person("sam"), Approve: true, Version: 7}); !errors.Is(err, access.ErrConflict) {
		t.Errorf("a vote on another version: %v", err)
	}
	if r, err := vote(edit, "sam", false, "not now"); err != nil || r.State != access.Denied || r.DecidedBy != "sam@example.com" {
		t.Errorf("a denial: %+v, %v", r, err)
	}
	if _, err := vote(edit, "sue", true, ""); !errors.Is(err, access.ErrDecided) || !strings.Contains(err.Error(), "sam@example.com") {
		t.Errorf("a vote after a denial: %v", err)
	}
	if _, err := d.RequestByID(t.Context(), w.person("eve"), edit.ID); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a request that is not hers: %v", err)
	}

	admin := ask("admin")
	if _, err := vote(admin, "sam", true, ""); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("without the reason that the flow wants: %v", err)
	}
	if r, err := vote(admin, "sam", true, "known work"); err != nil || r.State != access.Pending {
		t.Errorf("one of two: %+v, %v", r, err)
	}
	if r, err := vote(admin, "sam", true, "again"); err != nil || r.State != access.Pending || len(r.Votes) != 1 {
		t.Errorf("one of two, twice: %+v, %v", r, err)
	}
	if r, err := vote(admin, "olga", true, "mine"); err != nil || r.State != access.Approved || r.Grant == "" {
		t.Errorf("both: %+v, %v", r, err)
	}
	// Who is shut out in between does not get it.
	late := ask("edit")
	w.dir.set("ann@example.com", func(p *flow.Person) { p.Disabled = true })
	if _, err := vote(late, "sam", true, ""); err == nil {
		t.Errorf("somebody who is disabled got access")
	}
}

func TestAsking(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk()
	w.setup(d)
	ann := w.person("ann")
	ok := access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "view")}}
	for name, c := range map[string]struct {
		change func(*access.Ask)
		want   error
	}{
		"nobody":            {func(a *access.Ask) { a.By = flow.Person{} }, access.ErrForbidden},
		"nothing":           {func(a *access.Ask) { a.Items = nil }, access.ErrInvalid},
		"both":              {func(a *access.Ask) { a.Bundle = "look" }, access.ErrInvalid},
		"no integration":    {func(a *access.Ask) { a.Items[0].Integration = "none" }, access.ErrNotFound},
		"no resource":       {func(a *access.Ask) { a.Items[0].Resource = "none" }, access.ErrNotFound},
		"no permission":     {func(a *access.Ask) { a.Items[0].Permission = "root" }, access.ErrInvalid},
		"no flow":           {func(a *access.Ask) { a.Items[0] = ref("two", "payments", "edit") }, access.ErrNotGiven},
		"not a requestor":   {func(a *access.Ask) { a.By = w.person("eve") }, access.ErrNotGiven},
		"too long":          {func(a *access.Ask) { a.Duration = 3 * time.Hour }, access.ErrNotGiven},
		"for somebody else": {func(a *access.Ask) { a.For = "ben@example.com" }, access.ErrNotGiven},
		"for nobody":        {func(a *access.Ask) { a.For = "none@example.com" }, access.ErrNotGiven},
		"no justification":  {func(a *access.Ask) { a.Items[0] = ref("one", "payments", "edit") }, access.ErrNotGiven},
		"glass of others": {func(a *access.Ask) {
			a.Items[0], a.BreakGlass = ref("one", "payments", "edit"), true
			a.Justification = "fire"
		}, access.ErrNotGiven},
		"no bundle":          {func(a *access.Ask) { a.Items, a.Bundle = nil, "none" }, access.ErrNotFound},
		"a bundle not given": {func(a *access.Ask) { a.Items, a.Bundle = nil, "look" }, access.ErrNotGiven},
	} {
		a := ok
		a.Items = slices.Clone(ok.Items)
		c.change(&a)
		if r, err := d.Request(t.Context(), a); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v; want %v", name, r, err, c.want)
		}
	}
	if page, err := w.l.Requests(t.Context(), access.RequestQuery{}); err != nil || page.Total != 0 {
		t.Errorf("refused asks left %d requests, %v", page.Total, err)
	}
	if !slices.ContainsFunc(w.events(), func(e audit.Event) bool { return e.Action == "request.refused" && e.Actor.ID == "eve@example.com" }) {
		t.Errorf("the audit log does not tell of eve's try")
	}
	e, err := d.Explain(t.Context(), access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "edit")}, Justification: "x"})
	if err != nil || e.Decision.Outcome != flow.NeedsApproval || !slices.Equal(e.Standing.People, []string{"sam@example.com", "sue@example.com"}) {
		t.Errorf("Explain: %+v, %v", e, err)
	}
	// A manager asks for a report.
	r := w.request(d, access.Ask{By: w.person("boss"), For: "ann@example.com", Items: []access.ItemRef{ref("one", "orders", "edit")}, Justification: "x"})
	if r.For.ID != "ann@example.com" || r.By.ID != "boss@example.com" || len(r.For.Groups) != 1 {
		t.Errorf("for a report: %+v", r)
	}
	// The glass.
	w.mail = &mailer{}
	loud := w.desk(func(o *access.Options) { o.Mailer = w.mail })
	r = w.request(loud, access.Ask{By: w.person("sam"), Items: []access.ItemRef{ref("one", "orders", "edit")}, Justification: "fire", BreakGlass: true})
	if r.State != access.Approved || !r.BreakGlass || !w.grant(r.Grant).BreakGlass {
		t.Errorf("breaking the glass: %+v", r)
	}
	if n := w.mail.planned[len(w.mail.planned)-1]; n.Kind != "breakglass.used" || !n.Loud || !slices.Equal(n.To, []string{"boss@example.com"}) {
		t.Errorf("what was told of it: %+v", n)
	}
	// An integration with a failed check is not lent from.
	bad := &access.Integration{Name: "one", Type: "fake", Config: map[string]string{"fails": "may not bind"}}
	if _, err := d.SaveIntegration(t.Context(), bad, w.person("root"), 1, "api"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Request(t.Context(), ok); !errors.Is(err, access.ErrStopped) || !strings.Contains(err.Error(), "may not bind") {
		t.Errorf("from an integration that fails: %v", err)
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk()
	w.setup(d)
	names := func(who string, q access.CatalogQuery) []string {
		t.Helper()
		page, err := d.Catalog(t.Context(), w.person(who), q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range page.Entries {
			out = append(out, e.Item.Permission+" "+e.Item.Resource.Integration+"/"+e.Item.Resource.Name+" "+string(e.Terms.Outcome))
		}
		slices.Sort(out)
		return out
	}
	if got := names("eve", access.CatalogQuery{}); len(got) != 0 {
		t.Errorf("eve may ask for %v", got)
	}
	if got := names("ann", access.CatalogQuery{ResourceQuery: access.ResourceQuery{Integration: "two"}}); len(got) != 3 || got[0] != "view two/orders auto_approved" {
		t.Errorf("ann may ask on two for %v", got)
	}
	if got := names("ann", access.CatalogQuery{}); len(got) != 12 {
		t.Errorf("ann may ask for %v", got)
	}
	if got := names("sam", access.CatalogQuery{ResourceQuery: access.ResourceQuery{Text: "pay"}}); len(got) != 1 || got[0] != "edit one/payments needs_approval" {
		t.Errorf("sam may ask for %v", got)
	}
}

func TestEndingEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		active := func() string {
			t.Helper()
			r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view"), ref("two", "payments", "view")}})
			w.eventually(time.Minute, "it is active", func() bool { return w.grant(r.Grant).State == access.Active })
			return r.Grant
		}
		first, second := active(), active()
		if _, err := d.Return(t.Context(), first, w.person("ben"), "web"); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("another returns it: %v", err)
		}
		if _, err := d.Revoke(t.Context(), first, w.person("ann"), "x", "web"); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("the holder revokes it: %v", err)
		}
		if _, err := d.Revoke(t.Context(), first, w.person("root"), " ", "web"); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("without a reason: %v", err)
		}
		if g, err := d.Return(t.Context(), first, w.person("ann"), "web"); err != nil || g.State != access.Revoking {
			t.Fatalf("Return: %+v, %v", g, err)
		}
		if g, err := d.Return(t.Context(), first, w.person("ann"), "web"); err != nil || g.Version > 4 {
			t.Errorf("returning twice: %+v, %v", g, err)
		}
		w.eventually(time.Minute, "it has ended", func() bool { return w.grant(first).State == access.Ended })
		// The other grant gives the same, and goes on.
		key := "one:ann@example.com:namespace/payments:view"
		if s, ok := w.target.get(key); !ok || !slices.Equal(s.grants, []string{second}) {
			t.Errorf("after one of two was returned the target has %+v", s)
		}
		// Its owner revokes it.
		if _, err := d.Revoke(t.Context(), second, w.person("olga"), "mine", "web"); err != nil {
			t.Errorf("the owner revokes it: %v", err)
		}
		w.eventually(time.Minute, "it has ended", func() bool { return w.grant(second).State == access.Ended })
		if _, ok := w.target.get(key); ok {
			t.Errorf("after both have ended it is there")
		}
		third := active()
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "edit")}, Justification: "x"})
		if err := d.PersonLeft(t.Context(), "ann@example.com", "disabled"); err != nil {
			t.Fatal(err)
		}
		w.eventually(time.Minute, "it has ended", func() bool { return w.grant(third).State == access.Ended })
		if g := w.grant(third); g.EndReason != access.Left {
			t.Errorf("it ended as %s", g.EndReason)
		}
		if got, err := w.l.Request(t.Context(), r.ID); err != nil || got.State != access.Cancelled {
			t.Errorf("the request of who left: %+v, %v", got, err)
		}
	})
}

func TestExtension(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		ann := w.person("ann")
		r := w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: 10 * time.Minute})
		w.eventually(time.Minute, "it is active", func() bool { return w.grant(r.Grant).State == access.Active })
		before := w.grant(r.Grant)
		if _, err := d.Extend(t.Context(), r.Grant, ann, time.Hour, "", "cli"); !errors.Is(err, access.ErrNotGiven) {
			t.Errorf("longer than the flow lets: %v", err)
		}
		for n := range 2 {
			x, err := d.Extend(t.Context(), r.Grant, ann, 0, "", "cli")
			if err != nil || x.State != access.Approved || x.Extends != r.Grant {
				t.Fatalf("extension %d: %+v, %v", n, x, err)
			}
		}
		if _, err := d.Extend(t.Context(), r.Grant, ann, 0, "", "cli"); !errors.Is(err, access.ErrNotGiven) {
			t.Errorf("a third extension: %v", err)
		}
		g := w.grant(r.Grant)
		if !g.ExpiresAt.Equal(before.ExpiresAt.Add(20*time.Minute)) || g.Duration != 30*time.Minute {
			t.Errorf("it ends at %v after %v, %v", g.ExpiresAt, before.ExpiresAt, g.Duration)
		}
		time.Sleep(time.Second)
		if s, _ := w.target.get("one:ann@example.com:namespace/payments:view"); !s.expires.Equal(g.ExpiresAt) {
			t.Errorf("the target says it ends at %v; want %v", s.expires, g.ExpiresAt)
		}
		time.Sleep(time.Until(g.ExpiresAt) + time.Second)
		if _, err := d.Extend(t.Context(), r.Grant, ann, 0, "", "cli"); !errors.Is(err, access.ErrEnded) {
			t.Errorf("after its end: %v", err)
		}
		// Approved after its end: nothing comes back.
		r = w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "edit")}, Justification: "x"})
		if r, _ = d.Vote(t.Context(), r.ID, access.Ballot{By: w.person("sam"), Approve: true}); r.State != access.Approved {
			t.Fatalf("the request is %+v", r)
		}
		w.eventually(time.Minute, "it is active", func() bool { return w.grant(r.Grant).State == access.Active })
		x, err := d.Extend(t.Context(), r.Grant, ann, 0, "more to do", "cli")
		if err != nil || x.State != access.Pending {
			t.Fatalf("an extension that needs approval: %+v, %v", x, err)
		}
		time.Sleep(61 * time.Minute)
		if got, err := d.Vote(t.Context(), x.ID, access.Ballot{By: w.person("sam"), Approve: true}); err != nil || got.State != access.Cancelled {
			t.Errorf("agreeing after the grant has ended: %+v, %v", got, err)
		}
		if g := w.grant(r.Grant); g.State != access.Ended {
			t.Errorf("the grant is %s", g.State)
		}
	})
}

func TestUnansweredRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk(func(o *access.Options) { o.Mailer = w.mail })
		w.setup(d)
		defer w.run(d)()
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "edit")}, Justification: "x"})
		if v, err := d.RequestByID(t.Context(), w.person("ann"), r.ID); err != nil || slices.Contains(v.Standing.People, "boss@example.com") {
			t.Errorf("before it escalates: %+v, %v", v, err)
		}
		time.Sleep(31 * time.Minute)
		v, err := d.RequestByID(t.Context(), w.person("boss"), r.ID)
		if err != nil || !v.MayVote || v.Escalated != 1 || !slices.Contains(v.Standing.People, "boss@example.com") {
			t.Errorf("after it escalated: %+v, %v", v, err)
		}
		if !w.mail.has("slack request.escalated") {
			t.Errorf("the escalation was not told")
		}
		time.Sleep(90 * time.Minute)
		if got, err := w.l.Request(t.Context(), r.ID); err != nil || got.State != access.Lapsed {
			t.Errorf("after its time: %+v, %v", got, err)
		}
		if got := w.actions(r.ID); got != "request.created request.escalated request.lapsed" {
			t.Errorf("the audit log has %s", got)
		}
		if _, err := d.Vote(t.Context(), r.ID, access.Ballot{By: w.person("sam"), Approve: true}); !errors.Is(err, access.ErrDecided) {
			t.Errorf("agreeing after it lapsed: %v", err)
		}
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		ann := w.person("ann")
		if _, err := d.Credentials(t.Context(), ann, "one", "", "cli"); !errors.Is(err, access.ErrEnded) {
			t.Errorf("without a grant: %v", err)
		}
		r := w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: 5 * time.Minute})
		w.eventually(time.Minute, "it is active", func() bool { return w.grant(r.Grant).State == access.Active })
		c, err := d.Credentials(t.Context(), ann, "one", "", "cli")
		if err != nil || c.AccessKeyID != "ASIAann@example.com" || !c.Expiration.Equal(w.grant(r.Grant).ExpiresAt) {
			t.Errorf("with one: %+v, %v", c, err)
		}
		if _, err := d.Credentials(t.Context(), w.person("ben"), "one", r.Grant, "cli"); !errors.Is(err, access.ErrEnded) {
			t.Errorf("another's: %v", err)
		}
		if details, err := d.GrantDetails(t.Context(), ann, r.Grant); err != nil || details.Text != "use one" {
			t.Errorf("details: %+v, %v", details, err)
		}
		if _, err := d.GrantDetails(t.Context(), w.person("ben"), r.Grant); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("another's details: %v", err)
		}
		time.Sleep(6 * time.Minute)
		if _, err := d.Credentials(t.Context(), ann, "one", "", "cli"); !errors.Is(err, access.ErrEnded) {
			t.Errorf("after its end: %v", err)
		}
		if !strings.Contains(fmt.Sprint(w.events()), "credentials.vended") {
			t.Errorf("the audit log does not tell of them")
		}
	})
}

// One channel that is down delays no other, and what it missed comes in order.
func TestOutbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		down := true
		w.mail.fails = func(l access.ClaimedLetter) error {
			if l.Channel == "slack" && down {
				return errors.New("slack is down")
			}
			return nil
		}
		d := w.desk(func(o *access.Options) { o.Mailer = w.mail })
		w.setup(d)
		defer w.run(d)()
		w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute})
		time.Sleep(2 * time.Minute)
		if !w.mail.has("email grant.ready") || !w.mail.has("email grant.ended") || w.mail.has("slack grant.ready") {
			t.Errorf("sent while slack is down: %v", w.mail.sent)
		}
		w.mail.mu.Lock()
		down = false
		w.mail.mu.Unlock()
		time.Sleep(20 * time.Minute)
		w.mail.mu.Lock()
		defer w.mail.mu.Unlock()
		ready, ended := slices.Index(w.mail.sent, "slack grant.ready"), slices.Index(w.mail.sent, "slack grant.ended")
		if ready < 0 || ended < ready {
			t.Errorf("sent after slack was back: %v", w.mail.sent)
		}
	})
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk()
	w.setup(d)
	mine, others := d.Subscribe(t.Context(), w.person("ann")), d.Subscribe(t.Context(), w.person("ben"))
	r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}})
	if e := <-mine; e.Kind != "grant" || e.ID != r.Grant {
		t.Errorf("the holder hears %+v", e)
	}
	if e := <-others; e.Kind != "grant" || e.ID != "" {
		t.Errorf("others hear %+v", e)
	}
}
