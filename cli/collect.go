package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
)

// reachSettings say which accounts and regions are reached, and how.
var reachSettings = []string{
	"regions", "role_arns", "external_id", "session_name", "profile", "hub_role_arn", "hub_external_id",
	"organization", "role_name", "allow_long_lived_keys", "quota", "log_level", "log_format",
}

// collectSettings say what is read and where it goes.
var collectSettings = append([]string{
	"sinks", "state", "listen", "log_group_prefix", "log_group_arns", "prefix_only",
	"poll_interval", "settle", "overlap", "grace", "idle", "start_from", "discovery_interval", "estate_principals",
	"max_open_calls", "read_concurrency", "shutdown_timeout",
	"access_log_groups", "api_config", "api_types", "apis", "completeness_check", "check_interval",
	"redact_headers", "redact_json_paths", "redact_classes",
	"filter_api_types", "filter_apis", "filter_stages", "filter_methods", "filter_paths", "filter_status",
	"filter_content_types", "filter_static_extensions", "filter_sample_rate",
	"https_token_url", "https_client_id", "https_client_secret_file", "https_scopes", "kafka_username", "kafka_password_file",
	"dead_letter_max_count", "dead_letter_max_bytes",
	"ingest_listen", "ingest_tls_cert", "ingest_tls_key", "ingest_behind_proxy", "ingest_access_key_file",
	"spool", "spool_max_bytes", "push_only",
}, reachSettings...)

func newCollect(rt Runtime, s *Streams) *cobra.Command {
	var once bool
	var since, fromGroup string
	var from []string
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "Read API Gateway's logs from CloudWatch and deliver each call to the sinks",
		Long: `Read API Gateway's logs from CloudWatch through assumed roles, rebuild each
call, and deliver it to the sinks. Nothing is lost: the cursor moves only after
every sink has a call. It runs until it is stopped; on SIGTERM everything that
was read whole is delivered first.

The variables of the Akto connector's deployment work as they are: with
AKTO_KAFKA_BROKER_MAL, CROSS_ACCOUNT_ROLE_ARN, LOG_GROUP_PREFIX, SESSION_NAME and
AWS_REGION set, 'gatehouse collect' needs nothing else. So do those of the
Cequence integration, also from its .env file (docs/drop-in.md).`,
		Example: `  gatehouse collect --sink file:/var/lib/gatehouse --role-arn arn:aws:iam::111122223333:role/GatehouseCollector
  gatehouse collect --once --since 1h --sink stdout: --state /tmp/backfill.db
  gatehouse collect --from exported-logs/ --sink file:/var/lib/gatehouse`,
		Args: noArgs,
	}
	flags := addSettings(cmd, collectSettings...)
	cmd.Flags().BoolVar(&once, "once", false, "read from --since until now, deliver, and end")
	cmd.Flags().StringVar(&since, "since", "", "read from this time on: a duration (1h, 7d) or a time (RFC 3339)")
	cmd.Flags().StringArrayVar(&from, "from", nil, "import a file, or a folder of files, of exported logs instead of reading CloudWatch, and end (may be repeated)")
	cmd.Flags().StringVar(&fromGroup, "from-group", "", "log group, or its ARN, of files that do not name it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := flags.load(cmd)
		if err != nil {
			return err
		}
		start, err := parseSince(since)
		if err != nil {
			return err
		}
		if once && start.IsZero() && len(from) == 0 {
			return withHint(usagef("--once needs --since"), "say how far back to read: --once --since 1h")
		}
		if len(c.Sinks) == 0 {
			return withHint(usagef("no sink: there is nowhere to deliver calls to"),
				"name one, such as --sink file:DIR or --sink kafka://BROKER/TOPIC?format=native; docs/sinks.md lists all")
		}
		return rt.Collect(cmd.Context(), c, CollectOptions{
			Once: once, Since: start, From: from, FromGroup: fromGroup, Out: s.Out, Err: s.Err,
		})
	}
	return cmd
}

func parseSince(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := config.Since(text, time.Now())
	if err != nil {
		return time.Time{}, usagef("--since: %w", err)
	}
	return t, nil
}

// noArgs refuses arguments with exit status 2.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return withHint(usagef("%s takes no arguments, not %q", cmd.CommandPath(), args[0]), "see '"+cmd.CommandPath()+" --help'")
}
