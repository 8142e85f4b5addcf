package estate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// drawPolicy draws a document of up to three statements about one API.
func drawPolicy(t *rapid.T, kind iam.Kind, title string) Policy {
	statements := make([]iam.Statement, rapid.IntRange(1, 3).Draw(t, title+" statements"))
	for i := range statements {
		s := &statements[i]
		s.Effect = rapid.SampledFrom([]iam.Effect{iam.Allow, iam.Allow, iam.Allow, iam.Allow, iam.Deny}).Draw(t, "effect")
		s.Action = iam.Strings{rapid.SampledFrom([]string{"execute-api:Invoke", "execute-api:*", "*", "execute-api:*", "logs:*"}).Draw(t, "action")}
		s.Resource = iam.Strings{rapid.SampledFrom([]string{"*", "*", "*", "arn:aws:execute-api:*:*:api0000001/*", "arn:aws:execute-api:*:333333333333:api0000001/prod/GET/x", "arn:aws:execute-api:*:*:other/*", "arn:aws:execute-api:*:*:api0000001/*/${aws:PrincipalTag/team}", "arn:aws:execute-api:*:*:api0000001/prod/GET/${aws:UserAgent, 'x'}"}).Draw(t, "resource")}
		if rapid.IntRange(0, 2).Draw(t, "conditional") == 0 {
			s.Condition = iam.Conditions{{
				Operator: rapid.SampledFrom([]string{"StringEquals", "StringNotEquals", "StringLikeIfExists", "ForAnyValue:StringEquals"}).Draw(t, "operator"),
				Key:      rapid.SampledFrom([]string{"aws:SourceVpce", "aws:UserAgent", "aws:PrincipalTag/team"}).Draw(t, "key"),
				Values:   iam.Strings{rapid.SampledFrom([]string{"a", "x", "${aws:UserAgent}"}).Draw(t, "value")},
			}}
		}
		if kind == iam.KindResource {
			s.Principal = rapid.SampledFrom([]*iam.Principals{
				{Everyone: true}, {AWS: iam.Strings{"arn:aws:iam::222222222222:root"}}, {AWS: iam.Strings{"arn:aws:iam::222222222222:role/app"}}, {AWS: iam.Strings{"arn:aws:iam::444444444444:root"}},
			}).Draw(t, "principal")
		}
	}
	d := iam.Document{Kind: kind, Version: iam.Version2012, Statements: statements}
	p, err := parsePolicy(kind, title, "", string(d.JSON()))
	if err != nil {
		t.Fatalf("%v\n%s", err, d.JSON())
	}
	return p
}

// Whatever is hidden from the explanation, and whichever condition keys are not
// known, it never calls certain what is not so.
func TestVerdictIsSound(t *testing.T) {
	t.Parallel()
	// Most of what is drawn is denied by what is seen; the hundred tries of one Check
	// find too few calls that hang on what is hidden.
	for range 10 {
		rapid.Check(t, soundVerdict)
	}
}

func soundVerdict(t *rapid.T) {
	owner := rapid.SampledFrom([]string{ordersID, catalogID}).Draw(t, "owner")
	who, err := iam.ParsePrincipal(appSession)
	if err != nil {
		t.Fatal(err)
	}
	call := Call{
		Caller: appSession, Action: "execute-api:Invoke", Partition: "aws", Region: region, API: "api0000001", Owner: owner,
		Stage: "prod", Method: "GET", Path: "x", Split: true, OwnSession: true, Context: iam.Context{},
	}
	tags := map[string]string{}
	for _, key := range []string{"aws:SourceVpce", "aws:UserAgent", "aws:PrincipalTag/team"} {
		if value := rapid.SampledFrom([]string{"", "a", "x"}).Draw(t, key); value != "" {
			call.Context[key] = []string{value}
		} else {
			call.Context[key] = nil
		}
	}
	whole := func() *CallPolicies {
		return &CallPolicies{Call: call, Who: who, Organization: &Organization{}, Principal: &Principal{
			ARN: "arn:aws:iam::222222222222:role/app", Kind: iam.PrincipalRole, Name: "app", ID: "AROA", Tags: tags,
		}, API: &APIAccess{Account: owner, Region: region, API: API{
			ID: "api0000001", Type: transaction.REST, EndpointType: "PRIVATE", Routes: []Route{{Method: "GET", Path: "/x", Authorization: "AWS_IAM"}},
		}}}
	}
	full, part := whole(), whole()
	for i := range rapid.IntRange(0, 2).Draw(t, "identity policies") {
		p := drawPolicy(t, iam.KindIdentity, fmt.Sprintf("identity %d", i))
		full.Principal.Identity = append(full.Principal.Identity, p)
		if rapid.Bool().Draw(t, "seen") {
			part.Principal.Identity = append(part.Principal.Identity, p)
		} else {
			part.Principal.Unseen = append(part.Principal.Unseen, Unseen{What: p.Title, Layers: []iam.Layer{iam.LayerIdentity}})
		}
	}
	if rapid.Bool().Draw(t, "boundary") {
		p := drawPolicy(t, iam.KindBoundary, "boundary")
		full.Principal.Boundary = &p
		if rapid.Bool().Draw(t, "seen") {
			part.Principal.Boundary = &p
		} else {
			part.Principal.Unseen = append(part.Principal.Unseen, Unseen{What: p.Title, Layers: []iam.Layer{iam.LayerBoundary}})
		}
	}
	if rapid.Bool().Draw(t, "resource policy") {
		p := drawPolicy(t, iam.KindResource, "resource policy")
		full.API.Policy = &p
		if rapid.Bool().Draw(t, "seen") {
			part.API.Policy = &p
		} else {
			part.API.Unseen = append(part.API.Unseen, Unseen{What: p.Title, Layers: []iam.Layer{iam.LayerResource}})
		}
	}
	part.Unseen = append(append(part.Unseen, part.Principal.Unseen...), part.API.Unseen...)
	part.Call.Context = iam.Context{}
	for key, values := range call.Context {
		if rapid.Bool().Draw(t, "known "+key) {
			part.Call.Context[key] = values
		}
	}
	part.Call.OwnSession = false

	truth, err := full.Explain()
	if err != nil {
		t.Fatal(err)
	}
	if truth.Outcome == OutcomeOpen || !truth.Complete {
		t.Fatalf("with everything known it is %s: %+v", truth.Outcome, truth)
	}
	guess, err := part.Explain()
	if err != nil {
		t.Fatal(err)
	}
	if guess.Outcome == OutcomeDenied && truth.Outcome != OutcomeDenied || guess.Outcome == OutcomeAllowed && guess.Complete && truth.Outcome != OutcomeAllowed {
		t.Fatalf("seen in part it is %s, and is %s\n%s\n%s", guess.Outcome, truth.Outcome, summary(guess), summary(truth))
	}
	// What is to be added is a statement that IAM would store.
	for _, l := range append(append([]Lack{}, guess.Lacks...), guess.MayLack...) {
		kind := iam.KindIdentity
		if l.Layer == iam.LayerResource {
			kind = iam.KindResource
		}
		if _, err := iam.Parse(kind, []byte(`{"Version":"2012-10-17","Statement":[`+l.Statement+`]}`)); err != nil {
			t.Fatalf("%s: %v", l.Statement, err)
		}
	}
}

// Adding what lacks makes a call allowed that no statement denies.
func TestAddingWhatLacksAllows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		owner := rapid.SampledFrom([]string{ordersID, catalogID}).Draw(t, "owner")
		who, _ := iam.ParsePrincipal(appSession)
		p := &CallPolicies{
			Call: Call{
				Caller: appSession, Action: rapid.SampledFrom([]string{"execute-api:Invoke", "execute-api:InvalidateCache"}).Draw(t, "action"), Partition: "aws", Region: region,
				API: "api0000001", Owner: owner, Stage: "prod", Method: "GET", Path: rapid.SampledFrom([]string{"", "x", "items/7", "a%20b/*"}).Draw(t, "path"), Split: true, OwnSession: true,
			},
			Who: who, Organization: &Organization{}, Principal: &Principal{ARN: "arn:aws:iam::222222222222:role/app", Kind: iam.PrincipalRole, Name: "app", ID: "AROA"},
			API: &APIAccess{Account: owner, Region: region, API: API{ID: "api0000001", Type: transaction.REST, Routes: []Route{{Method: "GET", Path: "/items/{id}", Authorization: "AWS_IAM"}}}},
		}
		if rapid.Bool().Draw(t, "boundary") {
			b := drawPolicy(t, iam.KindBoundary, "boundary")
			if !strings.Contains(string(b.Document.JSON()), `"Deny"`) {
				p.Principal.Boundary = &b
			}
		}
		for range 4 {
			v, err := p.Explain()
			if err != nil {
				t.Fatal(err)
			}
			if v.Outcome == OutcomeAllowed {
				return
			}
			lacks := append(append([]Lack{}, v.Lacks...), v.MayLack...)
			if len(lacks) == 0 {
				t.Fatalf("%s, and nothing lacks", summary(v))
			}
			for i, l := range lacks {
				text := `{"Version":"2012-10-17","Statement":[` + l.Statement + `]}`
				add := func(kind iam.Kind, old *Policy) *Policy {
					title := fmt.Sprintf("added %d", i)
					if old != nil {
						var d struct{ Statement []json.RawMessage }
						if err := json.Unmarshal(old.Document.JSON(), &d); err != nil {
							t.Fatal(err)
						}
						d.Statement = append(d.Statement, json.RawMessage(l.Statement))
						all, _ := json.Marshal(d.Statement)
						text = `{"Version":"2012-10-17","Statement":` + string(all) + `}`
					}
					parsed, err := parsePolicy(kind, title, "", text)
					if err != nil {
						t.Fatal(err)
					}
					return &parsed
				}
				switch l.Layer {
				case iam.LayerIdentity:
					p.Principal.Identity = append(p.Principal.Identity, *add(iam.KindIdentity, nil))
				case iam.LayerBoundary:
					p.Principal.Boundary = add(iam.KindBoundary, p.Principal.Boundary)
				case iam.LayerResource:
					p.API.Policy = add(iam.KindResource, p.API.Policy)
				default:
					t.Fatalf("it lacks %s", l.Layer)
				}
			}
		}
		v, _ := p.Explain()
		t.Fatalf("after adding all that lacks it is still %s", summary(v))
	})
}

func FuzzPolicyText(f *testing.F) {
	f.Add(`{\"Version\":\"2012-10-17\",\"Statement\":[]}`)
	f.Add(`%7B%22Version%22%3A%222012-10-17%22%7D`)
	f.Add(`{"Statement":{"Effect":"Deny"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		plain := unescapePolicy(text)
		if p, err := parsePolicy(iam.KindResource, "x", "", plain); err == nil {
			for i := range p.Document.Statements {
				if !json.Valid([]byte(p.StatementJSON(i))) {
					t.Errorf("%q", p.StatementJSON(i))
				}
			}
		}
		_, _ = decodeDocument(&text)
	})
}
