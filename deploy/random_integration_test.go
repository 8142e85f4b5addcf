//go:build integration

package deploy

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sample are stacks with parameters that were drawn, the same ones each time: one of
// each, and those that come near to AWS's limits.
func sample(t *testing.T) []example {
	t.Helper()
	var all []example
	for i, s := range Stacks() {
		if s.write != nil {
			continue
		}
		draw := rapid.Custom(func(rt *rapid.T) Values { return parameters(rt, s) })
		for seed := i + 1; ; seed += 100 {
			values := draw.Example(seed)
			_, err := s.Render(CloudFormation, values)
			if _, tfErr := s.Render(Terraform, values); err != nil || tfErr != nil {
				continue // too long for AWS
			}
			all = append(all, example{fmt.Sprintf("%s drawn with %d", s.Name, seed), s.Name, values})
			break
		}
	}
	return append(all,
		example{"a thousand spokes", "collector-hub", changedExample(t, "hub", Values{"spoke-accounts": manyNames("3333", 1000)}).values},
		example{"many clusters", "eks-access", changedExample(t, "lender", Values{"cluster": manyNames("orders-", 12)}).values},
		example{"many paths", "api-client", changedExample(t, "client", Values{"paths": strings.Split("/"+strings.Join(manyNames("orders/", 200), ",/"), ",")}).values},
	)
}

// Terraform finds what was drawn formatted and valid.
func TestIntegrationTerraformTakesAnyParameters(t *testing.T) {
	newTerraform(t).valid(t, sample(t))
}

// cfn-lint finds nothing in what was drawn.
func TestIntegrationTemplatesAreCleanForAnyParameters(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		missing(t, "cfn-lint: scripts/components installs it")
	}
	dir := t.TempDir()
	args := []string{"--format", "parseable"}
	for i, e := range sample(t) {
		sub := filepath.Join(dir, fmt.Sprintf("%02d-%s", i, strings.ReplaceAll(e.name, " ", "-")))
		if err := render(t, &e, CloudFormation).Write(sub, false); err != nil {
			t.Fatal(err)
		}
		args = append(args, filepath.Join(sub, templateFile))
	}
	text, err := run(t, dir, nil, lint, args...)
	for line := range strings.Lines(text) {
		// cfn-lint knows the actions of its own day; log delivery of execution logs is
		// younger than the release that is used here. And it warns of a template that
		// only a bucket can give, which the README does as well.
		if strings.Contains(line, "W3037") && strings.Contains(line, "allowvendedlogdeliveryforresource") || strings.TrimSpace(line) == "" {
			continue
		}
		t.Errorf("cfn-lint (%v): %s", err, line)
	}
}
