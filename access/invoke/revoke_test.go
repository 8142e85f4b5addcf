package invoke

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestEarlyEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice, bob := person("alice"), person("bob")
	a := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	b := w.lend("g2", bob, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	oa, ob := w.object(w.lender, a), w.object(w.lender, b)
	oa.apply(a)
	ob.apply(b)
	if n := w.faults.count("PutRolePolicy"); n != 0 {
		t.Errorf("lending wrote %d policies", n)
	}
	keys, others := w.vend(w.lender, alice, a), w.vend(w.lender, bob, b)
	w.wantCall(keys, "GET", "/prod/orders", true)

	oa.generation++
	got, err := w.lender.Apply(t.Context(), w.i, access.Wanted{Key: oa.key, Generation: oa.generation, Kept: oa.kept})
	if err != nil || got.Pending == 0 {
		t.Fatalf("the first look said %+v, %v: IAM has to be given time", got, err)
	}
	w.wantCall(keys, "GET", "/prod/orders", false) // at once
	w.wantCall(others, "GET", "/prod/orders", true)
	oa.kept = got.Kept
	oa.generation--
	oa.apply()
	w.wantCall(others, "GET", "/prod/orders", true)

	again := w.lend("g3", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	oa.apply(again)
	fresh := w.vend(w.lender, alice, again)
	w.wantCall(fresh, "GET", "/prod/orders", true)
	w.wantCall(keys, "GET", "/prod/orders", false)
	if again := w.vend(w.lender, bob, b); again.AccessKeyID != others.AccessKeyID {
		t.Error("bob's credentials were made anew")
	}
}

func TestNewCredentialsRightAfterAnEarlyEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	one := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	two := w.lend("g2", alice, routeID(apiOne, "prod", "POST/orders"), time.Hour)
	o := w.object(w.lender, one)
	o.apply(one)
	keys := w.vend(w.lender, alice, one, two)
	o.generation++
	got, err := w.lender.Apply(t.Context(), w.i, access.Wanted{Key: o.key, Generation: o.generation, Kept: o.kept})
	if err != nil || got.Pending == 0 {
		t.Fatal(got, err)
	}
	// What is left is given by new sessions that are not denied from the start.
	w.wantCall(keys, "POST", "/prod/orders", false)
	rest := w.vend(w.lender, alice, two)
	w.wantCall(rest, "POST", "/prod/orders", true)
	w.wantCall(rest, "GET", "/prod/orders", false)
}

func TestNaturalEndWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	h := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 20*time.Minute)
	o := w.object(w.lender, h)
	o.apply(h)
	keys := w.vend(w.lender, alice, h)
	w.clock.Advance(20*time.Minute - 10*time.Millisecond)
	o.apply() // the desk's clock is a little ahead
	w.wantCall(keys, "GET", "/prod/orders", false)
	if n := w.faults.count("PutRolePolicy"); n != 0 {
		t.Errorf("a natural end wrote %d policies", n)
	}
}

// TestNaturalEndWithAClockThatIsAhead: by the clock of AWS the credentials would hold on.
func TestNaturalEndWithAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	w.lender.opts.Clock = func() time.Time { return w.clock.Now().Add(50 * time.Second) }
	alice := person("alice")
	h := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 10*time.Minute)
	o := w.object(w.lender, h)
	o.apply(h)
	keys := w.vend(w.lender, alice, h)
	w.clock.Advance(9*time.Minute + 11*time.Second)
	w.wantCall(keys, "GET", "/prod/orders", true)
	o.apply()
	w.wantCall(keys, "GET", "/prod/orders", false)
	if left := h.Expires.Sub(w.clock.Now()); left < 30*time.Second {
		t.Fatalf("it has ended by itself %v ago", -left)
	}
}

// TestEndAfterAnExtensionThatWasNotApplied: credentials know of an extension before an
// Apply does, so the time that was kept is too early.
func TestEndAfterAnExtensionThatWasNotApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	h := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 20*time.Minute)
	o := w.object(w.lender, h)
	o.apply(h)
	longer := h
	longer.Expires = h.Expires.Add(time.Hour)
	keys := w.vend(w.lender, alice, longer)
	w.clock.Advance(25 * time.Minute)
	w.wantCall(keys, "GET", "/prod/orders", true)
	o.generation++ // the extension
	o.apply()
	w.wantCall(keys, "GET", "/prod/orders", false)
}

func TestOverlapThatShrinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	short := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 10*time.Minute)
	long := w.lend("g2", alice, routeID(apiOne, "prod", "GET/orders"), 50*time.Minute)
	o := w.object(w.lender, short)
	o.apply(short, long)
	keys := w.vend(w.lender, alice, short, long)
	o.apply(short) // the longer one ended early
	w.wantCall(keys, "GET", "/prod/orders", false)
	w.wantCall(w.vend(w.lender, alice, short), "GET", "/prod/orders", true)
	puts := w.faults.count("PutRolePolicy")
	o.apply(short, long)
	keys = w.vend(w.lender, alice, short, long)
	o.apply(long) // the shorter one ended early: nothing is lost
	w.wantCall(keys, "GET", "/prod/orders", true)
	if n := w.faults.count("PutRolePolicy"); n != puts {
		t.Error("sessions were taken back although nothing was lost")
	}
}

// TestLossWhileSettling: a second right is lost before IAM has settled the first.
func TestLossWhileSettling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	one := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 50*time.Minute)
	two := w.lend("g2", alice, routeID(apiOne, "prod", "GET/orders"), 30*time.Minute)
	o := w.object(w.lender, one)
	o.apply(one, two)
	o.generation++
	got, err := w.lender.Apply(t.Context(), w.i, access.Wanted{Key: o.key, Generation: o.generation, Holdings: []access.Holding{two}, Kept: o.kept})
	if err != nil || got.Pending == 0 {
		t.Fatal(got, err)
	}
	o.kept = got.Kept
	keys := w.vend(w.lender, alice, two)
	w.wantCall(keys, "GET", "/prod/orders", true)
	o.apply()
	w.wantCall(keys, "GET", "/prod/orders", false)
}

// TestARevocationThatWasUndone: somebody takes the policy away while IAM is given time.
func TestARevocationThatWasUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	h := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	o := w.object(w.lender, h)
	o.apply(h)
	keys := w.vend(w.lender, alice, h)
	o.generation++
	got, err := w.lender.Apply(t.Context(), w.i, access.Wanted{Key: o.key, Generation: o.generation, Kept: o.kept})
	if err != nil || got.Pending == 0 {
		t.Fatal(got, err)
	}
	w.sim.Account(owner).AddRole(awssim.Role{Name: "api-invoker", Inline: map[string]string{"InvokeApi": invokes}, TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend"})
	w.wantCall(keys, "GET", "/prod/orders", true)
	o.kept = got.Kept
	o.generation--
	w.clock.Advance(got.Pending)
	o.apply()
	w.wantCall(keys, "GET", "/prod/orders", false)
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	first, second := w.lender, w.newLender()
	// Both revoke different people at once, again and again: none undoes another's.
	var all []access.Credentials
	var group sync.WaitGroup
	for n := range 12 {
		p := person(fmt.Sprint("p", n))
		h := w.lend(fmt.Sprint("g", n), p, routeID(apiOne, "prod", "GET/orders"), time.Hour)
		l := []*Lender{first, second}[n%2]
		o := w.object(l, h)
		o.apply(h)
		all = append(all, w.vend(l, p, h))
		group.Go(func() { o.apply() })
	}
	group.Wait()
	for _, keys := range all {
		w.wantCall(keys, "GET", "/prod/orders", false)
	}
	// What one process made before the other took something back is not handed out.
	alice := person("alice")
	one := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	two := w.lend("g2", alice, routeID(apiOne, "prod", "POST/orders"), time.Hour)
	o := w.object(first, one)
	o.apply(one)
	rest := w.vend(second, alice, two)
	o.apply()
	w.wantCall(rest, "POST", "/prod/orders", false)
	w.clock.Advance(lookFor)
	w.wantCall(w.vend(second, alice, two), "POST", "/prod/orders", true)
}

func TestRevocationsAreWrittenTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	s, err := w.lender.connect(w.i)
	if err != nil {
		t.Fatal(err)
	}
	deny := s.switchOf(invokerARN)
	if err := deny.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for n := range 50 {
		group.Go(func() {
			if shown, _, err := deny.deny(t.Context(), fmt.Sprint("p", n, "@example.com"), w.clock.Now()); err != nil || !shown {
				t.Errorf("%v, %v", shown, err)
			}
		})
	}
	for asked := int64(0); asked < 50; {
		deny.mu.Lock()
		asked = deny.asked
		deny.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	deny.give()
	group.Wait()
	if n := w.faults.count("PutRolePolicy"); n != 1 {
		t.Errorf("50 revocations at once were %d writes", n)
	}
}

func TestOldRevocationsGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	policies := func() (names []string) {
		role, _ := w.sim.Account(owner).Role("api-invoker")
		for name := range role.Inline {
			names = append(names, name)
		}
		return names
	}
	end := func(l *Lender, name string) {
		p := person(name)
		h := w.lend("g", p, routeID(apiOne, "prod", "GET/orders"), time.Hour)
		o := w.object(l, h)
		o.apply(h)
		o.apply()
	}
	end(w.lender, "alice")
	if got := policies(); len(got) != 2 {
		t.Fatalf("the role has the policies %v", got)
	}
	w.clock.Advance(keepDenial + time.Minute)
	end(w.newLender(), "bob")
	role, _ := w.sim.Account(owner).Role("api-invoker")
	text := ""
	for _, policy := range role.Inline {
		text += policy
	}
	if len(role.Inline) != 2 || strings.Contains(text, "alice") || !strings.Contains(text, `"aws:userid":"*:bob@example.com"`) {
		t.Errorf("an hour later the role has the policies %v: %s", policies(), text)
	}
}

func TestWhereNothingFitsAllAreDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	fill := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::` + strings.Repeat("x", 9_150) + `"}]}`
	w.sim.Account(owner).AddRole(awssim.Role{
		Name: "api-invoker", Inline: map[string]string{"InvokeApi": invokes, "Fill": fill}, TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend",
	})
	bob := person("bob")
	hb := w.lend("g", bob, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	others := w.vend(w.lender, bob, hb)
	var last *object
	var keys []access.Credentials
	for n := range 12 {
		p := person(fmt.Sprint("somebody-with-quite-a-long-name-", n))
		h := w.lend("g", p, routeID(apiOne, "prod", "GET/orders"), time.Hour)
		last = w.object(w.lender, h)
		last.apply(h)
		keys = append(keys, w.vend(w.lender, p, h))
		last.apply()
	}
	for _, k := range keys {
		w.wantCall(k, "GET", "/prod/orders", false)
	}
	w.wantCall(others, "GET", "/prod/orders", false)
	if text := strings.Join(last.notes, "\n"); !strings.Contains(text, "ALL older sessions") {
		t.Errorf("it is not said loudly: %s", text)
	}
	w.wantCall(w.vend(w.lender, bob, hb), "GET", "/prod/orders", true)
}

func TestWithoutThePermissionTheEndIsSaidWhenItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	h := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 3*time.Hour)
	o := w.object(w.lender, h)
	o.apply(h)
	keys := w.vend(w.lender, alice, h)
	w.sim.Account(owner).AddRole(awssim.Role{Name: "GatehouseLender", TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend", MaxSession: 12 * time.Hour})
	o.generation++
	ended := func() error {
		got, err := w.lender.Apply(t.Context(), w.i, access.Wanted{Key: o.key, Generation: o.generation, Kept: o.kept})
		if got.Kept != nil {
			o.kept = got.Kept
		}
		return err
	}
	for range 6 {
		// A session of gatehouse's own is too old at some time: the next try begins another.
		if err := ended(); err != nil && strings.Contains(err.Error(), "ExpiredToken") {
			continue
		} else if err == nil || !strings.Contains(err.Error(), access.ErrRefused.Error()) || !strings.Contains(err.Error(), "ends by itself at") {
			t.Fatalf("without iam:PutRolePolicy: %v", err)
		}
		w.clock.Advance(10 * time.Minute)
	}
	w.wantCall(keys, "GET", "/prod/orders", false) // by time
	w.clock.Advance(10 * time.Minute)
	if err := ended(); err != nil {
		t.Errorf("after every session has ended: %v", err)
	}
}

func TestARoleForEachPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	delete(w.i.Config, keyRole)
	w.i.Config[keyPersonPath] = "/gatehouse/people/"
	for _, name := range []string{"alice@example.com", "bob@example.com"} {
		w.sim.Account(owner).AddRole(awssim.Role{Name: name, Path: "/gatehouse/people/", Inline: map[string]string{"InvokeApi": invokes}, TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend"})
	}
	alice, bob := person("alice"), person("bob")
	a := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	b := w.lend("g2", bob, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	o := w.object(w.lender, a)
	o.apply(a)
	keys, others := w.vend(w.lender, alice, a), w.vend(w.lender, bob, b)
	if keys.Detail["role"] != "arn:aws:iam::222222222222:role/gatehouse/people/alice@example.com" {
		t.Errorf("the role is %s", keys.Detail["role"])
	}
	o.apply()
	w.wantCall(keys, "GET", "/prod/orders", false)
	w.wantCall(others, "GET", "/prod/orders", true)
}

func TestDenialsFitAndHold(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		d := newDenial()
		names := rapid.SampledFrom([]string{"alice@example.com", "bob@example.com", "carol@example.com", "dave@example.com", "a=27b@example.com", "x.y", "Alice@example.com"})
		for range rapid.IntRange(1, 20).Draw(t, "people") {
			d.add(names.Draw(t, "name"), start.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "second"))*time.Second))
		}
		if rapid.IntRange(0, 5).Draw(t, "everybody") == 0 {
			d.all = start.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "second")) * time.Second)
		}
		most := rapid.IntRange(300, 3000).Draw(t, "most")
		text, wrote, wide := d.write(most)
		if len(text) > most {
			t.Fatalf("%d characters are written where %d fit", len(text), most)
		}
		if !wrote.covers(&d) {
			t.Fatalf("%s denies less than %+v", text, d)
		}
		if whole := d.policy(); len(whole) <= most && (wide || text != whole) {
			t.Fatalf("%s would fit, and %s is written", whole, text)
		}
		back, err := readDenial(text)
		if err != nil || !back.covers(&wrote) || !wrote.covers(&back) {
			t.Fatalf("%s is read as %+v, %v", text, back, err)
		}
		// IAM decides as the denial says, for sessions of the person alone.
		compiled, err := iam.ParseAndCompile(iam.KindIdentity, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		policies := iam.Policies{Identity: []iam.Attached{{Name: "all", Policy: everything}, {Name: "denial", Policy: compiled}}}
		for range 10 {
			name := names.Draw(t, "caller")
			issued := start.Add(time.Duration(rapid.IntRange(-10, 3610).Draw(t, "issued")) * time.Second)
			who, err := iam.ParsePrincipal("arn:aws:sts::222222222222:assumed-role/api-invoker/" + name)
			if err != nil {
				t.Fatal(err)
			}
			q, err := iam.Request{
				Principal: who, Action: actionInvoke, Resource: "arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/prod/GET/orders",
				Context: iam.Context{keyUserID: {"AROAEXAMPLE:" + name}, keyIssued: {issued.Format(time.RFC3339)}},
			}.Prepare()
			if err != nil {
				t.Fatal(err)
			}
			if denied := policies.Decide(q) != iam.Allowed; denied != issued.Before(wrote.before(name)) {
				t.Fatalf("a session of %s begun at %v is denied: %v, by %s", name, issued, denied, text)
			}
		}
	})
}

func TestPoliciesThatOthersChanged(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-03-01T12:00:00Z"}}}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-03-01T12:00:00Z"}}}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-03-01T12:00:00Z"},"StringLike":{"aws:userid":"*:al*"}}}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"soon"}}}]}`,
	} {
		if d, err := readDenial(text); err == nil {
			t.Errorf("%s is read as %+v", text, d)
		}
	}
	w := newWorld(t, transaction.REST, orders)
	w.sim.Account(owner).AddRole(awssim.Role{
		Name: "api-invoker", TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend",
		Inline: map[string]string{"InvokeApi": invokes, policyPrefix + "00": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
	})
	found, err := w.lender.List(t.Context(), w.i)
	if err != nil || len(found) != 1 || found[0].Key != "" || found[0].Drift == "" || !strings.Contains(found[0].Name, policyPrefix+"00") {
		t.Errorf("a policy that was changed is listed as %+v, %v", found, err)
	}
}
