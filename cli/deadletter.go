package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/deadletter"
)

// deadLetterRuntime is what the commands of dead letters ask of the product.
type deadLetterRuntime interface {
	// DeadLetters opens the dead letters of a state; the caller calls the function
	// that it gets with them when it is done.
	DeadLetters(ctx context.Context, c *config.Config) (DeadLetters, func() error, error)
	// ReplayDeadLetters has letters delivered again, by the process that collects
	// with the state if there is one, and tells what became of them.
	ReplayDeadLetters(ctx context.Context, c *config.Config, ids []string, o ReplayOptions) (ReplayResult, error)
}

// DeadLetters are the calls that sinks refused for good.
type DeadLetters interface {
	List(ctx context.Context, q deadletter.Query) (deadletter.Page, error)
	Get(ctx context.Context, id string) (*deadletter.Letter, error)
	Discard(ctx context.Context, ids []string) (int, error)
}

// ReplayOptions are what replay's flags say beside settings.
type ReplayOptions struct {
	Wait time.Duration // how long to wait for the outcome
	Err  io.Writer     // of the log
}

// ReplayResult is what became of the letters that were to be replayed.
type ReplayResult struct {
	Delivered int  `json:"delivered"`
	Refused   int  `json:"refused_again"`
	Waiting   int  `json:"waiting"`
	Collector bool `json:"by_running_collector"`
}

func newDeadLetter(rt deadLetterRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "See, deliver again and discard the calls that a sink refused for good",
		Long: `A sink's place may refuse a call for good: it is too large there, or breaks a
rule of its own. Such a call is kept as a dead letter, and the others go on. When
the place was mended, replay the letters: they are delivered under the same ids.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeadLetterList(rt, s), newDeadLetterShow(rt, s), newDeadLetterReplay(rt, s), newDeadLetterDiscard(rt, s))
	return cmd
}

// withDeadLetters calls do with the dead letters of a command's settings.
func withDeadLetters(cmd *cobra.Command, rt deadLetterRuntime, flags *settingFlags, do func(DeadLetters) error) error {
	c, err := flags.load(cmd)
	if err != nil {
		return err
	}
	letters, done, err := rt.DeadLetters(cmd.Context(), c)
	if err != nil {
		return err
	}
	return errors.Join(hintLetter(do(letters)), done())
}

// hintLetter adds how to find letters where one was not found.
func hintLetter(err error) error {
	if errors.Is(err, deadletter.ErrNotFound) || errors.Is(err, deadletter.ErrInvalidQuery) {
		return withHint(err, "see 'gatehouse deadletter list', with the same --state")
	}
	return err
}

// addLetterQuery gives cmd the flags that choose letters.
func addLetterQuery(cmd *cobra.Command) *deadletter.Query {
	q := &deadletter.Query{}
	cmd.Flags().StringVar(&q.Sink, "from-sink", "", "only letters of the sink with this name")
	cmd.Flags().StringVar((*string)(&q.Reason), "reason", "", "only letters with this reason: too_large, refused or unclear")
	cmd.Flags().StringVar(&q.TransactionID, "transaction", "", "only the letters of this transaction")
	return q
}

// eachLetter calls do with the letters of a query, the newest first, until it
// has had limit of them; 0 is all.
func eachLetter(ctx context.Context, letters DeadLetters, q deadletter.Query, limit int, do func(deadletter.Letter)) error {
	for n := 0; ; {
		page, err := letters.List(ctx, q)
		if err != nil {
			return err
		}
		for _, l := range page.Letters {
			if limit > 0 && n == limit {
				return nil
			}
			do(l)
			n++
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

func newDeadLetterList(rt deadLetterRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the newest first",
		Example: `  gatehouse deadletter list
  gatehouse deadletter list --reason too_large -o json`,
		Args: noArgs,
	}
	flags := addSettings(cmd, "state")
	q := addLetterQuery(cmd)
	limit := cmd.Flags().Int("limit", 100, "how many to list at most; 0: all")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if *limit < 0 {
			return usagef("--limit: must not be negative, not %d", *limit)
		}
		return withDeadLetters(cmd, rt, flags, func(letters DeadLetters) error {
			all := []deadletter.Letter{}
			err := eachLetter(cmd.Context(), letters, *q, *limit, func(l deadletter.Letter) { all = append(all, l) })
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, all)
			}
			if len(all) == 0 {
				fmt.Fprintln(s.Err, "no dead letters")
				return nil
			}
			rows := make([][]string, len(all))
			for i := range all {
				l := &all[i]
				rows[i] = []string{
					l.ID, utc(l.Refused), string(l.Reason), strconv.Itoa(l.Attempts), number(l.Size),
					l.Sink, strings.TrimSpace(l.Summary.Method + " " + l.Summary.Path), said(l),
				}
			}
			return printTable(s.Out, []string{"ID", "REFUSED (UTC)", "REASON", "TIMES", "BYTES", "SINK", "CALL", "THE PLACE SAID"}, rows)
		})
	}
	return cmd
}

func said(l *deadletter.Letter) string {
	if l.Replaying {
		return "(waits to be replayed) " + l.Message
	}
	return orDash(l.Message)
}

func newDeadLetterShow(rt deadLetterRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a dead letter with its redacted transaction",
		Example: `  gatehouse deadletter show 12`,
		Args:    letterIDs(1, 1),
	}
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		return withDeadLetters(cmd, rt, flags, func(letters DeadLetters) error {
			l, err := letters.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, l)
			}
			facts := [][]string{
				{"sink", l.Sink},
				{"transaction", l.TransactionID},
				{"refused", utc(l.Refused) + " UTC, " + strconv.Itoa(l.Attempts) + " times"},
				{"reason", string(l.Reason)},
				{"the place said", said(l)},
				{"call", strings.TrimSpace(l.Summary.Method + " " + l.Summary.Path)},
				{"bytes", number(l.Size)},
			}
			if err := printTable(s.Out, []string{"ID", l.ID}, facts); err != nil {
				return err
			}
			fmt.Fprintln(s.Out)
			return printJSON(s.Out, l.Transaction)
		})
	}
	return cmd
}

// letterIDs refuses another number of arguments with exit status 2.
func letterIDs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most > 0 && len(args) > most {
			return withHint(usagef("%s needs the id of a dead letter", cmd.CommandPath()), "see 'gatehouse deadletter list'")
		}
		return nil
	}
}

// addChoice gives cmd the flags that choose letters by what they are, beside
// ids. The returned function gives the ids.
func addChoice(cmd *cobra.Command) func(ctx context.Context, letters DeadLetters, args []string) ([]string, error) {
	q := addLetterQuery(cmd)
	all := cmd.Flags().Bool("all", false, "all dead letters, or all that the other flags choose")
	return func(ctx context.Context, letters DeadLetters, args []string) ([]string, error) {
		if !*all {
			return args, nil
		}
		ids := []string{}
		err := eachLetter(ctx, letters, *q, 0, func(l deadletter.Letter) { ids = append(ids, l.ID) })
		return ids, err
	}
}

// checkChoice wants ids or --all, and not both: a slip must not reach more
// letters than were meant.
func checkChoice(cmd *cobra.Command, args []string) error {
	all, err := cmd.Flags().GetBool("all")
	if err != nil {
		return err
	}
	chosen := cmd.Flags().Changed("from-sink") || cmd.Flags().Changed("reason") || cmd.Flags().Changed("transaction")
	switch {
	case all && len(args) > 0:
		return usagef("%s takes ids or --all, not both", cmd.CommandPath())
	case !all && chosen:
		return usagef("--from-sink, --reason and --transaction choose among --all")
	case !all && len(args) == 0:
		return withHint(usagef("%s needs the ids of dead letters, or --all", cmd.CommandPath()), "see 'gatehouse deadletter list'")
	}
	return nil
}

func newDeadLetterReplay(rt deadLetterRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Deliver dead letters again, under the same ids",
		Long: `Deliver dead letters again, under the same ids. If a process collects with this
state, it does so; otherwise this command opens the sinks that it is given. A call
that is refused again stays a dead letter.`,
		Example: `  gatehouse deadletter replay 12 13
  gatehouse deadletter replay --all --reason too_large`,
		Args: checkChoice,
	}
	flags := addSettings(cmd, append([]string{
		"state", "sinks", "https_token_url", "https_client_id", "https_client_secret_file", "https_scopes", "kafka_username", "kafka_password_file",
	}, reachSettings...)...)
	choice := addChoice(cmd)
	wait := cmd.Flags().Duration("wait", 30*time.Second, "how long to wait for the outcome")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if *wait <= 0 {
			return usagef("--wait: must be more than zero, not %s", *wait)
		}
		c, err := flags.load(cmd)
		if err != nil {
			return err
		}
		letters, done, err := rt.DeadLetters(cmd.Context(), c)
		if err != nil {
			return err
		}
		ids, err := choice(cmd.Context(), letters, args)
		if err = errors.Join(err, done()); err != nil {
			return hintLetter(err)
		}
		r, err := rt.ReplayDeadLetters(cmd.Context(), c, ids, ReplayOptions{Wait: *wait, Err: s.Err})
		if err != nil {
			return hintLetter(err)
		}
		if asJSON {
			err = printJSON(s.Out, r)
		} else {
			fmt.Fprintf(s.Out, "delivered %d, refused again %d, waiting %d\n", r.Delivered, r.Refused, r.Waiting)
		}
		switch {
		case err != nil:
			return err
		case r.Waiting > 0 && r.Collector:
			return withHint(fmt.Errorf("%d dead letters are not delivered yet", r.Waiting),
				"the running collector goes on trying; its sources page and log say what holds it")
		case r.Waiting > 0:
			return withHint(fmt.Errorf("%d dead letters are of sinks that were not given or did not take them", r.Waiting),
				"give the sink with --sink or in the settings; a collector that has it delivers them too")
		case r.Refused > 0:
			return withHint(fmt.Errorf("%d dead letters were refused again", r.Refused), "'gatehouse deadletter show ID' says why")
		}
		return nil
	}
	return cmd
}

func newDeadLetterDiscard(rt deadLetterRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discard [ID...]",
		Short: "Remove dead letters for good",
		Long: `Remove dead letters for good: the sink that refused the calls never gets them.
The inventory has them all the same.`,
		Example: `  gatehouse deadletter discard 12
  gatehouse deadletter discard --all --from-sink https://edge.example/traffic`,
		Args: checkChoice,
	}
	flags := addSettings(cmd, "state")
	choice := addChoice(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDeadLetters(cmd, rt, flags, func(letters DeadLetters) error {
			ids, err := choice(cmd.Context(), letters, args)
			if err != nil {
				return err
			}
			n, err := letters.Discard(cmd.Context(), ids)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "discarded %d\n", n)
			if missing := len(ids) - n; missing > 0 {
				return hintLetter(fmt.Errorf("%d of %d: %w", missing, len(ids), deadletter.ErrNotFound))
			}
			return nil
		})
	}
	return cmd
}
