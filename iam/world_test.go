package iam_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/iam"
)

// The principals and the resource that most tests speak of.
const (
	alice      = "arn:aws:iam::111111111111:user/alice"
	appRole    = "arn:aws:iam::111111111111:role/app"
	appSession = "arn:aws:sts::111111111111:assumed-role/app/s1"
	oursRoot   = "arn:aws:iam::111111111111:root"
	theirUser  = "arn:aws:iam::222222222222:user/eve"
	theirRole  = "arn:aws:iam::222222222222:role/ecs-app-dev-1"
	theirsApp  = "arn:aws:sts::222222222222:assumed-role/ecs-app-dev-1/task"
	fedBob     = "arn:aws:sts::111111111111:federated-user/bob"
	oidc       = "arn:aws:iam::111111111111:oidc-provider/idp.example.com"
	targetRole = "arn:aws:iam::111111111111:role/target"
	apiARN     = "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5"
	getPets    = apiARN + "/prod/GET/pets/1"
)

// kase is a policy case in the making. Policies are JSON texts.
type kase struct {
	principal, action, resource, account string
	context                              map[string][]string
	auth, api, endpoint                  string
	managementAccount, serviceLinked     bool

	identity, session []string
	policy, boundary  string
	vpce              string
	scps, rcps        [][]string
}

// text is the case as JSON. An empty principal, action or resource is alice, who
// calls GET /pets/1.
func (k kase) text() string {
	or := func(text, def string) string {
		if text == "" {
			return def
		}
		return text
	}
	request := object{
		"principal": or(k.principal, alice), "action": or(k.action, "execute-api:Invoke"), "resource": or(k.resource, getPets),
	}
	set := func(into object, key string, value any, given bool) {
		if given {
			into[key] = value
		}
	}
	set(request, "resource_account", k.account, k.account != "")
	set(request, "context", k.context, k.context != nil)
	set(request, "auth", k.auth, k.auth != "")
	set(request, "api", k.api, k.api != "")
	set(request, "endpoint", k.endpoint, k.endpoint != "")
	set(request, "resource_owner_is_management_account", true, k.managementAccount)
	set(request, "service_linked_role", true, k.serviceLinked)
	all := object{"request": request}
	raw := func(texts []string) []json.RawMessage {
		out := []json.RawMessage{}
		for _, t := range texts {
			out = append(out, json.RawMessage(t))
		}
		return out
	}
	levels := func(texts [][]string) [][]json.RawMessage {
		out := [][]json.RawMessage{}
		for _, level := range texts {
			out = append(out, raw(level))
		}
		return out
	}
	set(all, "identity_policies", raw(k.identity), k.identity != nil)
	set(all, "resource_policy", json.RawMessage(k.policy), k.policy != "")
	set(all, "permissions_boundary", json.RawMessage(k.boundary), k.boundary != "")
	set(all, "session_policies", raw(k.session), k.session != nil)
	set(all, "scps", levels(k.scps), k.scps != nil)
	set(all, "rcps", levels(k.rcps), k.rcps != nil)
	set(all, "vpc_endpoint_policy", json.RawMessage(k.vpce), k.vpce != "")
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// decide evaluates the case, and checks that Decide says the same.
func (k kase) decide(t *testing.T) *iam.Result {
	t.Helper()
	c := parseCase(t, k.text())
	var r iam.Result
	c.Evaluate(&r)
	if d := c.Policies.Decide(c.Query); d != r.Decision {
		t.Errorf("Decide says %s, Evaluate %s", d, r.Decision)
	}
	return &r
}

func (k kase) want(t *testing.T, want string) {
	t.Helper()
	if got := k.decide(t).Decision.String(); got != want {
		t.Errorf("decided %s, want %s\n%s", got, want, k.text())
	}
}

// stmt writes a statement from an effect, an action, a resource and further
// members as JSON: stmt("Allow", "s3:*", "*", `"Sid": "A"`).
func stmt(effect, action, resource string, more ...string) string {
	parts := []string{`"Effect": "` + effect + `"`, `"Action": "` + action + `"`}
	if resource != "" {
		parts = append(parts, `"Resource": "`+resource+`"`)
	}
	return "{" + strings.Join(append(parts, more...), ", ") + "}"
}

// doc writes a document of the version of 2012.
func doc(statements ...string) string {
	return `{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ", ") + `]}`
}

// by writes a Principal member: "*", or an AWS principal.
func by(aws string) string { return `"Principal": {"AWS": "` + aws + `"}` }

// when writes a Condition member of one operator, key and value.
func when(operator, key, value string) string {
	return `"Condition": {"` + operator + `": {"` + key + `": "` + value + `"}}`
}

const everyone = `"Principal": "*"`

var (
	allowAll = doc(stmt("Allow", "*", "*"))
	silent   = doc(stmt("Allow", "ec2:DescribeRegions", "*"))
	denyAll  = doc(stmt("Deny", "*", "*"))
)

// invokeBy is a resource policy that lets a principal call the API.
func invokeBy(aws string) string {
	return doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", by(aws)))
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
