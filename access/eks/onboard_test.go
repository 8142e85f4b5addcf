package eks

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
)

func TestConnectAuth(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	others := map[string]string{keyMapRoles: "# nodes\n" + nodeEntry + "- username: malformed\n", "mapUsers": "- userarn: x\n", "unknown": "y"}
	c.api.setAuth(others)
	plan, err := c.rbac.Connect(t.Context(), c.integration, PlanOnly)
	if err != nil || plan.Done || len(plan.Steps) != 1 || plan.Mapping != "aws-auth" || plan.Before != others[keyMapRoles] {
		t.Fatalf("the plan is %+v, %v", plan, err)
	}
	if diff := cmp.Diff(others, c.api.auth(t)); diff != "" {
		t.Fatalf("a plan changed aws-auth:\n%s", diff)
	}
	// Terraform adds a node group between the reading and the writing.
	c.api.before = func(string, string) {
		others[keyMapRoles] += "- rolearn: arn:aws:iam::222222222222:role/new-nodes\n  username: n\n"
		c.api.setAuth(others)
	}
	done, err := c.rbac.Connect(t.Context(), c.integration, Apply)
	if err != nil || !done.Done {
		t.Fatalf("%+v, %v", done, err)
	}
	want := map[string]string{keyMapRoles: others[keyMapRoles] + "- rolearn: \"" + testRole + "\"\n  username: \"gatehouse:{{SessionNameRaw}}\"\n", "mapUsers": "- userarn: x\n", "unknown": "y"}
	if diff := cmp.Diff(want, c.api.auth(t)); diff != "" {
		t.Fatalf("aws-auth (-want +got):\n%s", diff)
	}
	if done.Before != others[keyMapRoles] {
		t.Errorf("the pre-image is not what was written over: %s", done.Before)
	}
	calls := len(c.api.calls)
	again, err := c.rbac.Connect(t.Context(), c.integration, Apply)
	if err != nil || len(again.Steps) != 0 || !again.Done {
		t.Errorf("connecting again: %+v, %v", again, err)
	}
	for _, call := range c.api.calls[calls:] {
		if !strings.HasPrefix(call, "GET ") {
			t.Errorf("connecting again called %s", call)
		}
	}
}

func TestConnectAuthCreatesAMissingMap(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	c.api.drop(configMapPath + "/" + configMapName)
	plan, err := c.rbac.Connect(t.Context(), c.integration, Apply)
	if err != nil || len(plan.Steps) != 2 || !strings.Contains(c.api.auth(t)[keyMapRoles], testRole) {
		t.Errorf("%+v, %v: %v", plan, err, c.api.auth(t))
	}
}

// A malformed aws-auth never gets worse: nothing is written, and the error tells where.
func TestConnectLeavesAMalformedMap(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a line that does not parse":  nodeEntry + " bad: [\n",
		"no list":                     "rolearn: x\n",
		"two documents":               nodeEntry + "---\n" + nodeEntry,
		"the role under a fixed name": "- rolearn: " + testRole + "\n  username: everybody\n",
		"a wildcard that matches":     "- rolearn: arn:aws:iam::222222222222:role/*\n  username: x\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, "CONFIG_MAP")
			c.api.setAuth(map[string]string{keyMapRoles: text})
			plan, err := c.rbac.Connect(t.Context(), c.integration, Apply)
			if err == nil {
				t.Errorf("it was connected: %+v", plan)
			}
			if got := c.api.auth(t)[keyMapRoles]; got != text {
				t.Errorf("aws-auth became %q", got)
			}
		})
	}
}

func TestConnectEntry(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "API")
	plan, err := c.rbac.Connect(t.Context(), c.integration, PlanOnly)
	if err != nil || len(plan.Steps) != 1 || len(c.region.AccessEntries("prod")) != 0 {
		t.Fatalf("the plan is %+v, %v", plan, err)
	}
	if plan, err = c.rbac.Connect(t.Context(), c.integration, Apply); err != nil || !plan.Done {
		t.Fatalf("%+v, %v", plan, err)
	}
	entry := c.region.AccessEntries("prod")[0]
	if entry["principalArn"] != testRole || entry["username"] != "gatehouse:{{SessionNameRaw}}" {
		t.Errorf("the entry is %v", entry)
	}
	if again, err := c.rbac.Connect(t.Context(), c.integration, Apply); err != nil || len(again.Steps) != 0 {
		t.Errorf("connecting again: %+v, %v", again, err)
	}
	// Ours follows the setting; what lists people's names is then another.
	c.integration.Config[keyTemplate] = "apono:{{SessionName}}"
	if plan, err = c.rbac.Connect(t.Context(), c.integration, Apply); err == nil && c.region.AccessEntries("prod")[0]["username"] != "apono:{{SessionName}}" {
		t.Errorf("%+v: the entry is %v", plan, c.region.AccessEntries("prod")[0])
	}
}

// What EKS says of a role that is not there is not taken for a word about the template.
func TestConnectWithoutTheRole(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "API")
	c.integration.Config[keyAccessRole] = "nobody-made-it"
	if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err == nil || !strings.Contains(err.Error(), "role/nobody-made-it: make it") || strings.Contains(err.Error(), keyTemplate) {
		t.Errorf("%v", err)
	}
}

func TestConnectLeavesAnEntryOfOthers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		username, setting string
		foreign           bool
	}{
		{"apono:{{SessionName}}", "", false},
		{"apono:{{SessionName}}", "gatehouse:{{SessionName}}", true},
		{"everybody", "", true},
	} {
		c := newCloud(t, "API_AND_CONFIG_MAP")
		if test.setting != "" {
			c.integration.Config[keyTemplate] = test.setting
		}
		if _, err := c.engine.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{ClusterName: aws.String("prod"), PrincipalArn: aws.String(testRole), Username: &test.username}); err != nil {
			t.Fatal(err)
		}
		plan, err := c.rbac.Connect(t.Context(), c.integration, Apply)
		if errors.Is(err, access.ErrForeign) != test.foreign || !test.foreign && (plan.Template != test.username || len(plan.Steps) != 0) {
			t.Errorf("%+v: %+v, %v", test, plan, err)
		}
		if c.region.AccessEntries("prod")[0]["username"] != test.username {
			t.Errorf("%+v: the entry was changed", test)
		}
	}
}

func TestConnectModes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ mode, mapping, want string }{
		{"CONFIG_MAP", mappingEntry, "knows aws-auth alone"},
		{"API", mappingConfigMap, "does not read aws-auth"},
	} {
		c := newCloud(t, test.mode)
		c.integration.Config[keyMapping] = test.mapping
		if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// While a cluster goes from aws-auth to access entries, a person has two names, and both
// are bound; afterwards the one that is live.
func TestMigrationBindsBothNames(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "API_AND_CONFIG_MAP")
	c.integration.Config[keyMapping] = mappingEntry
	if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err != nil {
		t.Fatal(err)
	}
	w := c.wanted(t, person(0), testItems[0], "g-1")
	for _, step := range []struct {
		mode            string
		raw, gatehouses bool
	}{{"API_AND_CONFIG_MAP", true, true}, {"API", false, true}} {
		c.setMode(step.mode)
		c.clock.Advance(10 * templatesFor * 60)
		if _, err := c.rbac.Apply(t.Context(), c.integration, w); err != nil {
			t.Fatal(err)
		}
		raw, ours := c.api.binds(t, "alice@example.com", "payments", kindClusterRole, "edit"), c.api.binds(t, "gatehouse:alice@example.com", "payments", kindClusterRole, "edit")
		if raw != step.raw || ours != step.gatehouses {
			t.Errorf("in mode %s the names of aws-auth and of the entry are bound: %v, %v", step.mode, raw, ours)
		}
	}
}
