package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

// askFlags are what is asked for.
type askFlags struct {
	bundle, integration, kind, person string
	resources, permissions            []string
	justification, duration           string
	breakGlass                        bool
}

func (f *askFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.bundle, "bundle", "b", "", "ask for a bundle")
	flags.StringVarP(&f.integration, "integration", "i", "", "the integration that the resources are of")
	flags.StringVarP(&f.kind, "resource-type", "t", "", "the resources' type; needed only where a name is not enough")
	flags.StringArrayVarP(&f.resources, "resource", "r", nil, "id or name of a resource (may be repeated)")
	flags.StringArrayVarP(&f.permissions, "permission", "p", nil, "permission to ask for on each resource (may be repeated)")
	flags.StringVarP(&f.duration, "duration", "d", "", "for how long: 30m, 8h, 1d12h (default what the flow says)")
	flags.StringVarP(&f.justification, "justification", "j", "", "why")
	flags.StringVar(&f.person, "for", "", "whom it is for: their e-mail address (default yourself)")
	flags.BoolVar(&f.breakGlass, "break-glass", false, "take it at once, where a flow lets you; others are told loudly")
}

// whole reports whether the flags say what is asked for.
func (f *askFlags) whole() bool {
	return f.bundle != "" || f.integration != "" && len(f.resources) > 0 && len(f.permissions) > 0
}

// ask makes the question, which may still lack what is asked for.
func (f *askFlags) ask() (*api.AccessAsk, error) {
	if f.bundle != "" && (f.integration != "" || f.kind != "" || len(f.resources)+len(f.permissions) > 0) {
		return nil, usagef("--bundle: ask for a bundle, or for single permissions, not both")
	}
	seconds, err := spanFlag("duration", f.duration)
	if err != nil {
		return nil, err
	}
	a := &api.AccessAsk{
		For: f.person, Bundle: f.bundle, DurationSeconds: seconds,
		Justification: strings.TrimSpace(f.justification), BreakGlass: f.breakGlass,
	}
	for _, r := range f.resources {
		for _, p := range f.permissions {
			a.Items = append(a.Items, access.ItemRef{Integration: f.integration, Type: f.kind, Resource: r, Permission: p})
		}
	}
	return a, nil
}

// missing is the error for an ask that says too little.
func (f *askFlags) missing() error {
	return withHint(usagef("say what you ask for: --bundle, or --integration, --resource and --permission"), "'gatehouse access catalog' lists what there is; on a terminal, leave them out to be asked")
}

func newAccessRequest(s *Streams) *cobra.Command {
	var f askFlags
	cmd := &cobra.Command{
		Use:   "request",
		Short: "Ask for access, and wait until it is there",
		Long: `Ask for access, wait until somebody has agreed and the access is there, and print how
to use it. On a terminal it asks for what the flags leave out, and shows what would
become of the request before it is sent.

Whoever stops waiting, with Ctrl-C or --timeout, takes nothing back: the request stays,
and 'gatehouse access show' tells how it stands. The exit status is 1 if the access was
refused or could not be put in place, and if it is not there yet when --timeout is over.`,
		Example: `  gatehouse access request
  gatehouse access request -i prod-1 -r payments -p edit -d 2h -j "INC-1234: payments queue is stuck"
  gatehouse access request -b "On-call kit" -j "INC-1234" --no-wait
  gatehouse access request -i prod-1 -r payments -p edit --dry-run`,
		Args: noArgs,
	}
	connect := addServer(cmd)
	f.add(cmd)
	dryRun := cmd.Flags().Bool("dry-run", false, "show what would become of it and ask for nothing")
	interactive := cmd.Flags().Bool("interactive", false, "ask for what is left out, though this is no terminal")
	w := addWaiting(cmd)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if err := w.check(); err != nil {
			return err
		}
		ask, err := f.ask()
		if err != nil {
			return err
		}
		talk := *interactive || !f.whole() && asks(s)
		if !f.whole() && !talk {
			return f.missing()
		}
		c, err := connect()
		if err != nil {
			return err
		}
		if talk {
			q := &questions{asker: newAsker(s), c: c, flags: &f, question: ask}
			if err := q.complete(cmd.Context(), *dryRun); err != nil {
				return err
			}
		}
		if *dryRun {
			return c.explain(cmd.Context(), s, ask, asJSON)
		}
		r, err := c.askFor(cmd.Context(), ask)
		if err != nil {
			return err
		}
		return w.follow(cmd.Context(), s, c, r, asJSON)
	}
	return cmd
}

// askFor asks for access. Where the answer is lost on its way it asks again, with the same
// key, so that there is one request.
func (c *client) askFor(ctx context.Context, ask *api.AccessAsk) (*api.AccessRequest, error) {
	key := rand.Text()
	for try := 0; ; try++ {
		r := new(api.AccessRequest)
		_, err := c.do(ctx, http.MethodPost, at("requests"), ask, r, "Idempotency-Key", key)
		if err == nil {
			return r, nil
		}
		_, answered := asAPIError(err)
		broken, isNet := errors.AsType[*net.OpError](err)
		if answered || ctx.Err() != nil || isNet && broken.Op == "dial" || try == 2 {
			return nil, err
		}
		sleep(ctx.Done(), time.Second)
	}
}

// explain prints what would become of an ask; it is an error if nothing would.
func (c *client) explain(ctx context.Context, s *Streams, ask *api.AccessAsk, asJSON bool) error {
	e := new(api.AccessExplanation)
	if _, err := c.do(ctx, http.MethodPost, at("requests", "explain"), ask, e); err != nil {
		return err
	}
	if asJSON {
		if err := printJSON(s.Out, e); err != nil {
			return err
		}
		return wouldBeGiven(e)
	}
	printExplanation(s.Out, e)
	return wouldBeGiven(e)
}

// waiting is how a command waits for access.
type waiting struct {
	no      bool
	timeout time.Duration
}

const (
	// A request waits for people, a grant for a machine.
	askPeopleEvery = 2 * time.Second
	askTargetEvery = 300 * time.Millisecond
	// outageAtMost is how long a server may be away while somebody waits.
	outageAtMost = time.Minute
)

func addWaiting(cmd *cobra.Command) *waiting {
	w := &waiting{}
	cmd.Flags().BoolVar(&w.no, "no-wait", false, "do not wait until it is there")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Hour, "how long to wait; 0: as long as it takes")
	return w
}

func (w *waiting) check() error {
	if w.timeout < 0 {
		return usagef("--timeout %v: it cannot be negative", w.timeout)
	}
	return nil
}

// follow shows how a request goes on until the access is there, and prints it.
func (w *waiting) follow(ctx context.Context, s *Streams, c *client, r *api.AccessRequest, asJSON bool) error {
	out := &result{Request: r}
	if w.no {
		return out.print(s, asJSON)
	}
	bound, cancel := ctx, context.CancelFunc(func() {})
	if w.timeout > 0 {
		bound, cancel = context.WithTimeout(ctx, w.timeout)
	}
	defer cancel()
	line := &statusLine{w: s.Err, terminal: isTerminal(s.Err), started: time.Now()}
	err := out.wait(bound, c, line)
	line.end()
	switch {
	case err != nil && bound.Err() != nil:
		err = fmt.Errorf("stopped waiting for request %s: it stays, and is %s", out.Request.ID, standingOf(out))
		if ctx.Err() == nil {
			err = fmt.Errorf("request %s is not done after %v: it stays, and is %s", out.Request.ID, w.timeout, standingOf(out))
		}
		return withHint(err, "'gatehouse access show "+out.Request.ID+"' tells how it stands, 'gatehouse access cancel "+out.Request.ID+"' takes it back")
	case err != nil && out.Grant != nil && asJSON:
		return errors.Join(printJSON(s.Out, out), err)
	case err != nil:
		return err
	default:
		return out.print(s, asJSON)
	}
}

// standingOf says how far it got.
func standingOf(r *result) string {
	if r.Grant != nil {
		return "approved; grant " + r.Grant.ID + " is " + string(r.Grant.State)
	}
	return string(r.Request.State)
}

// wait follows the request, then its grant, until that is active, and reads how to use
// it. Its error says why that will not be.
func (r *result) wait(ctx context.Context, c *client, line *statusLine) error {
	fmt.Fprintf(line.w, "Request %s: %s\n", r.Request.ID, printable(titleOf(r.Request.Bundle, r.Request.Items)))
	for r.Request.State == access.Pending {
		line.show(pendingText(r.Request))
		err := patiently(ctx, line, askPeopleEvery, func() error {
			next, err := c.request(ctx, r.Request.ID)
			if err == nil {
				r.Request = next
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if r.Request.State != access.Approved || r.Request.Grant == "" {
		return refusedRequest(r.Request)
	}
	// An extension's grant is there all the time; what counts is that it lasts longer.
	for {
		err := patiently(ctx, line, 0, func() error {
			next, err := c.grant(ctx, r.Request.Grant)
			if err == nil {
				r.Grant = next
			}
			return err
		})
		if err != nil {
			return err
		}
		switch r.Grant.State {
		case access.Active:
			line.show("ready until " + clock(r.Grant.ExpiresAt))
			r.Details, err = c.details(ctx, r.Grant.ID)
			if isRefused(err, http.StatusNotFound) {
				return nil // it is for somebody else, and so is how to use it
			}
			return err
		case access.Provisioning:
			text := "approved, being put in place"
			if r.Grant.Trouble != "" {
				text += ": " + r.Grant.Trouble
			}
			line.show(text)
			sleep(ctx.Done(), askTargetEvery)
		default:
			return endedGrant(r.Grant)
		}
	}
}

// patiently waits for a time and calls do; a server that is away for a moment ends
// nothing.
func patiently(ctx context.Context, line *statusLine, every time.Duration, do func() error) error {
	away := time.Time{}
	for {
		if every > 0 {
			sleep(ctx.Done(), every)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := do()
		refused, answered := asAPIError(err)
		switch {
		case err == nil || ctx.Err() != nil, answered && refused.Status < 500 && refused.Status != http.StatusTooManyRequests:
			return err
		case away.IsZero():
			away = time.Now()
		case time.Since(away) > outageAtMost:
			return err
		}
		line.show("the server does not answer, trying again: " + err.Error())
		every = max(every, askPeopleEvery)
	}
}

func asAPIError(err error) (*apiError, bool) { return errors.AsType[*apiError](err) }

func pendingText(r *api.AccessRequest) string {
	text := "waiting for " + waitsText(r.Waiting, &r.Terms.Approval)
	if len(r.CanApprove) > 0 {
		text += " (" + fewOf(r.CanApprove, 5) + ")"
	}
	return text
}

func refusedRequest(r *api.AccessRequest) error {
	text := fmt.Sprintf("request %s was %s", r.ID, r.State)
	if n := slices.IndexFunc(r.Votes, func(v api.AccessVote) bool { return !v.Approve }); n >= 0 && r.State == access.Denied {
		text += " by " + r.Votes[n].By.ID
		if why := r.Votes[n].Reason; why != "" {
			text += ": " + printable(why)
		}
	}
	if r.State == access.Lapsed {
		return withHint(errors.New(text+": nobody answered in time"), "ask again, and tell those who can agree")
	}
	return errors.New(text)
}

func endedGrant(g *api.AccessGrant) error {
	err := fmt.Errorf("grant %s has ended (%s) and is not there", g.ID, g.EndReason)
	if g.EndReason == access.Failed {
		return withHint(fmt.Errorf("grant %s could not be put in place in time, and was given up", g.ID), "'gatehouse access show "+g.ID+"' tells the trouble; who administers finds more with 'gatehouse integration check'")
	}
	return err
}

// statusLine shows what is waited for: one line that is redrawn on a terminal, a plain
// line for each change elsewhere.
type statusLine struct {
	w        io.Writer
	terminal bool
	started  time.Time
	shown    string
	drawn    int
}

func (l *statusLine) show(text string) {
	text = printable(text)
	if !l.terminal {
		if text != l.shown {
			fmt.Fprintln(l.w, text)
		}
		l.shown = text
		return
	}
	l.shown = text
	line := []rune(time.Since(l.started).Round(time.Second).String() + "  " + text)
	// A line that wraps could not be redrawn.
	if len(line) > 110 {
		line = append(line[:107], []rune("...")...)
	}
	fmt.Fprint(l.w, "\r"+string(line)+strings.Repeat(" ", max(0, l.drawn-len(line))))
	l.drawn = len(line)
}

func (l *statusLine) end() {
	if l.terminal && l.drawn > 0 {
		fmt.Fprintln(l.w)
		l.drawn = 0
	}
}
