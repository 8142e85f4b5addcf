package cli

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
)

func newAccessPanic(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "panic",
		Short: "Take everything of a person, a resource, an integration or all back at once",
		Long: `Take everything of a person, a resource, an integration or all back at once, and lend
nothing there until 'gatehouse access lift'. Who administers may.`,
		Example: `  gatehouse access panic --person ann@example.com --reason "laptop stolen" --yes
  gatehouse access panic --integration prod-1 --resource namespace/payments --reason "audit"
  gatehouse access panic --everything --reason "token leak, INC-1234" --yes`,
		Args: noArgs,
	}
	var scope access.StopScope
	cmd.Flags().StringVar(&scope.Person, "person", "", "all that this person holds: their e-mail address")
	cmd.Flags().StringVarP(&scope.Integration, "integration", "i", "", "all that is lent of this integration")
	cmd.Flags().StringVarP(&scope.Resource, "resource", "r", "", "only what is lent of this resource, by id; needs --integration")
	everything := cmd.Flags().Bool("everything", false, "all that is lent to anybody")
	reason := cmd.Flags().String("reason", "", "why; needed")
	yes := cmd.Flags().BoolP("yes", "y", false, "do it without asking")
	return talk(cmd, func(ctx context.Context, c *client, _ []string, asJSON bool) error {
		if err := notBoth(cmd, "person", "integration", "everything"); err != nil {
			return err
		}
		switch {
		case *reason == "":
			return usagef("--reason: say why")
		case scope.Resource != "" && scope.Integration == "":
			return usagef("--resource: name its --integration too")
		case *everything:
			scope.Kind = "all"
		case scope.Person != "":
			scope.Kind = "person"
		case scope.Resource != "":
			scope.Kind = "resource"
		case scope.Integration != "":
			scope.Kind = "integration"
		default:
			return withHint(usagef("say what to take back"), "give --person, --integration (and --resource), or --everything")
		}
		if err := consent(ctx, s, *yes, "Take "+printable(scope.String())+" back now, and lend nothing there until it is lifted?"); err != nil {
			return err
		}
		var taken struct {
			Grants int `json:"grants"`
		}
		body := struct {
			access.StopScope
			Reason string `json:"reason"`
		}{scope, *reason}
		if _, err := c.do(ctx, http.MethodPost, at("stops"), body, &taken); err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, taken)
		}
		_, err := fmt.Fprintf(s.Out, "%s on the way out; nothing more is lent there\n", counted(taken.Grants, "grant"))
		return err
	})
}

func newAccessLift(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lift STOP…",
		Short:   "Lend again where panic stopped it; what was taken back stays so",
		Example: "  gatehouse access stops\n  gatehouse access lift s5xk2mjyqrc7wqn4b --reason \"the laptop was wiped\"",
		Args:    named("the ids of stops", 1, oneOrMore),
	}
	connect := addServer(cmd)
	reason := cmd.Flags().String("reason", "", "why")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		body := map[string]string{}
		if *reason != "" {
			body["reason"] = *reason
		}
		for _, id := range args {
			if _, err := c.do(cmd.Context(), http.MethodPost, at("stops", id, "lift"), body, nil); err != nil {
				return err
			}
			fmt.Fprintf(s.Err, "%s is lifted\n", printable(id))
		}
		return nil
	}
	return cmd
}

func newAccessStops(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stops",
		Short: "List where nothing is lent until somebody lifts it",
		Args:  noArgs,
	}
	return talk(cmd, func(ctx context.Context, c *client, _ []string, asJSON bool) error {
		stops := []access.Stop{}
		if _, err := c.do(ctx, http.MethodGet, at("stops"), nil, &stops); err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, stops)
		}
		if len(stops) == 0 {
			_, err := fmt.Fprintln(s.Out, "lending is stopped nowhere")
			return err
		}
		rows := make([][]string, 0, len(stops))
		for i := range stops {
			st := &stops[i]
			rows = append(rows, []string{st.ID, st.Scope.String(), st.By, utc(st.At), st.Reason})
		}
		return printTable(s.Out, []string{"STOP", "WHAT", "BY", "SINCE (UTC)", "WHY"}, rows)
	})
}
