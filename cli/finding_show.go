package cli

import (
	"fmt"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/finding"
)

// findingIDs refuses another number of arguments with exit status 2.
func findingIDs(words ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(words) {
			return withHint(usagef("%s needs %s", cmd.CommandPath(), strings.Join(words, " and ")), "see 'gatehouse finding list'")
		}
		return nil
	}
}

func newFindingShow(rt findingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a finding with its evidence, how to mend it, and its history",
		Example: `  gatehouse finding show 1f2e3d4c5b6a7988`,
		Args:    findingIDs("the id of a finding"),
	}
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		return withFindings(cmd, rt, flags, func(findings Findings) error {
			f, err := findings.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, shownOf(f))
			}
			return printFinding(s, shownOf(f))
		})
	}
	return cmd
}

// shownFinding is a finding with what its rule says.
type shownFinding struct {
	*finding.Finding
	Why   string        `json:"why,omitempty"`
	Mend  finding.Mend  `json:"mend"`
	Peers finding.Peers `json:"peers"`
}

func shownOf(f *finding.Finding) shownFinding {
	out := shownFinding{Finding: f}
	if r := finding.RuleOf(f.Rule); r != nil {
		out.Why, out.Mend, out.Peers = r.Why, r.For(f.Subject), r.Peers
	}
	return out
}

func printFinding(s *Streams, f shownFinding) error {
	state := string(f.State)
	if !f.Until.IsZero() {
		state += " until " + f.Until.UTC().Format(time.DateOnly)
	}
	if f.NotSeen {
		state += " (the last discovery could not look)"
	}
	facts := make([][]string, 0, 9+len(f.Evidence))
	facts = append(facts, [][]string{
		{"finding", f.Title},
		{"severity", string(f.Severity)},
		{"state", state},
		{"rule", f.Rule},
		{"account", strings.TrimSpace(f.Subject.Account + " " + f.Subject.AccountName)},
		{"region", orDash(f.Subject.Region)},
		{"API", orDash(strings.TrimSpace(f.Subject.API + " " + f.Subject.APIName))},
		{"where", orDash(whereText(f.Subject))},
		{"opened", utc(f.Opened) + " UTC"},
	}...)
	for _, e := range f.Evidence {
		facts = append(facts, []string{e.What, e.Value})
	}
	if err := printTable(s.Out, []string{"ID", f.ID}, facts); err != nil {
		return err
	}
	for _, text := range [][2]string{{"Why it matters", f.Why}, {"Mend it with the AWS CLI", f.Mend.CLI}, {"Mend it with Terraform", f.Mend.Terraform}} {
		if text[1] != "" {
			fmt.Fprintf(s.Out, "\n%s:\n  %s\n", text[0], strings.ReplaceAll(printableLines(text[1]), "\n", "\n  "))
		}
	}
	fmt.Fprintln(s.Out)
	rows := make([][]string, 0, len(f.History))
	for _, c := range f.History {
		to := string(c.To)
		if !c.Until.IsZero() {
			to += " until " + c.Until.UTC().Format(time.DateOnly)
		}
		rows = append(rows, []string{utc(c.Time), to, c.By, orDash(c.Reason)})
	}
	return printTable(s.Out, []string{"TIME (UTC)", "STATE", "BY", "WHY"}, rows)
}

// printableLines keeps line ends and takes out what could steer a terminal.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

func newFindingSet(rt findingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set ID STATE",
		Short: "Decide about a finding: open, acknowledged, accepted or false_positive",
		Long: `Decide about a finding: open, acknowledged, accepted (until a date) or
false_positive. Who decided and why is kept with it. fixed and regressed are what
Gatehouse sets itself after it looked.`,
		Example: `  gatehouse finding set 1f2e3d4c5b6a7988 acknowledged --reason "the shop team has it"
  gatehouse finding set 1f2e3d4c5b6a7988 accepted --until 90d --reason "open beta"`,
		Args: findingIDs("the id of a finding", "a state"),
	}
	reason := cmd.Flags().String("reason", "", "why; needed")
	by := cmd.Flags().String("by", "", "who decides (default the user of this machine)")
	until := cmd.Flags().String("until", "", "when an acceptance ends: a date (2027-01-31), a time (RFC 3339) or a number of days (90d)")
	flags := addSettings(cmd, "state")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d := finding.Decision{State: finding.State(args[1]), Reason: *reason, By: *by}
		if strings.TrimSpace(*reason) == "" {
			return usagef("--reason: say why")
		}
		var err error
		if d.Until, err = endOf(*until, time.Now()); err != nil {
			return err
		}
		if d.By == "" {
			if u, err := user.Current(); err == nil {
				d.By = u.Username
			}
		}
		return withFindings(cmd, rt, flags, func(findings Findings) error {
			f, err := findings.Set(cmd.Context(), args[0], d)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "%s is %s\n", f.ID, f.State)
			return nil
		})
	}
	return cmd
}

// endOf reads when an acceptance ends; a date means the end of that day, UTC.
func endOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); err == nil && n == 1 && text == fmt.Sprintf("%dd", days) && days > 0 && days < 10_000 {
		return now.AddDate(0, 0, days), nil
	}
	return time.Time{}, usagef("--until: %q is no date (2027-01-31), time (RFC 3339) or number of days (90d)", text)
}
