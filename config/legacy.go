package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Legacy is an environment variable of a collector that Gatehouse replaces.
type Legacy struct {
	Name string
	// Here says what it does in Gatehouse, There what it does in the collector
	// that it comes from.
	Here  string
	There string
	set   func(c *Config, k *legacySet, v string) error
}

// legacySet gathers what several variables say together.
type legacySet struct {
	brokers string     // of the Akto sink
	query   url.Values // of the Akto sink

	edge string // of the Cequence sink

	rest, http         string // which types of API are read: true, false, or not said
	logGroup           string
	logGroupExists     bool
	discover           bool // false: api-config.json says which APIs
	discoverySaid      bool
	logGroupExistsSaid bool
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
		"the Kafka broker of Akto's mini-runtime",
		func(_ *Config, k *legacySet, v string) error { k.brokers = v; return nil },
	},
	{
		"AKTO_BYTES_IN_THRESHOLD", "a batch to Kafka is sent when it holds this many bytes (at least 65536)",
		"bytes after which a batch is sent; without effect in the connector that is shipped",
		func(c *Config, k *legacySet, v string) error {
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
		"seconds after which a batch is sent; also the time-out of the connection",
		func(_ *Config, k *legacySet, v string) error {
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
		"messages after which a batch is sent",
		func(_ *Config, k *legacySet, v string) error {
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
		"not described; without effect in later versions",
		func(c *Config, _ *legacySet, v string) error {
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
		"the roles to assume in other accounts, comma-separated",
		func(c *Config, _ *legacySet, v string) error {
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
		"prefix of the log groups to read",
		func(c *Config, _ *legacySet, v string) error { c.LogGroupPrefix = v; return nil },
	},
	{
		"LOG_GROUP_ARN", "log_group_arns: read exactly these log groups, comma-separated",
		"the log group to read",
		func(c *Config, _ *legacySet, v string) error {
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
		"session name for the assumed roles",
		func(c *Config, _ *legacySet, v string) error { c.Accounts.SessionName = v; return nil },
	},
	{
		"DATABASE_ABSTRACTOR_TOKEN", "accepted; Gatehouse takes its roles from its own settings and fetches none from another service",
		"token for Akto's own service, from which the list of roles is fetched",
		func(c *Config, _ *legacySet, _ string) error {
			c.notice("DATABASE_ABSTRACTOR_TOKEN is set and has nothing to do here: roles come from CROSS_ACCOUNT_ROLE_ARN, role_arns or the organization")
			return nil
		},
	},
	{
		"cequence_client_id", "https_client_id: the client that gets the token for the edge endpoint",
		"client id of the platform",
		func(c *Config, _ *legacySet, v string) error { c.HTTPS.ClientID = v; return nil },
	},
	{
		"cequence_client_secret", "https_client_secret: that client's secret",
		"client secret of the platform",
		func(c *Config, _ *legacySet, v string) error { c.HTTPS.ClientSecret = v; return nil },
	},
	{
		"cequence_auth_endpoint", "https_token_url: the whole URL that gives tokens (OAuth 2.0 client credentials)",
		"endpoint of the platform's authentication",
		func(c *Config, _ *legacySet, v string) error { c.HTTPS.TokenURL = withScheme(v); return nil },
	},
	{
		"cequence_edge_endpoint", "adds the sink https://ENDPOINT?format=cequence&auth=oauth2; options of that sink may follow a ?",
		"endpoint of the platform that takes traffic",
		func(_ *Config, k *legacySet, v string) error { k.edge = withScheme(v); return nil },
	},
	{
		"cequence_aws_regions", "regions: all, or a comma-separated list",
		"all, a region, or a comma-separated list",
		func(c *Config, _ *legacySet, v string) error { c.Accounts.Regions = splitList(v); return nil },
	},
	{
		"cequence_rest_api_enabled", "false: log groups of REST APIs are not read (api_types)",
		"whether logging of REST APIs is switched on and read",
		func(_ *Config, k *legacySet, v string) error { return trueOrFalse(&k.rest, v) },
	},
	{
		"cequence_http_api_enabled", "false: log groups of HTTP APIs are not read (api_types)",
		"whether logging of HTTP APIs is switched on and read",
		func(_ *Config, k *legacySet, v string) error { return trueOrFalse(&k.http, v) },
	},
	{
		"cequence_auto_discover_apis", "false: only the APIs and stages that api-config.json lists are read (apis)",
		"false: api-config.json lists the APIs to enable in one region",
		func(_ *Config, k *legacySet, v string) error {
			var said string
			err := trueOrFalse(&said, v)
			k.discoverySaid, k.discover = true, said == "true"
			return err
		},
	},
	{
		"is_existing_http_log_group", "true: the log group of cequence_http_log_group_name is read; collecting creates none either way",
		"true: access logs go to that log group already; false: it is created",
		func(_ *Config, k *legacySet, v string) error {
			var said string
			err := trueOrFalse(&said, v)
			k.logGroupExistsSaid, k.logGroupExists = true, said == "true"
			return err
		},
	},
	{
		"cequence_http_log_group_name", "access_log_groups: read in every account and region where it exists, beside the groups that stages name; logging enable writes there (logging_http_group)",
		"log group for the access logs of HTTP APIs",
		func(_ *Config, k *legacySet, v string) error { k.logGroup = v; return nil },
	},
	{
		"cequence_log_level", "log_level: info, debug or trace",
		"info, debug or trace",
		func(c *Config, _ *legacySet, v string) error {
			switch v = strings.ToLower(v); v {
			case "info", "debug", "trace":
				c.LogLevel = v
				return nil
			}
			return fmt.Errorf("%q is none of info, debug, trace", v)
		},
	},
	{
		"cequence_res_content_types", "filter_content_types: calls answered with other media types are left out",
		"responses of other content types are ignored",
		func(c *Config, _ *legacySet, v string) error { c.Filter.ContentTypes = words(v); return nil },
	},
	{
		"cequence_static_file_extensions", "filter_static_extensions: calls whose path ends with one of them are left out",
		"responses to such URIs are ignored",
		func(c *Config, _ *legacySet, v string) error {
			c.Filter.StaticExtensions = words(v)
			for i, e := range c.Filter.StaticExtensions {
				c.Filter.StaticExtensions[i] = strings.TrimLeft(e, "*.")
			}
			return nil
		},
	},
	{
		"cequence_tf_auto_approve", "true: logging enable, disable and destroy do not ask (--yes)",
		"true: Terraform's plan is not shown before it is applied",
		func(c *Config, _ *legacySet, v string) error {
			var said string
			err := trueOrFalse(&said, v)
			c.Approved = said == "true"
			c.notice("cequence_tf_auto_approve is set and is heeded by the logging commands alone")
			return err
		},
	},
	noEffect("cequence_cfn_auto_delete_from_s3", "nothing is deployed by this command",
		"whether the bundle is deleted from S3 afterwards"),
	noEffect("cequence_is_aws_organization_deployment", "the organization is read with the organization setting",
		"lets all accounts of the organization read the bundle's bucket"),
	noEffect("cequence_is_multi_account_deployment", "accounts are read through role_arns or the organization setting",
		"whether several accounts are deployed to"),
	noEffect("cequence_deployment_type", "nothing is deployed by this command",
		"terraform or cloudformation"),
	noEffect("cequence_auto_install_dependencies", "a single binary has no dependencies to install",
		"installs jq, the AWS CLI, Terraform, ed and zip"),
	noEffect("cequence_auto_uninstall_dependencies", "a single binary has no dependencies to remove",
		"removes them again"),
}

func noEffect(name, why, there string) Legacy {
	return Legacy{name, "accepted without effect: " + why, there, func(c *Config, _ *legacySet, _ string) error {
		c.notice("%s is set and has no effect: %s", name, why)
		return nil
	}}
}

// withScheme makes https:// of an endpoint that names none.
func withScheme(endpoint string) string {
	if strings.Contains(endpoint, "://") {
		return endpoint
	}
	return "https://" + endpoint
}

func trueOrFalse(said *string, v string) error {
	switch v = strings.ToLower(v); v {
	case "true", "false":
		*said = v
		return nil
	}
	return fmt.Errorf("%q is neither true nor false", v)
}

// words splits a list. How the entries are set apart is not documented, so
// everything is taken that no media type and no file extension has.
func words(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(" \t,;|[](){}'\"", r) })
}

func (c *Config) notice(format string, args ...any) {
	c.Notices = append(c.Notices, fmt.Sprintf(format, args...))
}

// readLegacy lays the variables of the collectors that Gatehouse replaces over
// c. AWS_REGION is not among them: the AWS SDK reads it by itself.
func (c *Config) readLegacy(getenv func(string) string) error {
	k := legacySet{query: url.Values{"format": {"akto"}}}
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
	if err := c.addPlatform(&k); err != nil {
		return err
	}
	c.chooseTypes(&k)
	c.chooseLogGroup(&k)
	if k.discoverySaid && !k.discover {
		c.APIConfig = DefaultAPIConfig
	}
	return nil
}

// addPlatform adds the sink for the edge endpoint.
func (c *Config) addPlatform(k *legacySet) error {
	if k.edge == "" {
		return nil
	}
	u, err := url.Parse(k.edge)
	if err != nil || u.Host == "" {
		return &Error{Where: "cequence_edge_endpoint", Err: errors.New("is not a URL"), Hint: "write https://HOST/PATH"}
	}
	q := u.Query()
	if !q.Has("format") {
		q.Set("format", "cequence")
	}
	if !q.Has("auth") {
		q.Set("auth", "oauth2")
	}
	u.RawQuery = q.Encode()
	c.Sinks = append(c.Sinks, u.String())
	return nil
}

// checkPlatform reports what is missing of the four variables that belong
// together. A setting may stand in for a variable.
func (c *Config) checkPlatform(getenv func(string) string) error {
	set := func(name string) bool { return strings.TrimSpace(getenv(name)) != "" }
	const edge = "cequence_edge_endpoint"
	for _, v := range []struct {
		name  string
		known bool
	}{
		{"cequence_auth_endpoint", c.HTTPS.TokenURL != ""},
		{"cequence_client_id", c.HTTPS.ClientID != ""},
		{"cequence_client_secret", c.HTTPS.ClientSecret != "" || c.HTTPS.ClientSecretFile != ""},
	} {
		if set(edge) && !v.known {
			return &Error{Where: v.name, Err: errors.New("is not set, and " + edge + " is"), Hint: "the edge endpoint takes traffic with a token alone"}
		}
		if set(v.name) && !set(edge) && !slices.ContainsFunc(c.Sinks, func(s string) bool { return strings.HasPrefix(s, "http") }) {
			return &Error{Where: edge, Err: errors.New("is not set, and " + v.name + " is"), Hint: "set it to the URL that takes traffic"}
		}
	}
	return nil
}

// chooseTypes reads all types of API but those that are switched off.
func (c *Config) chooseTypes(k *legacySet) {
	if k.rest != "false" && k.http != "false" {
		return
	}
	switch {
	case k.http != "false":
		c.LoggingOff = []string{string(transaction.REST)}
	case k.rest != "false":
		c.LoggingOff = []string{string(transaction.HTTP)}
	default:
		c.LoggingOff = []string{string(transaction.REST), string(transaction.HTTP), string(transaction.WebSocket)}
	}
	c.APITypes = nil
	if k.rest != "false" {
		c.APITypes = append(c.APITypes, string(transaction.REST))
	}
	if k.http != "false" {
		c.APITypes = append(c.APITypes, string(transaction.HTTP))
	}
	c.APITypes = append(c.APITypes, string(transaction.WebSocket))
	if len(c.APITypes) == 1 {
		c.notice("cequence_rest_api_enabled and cequence_http_api_enabled are both false: only WebSocket APIs are read")
	}
}

// defaultHTTPLogGroup is the name that the Cequence integration gives its log
// group.
const defaultHTTPLogGroup = "cequence-http-api-access-logs"

func (c *Config) chooseLogGroup(k *legacySet) {
	name := k.logGroup
	if name == "" && k.logGroupExists {
		name = defaultHTTPLogGroup
	}
	if name != "" {
		c.AccessLogGroups = append(c.AccessLogGroups, name)
	}
	c.LoggingHTTPGroup, c.LoggingHTTPGroupExists = name, k.logGroupExists
	if name == "" && k.logGroupExistsSaid {
		c.LoggingHTTPGroup = defaultHTTPLogGroup
	}
	if k.logGroupExistsSaid && !k.logGroupExists {
		c.notice("is_existing_http_log_group is false: collecting creates no log group; access logs are read where stages write them, and where the named group exists")
	}
}

func positive(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a whole number above zero", v)
	}
	return n, nil
}
