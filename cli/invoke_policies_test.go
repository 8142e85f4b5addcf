package cli

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
)

const (
	callerAccount = "111122222222"
	apiAccount    = "444433333333"
)

// policyWorld is the AWS behind the API server of these tests: the caller's account
// with the role app, and the account of the API abc123.
type policyWorld struct {
	t      *testing.T
	sim    *awssim.Sim
	url    string
	caller *awssim.Account
	api    *awssim.Account
}

func newPolicyWorld(t *testing.T) *policyWorld {
	t.Helper()
	w := &policyWorld{t: t, sim: awssim.New(awssim.Options{})}
	server := httptest.NewServer(w.sim.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	w.caller, w.api = w.sim.Account(callerAccount), w.sim.Account(apiAccount)
	w.role(awssim.Role{Inline: map[string]string{"logs": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*"}]}`}})
	w.policy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122222222:role/app"},"Action":"execute-api:Invoke","Resource":"execute-api:/prod/GET/*"}]}`)
	for _, a := range []*awssim.Account{w.caller, w.api} {
		a.AddRole(awssim.Role{Name: "Look", Allow: []string{"iam:Get*", "iam:List*", "apigateway:GET", "organizations:*"}})
	}
	return w
}

func (w *policyWorld) role(r awssim.Role) {
	r.Name = "app"
	w.caller.AddRole(r)
}

func (w *policyWorld) policy(text string) {
	w.api.Region("eu-west-1").AddRESTAPI(awssim.RESTAPI{
		ID: "abc123", Name: "pets", Policy: text, Stages: []awssim.Stage{{Name: "prod"}},
		Resources: []awssim.Resource{
			{Path: "/deny", Methods: []awssim.Method{{HTTPMethod: "GET", Authorization: "AWS_IAM"}}},
			{Path: "/pets/{id}", Methods: []awssim.Method{{HTTPMethod: "GET", Authorization: "AWS_IAM"}, {HTTPMethod: "POST", Authorization: "AWS_IAM", APIKeyRequired: true}}},
		},
	})
}

func (w *policyWorld) reader() *estate.PolicyReader {
	w.t.Helper()
	return &estate.PolicyReader{Viewers: []estate.Viewer{w.viewer(w.caller, "app"), w.viewer(w.caller, "Look"), w.viewer(w.api, "Look")}}
}

func (w *policyWorld) viewer(a *awssim.Account, role string) estate.Viewer {
	key := a.Session(role, "session", time.Hour)
	return estate.Viewer{Name: role + " of " + a.ID(), Account: a.ID(), Config: func(region string) aws.Config {
		return aws.Config{
			Region: region, BaseEndpoint: aws.String(w.url), RetryMaxAttempts: 1, HTTPClient: account.Connections(nil),
			Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
		}
	}}
}

func TestInvokeSeesPolicies(t *testing.T) {
	t.Parallel()
	const allowed = `{"Version":"2012-10-17","Statement":[{"Sid":"Pets","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:444433333333:abc123/prod/GET/*"}]}`
	const add = `  add: {"Sid":"InvokeAPI","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:444433333333:abc123/prod/GET/deny"}`
	for _, test := range []struct {
		name string
		path string
		with func(*policyWorld)
		what string
		more []string
		mend string
	}{
		{
			"the caller's side", "/cross/prod/deny/identity", nil, "the caller's own policies do not allow it (implicit deny)",
			[]string{"method: GET /deny of REST API abc123, authorization IAM", "lacks: role arn:aws:iam::111122222222:role/app in account 111122222222\n" + add, "allows: statement 0 of the resource policy of API abc123", "not seen: session policies"},
			"add the statement above to role arn:aws:iam::111122222222:role/app in account 111122222222",
		},
		{
			"the API's side", "/cross/prod/deny/resource", func(w *policyWorld) {
				w.role(awssim.Role{Inline: map[string]string{"pets": allowed}})
				w.policy("")
			}, "the API's resource policy does not allow it (implicit deny)",
			[]string{"lacks: the resource policy of API abc123 (pets) in account 444433333333\n  add: {\"Sid\":\"Callers\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::111122222222:role/app\"}", "the API has no resource policy yet"},
			"then deploy stage prod again",
		},
		{
			"both sides", "/cross/prod/deny/silent", func(w *policyWorld) { w.policy("") }, "the caller's own policies and the API's resource policy do not allow it",
			[]string{add},
			"add the statement above to role arn:aws:iam::111122222222:role/app in account 111122222222, and the other to the resource policy of API abc123 (pets) in account 444433333333; ",
		},
		{
			"a statement that denies", "/cross/prod/deny/identity-explicit", func(w *policyWorld) {
				w.role(awssim.Role{Inline: map[string]string{"pets": allowed, "freeze": `{"Version":"2012-10-17","Statement":[{"Sid":"Freeze","Effect":"Deny","Action":"execute-api:*","Resource":"*"}]}`}})
			}, "statement Freeze of the inline policy freeze of role app denies it (explicit deny)",
			[]string{`  {"Sid":"Freeze","Effect":"Deny","Action":"execute-api:*","Resource":"*"}`},
			"take out or narrow the statement above",
		},
		{
			"a method that is not there", "/prod/nothing", nil, "the API has nothing at GET /prod/nothing",
			[]string{"REST API abc123 pets in account 444433333333 has the stages prod\nand the methods GET /deny (AWS_IAM), GET /pets/{id} (AWS_IAM), POST /pets/{id} (AWS_IAM)"},
			"check the stage",
		},
		{"an API key of a REST API", "/prod/key", func(w *policyWorld) {
			w.api.Region("eu-west-1").AddRESTAPI(awssim.RESTAPI{
				ID: "abc123", Name: "pets", Stages: []awssim.Stage{{Name: "prod"}},
				Resources: []awssim.Resource{{Path: "/key", Methods: []awssim.Method{{HTTPMethod: "ANY", Authorization: "AWS_IAM", APIKeyRequired: true}}}},
			})
		}, "Forbidden of a REST API is a missing or wrong API key", []string{"method: GET /key of REST API abc123 asks for an API key"}, "x-api-key"},
		{"the IAM of an HTTP API", "/prod/key", func(w *policyWorld) {
			w.sim.Account(apiAccount).Region("eu-west-1").RemoveAPI("abc123")
			w.caller.Region("eu-west-1").AddHTTPAPI(awssim.API{
				ID: "abc123", Name: "pets", Stages: []awssim.Stage{{Name: "prod"}}, Routes: []awssim.Route{{Key: "ANY /{proxy+}", Authorization: "AWS_IAM"}},
			})
		}, "the caller's own policies do not allow it", []string{
			"method: GET /{proxy+} of HTTP API abc123, authorization IAM",
			`  add: {"Sid":"InvokeAPI","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:111122222222:abc123/prod/GET/*"}`,
		}, "add the statement above to role"},
		{
			"all that is seen allows", "/cross/prod/deny/resource", func(w *policyWorld) {
				w.role(awssim.Role{Inline: map[string]string{"pets": allowed}})
			}, "it is refused although all policies that could be seen, as they are now, allow it",
			[]string{"allows: statement Pets of the inline policy pets of role app", "not seen: session policies"},
			"deploy the stage again: it runs the resource policy that it was deployed with; and a change of IAM may need a minute to work; or one that was not seen denies it",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, w := newAPIServer(t), newPolicyWorld(t)
			if test.with != nil {
				test.with(w)
			}
			_, stderr, err := runInvoke(t, &fixedCredentials{reader: w.reader()}, "", "-H", "Host: "+invokeHost, a.server.URL+test.path)
			if err == nil || !strings.Contains(err.Error(), test.what) || !strings.Contains(hintOf(err), test.mend) {
				t.Errorf("error %v\nhint %s", err, hintOf(err))
			}
			for _, more := range test.more {
				if !strings.Contains(stderr, more) {
					t.Errorf("no %q in\n%s", more, stderr)
				}
			}
			if n := writes(w.sim); n != 0 {
				t.Errorf("%d calls change something", n)
			}
		})
	}
}

// writes counts calls that are no reads.
func writes(sim *awssim.Sim) int {
	n := 0
	for _, c := range sim.Calls() {
		if !strings.HasPrefix(c.Operation, "Get") && !strings.HasPrefix(c.Operation, "List") && !strings.HasPrefix(c.Operation, "Describe") {
			n += c.Calls
		}
	}
	return n
}

// With a role that invoke assumed itself there are no session policies, so what is
// seen is all there is.
func TestInvokeKnowsItsOwnSession(t *testing.T) {
	t.Parallel()
	a, w := newAPIServer(t), newPolicyWorld(t)
	w.role(awssim.Role{Allow: []string{"execute-api:*"}})
	_, stderr, err := runInvoke(t, &fixedCredentials{reader: w.reader()}, "", "--role-arn", "arn:aws:iam::111122222222:role/app", "-H", "Host: "+invokeHost, a.server.URL+"/cross/prod/deny/resource")
	if err == nil || !strings.Contains(err.Error(), "it is refused although all policies, as they are now, allow it") || !strings.Contains(hintOf(err), "deploy the stage again: it runs the resource policy that it was deployed with") {
		t.Errorf("%v (%s)\n%s", err, hintOf(err), stderr)
	}
}

// Nothing is read unless the call was refused by policies, or it is asked for.
func TestInvokeReadsOnlyWhenRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		path string
		read bool
	}{
		{nil, "/prod/", false},
		{nil, "/cross/prod/deny/identity", true},
		{[]string{"--explain", "never"}, "/cross/prod/deny/identity", false},
		{[]string{"--explain", "always"}, "/prod/", true},
		{nil, "/prod/expired", false},
		{nil, "/prod/throttled", false},
		{[]string{"--unsigned"}, "/prod/", false},
		{nil, "/prod/key", true}, // Forbidden may be the IAM of an HTTP API
		{[]string{"--region", "us-east-1"}, "/prod/", false},
	} {
		t.Run(strings.Join(append(test.args, test.path), " "), func(t *testing.T) {
			t.Parallel()
			a, rt := newAPIServer(t), &fixedCredentials{}
			_, stderr, _ := runInvoke(t, rt, "", append(test.args, "-H", "Host: "+invokeHost, a.server.URL+test.path)...)
			if (rt.call != nil) != test.read || strings.Contains(stderr, "policies: not read: there is no AWS to look into") != test.read {
				t.Errorf("read: %v\n%s", rt.call != nil, stderr)
			}
		})
	}
	if _, _, err := runInvoke(t, &fixedCredentials{}, "", "--explain", "maybe", "https://example.com/"); err == nil || err.Error() != `--explain: "maybe" is none of auto, never, always` {
		t.Errorf("%v", err)
	}
}

func TestInvokeExplainsWhatIsAllowed(t *testing.T) {
	t.Parallel()
	a, w := newAPIServer(t), newPolicyWorld(t)
	w.role(awssim.Role{Allow: []string{"execute-api:*"}})
	rt := &fixedCredentials{reader: w.reader()}
	_, stderr, err := runInvoke(t, rt, "", "--explain", "always", "-H", "Host: "+invokeHost, a.server.URL+"/prod/cached")
	if err != nil || !strings.Contains(stderr, "allows: statement 0 of the inline policy Allow of role app\nallows: statement 0 of the resource policy of API abc123") {
		t.Errorf("%v\n%s", err, stderr)
	}
}

func TestAPIOfHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"abc123.execute-api.eu-west-1.amazonaws.com":             "abc123",
		"ABC123.execute-api.eu-west-1.amazonaws.com:443":         "abc123",
		"abc123-vpce-0a1b.execute-api.eu-west-1.amazonaws.com":   "abc123",
		"vpce-0a1b-xyz.execute-api.eu-west-1.vpce.amazonaws.com": "",
		"api.example.com": "",
		"127.0.0.1:8080":  "",
	} {
		if got := apiOfHost(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
