//go:build integration

package deploy

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/iam"
)

// appliedChecks ask what was applied on the simulated AWS whether it decides as the
// stack says.
var appliedChecks = map[string]func(t *testing.T, w *clouds, key awssim.Credentials){
	"protected":      checkProtected,
	"protected root": checkProtectedRoot,
	"client":         checkClient,
	"lending":        checkLending,
	"logging":        checkLogging,
	"people by SSO":  checkPeopleEntry(peopleName, []string{}),
	"lender":         checkLender,
}

// peopleName names people in a cluster where no parameter does. It is raw, since without
// that two e-mail addresses can become one name.
const peopleName = "gatehouse:{{SessionNameRaw}}"

func errorCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func (w *clouds) assume(t *testing.T, who awssim.Credentials, role, externalID string) (*sts.AssumeRoleOutput, error) {
	t.Helper()
	in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("gatehouse")}
	if externalID != "" {
		in.ExternalId = aws.String(externalID)
	}
	return sts.NewFromConfig(reach(w.url, who)).AssumeRole(t.Context(), in)
}

func (w *clouds) mayAssume(t *testing.T, who awssim.Credentials, role, externalID string) awssim.Credentials {
	t.Helper()
	out, err := w.assume(t, who, role, externalID)
	if err != nil {
		t.Fatalf("assuming %s: %v", role, err)
	}
	return awssim.Credentials{
		AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken,
	}
}

func (w *clouds) mayNotAssume(t *testing.T, who awssim.Credentials, role, externalID string) {
	t.Helper()
	if _, err := w.assume(t, who, role, externalID); errorCode(err) != "AccessDenied" {
		t.Errorf("assuming %s with the external id %q: %v", role, externalID, err)
	}
}

// caller is a role's session at the simulated AWS with all its policies.
func (w *clouds) caller(t *testing.T, account, role string) *awssim.Caller {
	t.Helper()
	c, ok := w.sim.Caller(w.sim.Account(account).Session(role, "test", time.Hour).AccessKeyID)
	if !ok {
		t.Fatalf("account %s has no role %s", account, role)
	}
	return c
}

// mayCall decides whether a session may call an API as API Gateway does, by the
// caller's policies and the API's own.
func mayCall(t *testing.T, c *awssim.Caller, policy *iam.Policy, resource string) bool {
	t.Helper()
	who, err := iam.ParsePrincipal(c.Principal.ARN)
	if err != nil {
		t.Fatal(err)
	}
	request := iam.Request{Principal: who, Action: "execute-api:Invoke", Resource: resource, ResourceAccount: spokeID, Context: c.Context}
	query, err := request.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	all := c.Policies
	all.Resource = iam.Attached{Name: "the API's", Policy: policy}
	return all.Decide(query) == iam.Allowed
}

// madeAPI is the API of a name, with its resource policy as it was read back.
func (w *clouds) madeAPI(t *testing.T, key awssim.Credentials, name string) (string, *iam.Policy) {
	t.Helper()
	out, err := apigateway.NewFromConfig(reach(w.url, key)).GetRestApis(t.Context(), &apigateway.GetRestApisInput{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range out.Items {
		if *out.Items[i].Name != name {
			continue
		}
		var text string // API Gateway escapes its quotes once more than JSON needs
		if err := json.Unmarshal([]byte(`"`+aws.ToString(out.Items[i].Policy)+`"`), &text); err != nil {
			t.Fatalf("%v: %s", err, aws.ToString(out.Items[i].Policy))
		}
		p, err := iam.ParseAndCompile(iam.KindResource, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return *out.Items[i].Id, p
	}
	t.Fatalf("there is no API %s", name)
	return "", nil
}

func checkProtected(t *testing.T, w *clouds, key awssim.Credentials) {
	t.Helper()
	id, policy := w.madeAPI(t, key, "orders")
	base := "arn:aws:execute-api:" + place + ":" + spokeID + ":" + id + "/prod/"
	for _, c := range []struct {
		account, role, call string
		want                bool
	}{
		{"444455556666", "storefront", "GET/orders/7", true},
		{"444455556666", "storefront", "POST/orders/7", true},
		{"444455556666", "storefront", "DELETE/orders/7", false},
		{"444455556666", "storefront", "GET/invoices/7", false},
		{"555566667777", "ecs-app-blue", "GET/orders/7", true},
		{"555566667777", "other", "GET/orders/7", false},
		{"111122223333", "administrator", "GET/orders/7", false},
	} {
		if c.role == "administrator" {
			w.admin(t, c.account)
		}
		if got := mayCall(t, w.caller(t, c.account, c.role), policy, base+c.call); got != c.want {
			t.Errorf("%s of %s calls %s: %t", c.role, c.account, c.call, got)
		}
	}
	// The function lets in this stage of this API alone.
	function, err := iam.ParseAndCompile(iam.KindResource, []byte(w.sim.Account(spokeID).Region(place).FunctionPolicy("orders")))
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]bool{base + "GET/orders/7": true, "arn:aws:execute-api:" + place + ":" + spokeID + ":a1b2c3d4e5/prod/GET/orders/7": false} {
		who, err := iam.ParsePrincipal("apigateway.amazonaws.com")
		if err != nil {
			t.Fatal(err)
		}
		query, err := iam.Request{
			Principal: who, Action: "lambda:InvokeFunction", Resource: "arn:aws:lambda:" + place + ":" + spokeID + ":function:orders",
			ResourceAccount: spokeID, Context: iam.Context{"aws:SourceArn": {source}},
		}.Prepare()
		if err != nil {
			t.Fatal(err)
		}
		all := iam.Policies{Resource: iam.Attached{Policy: function}}
		if got := all.Decide(query) == iam.Allowed; got != want {
			t.Errorf("%s invokes the function: %t", source, got)
		}
	}
}

func checkProtectedRoot(t *testing.T, w *clouds, key awssim.Credentials) {
	t.Helper()
	id, policy := w.madeAPI(t, key, "orders")
	call := "arn:aws:execute-api:" + place + ":" + spokeID + ":" + id + "/prod/GET/"
	for role, want := range map[string]bool{"storefront": true, "stranger": false} {
		if got := mayCall(t, w.caller(t, "444455556666", role), policy, call); got != want {
			t.Errorf("%s calls: %t", role, got)
		}
	}
}

// checkClient: the role got the right to the one API, and to its path alone.
func checkClient(t *testing.T, w *clouds, _ awssim.Credentials) {
	t.Helper()
	open, err := iam.ParseAndCompile(iam.KindResource, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := w.caller(t, "444455556666", "storefront")
	c.Policies.Identity = slices.DeleteFunc(slices.Clone(c.Policies.Identity), func(a iam.Attached) bool { return a.Name == "Allow" })
	for call, want := range map[string]bool{"GET/orders/7": true, "POST/orders/7": false, "GET/invoices": false} {
		if got := mayCall(t, c, open, "arn:aws:execute-api:"+place+":"+spokeID+":a1b2c3d4e5/prod/"+call); got != want {
			t.Errorf("%s: %t", call, got)
		}
	}
}

// checkLending: Gatehouse alone gets a session, with the external id, and the role can
// do no more than its boundary says, whatever is written on it.
func checkLending(t *testing.T, w *clouds, _ awssim.Credentials) {
	t.Helper()
	hub := w.sim.Account("111122223333").Session("GatehouseHub", "gatehouse", time.Hour)
	role := "arn:aws:iam::" + spokeID + ":role/gatehouse-api-invoker"
	w.mayNotAssume(t, hub, role, "")
	w.mayNotAssume(t, hub, role, "x-other")
	w.mayNotAssume(t, w.sim.Account("444455556666").Session("storefront", "me", time.Hour), role, "x-e2e")
	key := w.mayAssume(t, hub, role, "x-e2e")
	c, ok := w.sim.Caller(key.AccessKeyID)
	if !ok {
		t.Fatal("no session")
	}
	c.Policies.Identity = append(slices.Clone(c.Policies.Identity), allowAll(t))
	for api, want := range map[string]bool{"a1b2c3d4e5": true, "f6f7f8f9f0": false} {
		if got := mayCall(t, c, nil, "arn:aws:execute-api:"+place+":"+spokeID+":"+api+"/prod/GET/x"); got != want {
			t.Errorf("with a policy that allows all, API %s: %t", api, got)
		}
	}
}

func allowAll(t *testing.T) iam.Attached {
	t.Helper()
	p, err := iam.ParseAndCompile(iam.KindIdentity, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return iam.Attached{Name: "all", Policy: p}
}

// checkLogging: both stages have execution logs at INFO, in groups that are kept for the
// days that were asked for.
func checkLogging(t *testing.T, w *clouds, key awssim.Credentials) {
	t.Helper()
	for _, stage := range []string{"prod", "dev"} {
		st, ok := w.sim.Account(spokeID).Region(place).Stage("a1b2c3d4e5", stage)
		if !ok || st.LoggingLevel != "INFO" || !st.DataTrace || !st.Metrics {
			t.Errorf("%s: %+v", stage, st)
		}
		out, err := cloudwatchlogs.NewFromConfig(reach(w.url, key)).DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{
			LogGroupNamePrefix: aws.String("API-Gateway-Execution-Logs_a1b2c3d4e5/" + stage),
		})
		if err != nil || len(out.LogGroups) != 1 || aws.ToInt32(out.LogGroups[0].RetentionInDays) == 0 || aws.ToString(out.LogGroups[0].KmsKeyId) != kmsARN {
			t.Errorf("%s: %v %+v", stage, err, out)
		}
	}
}

// checkPeopleEntry asks for the access entry of the role that people share.
func checkPeopleEntry(user string, groups []string) func(t *testing.T, w *clouds, key awssim.Credentials) {
	return func(t *testing.T, w *clouds, key awssim.Credentials) {
		t.Helper()
		out, err := eks.NewFromConfig(reach(w.url, key)).DescribeAccessEntry(t.Context(), &eks.DescribeAccessEntryInput{
			ClusterName: aws.String("orders"), PrincipalArn: aws.String("arn:aws:iam::" + spokeID + ":role/gatehouse-k8s-access"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if *out.AccessEntry.Username != user || !slices.Equal(out.AccessEntry.KubernetesGroups, groups) {
			t.Errorf("user %s, groups %v", *out.AccessEntry.Username, out.AccessEntry.KubernetesGroups)
		}
	}
}

// checkLender: Gatehouse's role may lend an access policy to the people who are named
// and to nobody else.
func checkLender(t *testing.T, w *clouds, key awssim.Credentials) {
	t.Helper()
	checkPeopleEntry(peopleName, []string{})(t, w, key)
	owner := w.sim.Account(spokeID)
	hub := w.sim.Account("111122223333").Session("GatehouseHub", "gatehouse", time.Hour)
	w.mayNotAssume(t, hub, "arn:aws:iam::"+spokeID+":role/GatehouseLender", "")
	client := eks.NewFromConfig(reach(w.url, w.mayAssume(t, hub, "arn:aws:iam::"+spokeID+":role/GatehouseLender", "x-e2e")))
	for _, c := range []struct {
		role, path, cluster string
		want                string
	}{
		{"oncall", "/", "orders", ""},
		{"eks-alice", "/people/", "billing", ""},
		{"someone", "/", "orders", "AccessDeniedException"},
	} {
		arn := owner.AddRole(awssim.Role{Name: c.role, Path: c.path})
		_, err := client.CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String(c.cluster), PrincipalArn: aws.String(arn)})
		if errorCode(err) != c.want {
			t.Errorf("an entry of %s: %v", c.role, err)
		}
		if err == nil {
			if _, err := eks.NewFromConfig(reach(w.url, key)).DeleteAccessEntry(t.Context(), &eks.DeleteAccessEntryInput{
				ClusterName: aws.String(c.cluster), PrincipalArn: aws.String(arn),
			}); err != nil {
				t.Error(err)
			}
		}
		owner.RemoveRole(c.role)
	}
}
