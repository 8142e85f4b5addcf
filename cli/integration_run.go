package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
)

// runVerbs say what a run does.
var runVerbs = map[access.RunKind]string{
	access.RunCheck: "checking", access.RunDiscover: "discovering", access.RunReconcile: "comparing",
}

// askingTarget makes cmd one that has a target asked in the background of the server; do
// gets the answer, unless nobody waits for it.
func askingTarget(cmd *cobra.Command, s *Streams, kind access.RunKind, do func(ctx context.Context, c *client, name string, asJSON bool) error) *cobra.Command {
	cmd.Args = named("the name of an integration", 1, 1)
	noWait := cmd.Flags().Bool("no-wait", false, "begin it and print the run, without waiting for what comes of it")
	return talk(cmd, func(ctx context.Context, c *client, args []string, asJSON bool) error {
		if !*noWait {
			return do(ctx, c, args[0], asJSON)
		}
		run, err := c.startRun(ctx, args[0], kind)
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(s.Out, run)
		default:
			_, err = fmt.Fprintf(s.Out, "run %s is %s; 'gatehouse integration show %s' tells what came of it\n", printable(run.ID), run.State, printable(args[0]))
			return err
		}
	})
}

func (c *client) startRun(ctx context.Context, name string, kind access.RunKind) (*access.TargetRun, error) {
	run := new(access.TargetRun)
	_, err := c.do(ctx, http.MethodPost, at("integrations", name, string(kind)), nil, run)
	return run, noSuch(err, "'gatehouse integration list' lists those that there are")
}

// askTarget has a target asked, shows how far that is, and returns the run at its end
// with the integration as it is then. That the target could not be asked is an error.
func (c *client) askTarget(ctx context.Context, s *Streams, name string, kind access.RunKind) (*access.TargetRun, *access.IntegrationView, error) {
	run, err := c.startRun(ctx, name, kind)
	if err != nil {
		return nil, nil, err
	}
	line := &statusLine{w: s.Err, terminal: isTerminal(s.Err), started: time.Now()}
	defer line.end()
	for !run.Over() {
		line.show(runText(name, run))
		err := patiently(ctx, line, askTargetEvery, func() error {
			_, err := c.do(ctx, http.MethodGet, at("integrations", name, "runs", run.ID), nil, run)
			return err
		})
		if ctx.Err() != nil {
			return nil, nil, withHint(fmt.Errorf("stopped waiting for run %s: it goes on", run.ID), "'gatehouse integration show "+name+"' tells what came of it")
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if run.State != access.RunDone {
		return nil, nil, withHint(fmt.Errorf("%s %s: %s", runVerbs[kind], name, printable(cmp.Or(run.Error, "it failed"))), "'gatehouse integration check "+name+"' says what to mend")
	}
	v, _, err := c.integration(ctx, name)
	return run, v, err
}

// runText says how far a run is.
func runText(name string, r *access.TargetRun) string {
	text := runVerbs[r.Kind] + " " + name
	if r.Total > 0 {
		text += ", step " + strconv.Itoa(min(r.Done+1, r.Total)) + " of " + strconv.Itoa(r.Total)
	}
	if r.Doing != "" {
		text += ": " + r.Doing
	}
	return text
}

func newIntegrationCheck(s *Streams) *cobra.Command {
	return askingTarget(&cobra.Command{
		Use:   "check NAME",
		Short: "Look again at everything that lending rests on, and say how to mend it",
		Long: `Look again at everything that lending from an integration rests on: the trust policy,
the authentication mode, how users are named, permissions and clocks. The server does it
in the background, and the command waits; Ctrl-C only stops the waiting. The exit status
is 1 if a check failed: nothing is lent then.`,
		Example: `  gatehouse integration check prod-1`,
	}, s, access.RunCheck, func(ctx context.Context, c *client, name string, asJSON bool) error {
		_, v, err := c.askTarget(ctx, s, name, access.RunCheck)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(s.Out, v.Health)
		} else {
			err = printChecks(s.Out, v.Health.Checks)
		}
		return errors.Join(err, failedChecks(v.Name, v.Health.Checks))
	})
}

func newIntegrationDiscover(s *Streams) *cobra.Command {
	return askingTarget(&cobra.Command{
		Use:   "discover NAME",
		Short: "Read the target's resources now; it is done every hour anyway",
		Long: `Read the target's resources now; it is done every hour anyway. The server does it in the
background, and the command waits; Ctrl-C only stops the waiting. What was known stays
where it fails.`,
		Example: `  gatehouse integration discover prod-1`,
	}, s, access.RunDiscover, func(ctx context.Context, c *client, name string, asJSON bool) error {
		_, v, err := c.askTarget(ctx, s, name, access.RunDiscover)
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(s.Out, v.Health)
		default:
			_, err = fmt.Fprintf(s.Out, "%s has %s\n", printable(v.Name), counted(v.Health.Resources, "resource"))
			return err
		}
	})
}

// reconciled is what comparing a target found, and what became of it.
type reconciled struct {
	Integration string `json:"integration"`
	// Found is what differed at any look, Mended what was gone again by the last, and
	// Left what stood then.
	Found  []access.Drift `json:"found"`
	Mended []access.Drift `json:"mended"`
	Left   []access.Drift `json:"left"`
	// More counts differences that stand and are not in the lists.
	More int `json:"more,omitempty"`
}

func newIntegrationReconcile(s *Streams) *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "reconcile NAME",
		Short: "Compare the target with what is lent, now; it is done every 10 minutes anyway",
		Long: `Compare the target with what is lent, now. What is missing is put back, what was changed
is written again, what belongs to ended grants is removed, and what no grant explains is
reported, or deleted if the integration says delete_orphans. The command looks again until
what Gatehouse mends is gone, for as long as --within says.

The exit status is 0 if nothing differed or everything was mended, 1 if something is left
that somebody has to look at, and 2 if the target could not be compared.`,
		Example: `  gatehouse integration reconcile prod-1
  gatehouse integration reconcile prod-1 --within 5m -o json`,
	}
	askingTarget(cmd, s, access.RunReconcile, func(ctx context.Context, c *client, name string, asJSON bool) error {
		r, err := c.reconcile(ctx, s, name, within)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(s.Out, r)
		} else {
			err = printReconciled(s.Out, r)
		}
		if left := len(r.Left) + r.More; err == nil && left > 0 {
			err = &statusError{withHint(fmt.Errorf("%s left in the target of %s", counted(left, "difference"), name), "the details say what each needs"), 1}
		}
		return err
	})
	cmd.Flags().DurationVar(&within, "within", time.Minute, "how long to look again for what is being mended; 0: look once")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if within < 0 {
			return usagef("--within %v: it cannot be negative", within)
		}
		err := run(cmd, args)
		if _, told := errors.AsType[*statusError](err); err == nil || told {
			return err
		}
		return &statusError{err, 2}
	}
	return cmd
}

// reconcile compares a target with what is lent until nothing is being mended any more.
func (c *client) reconcile(ctx context.Context, s *Streams, name string, within time.Duration) (*reconciled, error) {
	r := &reconciled{Integration: name, Found: []access.Drift{}}
	end := time.Now().Add(within)
	for wait := time.Second; ; wait *= 2 {
		run, v, err := c.askTarget(ctx, s, name, access.RunReconcile)
		if err != nil {
			return nil, err
		}
		r.take(v.Drift, run.Found)
		mending := slices.ContainsFunc(v.Drift, func(d access.Drift) bool { return !d.ByHand }) || r.More > 0
		left := time.Until(end)
		if !mending || left <= 0 {
			return r, nil
		}
		if sleep(ctx.Done(), min(wait, left)); ctx.Err() != nil {
			return nil, errors.New("stopped looking: what is being mended goes on")
		}
	}
}

// take adds what a look found, of total differences, to what is known.
func (r *reconciled) take(stands []access.Drift, total int) {
	same := func(a *access.Drift) func(access.Drift) bool {
		return func(b access.Drift) bool { return a.Key == b.Key && a.Kind == b.Kind }
	}
	for i := range stands {
		if !slices.ContainsFunc(r.Found, same(&stands[i])) {
			r.Found = append(r.Found, stands[i])
		}
	}
	// Where not all that stands was told, what is not among it may stand too.
	r.More = max(total-len(stands), 0)
	r.Mended, r.Left = []access.Drift{}, []access.Drift{}
	for i := range r.Found {
		if slices.ContainsFunc(stands, same(&r.Found[i])) {
			r.Left = append(r.Left, r.Found[i])
		} else if r.More == 0 {
			r.Mended = append(r.Mended, r.Found[i])
		}
	}
}

func printReconciled(w io.Writer, r *reconciled) error {
	if len(r.Found) == 0 {
		_, err := fmt.Fprintln(w, "the target is as it should be")
		return err
	}
	rows := make([][]string, 0, len(r.Found))
	for now, some := range map[string][]access.Drift{"left": r.Left, "mended": r.Mended} {
		for i := range some {
			rows = append(rows, append([]string{now}, driftRow(&some[i])...))
		}
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[2], b[2])) })
	if err := printTable(w, append([]string{"NOW"}, driftHeader...), rows); err != nil || r.More == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "and %d more\n", r.More)
	return err
}
