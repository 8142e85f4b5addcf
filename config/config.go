// Package config holds Gatehouse's settings. There is one table of them
// (settings.go): each entry is a key of gatehouse.yaml, a GATEHOUSE_ variable
// and a flag of the commands that use it, and all three go through the same
// parser.
//
// What is said later in this list wins: defaults, gatehouse.yaml, the variables
// of the collectors that Gatehouse replaces (legacy.go), GATEHOUSE_ variables,
// flags.
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Config is everything that can be set.
type Config struct {
	// State is the store's URL, such as sqlite:PATH, or a path. It may hold a password.
	State string
	// Sinks are the URLs of the sinks; docs/sinks.md.
	Sinks []string
	// Listen is the address of the dashboard and HTTP API of serve (empty:
	// DefaultListen), and of the probes and metrics of collect (empty: none).
	Listen string
	// LogLevel is trace, debug, info, warn or error; LogFormat is text or json.
	LogLevel  string
	LogFormat string

	Accounts account.Config

	// LogGroupPrefix chooses log groups by name; LogGroupARNs by ARN, and then
	// only those. PrefixOnly leaves out the groups that the estate's stages name.
	LogGroupPrefix string
	LogGroupARNs   []string
	PrefixOnly     bool

	// AccessLogGroups are names of log groups with access logs of HTTP APIs. They
	// are read in every account and region where they exist.
	AccessLogGroups []string

	// APIConfig is a file that lists APIs and stages to read; docs/drop-in.md.
	APIConfig string

	// LoggingHTTPGroup is the log group that the access logs of all HTTP APIs of an
	// account and region are switched on to; empty: one for each stage. With
	// LoggingHTTPGroupExists it is not made.
	LoggingHTTPGroup       string
	LoggingHTTPGroupExists bool
	// LoggingRoleName is the role that switches logging from the dashboard, in each
	// account; empty: the role that reads.
	LoggingRoleName string
	// LoggingOff are the types of API that the variables of the Cequence integration
	// switch off: what its script for disabling puts back. Empty: nothing is said.
	LoggingOff []string
	// Approved means that plans need no yes of a person.
	Approved bool

	// HTTPS, OTLP and Kafka are what the sinks' URLs must not hold.
	HTTPS HTTPS
	OTLP  OTLP
	Kafka Kafka
	// DeadLetterMaxCount and DeadLetterMaxBytes bound the calls that sinks refused
	// for good.
	DeadLetterMaxCount int
	DeadLetterMaxBytes int

	// APITypes and APIs restrict what is read to some types of API, APIs (ID) or
	// stages (ID/STAGE). The log groups of others are not asked for events.
	APITypes []string
	APIs     []string

	// CompletenessCheck compares what was read with CloudWatch's own count.
	CompletenessCheck bool
	CheckInterval     time.Duration
	// Filter says which calls are handed on.
	Filter collect.FilterConfig

	// RedactHeaders, RedactJSONPaths and RedactClasses are taken out of calls
	// beside secrets, before anything is stored, shown or sent: docs/redaction.md.
	RedactHeaders   []string
	RedactJSONPaths []string
	RedactClasses   []string

	PollInterval      time.Duration
	Settle            time.Duration
	Overlap           time.Duration
	Grace             time.Duration
	Idle              time.Duration
	StartFrom         time.Duration
	DiscoveryInterval time.Duration
	// EstatePrincipals has a discovery read the IAM roles and users of each account.
	EstatePrincipals bool
	MaxOpenCalls     int
	// ReadConcurrency is how many log groups of one account and region are read
	// at the same time.
	ReadConcurrency int
	// ShutdownTimeout bounds how long a stop waits for sinks.
	ShutdownTimeout time.Duration

	// Ingest is what is pushed: docs/ways-in.md.
	Ingest Ingest

	// Identity is who may use the dashboard and the HTTP API: docs/identity.md.
	Identity Identity

	// Notify is who is told of what, and how: docs/notices.md.
	Notify Notify

	// Access is what is lent, and how: docs/access.md.
	Access Access

	// Notices are lines about settings that were accepted and have nothing to
	// do here, or do something else than where they come from.
	Notices []string
}

// DefaultListen is where serve and demo listen unless told otherwise.
const DefaultListen = "127.0.0.1:8321"

// Default returns the settings that hold when nothing is said.
func Default() *Config {
	return &Config{
		State:             DefaultState(),
		LogLevel:          "info",
		LogFormat:         "text",
		Accounts:          account.Config{SessionName: "gatehouse", RoleName: "GatehouseCollector"},
		LogGroupPrefix:    "API-Gateway-Execution-Logs",
		CompletenessCheck: true,
		CheckInterval:     5 * time.Minute,
		Filter:            collect.FilterConfig{SampleRate: 1},
		RedactClasses:     defaultRedactClasses(),
		Ingest:            defaultIngest(),
		Identity:          defaultIdentity(),
		Notify:            defaultNotify(),
		Access:            defaultAccess(),
		PollInterval:      10 * time.Second,
		Settle:            10 * time.Second,
		Overlap:           5 * time.Minute,
		Grace:             2 * time.Second,
		Idle:              60 * time.Second,
		StartFrom:         5 * time.Minute,
		DiscoveryInterval: 5 * time.Minute,
		MaxOpenCalls:      100_000,
		ReadConcurrency:   5,

		DeadLetterMaxCount: 10_000,
		DeadLetterMaxBytes: 256 << 20,
		ShutdownTimeout:    25 * time.Second,
	}
}

// DefaultState is a SQLite file in the state folder of the user:
// $XDG_STATE_HOME/gatehouse, else ~/.local/state/gatehouse.
func DefaultState() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "."
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return "sqlite:" + filepath.Join(dir, "gatehouse", "gatehouse.db")
}

// Error is a setting that cannot be used. Where names its place: a file with
// line and column, a variable or a flag.
type Error struct {
	Where string
	Err   error
	Hint  string
}

func (e *Error) Error() string { return e.Where + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the setting.
func (e *Error) Unwrap() error { return e.Err }

// Mend says how to mend the setting; empty if the error says it all.
func (e *Error) Mend() string { return e.Hint }

// Validate checks what no single setting can: how they go together.
func (c *Config) Validate() error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, &Error{Where: name, Err: fmt.Errorf(format, args...)})
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"poll_interval", c.PollInterval},
		{"overlap", c.Overlap},
		{"check_interval", c.CheckInterval},
		{"idle", c.Idle},
		{"discovery_interval", c.DiscoveryInterval},
		{"shutdown_timeout", c.ShutdownTimeout},
	} {
		if d.v <= 0 {
			bad(d.name, "must be more than zero, not %s", d.v)
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"settle", c.Settle}, {"grace", c.Grace}, {"start_from", c.StartFrom}} {
		if d.v < 0 {
			bad(d.name, "must not be negative, not %s", d.v)
		}
	}
	if c.Idle > 0 && c.Idle < c.Grace {
		bad("idle", "%s is shorter than grace (%s): a call would be closed before its last lines", c.Idle, c.Grace)
	}
	if c.Overlap > 0 && c.Overlap < c.Settle {
		bad("overlap", "%s is shorter than settle (%s): late events would never be read", c.Overlap, c.Settle)
	}
	if c.MaxOpenCalls < 1 {
		bad("max_open_calls", "must be at least 1, not %d", c.MaxOpenCalls)
	}
	if c.ReadConcurrency < 1 {
		bad("read_concurrency", "must be at least 1, not %d", c.ReadConcurrency)
	}
	if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, c.LogLevel) {
		bad("log_level", "%q is none of trace, debug, info, warn, error", c.LogLevel)
	}
	if c.DeadLetterMaxCount < 1 {
		bad("dead_letter_max_count", "must be at least 1, not %d", c.DeadLetterMaxCount)
	}
	if c.DeadLetterMaxBytes < minDeadLetterBytes {
		bad("dead_letter_max_bytes", "must be at least %d, which one large call may have, not %d", minDeadLetterBytes, c.DeadLetterMaxBytes)
	}
	errs = append(errs, c.checkSecrets()...)
	if !slices.Contains([]string{"text", "json"}, c.LogFormat) {
		bad("log_format", "%q is none of text, json", c.LogFormat)
	}
	if c.Accounts.Organization && c.Accounts.RoleName == "" {
		bad("role_name", "is needed with organization: the role to assume in every account")
	}
	if c.Accounts.Hub != nil && c.Accounts.Hub.ARN == "" {
		bad("hub_external_id", "is set without hub_role_arn")
	}
	if _, err := c.Redactor(); err != nil {
		errs = append(errs, err)
	}
	if _, err := collect.NewFilter(c.Filter); err != nil {
		errs = append(errs, err)
	}
	if _, err := collect.NewRestriction(c.APITypes, c.APIs); err != nil {
		errs = append(errs, err)
	}
	for _, a := range c.LogGroupARNs {
		if err := checkLogGroupARN(a); err != nil {
			bad("log_group_arns", "%w", err)
		}
	}
	c.Ingest.validate(bad)
	c.Identity.validate(bad)
	c.Notify.validate(bad)
	c.Access.validate(bad)
	return errors.Join(errs...)
}

// checkLogGroupARN accepts arn:PARTITION:logs:REGION:ACCOUNT:log-group:NAME,
// with or without the :* that DescribeLogGroups puts behind it.
func checkLogGroupARN(arn string) error {
	p := strings.SplitN(arn, ":", 7)
	if len(p) < 7 || p[0] != "arn" || p[2] != "logs" || p[3] == "" || p[4] == "" || p[5] != "log-group" || p[6] == "" {
		return fmt.Errorf("%q is not the ARN of a log group (arn:aws:logs:REGION:ACCOUNT:log-group:NAME)", arn)
	}
	return nil
}

// GroupOfARN gives the log group that an ARN names.
func GroupOfARN(arn string) (transaction.Group, error) {
	if err := checkLogGroupARN(arn); err != nil {
		return transaction.Group{}, err
	}
	p := strings.SplitN(arn, ":", 7)
	return transaction.Group{Region: p[3], Account: p[4], Name: strings.TrimSuffix(p[6], ":*")}, nil
}
