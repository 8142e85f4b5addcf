package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/iam"
)

func newPolicy(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Decide, explain, check and write IAM policies",
		Long: `Decide, explain, check and write IAM policies. Everything happens on this
machine: no credentials are needed and nothing is sent anywhere.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withHint(usagef("unknown command %q for %s", args[0], cmd.CommandPath()), "see '"+cmd.CommandPath()+" --help'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyEval(s), newPolicyExplain(s), newPolicyLint(s), newPolicyGenerate(s))
	return cmd
}

// readPolicy reads one document or case; no name, or "-", is standard input.
func readPolicy(s *Streams, name string) ([]byte, error) {
	in := s.In
	if name != "" && name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading the policy: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, iam.MaxCaseSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	return text, nil
}

// kindFlag adds --kind, which may be left out where the document tells.
func kindFlag(cmd *cobra.Command) func(text []byte) (iam.Kind, error) {
	name := cmd.Flags().String("kind", "auto", "what the policy is: identity, resource, trust, boundary, session, scp, rcp, vpc_endpoint, or auto")
	return func(text []byte) (iam.Kind, error) {
		if *name == "auto" {
			return iam.GuessKind(text), nil
		}
		kind, err := iam.ParseKind(*name)
		if err != nil {
			return 0, usagef("--kind: %w", err)
		}
		return kind, nil
	}
}

const policyExplainLong = `Tell a policy, or a policy case, in prose.

Of a policy: what each statement allows or denies, to whom, on what, and when. Of
a case, as 'policy eval' reads it: the decision, what every layer says, and for
every statement whether it applies and, if not, which of its elements does not.`

const policyExplainExample = `  gatehouse policy explain trust.json
  gatehouse policy explain < case.json
  gatehouse policy explain -o json case.json`

func newPolicyExplain(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain [FILE]",
		Short:   "Tell a policy, or the decision of a case, in prose",
		Long:    policyExplainLong,
		Example: policyExplainExample,
		Args:    atMostOne,
	}
	asJSON := addOutput(cmd)
	kindOf := kindFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		wantJSON, err := asJSON()
		if err != nil {
			return err
		}
		text, err := readPolicy(s, strings.Join(args, ""))
		if err != nil {
			return err
		}
		if iam.IsCase(text) {
			return explainCase(s.Out, text, wantJSON)
		}
		kind, err := kindOf(text)
		if err != nil {
			return err
		}
		return explainPolicy(s.Out, kind, text, wantJSON)
	}
	return cmd
}

// atMostOne refuses more than one argument with exit status 2.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return withHint(usagef("%s takes one FILE, not %d", cmd.CommandPath(), len(args)), "see '"+cmd.CommandPath()+" --help'")
}

func explainPolicy(out io.Writer, kind iam.Kind, text []byte, asJSON bool) error {
	d, err := iam.Parse(kind, text)
	if err != nil {
		return err
	}
	sentences := iam.Describe(d)
	if asJSON {
		return printJSON(out, sentences)
	}
	rows := make([][]string, len(sentences))
	for i, t := range sentences {
		fmt.Fprintln(out, printable(t.Text))
		rows[i] = []string{
			strconv.Itoa(t.Statement), orDash(t.Sid), string(t.Effect), t.Who, strings.TrimPrefix(t.Actions, "to "), t.Resources, orDash(t.If),
		}
	}
	if len(rows) == 0 {
		fmt.Fprintln(out, "It says nothing.")
		return nil
	}
	fmt.Fprintln(out)
	return printTable(out, []string{"STATEMENT", "SID", "EFFECT", "WHO", "ACTIONS", "RESOURCES", "IF"}, rows)
}

func explainCase(out io.Writer, text []byte, asJSON bool) error {
	c, err := iam.ParseCase(text)
	if err != nil {
		return err
	}
	x := c.Explain()
	if asJSON {
		return printJSON(out, x)
	}
	fmt.Fprintf(out, "%s: %s\n", x.Decision, printable(x.Summary))
	if x.Message != "" {
		fmt.Fprintf(out, "AWS says: %s\n", printable(x.Message))
	}
	if x.Advice != "" {
		fmt.Fprintf(out, "To mend it: %s\n", printable(x.Advice))
	}
	fmt.Fprintln(out)
	layers := make([][]string, len(x.Layers))
	for i, v := range x.Layers {
		missing := "no"
		if v.Missing {
			missing = "yes"
		}
		layers[i] = []string{v.Layer.String(), v.Says, missing}
	}
	if err := printTable(out, []string{"LAYER", "SAYS", "MISSING"}, layers); err != nil {
		return err
	}
	if len(x.Traces) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	rows := make([][]string, len(x.Traces))
	for i, t := range x.Traces {
		applies := "no"
		if t.Applies {
			applies = "yes"
		}
		rows[i] = []string{t.Policy, strconv.Itoa(t.Statement), orDash(t.Sid), string(t.Effect), applies, t.Because}
	}
	return printTable(out, []string{"POLICY", "STATEMENT", "SID", "EFFECT", "APPLIES", "BECAUSE"}, rows)
}

const policyLintLong = `Find mistakes in policies: what AWS refuses, what it stores but never matches,
and what allows more than is wise. Each finding says where, what, and how to mend
it. The exit status is 1 if there is an error (or, with --strict, any finding).`

const policyLintExample = `  gatehouse policy lint policy.json
  gatehouse policy lint --kind trust --strict roles/*.json`

// fileFinding is a finding and the file it is in.
type fileFinding struct {
	File string `json:"file"`
	iam.Finding
}

func newPolicyLint(s *Streams) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:     "lint [FILE…]",
		Short:   "Find mistakes in policies",
		Long:    policyLintLong,
		Example: policyLintExample,
	}
	asJSON := addOutput(cmd)
	kindOf := kindFlag(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 1 also for warnings and infos")
	cmd.RunE = func(_ *cobra.Command, files []string) error {
		wantJSON, err := asJSON()
		if err != nil {
			return err
		}
		if len(files) == 0 {
			files = []string{"-"}
		}
		found := []fileFinding{}
		for _, name := range files {
			text, err := readPolicy(s, name)
			if err != nil {
				return err
			}
			kind, err := kindOf(text)
			if err != nil {
				return err
			}
			for _, f := range iam.Lint(kind, text) {
				found = append(found, fileFinding{File: name, Finding: f})
			}
		}
		if err := printFindings(s.Out, found, wantJSON); err != nil {
			return err
		}
		return lintStatus(found, strict)
	}
	return cmd
}

func printFindings(out io.Writer, found []fileFinding, asJSON bool) error {
	if asJSON {
		return printJSON(out, found)
	}
	if len(found) == 0 {
		fmt.Fprintln(out, "no findings")
		return nil
	}
	for i, f := range found {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s:%d:%d: %s: %s [%s]\n", printable(f.File), f.Line, f.Column, f.Severity, printable(f.Message), f.Rule)
		if f.Path != "" {
			fmt.Fprintf(out, "  at: %s\n", printable(f.Path))
		}
		if f.Mend != "" {
			fmt.Fprintf(out, "  mend: %s\n", printable(f.Mend))
		}
	}
	return nil
}

func lintStatus(found []fileFinding, strict bool) error {
	bad := 0
	for _, f := range found {
		if strict || f.Severity == iam.SeverityError {
			bad++
		}
	}
	switch {
	case bad == 0:
		return nil
	case strict:
		return fmt.Errorf("%d findings", bad)
	case bad == 1:
		return errors.New("1 error")
	default:
		return fmt.Errorf("%d errors", bad)
	}
}
