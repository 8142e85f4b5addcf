package ascode

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/access/flow/flowtest"
)

var same = cmp.Options{cmpopts.IgnoreUnexported(flow.Set{}), cmpopts.EquateEmpty()}

func integrations(t *rapid.T) (out []access.Integration) {
	for i := range rapid.IntRange(0, 2).Draw(t, "integrations") {
		word := func(label string) string { return rapid.SampledFrom(flowtest.Words).Draw(t, label) }
		in := access.Integration{Name: fmt.Sprintf("%s-%d", word("name"), i), Type: rapid.SampledFrom([]string{"eks-rbac", "api-gateway"}).Draw(t, "type")}
		for range rapid.IntRange(0, 2).Draw(t, "types") {
			in.ResourceTypes = append(in.ResourceTypes, word("resource type"))
		}
		for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"server_url", "region", "cluster_name", "odd key", "${x}"}), 0, 3, rapid.ID).Draw(t, "config") {
			if in.Config == nil {
				in.Config = map[string]string{}
			}
			in.Config[k] = word("value")
		}
		switch rapid.IntRange(0, 3).Draw(t, "secret") {
		case 1:
			in.Secret = &access.SecretRef{Kubernetes: &access.KubernetesSecret{Namespace: word("namespace"), Name: word("secret")}}
		case 2:
			in.Secret = &access.SecretRef{AWS: &access.AWSSecret{Region: "eu-west-1", SecretID: word("secret")}}
		case 3:
			in.Secret = &access.SecretRef{Environment: "PROD_1"}
		}
		for range rapid.IntRange(0, 2).Draw(t, "owners") {
			in.Owner = append(in.Owner, flow.Principal{Kind: rapid.SampledFrom([]string{"user", "group"}).Draw(t, "kind"), Value: word("owner")})
		}
		if len(in.Owner) > 0 && rapid.Bool().Draw(t, "mapped") {
			in.OwnerTag, in.OwnerKind = word("tag"), "group"
		}
		in.AccessDetails = rapid.SampledFrom([]string{"", "Use the VPN.\nThen log in.", "${not a template}"}).Draw(t, "details")
		in.RotationDays, in.CleanupDays = rapid.IntRange(0, 90).Draw(t, "rotation"), rapid.IntRange(0, 90).Draw(t, "cleanup")
		in.DeleteOrphans = rapid.Bool().Draw(t, "orphans")
		out = append(out, in)
	}
	return out
}

func TestYAMLParsesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := Code{integrations(t), flowtest.Set(t)}
		text, lost, err := YAML(c)
		if err != nil || len(lost) > 0 {
			t.Fatal(err, lost)
		}
		back, err := ParseYAML(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(c, back, same); diff != "" {
			t.Fatalf("(-was +read):\n%s\n%s", diff, text)
		}
	})
}

// What comes back from Terraform is what went in, but for the losses; and each loss
// is one.
func TestTerraformParsesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := Code{integrations(t), flowtest.Set(t)}
		text, lost, err := Terraform(c)
		if err != nil {
			t.Fatal(err)
		}
		back, more, err := ParseTerraform("main.tf", text)
		if err != nil || len(more) > 0 {
			t.Fatalf("%v %v\n%s", err, more, text)
		}
		for _, l := range lost {
			if !strings.Contains(string(text), "# Not in the provider: "+strings.ReplaceAll(l.String(), "\n", " ")) {
				t.Fatalf("the text does not say %q:\n%s", l, text)
			}
		}
		covered := func(kind, name, path string) bool {
			return slices.ContainsFunc(lost, func(l Loss) bool {
				return l.Kind == kind && l.Name == name && (l.Path == path || l.Path != "" && strings.HasPrefix(path, l.Path))
			})
		}
		changed := map[string][]string{}
		for _, ch := range c.Flows.Diff(back.Flows) {
			switch ch.Action {
			case flow.Unchanged:
			case flow.Delete:
				changed[ch.Kind+ch.Name] = []string{""}
				if !covered(ch.Kind, ch.Name, "") {
					t.Fatalf("%s %q was lost silently:\n%s", ch.Kind, ch.Name, text)
				}
			default:
				for _, f := range ch.Fields {
					changed[ch.Kind+ch.Name] = append(changed[ch.Kind+ch.Name], f.Path)
					if ch.Action != flow.Update || !covered(ch.Kind, ch.Name, f.Path) {
						t.Fatalf("%s %q changed: %+v\n%v\n%s", ch.Kind, ch.Name, f, lost, text)
					}
				}
			}
		}
		for _, l := range lost {
			if l.Kind != "integration" && !slices.ContainsFunc(changed[l.Kind+l.Name], func(p string) bool { return strings.HasPrefix(p, l.Path) }) {
				t.Fatalf("a loss that is none: %s\n%s", l, text)
			}
		}
		if len(back.Integrations) != len(c.Integrations) {
			t.Fatalf("%d integrations became %d", len(c.Integrations), len(back.Integrations))
		}
		for i := range c.Integrations {
			want := c.Integrations[i]
			want.DeleteOrphans = false
			if want.Secret != nil && want.Secret.Environment != "" {
				want.Secret = nil
			}
			if len(want.Owner) > 0 && covered("integration", want.Name, "owner") {
				want.Owner = slices.DeleteFunc(slices.Clone(want.Owner), func(p flow.Principal) bool { return p.Kind != want.Owner[0].Kind })
			}
			if diff := cmp.Diff(want, back.Integrations[i], same); diff != "" {
				t.Fatalf("integration (-was +read):\n%s\n%s", diff, text)
			}
		}
		// What came back loses nothing more.
		again, lostAgain, err := Terraform(back)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lostAgain {
			if l.Kind == "flow" && l.Path != "timeframe" {
				t.Fatalf("lost the second time: %s\n%s", l, again)
			}
		}
	})
}

const example = `
integrations:
  - name: prod-1
    type: eks-rbac
    resource_types: [eks-namespace]
    config: {cluster_name: prod-1, region: eu-west-1}
    secret_store: {kubernetes: {namespace: gatehouse, name: prod-1}}
    owner: [{kind: group, value: platform}]
    owner_tag: team
    owner_kind: group
    credentials_rotation_period_in_days: 30
    credentials_cleanup_period_in_days: 90
    custom_access_details: Connect to the VPN first.
bundles:
  - name: On-call kit
    targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [edit]}]
flows:
  - name: Payments
    requestors: {conditions: [{type: group, values: [payments]}]}
    request_for: {scopes: [self, others], grantees: {conditions: [{type: attribute, name: department, values: [payments]}]}}
    targets:
      - {bundle: On-call kit}
      - integration: prod-1
        resource_type: eks-namespace
        permissions: [view]
        include: [{type: name, values: ["pay-*"]}, {type: tag, key: team, values: [payments]}]
        exclude: [{type: id, values: [namespace/pay-vault]}]
      - {integration: elsewhere, resource_type: eks-cluster, permissions: [view]}
    approvers: {mode: any_of, groups: [{operator: or, conditions: [{type: owner}, {type: manager}]}]}
    escalation: [{after: 30m, groups: [{conditions: [{type: schedule, values: [sre]}]}]}]
    duration: {max: 8h, default: 1h}
    extensions: {max: 2, duration: 1h}
    timeframe: {days: [monday, friday], start: "08:00", end: "18:00", time_zone: Europe/Berlin}
    break_glass: {who: {conditions: [{type: group, values: [sre]}]}, max_duration: 1h, notify: [{kind: group, value: security}]}
    labels: [pci]
`

const exampleTerraform = `# Integrations, bundles and access flows of Gatehouse, in the schema of the apono provider.
# What the provider has no words for stands beside it as a comment.

terraform {
  required_providers {
    apono = {
      source = "apono-io/apono"
    }
  }
}

variable "connector_id" {
  description = "ID of the Apono connector that serves the integrations."
  type        = string
}

resource "apono_resource_integration" "prod_1" {
  name                     = "prod-1"
  type                     = "eks-rbac"
  connector_id             = var.connector_id
  connected_resource_types = ["eks-namespace"]
  integration_config = {
    cluster_name                        = "prod-1"
    region                              = "eu-west-1"
    credentials_rotation_period_in_days = "30"
    credentials_cleanup_period_in_days  = "90"
  }
  custom_access_details = "Connect to the VPN first."
  secret_store_config = {
    kubernetes = {
      namespace = "gatehouse"
      name      = "prod-1"
    }
  }
  owner = {
    attribute_type   = "group"
    attribute_values = ["platform"]
  }
  owners_mapping = {
    key_name       = "team"
    attribute_type = "group"
  }
}
`

func TestTerraformText(t *testing.T) {
	t.Parallel()
	c, err := ParseYAML([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	text, lost, err := Terraform(c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exampleTerraform, string(text[:min(len(exampleTerraform), len(text))])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, want := range []string{
		`integration_name = apono_resource_integration.prod_1.name`, `integration_name = "elsewhere"`, `name = apono_bundle_v2.on_call_kit.name`,
		`type = "Owner"`, `attribute_values = ["platform"]`, `interval_in_min = 30`, `days_of_week = ["MONDAY", "FRIDAY"]`, `requester_cannot_approve_self = true`,
		`grant_duration_in_min = 480`, `type = "APONO_ID"`, `# Not in the provider: flow "Payments": break_glass:`,
	} {
		if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), want) {
			t.Errorf("the text has no %s:\n%s", want, text)
		}
	}
	var paths []string
	for _, l := range lost {
		paths = append(paths, l.Path)
	}
	if diff := cmp.Diff([]string{"break_glass", "duration.default"}, paths); diff != "" {
		t.Errorf("losses (-want +got):\n%s", diff)
	}
}

func TestSecretsNeverAppear(t *testing.T) {
	t.Parallel()
	secrets := []string{"hunter2hunter2", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl", "xoxb-123456789012-abcdef", "s3cr3tpw"}
	c := Code{Integrations: []access.Integration{{
		Name: "a", Type: "eks-rbac", ResourceTypes: []string{"x"},
		Config:        map[string]string{"admin_password": secrets[0], "note": "key " + secrets[1], "jwt": secrets[2], "server_url": "https://user:" + secrets[4] + "@host/", "region": "eu-west-1"},
		AccessDetails: "Use " + secrets[3] + "\n-----BEGIN RSA PRIVATE KEY-----\nhunter2hunter2",
		Secret:        &access.SecretRef{AWS: &access.AWSSecret{Region: "eu-west-1", SecretID: "prod/eks"}},
	}}}
	set, err := flow.Parse([]byte("flows:\n- {name: f, description: 'ask with " + secrets[1] + "', requestors: {conditions: [{type: user, values: [a]}]}, targets: [{integration: a, resource_type: x, permissions: [y]}], auto_approve: true, duration: {max: 1h}}"))
	if err != nil {
		t.Fatal(err)
	}
	c.Flows = set
	for name, write := range map[string]func(Code) ([]byte, []Loss, error){"YAML": YAML, "Terraform": Terraform} {
		text, lost, err := write(c)
		if err != nil {
			t.Fatal(err)
		}
		all := string(text) + fmt.Sprint(lost)
		for _, s := range secrets {
			if strings.Contains(all, s) {
				t.Errorf("%s shows %s:\n%s", name, s, all)
			}
		}
		if len(lost) != 6 || !strings.Contains(all, "eu-west-1") || !strings.Contains(all, "prod/eks") {
			t.Errorf("%s: %v\n%s", name, lost, all)
		}
	}
}

const minimal = `resource "apono_access_flow_v2" "a" {
  name = "a"
  trigger = "SELF_SERVE"
  grant_duration_in_min = 60
  requestors = { logical_operator = "OR", conditions = [{ type = "group", values = ["x"] }] }
  access_targets = [{ integration = { integration_name = "i", resource_type = "t", permissions = ["p"] } }]
  approver_policy = { approval_mode = "ANY_OF", approver_groups = [{ logical_operator = "OR", approvers = [{ type = "manager" }] }] }
  settings = {}
}
`

func TestParseTerraform(t *testing.T) {
	t.Parallel()
	const owner = `resource "apono_resource_integration" "i" {
  name = "i"
  type = "eks-rbac"
  connector_id = data.x.y[0].id
  connected_resource_types = []
  integration_config = {}
  owner = { attribute_type = "user", attribute_value = ["a"] }
}
`
	tests := []struct {
		name, old, new string
		err, loss      string
	}{
		{name: "as it is"},
		{name: "for ever", old: "grant_duration_in_min = 60", err: "access would never end"},
		{name: "a second factor", old: "settings = {}", new: "settings = { require_mfa = true }", err: "main.tf:1:1: flow \"a\": settings.require_mfa"},
		{name: "an attribute that is not there", old: "settings = {}", new: "settings = {}\n requestor = {}", err: "requestor: the schema has no such attribute"},
		{name: "a nested one", old: "settings = {}", new: "settings = { label = [] }", err: "settings.label: the schema has no such attribute"},
		{name: "no settings", old: "settings = {}", err: "settings: is missing"},
		{name: "a block", old: "settings = {}", new: "settings {}", err: "is a block"},
		{name: "an expression", old: `name = "a"`, new: `name = var.name`, err: "name: cannot be read without Terraform"},
		{name: "a function", old: `["x"]`, new: `toset(["x"])`, err: "requestors: cannot be read without Terraform"},
		{name: "count", old: "settings = {}", new: "settings = {}\n count = 2", err: "count: the schema has no such attribute"},
		{name: "automatic", old: "SELF_SERVE", new: "AUTOMATIC", err: "an automatic flow has none"},
		{name: "a scope only", old: `integration = { integration_name = "i", resource_type = "t", permissions = ["p"] }`, new: `access_scope = { name = "s" }`, err: "targets: is missing"},
		{name: "a scope beside", old: `access_targets = [`, new: `access_targets = [{ access_scope = { name = "s" } }, `, loss: "queries of resources"},
		{name: "two in one target", old: `integration = {`, new: `bundle = { name = "b" }, integration = {`, err: "exactly one of"},
		{name: "a source", old: `type = "group",`, new: `type = "group", source_integration_name = "Okta",`, loss: "Okta"},
		{name: "an owner's typo", old: "settings = {}\n}", new: "settings = {}\n}\n" + owner, err: "it is attribute_values"},
		{name: "another resource", old: "settings = {}\n}", new: "settings = {}\n}\nresource \"apono_managed_group\" \"g\" {}\n", loss: "not read"},
		{name: "not ours", old: "settings = {}\n}", new: "settings = {}\n}\nresource \"aws_s3_bucket\" \"b\" { bucket = local.x }\n"},
		{name: "deep", old: "settings = {}", new: "settings = " + strings.Repeat("[", 1000), err: "nested too deeply"},
		{name: "deep by operators", old: "settings = {}", new: "settings = " + strings.Repeat("!", 100_000) + "true", err: "nested too deeply"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, lost, err := ParseTerraform("main.tf", []byte(strings.Replace(minimal, tt.old, tt.new, 1)))
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case len(c.Flows.Flows) != 1 || !c.Flows.Flows[0].SelfApproval || !c.Flows.Flows[0].Justification.Required:
				t.Errorf("got %s", c.Flows.Format())
			case (tt.loss != "") != (len(lost) > 0) || !strings.Contains(fmt.Sprint(lost), tt.loss):
				t.Errorf("losses: %v", lost)
			}
		})
	}
	c, lost, err := ParseTerraform("main.tf", []byte(strings.Replace(strings.Replace(minimal, "SELF_SERVE", "AUTOMATIC", 1), "approver_policy", "# ", 1)))
	if err != nil || len(lost) != 1 || c.Flows.Flows[0].AutoApprove == nil {
		t.Errorf("an automatic flow: %v, %v", lost, err)
	}
}

func TestParseYAMLErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"integrations:\n  - name: a\n    type: b\n    secret: x\n", `4:1: integrations: unknown key "secret"`},
		{"integrations:\n  - name: a\n    type: b\n    type: c\n", `4:1: integrations: mapping key "type" already defined at line 3`},
		{"integrations:\n  - name: a\n    type: b\n    config: {role: x, role: y}\n", `4:1: integrations: mapping key "role" already defined at line 4`},
		{"integrations:\n  - name: a\n    type: b\n    credentials_cleanup_period_in_days: soon\n", "4:1: integrations: cannot unmarshal"},
		{"integrations: []\nintegrations: []\n", "integrations is set twice"},
		{"integrations: [{name: a, type: b}, {name: a, type: b}]", "two of this name"},
		{"integrations: [{name: a}]", "type is missing"},
		{"integrations: [{name: a, type: b, owner_tag: t}]", "owner_tag needs an owner"},
		{"integrations: [{name: a, type: b, secret_store: {}}]", "names 0 stores"},
		{"integrations: [{name: a, type: b, custom_access_details: " + strings.Repeat("x", 401) + "}]", "400 characters"},
		{"integrations: &a [*a]", "aliases"},
		{"integration: []", `unknown key "integration"`},
	} {
		if _, err := ParseYAML([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.text, err, tt.want)
		}
	}
}

// A file that was written on another system is the same file.
func TestParseYAMLOfOtherEditors(t *testing.T) {
	t.Parallel()
	want, err := ParseYAML([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"CRLF":                  strings.ReplaceAll(example, "\n", "\r\n"),
		"a byte order mark":     "\ufeff" + example,
		"both":                  "\ufeff" + strings.ReplaceAll(example, "\n", "\r\n"),
		"a document of its own": "---\n" + example + "...\n",
	} {
		got, err := ParseYAML([]byte(text))
		if err != nil {
			t.Errorf("with %s: %v", name, err)
			continue
		}
		if d := cmp.Diff(want.Integrations, got.Integrations); d != "" || want.Flows.Digest() != got.Flows.Digest() {
			t.Errorf("with %s it is another file (-want +got):\n%s", name, d)
		}
	}
}

func FuzzParseTerraform(f *testing.F) {
	f.Add(minimal)
	f.Add(exampleTerraform)
	f.Add(`resource "apono_bundle_v2" "b" { name = "${apono_bundle_v2.b.name}" }`)
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := ParseTerraform("main.tf", []byte(text))
		if err != nil {
			return
		}
		if _, _, err := Terraform(c); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseYAML(f *testing.F) {
	f.Add(example)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseYAML([]byte(text))
		if err != nil {
			return
		}
		if _, _, err := YAML(c); err != nil {
			t.Fatal(err)
		}
	})
}
