package iam_test

import (
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

// crossAccountCase is the call of a role in one account to an API in another,
// over five policies: two identity policies, the API's resource policy, a
// permissions boundary and a session policy.
const crossAccountCase = `{
  "request": {
    "principal": "arn:aws:sts::329380440465:assumed-role/ecs-app-dev-1/task",
    "action": "execute-api:Invoke",
    "resource": "arn:aws:execute-api:us-east-1:548754742764:no8k0bxy8b/prod/GET/books/123",
    "resource_account": "548754742764",
    "context": {"aws:SourceIp": ["203.0.113.9"], "aws:SecureTransport": ["true"], "aws:PrincipalOrgID": ["o-1234567890"]}
  },
  "identity_policies": [
    {"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "arn:aws:logs:*:*:log-group:/app/*"},
      {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]},
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:us-east-1:548754742764:no8k0bxy8b/prod/GET/*"}}
  ],
  "resource_policy": {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::329380440465:root"}, "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:us-east-1:548754742764:*",
     "Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::329380440465:role/ecs-app-dev*"}}},
    {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
     "Condition": {"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}}}]},
  "permissions_boundary": {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["execute-api:*", "s3:Get*"], "Resource": "*"}},
  "session_policies": [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}}]
}`

func parseCase(tb testing.TB, text string) *iam.Case {
	tb.Helper()
	c, err := iam.ParseCase([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func BenchmarkDecide(b *testing.B) {
	c := parseCase(b, crossAccountCase)
	b.ReportAllocs()
	for b.Loop() {
		if c.Policies.Decide(c.Query) != iam.Allowed {
			b.Fatal("denied")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

func BenchmarkEvaluate(b *testing.B) {
	c := parseCase(b, crossAccountCase)
	var r iam.Result
	b.ReportAllocs()
	for b.Loop() {
		c.Evaluate(&r)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

// BenchmarkVariables resolves policy variables in a resource and in conditions.
func BenchmarkVariables(b *testing.B) {
	c := parseCase(b, `{"request": {"principal": "arn:aws:iam::111111111111:user/alice", "action": "execute-api:Invoke",
	  "resource": "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5/prod/GET/alice/x", "context": {"aws:PrincipalTag/team": ["blue"]}},
	  "identity_policies": [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke",
	    "Resource": "arn:aws:execute-api:*:111111111111:a1b2c3d4e5/*/${aws:username}/*",
	    "Condition": {"StringEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/team, 'red'}"}}}}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if c.Policies.Decide(c.Query) != iam.Allowed {
			b.Fatal("denied")
		}
	}
}

// BenchmarkCase reads a case, finds its policies compiled, decides it and writes
// the answer: what policy eval does for each line.
func BenchmarkCase(b *testing.B) {
	text := []byte(crossAccountCase)
	var cases iam.Cases
	var r iam.Result
	var out []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		c, err := cases.Parse(text, 1)
		if err != nil {
			b.Fatal(err)
		}
		c.Evaluate(&r)
		out = r.AppendJSON(out[:0])
	}
}

func BenchmarkCompile(b *testing.B) {
	text := []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::329380440465:root"}, "Action": "execute-api:Invoke",
	  "Resource": "arn:aws:execute-api:us-east-1:548754742764:*", "Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::329380440465:role/ecs-app-dev*"}}}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := iam.ParseAndCompile(iam.KindResource, text); err != nil {
			b.Fatal(err)
		}
	}
}
