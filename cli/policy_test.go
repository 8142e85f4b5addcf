package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// runPolicy runs a policy command in its own folder of files.
func runPolicy(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := newPolicy(&Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func evalCase(sid string) string {
	return `{"request": {"principal": "arn:aws:iam::111111111111:user/alice", "action": "s3:GetObject", "resource": "arn:aws:s3:::b/x", "resource_account": "111111111111"},` +
		` "identity_policies": [{"Version": "2012-10-17", "Statement": [{"Sid": "` + sid + `", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}]}`
}

// decisions reads answers: the Sid of the first reason, or "error LINE".
func decisions(t *testing.T, stdout string) []string {
	t.Helper()
	out := []string{}
	for line := range strings.Lines(stdout) {
		var answer struct {
			Decision string
			Reasons  []struct{ Sid string }
			Error    *struct {
				Line    int
				Column  int
				Message string
			}
		}
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch {
		case answer.Error != nil && answer.Error.Message != "" && answer.Error.Column > 0:
			out = append(out, fmt.Sprintf("error %d", answer.Error.Line))
		case len(answer.Reasons) > 0:
			out = append(out, answer.Decision+" "+answer.Reasons[0].Sid)
		default:
			out = append(out, answer.Decision)
		}
	}
	return out
}

func TestPolicyEvalForms(t *testing.T) {
	t.Parallel()
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(evalCase("In")), "", "  "); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin string
		want        []string
		invalid     string
	}{
		{"one", evalCase("A"), []string{"allow A"}, ""},
		{"one with a line end", evalCase("A") + "\n", []string{"allow A"}, ""},
		{"one, indented", indented.String(), []string{"allow In"}, ""},
		{"two, indented", indented.String() + "\n" + indented.String() + "\n", []string{"allow In", "allow In"}, ""},
		{"lines", evalCase("A") + "\n\n  \r\n" + evalCase("B") + "\r\n" + evalCase("C"), []string{"allow A", "allow B", "allow C"}, ""},
		{"indented, then a line", indented.String() + "\n" + evalCase("A") + "\n", []string{"allow In", "allow A"}, ""},
		{"not JSON in the middle", evalCase("A") + "\nx\n" + evalCase("B") + "\n", []string{"allow A", "error 2", "allow B"}, "1 of 3 cases are invalid"},
		{"a case that does not end", `{"request": {` + "\n" + evalCase("A") + "\n", []string{"error 1", "allow A"}, "1 of 2"},
		{"a case that ends too often", evalCase("A") + "}}\n" + evalCase("B") + "\n", []string{"error 1", "allow B"}, "1 of 2"},
		{"brackets in strings", `{"request": "}{[\"{"` + "}\n" + evalCase("A"), []string{"error 1", "allow A"}, "1 of 2"},
		{"a string that does not end", `{"request": "x` + "\n" + evalCase("A"), []string{"error 1", "allow A"}, "1 of 2"},
		{"the end in the middle", evalCase("A") + "\n{\"request\":\n", []string{"allow A", "error 2"}, "1 of 2"},
		{"nothing", "\n", []string{}, "there is no case"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stdout, _, err := runPolicy(t, c.stdin, "eval")
			if d := cmp.Diff(c.want, decisions(t, stdout)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if (err == nil) != (c.invalid == "") || err != nil && !strings.Contains(err.Error(), c.invalid) {
				t.Errorf("got %v, want %q", err, c.invalid)
			}
			if _, ok := errors.AsType[*UsageError](err); ok {
				t.Error("invalid cases are no mistake of usage")
			}
		})
	}
}

// TestPolicyEvalOrder answers many cases, more than fit into a batch, in order.
func TestPolicyEvalOrder(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	var want []string
	for i := range 3000 {
		if i%7 == 3 {
			in.WriteString("{]\n")
			want = append(want, fmt.Sprintf("error %d", i+1))
			continue
		}
		sid := fmt.Sprintf("S%d", i)
		in.WriteString(evalCase(sid) + "\n")
		want = append(want, "allow "+sid)
	}
	stdout, _, err := runPolicy(t, in.String(), "eval")
	if err == nil || !strings.Contains(err.Error(), "of 3000 cases are invalid") {
		t.Errorf("%v", err)
	}
	if d := cmp.Diff(want, decisions(t, stdout)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestPolicyEvalAnswersAtOnce writes one case, waits for its answer, and goes on.
func TestPolicyEvalAnswersAtOnce(t *testing.T) {
	t.Parallel()
	inReader, in := io.Pipe()
	out, outWriter := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := evalCases(t.Context(), inReader, outWriter, false)
		_ = outWriter.Close()
		done <- err
	}()
	answers := bufio.NewScanner(out)
	for i := range 5 {
		sid := fmt.Sprintf("S%d", i)
		if _, err := io.WriteString(in, evalCase(sid)+"\n"); err != nil {
			t.Fatal(err)
		}
		if !answers.Scan() || decisions(t, answers.Text())[0] != "allow "+sid {
			t.Fatalf("case %d: %s", i, answers.Text())
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// stuck is an input that never says anything.
type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, io.EOF
}

func TestPolicyEvalStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- evalCases(ctx, stuck{t.Context()}, io.Discard, false) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// full is an output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

// broken is an input that fails.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestPolicyEvalFails(t *testing.T) {
	t.Parallel()
	in := strings.Repeat(evalCase("A")+"\n", 2000)
	if err := evalCases(t.Context(), strings.NewReader(in), full{}, false); err == nil || !strings.Contains(err.Error(), "writing answers: no space") {
		t.Errorf("%v", err)
	}
	if err := evalCases(t.Context(), strings.NewReader(evalCase("A")), full{}, false); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("%v", err)
	}
	var out bytes.Buffer
	err := evalCases(t.Context(), io.MultiReader(strings.NewReader(evalCase("A")+"\n"), broken{}), &out, false)
	if err == nil || !strings.Contains(err.Error(), "reading cases: disk on fire") {
		t.Errorf("%v", err)
	}
	if _, _, err := runPolicy(t, "", "eval", filepath.Join(t.TempDir(), "none")); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, _, err := runPolicy(t, "", "eval", "-o", "xml"); err == nil {
		t.Error("an unknown form was taken")
	}
	long := strings.NewReader(strings.Repeat("x", 18<<20) + "\n" + evalCase("A") + "\n")
	out.Reset()
	if err := evalCases(t.Context(), long, &out, false); err == nil {
		t.Error("a line without end was taken")
	}
	if got := decisions(t, out.String()); !slices.Equal(got, []string{"error 1", "allow A"}) {
		t.Errorf("%v", got)
	}
}

func TestPolicyEvalFilesAndTable(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "cases")
	deny := strings.Replace(evalCase("No"), "Allow", "Deny", 1)
	if err := os.WriteFile(name, []byte(deny), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runPolicy(t, evalCase("A")+"\n"+`{"request": {"principal": "anonymous", "action": "s3:GetObject", "resource": "*"}}`+"\nx\n", "eval", "-o", "table", name, "-")
	if err == nil {
		t.Error("an invalid case and no error")
	}
	want := `explicit_deny  by statement 0 (No) of identity_policies[0]
allow          by statement 0 (A) of identity_policies[0]
implicit_deny  User: anonymous is not authorized to perform: s3:GetObject on resource: * because no resource-based policy allows the s3:GetObject action
invalid        line 4, column 1: expected a JSON value, found 'x'
`
	if d := cmp.Diff(want, stdout); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	two := strings.Replace(evalCase("A"), `"Statement": [`, `"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}, `, 1)
	if stdout, _, err = runPolicy(t, two, "eval", "-o", "table"); err != nil || stdout != "allow          by statement 0 of identity_policies[0] and 1 more\n" {
		t.Errorf("%q, %v", stdout, err)
	}
}

func TestPolicyExplain(t *testing.T) {
	t.Parallel()
	policy := `{"Version": "2012-10-17", "Statement": [{"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}`
	stdout, _, err := runPolicy(t, policy, "explain")
	want := `Allows the principal that has it to perform s3:* on every resource.

STATEMENT  SID  EFFECT  WHO                                  ACTIONS       RESOURCES       IF
0          A    Allow   the principal that has it  perform s3:*  every resource  -
`
	if err != nil || strings.Join(strings.Fields(stdout), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("%v\n%s", err, stdout)
	}
	if stdout, _, err = runPolicy(t, policy, "explain", "-o", "json", "-"); err != nil || !strings.Contains(stdout, `"actions": "to perform s3:*"`) {
		t.Errorf("%v\n%s", err, stdout)
	}
	if stdout, _, err = runPolicy(t, `{"Statement": []}`, "explain", "--kind", "boundary"); err != nil || stdout != "It says nothing.\n" {
		t.Errorf("%v\n%s", err, stdout)
	}
	if stdout, _, err = runPolicy(t, evalCase("A"), "explain"); err != nil || !strings.HasPrefix(stdout, "allow: arn:aws:iam::111111111111:user/alice may perform s3:GetObject") ||
		!strings.Contains(stdout, "every element matches") {
		t.Errorf("%v\n%s", err, stdout)
	}
	if stdout, _, err = runPolicy(t, evalCase("A"), "explain", "-o", "json"); err != nil || !strings.Contains(stdout, `"applies": true`) {
		t.Errorf("%v\n%s", err, stdout)
	}
	bare := `{"request": {"principal": "anonymous", "action": "s3:GetObject", "resource": "*"}}`
	if stdout, _, err = runPolicy(t, bare, "explain"); err != nil || strings.Contains(stdout, "STATEMENT") || !strings.Contains(stdout, "To mend it: ") {
		t.Errorf("%v\n%s", err, stdout)
	}
	for _, args := range [][]string{{"--kind", "foo"}, {"-o", "xml"}, {"a", "b"}} {
		var usage *UsageError
		if _, _, err := runPolicy(t, policy, append([]string{"explain"}, args...)...); !errors.As(err, &usage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, in := range []string{`{"Statement": 1}`, `{"request": 1}`} {
		if _, _, err := runPolicy(t, in, "explain"); err == nil {
			t.Errorf("%s was explained", in)
		}
	}
	if _, _, err := runPolicy(t, "", "explain", filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestPolicyLint(t *testing.T) {
	t.Parallel()
	clean := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}`
	warned := strings.Replace(clean, "s3:GetObject", "*", 1)
	wrong := strings.Replace(clean, `"Resource": "*"`, `"Resource": "*", "Condition": {"StringEquals": {"aws:username": "a*"}}`, 1)
	for _, c := range []struct {
		name, stdin string
		args        []string
		out, err    string
	}{
		{"clean", clean, nil, "no findings\n", ""},
		{"clean, JSON", clean, []string{"-o", "json"}, "[]\n", ""},
		{"a warning", warned, nil, "[every-action]", ""},
		{"a warning, strict", warned, []string{"--strict"}, "[every-action]", "1 findings"},
		{"an error", wrong, nil, "-:1:151: error: StringEquals takes wildcards", "1 error"},
		{"an error, JSON", wrong, []string{"-o", "json"}, `"rule": "equals-with-wildcard"`, "1 error"},
		{"twice", wrong, []string{"-", "-"}, "[equals-with-wildcard]", "2 errors"},
		{"a kind", clean, []string{"--kind", "resource"}, "needs Principal", "1 error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stdout, _, err := runPolicy(t, c.stdin, append([]string{"lint"}, c.args...)...)
			if !strings.Contains(stdout, c.out) {
				t.Errorf("got %s\nwant %s", stdout, c.out)
			}
			if fmt.Sprint(err) != c.err && (err != nil || c.err != "") {
				t.Errorf("got %v, want %q", err, c.err)
			}
		})
	}
	for _, args := range [][]string{{"--kind", "foo"}, {"-o", "xml"}, {filepath.Join(t.TempDir(), "none")}} {
		if _, _, err := runPolicy(t, clean, append([]string{"lint"}, args...)...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

func TestPolicyGenerate(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := runPolicy(t, "", "generate", "resource", "--api-account", "111122223333", "--api-region", "eu-west-1", "--api", "a1", "--source-ip", "203.0.113.0/24")
	if err != nil || !strings.Contains(stdout, `"aws:SourceIp": "203.0.113.0/24"`) || !strings.HasPrefix(stderr, "Allows everyone") {
		t.Errorf("%v\n%s\n%s", err, stdout, stderr)
	}
	stdout, stderr, err = runPolicy(t, "", "generate", "trust", "--account", "111122223333", "-o", "json")
	if err != nil || stderr != "" || !json.Valid([]byte(stdout)) {
		t.Errorf("%v\n%s\n%s", err, stdout, stderr)
	}
	_, stderr, err = runPolicy(t, "", "generate", "trust", "--account", "111122223333")
	if err != nil || !strings.Contains(stderr, "info: whoever may act") {
		t.Errorf("%v\n%s", err, stderr)
	}
	for _, args := range [][]string{
		{"generate", "invoke"}, {"generate", "invoke", "x"}, {"generate", "foo"}, {"generate", "assume", "-o", "xml"}, {"foo"},
	} {
		var usage *UsageError
		if _, _, err := runPolicy(t, "", args...); !errors.As(err, &usage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, args := range [][]string{nil, {"generate"}} {
		if stdout, _, err := runPolicy(t, "", args...); err != nil || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%v: %v\n%s", args, err, stdout)
		}
	}
}

// TestPolicyDocs runs the examples of docs/policy.md: what "cat" shows is a file,
// and what a command shows is what it prints; "…" ends what is compared.
func TestPolicyDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, step := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			line, want, _ := strings.Cut(step, "\n")
			words := strings.Fields(line)
			if words[0] == "cat" {
				if err := os.WriteFile(filepath.Join(dir, words[1]), []byte(strings.TrimSuffix(want, "\n")), 0o600); err != nil {
					t.Fatal(err)
				}
				continue
			}
			args := words[2:]
			for i, a := range args {
				if strings.HasSuffix(a, "json") {
					args[i] = filepath.Join(dir, a)
				}
			}
			stdout, _, _ := runPolicy(t, "", args...)
			ran++
			stdout, want = strings.TrimSuffix(strings.ReplaceAll(stdout, dir+"/", ""), "\n"), strings.TrimSuffix(want, "\n")
			if before, found := strings.CutSuffix(want, "…"); found {
				want, stdout = before, stdout[:min(len(stdout), len(before))]
			}
			if d := cmp.Diff(want, stdout); d != "" {
				t.Errorf("%s (-docs +printed)\n%s", line, d)
			}
		}
	}
	if ran < 8 {
		t.Errorf("only %d examples ran", ran)
	}
	// Every rule of lint is in the table.
	sources, err := filepath.Glob("../iam/lint*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:report\(|reportNode\(|Rule: )"([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
			if !bytes.Contains(text, []byte("`"+m[1]+"`")) {
				t.Errorf("the rule %s is not documented", m[1])
			}
		}
	}
}

func BenchmarkPolicyEval(b *testing.B) {
	in := strings.Repeat(evalCase("A")+"\n", 10_000)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := evalCases(b.Context(), strings.NewReader(in), io.Discard, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*10_000)/b.Elapsed().Seconds(), "cases/s")
}
