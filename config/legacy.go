package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
)

// Legacy is an environment variable of a collector that Gatehouse replaces.
type Legacy struct {
	Name string
	// Here says what it does in Gatehouse.
	Here string
	set  func(c *Config, k *legacyKafka, v string) error
}

// legacyKafka gathers what several variables say of one sink.
type legacyKafka struct {
	brokers string
	query   url.Values
}

// LegacyVariables lists every variable that is understood, in the order of the
// documentation. An empty value is as if the variable were not set, since the
// deployments of these collectors list all of them with empty values.
func LegacyVariables() []Legacy { return legacy }

// minBatchBytes is the smallest batch that AKTO_BYTES_IN_THRESHOLD can ask for:
// every batch is acknowledged before the cursor moves, so a batch of a few
// bytes would only make collecting slow.
const minBatchBytes = 64 << 10

var legacy = []Legacy{
	{
		"AKTO_KAFKA_BROKER_MAL", "Kafka brokers; adds the sink kafka://BROKERS/akto.api.logs?format=akto",
		func(_ *Config, k *legacyKafka, v string) error { k.brokers = v; return nil },
	},
	{
		"AKTO_BYTES_IN_THRESHOLD", "a batch to Kafka is sent when it holds this many bytes (at least 65536)",
		func(c *Config, k *legacyKafka, v string) error {
			n, err := positive(v)
			if err != nil {
				return err
			}
			if n < minBatchBytes {
				c.notice("AKTO_BYTES_IN_THRESHOLD=%d is raised to %d: each batch is acknowledged before the cursor moves", n, minBatchBytes)
				n = minBatchBytes
			}
			k.query.Set("batch_bytes", strconv.Itoa(n))
			return nil
		},
	},
	{
		"AKTO_TRAFFIC_BATCH_TIME_SECS", "a batch to Kafka is sent after this many seconds at the latest",
		func(_ *Config, k *legacyKafka, v string) error {
			n, err := positive(v)
			if err != nil {
				return err
			}
			k.query.Set("batch_time", (time.Duration(n) * time.Second).String())
			return nil
		},
	},
	{
		"AKTO_TRAFFIC_BATCH_SIZE", "a batch to Kafka is sent when it holds this many calls",
		func(_ *Config, k *legacyKafka, v string) error {
			n, err := positive(v)
			if err != nil {
				return err
			}
			k.query.Set("batch_count", strconv.Itoa(n))
			return nil
		},
	},
	{
		"CLOUDWATCH_READ_BATCH_SIZE", "read_concurrency: log groups of one account and region read at the same time",
		func(c *Config, _ *legacyKafka, v string) error {
			n, err := positive(v)
			if err != nil {
				return err
			}
			c.ReadConcurrency = n
			return nil
		},
	},
	{
		"CROSS_ACCOUNT_ROLE_ARN", "role_arns: the roles to assume, comma-separated",
		func(c *Config, _ *legacyKafka, v string) error {
			c.Accounts.Roles = nil
			for _, arn := range splitList(v) {
				if err := checkRoleARN(arn); err != nil {
					return err
				}
				c.Accounts.Roles = append(c.Accounts.Roles, account.Role{ARN: arn})
			}
			return nil
		},
	},
	{
		"LOG_GROUP_PREFIX", "log_group_prefix",
		func(c *Config, _ *legacyKafka, v string) error { c.LogGroupPrefix = v; return nil },
	},
	{
		"LOG_GROUP_ARN", "log_group_arns: read exactly these log groups, comma-separated",
		func(c *Config, _ *legacyKafka, v string) error {
			arns := splitList(v)
			for _, a := range arns {
				if err := checkLogGroupARN(a); err != nil {
					return err
				}
			}
			c.LogGroupARNs = arns
			return nil
		},
	},
	{
		"SESSION_NAME", "session_name",
		func(c *Config, _ *legacyKafka, v string) error { c.Accounts.SessionName = v; return nil },
	},
	{
		"DATABASE_ABSTRACTOR_TOKEN", "accepted; Gatehouse takes its roles from its own settings and fetches none from another service",
		func(c *Config, _ *legacyKafka, _ string) error {
			c.notice("DATABASE_ABSTRACTOR_TOKEN is set and has nothing to do here: roles come from CROSS_ACCOUNT_ROLE_ARN, role_arns or the organization")
			return nil
		},
	},
	{
		"cequence_aws_regions", "regions: all, or a comma-separated list",
		func(c *Config, _ *legacyKafka, v string) error { c.Accounts.Regions = splitList(v); return nil },
	},
	{
		"cequence_log_level", "log_level: info, debug or trace (as debug)",
		func(c *Config, _ *legacyKafka, v string) error {
			switch v {
			case "info", "debug":
				c.LogLevel = v
			case "trace":
				c.LogLevel = "debug"
			default:
				return fmt.Errorf("%q is none of info, debug, trace", v)
			}
			return nil
		},
	},
	{
		"cequence_http_log_group_name", "accepted; the access log groups of HTTP APIs are found through their stages",
		func(c *Config, _ *legacyKafka, _ string) error {
			c.notice("cequence_http_log_group_name has nothing to do here: the access log groups of HTTP APIs are found through their stages")
			return nil
		},
	},
	{
		"is_existing_http_log_group", "accepted; collecting never creates a log group",
		func(c *Config, _ *legacyKafka, _ string) error {
			c.notice("is_existing_http_log_group has nothing to do here: collecting never creates a log group")
			return nil
		},
	},
	noEffect("cequence_client_id", "delivery over HTTPS to a protection platform is not in this version"),
	noEffect("cequence_client_secret", "delivery over HTTPS to a protection platform is not in this version"),
	noEffect("cequence_auth_endpoint", "delivery over HTTPS to a protection platform is not in this version"),
	noEffect("cequence_edge_endpoint", "delivery over HTTPS to a protection platform is not in this version"),
	noEffect("cequence_rest_api_enabled", "switching logging on is not in this version; every log group that exists is read"),
	noEffect("cequence_http_api_enabled", "switching logging on is not in this version; every log group that exists is read"),
	noEffect("cequence_auto_discover_apis", "switching logging on is not in this version; APIs are always discovered"),
	noEffect("cequence_res_content_types", "filters by content type are not in this version; every call is delivered"),
	noEffect("cequence_static_file_extensions", "filters by file extension are not in this version; every call is delivered"),
	noEffect("cequence_tf_auto_approve", "nothing is deployed by this command"),
	noEffect("cequence_cfn_auto_delete_from_s3", "nothing is deployed by this command"),
	noEffect("cequence_is_aws_organization_deployment", "the organization is read with the organization setting"),
	noEffect("cequence_is_multi_account_deployment", "accounts are read through role_arns or the organization setting"),
	noEffect("cequence_deployment_type", "nothing is deployed by this command"),
	noEffect("cequence_auto_install_dependencies", "a single binary has no dependencies to install"),
	noEffect("cequence_auto_uninstall_dependencies", "a single binary has no dependencies to remove"),
}

func noEffect(name, why string) Legacy {
	return Legacy{name, "accepted without effect: " + why, func(c *Config, _ *legacyKafka, _ string) error {
		c.notice("%s is set and has no effect: %s", name, why)
		return nil
	}}
}

func (c *Config) notice(format string, args ...any) {
	c.Notices = append(c.Notices, fmt.Sprintf(format, args...))
}

// readLegacy lays the variables of the collectors that Gatehouse replaces over
// c. AWS_REGION is not among them: the AWS SDK reads it by itself.
func (c *Config) readLegacy(getenv func(string) string) error {
	k := legacyKafka{query: url.Values{"format": {"akto"}}}
	for _, l := range legacy {
		v := strings.TrimSpace(getenv(l.Name))
		if v == "" {
			continue
		}
		if err := l.set(c, &k, v); err != nil {
			return &Error{Where: l.Name, Err: err}
		}
	}
	if k.brokers != "" {
		var hosts []string
		for _, b := range splitList(k.brokers) {
			hosts = append(hosts, strings.TrimPrefix(b, "kafka://"))
		}
		c.Sinks = append(c.Sinks, "kafka://"+strings.Join(hosts, ",")+"/akto.api.logs?"+k.query.Encode())
	}
	return nil
}

func positive(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a whole number above zero", v)
	}
	return n, nil
}
