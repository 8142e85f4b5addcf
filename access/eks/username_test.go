package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRender(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, session, want string }{
		{"{{SessionNameRaw}}", "Alice@example.com", "Alice@example.com"},
		{"apono:{{SessionName}}", "alice@example.com", "apono:alice-example.com"},
		{"{{AccountID}}:{{SessionNameRaw}}", "a@b", "222222222222:a@b"},
		{"x:{{SessionName}}:{{SessionNameRaw}}", "a@b", "x:a-b:a@b"},
	} {
		if got, err := render(c.template, c.session, testAccount); err != nil || got != c.want {
			t.Errorf("%s of %s is %q, %v; want %q", c.template, c.session, got, err, c.want)
		}
	}
	for _, template := range []string{"", "everybody", "{{EC2PrivateDNSName}}:{{SessionName}}", "{{SessionName}}:{{AccessKeyID}}", "{{sessionname}}"} {
		if got, err := render(template, "alice@example.com", testAccount); err == nil {
			t.Errorf("%q makes %q", template, got)
		}
	}
}

func TestCheckEntryTemplate(t *testing.T) {
	t.Parallel()
	for template, ok := range map[string]bool{
		"gatehouse:{{SessionNameRaw}}": true, "apono:{{SessionName}}": true, "fixed": true,
		"{{SessionName}}": false, "{{SessionNameRaw}}": false, "x-{{SessionName}}:y": false, "system:{{SessionName}}": false, "aws:{{SessionName}}": false,
	} {
		if err := checkEntryTemplate(template); (err == nil) != ok {
			t.Errorf("%q: %v", template, err)
		}
	}
}

func TestCollisions(t *testing.T) {
	t.Parallel()
	people := []string{"alice@example.com", "alice-example.com", "bob@example.com", "alice@example.com"}
	want := [][]string{{"alice-example.com", "alice@example.com"}}
	if diff := cmp.Diff(want, collisions("apono:{{SessionName}}", people)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := collisions("gatehouse:{{SessionNameRaw}}", people); got != nil {
		t.Errorf("the raw name collides: %v", got)
	}
}

// Under the raw template no two people are one user, and nobody has a name that is kept
// for Kubernetes.
func TestRawNamesAreApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[\w+=,.@-]{2,64}`), 2, 8, rapid.ID).Draw(t, "names")
		for _, n := range names {
			if checkSession(n) != nil {
				t.Fatalf("%q is refused", n)
			}
		}
		if c := collisions(DefaultTemplate, names); c != nil {
			t.Fatalf("%v are one user", c)
		}
	})
}

// Keys are kept for ever, so that what was written once must be read as the same.
func TestBindingKeys(t *testing.T) {
	t.Parallel()
	k := bindingKey{namespace: "payments", roleKind: kindClusterRole, role: "edit", person: "alice@example.com"}
	if k.String() != "rbac/payments/ClusterRole/edit/alice@example.com" || k.name("", "prod-1") != "gatehouse-f33d20bc9438a49bef720f5178883c98" {
		t.Errorf("the key is %s, the name %s", k, k.name("", "prod-1"))
	}
	back, err := parseBindingKey(k.String())
	if err != nil || back != k {
		t.Errorf("%s is read as %+v, %v", k, back, err)
	}
	if k.name("i", "prod-1") == k.name("i", "prod-2") || k.name("i", "prod-1") == k.name("j", "prod-1") || k.name("i", "prod-1") == k.name("", "prod-1") {
		t.Error("two integrations have one name")
	}
	for _, text := range []string{"", "rbac", "rbac/*/Role/x/a", "rbac/A/ClusterRole/x/a", "rbac/n/Group/x/a", "rbac/n/Role//a", "rbac/n/Role/x/", "rbac/../ClusterRole/x/a", "entry/x/y"} {
		if k, err := parseBindingKey(text); err == nil {
			t.Errorf("%q is read as %+v", text, k)
		}
	}
	seen := []string{}
	for _, text := range []string{"a", "b c", "prod", strings.Repeat("x", 64), "ünï"} {
		label := integrationLabel(text)
		if !labelShape.MatchString(label) || slices.Contains(seen, label) {
			t.Errorf("the label of %q is %q", text, label)
		}
		seen = append(seen, label)
	}
}
