package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
)

func newEstateHistory(rt estateRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List what appeared, changed and went in the estate",
		Long: `List what appeared, changed and went from one discovery to the next, the newest
first, with the field and its value before and after.

A change is told with the time of the discovery that saw it. What could not be
read is not told as gone.`,
		Example: `  gatehouse estate history --since 24h
  gatehouse estate history --type stage --api a1b2c3d4e5 -o json`,
		Args: noArgs,
	}
	var q estate.HistoryQuery
	var of, kind, since, until string
	cmd.Flags().StringVar(&q.Account, "account", "", "only this account")
	cmd.Flags().StringVar(&q.Region, "in-region", "", "only this region")
	cmd.Flags().StringVar(&q.API, "api", "", "only this API, by its id")
	cmd.Flags().StringVar(&of, "type", "", "only one kind of thing: "+joined(estate.SubjectTypes()))
	cmd.Flags().StringVar(&kind, "kind", "", "only appeared, changed or went")
	cmd.Flags().StringVar(&since, "since", "", "from this time on: a duration (1h, 7d) or a time (RFC 3339)")
	cmd.Flags().StringVar(&until, "until", "", "before this time: a duration (1h, 7d) or a time (RFC 3339)")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most so many changes")
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if err := historyWords(&q, of, kind); err != nil {
			return err
		}
		if q.Since, err = timeFlag("since", since); err != nil {
			return err
		}
		if q.Until, err = timeFlag("until", until); err != nil {
			return err
		}
		if q.Limit < 1 {
			return usagef("--limit %d: it must be at least 1", q.Limit)
		}
		c, err := flags.load(cmd)
		if err != nil {
			return err
		}
		changes, err := history(q, func(q estate.HistoryQuery) (estate.HistoryPage, error) { return rt.EstateHistory(cmd.Context(), c, q) })
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, changes)
		}
		if len(changes) == 0 {
			_, err := fmt.Fprintln(s.Out, "no changes")
			return err
		}
		return printTable(s.Out, []string{"SEEN", "ACCOUNT", "REGION", "API", "TYPE", "SUBJECT", "KIND", "CHANGE"}, historyRows(changes))
	}
	return cmd
}

// historyPage is how many changes are asked for at once.
const historyPage = 1000

// history reads pages until there are as many changes as were asked for; it is
// never nil.
func history(q estate.HistoryQuery, read func(estate.HistoryQuery) (estate.HistoryPage, error)) ([]estate.Change, error) {
	changes := []estate.Change{}
	for want := q.Limit; want > 0; want = q.Limit - len(changes) {
		next := q
		next.Limit = min(want, historyPage)
		page, err := read(next)
		if err != nil {
			return nil, err
		}
		changes = append(changes, page.Changes...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	return changes, nil
}

func historyWords(q *estate.HistoryQuery, of, kind string) error {
	q.Type, q.Kind = estate.SubjectType(of), estate.ChangeKind(kind)
	if of != "" && !slices.Contains(estate.SubjectTypes(), q.Type) {
		return withHint(usagef("the estate's history has no type %q", of), "use one of "+joined(estate.SubjectTypes()))
	}
	kinds := []estate.ChangeKind{estate.Appeared, estate.Changed, estate.Went}
	if kind != "" && !slices.Contains(kinds, q.Kind) {
		return withHint(usagef("the estate's history has no kind %q", kind), "use one of "+joined(kinds))
	}
	return nil
}

func joined[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

func timeFlag(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := config.Since(text, time.Now())
	if err != nil {
		return time.Time{}, usagef("--%s: %w", name, err)
	}
	return t, nil
}

func historyRows(changes []estate.Change) [][]string {
	rows := make([][]string, 0, len(changes))
	for i := range changes {
		c := &changes[i]
		subject := c.Subject
		if c.Type == estate.SubjectAPI || c.Type == estate.SubjectAccount {
			subject = cmp.Or(c.Name, c.Subject)
		}
		what := ""
		if c.Field != "" {
			what = c.Field + ": " + shortValue(c.Before) + " → " + shortValue(c.After)
		}
		rows = append(rows, []string{
			c.Time.UTC().Format("2006-01-02 15:04:05"), c.Account, orDash(c.Region), orDash(c.API), string(c.Type), subject, string(c.Kind), orDash(what),
		})
	}
	return rows
}

// shortValue fits a value into a line; JSON output has it whole.
func shortValue(v string) string {
	const most = 60
	if v == "" {
		return "none"
	}
	if r := []rune(v); len(r) > most {
		return string(r[:most]) + "…"
	}
	return v
}
