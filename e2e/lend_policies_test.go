package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/deploy"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// callsOf decides calls by their policies, as AWS does, and keeps those of one role.
type callsOf struct {
	role string

	mu      sync.Mutex
	allowed []awssim.Call
	refused []string
}

func (*callsOf) Authenticate(*http.Request, []byte, awssim.Credential) error { return nil }

func (r *callsOf) Authorize(c awssim.Call) error {
	allowed := decide(c, c.Policies)
	if strings.Contains(c.Principal.ARN, "/"+r.role+"/") {
		r.mu.Lock()
		defer r.mu.Unlock()
		if allowed {
			c.Context = maps.Clone(c.Context)
			r.allowed = append(r.allowed, c)
		} else {
			r.refused = append(r.refused, c.Action+" "+c.Resource)
		}
	}
	if !allowed {
		return awssim.ErrAccessDenied
	}
	return nil
}

func decide(c awssim.Call, p iam.Policies) bool {
	who, err := iam.ParsePrincipal(c.Principal.ARN)
	if err != nil {
		return false
	}
	q, err := iam.Request{Principal: who, Action: c.Action, Resource: c.Resource, ResourceAccount: c.Owner, Context: c.Context}.Prepare()
	return err == nil && p.Decide(q) == iam.Allowed
}

const (
	lenderRole  = "GatehouseLender"
	lentCluster = "orders"
	lentPerson  = "alice@example.com"
)

// lenderWorld is a world with the stacks collector-hub and eks-access in it, and nothing
// else: their roles, access entries and manifests, as they are written.
type lenderWorld struct {
	*world
	calls        *callsOf
	policy       *iam.Document
	kube         *awssim.Kubernetes
	rbac         *eks.RBAC
	entries      *eks.AccessEntry
	integrations map[string]*access.Integration // by type, as the README says
}

// newLenderWorld deploys the stacks; with bare set without the shared role's access
// entry, which connecting then has to make.
func newLenderWorld(t *testing.T, bare bool, more deploy.Values) *lenderWorld {
	t.Helper()
	w := &lenderWorld{calls: &callsOf{role: lenderRole}, integrations: map[string]*access.Integration{}}
	w.world = newWorld(t, awssim.Options{Authority: w.calls})
	values := deploy.Values{
		"account": {apiAccount}, "region": {region}, "cluster": {lentCluster}, "permission-sets": {"Developers"}, "sso-region": {region},
		"lend": {eks.TypeRBAC + "," + eks.TypeAccessEntry}, "hub-role": {"arn:aws:iam::" + hubAccount + ":role/GatehouseHub"}, "external-id": {externalID},
		"principals": {"arn:aws:iam::" + apiAccount + ":role/people/eks-{{person}}"}, "bindable-roles": {"view"},
	}
	maps.Copy(values, more)
	s, err := deploy.Find("eks-access")
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Render(deploy.CloudFormation, values)
	if err != nil {
		t.Fatal(err)
	}
	text, files := map[string]string{}, map[string]string{}
	for _, p := range out.Policies {
		text[p.Name] = string(p.Document.JSON())
		if p.Name == "lender_lend.policy" {
			w.policy = p.Document
		}
	}
	for _, f := range out.Files {
		files[f.Name] = string(f.Text)
	}
	a := w.sim.Account(apiAccount)
	arns := map[string]string{
		"Lender": a.AddRole(awssim.Role{Name: lenderRole, TrustPolicy: text["lender.assume_role_policy"], Policies: []string{text["lender_lend.policy"]}}),
		"People": a.AddRole(awssim.Role{Name: eks.DefaultAccessRole, TrustPolicy: text["people.assume_role_policy"], Policies: []string{text["people_find.policy"]}}),
	}
	a.AddRole(awssim.Role{Name: "eks-" + lentPerson, Path: "/people/"})
	node := a.AddRole(awssim.Role{Name: "node"})
	entries := []awssim.Object{{"principalArn": node, "type": "EC2_LINUX", "username": "system:node:{{EC2PrivateDNSName}}"}}
	for _, e := range templateEntries(t, files["template.yaml"], arns) {
		if !bare || e["principalArn"] != arns["People"] {
			entries = append(entries, e)
		}
	}
	r := a.Region(region)
	for _, name := range []string{lentCluster, "payroll"} {
		r.AddCluster(awssim.Object{"name": name, "accessConfig": awssim.Object{"authenticationMode": "API"}}, entries...)
	}
	if w.kube, err = r.ListenKubernetes(lentCluster, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.kube.Close() })
	w.kube.AddNamespace("payments", nil)
	w.applyManifests(t, files[eks.LenderClusterRole+".yaml"])

	hub := stackPolicies(t, "collector-hub", deploy.Values{
		"account": {hubAccount}, "oidc-issuer": {"https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"}, "spoke-roles": {arns["Lender"]},
	})
	w.sim.Account(hubAccount).AddRole(awssim.Role{Name: "GatehouseHub", Policies: []string{string(hub["hub_assume.policy"].JSON())}})
	w.lendWith(t, w.sim.Account(hubAccount).Session("GatehouseHub", "e2e", 12*time.Hour))
	_, section, _ := strings.Cut(files["README.md"], "## The integration\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for part := range strings.SplitSeq(section, "\n\n") {
		i := &access.Integration{}
		if err := yaml.Unmarshal([]byte(part), i); err == nil && i.Type != "" {
			w.integrations[i.Type] = i
		}
	}
	return w
}

// lendWith makes the provisioners for Gatehouse's own credentials.
func (w *lenderWorld) lendWith(t *testing.T, own awssim.Credentials) {
	t.Helper()
	accounts, err := account.New(account.Config{Regions: []string{region}, ExternalID: externalID}, account.Options{BaseConfig: &aws.Config{
		Region: region, BaseEndpoint: aws.String(w.server.URL()), RetryMaxAttempts: 1, HTTPClient: account.Connections(nil),
		Credentials: credentials.NewStaticCredentialsProvider(own.AccessKeyID, own.SecretAccessKey, own.SessionToken),
	}})
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := eks.New(eks.Options{AWS: accounts})
	if err != nil {
		t.Fatal(err)
	}
	w.rbac, w.entries = eks.NewRBAC(clusters), eks.NewAccessEntry(clusters)
}

// templateEntries are the access entries of a template, as EKS answers them.
func templateEntries(t *testing.T, text string, arns map[string]string) []awssim.Object {
	t.Helper()
	var doc struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var all []awssim.Object
	for _, r := range doc.Resources {
		if r.Type != "AWS::EKS::AccessEntry" {
			continue
		}
		var e struct {
			Username         string    `yaml:"Username"`
			Type             string    `yaml:"Type"`
			ClusterName      string    `yaml:"ClusterName"`
			PrincipalArn     yaml.Node `yaml:"PrincipalArn"`
			KubernetesGroups []string  `yaml:"KubernetesGroups"`
		}
		if err := r.Properties.Decode(&e); err != nil {
			t.Fatal(err)
		}
		id, _, _ := strings.Cut(e.PrincipalArn.Value, ".")
		if arns[id] == "" || e.ClusterName != lentCluster {
			t.Fatalf("an entry of %q in %q", e.PrincipalArn.Value, e.ClusterName)
		}
		all = append(all, awssim.Object{"principalArn": arns[id], "type": e.Type, "username": e.Username, "kubernetesGroups": e.KubernetesGroups})
	}
	return all
}

// applyManifests applies what the stack's folder has for the cluster.
func (w *lenderWorld) applyManifests(t *testing.T, text string) {
	t.Helper()
	n := 0
	for d := yaml.NewDecoder(strings.NewReader(text)); ; n++ {
		var read map[string]any
		if err := d.Decode(&read); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		// The simulator knows objects as JSON has them.
		var o map[string]any
		if data, err := json.Marshal(read); err != nil || json.Unmarshal(data, &o) != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		meta := o["metadata"].(map[string]any)
		w.kube.Put("/apis/rbac.authorization.k8s.io/v1/"+strings.ToLower(o["kind"].(string))+"s/"+meta["name"].(string), o)
	}
	if n != 2 {
		t.Fatalf("%d manifests:\n%s", n, text)
	}
}

// checked runs a check of an integration and wants nothing failed or unseen.
func checked(t *testing.T, p access.Provisioner, i *access.Integration) {
	t.Helper()
	checks, err := p.Check(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		// The folder was written with the names of the roles that are lent, so that
		// Gatehouse may bind those and no others, which the check says.
		if c.Result == "ok" || c.Name == "permissions" && c.Result == "warning" && strings.Contains(c.Detail, "bind clusterroles") {
			continue
		}
		t.Errorf("%s: %+v", i.Name, c)
	}
}

// lend lends an item to the person, sees it listed, and takes it back.
func (w *lenderWorld) lend(t *testing.T, p access.Provisioner, i *access.Integration, item flow.Item, while func()) {
	t.Helper()
	person := flow.Person{ID: lentPerson}
	key, err := p.Object(i, person, item)
	if err != nil {
		t.Fatal(err)
	}
	wanted := access.Wanted{Key: key, Generation: 1, Holdings: []access.Holding{{Grant: "g-1", Person: person, Item: item, Expires: time.Now().Add(time.Hour)}}}
	apply := func() {
		for range 20 {
			got, err := p.Apply(t.Context(), i, wanted)
			if err != nil {
				t.Fatalf("%s: %v", i.Name, err)
			}
			if wanted.Kept = got.Kept; got.Pending == 0 {
				return
			}
		}
		t.Fatalf("%s: it stays pending", i.Name)
	}
	apply()
	found, err := p.List(t.Context(), i)
	if err != nil || len(found) != 1 || found[0].Key != key || found[0].Drift != "" {
		t.Errorf("%s: listed %+v, %v", i.Name, found, err)
	}
	while()
	wanted.Holdings = nil
	apply()
	if found, err := p.List(t.Context(), i); err != nil || len(found) != 0 {
		t.Errorf("%s: after the end there is %+v, %v", i.Name, found, err)
	}
	if cleaner, ok := p.(access.Cleaner); ok {
		if err := cleaner.Clean(t.Context(), i, person); err != nil {
			t.Errorf("%s: cleaning up: %v", i.Name, err)
		}
	}
}

func lentItem(t *testing.T, p access.Provisioner, i *access.Integration, id, permission string) flow.Item {
	t.Helper()
	all, err := p.Discover(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.ID == id && slices.Contains(r.Permissions, permission) {
			return flow.Item{Resource: r, Permission: permission}
		}
	}
	t.Fatalf("%s: %s with %s is not among %d resources", i.Name, id, permission, len(all))
	return flow.Item{}
}

// Both provisioners connect, check, discover, lend, list and take back under exactly the
// roles, access entries and manifests of the stack eks-access. Nothing is refused but to
// take the people's own role, and no action is allowed that is not called.
func TestLendUnderTheGeneratedPolicies(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		t.Run(map[bool]string{false: "the stack's entry", true: "connecting makes the entry"}[bare], func(t *testing.T) {
			t.Parallel()
			w := newLenderWorld(t, bare, nil)
			i := w.integrations[eks.TypeRBAC]
			for _, mode := range []eks.Mode{eks.PlanOnly, eks.Apply} {
				plan, err := w.rbac.Connect(t.Context(), i, mode)
				if err != nil || plan.Done != (!bare || mode == eks.Apply) || plan.Template != eks.DefaultTemplate {
					t.Fatalf("connecting (%s): %+v, %v", mode, plan, err)
				}
			}
			checked(t, w.rbac, i)
			before := w.personLists(t)
			w.lend(t, w.rbac, i, lentItem(t, w.rbac, i, "namespace/payments", "view"), func() {
				if before != http.StatusForbidden || w.personLists(t) != http.StatusOK {
					t.Errorf("%s was answered %d before and %d while it was lent", lentPerson, before, w.personLists(t))
				}
			})
			if after := w.personLists(t); after != http.StatusForbidden {
				t.Errorf("%s is answered %d after the end", lentPerson, after)
			}
			if bare { // its own entry may be changed
				i.Config["username_template"] = "gatehouse:lent:{{SessionNameRaw}}"
				if plan, err := w.rbac.Connect(t.Context(), i, eks.Apply); err != nil || !plan.Done {
					t.Errorf("connecting with another template: %+v, %v", plan, err)
				}
			}
			e := w.integrations[eks.TypeAccessEntry]
			checked(t, w.entries, e)
			w.lend(t, w.entries, e, lentItem(t, w.entries, e, "namespace/payments", "AmazonEKSViewPolicy"), func() {})
			w.judge(t, bare)
		})
	}
}

// judge compares what was called with what is allowed, and tries what is near it.
func (w *lenderWorld) judge(t *testing.T, bare bool) {
	t.Helper()
	w.calls.mu.Lock()
	defer w.calls.mu.Unlock()
	people := "arn:aws:iam::" + apiAccount + ":role/" + eks.DefaultAccessRole
	for _, call := range w.calls.refused {
		// The check tries whether Gatehouse may be anybody it likes, which it must not.
		if call != "sts:AssumeRole "+people {
			t.Errorf("refused: %s", call)
		}
	}
	got := map[string]bool{}
	for _, c := range w.calls.allowed {
		got[c.Action] = true
		w.near(t, c)
	}
	want := slices.Concat(eks.EntryActions(), eks.BindingActions(), []string{"iam:GetRole"})
	if !bare { // the entry of the stack's own making is left as it is
		want = slices.DeleteFunc(want, func(a string) bool { return a == "eks:UpdateAccessEntry" })
	}
	slices.Sort(want)
	if diff := cmp.Diff(slices.Compact(want), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("actions that were called (- the policy's, + called):\n%s", diff)
	}
}

// near asks for what is next to a call that was allowed: the same on another cluster, in
// another account or region, on another role's entry, and another action on it.
func (w *lenderWorld) near(t *testing.T, c awssim.Call) {
	t.Helper()
	if c.Service == "sts" {
		return
	}
	try := func(what string, change func(c *awssim.Call)) {
		other := c
		other.Context = maps.Clone(c.Context)
		change(&other)
		if other.Resource == c.Resource && other.Action == c.Action && cmp.Equal(other.Context, c.Context) {
			return // it does not say so
		}
		if decide(other, c.Policies) {
			t.Errorf("%s: %s on %s %v is allowed", what, other.Action, other.Resource, other.Context)
		}
	}
	replace := func(from, to string) func(c *awssim.Call) {
		return func(c *awssim.Call) { c.Resource = strings.Replace(c.Resource, from, to, 1) }
	}
	if c.Service == "eks" {
		try("another cluster", replace("/"+lentCluster, "/payroll"))
		try("another account", replace(":"+apiAccount+":", ":999988887777:"))
		try("another region", replace(":"+region+":", ":us-east-1:"))
	}
	try("deleting the cluster", func(c *awssim.Call) { c.Action = "eks:DeleteCluster" })
	try("another role's trust", func(c *awssim.Call) { c.Action = "iam:UpdateAssumeRolePolicy" })
	try("another role", func(c *awssim.Call) {
		if c.Action == "iam:GetRole" {
			c.Resource = "arn:aws:iam::" + apiAccount + ":role/Admin"
		}
	})
	if strings.HasPrefix(c.Action, "eks:Describe") || strings.HasPrefix(c.Action, "eks:List") {
		return // looking at others' entries is how its own are found
	}
	try("another principal's entry", func(c *awssim.Call) {
		for _, name := range []string{"people/eks-", eks.DefaultAccessRole} {
			c.Resource = strings.Replace(c.Resource, "/role/"+apiAccount+"/"+name, "/role/"+apiAccount+"/admin-", 1)
		}
		if c.Context["eks:principalArn"] != nil {
			c.Context["eks:principalArn"] = []string{"arn:aws:iam::" + apiAccount + ":role/Admin"}
		}
	})
	try("others' tags", func(c *awssim.Call) {
		if c.Action == "eks:TagResource" || c.Action == "eks:UntagResource" {
			c.Context["aws:TagKeys"] = []string{"team"}
		}
	})
	try("an entry of others' making", func(c *awssim.Call) {
		if c.Action == "eks:DeleteAccessEntry" {
			delete(c.Context, "aws:ResourceTag/"+eks.TagManaged)
		}
	})
	try("the policy with every right", func(c *awssim.Call) {
		if c.Action == "eks:AssociateAccessPolicy" {
			c.Context["eks:policyArn"] = []string{"arn:aws:eks::aws:cluster-access-policy/" + eks.PowerPolicy}
		}
	})
}

// personLists has the person take the shared role, as their profile does, and ask the
// cluster for the pods of payments. It returns the status.
func (w *lenderWorld) personLists(t *testing.T) int {
	t.Helper()
	const sso = "AWSReservedSSO_Developers_0123456789abcdef"
	a := w.sim.Account(apiAccount)
	people := "arn:aws:iam::" + apiAccount + ":role/" + eks.DefaultAccessRole
	a.AddRole(awssim.Role{Name: sso, Path: "/aws-reserved/sso.amazonaws.com/" + region + "/", Policies: []string{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + people + `"}]}`,
	}})
	client := awssts.NewFromConfig(w.configOf(a.SAMLSession(sso, lentPerson, time.Hour)))
	if _, err := client.AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: &people, RoleSessionName: aws.String("bob@example.com")}); err == nil {
		t.Error("a session has the name of somebody else")
	}
	out, err := client.AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: &people, RoleSessionName: aws.String(lentPerson)})
	if err != nil {
		t.Fatal(err)
	}
	key := sigv4.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}
	// People find the cluster with the policy of the role, and nothing else of EKS.
	theirs := awseks.NewFromConfig(w.configOf(awssim.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken}))
	found, err := theirs.DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: aws.String(lentCluster)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: aws.String("payroll")}); err == nil {
		t.Error("people find another cluster")
	}
	if _, err := theirs.AssociateAccessPolicy(t.Context(), &awseks.AssociateAccessPolicyInput{
		ClusterName: aws.String(lentCluster), PrincipalArn: &people, PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"),
		AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster},
	}); err == nil {
		t.Error("people give themselves an access policy")
	}
	return listPods(t, key, aws.ToString(found.Cluster.Endpoint), w.kube.CertificateAuthority())
}

func (w *lenderWorld) configOf(c awssim.Credentials) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(w.server.URL()), RetryMaxAttempts: 1, HTTPClient: account.Connections(nil),
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
	}
}

// listPods asks a cluster with a token that the AWS CLI would make of credentials.
func listPods(t *testing.T, key sigv4.Credentials, server string, authority []byte) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	sign, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://sts."+region+".amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	sign.Header.Set("X-K8s-Aws-Id", lentCluster)
	signer := sigv4.Signer{Credentials: key, Service: "sts", Region: region}
	if _, err := signer.Presign(sign, time.Now(), time.Minute); err != nil {
		t.Fatal(err)
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/api/v1/namespaces/payments/pods", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Authorization", "Bearer k8s-aws-v1."+base64.RawURLEncoding.EncodeToString([]byte(sign.URL.String())))
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bytes.TrimSpace(authority)) {
		t.Fatal("the cluster's certificate authority cannot be read")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}}
	defer client.CloseIdleConnections()
	res, err := client.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusForbidden {
		t.Fatalf("%s: %s", res.Status, text)
	}
	return res.StatusCode
}

// Where people's roles are a list, the check tries its rights on a role that nobody has,
// and the policy lets it.
func TestLendToSingleRolesUnderTheGeneratedPolicies(t *testing.T) {
	t.Parallel()
	w := newLenderWorld(t, false, deploy.Values{"principals": {"arn:aws:iam::" + apiAccount + ":role/people/eks-" + lentPerson}})
	e := w.integrations[eks.TypeAccessEntry]
	e.Config["principals"] = strings.Replace(e.Config["principals"], "person-1@example.com=", lentPerson+"=", 1)
	checked(t, w.entries, e)
	w.lend(t, w.entries, e, lentItem(t, w.entries, e, "cluster/"+lentCluster, "AmazonEKSViewPolicy"), func() {})
	w.calls.mu.Lock()
	defer w.calls.mu.Unlock()
	for _, call := range w.calls.refused {
		t.Errorf("refused: %s", call)
	}
}

// The external id and the hub's name are what let Gatehouse in.
func TestLendNeedsTheHubAndItsExternalID(t *testing.T) {
	t.Parallel()
	w := newLenderWorld(t, false, deploy.Values{"external-id": {"another"}})
	w.sim.Account(hubAccount).AddRole(awssim.Role{Name: "Other", Allow: []string{"sts:*"}})
	for _, role := range []string{"GatehouseHub", "Other"} {
		w.lendWith(t, w.sim.Account(hubAccount).Session(role, "e2e", time.Hour))
		if _, err := w.entries.List(t.Context(), w.integrations[eks.TypeAccessEntry]); err == nil || !strings.Contains(err.Error(), "AssumeRole") {
			t.Errorf("%s: %v", role, err)
		}
	}
}
