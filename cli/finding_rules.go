package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/finding"
)

func newFindingRules(rt findingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List the rules, and how often each gave which verdict",
		Long: `List the rules, and how often each gave which verdict at the last discovery. Not
seen is what could not be read: it is never counted as passed.`,
		Example: `  gatehouse finding rules
  gatehouse finding rules -o json`,
		Args: noArgs,
	}
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, finding.Catalogue())
		}
		return withFindings(cmd, rt, flags, func(f Findings) error {
			p, err := f.Posture(cmd.Context())
			if err != nil {
				return err
			}
			return printTable(s.Out, []string{"RULE", "SEVERITY", "AREA", "APIS", "FAIL", "PASS", "NOT SEEN", "N/A", "TITLE"}, ruleRows(p))
		})
	}
	return cmd
}

func ruleRows(p *finding.Posture) [][]string {
	tallies := map[string]finding.Tally{}
	if p != nil {
		for _, t := range p.Rules {
			tallies[t.Rule] = t
		}
	}
	rules := finding.Catalogue()
	rows := make([][]string, 0, len(rules))
	for _, r := range rules {
		types := make([]string, 0, len(r.Types))
		for _, t := range r.Types {
			types = append(types, string(t))
		}
		counts := []string{"-", "-", "-", "-"}
		if t, ok := tallies[r.ID]; ok {
			counts = []string{strconv.Itoa(t.Fail), strconv.Itoa(t.Pass), strconv.Itoa(t.NotSeen), strconv.Itoa(t.NotApplicable)}
		}
		of := orAll(types)
		if r.Of == finding.OfCluster || r.Of == finding.OfPrincipal {
			of = "-"
		}
		row := append([]string{r.ID, string(r.Severity), string(r.Area), of}, counts...)
		rows = append(rows, append(row, r.Title))
	}
	return rows
}

func orAll(types []string) string {
	if len(types) == 0 {
		return "all"
	}
	return strings.Join(types, ",")
}
