package e2e

import (
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/deploy"
	"github.com/gatehouse-project/gatehouse/iam"
)

// recorder decides calls by their policies, as AWS does, and keeps what was asked.
type recorder struct {
	mu      sync.Mutex
	allowed map[string]bool // actions
	refused []string
}

func (*recorder) Authenticate(*http.Request, []byte, awssim.Credential) error { return nil }

func (r *recorder) Authorize(c awssim.Call) error {
	who, err := iam.ParsePrincipal(c.Principal.ARN)
	if err != nil {
		return awssim.ErrAccessDenied
	}
	q, err := iam.Request{Principal: who, Action: c.Action, Resource: c.Resource, ResourceAccount: c.Owner, Context: c.Context}.Prepare()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || c.Policies.Decide(q) != iam.Allowed {
		r.refused = append(r.refused, c.Principal.ARN+" "+c.Action+" "+c.Resource)
		return awssim.ErrAccessDenied
	}
	if c.Principal.Account == apiAccount {
		r.allowed[c.Action] = true
	}
	return nil
}

// stackPolicies are the documents of a stack by name.
func stackPolicies(t *testing.T, stack string, values deploy.Values) map[string]*iam.Document {
	t.Helper()
	s, err := deploy.Find(stack)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Render(deploy.Terraform, values)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*iam.Document{}
	for _, p := range out.Policies {
		all[p.Name] = p.Document
	}
	return all
}

func spokePolicies(t *testing.T, more deploy.Values) map[string]*iam.Document {
	t.Helper()
	values := deploy.Values{
		"account": {apiAccount}, "hub-role": {"arn:aws:iam::" + hubAccount + ":role/GatehouseHub"}, "external-id": {externalID}, "regions": {region},
	}
	maps.Copy(values, more)
	return stackPolicies(t, "collector-spoke", values)
}

// deployedWorld is a world whose roles have what the stacks collector-hub and
// collector-spoke write, and nothing else.
func deployedWorld(t *testing.T, more deploy.Values) (*world, *recorder) {
	t.Helper()
	asked := &recorder{allowed: map[string]bool{}}
	w := newWorld(t, awssim.Options{Authority: asked})
	hub := stackPolicies(t, "collector-hub", deploy.Values{
		"account": {hubAccount}, "oidc-issuer": {"https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"}, "spoke-accounts": {apiAccount},
	})
	w.sim.Account(hubAccount).AddRole(awssim.Role{Name: "GatehouseHub", Policies: []string{string(hub["hub_assume.policy"].JSON())}})
	spoke := spokePolicies(t, more)
	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "GatehouseCollector", TrustPolicy: string(spoke["collector.assume_role_policy"].JSON()), Policies: []string{string(spoke["collector_read.policy"].JSON())},
	})
	w.creds = w.sim.Account(hubAccount).Session("GatehouseHub", "e2e", 12*time.Hour)
	r := w.sim.Account(apiAccount).Region(region)
	books := r.AddFunction("books", awssim.Object{"Runtime": "python3.13"})
	acl := r.AddWebACL(awssim.Object{"Name": "items"})
	r.AddRESTAPI(awssim.RESTAPI{
		ID: "a1b2c3d4e0", Name: "items", Resources: []awssim.Resource{{Path: "/items/{id}", Methods: []awssim.Method{{HTTPMethod: "POST", Authorization: "AWS_IAM"}}}},
		Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true, WebACL: acl}},
	})
	r.AddHTTPAPI(awssim.API{ID: "b1b2c3d4e0", Name: "catalog", Routes: []awssim.Route{{Key: "GET /books", Integration: &awssim.Integration{Type: "AWS_PROXY", URI: books}}}, Stages: []awssim.Stage{{Name: "$default"}}})
	r.AddCluster(awssim.Object{"name": "orders", "accessConfig": awssim.Object{"authenticationMode": "API"}}, awssim.Object{"principalArn": "arn:aws:iam::" + apiAccount + ":role/people"})
	w.logs.AddDelivery(awssim.Delivery{API: "a1b2c3d4e0", Stage: "prod", LogType: "EXECUTION_LOGS", Group: groupName(0)})
	w.logs.SetDataProtection(groupName(0), `{"Name":"mask"}`)
	w.logs.AddMetricFilter(groupName(0), awssim.Object{"filterName": "errors"})
	return w, asked
}

// The collector collects under exactly the policies that are written for it: no call
// is refused, and no action is allowed that it does not call.
func TestCollectUnderTheGeneratedPolicies(t *testing.T) {
	t.Parallel()
	w, asked := deployedWorld(t, nil)
	ids := w.fill(30, 1, time.Now().Add(-4*time.Minute), time.Now().Add(-2*time.Minute), 11)
	dir := t.TempDir()
	env := append(w.env("GATEHOUSE_STATE=sqlite:"+dir+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID), quick()...)
	p := start(t, env, "collect", "--once", "--since", "10m", "--role-arn", "arn:aws:iam::"+apiAccount+":role/GatehouseCollector", "--sink", "file:"+filepath.Join(dir, "out"))
	if code := p.exit(t, 90*time.Second); code != 0 {
		t.Fatalf("exit %d\n%s", code, tail(p.err.String()))
	}
	once(t, readFiles(t, filepath.Join(dir, "out")), ids)
	// The doctor asks what collecting without --once asks over days.
	p = start(t, env, "doctor", "--role-arn", "arn:aws:iam::"+apiAccount+":role/GatehouseCollector", "--sink", "file:"+filepath.Join(dir, "out"))
	p.exit(t, 90*time.Second)
	asked.mu.Lock()
	defer asked.mu.Unlock()
	for _, call := range asked.refused {
		// The doctor may look at roles and regions, and says so if it cannot.
		if !strings.Contains(call, " iam:Get") && !strings.Contains(call, " iam:List") && !strings.Contains(call, " account:ListRegions") {
			t.Errorf("refused: %s", call)
		}
	}
	want := actionsOf(t, nil)
	got := slices.Sorted(maps.Keys(asked.allowed))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("actions that were called (- the policy's, + called):\n%s", diff)
	}
}

// actionsOf are the actions that the spoke's policy allows, each once.
func actionsOf(t *testing.T, more deploy.Values) []string {
	t.Helper()
	var all []string
	for _, s := range spokePolicies(t, more)["collector_read.policy"].Statements {
		all = append(all, s.Action...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// With the parameter principals the whole estate is discovered, and nothing is refused.
func TestDiscoverUnderTheGeneratedPolicies(t *testing.T) {
	t.Parallel()
	w, asked := deployedWorld(t, deploy.Values{"principals": {"true"}})
	w.logs.CreateGroup(groupName(0))
	p := start(t, w.env("GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID, "GATEHOUSE_ESTATE_PRINCIPALS=true"),
		"estate", "discover", "--role-arn", "arn:aws:iam::"+apiAccount+":role/GatehouseCollector")
	if code := p.exit(t, 90*time.Second); code != 0 || !strings.Contains(p.out.String(), apiAccount) {
		t.Fatalf("exit %d\n%s\n%s", code, p.out.String(), tail(p.err.String()))
	}
	asked.mu.Lock()
	defer asked.mu.Unlock()
	for _, call := range asked.refused {
		t.Errorf("refused: %s", call)
	}
}

// Logging is switched on, off and destroyed under exactly the policies of the stack
// switcher, and nothing is refused.
func TestSwitchUnderTheGeneratedPolicies(t *testing.T) {
	t.Parallel()
	w, asked := deployedWorld(t, nil)
	w.sim.Account("aws").AddPolicy("service-role/AmazonAPIGatewayPushToCloudWatchLogs",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*"}]}`)
	switcher := stackPolicies(t, "switcher", deploy.Values{
		"account": {apiAccount}, "hub-role": {"arn:aws:iam::" + hubAccount + ":role/GatehouseHub"}, "external-id": {externalID}, "regions": {region},
	})
	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "GatehouseSwitcher", TrustPolicy: string(switcher["switcher.assume_role_policy"].JSON()), Policies: []string{string(switcher["switcher_switch.policy"].JSON())},
	})
	hub := stackPolicies(t, "collector-hub", deploy.Values{
		"account": {hubAccount}, "oidc-issuer": {"https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"}, "spoke-roles": {"arn:aws:iam::" + apiAccount + ":role/GatehouseSwitcher"},
	})
	w.sim.Account(hubAccount).AddRole(awssim.Role{Name: "GatehouseHub", Policies: []string{string(hub["hub_assume.policy"].JSON())}})
	w.creds = w.sim.Account(hubAccount).Session("GatehouseHub", "e2e", 12*time.Hour)
	env := w.env("GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID,
		"GATEHOUSE_QUOTA=apigateway=1000,UpdateAccount=1000,DescribeLogGroups=100")
	for _, args := range [][]string{{"enable", "--delivery", "--yes"}, {"status"}, {"disable", "--yes"}, {"destroy", "--yes"}} {
		args = append([]string{"logging"}, append(args, "--role-arn", "arn:aws:iam::"+apiAccount+":role/GatehouseSwitcher")...)
		p := start(t, env, args...)
		if code := p.exit(t, 120*time.Second); code != 0 {
			t.Errorf("%v: exit %d\n%s\n%s", args, code, p.out.String(), tail(p.err.String()))
		}
	}
	asked.mu.Lock()
	defer asked.mu.Unlock()
	for _, call := range asked.refused {
		t.Errorf("refused: %s", call)
	}
	if !asked.allowed["apigateway:PATCH"] || !asked.allowed["logs:CreateLogGroup"] {
		t.Errorf("nothing was switched: %v", slices.Sorted(maps.Keys(asked.allowed)))
	}
}

// The external id is what lets the hub in: with another one nothing is collected.
func TestGeneratedTrustNeedsTheExternalID(t *testing.T) {
	t.Parallel()
	w, _ := deployedWorld(t, nil)
	dir := t.TempDir()
	env := append(w.env("GATEHOUSE_STATE=sqlite:"+dir+"/state.db", "GATEHOUSE_EXTERNAL_ID=other"), quick()...)
	p := start(t, env, "collect", "--once", "--since", "10m", "--role-arn", "arn:aws:iam::"+apiAccount+":role/GatehouseCollector", "--sink", "file:"+filepath.Join(dir, "out"))
	if code := p.exit(t, 90*time.Second); code == 0 {
		t.Errorf("it collected with another external id\n%s", tail(p.err.String()))
	}
}
