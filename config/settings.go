package config

import (
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
					return fmt.Errorf("%q is not of the form NAME=VALUE", p)
				}
				m[strings.TrimSpace(k)] = strings.TrimSpace(val)
			}
			return set(c, m)
		},
	}
}

// hubOf gives the hub role, made when first named.
func hubOf(c *Config) *account.Role {
	if c.Accounts.Hub == nil {
		c.Accounts.Hub = &account.Role{}
	}
	return c.Accounts.Hub
}

var settings = []*Setting{
	text("state", "URL of the store: sqlite:PATH", func(c *Config) *string { return &c.State }),
	list("sinks", "sink", "where transactions go: file:DIR, kafka://BROKER[,BROKER]/TOPIC?format=akto|native, stdout:",
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
	text("log_level", "debug, info, warn or error", func(c *Config) *string { return &c.LogLevel }),
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
	toggle("prefix_only", "leave out the log groups that only the estate's stages name", func(c *Config) *bool { return &c.PrefixOnly }),

	duration("poll_interval", "how often new events are asked for", func(c *Config) *time.Duration { return &c.PollInterval }),
	duration("settle", "how far the first reading stays behind now", func(c *Config) *time.Duration { return &c.Settle }),
	duration("overlap", "how late an event may come and still be found by the second reading", func(c *Config) *time.Duration { return &c.Overlap }),
	duration("grace", "how long a call waits for lines after its completion line", func(c *Config) *time.Duration { return &c.Grace }),
	duration("idle", "how long a call without a completion line is kept open", func(c *Config) *time.Duration { return &c.Idle }),
	duration("start_from", "how far back the first start reads", func(c *Config) *time.Duration { return &c.StartFrom }),
	duration("discovery_interval", "how often accounts, regions, APIs and log groups are looked for", func(c *Config) *time.Duration { return &c.DiscoveryInterval }),
	number("max_open_calls", "open calls kept in memory for one account and region", func(c *Config) *int { return &c.MaxOpenCalls }),
	number("read_concurrency", "log groups of one account and region that are read at the same time", func(c *Config) *int { return &c.ReadConcurrency }),
	duration("shutdown_timeout", "how long a stop waits for the sinks", func(c *Config) *time.Duration { return &c.ShutdownTimeout }),
}

// checkRoleARN accepts arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME.
func checkRoleARN(arn string) error {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "iam" || len(p[4]) != 12 || !strings.HasPrefix(p[5], "role/") || strings.HasSuffix(p[5], "/") {
		return fmt.Errorf("%q is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)", arn)
	}
	return nil
}
