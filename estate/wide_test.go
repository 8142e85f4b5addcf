package estate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/iam"
)

// What counts is what the policies allow together, and not how they are written.
func TestWideActions(t *testing.T) {
	t.Parallel()
	const collector = "arn:aws:logs:*:111122223333:log-group:"
	for name, c := range map[string]struct {
		statements, boundary string
		tags                 map[string]string
		want                 []string
	}{
		"nothing":              {statements: ``},
		"one API":              {statements: allowing("execute-api:Invoke", "arn:aws:execute-api:eu-west-1:111122223333:abc/*")},
		"every API":            {statements: allowing("execute-api:Invoke", "*"), want: []string{"execute-api:Invoke"}},
		"every API by pattern": {statements: allowing("execute-api:*", "arn:aws:execute-api:*:*:*/*"), want: []string{"execute-api:Invoke"}},
		"every API of another region": {
			statements: allowing("execute-api:Invoke", "arn:aws:execute-api:ap-south-1:111122223333:*/*/*"), want: []string{"execute-api:Invoke"},
		},
		"every API of another account": {statements: allowing("execute-api:Invoke", "arn:aws:execute-api:eu-west-1:444455556666:*")},
		"every API but what a Deny keeps": {
			statements: allowing("execute-api:Invoke", "*") + `,{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:abc/*"}`,
			want:       []string{"execute-api:Invoke"},
		},
		"a Deny of all":              {statements: allowing("execute-api:Invoke", "*") + `,{"Effect":"Deny","NotAction":"s3:*","Resource":"*"}`},
		"a Deny of all but one API":  {statements: allowing("execute-api:Invoke", "*") + `,{"Effect":"Deny","Action":"execute-api:*","NotResource":"arn:aws:execute-api:*:*:abc/*"}`},
		"a boundary":                 {statements: allowing("*", "*"), boundary: allowing("execute-api:Invoke", "arn:aws:execute-api:*:*:abc/*")},
		"a boundary that is wide":    {statements: allowing("*", "*"), boundary: allowing("execute-api:*", "*"), want: []string{"execute-api:Invoke"}},
		"everything":                 {statements: allowing("*", "*"), want: []string{"*"}},
		"everything by exception":    {statements: `{"Effect":"Allow","NotAction":"organizations:*","Resource":"*"}`, want: []string{"*"}},
		"all but who may do what":    {statements: `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, want: names(wideProbes)},
		"reading every log":          {statements: allowing("logs:FilterLogEvents", collector+"*"), want: []string{"logs:FilterLogEvents"}},
		"reading the gateway's logs": {statements: allowing("logs:FilterLogEvents", collector+"API-Gateway-Execution-Logs_*:*")},
		"logs of every kind": {
			statements: allowing("logs:*", collector+"*"),
			want:       []string{"logs:GetLogEvents", "logs:FilterLogEvents", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:PutSubscriptionFilter"},
		},
		"every API of a region": {statements: allowing("apigateway:*", "arn:aws:apigateway:eu-west-1::/*"), want: []string{"apigateway:PATCH", "apigateway:DELETE"}},
		"with a second factor": {
			statements: `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`,
			want:       []string{"execute-api:Invoke"},
		},
		"by its own tag": {
			statements: `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"shop"}}}`,
			tags:       map[string]string{"team": "shop"}, want: []string{"execute-api:Invoke"},
		},
		"by a tag that it has not": {
			statements: `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"shop"}}}`,
		},
		"in a region alone": {
			statements: `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"ap-south-1"}}}`,
			want:       []string{"execute-api:Invoke"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Principal{ARN: "arn:aws:iam::111122223333:role/app", Kind: iam.PrincipalRole, Name: "app", Tags: c.tags}
			if c.statements != "" {
				p.Identity = []Policy{policyOf(t, iam.KindIdentity, c.statements)}
			}
			if c.boundary != "" {
				b := policyOf(t, iam.KindBoundary, c.boundary)
				p.Boundary = &b
			}
			var got []string
			for _, w := range wideActions(&p, "111122223333", "eu-west-1") {
				got = append(got, w.Action)
				if w.Resource == "" || strings.Contains(w.Resource, wideUnnamed) || w.Policy == "" {
					t.Errorf("it does not say on what and by what: %+v", w)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func names(probes []wideProbe) []string {
	var out []string
	for _, p := range probes {
		out = append(out, p.action)
	}
	return out
}

func allowing(action, resource string) string {
	return `{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}`
}

func policyOf(t *testing.T, kind iam.Kind, statements string) Policy {
	t.Helper()
	p, err := parsePolicy(kind, "a policy", "", `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func BenchmarkWideActions(b *testing.B) {
	text := `{"Version":"2012-10-17","Statement":[` + allowing("execute-api:Invoke", "arn:aws:execute-api:eu-west-1:111122223333:abc/*") + `,` +
		allowing("logs:*", "arn:aws:logs:*:111122223333:log-group:API-Gateway*") + `]}`
	policy, err := parsePolicy(iam.KindIdentity, "a policy", "", text)
	if err != nil {
		b.Fatal(err)
	}
	p := Principal{ARN: "arn:aws:iam::111122223333:role/app", Kind: iam.PrincipalRole, Name: "app", Identity: []Policy{policy}}
	b.ReportAllocs()
	for b.Loop() {
		wideActions(&p, "111122223333", "eu-west-1")
	}
}
