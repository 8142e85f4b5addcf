package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deployed runs a deploy command by itself.
func deployed(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := newDeploy(&Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func TestDeployWritesAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "params.yaml")
	if err := os.WriteFile(file, []byte("account: 012345678901\nhub-role: [arn:aws:iam::111122223333:role/GatehouseHub]\nexternal-id: from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "spoke")
	if _, _, err := deployed(t, "terraform", "collector-spoke", "--params", file, "--param", "external-id=from-flag", "--out", out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	main, err := os.ReadFile(filepath.Join(out, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`"from-flag"`, ":012345678901:"} {
		if !strings.Contains(string(main), text) {
			t.Errorf("no %s in\n%s", text, main)
		}
	}
	// What somebody changed stays, unless it is asked for.
	again := []string{"terraform", "collector-spoke", "--params", file, "--out", out}
	if _, _, err := deployed(t, again...); err == nil || hintOf(err) == "" {
		t.Errorf("it replaced what was there: %v", err)
	}
	if now, _ := os.ReadFile(filepath.Join(out, "main.tf")); !bytes.Equal(now, main) {
		t.Error("a refused write changed a file")
	}
	if _, _, err := deployed(t, append(again, "--force")...); err != nil {
		t.Error(err)
	}
}

func TestDeployTellsMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"terraform"}, "0 stacks are named"},
		{[]string{"terraform", "nothing", "--out", "x"}, `no stack "nothing"`},
		{[]string{"terraform", "collector-spoke"}, "--out is missing"},
		{[]string{"cloudformation", "collector-spoke", "--out", "x"}, "parameter account: it is missing"},
		{[]string{"cloudformation", "collector-spoke", "--out", "x", "--param", "account=123"}, `"123" is not an account: 12 digits`},
		{[]string{"cloudformation", "collector-spoke", "--out", "x", "--param", "account"}, "is no assignment"},
		{[]string{"cloudformation", "collector-spoke", "--out", "x", "--param", "acount=1"}, `no parameter "acount"`},
	} {
		_, _, err := deployed(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || hintOf(err) == "" {
			t.Errorf("%v: %v (hint %q), want %q", c.args, err, hintOf(err), c.want)
		}
		if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("%v is no mistake in the command's words", err)
		}
	}
}

func TestDeployDescribes(t *testing.T) {
	t.Parallel()
	list, _, err := deployed(t, "list")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"collector-hub", "collector-spoke", "logging", "collector-lambda", "switcher", "protected-api", "api-client", "api-invoker", "api-lending", "eks-access", "organization",
	} {
		if !strings.Contains(list, name+" ") {
			t.Errorf("%s is not listed", name)
		}
		out, _, err := deployed(t, "describe", name)
		if err != nil || !strings.Contains(out, "PARAMETER") || !strings.Contains(out, "required") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
