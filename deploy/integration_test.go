//go:build integration

package deploy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

// terraform finds every folder formatted and valid.
func TestIntegrationTerraformIsValid(t *testing.T) {
	tf := newTerraform(t)
	for i, e := range examples() {
		dir := tf.folder(t, fmt.Sprintf("%02d", i), &e, "")
		if text, err := run(t, dir, tf.env, tf.program, "fmt", "-check", "-diff"); err != nil {
			t.Errorf("%s: %v\n%s", e.name, err, text)
		}
		tf.init(t, dir)
		if text, err := run(t, dir, tf.env, tf.program, "validate", "-no-color"); err != nil {
			t.Errorf("%s: %v\n%s", e.name, err, text)
		}
	}
}

// What moto can stand in for is applied, planned again without a change, and
// destroyed. moto breaks the provider with a REST API's policy and has no access
// entries, so stacks with those are left out.
func TestIntegrationTerraformApplies(t *testing.T) {
	tf := newTerraform(t)
	endpoint := moto(t)
	for _, e := range examples() {
		switch e.name {
		case "hub", "spoke of a region", "switcher", "client", "invoker", "people by SAML", "lender by aws-auth", "lambda of spokes":
		default:
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			for _, name := range []string{"account", "api-account"} {
				if e.values[name] != nil {
					e.values[name] = []string{"123456789012"} // moto's own
				}
			}
			delete(e.values, "roles") // that must be there already
			dir := tf.folder(t, strings.ReplaceAll(e.name, " ", "-"), &e, endpoint)
			if e.stack == "collector-lambda" {
				stage(t, endpoint, dir)
			}
			tf.init(t, dir)
			for _, args := range [][]string{
				{"apply", "-auto-approve", "-input=false", "-no-color"},
				{"plan", "-detailed-exitcode", "-input=false", "-no-color"},
				{"destroy", "-auto-approve", "-input=false", "-no-color"},
			} {
				if args[0] == "plan" && e.stack == "collector-lambda" {
					continue // moto forgets a function's dead letter queue
				}
				if text, err := run(t, dir, tf.env, tf.program, args...); err != nil {
					t.Fatalf("%s: %v\n%s", args[0], err, text)
				}
			}
		})
	}
}

// missing skips a test, or fails it where all components must be there. Terraform
// and its provider are never installed by a script; where it was told that they
// are not there, the test says so by name.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_NO_TERRAFORM") != "" && strings.HasPrefix(t.Name(), "TestIntegrationTerraform") {
		t.Skip("missing " + what)
	}
	if os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") != "" {
		t.Fatal("missing " + what)
	}
	t.Skip("missing " + what)
}

// terraform is a program with the provider from a folder.
type terraform struct {
	program, root string
	env           []string
}

func newTerraform(t *testing.T) *terraform {
	t.Helper()
	program, err := exec.LookPath("terraform")
	if err != nil {
		missing(t, "terraform: install it from hashicorp.com")
	}
	mirror := os.Getenv("GATEHOUSE_TERRAFORM_PLUGINS")
	if mirror == "" {
		mirror = "/opt/tf-plugins"
	}
	if _, err := os.Stat(filepath.Join(mirror, "registry.terraform.io/hashicorp/aws/5.100.0")); err != nil {
		missing(t, "the AWS provider 5.100.0: name a folder that mirrors it in GATEHOUSE_TERRAFORM_PLUGINS")
	}
	root := t.TempDir()
	config := filepath.Join(root, "terraformrc")
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n    include = [\"registry.terraform.io/*/*\"]\n  }\n}\ndisable_checkpoint = true\n", mirror)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &terraform{program, root, []string{
		"TF_CLI_CONFIG_FILE=" + config, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=" + place,
	}}
}

// folder writes a stack, for an endpoint if one is given.
func (tf *terraform) folder(t *testing.T, name string, e *example, endpoint string) string {
	t.Helper()
	dir := filepath.Join(tf.root, name)
	if err := render(t, e, Terraform).Write(dir, false); err != nil {
		t.Fatal(err)
	}
	if endpoint == "" {
		return dir
	}
	var b strings.Builder
	b.WriteString("provider \"aws\" {\n  skip_credentials_validation = true\n  skip_metadata_api_check = true\n  skip_region_validation = true\n  s3_use_path_style = true\n  max_retries = 1\n  endpoints {\n")
	for _, service := range []string{"iam", "sts", "apigateway", "apigatewayv2", "logs", "lambda", "scheduler", "eks", "s3", "sqs", "dynamodb", "cloudformation"} {
		fmt.Fprintf(&b, "    %s = %q\n", service, endpoint)
	}
	b.WriteString("  }\n}\n")
	if err := os.WriteFile(filepath.Join(dir, "moto_override.tf"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (tf *terraform) init(t *testing.T, dir string) {
	t.Helper()
	if text, err := run(t, dir, tf.env, tf.program, "init", "-no-color", "-input=false"); err != nil {
		t.Fatalf("init: %v\n%s", err, text)
	}
}

// stage puts a zip where the function's code is looked for.
func stage(t *testing.T, endpoint, dir string) {
	t.Helper()
	for _, path := range []string{"/artifacts", "/artifacts/gatehouse.zip"} {
		// An empty zip archive.
		body := "PK\x05\x06" + strings.Repeat("\x00", 18)
		if path == "/artifacts" {
			body = `<CreateBucketConfiguration><LocationConstraint>` + place + `</LocationConstraint></CreateBucketConfiguration>`
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/"+place+"/s3/aws4_request, SignedHeaders=host, Signature=0")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s in %s: %s", path, dir, resp.Status)
		}
	}
}

// moto starts moto and returns its address.
func moto(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		missing(t, "moto_server: scripts/components installs it")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.CommandContext(t.Context(), program, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(os.Environ(), "MOTO_IAM_LOAD_MANAGED_POLICIES=true", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION="+place)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	endpoint := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+"/moto-api/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			return endpoint
		}
		if time.Now().After(deadline) {
			t.Fatal("moto did not start within a minute")
		}
	}
}

func run(t *testing.T, dir string, env []string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
