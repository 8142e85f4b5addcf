package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/doctor"
)

// doctorRuntime is what doctor asks of the product.
type doctorRuntime interface {
	// Doctor checks the whole chain. But for one write to the store it changes
	// nothing in AWS.
	Doctor(ctx context.Context, c *config.Config, progress func(doctor.Progress)) *doctor.Report
}

// doctorSettings are those of collecting that can be checked.
var doctorSettings = append([]string{
	"sinks", "state", "log_group_prefix", "log_group_arns", "prefix_only", "poll_interval",
}, reachSettings...)

func newDoctor(rt doctorRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check credentials, roles, permissions, logging, quotas and sinks, and say how to mend each",
		Long: `Check the whole chain on which collecting stands: the settings, the store, the base
credentials and the clock, the hub role, each account's role, its regions, every
permission that collecting needs, what the stages log, and the sinks. It takes the
settings of collect and serve.

Every permission is tried with the smallest call that needs it; nothing is changed
in AWS. What is wrong is listed with what to do, and with the policy statement to
add where one lacks. The exit status is 1 if anything fails; warnings do not count.`,
		Example: `  gatehouse doctor --config gatehouse.yaml
  gatehouse doctor --role-arn arn:aws:iam::111122223333:role/GatehouseCollector --region eu-west-1 -o json`,
		Args: noArgs,
	}
	flags := addSettings(cmd, doctorSettings...)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		report, err := examine(cmd, rt, s, flags)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(s.Out, report)
		} else {
			err = printReport(s.Out, report)
		}
		if err != nil {
			return err
		}
		if report.Failures > 0 {
			return fmt.Errorf("%d of %d checks failed", report.Failures, len(report.Results))
		}
		return nil
	}
	return cmd
}

// examine runs the doctor. Settings that cannot be used are the one result then.
func examine(cmd *cobra.Command, rt doctorRuntime, s *Streams, flags *settingFlags) (*doctor.Report, error) {
	c, err := flags.load(cmd)
	if _, ok := errors.AsType[*UsageError](err); ok {
		return nil, err
	}
	if err != nil {
		return doctor.BadSettings(err), nil
	}
	shown := newProgress(s.Err, "checks")
	report := rt.Doctor(cmd.Context(), c, func(p doctor.Progress) { shown.show(p.Done, p.Total, p.Note) })
	shown.end()
	return report, cmd.Context().Err()
}

// diagnosis is a result, and all places where it is the same.
type diagnosis struct {
	doctor.Result
	general  string // with stars for the account and the region
	places   []string
	subjects []string
	whats    []string
}

// shownPlaces bounds how many places are named of one finding.
const shownPlaces = 3

// printReport writes a line for each finding, and below what is to be mended. What
// is the same in several places is one finding: a permission that lacks is met in
// every region.
func printReport(w io.Writer, r *doctor.Report) error {
	var findings []*diagnosis
	for i := range r.Results {
		result := &r.Results[i]
		f := &diagnosis{Result: *result, general: generalOf(result)}
		if at := slices.IndexFunc(findings, func(g *diagnosis) bool { return g.general == f.general }); at >= 0 {
			f = findings[at]
		} else {
			findings = append(findings, f)
		}
		if place := strings.TrimSpace(result.Account + " " + result.Region); place != "" && !slices.Contains(f.places, place) {
			f.places = append(f.places, place)
		}
		if !slices.Contains(f.whats, result.What) {
			f.whats = append(f.whats, result.What)
		}
		if result.Subject != "" && !slices.Contains(f.subjects, result.Subject) {
			f.subjects = append(f.subjects, result.Subject)
		}
	}
	rows := make([][]string, 0, len(findings))
	for _, f := range findings {
		found := f.What
		if len(f.whats) > 1 && f.Status == doctor.OK {
			found = fmt.Sprintf("fine in %d places; -o json has each", len(f.places))
		}
		rows = append(rows, []string{string(f.Status), f.Check, orDash(f.where()), found})
	}
	if err := printTable(w, []string{"STATUS", "CHECK", "WHERE", "FOUND"}, rows); err != nil {
		return err
	}
	printMends(w, findings)
	fmt.Fprintf(w, "\n%d ok, %s, %s\n", r.OK, counted(r.Warnings, "warning"), counted(r.Failures, "failure"))
	return nil
}

// generalOf is what makes two results the same finding.
func generalOf(r *doctor.Result) string {
	text := strings.Join([]string{string(r.Status), r.Check, r.What, r.Mend, r.Statement}, "\x00")
	if r.Status == doctor.OK && r.Account != "" {
		text = strings.Join([]string{string(r.Status), r.Check}, "\x00")
	}
	for _, name := range []string{r.Account, r.Region} {
		if name != "" {
			text = strings.ReplaceAll(text, name, "*")
		}
	}
	if r.Account == "" {
		text += "\x00" + r.Subject // a sink, a setting: each for itself
	}
	return text
}

// where names the places of a finding, or its subject where it has none.
func (f *diagnosis) where() string {
	places := f.places
	if len(places) == 0 {
		places = f.subjects
	}
	return few(places)
}

// everywhere puts a star for the account and the region of a finding of several,
// which in a statement means all of them.
func (f *diagnosis) everywhere(text string) string {
	for i, name := range []string{f.Account, f.Region} {
		same := func(place string) bool {
			part := strings.Fields(place)
			return i < len(part) && part[i] == name
		}
		if name != "" && slices.ContainsFunc(f.places, func(place string) bool { return !same(place) }) {
			text = strings.ReplaceAll(text, name, "*")
		}
	}
	return text
}

func few(list []string) string {
	if more := len(list) - shownPlaces; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:shownPlaces], ", "), more)
	}
	return strings.Join(list, ", ")
}

// printMends lists what is to be mended, failures before warnings.
func printMends(w io.Writer, findings []*diagnosis) {
	var bad []*diagnosis
	for _, f := range findings {
		if f.Status != doctor.OK {
			bad = append(bad, f)
		}
	}
	if len(bad) == 0 {
		return
	}
	slices.SortStableFunc(bad, func(a, b *diagnosis) int {
		return cmp.Compare(boolInt(a.Status != doctor.Fail), boolInt(b.Status != doctor.Fail))
	})
	fmt.Fprintln(w, "\nto mend:")
	for _, f := range bad {
		fmt.Fprintf(w, "  %s: %s", f.Status, printable(f.Check))
		if where := f.where(); where != "" {
			fmt.Fprintf(w, ", %s", printable(where))
		}
		fmt.Fprintf(w, "\n    %s\n", printable(f.What))
		if len(f.places) > 0 && len(f.subjects) > 0 {
			fmt.Fprintf(w, "    of:   %s\n", printable(few(f.subjects)))
		}
		for _, line := range []struct{ word, text string }{{"why: ", f.Why}, {"mend:", f.everywhere(f.Mend)}, {"add: ", f.everywhere(f.Statement)}} {
			if line.text != "" {
				fmt.Fprintf(w, "    %s %s\n", line.word, printable(line.text))
			}
		}
	}
}

// counted is a number of things, one or several.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
