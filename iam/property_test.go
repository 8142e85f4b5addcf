package iam_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/iam"
)

// drawCase draws a random case.
func drawCase(t *rapid.T) (*generator, object) {
	g := &generator{rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
	return g, g.policyCase()
}

func decide(t *rapid.T, c object) iam.Decision {
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	k, err := iam.ParseCase(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	d := k.Policies.Decide(k.Query)
	var r iam.Result
	k.Evaluate(&r)
	if r.Decision != d {
		t.Fatalf("Decide says %s, Evaluate %s\n%s", d, r.Decision, text)
	}
	x := k.Explain()
	checkExplanation(t, &r, x, text)
	return d
}

// checkExplanation checks that what is told agrees with what was decided.
func checkExplanation(t *rapid.T, r *iam.Result, x *iam.Explanation, text []byte) {
	denies := 0
	for _, reason := range r.Reasons {
		if reason.Effect == iam.Deny {
			denies++
		}
	}
	if (r.Decision == iam.ExplicitDeny) != (denies > 0) {
		t.Fatalf("%s with %d reasons that deny\n%s", r.Decision, denies, text)
	}
	if (r.Decision == iam.ImplicitDeny) != (len(r.Missing) > 0) {
		t.Fatalf("%s with %v missing\n%s", r.Decision, r.Missing, text)
	}
	if (r.Decision == iam.Allowed) != (r.Message() == "" && r.Advice() == "") {
		t.Fatalf("%s with message %q and advice %q\n%s", r.Decision, r.Message(), r.Advice(), text)
	}
	applying := 0
	for _, trace := range x.Traces {
		if trace.Applies && (r.Decision != iam.ExplicitDeny || trace.Effect == iam.Deny) {
			applying++
		}
	}
	if applying != len(r.Reasons) {
		t.Fatalf("%d reasons, but %d statements apply\n%s", len(r.Reasons), applying, text)
	}
}

// documents calls f for every document of a case, until it returns true.
func documents(c object, f func(key string, d object) bool) bool {
	for key, v := range c {
		var all []any
		var flatten func(v any)
		flatten = func(v any) {
			if l, ok := v.([]any); ok {
				for _, x := range l {
					flatten(x)
				}
				return
			}
			all = append(all, v)
		}
		if key == "request" {
			continue
		}
		flatten(v)
		for _, d := range all {
			if f(key, d.(object)) {
				return true
			}
		}
	}
	return false
}

func statementsOf(d object) []any {
	if l, ok := d["Statement"].([]any); ok {
		return l
	}
	return []any{d["Statement"]}
}

var documentKinds = map[string]string{
	"identity_policies": "identity", "resource_policy": "resource", "permissions_boundary": "boundary",
	"session_policies": "session", "scps": "scp", "rcps": "rcp", "vpc_endpoint_policy": "vpce",
}

// kindIn is the kind that the generator writes for a document of a case.
func worldOf(c object) *world {
	request := c["request"].(object)
	w := &world{
		principal: request["principal"].(string), action: request["action"].(string), resource: request["resource"].(string),
		owner: ours, session: c["session_policies"] != nil,
	}
	w.account, w.kind = newReferenceOf(w.principal)
	return w
}

func newReferenceOf(principal string) (account, kind string) {
	account, kind = (&ref{principal: principal}).who()
	if kind == "assumed-role" {
		kind = "session"
	}
	return account, kind
}

// TestPropertyReference: a compiled policy decides as the uncompiled one does.
func TestPropertyReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			_, c := drawCase(t)
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			got, want := decide(t, c).String(), reference(text)
			if got != want {
				t.Fatalf("decided %s, the reference says %s\n%s", got, want, text)
			}
		}
	})
}

// TestPropertyDeny: adding a Deny never allows more.
func TestPropertyDeny(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, c := drawCase(t)
		before := decide(t, c)
		documents(c, func(key string, d object) bool {
			s := g.statement(worldOf(c), documentKinds[key])
			s["Effect"] = "Deny"
			d["Statement"] = append(statementsOf(d), s)
			after := decide(t, c)
			if before != iam.Allowed && after == iam.Allowed {
				t.Fatalf("a Deny in %s allows", key)
			}
			if before == iam.ExplicitDeny && after != iam.ExplicitDeny {
				t.Fatalf("a Deny in %s takes another away", key)
			}
			return g.chance(50)
		})
	})
}

// TestPropertyAllow: adding an Allow never denies more.
func TestPropertyAllow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, c := drawCase(t)
		before := decide(t, c)
		documents(c, func(key string, d object) bool {
			if key == "rcps" {
				return false // they hold no Allow
			}
			s := g.statement(worldOf(c), documentKinds[key])
			s["Effect"] = "Allow"
			if p, ok := s["NotPrincipal"]; ok {
				delete(s, "NotPrincipal")
				s["Principal"] = p
			}
			d["Statement"] = append(statementsOf(d), s)
			after := decide(t, c)
			if before == iam.Allowed && after != iam.Allowed {
				t.Fatalf("an Allow in %s denies", key)
			}
			if before != iam.ExplicitDeny && after == iam.ExplicitDeny {
				t.Fatalf("an Allow in %s denies explicitly", key)
			}
			return g.chance(50)
		})
	})
}

// TestPropertyOrder: the order of statements and policies never matters.
func TestPropertyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, c := drawCase(t)
		before := decide(t, c)
		documents(c, func(_ string, d object) bool {
			s := append([]any{}, statementsOf(d)...)
			g.rand.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
			d["Statement"] = s
			return false
		})
		for _, key := range []string{"identity_policies", "session_policies", "scps", "rcps"} {
			if l, ok := c[key].([]any); ok {
				g.rand.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
			}
		}
		if after := decide(t, c); after != before {
			t.Fatalf("%s became %s", before, after)
		}
	})
}

// TestPropertyRoundTrip: a document that is written out decides as before.
func TestPropertyRoundTrip(t *testing.T) {
	t.Parallel()
	kinds := map[string]iam.Kind{
		"identity": iam.KindIdentity, "resource": iam.KindResource, "boundary": iam.KindBoundary, "session": iam.KindSession,
		"scp": iam.KindSCP, "rcp": iam.KindRCP, "vpce": iam.KindVPCEndpoint,
	}
	rapid.Check(t, func(t *rapid.T) {
		_, c := drawCase(t)
		documents(c, func(key string, d object) bool {
			kind := kinds[documentKinds[key]]
			text, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := iam.Parse(kind, text)
			if err != nil {
				t.Fatal(err)
			}
			again, err := iam.Parse(kind, parsed.Pretty())
			if err != nil {
				t.Fatalf("%v\n%s", err, parsed.Pretty())
			}
			if string(again.JSON()) != string(parsed.JSON()) {
				t.Fatalf("%s became %s", parsed.JSON(), again.JSON())
			}
			return false
		})
	})
}
