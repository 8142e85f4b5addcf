//go:build integration

package deploy

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// lazyCollector lets Terraform and the provider use more memory and less time: a third
// of a run is collecting what the provider's schema leaves behind.
const lazyCollector = "GOGC=400"

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
	provider := filepath.Join(mirror, "registry.terraform.io/hashicorp/aws/5.100.0")
	if _, err := os.Stat(provider); err != nil {
		missing(t, "the AWS provider 5.100.0: name a folder that mirrors it in GATEHOUSE_TERRAFORM_PLUGINS")
	}
	root := t.TempDir()
	config := filepath.Join(root, "terraformrc")
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n    include = [\"registry.terraform.io/*/*\"]\n  }\n}\ndisable_checkpoint = true\n", mirror)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tf := &terraform{program, root, []string{"TF_CLI_CONFIG_FILE=" + config, "AWS_EC2_METADATA_DISABLED=true", "AWS_CA_BUNDLE=", lazyCollector}}
	tf.serve(t, provider)
	return tf
}

// serve starts the provider once for all runs, in the way that its developers do. To
// start it takes most of the time of a run otherwise. A mirror of archives has no program
// that could be started: then each run starts its own.
func (tf *terraform) serve(t *testing.T, provider string) {
	t.Helper()
	programs, err := filepath.Glob(filepath.Join(provider, runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-aws*"))
	if err != nil || len(programs) == 0 {
		t.Log("the mirror holds archives, so each run starts a provider")
		return
	}
	cmd := exec.CommandContext(t.Context(), programs[0], "-debug")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + tf.root, "TMPDIR=" + os.TempDir(), "AWS_EC2_METADATA_DISABLED=true", lazyCollector}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	attached := regexp.MustCompile(`^\s*TF_REATTACH_PROVIDERS='(.*)'`)
	address := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(address)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if found := attached.FindStringSubmatch(lines.Text()); found != nil {
				address <- found[1]
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	select {
	case at, ok := <-address:
		if !ok {
			t.Fatal("the provider ended before it said how to reach it")
		}
		tf.env = append(tf.env, "TF_REATTACH_PROVIDERS="+at)
	case <-ctx.Done():
		t.Fatal("the provider did not say how to reach it")
	}
}

// folder writes a stack.
func (tf *terraform) folder(t *testing.T, name string, e *example) string {
	t.Helper()
	dir := filepath.Join(tf.root, name)
	if err := render(t, e, Terraform).Write(dir, true); err != nil {
		t.Fatal(err)
	}
	return dir
}

// override points a folder at services: key and endpoints stand in the provider's own
// settings, for a provider that is started once has one environment for all.
func override(t *testing.T, dir string, key awssim.Credentials, endpoints map[string]string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "provider \"aws\" {\n  access_key = %q\n  secret_key = %q\n  token = %q\n  region = %q\n", key.AccessKeyID, key.SecretAccessKey, key.SessionToken, place)
	b.WriteString("  skip_credentials_validation = true\n  skip_metadata_api_check = true\n  s3_use_path_style = true\n  max_retries = 2\n  endpoints {\n")
	for _, service := range sortedKeys(endpoints) {
		fmt.Fprintf(&b, "    %s = %q\n", service, endpoints[service])
	}
	b.WriteString("  }\n}\n")
	if err := os.WriteFile(filepath.Join(dir, "world_override.tf"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (tf *terraform) run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	return run(t, dir, tf.env, tf.program, args...)
}

func (tf *terraform) init(t *testing.T, dir string) {
	t.Helper()
	if text, err := tf.run(t, dir, "init", "-no-color", "-input=false"); err != nil {
		t.Fatalf("init: %v\n%s", err, text)
	}
}

func (tf *terraform) apply(t *testing.T, dir string) {
	t.Helper()
	if text, err := tf.run(t, dir, "apply", "-auto-approve", "-input=false", "-no-color"); err != nil {
		t.Fatalf("apply: %v\n%s", err, text)
	}
}

// same plans again, which must find nothing to change.
func (tf *terraform) same(t *testing.T, dir string) {
	t.Helper()
	if text, err := tf.run(t, dir, "plan", "-detailed-exitcode", "-input=false", "-no-color"); err != nil {
		t.Fatalf("what was just applied is to be changed: %v\n%s", err, text)
	}
}

func (tf *terraform) destroy(t *testing.T, dir string) {
	t.Helper()
	if text, err := tf.run(t, dir, "destroy", "-auto-approve", "-input=false", "-no-color"); err != nil {
		t.Fatalf("destroy: %v\n%s", err, text)
	}
}

// valid looks at the form of folders, and validates them as modules of one: Terraform
// reads the provider's schema once for all, which takes it longer than all the rest.
func (tf *terraform) valid(t *testing.T, all []example) {
	t.Helper()
	var calls strings.Builder
	for i, e := range all {
		name := fmt.Sprintf("e%02d", i)
		tf.folder(t, filepath.Join("all", name), &e)
		fmt.Fprintf(&calls, "# %s\nmodule %q {\n  source = \"./%s\"\n}\n", e.name, name, name)
	}
	dir := filepath.Join(tf.root, "all")
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(calls.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := tf.run(t, dir, "fmt", "-check", "-diff", "-recursive"); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	tf.init(t, dir)
	if text, err := tf.run(t, dir, "validate", "-no-color"); err != nil {
		t.Errorf("%v\n%s\n%s", err, text, calls.String())
	}
}

// Terraform finds every folder formatted and valid.
func TestIntegrationTerraformIsValid(t *testing.T) {
	newTerraform(t).valid(t, examples())
}
