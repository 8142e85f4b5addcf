package cli

import (
	"bytes"
	"errors"
	"fmt"
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
		{[]string{"cloudformation", "collector-spoke", "--out", "x", "--param", "account=1", "--param", "account=2"}, "it is given 2 times"},
		{[]string{
			"terraform", "organization", "--out", "-", "--param", "account=111122223333", "--param", "region=eu-west-1", "--param", "organizational-units=r-ab12",
			"--param", "hub-role=arn:aws:iam::111122223333:role/GatehouseHub", "--param", "external-id=x1",
		}, "collector-spoke.yaml stands by itself"},
		{[]string{"kubernetes", "--helm", "--out", "-", "--param", "image=i"}, "stands by itself"},
		{[]string{"kubernetes", "--out", "x", "--params", "-", "--replaces", "-"}, "both read standard input"},
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

// A folder that others keep files in is written again without a change, and what is in
// the way is told.
func TestDeployAgain(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "hub")
	args := []string{
		"terraform", "collector-hub", "--out", out, "--param", "account=111122223333",
		"--param", "oidc-issuer=https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF", "--param", "spoke-accounts=222233334444",
	}
	for range 2 {
		if _, _, err := deployed(t, args...); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := deployed(t, append(args, "--param", "spoke-accounts=333344445555")...)
	if err == nil || !strings.Contains(err.Error(), "is there with other text") || !strings.Contains(hintOf(err), "--force") {
		t.Errorf("%v (hint %q)", err, hintOf(err))
	}
}

// A mistake in a file of parameters names the file, one in a flag does not.
func TestDeployTellsWhereAParameterIsFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "params.yaml")
	if err := os.WriteFile(file, []byte("account: 1\nexternal-id: x\nhub-role: arn:aws:iam::111122223333:role/Hub\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"terraform", "collector-spoke", "--out", filepath.Join(dir, "out"), "--params", file}
	if _, _, err := deployed(t, args...); err == nil || !strings.HasPrefix(err.Error(), file+": stack collector-spoke: parameter account") || hintOf(err) == "" {
		t.Errorf("%v (hint %q)", err, hintOf(err))
	}
	if _, _, err := deployed(t, append(args, "--param", "account=2")...); err == nil || !strings.HasPrefix(err.Error(), "stack collector-spoke: parameter account") {
		t.Error(err)
	}
}

// --params - and --out - make a command of a pipe.
func TestDeployInAPipe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		args     []string
	}{
		{"account: 222233334444\nhub-role: arn:aws:iam::111122223333:role/GatehouseHub\nexternal-id: from-a-pipe\n", "AWSTemplateFormatVersion", []string{"cloudformation", "collector-spoke"}},
		{`{"account": 222233334444, "hub-role": ["arn:aws:iam::111122223333:role/GatehouseHub"], "external-id": "from-a-pipe"}`, "from-a-pipe", []string{"terraform", "collector-spoke"}},
		{"image: registry.example.com/gatehouse:1.0.0\n", "kind: Deployment", []string{"kubernetes"}},
	} {
		var o, e bytes.Buffer
		cmd := newDeploy(&Streams{In: strings.NewReader(c.in), Out: &o, Err: &e})
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append(c.args, "--params", "-", "--out", "-"))
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Errorf("%v: %v", c.args, err)
		}
		if !strings.Contains(o.String(), c.want) || strings.Contains(o.String(), "## Deploy") || !strings.Contains(e.String(), "left out: README.md") {
			t.Errorf("%v wrote\n%s\nand said %s", c.args, o.String(), e.String())
		}
	}
}

// What has to be done before a stack can be applied is said at once.
func TestDeploySaysWhatIsToBeDoneBefore(t *testing.T) {
	t.Parallel()
	accounts := make([]string, 70)
	for i := range accounts {
		accounts[i] = fmt.Sprintf("%012d", 444455550000+i)
	}
	_, said, err := deployed(t, "terraform", "api-invoker", "--out", filepath.Join(t.TempDir(), "invoker"), "--param", "api-account=222233334444", "--param", "api-region=eu-west-1",
		"--param", "api=a1b2c3d4e5", "--param", "stages=prod", "--param", "caller-accounts="+strings.Join(accounts, ","))
	if err != nil || !strings.Contains(said, "note: The trust policy of the role api-invoker has") {
		t.Errorf("%v, said %q", err, said)
	}
}
