package invoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestCredentialsAllowWhatIsHeldAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	keys := w.vend(w.lender, alice, w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders/{id}"), time.Hour))
	w.wantCall(keys, "GET", "/prod/orders/17", true)
	w.wantCall(keys, "GET", "/prod/orders/mine", false)     // a literal goes before the parameter
	w.wantCall(keys, "GET", "/prod/orders/17/items", false) // a star crosses slashes
	w.wantCall(keys, "GET", "/prod/orders", false)
	w.wantCall(keys, "POST", "/prod/orders", false)
	w.wantCall(keys, "GET", "/dev/orders/17", false)
	w.wantCall(keys, "GET", "/prod/health", true) // anybody may
	if keys.Version != 1 || keys.Expiration.After(w.clock.Now().Add(time.Hour)) {
		t.Errorf("the credentials are version %d and end at %v", keys.Version, keys.Expiration)
	}
	if keys.Detail["session"] != "alice@example.com" || keys.Detail["role"] != invokerARN {
		t.Errorf("the detail for the audit log is %v", keys.Detail)
	}
	text, err := json.Marshal(keys)
	if err != nil || strings.Contains(string(text), "Detail") || !strings.Contains(string(text), `"AccessKeyId"`) || !strings.Contains(string(text), `"Version":1`) {
		t.Errorf("credential_process would get %s, %v", text, err)
	}

	both := w.vend(w.lender, alice, w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders/{id}"), time.Hour), w.lend("g2", alice, routeID(apiOne, "prod", "GET/orders/{id}/items"), time.Hour))
	w.wantCall(both, "GET", "/prod/orders/17", true)
	w.wantCall(both, "GET", "/prod/orders/17/items", true)
	w.wantCall(both, "GET", "/prod/orders/mine", false)

	stage := w.vend(w.lender, alice, w.lend("g3", alice, stageID(apiOne, "dev"), time.Hour))
	w.wantCall(stage, "POST", "/dev/orders", true)
	w.wantCall(stage, "POST", "/prod/orders", false)
	whole := w.vend(w.lender, alice, w.lend("g4", alice, apiID(apiOne), time.Hour))
	w.wantCall(whole, "POST", "/dev/orders", true)
	w.wantCall(whole, "GET", "/prod/orders/17/items", true)
}

func TestCredentialsEndWithWhatIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	short := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 4*time.Minute)
	long := w.lend("g2", alice, routeID(apiOne, "prod", "POST/orders"), 3*time.Hour)
	keys := w.vend(w.lender, alice, short, long)
	if !keys.Expiration.Equal(short.Expires) {
		t.Errorf("the credentials end at %v, want %v", keys.Expiration, short.Expires)
	}
	again := w.vend(w.lender, alice, short, long)
	if again.AccessKeyID != keys.AccessKeyID {
		t.Error("the same rights have other credentials a moment later")
	}
	w.clock.Advance(4*time.Minute - 2*time.Second)
	w.wantCall(keys, "GET", "/prod/orders", true)
	if again := w.vend(w.lender, alice, short, long); again.AccessKeyID != keys.AccessKeyID {
		t.Error("new credentials that end no later were made")
	}
	w.clock.Advance(2 * time.Second)
	// STS's shortest session lasts 15 minutes: the session policy ends it.
	w.wantCall(keys, "GET", "/prod/orders", false)
	w.wantCall(keys, "POST", "/prod/orders", false)
	keys = w.vend(w.lender, alice, short, long)
	w.wantCall(keys, "GET", "/prod/orders", false)
	w.wantCall(keys, "POST", "/prod/orders", true)
	if left := keys.Expiration.Sub(w.clock.Now()); left > time.Hour || left < 59*time.Minute {
		t.Errorf("a session that another began lasts %v", left)
	}
	w.clock.Advance(56 * time.Minute)
	if next := w.vend(w.lender, alice, short, long); next.AccessKeyID == keys.AccessKeyID {
		t.Error("credentials that end in four minutes are not made anew")
	}
	if _, err := w.lender.Credentials(t.Context(), w.i, alice, []access.Holding{short}); !errors.Is(err, access.ErrEnded) {
		t.Errorf("credentials for what has ended: %v", err)
	}
	bob := person("bob")
	if _, err := w.lender.Credentials(t.Context(), w.i, bob, []access.Holding{long}); err == nil {
		t.Error("bob gets credentials for what alice holds")
	}
}

// TestAResourcePolicyForEverybody: such a policy is not limited by what a session policy
// is silent about.
func TestAResourcePolicyForEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	w.policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:*","Resource":"*"}]}`
	w.serve(transaction.REST, orders)
	alice := person("alice")
	h := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders/{id}"), 5*time.Minute)
	keys := w.vend(w.lender, alice, h)
	w.wantCall(keys, "GET", "/prod/orders/17", true)
	w.wantCall(keys, "GET", "/prod/orders/17/items", false)
	w.wantCall(keys, "POST", "/prod/orders", false)
	w.wantCall(keys, "GET", "/dev/orders/17", false)
	w.clock.Advance(5 * time.Minute)
	w.wantCall(keys, "GET", "/prod/orders/17", false)
}

func TestRightsWithinOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	alice := person("alice")
	route := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), 50*time.Minute)
	other := w.lend("g2", alice, routeID(apiOne, "dev", "GET/orders"), 40*time.Minute)
	stage := w.lend("g3", alice, stageID(apiOne, "prod"), 10*time.Minute)
	keys := w.vend(w.lender, alice, route, other, stage)
	if !keys.Expiration.Equal(stage.Expires) {
		t.Errorf("the credentials end at %v, want %v", keys.Expiration, stage.Expires)
	}
	w.wantCall(keys, "POST", "/prod/orders", true)
	w.wantCall(keys, "GET", "/dev/orders", true)
	w.wantCall(keys, "POST", "/dev/orders", false)
	w.clock.Advance(10 * time.Minute)
	w.wantCall(keys, "GET", "/prod/orders", false)
	keys = w.vend(w.lender, alice, route, other, stage)
	w.wantCall(keys, "GET", "/prod/orders", true)
	w.wantCall(keys, "POST", "/prod/orders", false)
}

func TestCredentialsAreLimitedPerPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	w.lender.opts.VendBurst = 2
	alice, bob := person("alice"), person("bob")
	for n := range 3 {
		_, err := w.lender.Credentials(t.Context(), w.i, alice, []access.Holding{w.lend(fmt.Sprint("g", n), alice, stageID(apiOne, "prod"), time.Hour)})
		if (err != nil) != (n == 2) {
			t.Errorf("session %d: %v", n, err)
		}
	}
	w.vend(w.lender, bob, w.lend("g", bob, stageID(apiOne, "prod"), time.Hour))
	w.clock.Advance(5 * time.Second)
	w.vend(w.lender, alice, w.lend("g9", alice, stageID(apiOne, "prod"), time.Hour))
}

func TestCredentialsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	var routes []estate.Route
	for n := range 40 {
		routes = append(routes, estate.Route{Method: "GET", Path: fmt.Sprintf("/a/rather/long/path/number/%d/{id}", n), Authorization: authIAM})
	}
	w := newWorld(t, transaction.REST, routes)
	alice := person("alice")
	var all []access.Holding
	for n := range 40 {
		all = append(all, w.lend("g1", alice, routeID(apiOne, "prod", routes[n].Method+routes[n].Path), time.Hour))
		_, err := w.lender.Credentials(t.Context(), w.i, alice, all)
		if err == nil {
			continue
		}
		if n < 5 || !errors.Is(err, errTooLong) || !strings.Contains(err.Error(), "--grant") {
			t.Errorf("%d routes: %v", n+1, err)
		}
		return
	}
	t.Error("40 long routes fit into 2,048 characters")
}

func TestWhatCannotBeSaidExactlyIsRefused(t *testing.T) {
	t.Parallel()
	routes := []estate.Route{
		{Method: "GET", Path: "/orders/{id}", Authorization: authIAM},
		{Method: "GET", Path: "/orders/{id}/items", Authorization: authIAM},
		{Method: "GET", Path: "/orders/{id}/{part}", Authorization: authIAM},
	}
	w := newWorld(t, transaction.HTTP, routes)
	alice := person("alice")
	one := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders/{id}"), time.Hour)
	two := w.lend("g2", alice, routeID(apiOne, "prod", "GET/orders/{id}/items"), time.Hour)
	// GET/orders/* lets in the third route, which cannot be denied without the second.
	if _, err := w.lender.Credentials(t.Context(), w.i, alice, []access.Holding{one, two}); !errors.Is(err, errInexact) {
		t.Errorf("both at once: %v", err)
	}
	w.wantCall(w.vend(w.lender, alice, one), "GET", "/prod/orders/1", true)
	keys := w.vend(w.lender, alice, two)
	w.wantCall(keys, "GET", "/prod/orders/1/items", true)
	w.wantCall(keys, "GET", "/prod/orders/1/other", false)
	w.estate.Accounts[0].Regions[0].APIs[0].RoutesPartial = true
	w.clock.Advance(time.Hour - time.Minute)
	one.Expires = one.Expires.Add(time.Hour)
	if _, err := w.lender.Credentials(t.Context(), w.i, alice, []access.Holding{one}); err == nil || !strings.Contains(err.Error(), "not all known") {
		t.Errorf("with routes that are not all known: %v", err)
	}
}

func TestWebSocketRights(t *testing.T) {
	t.Parallel()
	s := &settings{integration: "chat", account: owner, region: region, apis: []string{apiOne}, role: invokerARN}
	w := &writer{settings: s, partition: "aws", end: time.Unix(2e9, 0), rights: []right{
		{action: actionInvoke, api: apiOne, stage: "prod", route: routeConnect}, {action: actionManage, api: apiOne, stage: "prod", route: routeConnections},
	}}
	p, err := w.write()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"Action":"execute-api:Invoke","NotResource":"arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/prod/$connect"`,
		`"Action":"execute-api:ManageConnections","Resource":"arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/prod/*/@connections/*"`,
	} {
		if !strings.Contains(p.text, want) {
			t.Errorf("%s has not %s", p.text, want)
		}
	}
}

// drawAPI draws routes that API Gateway would take: one name for each parameter.
func drawAPI(t *rapid.T, kind transaction.APIType) []estate.Route {
	segment := rapid.SampledFrom([]string{"a", "b", "mine", "{x}", "{x}"})
	seen := map[string]bool{}
	var routes []estate.Route
	for range rapid.IntRange(1, 9).Draw(t, "routes") {
		path := ""
		for range rapid.IntRange(0, 4).Draw(t, "segments") {
			path += "/" + segment.Draw(t, "segment")
		}
		switch {
		case path == "":
			path = "/"
		case rapid.IntRange(0, 5).Draw(t, "greedy") == 0:
			path += "/{p+}"
		}
		method := rapid.SampledFrom([]string{"GET", "POST", "ANY"}).Draw(t, "method")
		if kind == transaction.HTTP && rapid.IntRange(0, 11).Draw(t, "default") == 0 {
			path, method = defaultRoute, methodAny
		}
		if seen[method+path] {
			continue
		}
		seen[method+path] = true
		auth := rapid.SampledFrom([]string{authIAM, authIAM, authIAM, "NONE"}).Draw(t, "authorization")
		routes = append(routes, estate.Route{Method: method, Path: path, Authorization: auth})
	}
	return routes
}

// TestExactly draws APIs, lends some of their routes, and calls whatever can be called:
// the gateway lets in what is lent and nothing else.
func TestExactly(t *testing.T) {
	t.Parallel()
	refused, made, let := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]transaction.APIType{transaction.REST, transaction.HTTP}).Draw(rt, "kind")
		routes := drawAPI(rt, kind)
		w := newWorld(t, kind, routes)
		if kind == transaction.REST && rapid.Bool().Draw(rt, "policy") {
			// It lets in every session of the account, whatever session policies are silent about.
			w.policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:*","Resource":"*"}]}`
			w.serve(kind, routes)
		}
		alice := person("alice")
		lent := map[int]bool{}
		var holdings []access.Holding
		for n, r := range routes {
			tmpl := newTemplate(kind, r.Method, r.Path)
			if r.Authorization == authIAM && tmpl.lendable() && rapid.IntRange(0, 2).Draw(rt, "lent") == 0 {
				lent[n] = true
				holdings = append(holdings, w.lend(fmt.Sprint("g", n), alice, routeID(apiOne, "prod", r.Method+r.Path), time.Hour))
			}
		}
		if len(holdings) == 0 {
			return
		}
		c, err := w.lender.connect(w.i)
		if err != nil {
			rt.Fatal(err)
		}
		all, err := c.rightsOf(holdings, w.clock.Now())
		if err != nil {
			rt.Fatal(err)
		}
		policy, _, err := c.policyFor(t.Context(), all)
		if errors.Is(err, errTooLong) || errors.Is(err, errInexact) {
			refused++
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		if n := utf8.RuneCountInString(policy.text); n > maxSessionPolicy {
			rt.Fatalf("the policy has %d characters", n)
		}
		made++
		keys, err := w.lender.Credentials(t.Context(), w.i, alice, holdings)
		if err != nil {
			rt.Fatal(err)
		}
		// Which route serves a call is learnt from somebody who may call all.
		anybody := w.vend(w.lender, person("admin"), w.lend("g", person("admin"), apiID(apiOne), time.Hour))
		segment := rapid.SampledFrom([]string{"a", "b", "mine", "zz", "x.y", "GET"})
		for range 40 {
			method := rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(rt, "call")
			path := ""
			for range rapid.IntRange(0, 6).Draw(rt, "depth") {
				path += "/" + segment.Draw(rt, "part")
			}
			if path == "" {
				path = "/"
			}
			if rapid.IntRange(0, 9).Draw(rt, "slash") == 0 {
				path += "/"
			}
			serves := w.call(anybody, method, "/prod"+path)
			got := w.call(keys, method, "/prod"+path)
			switch {
			case serves < 0:
				if got >= 0 {
					rt.Fatalf("%s %s is answered by route %d, and who may call everything is refused", method, path, got)
				}
			case got >= 0 && !lent[serves] && routes[serves].Authorization == authIAM:
				rt.Fatalf("%s %s is let in to %s %s, which is not lent: %s", method, path, routes[serves].Method, routes[serves].Path, policy.text)
			case got < 0 && lent[serves] && len(policy.narrowed) == 0 && !strings.HasSuffix(path, "/"):
				rt.Fatalf("%s %s is of %s %s, which is lent, and is refused: %s", method, path, routes[serves].Method, routes[serves].Path, policy.text)
			case got >= 0:
				let++
			}
			if w.call(keys, method, "/dev"+path) >= 0 && routes[serves].Authorization == authIAM {
				rt.Fatalf("%s %s of another stage is let in", method, path)
			}
		}
	})
	t.Logf("%d policies made, %d refused, %d calls let in", made, refused, let)
	if made < 2*refused {
		t.Errorf("%d policies were refused, and %d made", refused, made)
	}
}

func TestSessionNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 60) + "@example.com"
	for id, want := range map[string]string{
		"alice@example.com":     "alice@example.com",
		"Alice+x@example.com":   "Alice+x@example.com",
		"o'brien@example.com":   "o=27brien@example.com",
		"a=b@example.com":       "a=3Db@example.com",
		"jürgen@example.com":    "j=C3=BCrgen@example.com",
		"x":                     "x=.2d711642b726b044",
		long:                    strings.Repeat("a", 46) + "=.a3d0cbf9df1ae1b7",
		"a/b@example.com":       "a=2Fb@example.com",
		"with blank@example.co": "with=20blank@example.co",
	} {
		got, err := sessionName(id)
		if err != nil || !isSessionName(got) {
			t.Errorf("%q becomes %q, %v", id, got, err)
		}
		if id != long && got != want {
			t.Errorf("%q becomes %q, want %q", id, got, want)
		}
		if id == long && (!strings.HasPrefix(got, strings.Repeat("a", 46)+"=.") || len(got) != 64) {
			t.Errorf("a long name becomes %q", got)
		}
	}
	if _, err := sessionName(""); err == nil {
		t.Error("nobody has a session name")
	}
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringN(1, -1, 80), 2, 2, rapid.ID).Draw(t, "ids")
		a, err := sessionName(ids[0])
		if err != nil {
			t.Fatal(err)
		}
		b, err := sessionName(ids[1])
		if err != nil {
			t.Fatal(err)
		}
		if a == b || a == probeSession || !isSessionName(a) {
			t.Fatalf("%q and %q become %q and %q", ids[0], ids[1], a, b)
		}
	})
}

func TestItemsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	w.i.Config[keyStages] = "prod"
	alice := person("alice")
	for _, id := range []string{
		apiID(apiOne), // the stages limit it
		apiID("zzzzzzzzzz"), stageID(apiOne, "dev"), stageID(apiOne, "prod*"), stageID(apiOne, "*"), routeID(apiOne, "prod", "GET"),
		routeID(apiOne, "prod", "GET/*"), routeID(apiOne, "prod", "*/orders"), routeID(apiOne, "prod", "GET/${aws:username}"), routeID(apiOne, "*", "GET/orders"),
		"route/" + apiOne + "/prod", "stage/" + apiOne, "", "api/",
	} {
		h := w.lend("g", alice, id, time.Hour)
		if key, err := w.lender.Object(w.i, alice, h.Item); err == nil {
			t.Errorf("%q has the object %s", id, key)
		}
		if _, err := w.lender.Credentials(t.Context(), w.i, alice, []access.Holding{h}); err == nil {
			t.Errorf("%q has credentials", id)
		}
	}
	ok := w.lend("g", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	ok.Item.Permission = "manage"
	if _, err := w.lender.Object(w.i, alice, ok.Item); err == nil {
		t.Error("a route of a REST API can be managed")
	}
	if key, err := w.lender.Object(w.i, flow.Person{ID: "o'brien@example.com"}, w.lend("g", alice, stageID(apiOne, "prod"), time.Hour).Item); err != nil || key != "session/o=27brien@example.com/invoke/stage/a1b2c3d4e5/prod" {
		t.Errorf("the object of a stage is %q, %v", key, err)
	}
}
