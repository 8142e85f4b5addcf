package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
)

// Setting is one thing that can be set, under one name everywhere: poll_interval
// in gatehouse.yaml, GATEHOUSE_POLL_INTERVAL, --poll-interval.
type Setting struct {
	Name string
	// Doc is one line for --help and docs/configuration.md.
	Doc string
	// Flag is the flag's name where it is not Name with dashes: the singular of
	// a list that is repeated.
	Flag string
	// List settings take several values: a YAML list, a comma-separated
	// variable, a repeated flag.
	List bool
	// Switch settings are true or false; their flag needs no value.
	Switch bool
	// Secret settings have no flag, which everybody could read in the list of
	// processes, and their value is shown nowhere.
	Secret bool
	get    func(*Config) string
	set    func(*Config, []string) error
}

// FlagName is the name of the setting's flag, without dashes before it.
func (s *Setting) FlagName() string {
	if s.Flag != "" {
		return s.Flag
	}
	return strings.ReplaceAll(s.Name, "_", "-")
}

// Variable is the setting's environment variable.
func (s *Setting) Variable() string { return "GATEHOUSE_" + strings.ToUpper(s.Name) }

// Set parses values into c. A setting that is not a List takes exactly one.
func (s *Setting) Set(c *Config, values []string) error {
	if !s.List && len(values) != 1 {
		return fmt.Errorf("takes one value, not %d", len(values))
	}
	return s.set(c, values)
}

// Get is the setting's value as text; lists are comma-separated.
func (s *Setting) Get(c *Config) string { return s.get(c) }

// Settings lists all settings in the order of the documentation.
func Settings() []*Setting { return settings }

// Lookup finds a setting by its name.
func Lookup(name string) (*Setting, bool) {
	for _, s := range settings {
		if s.Name == name {
			return s, true
		}
	}
	return nil, false
}

func text(name, doc string, field func(*Config) *string) *Setting {
	return &Setting{
		Name: name, Doc: doc,
		get: func(c *Config) string { return *field(c) },
		set: func(c *Config, v []string) error { *field(c) = v[0]; return nil },
	}
}

func duration(name, doc string, field func(*Config) *time.Duration) *Setting {
	return &Setting{
		Name: name, Doc: doc,
		get: func(c *Config) string { return field(c).String() },
		set: func(c *Config, v []string) error {
			d, err := time.ParseDuration(v[0])
			if err != nil {
				return fmt.Errorf("%q is not a duration such as 10s, 5m or 1h", v[0])
			}
			*field(c) = d
			return nil
		},
	}
}

func number(name, doc string, field func(*Config) *int) *Setting {
	return &Setting{
		Name: name, Doc: doc,
		get: func(c *Config) string { return strconv.Itoa(*field(c)) },
		set: func(c *Config, v []string) error {
			n, err := strconv.Atoi(v[0])
			if err != nil {
				return fmt.Errorf("%q is not a whole number", v[0])
			}
			*field(c) = n
			return nil
		},
	}
}

func toggle(name, doc string, field func(*Config) *bool) *Setting {
	return &Setting{
		Name: name, Doc: doc, Switch: true,
		get: func(c *Config) string { return strconv.FormatBool(*field(c)) },
		set: func(c *Config, v []string) error {
			b, err := strconv.ParseBool(v[0])
			if err != nil {
				return fmt.Errorf("%q is neither true nor false", v[0])
			}
			*field(c) = b
			return nil
		},
	}
}

// share is a number above 0 and up to 1.
func share(name, doc string, field func(*Config) *float64) *Setting {
	return &Setting{
		Name: name, Doc: doc,
		get: func(c *Config) string { return strconv.FormatFloat(*field(c), 'g', -1, 64) },
		set: func(c *Config, v []string) error {
			f, err := strconv.ParseFloat(v[0], 64)
			if err != nil || !(f > 0) || f > 1 {
				return fmt.Errorf("%q is not a share above 0 and up to 1, such as 0.1", v[0])
			}
			*field(c) = f
			return nil
		},
	}
}

func list(name, flag, doc string, field func(*Config) *[]string) *Setting {
	return &Setting{
		Name: name, Flag: flag, Doc: doc, List: true,
		get: func(c *Config) string { return strings.Join(*field(c), ",") },
		set: func(c *Config, v []string) error { *field(c) = slices.Clone(v); return nil },
	}
}

// pairs are NAME=VALUE entries; in gatehouse.yaml they are a mapping.
func pairs(name, doc string, get func(*Config) map[string]string, set func(*Config, map[string]string) error) *Setting {
	return &Setting{
		Name: name, Doc: doc, List: true,
		get: func(c *Config) string {
			m := get(c)
			out := make([]string, 0, len(m))
			for _, k := range slices.Sorted(maps.Keys(m)) {
				out = append(out, k+"="+m[k])
			}
			return strings.Join(out, ",")
		},
		set: func(c *Config, v []string) error {
			m := make(map[string]string, len(v))
			for _, p := range v {
				k, val, ok := strings.Cut(p, "=")
				if !ok || k == "" || val == "" {
					// The text may be a secret.
					return errors.New("an entry is not of the form NAME=VALUE")
				}
				m[strings.TrimSpace(k)] = strings.TrimSpace(val)
			}
			return set(c, m)
		},
	}
}

// headers are pairs without anything else to check here.
func headers(name, doc string, field func(*Config) *map[string]string) *Setting {
	return pairs(name, doc,
		func(c *Config) map[string]string { return *field(c) },
		func(c *Config, m map[string]string) error { *field(c) = m; return nil })
}

func secret(s *Setting) *Setting {
	s.Secret = true
	return s
}

// hubOf gives the hub role, made when first named.
func hubOf(c *Config) *account.Role {
	if c.Accounts.Hub == nil {
		c.Accounts.Hub = &account.Role{}
	}
	return c.Accounts.Hub
}

var settings = append([]*Setting{
	text("state", "URL of the store: sqlite:PATH or postgres://USER@HOST/DATABASE; to collect without an inventory also s3://BUCKET/PREFIX, dynamodb://TABLE/KEY or file:DIR", func(c *Config) *string { return &c.State }),
	list("sinks", "sink", "where transactions go: file:DIR, kafka://BROKER[,BROKER]/TOPIC?format=akto|native, https://HOST/PATH?format=native|cequence, otlp://HOST:4318/v1/logs, stdout:",
		func(c *Config) *[]string { return &c.Sinks }),
	{
		Name: "listen", Doc: "address of serve's dashboard and HTTP API (127.0.0.1:8321 if empty), or of collect's probes and metrics (none if empty)",
		get: func(c *Config) string { return c.Listen },
		set: func(c *Config, v []string) error {
			if v[0] != "" {
				if _, _, err := net.SplitHostPort(v[0]); err != nil {
					return fmt.Errorf("%q is not HOST:PORT", v[0])
				}
			}
			c.Listen = v[0]
			return nil
		},
	},
	text("log_level", "trace, debug, info, warn or error", func(c *Config) *string { return &c.LogLevel }),
	text("log_format", "text or json", func(c *Config) *string { return &c.LogFormat }),

	list("regions", "region", "regions to read, or all; default: the region of the credentials",
		func(c *Config) *[]string { return &c.Accounts.Regions }),
	{
		Name: "role_arns", Flag: "role-arn", List: true,
		Doc: "roles to assume, one an account; without any the base account is read",
		get: func(c *Config) string {
			out := make([]string, 0, len(c.Accounts.Roles))
			for _, r := range c.Accounts.Roles {
				out = append(out, r.ARN)
			}
			return strings.Join(out, ",")
		},
		set: func(c *Config, v []string) error {
			c.Accounts.Roles = nil
			for _, arn := range v {
				if err := checkRoleARN(arn); err != nil {
					return err
				}
				c.Accounts.Roles = append(c.Accounts.Roles, account.Role{ARN: arn})
			}
			return nil
		},
	},
	text("external_id", "external id for every role that names none", func(c *Config) *string { return &c.Accounts.ExternalID }),
	text("session_name", "session name for every role that names none", func(c *Config) *string { return &c.Accounts.SessionName }),
	text("profile", "profile of the shared AWS configuration for the base credentials", func(c *Config) *string { return &c.Accounts.Profile }),
	{
		Name: "hub_role_arn", Doc: "role that is assumed first; the account roles are assumed from it",
		get: func(c *Config) string {
			if c.Accounts.Hub == nil {
				return ""
			}
			return c.Accounts.Hub.ARN
		},
		set: func(c *Config, v []string) error {
			if err := checkRoleARN(v[0]); err != nil {
				return err
			}
			hubOf(c).ARN = v[0]
			return nil
		},
	},
	{
		Name: "hub_external_id", Doc: "external id of the hub role",
		get: func(c *Config) string {
			if c.Accounts.Hub == nil {
				return ""
			}
			return c.Accounts.Hub.ExternalID
		},
		set: func(c *Config, v []string) error { hubOf(c).ExternalID = v[0]; return nil },
	},
	toggle("organization", "read every active account of the organization", func(c *Config) *bool { return &c.Accounts.Organization }),
	text("role_name", "role to assume in every account of the organization", func(c *Config) *string { return &c.Accounts.RoleName }),
	toggle("allow_long_lived_keys", "accept an IAM user's access key as base credentials", func(c *Config) *bool { return &c.Accounts.AllowLongLivedKeys }),
	pairs("quota", "requests a second by operation, such as FilterLogEvents=5",
		func(c *Config) map[string]string {
			m := make(map[string]string, len(c.Accounts.Quota))
			for k, v := range c.Accounts.Quota {
				m[k] = strconv.FormatFloat(v, 'g', -1, 64)
			}
			return m
		},
		func(c *Config, m map[string]string) error {
			c.Accounts.Quota = make(map[string]float64, len(m))
			for k, v := range m {
				f, err := strconv.ParseFloat(v, 64)
				if err != nil || f <= 0 {
					return fmt.Errorf("%s: %q is not a number of requests a second above zero", k, v)
				}
				c.Accounts.Quota[k] = f
			}
			return nil
		}),

	text("log_group_prefix", "read the log groups whose names begin so", func(c *Config) *string { return &c.LogGroupPrefix }),
	list("log_group_arns", "log-group-arn", "read exactly these log groups",
		func(c *Config) *[]string { return &c.LogGroupARNs }),
	list("access_log_groups", "access-log-group", "names of log groups with access logs of HTTP APIs, read in every account and region where they exist",
		func(c *Config) *[]string { return &c.AccessLogGroups }),
	text("api_config", "file that lists the APIs and stages to read (docs/drop-in.md), where apis is empty", func(c *Config) *string { return &c.APIConfig }),
	list("api_types", "api-type", "read only APIs of these types: REST, HTTP, WEBSOCKET; all if empty",
		func(c *Config) *[]string { return &c.APITypes }),
	list("apis", "api", "read only these APIs (ID) or stages (ID/STAGE); all if empty",
		func(c *Config) *[]string { return &c.APIs }),
	text("logging_http_group", "log group that logging enable writes the access logs of all HTTP APIs of an account and region to; one for each stage if empty", func(c *Config) *string { return &c.LoggingHTTPGroup }),
	toggle("logging_http_group_exists", "that group exists and is not made", func(c *Config) *bool { return &c.LoggingHTTPGroupExists }),
	text("logging_role_name", "role to assume in each account to switch logging from the dashboard, in the place of the role that reads", func(c *Config) *string { return &c.LoggingRoleName }),
	toggle("prefix_only", "leave out the log groups that only the estate's stages name", func(c *Config) *bool { return &c.PrefixOnly }),

	duration("poll_interval", "how often new events are asked for", func(c *Config) *time.Duration { return &c.PollInterval }),
	duration("settle", "how far the first reading stays behind now", func(c *Config) *time.Duration { return &c.Settle }),
	duration("overlap", "how late an event may come and still be found by the second reading", func(c *Config) *time.Duration { return &c.Overlap }),
	duration("grace", "how long a call waits for lines after its completion line", func(c *Config) *time.Duration { return &c.Grace }),
	duration("idle", "how long a call without a completion line is kept open", func(c *Config) *time.Duration { return &c.Idle }),
	duration("start_from", "how far back the first start reads", func(c *Config) *time.Duration { return &c.StartFrom }),
	duration("discovery_interval", "how often accounts, regions, APIs and log groups are looked for", func(c *Config) *time.Duration { return &c.DiscoveryInterval }),
	toggle("estate_principals", "read the IAM roles and users of each account too; needs iam:GetAccountAuthorizationDetails",
		func(c *Config) *bool { return &c.EstatePrincipals }),
	number("max_open_calls", "open calls kept in memory for one account and region", func(c *Config) *int { return &c.MaxOpenCalls }),
	number("read_concurrency", "log groups of one account and region that are read at the same time", func(c *Config) *int { return &c.ReadConcurrency }),
	toggle("completeness_check", "compare the events read with CloudWatch's own count, and read again what does not add up; needs cloudwatch:GetMetricData",
		func(c *Config) *bool { return &c.CompletenessCheck }),
	duration("check_interval", "how often CloudWatch's own count is asked for; it costs money by the log group", func(c *Config) *time.Duration { return &c.CheckInterval }),

	list("redact_headers", "redact-header", "take the values of these headers out, beside those of secrets; a star at either end stands for any text",
		func(c *Config) *[]string { return &c.RedactHeaders }),
	list("redact_json_paths", "redact-json-path", "take these places out of JSON bodies: $.user.email, items[*].price, $..phone",
		func(c *Config) *[]string { return &c.RedactJSONPaths }),
	list("redact_classes", "redact-class", "take out data of these classes: card, email, phone, iban, ssn; secret is always one of them",
		func(c *Config) *[]string { return &c.RedactClasses }),

	list("filter_api_types", "filter-api-type", "hand on only calls of these types of API (REST, HTTP, WEBSOCKET); !TYPE leaves one out",
		func(c *Config) *[]string { return &c.Filter.APITypes }),
	list("filter_apis", "filter-api", "hand on only calls to these APIs (ID) or stages (ID/STAGE); !ID leaves one out",
		func(c *Config) *[]string { return &c.Filter.APIs }),
	list("filter_stages", "filter-stage", "hand on only calls to stages of these names; !NAME leaves one out",
		func(c *Config) *[]string { return &c.Filter.Stages }),
	list("filter_methods", "filter-method", "hand on only calls with these HTTP methods; !METHOD leaves one out",
		func(c *Config) *[]string { return &c.Filter.Methods }),
	list("filter_paths", "filter-path", "hand on only calls whose path or route fits: /exact, /below/, * in a segment, ** over segments; !PATTERN leaves out",
		func(c *Config) *[]string { return &c.Filter.Paths }),
	list("filter_status", "filter-status", "hand on only calls answered with these statuses (404) or classes (5xx); !STATUS leaves out",
		func(c *Config) *[]string { return &c.Filter.Status }),
	list("filter_content_types", "filter-content-type", "hand on only calls answered with these media types (application/json, text/*, json); !TYPE leaves out",
		func(c *Config) *[]string { return &c.Filter.ContentTypes }),
	list("filter_static_extensions", "filter-static-extension", "leave out calls whose path ends with these file extensions, such as css",
		func(c *Config) *[]string { return &c.Filter.StaticExtensions }),
	share("filter_sample_rate", "share of the calls to hand on, chosen by their ids; 1 is all", func(c *Config) *float64 { return &c.Filter.SampleRate }),
	duration("shutdown_timeout", "how long a stop waits for the sinks", func(c *Config) *time.Duration { return &c.ShutdownTimeout }),

	text("https_token_url", "URL that gives tokens for https sinks (OAuth 2.0 client credentials)", func(c *Config) *string { return &c.HTTPS.TokenURL }),
	text("https_client_id", "client id for the tokens of https sinks", func(c *Config) *string { return &c.HTTPS.ClientID }),
	secret(text("https_client_secret", "client secret for them", func(c *Config) *string { return &c.HTTPS.ClientSecret })),
	text("https_client_secret_file", "file with that secret, read before each token request", func(c *Config) *string { return &c.HTTPS.ClientSecretFile }),
	list("https_scopes", "https-scope", "scopes to ask for with them", func(c *Config) *[]string { return &c.HTTPS.Scopes }),
	secret(headers("https_headers", "headers that https sinks send, NAME=VALUE", func(c *Config) *map[string]string { return &c.HTTPS.Headers })),
	secret(headers("otlp_headers", "headers that otlp sinks send, NAME=VALUE", func(c *Config) *map[string]string { return &c.OTLP.Headers })),
	text("kafka_username", "user of kafka sinks with sasl=plain or scram that name none", func(c *Config) *string { return &c.Kafka.Username }),
	secret(text("kafka_password", "that user's password", func(c *Config) *string { return &c.Kafka.Password })),
	text("kafka_password_file", "file with that password, read for each connection", func(c *Config) *string { return &c.Kafka.PasswordFile }),
	number("dead_letter_max_count", "calls that sinks refused for good, kept at most; collecting waits when it is reached", func(c *Config) *int { return &c.DeadLetterMaxCount }),
	number("dead_letter_max_bytes", "size of the dead letters at most", func(c *Config) *int { return &c.DeadLetterMaxBytes }),
}, slices.Concat(ingestSettings, identitySettings, notifySettings, accessSettings)...)

// checkRoleARN accepts arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME.
func checkRoleARN(arn string) error {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "iam" || len(p[4]) != 12 || !strings.HasPrefix(p[5], "role/") || strings.HasSuffix(p[5], "/") {
		return fmt.Errorf("%q is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)", arn)
	}
	return nil
}
