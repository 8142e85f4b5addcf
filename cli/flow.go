package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
)

func newFlow(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flow",
		Short: "The rules by which access is lent: list, test, plan, apply, export",
		Long: `The access flows: who may ask for what, who has to agree, and for how long. They are
text in versions (docs/flows.md). The commands talk to a Gatehouse as the person that
'gatehouse login' signed in; who administers may test and change them.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFlowList(s), newFlowShow(s), newFlowVersions(s), newFlowTest(s), newFlowPlan(s), newFlowApply(s), newFlowExport(s))
	return cmd
}

// flows reads a version of the flows, the newest for 0.
func (c *client) flows(ctx context.Context, version int) (*access.FlowVersion, *flow.Set, error) {
	q := url.Values{}
	if version > 0 {
		q.Set("version", strconv.Itoa(version))
	}
	v := new(access.FlowVersion)
	if _, err := c.do(ctx, http.MethodGet, with(at("flows"), q), nil, v); err != nil {
		return nil, nil, err
	}
	set, err := flow.Parse([]byte(v.Text))
	if err != nil {
		return nil, nil, withHint(fmt.Errorf("version %d of the flows cannot be read here: %w", v.Version, err), "use the gatehouse of the server's version")
	}
	return v, set, nil
}

func newFlowList(s *Streams) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the flows in force, and the bundles", Args: noArgs}
	return talk(cmd, func(ctx context.Context, c *client, _ []string, asJSON bool) error {
		v, set, err := c.flows(ctx, 0)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, struct {
				Version int           `json:"version"`
				Flows   []flow.Flow   `json:"flows"`
				Bundles []flow.Bundle `json:"bundles,omitempty"`
			}{v.Version, append([]flow.Flow{}, set.Flows...), set.Bundles})
		}
		if len(set.Flows)+len(set.Bundles) == 0 {
			_, err := fmt.Fprintln(s.Out, "there are no flows: nobody may ask for anything; 'gatehouse flow apply' adds some")
			return err
		}
		rows := make([][]string, 0, len(set.Flows)+len(set.Bundles))
		for i := range set.Flows {
			f := &set.Flows[i]
			active := "yes"
			if !f.Active {
				active = "no"
			}
			rows = append(rows, []string{f.Name, active, strconv.Itoa(f.Priority), flow.FormatDuration(f.Duration.Max), f.Requestors.String(), agreeText(f), targetsText(f.Targets)})
		}
		for i := range set.Bundles {
			rows = append(rows, []string{"bundle " + set.Bundles[i].Name, "-", "-", "-", "-", "-", targetsText(set.Bundles[i].Targets)})
		}
		return printTable(s.Out, []string{"FLOW", "ACTIVE", "PRIORITY", "AT MOST", "WHO MAY ASK", "WHO AGREES", "WHAT"}, rows)
	})
}

// agreeText says who has to agree to what a flow gives.
func agreeText(f *flow.Flow) string {
	var parts []string
	if f.AutoApprove != nil {
		parts = append(parts, "nobody")
		if !f.AutoApprove.Always {
			parts[0] = "nobody, on conditions"
		}
	}
	if f.Approval != nil {
		parts = append(parts, f.Approval.String())
	}
	if f.BreakGlass != nil {
		parts = append(parts, "break-glass: "+f.BreakGlass.Who.String())
	}
	return strings.Join(parts, "; else ")
}

func targetsText(targets []flow.Target) string {
	parts := make([]string, len(targets))
	for i := range targets {
		parts[i] = targets[i].String()
	}
	return strings.Join(parts, "; ")
}

func newFlowShow(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Print the flows in force as they were written, or one of them",
		Example: `  gatehouse flow show > flows.yaml
  gatehouse flow show "Payments namespaces"
  gatehouse flow show --version 3`,
		Args: named("at most the name of one flow", 0, 1),
	}
	version := cmd.Flags().Int("version", 0, "an older version (default the newest)")
	return talk(cmd, func(ctx context.Context, c *client, args []string, asJSON bool) error {
		if *version < 0 {
			return usagef("--version %d: versions begin at 1", *version)
		}
		v, set, err := c.flows(ctx, *version)
		if err != nil {
			return err
		}
		if len(args) == 1 {
			if set, err = picked(set, args); err != nil {
				return err
			}
			v.Text = string(set.Format())
		}
		if asJSON {
			return printJSON(s.Out, v)
		}
		if v.Version == 0 {
			fmt.Fprintln(s.Err, "gatehouse: there are no flows yet")
			return nil
		}
		// It is YAML, which holds no control characters, and is kept as it is for files.
		_, err = io.WriteString(s.Out, v.Text)
		return err
	})
}

// picked is the part of a set that names name; all of it for none.
func picked(set *flow.Set, names []string) (*flow.Set, error) {
	if len(names) == 0 {
		return set, nil
	}
	for _, n := range names {
		if set.Flow(n) == nil {
			return nil, withHint(fmt.Errorf("there is no flow %q", n), "'gatehouse flow list' lists them")
		}
	}
	if set = set.Pick(names...); set == nil {
		return nil, usagef("name each flow once")
	}
	return set, nil
}

func newFlowVersions(s *Streams) *cobra.Command {
	cmd := &cobra.Command{Use: "versions", Short: "List the versions of the flows: who made them, and when", Args: noArgs}
	limit := cmd.Flags().Int("limit", 100, "at most so many, up to 1000")
	return talk(cmd, func(ctx context.Context, c *client, _ []string, asJSON bool) error {
		if *limit < 1 || *limit > 1000 {
			return usagef("--limit %d: it is between 1 and 1000", *limit)
		}
		versions := []access.FlowVersion{}
		if _, err := c.do(ctx, http.MethodGet, with(at("flows", "versions"), url.Values{"limit": {strconv.Itoa(*limit)}}), nil, &versions); err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, versions)
		}
		if len(versions) == 0 {
			_, err := fmt.Fprintln(s.Out, "there are no flows yet")
			return err
		}
		rows := make([][]string, 0, len(versions))
		for _, v := range versions {
			rows = append(rows, []string{strconv.Itoa(v.Version), utc(v.At), v.By, orDash(v.Source), v.Digest})
		}
		return printTable(s.Out, []string{"VERSION", "TIME (UTC)", "BY", "FROM", "SHA-256"}, rows)
	})
}

func newFlowTest(s *Streams) *cobra.Command {
	var f askFlags
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Say what each flow makes of a question, and who could agree",
		Long: `Say what each flow makes of a question, check by check, which one answers, and who could
agree. With --file the flows of a file are asked, a draft, and those in force have no say;
the first line says which were asked. Nothing is asked for. The exit status is 1 if no
flow gives it.`,
		Example: `  gatehouse flow test --by ann@example.com -i prod-1 -r payments -p edit -d 2h -j "INC-1234"
  gatehouse flow test --by ann@example.com -b "On-call kit" --file flows.yaml`,
		Args: noArgs,
	}
	f.add(cmd)
	by := cmd.Flags().String("by", "", "who would ask: their e-mail address; needed")
	file := cmd.Flags().StringP("file", "f", "", "flows to ask instead of those in force (\"-\" is standard input)")
	return talk(cmd, func(ctx context.Context, c *client, _ []string, asJSON bool) error {
		ask, err := f.ask()
		switch {
		case err != nil:
			return err
		case *by == "":
			return usagef("--by: say who would ask")
		case !f.whole():
			return f.missing()
		}
		body := struct {
			*api.AccessAsk
			By   string  `json:"by"`
			Text *string `json:"text,omitempty"`
		}{ask, *by, nil}
		if *file != "" {
			text, err := flowsOf(s, *file)
			if err != nil {
				return err
			}
			body.Text = &text
		}
		e := new(api.AccessExplanation)
		if _, err := c.do(ctx, http.MethodPost, at("flows", "test"), body, e); err != nil {
			return err
		}
		if asJSON {
			err = printJSON(s.Out, e)
		} else {
			printAsked(s.Out, e, *file)
			printExplanation(s.Out, e)
			printTrial(s.Out, e.Trial)
		}
		if err != nil {
			return err
		}
		if e.Terms.Outcome != flow.NeedsApproval && e.Terms.Outcome != flow.AutoApproved {
			return access.ErrNotGiven
		}
		return nil
	})
}

// printAsked tells which flows were asked.
func printAsked(w io.Writer, e *api.AccessExplanation, file string) {
	switch {
	case file == "-":
		fmt.Fprintln(w, "asked: the draft on standard input, not the flows in force")
	case file != "":
		fmt.Fprintf(w, "asked: the draft %s, not the flows in force\n", printable(file))
	case e.Trial != nil && e.Trial.Version > 0:
		fmt.Fprintf(w, "asked: the flows in force, version %d\n", e.Trial.Version)
	default:
		fmt.Fprintln(w, "asked: the flows in force; there are none yet")
	}
}

// printTrial tells what each flow said, and who could agree.
func printTrial(w io.Writer, t *flow.Trial) {
	if t == nil {
		return
	}
	for i := range t.Flows {
		f := &t.Flows[i]
		answer := string(f.Outcome)
		if f.Answers {
			answer += ", and answers"
		}
		fmt.Fprintf(w, "\nflow %s: %s\n", printable(f.Flow), answer)
		for _, c := range f.Checks {
			mark := "ok  "
			if !c.OK {
				mark = "no  "
			}
			fmt.Fprintf(w, "  %s%s: %s\n", mark, c.Name, printable(c.Detail))
		}
	}
	for i := range t.Approvers {
		g := &t.Approvers[i]
		when := ""
		if g.After > 0 {
			when = ", after " + flow.FormatDuration(g.After)
		}
		fmt.Fprintf(w, "\ncould agree%s: %s\n", when, printable(g.Text))
		for _, p := range g.People {
			fmt.Fprintf(w, "  %s: %s\n", printable(p.ID), printable(p.Why))
		}
		switch {
		case g.Open:
			fmt.Fprintln(w, "  and others who cannot be listed")
		case len(g.People) == 0:
			fmt.Fprintln(w, "  nobody that is known")
		}
	}
}

// maxText bounds a file that is sent to the server.
const maxText = 1 << 20

func readText(s *Streams, name string) (text []byte, err error) {
	err = withFile(s, name, func(r io.Reader) error {
		text, err = io.ReadAll(io.LimitReader(r, maxText+1))
		if err == nil && len(text) > maxText {
			err = fmt.Errorf("%s is larger than %d bytes", name, maxText)
		}
		return err
	})
	return text, err
}

// flowsOf reads flows from a file. What it holds of integrations is left to
// 'gatehouse integration apply'.
func flowsOf(s *Streams, name string) (string, error) {
	text, err := readText(s, name)
	if err != nil {
		return "", err
	}
	_, wrong := flow.Parse(text)
	if wrong == nil {
		return string(text), nil
	}
	code, err := ascode.ParseYAML(text)
	if err != nil || len(code.Integrations) == 0 {
		return "", wrongFlows(name, wrong)
	}
	return string(code.Flows.Format()), nil
}

// wrongFlows names the file before each place.
func wrongFlows(name string, err error) error {
	all, ok := errors.AsType[flow.Errors](err)
	if !ok {
		return fmt.Errorf("%s: %w", name, err)
	}
	out := make([]error, len(all))
	for i, e := range all {
		out[i] = fmt.Errorf("%s:%w", name, e)
	}
	return errors.Join(out...)
}

func newFlowExport(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [NAME…]",
		Short: "Write flows as code: Gatehouse's YAML, or Terraform of the apono provider",
		Long: `Write the flows in force, or those that are named with the bundles that they lend, as
code: Gatehouse's YAML, or Terraform of the apono provider's schema. What Terraform has
no words for stands in it as a comment, and is told on standard error.`,
		Example: `  gatehouse flow export > flows.yaml
  gatehouse flow export --as terraform "Payments namespaces" > payments.tf`,
		Args: cobra.ArbitraryArgs,
	}
	connect := addServer(cmd)
	as := addAs(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		write, err := as()
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		_, set, err := c.flows(cmd.Context(), 0)
		if err != nil {
			return err
		}
		if set, err = picked(set, args); err != nil {
			return err
		}
		return write(s, ascode.Code{Flows: set})
	}
	return cmd
}

// addAs gives cmd the flag --as yaml|terraform. The returned function says how to write
// code, and refuses any other language.
func addAs(cmd *cobra.Command) func() (func(*Streams, ascode.Code) error, error) {
	as := cmd.Flags().String("as", "yaml", "the language: yaml or terraform")
	return func() (func(*Streams, ascode.Code) error, error) {
		write := ascode.YAML
		switch *as {
		case "yaml":
		case "terraform":
			write = ascode.Terraform
		default:
			return nil, withHint(usagef("--as: %q is no language of code", *as), "use --as yaml or --as terraform")
		}
		return func(s *Streams, code ascode.Code) error {
			text, lost, err := write(code)
			if err != nil {
				return err
			}
			for _, l := range lost {
				fmt.Fprintf(s.Err, "gatehouse: not in the text: %s\n", printable(l.String()))
			}
			_, err = s.Out.Write(text)
			return err
		}, nil
	}
}

// fromInput reports whether a file is standard input, which then cannot be asked.
func fromInput(s *Streams, name string) bool {
	_, isFile := s.In.(*os.File)
	return name == "-" && isFile
}
