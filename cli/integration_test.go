package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

func TestManagingIntegrations(t *testing.T) {
	w := newLendWorld(t)
	wants(t, "the list", w.must("rosa", nil, "integration", "list").out, "blue", "eks-rbac", "ok", "orders")
	shown := w.must("sofia", nil, "integration", "show", "blue").out
	wants(t, "blue", shown, "cluster_name", "blue-1", "-----BEGIN CERTIFICATE-----", "permissions", "Mind the batch jobs.")
	if strings.Contains(shown, "END CERTIFICATE") {
		t.Errorf("a certificate fills the table:\n%s", shown)
	}
	if s := w.must("rosa", nil, "integration", "show", "blue"); strings.Contains(s.out, "blue-1") {
		t.Errorf("rosa sees how blue is reached:\n%s", s.out)
	}
	wants(t, "resources", w.must("sofia", nil, "integration", "resources", "blue", "--search", "batch").out, "namespace/payments-batch", "role:view, role:edit")
	wants(t, "discovery", w.must("sofia", nil, "integration", "discover", "blue").out, "blue has 3 resources")
	wants(t, "comparing", w.must("sofia", nil, "integration", "reconcile", "blue").out, "as it should be")
	for verb, status := range map[string]int{"check": 1, "discover": 1, "reconcile": 2} {
		if s := w.as("rosa", "", "integration", verb, "blue"); s.status != status || !strings.Contains(s.err, "role admin") {
			t.Errorf("rosa: %s: %+v", verb, s)
		}
	}

	// Who does not wait has the run, and whoever looks sees what came of it.
	var run access.TargetRun
	w.must("sofia", &run, "integration", "check", "blue", "--no-wait")
	if run.ID == "" || run.Kind != access.RunCheck || run.By != "sofia@example.com" {
		t.Errorf("the run: %+v", run)
	}
	wants(t, "the run", w.must("sofia", nil, "integration", "discover", "blue", "--no-wait").out, "run t", "gatehouse integration show blue")
	wants(t, "progress", w.must("sofia", nil, "integration", "check", "blue").err, "checking blue")
	wants(t, "runs", w.must("sofia", nil, "integration", "show", "blue").out, run.ID, "discover", "sofia@example.com")

	// Connecting shows its plan, and does it once.
	s := w.must("sofia", nil, "integration", "connect", "blue", "--dry-run")
	wants(t, "the plan", s.out, "ConfigMap aws-auth of blue", "+ add to mapRoles")
	var c access.Connection
	w.must("sofia", &c, "integration", "connect", "blue", "--yes")
	if !c.Done {
		t.Errorf("connected: %+v", c)
	}
	wants(t, "connecting again", w.must("sofia", nil, "integration", "connect", "blue", "--yes").out, "nothing has to be changed")

	// A failed check is loud, and says how to mend it.
	w.cluster.mu.Lock()
	w.cluster.failed = true
	w.cluster.mu.Unlock()
	s = w.as("sofia", "", "integration", "check", "blue")
	wants(t, "the check", s.out, "trust-policy-session-name", "failed", "to mend trust-policy-session-name:\n  aws iam update-assume-role-policy")
	if s.status != 1 || !strings.Contains(s.err, "nothing is lent from blue until this is mended") {
		t.Errorf("the check: %+v", s)
	}
	wants(t, "the list", w.must("rosa", nil, "integration", "list").out, "not lent")
	if s := w.as("rosa", "", "access", "request", "-b", "Kit", "--dry-run"); s.status != 1 || !strings.Contains(s.out, "warning: ") {
		t.Errorf("asking for what is not lent: %+v", s)
	}
	w.cluster.mu.Lock()
	w.cluster.failed = false
	w.cluster.mu.Unlock()
	w.must("sofia", nil, "integration", "check", "blue")

	// Removing is refused while something is lent.
	var got result
	w.must("rosa", &got, "access", "request", "-i", "orders", "-r", "prod/GET/orders", "-p", "invoke")
	if s := w.as("sofia", "", "integration", "delete", "orders", "--yes"); s.status != 1 || !strings.Contains(s.err, "1 grant is not ended") {
		t.Errorf("removing what is in use: %+v", s)
	}
	w.must("rosa", nil, "access", "return", got.Grant.ID)
	w.becomes("rosa", got.Grant.ID, access.Ended)
	w.must("sofia", nil, "integration", "delete", "orders", "--yes")
	if s := w.as("sofia", "", "integration", "show", "orders"); s.status != 1 {
		t.Errorf("what was removed: %+v", s)
	}
}

func TestCodeOfIntegrations(t *testing.T) {
	w := newLendWorld(t)
	if s := w.as("rosa", "", "integration", "export"); s.status != 1 || s.out != "" || !strings.Contains(s.err, "who administers") {
		t.Errorf("rosa exports: %+v", s)
	}
	text := w.must("sofia", nil, "integration", "export").out
	code, err := ascode.ParseYAML([]byte(text))
	if err != nil || len(code.Integrations) != 2 || code.Integrations[0].AccessDetails != "Mind the batch jobs." {
		t.Fatalf("exported %s, %v", text, err)
	}
	wants(t, "Terraform", w.must("sofia", nil, "integration", "export", "blue", "--as", "terraform").out, `resource "apono_resource_integration"`)
	if s := w.as("sofia", "", "integration", "export", "none"); s.status != 1 || !strings.Contains(s.err, `there is no integration "none"`) {
		t.Errorf("exporting what is not there: %+v", s)
	}

	file := filepath.Join(w.home, "integrations.yaml")
	w.write(text, "integrations.yaml")
	wants(t, "the same again", w.must("sofia", nil, "integration", "apply", file, "--yes").out, "nothing to change: 2 integrations as the file says")
	changed := strings.Replace(text, "Mind the batch jobs.", "Ask first.", 1) + "  - name: green\n    type: api-gateway\n    config: {role: x}\n    credentials_cleanup_period_in_days: 7\n"
	w.write(changed, "integrations.yaml")
	s := w.must("sofia", nil, "integration", "apply", file, "--dry-run")
	wants(t, "the plan", s.out, "~ integration blue", "custom_access_details: Mind the batch jobs. → Ask first.", "+ integration green, of type api-gateway")
	if s := w.as("sofia", "", "integration", "show", "green"); s.status != 1 {
		t.Errorf("a dry run adds: %+v", s)
	}
	var plan []integrationChange
	w.must("sofia", &plan, "integration", "apply", file, "--yes")
	if len(plan) != 3 || plan[0].Action != flow.Update || !plan[0].Done || plan[1].Action != flow.Unchanged || plan[1].Done || plan[2].Action != flow.Create || len(plan[2].Checks) == 0 {
		t.Errorf("applied: %+v", plan)
	}
	wants(t, "green", w.must("sofia", nil, "integration", "show", "green").out, "7 days after a person's last grant")
	if got := w.must("sofia", nil, "integration", "export", "blue").out; !strings.Contains(got, "Ask first.") {
		t.Errorf("after applying:\n%s", got)
	}

	// One that is wrong does not keep the others.
	w.write(strings.Replace(changed, "Ask first.", "Ask twice.", 1)+"  - name: red\n    type: no-such-type\n    config: {a: b}\n", "integrations.yaml")
	s = w.as("sofia", "", "integration", "apply", file, "--yes")
	if s.status != 1 || !strings.Contains(s.err, "no-such-type") || !strings.Contains(s.out, "blue is saved") {
		t.Errorf("one is wrong: %+v", s)
	}
	w.write("integrations:\n  - name: x\n    typo: y\n", "integrations.yaml")
	if s := w.as("sofia", "", "integration", "apply", file, "--yes"); s.status != 1 || !strings.Contains(s.err, "typo") {
		t.Errorf("an unknown key: %+v", s)
	}
	w.write(lendingFlows, "integrations.yaml")
	if s := w.as("sofia", "", "integration", "apply", file, "--yes"); s.status != 1 || !strings.Contains(s.err, "flow apply") {
		t.Errorf("flows alone: %+v", s)
	}
	w.write(changed, "integrations.yaml")
	if s := w.as("rosa", "", "integration", "apply", file, "--yes"); s.status != 1 || !strings.Contains(s.err, "who administers") {
		t.Errorf("rosa applies: %+v", s)
	}
}
