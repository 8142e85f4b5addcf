package cli

import (
	"encoding/json"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
)

func newAccessCreds(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "creds [INTEGRATION]",
		Short: "Print temporary AWS credentials for what was lent to you on an API",
		Long: `Print temporary AWS credentials for what was lent to you on an API, as the
credential_process of an AWS profile has to: JSON on standard output and nothing else.
They allow what your grants allow and end with them at the latest. Nothing is kept on
disk: the SDK asks again when they end.

  [profile orders]
  credential_process = gatehouse access creds orders --server https://gatehouse.example.com
  region = eu-west-1`,
		Example: `  gatehouse access creds orders
  gatehouse access creds orders --grant g5xk2mjyqrc7wqn4b`,
		Args: named("the name of an integration", 0, 1),
	}
	connect := addServer(cmd)
	integration := cmd.Flags().StringP("integration", "i", "", "the integration, in the place of the argument")
	grant := cmd.Flags().String("grant", "", "only for this grant (default all of yours on the integration)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := *integration
		switch {
		case len(args) == 1 && name == "":
			name = args[0]
		case len(args) == 1:
			return usagef("--integration: it is named twice")
		case name == "":
			return withHint(usagef("name an integration"), "'gatehouse access list' shows what you have")
		}
		if *grant != "" {
			if err := grantID(*grant); err != nil {
				return err
			}
		}
		c, err := connect()
		if err != nil {
			return err
		}
		body := map[string]string{"integration": name}
		if *grant != "" {
			body["grant"] = *grant
		}
		creds := new(access.Credentials)
		if _, err := c.do(cmd.Context(), http.MethodPost, at("credentials"), body, creds); err != nil {
			if isRefused(err, http.StatusConflict) {
				return withHint(err, "run 'gatehouse access request -i "+name+"'")
			}
			return err
		}
		return json.NewEncoder(s.Out).Encode(creds) //nolint:gosec // printing them is what the command is for.
	}
	return cmd
}
