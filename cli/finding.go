package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/finding"
)

// findingRuntime is what the commands of findings ask of the product.
type findingRuntime interface {
	// Findings opens the findings of a state; the caller calls the function that it
	// gets with them when it is done.
	Findings(ctx context.Context, c *config.Config) (Findings, func() error, error)
}

// Findings are what the rules found in the estate.
type Findings interface {
	List(ctx context.Context, q finding.Query) (finding.Page, error)
	Get(ctx context.Context, id string) (*finding.Finding, error)
	Set(ctx context.Context, id string, d finding.Decision) (*finding.Finding, error)
	Posture(ctx context.Context) (*finding.Posture, error)
}

var _ Findings = (*finding.Book)(nil)

func newFinding(rt findingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "finding",
		Short: "See what the rules found in the estate, and decide about it",
		Long: `After each discovery, rules judge the configuration of all APIs and EKS clusters,
and the IAM roles and users that have to do with them. What one finds wrong is a finding, which stays the same one while the thing is there. Gatehouse
sets it to fixed when the rule does not find it any more, and to regressed when it
comes back. People acknowledge it, accept it until a date, or call it a false
positive, and say why.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFindingList(rt, s), newFindingShow(rt, s), newFindingSet(rt, s), newFindingRules(rt, s))
	return cmd
}

// withFindings calls do with the findings of a command's settings.
func withFindings(cmd *cobra.Command, rt findingRuntime, flags *settingFlags, do func(Findings) error) error {
	c, err := flags.load(cmd)
	if err != nil {
		return err
	}
	findings, done, err := rt.Findings(cmd.Context(), c)
	if err != nil {
		return err
	}
	err = do(findings)
	if errors.Is(err, finding.ErrNotFound) || errors.Is(err, finding.ErrInvalidQuery) {
		err = withHint(err, "see 'gatehouse finding list', with the same --state")
	}
	return errors.Join(err, done())
}

func newFindingList(rt findingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List findings, the worst first",
		Long: `List findings, the worst first: those that wait for somebody (open, acknowledged
and regressed), unless --status says otherwise.`,
		Example: `  gatehouse finding list --severity critical,high
  gatehouse finding list --rule route-open --status accepted,false_positive -o json`,
		Args: noArgs,
	}
	var q finding.Query
	var severities, states []string
	cmd.Flags().StringSliceVar(&severities, "severity", nil, "only these severities: "+joined(finding.Severities()))
	cmd.Flags().StringSliceVar(&states, "status", nil, "only findings in these states: all, or "+joined(finding.States()))
	cmd.Flags().StringVar(&q.Rule, "rule", "", "only this rule, by its id")
	area := cmd.Flags().String("area", "", "only this area: "+joined(finding.Areas()))
	cmd.Flags().StringVar(&q.Account, "account", "", "only this account")
	cmd.Flags().StringVar(&q.Region, "in-region", "", "only this region")
	cmd.Flags().StringVar(&q.API, "api", "", "only this API, by its id")
	limit := cmd.Flags().Int("limit", 100, "how many to list at most; 0: all")
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if *limit < 0 {
			return usagef("--limit: must not be negative, not %d", *limit)
		}
		if q.Severities, err = chosen("severity", severities, finding.Severities()); err != nil {
			return err
		}
		if *area != "" {
			areas, err := chosen("area", []string{*area}, finding.Areas())
			if err != nil {
				return err
			}
			q.Area = areas[0]
		}
		switch {
		case len(states) == 0:
			q.States = finding.Unsettled()
		case !slices.Equal(states, []string{"all"}):
			if q.States, err = chosen("status", states, finding.States()); err != nil {
				return err
			}
		}
		if q.Rule != "" && finding.RuleOf(q.Rule) == nil {
			return withHint(usagef("--rule: there is no rule %q", q.Rule), "see 'gatehouse finding rules'")
		}
		return withFindings(cmd, rt, flags, func(f Findings) error {
			all, total, err := allFindings(cmd.Context(), f, q, *limit)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, all)
			}
			if len(all) == 0 {
				return tellNoFindings(cmd.Context(), s, f)
			}
			if err := printTable(s.Out, []string{"ID", "SEVERITY", "STATE", "ACCOUNT", "REGION", "API", "WHERE", "RULE", "FINDING"}, findingRows(all)); err != nil {
				return err
			}
			if total > len(all) {
				fmt.Fprintln(s.Err, strconv.Itoa(total-len(all))+" more; see --limit")
			}
			return nil
		})
	}
	return cmd
}

// chosen reads words of a flag, each of which must be one of the known.
func chosen[T ~string](flag string, words []string, known []T) ([]T, error) {
	out := make([]T, 0, len(words))
	for _, w := range words {
		if !slices.Contains(known, T(w)) {
			return nil, withHint(usagef("--%s: there is no %q", flag, w), "use one of "+joined(known))
		}
		out = append(out, T(w))
	}
	return out, nil
}

// allFindings reads pages until there are as many as wanted; 0: all.
func allFindings(ctx context.Context, f Findings, q finding.Query, limit int) (all []finding.Finding, total int, err error) {
	all = []finding.Finding{}
	for {
		q.Limit = 1000
		if limit > 0 {
			q.Limit = min(q.Limit, limit-len(all))
		}
		page, err := f.List(ctx, q)
		if err != nil {
			return nil, 0, err
		}
		all, total = append(all, page.Findings...), page.Total
		if q.Cursor = page.Next; q.Cursor == "" || limit > 0 && len(all) >= limit {
			return all, total, nil
		}
	}
}

// tellNoFindings says whether there is nothing, or nobody has looked yet.
func tellNoFindings(ctx context.Context, s *Streams, f Findings) error {
	p, err := f.Posture(ctx)
	if err != nil {
		return err
	}
	if p == nil {
		fmt.Fprintln(s.Err, "nothing was judged yet; 'gatehouse estate discover' looks")
		return nil
	}
	fmt.Fprintln(s.Err, "no findings")
	return nil
}

func findingRows(all []finding.Finding) [][]string {
	rows := make([][]string, len(all))
	for i := range all {
		f := &all[i]
		state := string(f.State)
		if f.NotSeen {
			state += " (" + notSeen + ")"
		}
		rows[i] = []string{f.ID, string(f.Severity), state, f.Subject.Account, orDash(f.Subject.Region), orDash(apiText(f.Subject)), orDash(whereText(f.Subject)), f.Rule, f.Title}
	}
	return rows
}

func apiText(s finding.Subject) string {
	if s.APIName == "" {
		return s.API
	}
	return s.APIName
}

func whereText(s finding.Subject) string {
	switch {
	case s.Stage != "":
		return "stage " + s.Stage
	case s.Kind == finding.OfCluster:
		return "cluster " + s.Name
	default:
		return s.Name
	}
}
