//go:build integration

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cfn-lint, which others wrote, finds nothing in any template.
func TestIntegrationTemplatesAreClean(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		missing(t, "cfn-lint: scripts/components installs it")
	}
	dir := t.TempDir()
	args := []string{"--format", "parseable"}
	for i, e := range examples() {
		out := render(t, &e, CloudFormation)
		sub := filepath.Join(dir, fmt.Sprintf("%02d-%s", i, e.stack))
		if err := out.Write(sub, false); err != nil {
			t.Fatal(err)
		}
		args = append(args, filepath.Join(sub, "template.yaml"))
		for _, f := range out.Files {
			if f.Name == spokeTemplate {
				args = append(args, filepath.Join(sub, f.Name))
			}
		}
	}
	if text := fileOf(render(t, &examples()[4], Terraform), spokeTemplate); text != nil {
		name := filepath.Join(dir, spokeTemplate)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	text, err := run(t, dir, nil, lint, args...)
	for line := range strings.Lines(text) {
		// cfn-lint knows the actions of its own day; log delivery of execution logs is
		// younger than the release that is used here.
		if strings.Contains(line, "W3037") && strings.Contains(line, "allowvendedlogdeliveryforresource") || strings.TrimSpace(line) == "" {
			continue
		}
		t.Errorf("cfn-lint (%v): %s", err, line)
	}
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("Resources:\n  A:\n    Type: AWS::IAM::Role\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := run(t, dir, nil, lint, broken); err == nil {
		t.Errorf("cfn-lint found nothing in a role without a trust policy\n%s", text)
	}
}
