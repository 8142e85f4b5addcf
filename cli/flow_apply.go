package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
)

// flowFile are the flags of plan and apply.
type flowFile struct {
	connect func() (*client, error)
	output  func() (bool, error)
	prune   *bool
}

func addFlowFile(cmd *cobra.Command) flowFile {
	return flowFile{
		addServer(cmd), addOutput(cmd),
		cmd.Flags().Bool("prune", false, "delete flows and bundles that are not in the file"),
	}
}

// plan asks the server what applying a file would change.
func (f *flowFile) plan(ctx context.Context, s *Streams, c *client, name string) (*api.FlowsText, *access.FlowPlan, error) {
	text, err := flowsOf(s, name)
	if err != nil {
		return nil, nil, err
	}
	body := &api.FlowsText{Text: text, Prune: *f.prune, Source: "file"}
	p := new(access.FlowPlan)
	_, err = c.do(ctx, http.MethodPost, at("flows", "plan"), body, p)
	return body, p, err
}

func newFlowPlan(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what applying a file would change; nothing is changed",
		Long: `Show what applying a file would change, and what is wrong with it in the world as it is:
a flow that could never be approved is refused. What was changed elsewhere since a file
was last applied is told. The exit status is 1 if the file would be refused.`,
		Example: `  gatehouse flow plan flows.yaml
  gatehouse flow plan flows.yaml --prune -o json`,
		Args: named("a file (\"-\" is standard input)", 1, 1),
	}
	f := addFlowFile(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := f.output()
		if err != nil {
			return err
		}
		c, err := f.connect()
		if err != nil {
			return err
		}
		_, p, err := f.plan(cmd.Context(), s, c, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(s.Out, p)
		} else {
			printFlowPlan(s.Out, args[0], p)
		}
		return errors.Join(err, refusedPlan(p))
	}
	return cmd
}

func refusedPlan(p *access.FlowPlan) error {
	if p.HasErrors() {
		return errors.New("the flows are refused as they are; nothing was changed")
	}
	return nil
}

func newFlowApply(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make the flows of a file those in force, after showing what changes",
		Long: `Make the flows of a file those in force. The plan is shown first, and what is applied is
what was shown: if somebody changes the flows in between, nothing is. What is not in the
file stays, unless --prune is given. Requests that wait keep the rule that they were made
under.`,
		Example: `  gatehouse flow apply flows.yaml
  gatehouse flow apply flows.yaml --prune --yes`,
		Args: named("a file (\"-\" is standard input)", 1, 1),
	}
	f := addFlowFile(cmd)
	yes := cmd.Flags().BoolP("yes", "y", false, "carry the plan out without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := f.output()
		if err != nil {
			return err
		}
		if !*yes && (asJSON || fromInput(s, args[0]) || !asks(s)) {
			return withHint(usagef("nobody can be asked here whether to make the changes"), "give --yes, or see the plan with 'gatehouse flow plan'")
		}
		c, err := f.connect()
		if err != nil {
			return err
		}
		body, p, err := f.plan(cmd.Context(), s, c, args[0])
		if err != nil {
			return err
		}
		if !asJSON {
			printFlowPlan(s.Out, args[0], p)
		}
		if !p.HasErrors() && p.HasChanges() {
			if err := consent(cmd.Context(), s, *yes, "Apply this?"); err != nil {
				return err
			}
			base := p.Base
			p = new(access.FlowPlan)
			if _, err := c.do(cmd.Context(), http.MethodPut, at("flows"), body, p, "If-Match", `"`+strconv.Itoa(base)+`"`); err != nil {
				if isRefused(err, http.StatusPreconditionFailed, http.StatusConflict) {
					err = withHint(fmt.Errorf("nothing was applied: %w", err), "run it again to see the plan over what they made; 'gatehouse flow versions' tells who did")
				}
				return err
			}
			if !asJSON && p.Version > 0 {
				fmt.Fprintf(s.Out, "applied as version %d\n", p.Version)
			}
		}
		if asJSON {
			err = printJSON(s.Out, p)
		}
		return errors.Join(err, refusedPlan(p))
	}
	return cmd
}

// printFlowPlan shows what applying a file changes.
func printFlowPlan(w io.Writer, name string, p *access.FlowPlan) {
	for _, b := range p.Problems {
		kind, where := "error", name
		if b.Warning {
			kind = "warning"
		}
		if b.Line > 0 {
			where += fmt.Sprintf(":%d:%d", b.Line, b.Column)
		}
		line := kind + ": " + where
		if b.Flow != "" {
			line += ": flow " + strings.TrimPrefix(b.Flow, "flow ")
		} else if b.Bundle != "" {
			line += ": bundle " + b.Bundle
		}
		if b.Path != "" {
			line += ": " + b.Path
		}
		line += ": " + b.Message
		if b.Hint != "" {
			line += "; " + b.Hint
		}
		fmt.Fprintln(w, printable(line))
	}
	for _, d := range p.Drift {
		fmt.Fprintf(w, "! %s %s was %s elsewhere since a file was last applied\n", d.Kind, printable(d.Name), d.What)
	}
	same := 0
	for i := range p.Changes {
		ch := &p.Changes[i]
		mark := map[flow.Action]string{flow.Create: "+", flow.Update: "~", flow.Delete: "-"}[ch.Action]
		if mark == "" {
			same++
			continue
		}
		fmt.Fprintf(w, "%s %s %s\n", mark, ch.Kind, printable(ch.Name))
		printChanges(w, ch.Fields)
	}
	switch {
	case p.HasErrors():
	case !p.HasChanges():
		fmt.Fprintf(w, "nothing to change: %s as they are\n", countFlows(same))
	default:
		fmt.Fprintf(w, "%d to change, %d unchanged\n", len(p.Changes)-same, same)
	}
}

func printChanges(w io.Writer, fields []flow.FieldChange) {
	for _, f := range fields {
		fmt.Fprintf(w, "    %s: %s → %s\n", printable(f.Path), printable(orDash(f.Old)), printable(orDash(f.New)))
	}
}

func countFlows(n int) string {
	if n == 1 {
		return "1 flow or bundle stays"
	}
	return fmt.Sprintf("%d flows and bundles stay", n)
}
