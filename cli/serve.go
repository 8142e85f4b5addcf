package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// serveRoles are the parts of the product that one process can take.
var serveRoles = []string{"collect", "analyze", "web"}

func newServe(rt Runtime, s *Streams) *cobra.Command {
	var roles []string
	var since string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the product: collect, keep the inventory, show the dashboard",
		Long: `Collect calls from every account, keep the inventory and show both on the
dashboard. The dashboard listens on a loopback address; the link that is printed
at the start signs in as admin.`,
		Example: `  gatehouse serve --config gatehouse.yaml`,
		Args:    noArgs,
	}
	flags := addSettings(cmd, collectSettings...)
	cmd.Flags().StringSliceVar(&roles, "roles", serveRoles, "what this process does")
	cmd.Flags().StringVar(&since, "since", "", "where the first start reads from: a duration (1h, 7d) or a time (RFC 3339)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, r := range roles {
			if !slices.Contains(serveRoles, r) {
				return usagef("--roles: %q is none of collect, analyze, web", r)
			}
		}
		c, err := flags.load(cmd)
		if err != nil {
			return err
		}
		from, err := parseSince(since)
		if err != nil {
			return err
		}
		return rt.Serve(cmd.Context(), c, ServeOptions{Roles: roles, Since: from, Out: s.Out, Err: s.Err})
	}
	return cmd
}
