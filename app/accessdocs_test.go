package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/demo"
)

// The examples of the guide are settings and integrations that Gatehouse takes, and so
// is what the demo lends.
func TestExamplesOfTheGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	_, guide, ok := strings.Cut(string(text), "\n## Setting it up\n")
	if !ok {
		t.Fatal("the guide has no part about setting it up")
	}
	integrations := [][]byte{demo.Integrations}
	settings := 0
	for n, block := range strings.Split(guide, "```") {
		yaml, ok := strings.CutPrefix(block, "yaml\n")
		switch {
		case n%2 == 0 || !ok:
		case strings.HasPrefix(yaml, "integrations:"):
			integrations = append(integrations, []byte(yaml))
		default:
			settings++
			path := filepath.Join(t.TempDir(), "gatehouse.yaml")
			if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(path, func(string) string { return "" })
			if err != nil || c.Access.FlowsFile == "" || c.Access.IntegrationsFile == "" {
				t.Errorf("the settings are not taken: %v\n%s", err, yaml)
			}
		}
	}
	if settings != 1 || len(integrations) != 2 {
		t.Errorf("the guide has %d settings and %d integrations", settings, len(integrations)-1)
	}
	p := &product{config: config.Default(), estate: &estateKeeper{}, registry: prometheus.NewRegistry()}
	provisioners, err := p.provisioners(&facts{})
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]access.Provisioner{}
	for _, one := range provisioners {
		types[one.Type()] = one
	}
	for _, text := range integrations {
		code, err := ascode.ParseYAML(text)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		for i := range code.Integrations {
			in := &code.Integrations[i]
			if types[in.Type] == nil {
				t.Errorf("%s has the type %s", in.Name, in.Type)
			} else if err := types[in.Type].Validate(in); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := flow.Parse(demo.Flows); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"access_objective", "access_per_integration", "access_provision_timeout", "access_reconcile_interval", "access_discovery_interval", "access_ending_notice"} {
		if !strings.Contains(guide, "`"+s+"`") {
			t.Errorf("the guide does not name %s", s)
		}
	}
}
