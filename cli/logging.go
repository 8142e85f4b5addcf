package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// loggingRuntime is what the logging commands ask of the product.
type loggingRuntime interface {
	// Logging discovers the estate and calls do with a switch for it. To change
	// something it keeps other processes from changing with the same state.
	Logging(ctx context.Context, c *config.Config, o LoggingOptions, do func(context.Context, *logging.Switch) error) error
	// LoggingHistory returns at most limit lines of the journal, the newest first.
	LoggingHistory(ctx context.Context, c *config.Config, limit int) ([]logging.Entry, error)
}

// LoggingOptions say how a switch is used.
type LoggingOptions struct {
	Change   bool
	Progress func(estate.Progress)
	Err      io.Writer // of the log
}

var loggingSettings = append([]string{"state", "api_config", "api_types", "apis"}, reachSettings...)

func newLogging(rt loggingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logging",
		Short: "Switch the logging of API Gateway stages on, and back to what was there",
		Long: `Switch the logging of API Gateway stages on, and back to what was there.

Every command shows its plan first. What was there is recorded in the state before
it is changed, so keep the state: disable and destroy need it. A command that was
interrupted can be run again, or undone, from wherever it stopped.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLoggingStatus(rt, s), newLoggingEnable(rt, s), newLoggingUndo(rt, s, logging.Disable), newLoggingUndo(rt, s, logging.Destroy), newLoggingHistory(rt, s))
	return cmd
}

// loggingFlags are what the logging commands share.
type loggingFlags struct {
	settings              *settingFlags
	accounts, names       []string
	stages, tags          []string
	rest, http, webSocket bool
	output                func() (bool, error)
}

func addLogging(cmd *cobra.Command, more ...string) *loggingFlags {
	f := &loggingFlags{settings: addSettings(cmd, append(more, loggingSettings...)...), output: addOutput(cmd)}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.accounts, "account", nil, "only stages of this account (may be repeated)")
	flags.StringArrayVar(&f.names, "api-name", nil, "only APIs of this name; * and ? stand for any letters (may be repeated)")
	flags.StringArrayVar(&f.stages, "stage", nil, "only stages of this name; * and ? stand for any letters (may be repeated)")
	flags.StringArrayVar(&f.tags, "tag", nil, "only APIs or stages with this tag, KEY=VALUE, or KEY for any value (may be repeated; all must be there)")
	flags.BoolVar(&f.rest, "rest", false, "only REST APIs, and those of the other types that are given")
	flags.BoolVar(&f.http, "http", false, "only HTTP APIs, and those of the other types that are given")
	flags.BoolVar(&f.webSocket, "websocket", false, "only WebSocket APIs, and those of the other types that are given")
	return f
}

// choice says which stages are meant. To put logging back, the types that the
// variables of the Cequence integration switch off are meant, as there.
func (f *loggingFlags) choice(cmd *cobra.Command, c *config.Config, undo bool) (logging.Choice, error) {
	types := c.APITypes
	if undo && len(c.LoggingOff) > 0 && !cmd.Flags().Changed("api-type") {
		types = c.LoggingOff
	}
	if f.rest || f.http || f.webSocket {
		types = nil
		for _, t := range []struct {
			on   bool
			kind transaction.APIType
		}{{f.rest, transaction.REST}, {f.http, transaction.HTTP}, {f.webSocket, transaction.WebSocket}} {
			if t.on {
				types = append(types, string(t.kind))
			}
		}
	}
	r, err := collect.NewRestriction(types, c.APIs)
	if err != nil {
		return logging.Choice{}, &UsageError{Err: err}
	}
	choice := logging.Choice{Accounts: f.accounts, APIs: r.APIs, Names: f.names, Stages: f.stages}
	for _, t := range r.APITypes {
		choice.Types = append(choice.Types, transaction.APIType(t))
	}
	for _, a := range f.accounts {
		if len(a) != 12 || strings.Trim(a, "0123456789") != "" {
			return choice, usagef("--account: %q is not the 12 digits of an account", a)
		}
	}
	for _, t := range f.tags {
		key, value, _ := strings.Cut(t, "=")
		if key == "" {
			return choice, usagef("--tag: %q is not KEY=VALUE", t)
		}
		if choice.Tags == nil {
			choice.Tags = map[string]string{}
		}
		choice.Tags[key] = value
	}
	if err := choice.Check(); err != nil {
		return choice, &UsageError{Err: err}
	}
	return choice, nil
}

// run discovers the estate with its progress and calls do.
func (f *loggingFlags) run(cmd *cobra.Command, rt loggingRuntime, s *Streams, c *config.Config, change bool, do func(context.Context, *logging.Switch) error) error {
	p := newProgress(s.Err, "regions")
	return rt.Logging(cmd.Context(), c, LoggingOptions{
		Change: change, Err: s.Err,
		Progress: func(d estate.Progress) {
			p.show(d.RegionsDone, d.Regions, "finding stages")
		},
	}, func(ctx context.Context, sw *logging.Switch) error {
		p.end()
		return do(ctx, sw)
	})
}

func newLoggingStatus(rt loggingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how every stage logs",
		Long: `Show how every stage logs: execution logs and their level, where access logs go, and
whether Gatehouse switched any of it on. Nothing is changed.`,
		Example: `  gatehouse logging status --region all
  gatehouse logging status --tag team=orders -o json`,
		Args: noArgs,
	}
	f := addLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := f.output()
		if err != nil {
			return err
		}
		c, err := f.settings.load(cmd)
		if err != nil {
			return err
		}
		choice, err := f.choice(cmd, c, false)
		if err != nil {
			return err
		}
		return f.run(cmd, rt, s, c, false, func(_ context.Context, sw *logging.Switch) error {
			status, err := sw.Status(&choice)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(s.Out, status)
			} else {
				err = printLoggingStatus(s, status)
			}
			return errors.Join(err, unreadLogging(s, status.Failures, 0))
		})
	}
	return cmd
}

// addConsent gives cmd the flags that say whether the plan is carried out.
func addConsent(cmd *cobra.Command) (dryRun, yes *bool) {
	return cmd.Flags().Bool("dry-run", false, "show the plan and change nothing"),
		cmd.Flags().BoolP("yes", "y", false, "carry the plan out without asking")
}

func newLoggingEnable(rt loggingRuntime, s *Streams) *cobra.Command {
	o := logging.DefaultEnable()
	cmd := &cobra.Command{
		Use:   "enable",
		Short: "Switch execution logs and access logs on",
		Long: `Switch logging on for every stage that is meant: execution logs at INFO with data
trace (REST and WebSocket APIs), also for methods with settings of their own, and
access logs as JSON (all types). The IAM role that API Gateway writes with, and log
groups with a retention, are made where there are none.

Log groups that exist stay as they are, and so do access-log formats, unless
--replace-format is given. Running it again catches new APIs and changes nothing
else. The exit status is 1 if anything failed; the rest is done all the same.`,
		Example: `  gatehouse logging enable --region all --dry-run
  gatehouse logging enable --region eu-west-1 --api a1b2c3d4e5/prod --yes
  gatehouse logging enable --organization --role-name GatehouseSwitcher --region all --retention 14`,
		Args: noArgs,
	}
	f := addLogging(cmd, "logging_http_group", "logging_http_group_exists")
	dryRun, yes := addConsent(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.DataTrace, "data-trace", true, "log headers and bodies in execution logs; they may hold secrets")
	flags.StringVar(&o.Role, "log-role", logging.DefaultRole, "name of the IAM role to make where an account has none for API Gateway, or the ARN of one that exists")
	flags.Int32Var(&o.RetentionDays, "retention", o.RetentionDays, "days that log groups that are made keep events; 0: for ever")
	flags.StringVar(&o.KMSKey, "kms-key", "", "ARN of the KMS key of log groups that are made")
	flags.BoolVar(&o.ReplaceFormat, "replace-format", false, "set the access-log format also where there is another")
	flags.BoolVar(&o.Delivery, "delivery", false, "deliver execution logs of REST APIs with lines of up to 1 MB too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := f.settings.load(cmd)
		if err != nil {
			return err
		}
		if o.Choice, err = f.choice(cmd, c, false); err != nil {
			return err
		}
		o.HTTPGroup, o.HTTPGroupExists = c.LoggingHTTPGroup, c.LoggingHTTPGroupExists
		if err := o.Check(); err != nil {
			return &UsageError{Err: err}
		}
		return f.carryOut(cmd, rt, s, c, *dryRun, *yes, func(ctx context.Context, sw *logging.Switch) (*logging.Plan, error) {
			return sw.PlanEnable(ctx, &o)
		})
	}
	return cmd
}

func newLoggingUndo(rt loggingRuntime, s *Streams, command logging.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   string(command),
		Short: "Put back exactly the settings that were there before enable",
		Long: `Put back exactly the settings that were there before enable changed them. What
enable did not change is not touched. A setting that somebody changed since is shown
and left as it is, unless --force is given. Log groups and their logs stay, and so
does the IAM role: destroy removes them.`,
		Example: `  gatehouse logging disable --rest
  gatehouse logging disable --account 111122223333 --yes`,
		Args: noArgs,
	}
	if command == logging.Destroy {
		cmd.Short = "Put settings back as disable does, and remove what enable made"
		cmd.Long = `Put settings back as disable does, and remove what enable made and nothing else uses:
log groups with all the logs in them, deliveries, and the IAM role. Nothing that
enable did not make is removed.`
		cmd.Example = `  gatehouse logging destroy --dry-run
  gatehouse logging destroy --yes`
	}
	f := addLogging(cmd)
	dryRun, yes := addConsent(cmd)
	force := cmd.Flags().Bool("force", false, "put back also what somebody changed since")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := f.settings.load(cmd)
		if err != nil {
			return err
		}
		choice, err := f.choice(cmd, c, true)
		if err != nil {
			return err
		}
		return f.carryOut(cmd, rt, s, c, *dryRun, *yes, func(_ context.Context, sw *logging.Switch) (*logging.Plan, error) {
			return sw.PlanUndo(command, &logging.UndoOptions{Choice: choice, Force: *force})
		})
	}
	return cmd
}

// loggingReport is the JSON of a command that changes something.
type loggingReport struct {
	*logging.Plan
	DryRun bool `json:"dry_run"`
}

// carryOut shows the plan, asks, makes the changes and tells what became of them.
func (f *loggingFlags) carryOut(
	cmd *cobra.Command, rt loggingRuntime, s *Streams, c *config.Config, dryRun, yes bool,
	plan func(context.Context, *logging.Switch) (*logging.Plan, error),
) error {
	asJSON, err := f.output()
	if err != nil {
		return err
	}
	yes = yes || c.Approved
	if !dryRun && !yes && (asJSON || !asks(s)) {
		return withHint(usagef("nobody can be asked here whether to make the changes"), "give --yes, or --dry-run to see the plan")
	}
	return f.run(cmd, rt, s, c, !dryRun, func(ctx context.Context, sw *logging.Switch) error {
		p, err := plan(ctx, sw)
		if err != nil {
			return err
		}
		if !asJSON {
			if err := printPlan(s, p); err != nil {
				return err
			}
		}
		todo := p.Count(logging.Planned)
		if todo > 0 && !dryRun {
			if !yes && !agreed(s, todo) {
				return errors.New("nothing was changed")
			}
			bar := newProgress(s.Err, "steps")
			err = sw.Apply(ctx, p, func(g logging.Progress) {
				note := g.Account + " " + g.Region
				if g.Failed > 0 {
					note += ", " + strconv.Itoa(g.Failed) + " failed"
				}
				bar.show(g.Done, g.Total, note)
			})
			bar.end()
		}
		if asJSON {
			err = errors.Join(err, printJSON(s.Out, loggingReport{p, dryRun}))
		} else if todo > 0 && !dryRun {
			printOutcome(s, p)
		}
		return errors.Join(err, unreadLogging(s, p.Failures, p.Count(logging.Failed)+p.Count(logging.Skipped)))
	})
}

// asks reports whether a person can be asked.
func asks(s *Streams) bool {
	f, ok := s.In.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && isTerminal(s.Err)
}

func agreed(s *Streams, n int) bool {
	fmt.Fprintf(s.Err, "Make these %d changes? [y/N] ", n)
	line, err := bufio.NewReader(io.LimitReader(s.In, 100)).ReadString('\n')
	if err != nil {
		return false
	}
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "y" || line == "yes"
}

func newLoggingHistory(rt loggingRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "Show the journal: every change that was tried, by whom, and what came of it",
		Example: `  gatehouse logging history --limit 20`,
		Args:    noArgs,
	}
	settings := addSettings(cmd, "state")
	limit := cmd.Flags().Int("limit", 100, "how many lines to show at most, the newest first")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if *limit < 1 {
			return usagef("--limit: must be at least 1, not %d", *limit)
		}
		c, err := settings.load(cmd)
		if err != nil {
			return err
		}
		entries, err := rt.LoggingHistory(cmd.Context(), c, *limit)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, entries)
		}
		rows := make([][]string, len(entries))
		for i := range entries {
			e := &entries[i]
			setting := settingOf(&logging.Change{Key: e.Key})
			change := logging.Describe(e.Key.Kind, e.From) + " → " + logging.Describe(e.Key.Kind, e.To)
			if e.Summary != nil {
				change = fmt.Sprintf("%d planned, %d done, %d failed", e.Summary.Planned, e.Summary.Done, e.Summary.Failed)
			}
			rows[i] = []string{
				utc(e.At), e.Who, e.Command, orDash(e.Key.Account), orDash(e.Key.Region), orDash(e.Key.Subject), setting,
				string(e.Outcome), change,
			}
		}
		return printTable(s.Out, []string{"TIME (UTC)", "WHO", "COMMAND", "ACCOUNT", "REGION", "OF", "SETTING", "OUTCOME", "CHANGE"}, rows)
	}
	return cmd
}
