package eks

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access"
)

// The command and the profile are those of the documentation, letter for letter.
func TestDetailsAsInTheDocumentation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// A role that people know already keeps its name.
	b.integration.Config[keyAccessRole] = "apono-k8s-access"
	d, err := b.rbac.Details(b.integration, &access.Grant{Person: person(1), Items: []access.GrantItem{{Item: testItems[0]}}})
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, s := range d.Snippets {
		text[s.Title] = s.Text
	}
	const command = `aws sts assume-role \
  --role-arn arn:aws:iam::222222222222:role/apono-k8s-access \
  --role-session-name Bob+x@example.com \
  --duration-seconds 3600
`
	const profile = `[profile apono-k8s-access]
role_arn = arn:aws:iam::222222222222:role/apono-k8s-access
role_session_name = Bob+x@example.com
source_profile = default
`
	if text["AWS CLI"] != command {
		t.Errorf("the command is\n%s", text["AWS CLI"])
	}
	if text["~/.aws/config"] != profile {
		t.Errorf("the profile is\n%s", text["~/.aws/config"])
	}
}

// With --role-arn the AWS CLI names every session EKSGetTokenAuth, and everybody is one
// user. No kubeconfig has it, and no command for one.
func TestKubeconfigNeverNamesTheRole(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	g := &access.Grant{Person: person(0), Items: []access.GrantItem{{Item: testItems[0]}}}
	cold, err := c.rbac.Details(c.integration, g)
	if err != nil {
		t.Fatal(err)
	}
	config, err := c.rbac.Kubeconfig(t.Context(), c.integration, person(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.rbac.Apply(t.Context(), c.integration, c.wanted(t, person(0), testItems[0], "g")); err != nil {
		t.Fatal(err)
	}
	warm, err := c.rbac.Details(c.integration, g)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, s := range append(append(cold.Snippets, warm.Snippets...), access.Snippet{Text: config}) {
		if !strings.Contains(s.Text, "aws eks") && !strings.Contains(s.Text, "get-token") {
			continue
		}
		seen++
		if strings.Contains(s.Text, "role-arn") || strings.Contains(s.Text, `"-r"`) || strings.Contains(s.Text, `"--role"`) {
			t.Errorf("%s names the role:\n%s", s.Title, s.Text)
		}
		if !strings.Contains(s.Text, "--profile") || !strings.Contains(s.Text, "gatehouse-k8s-access") {
			t.Errorf("%s does not use the profile:\n%s", s.Title, s.Text)
		}
	}
	if seen < 3 {
		t.Errorf("%d snippets were looked at", seen)
	}
	var file struct {
		Clusters []struct {
			Cluster struct {
				Server string `yaml:"server"`
				Data   string `yaml:"certificate-authority-data"`
			} `yaml:"cluster"`
		} `yaml:"clusters"`
		Users []struct {
			User struct {
				Exec struct {
					Command string   `yaml:"command"`
					Args    []string `yaml:"args"`
				} `yaml:"exec"`
			} `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal([]byte(config), &file); err != nil {
		t.Fatal(err)
	}
	if file.Clusters[0].Cluster.Server != c.api.server.URL || file.Clusters[0].Cluster.Data != encoded(c.api.authority()) {
		t.Errorf("the cluster is %+v", file.Clusters)
	}
	want := "eks get-token --cluster-name prod --region eu-west-1 --output json --profile gatehouse-k8s-access"
	if got := strings.Join(file.Users[0].User.Exec.Args, " "); got != want || file.Users[0].User.Exec.Command != "aws" {
		t.Errorf("the token comes from %s, want %s", got, want)
	}
}

// An account that nothing tells stands as in the documentation, and is said.
func TestDetailsBeforeTheClusterWasReached(t *testing.T) {
	t.Parallel()
	i := &access.Integration{Name: "my cluster's", Type: TypeRBAC, Config: map[string]string{keyCluster: "prod"}}
	clusters, err := New(Options{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	g := &access.Grant{Person: person(0), Items: []access.GrantItem{{Item: testItems[0]}}}
	d, err := NewRBAC(clusters).Details(i, g)
	if err != nil || !strings.Contains(d.Text, "<ACCOUNT_ID>") || !strings.Contains(d.Snippets[0].Text, "arn:aws:iam::<ACCOUNT_ID>:role/gatehouse-k8s-access") {
		t.Errorf("%+v, %v", d, err)
	}
	if !strings.Contains(d.Snippets[2].Text, `'my cluster'\''s'`) {
		t.Errorf("the name is no word of a shell: %s", d.Snippets[2].Text)
	}
	// The resources of a grant tell the account and the region.
	g.Items[0].Resource.Tags = map[string]string{tagCluster: "arn:aws-cn:eks:cn-north-1:333333333333:cluster/prod"}
	d, err = NewRBAC(clusters).Details(i, g)
	if err != nil || !strings.Contains(d.Snippets[0].Text, "arn:aws-cn:iam::333333333333:role/gatehouse-k8s-access") {
		t.Errorf("%+v, %v", d, err)
	}
	g.Person.ID = "no such name@example.com"
	if _, err := NewRBAC(clusters).Details(i, g); err == nil {
		t.Error("a person who can have no session has details")
	}
}
