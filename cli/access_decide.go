package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

// newAccessVote is approve, or deny.
func newAccessVote(s *Streams, approve bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deny REQUEST…",
		Short: "Refuse requests; one refusal is enough",
		Example: `  gatehouse access list --inbox
  gatehouse access deny r5xk2mjyqrc7wqn4b --reason "ask for view instead"`,
		Args: named("the ids of requests", 1, oneOrMore),
	}
	does := "refused"
	if approve {
		does = "agreed to"
		cmd.Use, cmd.Short = "approve REQUEST…", "Agree to requests of others"
		cmd.Example = `  gatehouse access list --inbox
  gatehouse access approve r5xk2mjyqrc7wqn4b --reason "on call with Ann"`
	}
	connect := addServer(cmd)
	reason := cmd.Flags().String("reason", "", "why; some flows want to know")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return eachID(cmd, s, connect, output, args, requestID, func(ctx context.Context, c *client, id string) (any, error) {
			// The version is sent, so that nobody agrees to something else than they saw.
			seen, err := c.request(ctx, id)
			if err != nil {
				return nil, err
			}
			r := new(api.AccessRequest)
			vote := map[string]any{"approve": approve, "version": seen.Version}
			if *reason != "" {
				vote["reason"] = *reason
			}
			if _, err := c.do(ctx, http.MethodPost, at("requests", id, "votes"), vote, r); err != nil {
				return nil, err
			}
			fmt.Fprintf(s.Err, "%s %s (%s for %s): %s\n", does, id, span(r.DurationSeconds), r.For.ID, voteText(r))
			return r, nil
		})
	}
	return cmd
}

// voteText says where a request stands after a vote.
func voteText(r *api.AccessRequest) string {
	switch {
	case r.State == access.Pending:
		return printable("it still needs " + waitsText(r.Waiting, &r.Terms.Approval))
	case r.Grant != "":
		return "approved, grant " + r.Grant
	default:
		return string(r.State)
	}
}

func newAccessCancel(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cancel REQUEST…",
		Short:   "Take back what you asked for and nobody has answered",
		Example: `  gatehouse access cancel r5xk2mjyqrc7wqn4b`,
		Args:    named("the ids of requests", 1, oneOrMore),
	}
	connect := addServer(cmd)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return eachID(cmd, s, connect, output, args, requestID, func(ctx context.Context, c *client, id string) (any, error) {
			r := new(api.AccessRequest)
			if _, err := c.do(ctx, http.MethodPost, at("requests", id, "cancel"), nil, r); err != nil {
				return nil, err
			}
			fmt.Fprintf(s.Err, "%s is %s\n", id, r.State)
			return r, nil
		})
	}
	return cmd
}

func newAccessReturn(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "return GRANT…",
		Short:   "Give access back before its time",
		Example: `  gatehouse access return g5xk2mjyqrc7wqn4b`,
		Args:    named("the ids of grants", 1, oneOrMore),
	}
	connect := addServer(cmd)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return eachID(cmd, s, connect, output, args, grantID, func(ctx context.Context, c *client, id string) (any, error) {
			return c.endGrant(ctx, s, id, "return", nil)
		})
	}
	return cmd
}

func newAccessRevoke(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke GRANT…",
		Short: "Take somebody's access back before its time",
		Long: `Take somebody's access back before its time. Who agreed to it, who owns what it is of,
and who administers may. It is gone when 'gatehouse access show' says ended: the target
was read back then.`,
		Example: `  gatehouse access revoke g5xk2mjyqrc7wqn4b --reason "the incident is over"`,
		Args:    named("the ids of grants", 1, oneOrMore),
	}
	connect := addServer(cmd)
	reason := cmd.Flags().String("reason", "", "why; needed")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(*reason) == "" {
			return usagef("--reason: say why")
		}
		return eachID(cmd, s, connect, output, args, grantID, func(ctx context.Context, c *client, id string) (any, error) {
			return c.endGrant(ctx, s, id, "revoke", map[string]string{"reason": *reason})
		})
	}
	return cmd
}

func (c *client) endGrant(ctx context.Context, s *Streams, id, verb string, body any) (*api.AccessGrant, error) {
	g := new(api.AccessGrant)
	if _, err := c.do(ctx, http.MethodPost, at("grants", id, verb), body, g); err != nil {
		return nil, err
	}
	text := string(g.State)
	if g.State == access.Revoking {
		text = "on its way out"
	}
	fmt.Fprintf(s.Err, "%s of %s is %s\n", id, g.Person.ID, text)
	return g, nil
}

// eachID does something with each id. One that fails does not keep the others from it;
// the errors come together.
func eachID(
	cmd *cobra.Command, s *Streams, connect func() (*client, error), output func() (bool, error), ids []string,
	check func(string) error, do func(context.Context, *client, string) (any, error),
) error {
	asJSON, err := output()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := check(id); err != nil {
			return err
		}
	}
	c, err := connect()
	if err != nil {
		return err
	}
	done := []any{}
	var failed []error
	for _, id := range ids {
		one, err := do(cmd.Context(), c, id)
		switch {
		case err == nil:
			done = append(done, one)
		case len(ids) == 1:
			return err
		default:
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
		}
	}
	if asJSON {
		failed = append(failed, printJSON(s.Out, done))
	}
	return errors.Join(failed...)
}

func newAccessExtend(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "extend GRANT",
		Short: "Ask that a grant lasts longer",
		Long: `Ask that a grant lasts longer. What the flow gives by itself lasts longer at once; else
those who had to agree to the grant have to agree to this too. A grant that has ended is
not brought back: ask for it anew.`,
		Example: `  gatehouse access extend g5xk2mjyqrc7wqn4b -d 1h -j "the migration takes longer"`,
		Args:    named("the id of a grant", 1, 1),
	}
	connect := addServer(cmd)
	duration := cmd.Flags().StringP("duration", "d", "", "by how long: 30m, 1h (default as long as the flow lets)")
	justification := cmd.Flags().StringP("justification", "j", "", "why (default as before)")
	w := addWaiting(cmd)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if err := errors.Join(w.check(), grantID(args[0])); err != nil {
			return err
		}
		seconds, err := spanFlag("duration", *duration)
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		body := map[string]any{"duration_seconds": seconds}
		if *justification != "" {
			body["justification"] = *justification
		}
		r := new(api.AccessRequest)
		if _, err := c.do(cmd.Context(), http.MethodPost, at("grants", args[0], "extend"), body, r); err != nil {
			return err
		}
		return w.follow(cmd.Context(), s, c, r, asJSON)
	}
	return cmd
}
