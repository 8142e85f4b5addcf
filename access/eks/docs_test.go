package eks

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access"
)

// What the guide shows is true: its manifest is the one that the check points to, its
// list of actions is whole, and its integration is valid.
func TestGuide(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/eks.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(raw)
	if !strings.Contains(guide, "```yaml\n"+ClusterRole()+"```") {
		t.Error("the manifest of the guide is not ClusterRole's")
	}
	for _, action := range EntryActions() {
		if !strings.Contains(guide, `"`+action+`"`) {
			t.Errorf("%s is missing", action)
		}
	}
	stores := 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(guide, -1) {
		i := access.Integration{Name: "prod-1", Type: TypeRBAC, Config: map[string]string{keyCluster: "prod"}}
		switch {
		case strings.HasPrefix(block[1], "name:"), strings.HasPrefix(block[1], "secret_store:"):
			if err := yaml.Unmarshal([]byte(block[1]), &i); err != nil {
				t.Errorf("%s: %v", block[1], err)
			}
			if err := (&RBAC{}).Validate(&i); err != nil {
				t.Errorf("%s: %v", block[1], err)
			}
			stores++
		}
	}
	if stores != 4 {
		t.Errorf("%d examples were looked at", stores)
	}
	for _, name := range []string{checkReach, checkClock, checkMode, checkRole, checkTrust, checkCase, checkTemplate, checkPermissions, checkIAM, checkAuth, checkPrincipals} {
		if !strings.Contains(guide, "`"+name+"`") {
			t.Errorf("the check %s is missing", name)
		}
	}
	for _, key := range append([]string{keyCluster, keyServer, keyAuthority, keyRole, keyRegion, keyAccount, keyPrincipal, keyPrincipals, keyShared, keyNamespaces}, rbacKeys...) {
		if !strings.Contains(guide, "`"+key+"`") {
			t.Errorf("the setting %s is missing", key)
		}
	}
}
