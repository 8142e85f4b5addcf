package eks

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, mode    string
		change        func(*testing.T, *cloud)
		check, result string
		want, mend    string
	}{
		{"the clock", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.api.skew = 3 * time.Minute }, checkClock, resultFailed, "apart", "NTP"},
		{"the other way", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.api.skew = -3 * time.Minute }, checkClock, resultFailed, "apart", "NTP"},
		{"no cluster", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.api.server.Close() }, checkReach, resultFailed, "refused", "security group"},
		{"a cluster that takes no token", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.api.token = "x" }, checkReach, resultFailed, "401", "access entry"},
		{"no such cluster", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.region.RemoveCluster("prod") }, checkReach, resultFailed, "No cluster found", ""},
		{"no role", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.sim.Account(testAccount).RemoveRole("gatehouse-k8s-access") }, checkRole, resultFailed, "does not exist; aws-auth maps sessions of", "eks-access"},
		{"a trust policy that lets people name themselves", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.sim.Account(testAccount).AddRole(awssim.Role{Name: "gatehouse-k8s-access", TrustedAccounts: []string{testAccount}})
		}, checkTrust, resultFailed, "as anybody", "sts:RoleSessionName"},
		{"case", "CONFIG_MAP", nil, checkCase, resultOK, "Kubernetes does not", ""},
		{"people who differ in case alone", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.clusters.opts.People = func(context.Context) []string { return []string{"bob@example.com", "alice@x", "Alice@x"} }
		}, checkCase, resultFailed, "each of Alice@x and alice@x may", "StringEquals"},
		{"a bare template", "CONFIG_MAP", nil, checkTemplate, resultWarning, "nothing stands before", "gatehouse:{{SessionNameRaw}}"},
		{"a lossy template", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.mapTo("apono:{{SessionName}}") }, checkTemplate, resultFailed, "alice-example.com and alice@example.com", "{{SessionNameRaw}}"},
		{"no mapping", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.api.setAuth(nil) }, checkTemplate, resultFailed, "neither aws-auth nor an access entry", "connect"},
		{"masters", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.api.setAuth(map[string]string{keyMapRoles: bareMap + "  groups: [system:masters]\n"})
		}, checkTemplate, resultFailed, "may do everything", ""},
		{"an access policy on the shared entry", "API", func(t *testing.T, c *cloud) {
			t.Helper()
			if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err != nil {
				t.Fatal(err)
			}
			c.share(t, "AmazonEKSEditPolicy")
		}, checkTemplate, resultWarning, "everybody with the role has the access policy AmazonEKSEditPolicy", "disassociate-access-policy"},
		{"all power on the shared entry", "API", func(t *testing.T, c *cloud) {
			t.Helper()
			if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err != nil {
				t.Fatal(err)
			}
			c.share(t, PowerPolicy)
		}, checkTemplate, resultFailed, "may do everything", "disassociate-access-policy"},
		{"a setting that says another", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.integration.Config[keyTemplate] = "gatehouse:{{SessionName}}" }, checkTemplate, resultFailed, "the cluster has another", ""},
		{"permissions", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.api.may = func(verb, resource string) bool { return verb != "delete" || resource != "rolebindings" }
		}, checkPermissions, resultFailed, "delete rolebindings", "gatehouse-lender"},
		{"no bind", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.api.may = func(verb, _ string) bool { return verb != "bind" }
		}, checkPermissions, resultWarning, "bind clusterroles", "bind"},
		{"a map that does not parse", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.api.setAuth(map[string]string{keyMapRoles: bareMap + " x"}) }, checkAuth, resultFailed, "locked out", "mend the line"},
		{"the role twice", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.api.setAuth(map[string]string{keyMapRoles: bareMap + bareMap}) }, checkAuth, resultFailed, "more than once", ""},
		{"a wildcard", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.api.setAuth(map[string]string{keyMapRoles: bareMap + "- rolearn: arn:aws:iam::222222222222:role/gatehouse-k8s*\n  username: x\n"})
		}, checkAuth, resultFailed, "chance", "narrower"},
		{"a path", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.api.setAuth(map[string]string{keyMapRoles: bareMap + "- rolearn: arn:aws:iam::222222222222:role/team/x\n  username: x\n"})
		}, checkAuth, resultWarning, "matches nobody", "role/x"},
		{"a wrong entry", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.api.setAuth(map[string]string{keyMapRoles: bareMap + "- username: x\n"})
		}, checkAuth, resultWarning, "entry 2", "leaves it out"},
		{"the mode and the setting", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.integration.Config[keyMapping] = mappingEntry }, checkMode, resultFailed, "aws-auth alone", "authenticationMode=API_AND_CONFIG_MAP"},
		{"the mode without aws-auth", "API", func(_ *testing.T, c *cloud) { c.integration.Config[keyMapping] = mappingConfigMap }, checkMode, resultFailed, "does not read aws-auth", ""},
		{"a role that was made anew", "API", func(t *testing.T, c *cloud) {
			t.Helper()
			if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err != nil {
				t.Fatal(err)
			}
			c.sim.Account(testAccount).RemoveRole("gatehouse-k8s-access")
			c.sim.Account(testAccount).AddRole(awssim.Role{Name: "gatehouse-k8s-access", TrustPolicy: ssoTrust})
		}, checkRole, resultFailed, "was deleted", "delete-access-entry"},
		{"IAM", "CONFIG_MAP", func(_ *testing.T, c *cloud) {
			c.sim.Account(testAccount).AddRole(awssim.Role{Name: "Gatehouse", Allow: []string{"eks:*"}})
		}, checkTrust, resultUnseen, "was not seen", "iam:GetRole"},
		{"settings", "CONFIG_MAP", func(_ *testing.T, c *cloud) { c.integration.Config["sever_url"] = "x" }, checkReach, resultFailed, "no setting", "mend"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newCloud(t, c.mode, func(o *Options, _ *access.Integration) {
				o.People = func(context.Context) []string {
					return []string{"alice@example.com", "alice-example.com", "bob@example.com"}
				}
			})
			if c.change != nil {
				c.change(t, w)
			}
			checks, err := w.rbac.Check(t.Context(), w.integration)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range checks {
				if got.Name != c.check {
					continue
				}
				if got.Result != c.result || !strings.Contains(got.Detail, c.want) || !strings.Contains(got.Mend, c.mend) {
					t.Errorf("got %+v, want %s with %q, to mend by %q", got, c.result, c.want, c.mend)
				}
				return
			}
			t.Errorf("there is no check %s in %+v", c.check, checks)
		})
	}
}

func (b *bench) mapTo(template string) {
	b.api.setAuth(map[string]string{keyMapRoles: strings.ReplaceAll(bareMap, "{{SessionNameRaw}}", template)})
}

// A cluster that is as it should be has nothing that failed, and each check once.
func TestCheckOfAGoodCluster(t *testing.T) {
	t.Parallel()
	w := newCloud(t, "API")
	if _, err := w.rbac.Connect(t.Context(), w.integration, Apply); err != nil {
		t.Fatal(err)
	}
	checks, err := w.rbac.Check(t.Context(), w.integration)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range checks {
		if c.Result != resultOK || seen[c.Name] {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
	}
	for _, name := range []string{checkReach, checkClock, checkMode, checkRole, checkTrust, checkCase, checkTemplate, checkPermissions, checkIAM, checkAuth} {
		if !seen[name] {
			t.Errorf("there is no check %s", name)
		}
	}
}

// Where Gatehouse may have a session of the shared role, the template is tried out.
func TestTemplateIsTriedOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ known, result, want string }{
		{"gatehouse:" + probeSession, resultOK, "tried out"},
		{"somebody-else", resultFailed, "not what was read"},
	} {
		t.Run(c.known, func(t *testing.T) {
			t.Parallel()
			w := newCloud(t, "CONFIG_MAP")
			w.mapTo("gatehouse:{{SessionNameRaw}}")
			w.sim.Account(testAccount).AddRole(awssim.Role{Name: "gatehouse-k8s-access", TrustedAccounts: []string{testAccount}})
			w.api.reviewer = func(token string) string {
				if !strings.HasPrefix(token, tokenPrefix) {
					t.Errorf("the token is %q", token)
				}
				return c.known
			}
			checks, err := w.rbac.Check(t.Context(), w.integration)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range checks {
				if got.Name == checkTemplate && (got.Result != c.result || !strings.Contains(got.Detail, c.want)) {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

// share associates an access policy with the shared role's entry, as somebody would by hand.
func (c *cloud) share(t *testing.T, policy string) {
	t.Helper()
	if _, err := c.engine.AssociateAccessPolicy(t.Context(), &awseks.AssociateAccessPolicyInput{
		ClusterName: aws.String("prod"), PrincipalArn: aws.String(testRole), PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/" + policy),
		AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster},
	}); err != nil {
		t.Fatal(err)
	}
}
