package cli

import (
	"github.com/spf13/cobra"
)

func newPolicy(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Decide, explain, check and write IAM policies",
		Long: `Decide, explain, check and write IAM policies. Everything happens on this
machine: no credentials are needed and nothing is sent anywhere.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withHint(usagef("unknown command %q for %s", args[0], cmd.CommandPath()), "see '"+cmd.CommandPath()+" --help'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyEval(s))
	return cmd
}
