package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
)

// healthText is ok, or what is wrong in a word.
func healthText(i *access.IntegrationView) string {
	switch {
	case i.Trouble != "":
		return "not lent"
	case i.Health.Error != "" || i.Health.ReconcileError != "" || i.Health.RotateError != "":
		return "trouble"
	case len(i.Drift) > 0:
		return "drift"
	default:
		return "ok"
	}
}

func newIntegrationShow(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show an integration: its settings, checks and drift",
		Example: `  gatehouse integration show prod-1`,
		Args:    named("the name of an integration", 1, 1),
	}
	return talk(cmd, func(ctx context.Context, c *client, args []string, asJSON bool) error {
		v, _, err := c.integration(ctx, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, v)
		}
		return printIntegration(s.Out, v)
	})
}

func printIntegration(w io.Writer, v *access.IntegrationView) error {
	facts := [][]string{
		{"type", v.Type},
		{"health", healthText(v)},
		{"live grants", strconv.Itoa(v.Live)},
		{"resources", strconv.Itoa(v.Health.Resources)},
	}
	add := func(name, value string) {
		if value != "" && value != "-" {
			facts = append(facts, []string{name, value})
		}
	}
	add("trouble", v.Trouble)
	add("lends", strings.Join(v.ResourceTypes, ", "))
	for _, key := range keysOf(v.Config) {
		add(key, firstLine(v.Config[key]))
	}
	if sec := v.Secret; sec != nil {
		switch {
		case sec.Kubernetes != nil:
			add("secret", "Kubernetes secret "+sec.Kubernetes.Namespace+"/"+sec.Kubernetes.Name)
		case sec.AWS != nil:
			add("secret", "AWS Secrets Manager "+sec.AWS.SecretID+" in "+sec.AWS.Region)
		default:
			add("secret", "environment "+sec.Environment+"_…")
		}
	}
	owners := make([]string, 0, len(v.Owner))
	for _, o := range v.Owner {
		owners = append(owners, o.Kind+" "+o.Value)
	}
	add("owner", strings.Join(owners, ", "))
	if v.OwnerTag != "" {
		add("resource owner", v.OwnerKind+" in the tag "+v.OwnerTag)
	}
	add("access details", firstLine(v.AccessDetails))
	if v.RotationDays > 0 {
		add("rotation", "every "+counted(v.RotationDays, "day"))
	}
	if v.CleanupDays > 0 {
		add("clean-up", counted(v.CleanupDays, "day")+" after a person's last grant")
	}
	h := &v.Health
	add("checked (UTC)", utc(h.CheckedAt))
	add("discovered (UTC)", utc(h.DiscoveredAt))
	add("discovery", h.Error)
	add("compared (UTC)", utc(h.ReconciledAt))
	add("comparison", h.ReconcileError)
	add("rotation failed", h.RotateError)
	if err := printTable(w, []string{"INTEGRATION", v.Name}, facts); err != nil {
		return err
	}
	if len(h.Checks) > 0 {
		fmt.Fprintln(w)
		if err := printChecks(w, h.Checks); err != nil {
			return err
		}
	}
	if len(h.Runs) > 0 {
		fmt.Fprintln(w)
		if err := printRuns(w, h.Runs); err != nil {
			return err
		}
	}
	if len(v.Drift) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return printDrift(w, v.Drift)
}

func keysOf(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// firstLine cuts a long setting, such as a certificate, so that a table stays one.
func firstLine(text string) string {
	line, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(line); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	if rest != "" {
		line += " ..."
	}
	return line
}

func printChecks(w io.Writer, checks []access.Check) error {
	rows := make([][]string, 0, len(checks))
	for _, c := range checks {
		rows = append(rows, []string{c.Name, c.Result, c.Detail})
	}
	if err := printTable(w, []string{"CHECK", "RESULT", "WHAT WAS SEEN"}, rows); err != nil {
		return err
	}
	for _, c := range checks {
		if c.Mend != "" && c.Result != "ok" {
			fmt.Fprintf(w, "\nto mend %s:\n  %s\n", printable(c.Name), strings.ReplaceAll(strings.TrimRight(printableLines(c.Mend), "\n"), "\n", "\n  "))
		}
	}
	return nil
}

// printRuns lists what people had the target asked, the newest first.
func printRuns(w io.Writer, runs []access.TargetRun) error {
	rows := make([][]string, 0, len(runs))
	for i := range slices.Backward(runs) {
		r := &runs[i]
		rows = append(rows, []string{r.ID, string(r.Kind), string(r.State), utc(r.Began), utc(r.Ended), r.By, cmp.Or(r.Error, r.Doing)})
	}
	return printTable(w, []string{"RUN", "DOES", "STATE", "BEGAN (UTC)", "ENDED (UTC)", "BY", "DETAIL"}, rows)
}

var driftHeader = []string{"DRIFT", "OBJECT", "SINCE (UTC)", "GRANTS", "DETAIL"}

func driftRow(d *access.Drift) []string {
	return []string{d.Kind, cmp.Or(d.Name, d.Key), utc(d.First), orDash(strings.Join(d.Grants, ", ")), d.Detail}
}

func printDrift(w io.Writer, drift []access.Drift) error {
	rows := make([][]string, 0, len(drift))
	for i := range drift {
		rows = append(rows, driftRow(&drift[i]))
	}
	return printTable(w, driftHeader, rows)
}

// failedChecks is an error if an integration may not be lent from.
func failedChecks(name string, checks []access.Check) error {
	var failed []string
	for _, c := range checks {
		if c.Result == "failed" {
			failed = append(failed, c.Name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("nothing is lent from %s until this is mended: %s", name, strings.Join(failed, ", "))
}
