//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	awseks "github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// What the document of the product that is replaced has people paste into IAM, with the
// placeholders filled in.
const (
	sourcePolicy = `{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "eks:DescribeCluster",
            "Resource": "arn:aws:eks:*:` + apiAccount + `:cluster/*"
        }
    ]
}`
	sourceTrustSSO = `{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Statement1",
            "Effect": "Allow",
            "Principal": {
                "AWS": "*"
            },
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEqualsIgnoreCase": {
                    "sts:RoleSessionName": "${SAML:sub}"
                },
                "ArnLike": {
                    "aws:PrincipalArn": [
                        "arn:aws:iam::` + apiAccount + `:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_*",
                        "arn:aws:iam::` + apiAccount + `:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_*"
                    ]
                }
            }
        }
    ]
}`
	sourceTrustSAML = `{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {
                "Federated": "arn:aws:iam::` + apiAccount + `:saml-provider/okta"
            },
            "Action": "sts:AssumeRoleWithSAML",
            "Condition": {
                "StringEquals": {
                    "SAML:aud": "https://signin.aws.amazon.com/saml"
                }
            }
        }
    ]
}`
	sourceMapRoles = `- rolearn: arn:aws:iam::` + apiAccount + `:role/` + peopleRole + `
  username: "{{SessionNameRaw}}"
`
)

// iam is a client of IAM with all rights in the cluster's account.
func (k *kubeWorld) iam() *iam.Client {
	key := k.sim.Account(apiAccount).AddAccessKey("admin")
	return iam.New(iam.Options{
		Region: region, BaseEndpoint: aws.String(k.server.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	})
}

// makeRole is the document's "Create a new policy" and "Create the IAM role".
func (k *kubeWorld) makeRole(t *testing.T, trust string) {
	t.Helper()
	a := k.sim.Account(apiAccount)
	a.RemoveRole(peopleRole)
	policy := a.AddPolicy("apono-k8s-describe", sourcePolicy)
	if _, err := k.iam().CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String(peopleRole), AssumeRolePolicyDocument: aws.String(trust), Description: aws.String("required for k8s access managed by Apono"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.iam().AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: aws.String(peopleRole), PolicyArn: aws.String(policy)}); err != nil {
		t.Fatal(err)
	}
}

// fullIntegration has every setting of the document's tables.
func (k *kubeWorld) fullIntegration(secret string) string {
	authority, _ := json.Marshal(string(k.ca.pem)) //nolint:errchkjson // a text
	return fmt.Sprintf(`integrations:
  - name: blue
    type: eks-rbac
    resource_types: [eks-namespace]
    config:
      server_url: %s
      certificate_authority: %s
      cluster_name: blue
      aws_role_name: arn:aws:iam::%s:role/Gatehouse
      region: %s
      access_role_name: %s
    secret_store: %s
    credentials_rotation_period_in_days: 30
    credentials_cleanup_period_in_days: 7
    custom_access_details: %q
    owner: [{kind: group, value: admins}]
    owner_tag: team
    owner_kind: group
`, k.url, authority, apiAccount, region, peopleRole, secret, "Ask #payments before you restart anything.")
}

// sourceFlows have the owner agree: that of the resource by its tag, else the integration's.
const sourceFlows = `flows:
  - name: Pods
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: blue, resource_type: eks-namespace, permissions: [pod-reader]}]
    approvers: {groups: [{conditions: [{type: owner}]}]}
    duration: {max: 1h}
`

// The document that people set lending up by today is followed from its first step to
// its last, in both ways that it knows of signing people in and of mapping the role.
func TestIntegrationLendBySourceDocument(t *testing.T) {
	t.Run("SSO and ConfigMap", func(t *testing.T) {
		k := newKubeWorld(t, "CONFIG_MAP")
		k.makeRole(t, sourceTrustSSO)
		k.kubectl(t, mustJSON(t, map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "aws-auth", "namespace": "kube-system"},
			"data": map[string]any{"mapRoles": sourceMapRoles},
		}), "apply", "-f", "-")
		c := newSourceWorld(t, k, "{environment: BLUE}", alice, func(p string) *kubePerson {
			return k.newPerson(t, p, "default", k.sim.Account(apiAccount).SAMLSession(ssoRole, p, 8*time.Hour))
		})
		if left := k.kubectl(t, "", "-n", "kube-system", "get", "configmap", "aws-auth", "-o", "jsonpath={.data.mapRoles}"); left != sourceMapRoles {
			t.Errorf("connecting made aws-auth of the document's\n%s", left)
		}
		grant := c.lent(t)

		// "aws sts assume-role", as it is printed.
		command, profile := c.snippet(t, grant, "sts assume-role"), c.snippet(t, grant, "[profile "+peopleRole+"]")
		want := "aws sts assume-role \\\n  --role-arn " + k.role + " \\\n  --role-session-name " + alice + " \\\n  --duration-seconds 3600"
		if strings.TrimSpace(command) != want {
			t.Errorf("the command is\n%s\nwant\n%s", command, want)
		}
		out, complaint, err := c.alice.run(t, "sh", "-c", command)
		var given struct {
			Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string } //nolint:revive // the AWS CLI's names
		}
		if err == nil {
			err = json.Unmarshal([]byte(out), &given)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, complaint)
		}
		in := *c.alice
		in.env = append(slices.Clip(in.env), "AWS_ACCESS_KEY_ID="+given.Credentials.AccessKeyId, "AWS_SECRET_ACCESS_KEY="+given.Credentials.SecretAccessKey, "AWS_SESSION_TOKEN="+given.Credentials.SessionToken)
		first := filepath.Join(c.alice.home, "by-command")
		if _, complaint, err := in.run(t, "aws", "eks", "update-kubeconfig", "--name", "blue", "--kubeconfig", first); err != nil {
			t.Fatalf("update-kubeconfig: %v\n%s", err, complaint)
		}
		c.works(t, &in, first, true)
		if _, complaint, err := c.alice.run(t, "sh", "-c", strings.Replace(command, alice, bob, 1)); err == nil || !strings.Contains(complaint, "AccessDenied") {
			t.Errorf("alice gets a session named after bob: %v\n%s", err, complaint)
		}

		// The profile, as it is printed.
		wantProfile := "[profile " + peopleRole + "]\nrole_arn = " + k.role + "\nrole_session_name = " + alice + "\nsource_profile = default"
		if strings.TrimSpace(profile) != wantProfile {
			t.Errorf("the profile is\n%s\nwant\n%s", profile, wantProfile)
		}
		if err := os.WriteFile(filepath.Join(c.alice.home, ".aws", "config"), []byte(profile), 0o600); err != nil {
			t.Fatal(err)
		}
		second := filepath.Join(c.alice.home, "by-profile")
		if _, complaint, err := c.alice.run(t, "aws", "eks", "update-kubeconfig", "--name", "blue", "--profile", peopleRole, "--kubeconfig", second); err != nil {
			t.Fatalf("update-kubeconfig --profile: %v\n%s", err, complaint)
		}
		c.works(t, c.alice, second, true)

		c.ends(t, grant)
		c.works(t, &in, first, false)
		c.works(t, c.alice, second, false)
		c.keepsSecrets(t, c.ada, append(c.k8sSecrets(t), given.Credentials.SecretAccessKey, given.Credentials.SessionToken)...)
	})
	t.Run("SAML and EKS API", func(t *testing.T) {
		k := newKubeWorld(t, "CONFIG_MAP")
		a := k.sim.Account(apiAccount)
		k.makeRole(t, sourceTrustSAML)
		// "Change the authentication mode to EKS API", "Create the access entry".
		for _, mode := range []types.AuthenticationMode{types.AuthenticationModeApiAndConfigMap, types.AuthenticationModeApi} {
			if _, err := k.eks().UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: aws.String("blue"), AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: mode}}); err != nil {
				t.Fatal(err)
			}
		}
		k.letIn(t, k.role, "apono:{{SessionName}}")
		c := newSourceWorld(t, k, "{environment: BLUE}", "apono:alice-example.com", func(p string) *kubePerson {
			return k.holder(t, p, a.SAMLSession(peopleRole, p, time.Hour))
		})
		grant := c.lent(t)
		config := filepath.Join(c.alice.home, ".kube", "config")
		c.works(t, c.alice, config, true)
		c.ends(t, grant)
		c.works(t, c.alice, config, false)
		c.keepsSecrets(t, c.ada, c.k8sSecrets(t)...)
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// newSourceWorld integrates the cluster with every setting there is, after people and
// the role are there, and checks what the checks say. User is what alice is called.
func newSourceWorld(t *testing.T, k *kubeWorld, secret, user string, person func(string) *kubePerson) *lendingCluster {
	t.Helper()
	k.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "Gatehouse", TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"},
		Allow: []string{"eks:DescribeCluster", "eks:DescribeAccessEntry", "iam:GetRole"},
	})
	k.kubectl(t, eks.ClusterRole(), "apply", "-f", "-")
	k.kubectl(t, "", "create", "clusterrole", "pod-reader", "--verb=get,list", "--resource=pods")
	k.kubectl(t, "", "-n", "kube-system", "create", "serviceaccount", "gatehouse")
	k.kubectl(t, "", "create", "clusterrolebinding", "gatehouse-lender", "--clusterrole=gatehouse-lender", "--serviceaccount=kube-system:gatehouse")
	for name, team := range map[string]string{"payments": "owners", "tools": ""} {
		k.kubectl(t, "", "create", "namespace", name)
		if team != "" {
			k.kubectl(t, "", "label", "namespace", name, "team="+team)
		}
	}
	token := strings.TrimSpace(k.kubectl(t, "", "-n", "kube-system", "create", "token", "gatehouse", "--duration=2h"))
	c := &lendingCluster{kubeWorld: k, lender: newLender(t, k.world, "", "BLUE_TOKEN="+token), kube: map[string]*kubePerson{}, secret: token}
	for _, p := range []struct {
		name string
		is   **member
	}{{alice, &c.alice}, {bob, &c.bob}, {olga, &c.olga}, {ada, &c.ada}} {
		c.kube[p.name] = person(p.name)
		*p.is = signIn(t, c.lender.url, p.name, c.kube[p.name].home, k.network.env()...)
	}
	full := k.fullIntegration(secret)
	for _, wrong := range []struct{ text, complaint string }{
		{strings.Replace(full, "Ask #payments", strings.Repeat("x", 400), 1), "400"},
		{strings.Replace(full, "    owner: [{kind: group, value: admins}]\n", "", 1), "owner"},
	} {
		file := c.lender.write(t, "wrong.yaml", wrong.text)
		if out, complaint, err := c.ada.try(t, "integration", "apply", file, "--yes"); err == nil || !strings.Contains(complaint, wrong.complaint) {
			t.Errorf("an integration that the document does not allow is taken: %v\n%s%s", err, out, complaint)
		}
	}
	c.configure(t, c.ada, full, sourceFlows, "blue")
	k.becomes(t, k.probe(t, c.kube[alice]), user)
	return c
}

// probe is a person whose kubeconfig gets tokens of the shared role whatever the profile.
func (k *kubeWorld) probe(t *testing.T, p *kubePerson) *kubePerson {
	t.Helper()
	if _, err := os.Stat(filepath.Join(p.home, ".aws", "config")); err == nil {
		return p
	}
	text, err := os.ReadFile(filepath.Join(p.home, ".aws", "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(string(text), "[default]") {
		config := "[profile blue]\nrole_arn = " + k.role + "\nrole_session_name = " + p.name + "\nsource_profile = default\n"
		if err := os.WriteFile(filepath.Join(p.home, ".aws", "config"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// lent asks for pods, has the owner agree, and returns the grant once it is there.
func (c *lendingCluster) lent(t *testing.T) string {
	t.Helper()
	r := c.alice.borrow(t, "blue", "payments", "pod-reader", "45m")
	if fmt.Sprint(r.CanApprove) != fmt.Sprint([]string{olga}) {
		t.Errorf("the owners of payments are %v", r.CanApprove)
	}
	if r := c.alice.borrow(t, "blue", "tools", "pod-reader", "45m"); fmt.Sprint(r.CanApprove) != fmt.Sprint([]string{ada}) {
		t.Errorf("of a namespace without a tag the owners are %v", r.CanApprove)
	}
	g := c.alice.until(t, c.olga.approve(t, r), access.Active)
	out := c.alice.do(t, "access", "show", g.ID)
	if !strings.Contains(out, "Ask #payments before you restart anything.") {
		t.Errorf("the person is not told the integration's own words:\n%s", out)
	}
	return g.ID
}

// snippet is the text of a grant's details that holds something.
func (c *lendingCluster) snippet(t *testing.T, grant, holds string) string {
	t.Helper()
	var out struct{ Details access.Details }
	c.alice.ask(t, &out, "access", "show", grant)
	for _, s := range out.Details.Snippets {
		if strings.Contains(s.Text, holds) {
			return s.Text
		}
	}
	t.Fatalf("the details have nothing with %q: %+v", holds, out.Details)
	return ""
}

// works fails the test unless kubectl may list pods of payments as it should, and never
// those of tools.
func (c *lendingCluster) works(t *testing.T, m *member, config string, want bool) {
	t.Helper()
	for namespace, want := range map[string]bool{"payments": want, "tools": false} {
		out, complaint, err := m.run(t, "kubectl", "--kubeconfig", config, "-n", namespace, "get", "pods")
		if want != (err == nil) || !want && !strings.Contains(complaint, "Forbidden") {
			t.Errorf("kubectl --kubeconfig %s in %s: %v\n%s%s", filepath.Base(config), namespace, err, out, complaint)
		}
	}
}

// ends has the same lent for some seconds in place of what is lent, and waits for its
// time to be over.
func (c *lendingCluster) ends(t *testing.T, grant string) {
	t.Helper()
	short := c.olga.approve(t, c.alice.borrow(t, "blue", "payments", "pod-reader", "5s"))
	c.alice.do(t, "access", "return", grant)
	if g := c.alice.until(t, short, access.Ended); g.EndReason != access.Expired || g.EndedAt.Sub(g.ExpiresAt) > onTime {
		t.Errorf("it ended %s after its time: %+v", g.EndedAt.Sub(g.ExpiresAt), g)
	}
	c.verified(t, "integration.added", "flows.applied", "request.approved", "grant.ready", "grant.ended")
}
