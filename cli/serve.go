package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// serveRoles are the parts of the product that one process can take.
var serveRoles = []string{"collect", "analyze", "web", "access"}

// lendingSettings say what is lent, and how.
var lendingSettings = []string{
	"flows_file", "integrations_file", "access_objective", "access_per_integration", "access_provision_timeout",
	"access_reconcile_interval", "access_discovery_interval", "access_ending_notice",
}

// noticeSettings say who is told of what.
var noticeSettings = []string{
	"notify_slack_token_file", "notify_slack_signing_secret_file", "notify_slack_channel", "notify_slack_channel_kinds",
	"notify_slack_kinds", "notify_slack_api", "notify_email_server", "notify_email_security", "notify_email_username",
	"notify_email_password_file", "notify_email_from", "notify_email_to", "notify_email_to_kinds", "notify_email_kinds",
	"notify_email_ca_file", "notify_webhook_secret_files", "notify_webhook_kinds", "notify_webhook_ca_file",
	"notify_oncall_url", "notify_oncall_secret_file", "notify_oncall_ca_file", "notify_oncall_max_people",
}

// identitySettings say who may come in and how.
var identitySettings = []string{
	"public_url", "tls_cert", "tls_key", "admin_token_file",
	"oidc_issuer", "oidc_client_id", "oidc_client_secret_file", "oidc_scopes", "oidc_groups_claim", "oidc_email_claim",
	"oidc_manager_claim", "oidc_attributes", "oidc_trust_email", "role_admins", "role_approvers", "role_requesters", "role_viewers",
	"people_file", "session_life", "session_idle",
}

func newServe(rt Runtime, s *Streams) *cobra.Command {
	var roles []string
	var since string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the product: collect, keep the inventory, lend access, show the dashboard",
		Long: `Collect calls from every account, keep the inventory, lend access to clusters
and APIs (docs/access.md) and show it all on the dashboard. Without an identity
provider the dashboard listens on a loopback address, and the link that is printed
at the start signs in as admin; with oidc_issuer people sign in there, and have the
roles that role_admins and its like give (docs/identity.md).`,
		Example: `  gatehouse serve --config gatehouse.yaml`,
		Args:    noArgs,
	}
	flags := addSettings(cmd, slices.Concat(collectSettings, identitySettings, noticeSettings, lendingSettings, []string{"logging_role_name"})...)
	cmd.Flags().StringSliceVar(&roles, "roles", serveRoles, "what this process does")
	cmd.Flags().StringVar(&since, "since", "", "where the first start reads from: a duration (1h, 7d) or a time (RFC 3339)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, r := range roles {
			if !slices.Contains(serveRoles, r) {
				return usagef("--roles: %q is none of %s", r, strings.Join(serveRoles, ", "))
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
		return rt.Serve(cmd.Context(), c, ServeOptions{Roles: roles, RolesGiven: cmd.Flags().Changed("roles"), Since: from, Out: s.Out, Err: s.Err})
	}
	return cmd
}
