package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) string { return m[k] }
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	c, err := Load("", env())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.PollInterval != 10*time.Second || c.Settle != 10*time.Second || c.Overlap != 5*time.Minute ||
		c.Grace != 2*time.Second || c.Idle != time.Minute || c.StartFrom != 5*time.Minute || c.DiscoveryInterval != 5*time.Minute {
		t.Errorf("defaults differ from the documented ones: %+v", c)
	}
	if c.LogGroupPrefix != "API-Gateway-Execution-Logs" {
		t.Errorf("prefix = %q", c.LogGroupPrefix)
	}
}

func TestLaterPlacesWin(t *testing.T) {
	t.Parallel()
	path := file(t, "poll_interval: 3s\nsession_name: from-file\nlog_group_prefix: from-file\n")
	c, err := Load(path, env(
		"SESSION_NAME", "from-legacy", "LOG_GROUP_PREFIX", "from-legacy",
		"GATEHOUSE_LOG_GROUP_PREFIX", "from-gatehouse",
	))
	if err != nil {
		t.Fatal(err)
	}
	if c.PollInterval != 3*time.Second {
		t.Errorf("poll_interval = %s, want the file's 3s over the default", c.PollInterval)
	}
	if c.Accounts.SessionName != "from-legacy" {
		t.Errorf("session_name = %q, want the variable's over the file's", c.Accounts.SessionName)
	}
	if c.LogGroupPrefix != "from-gatehouse" {
		t.Errorf("log_group_prefix = %q, want GATEHOUSE_'s over the legacy variable's", c.LogGroupPrefix)
	}
}

func TestYAMLForms(t *testing.T) {
	t.Parallel()
	c, err := Load(file(t, `
sinks:
  - file:/var/lib/gatehouse
  - kafka://b1:9092,b2:9092/calls?format=native
regions: [eu-west-1, us-east-1]
quota:
  FilterLogEvents: 5
  DescribeLogGroups: 2.5
roles:
  - arn: arn:aws:iam::111122223333:role/Reader
    external_id: x-1
    session_name: watch
    session_tags: {team: security}
    regions: [eu-central-1]
  - arn:aws-us-gov:iam::444455556666:role/path/Reader
organization: false
`), env())
	if err != nil {
		t.Fatal(err)
	}
	want := account.Config{
		SessionName: "gatehouse", RoleName: "GatehouseCollector",
		Regions: []string{"eu-west-1", "us-east-1"},
		Quota:   map[string]float64{"FilterLogEvents": 5, "DescribeLogGroups": 2.5},
		Roles: []account.Role{
			{
				ARN: "arn:aws:iam::111122223333:role/Reader", ExternalID: "x-1", SessionName: "watch",
				SessionTags: map[string]string{"team": "security"}, Regions: []string{"eu-central-1"},
			},
			{ARN: "arn:aws-us-gov:iam::444455556666:role/path/Reader"},
		},
	}
	if d := cmp.Diff(want, c.Accounts); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"file:/var/lib/gatehouse", "kafka://b1:9092,b2:9092/calls?format=native"}, c.Sinks); d != "" {
		t.Error(d)
	}
}

func TestMistakesSayWhere(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		yaml string
		env  []string
		want []string
	}{
		"unknown key":         {yaml: "state: x\npoll_intervall: 3s\n", want: []string{"gatehouse.yaml:2:1", `unknown setting "poll_intervall"`}},
		"wrong duration":      {yaml: "\n\nsettle: fast\n", want: []string{"gatehouse.yaml:3:9", "settle", "not a duration"}},
		"list for one value":  {yaml: "state: [a, b]\n", want: []string{"gatehouse.yaml:1:8", "single value"}},
		"mapping for a list":  {yaml: "sinks: {a: [b]}\n", want: []string{"gatehouse.yaml:1:8", "single value"}},
		"key twice":           {yaml: "settle: 1s\nsettle: 2s\n", want: []string{"gatehouse.yaml:2:1", "twice"}},
		"not a mapping":       {yaml: "- a\n", want: []string{"gatehouse.yaml:1:1", "mapping"}},
		"broken yaml":         {yaml: "a: [", want: []string{"gatehouse.yaml", "line 1"}},
		"unknown key of role": {yaml: "roles:\n  - arn: arn:aws:iam::111122223333:role/R\n    external: x\n", want: []string{"gatehouse.yaml:3:5", `"external"`}},
		"user for a role":     {yaml: "roles: ['arn:aws:iam::111122223333:user/u']\n", want: []string{"gatehouse.yaml:1:9", "not the ARN of a role"}},
		"empty value":         {yaml: "session_name:\n", want: []string{"gatehouse.yaml:1", "no value"}},
		"two forms of roles":  {yaml: "roles: ['arn:aws:iam::111122223333:role/r']\nrole_arns: ['arn:aws:iam::111122223333:role/r']\n", want: []string{"both set"}},
		"variable":            {env: []string{"GATEHOUSE_QUOTA", "FilterLogEvents=none"}, want: []string{"GATEHOUSE_QUOTA", "FilterLogEvents"}},
		"legacy variable":     {env: []string{"CROSS_ACCOUNT_ROLE_ARN", "arn:aws:iam::1:role/x"}, want: []string{"CROSS_ACCOUNT_ROLE_ARN", "not the ARN of a role"}},
		"legacy number":       {env: []string{"CLOUDWATCH_READ_BATCH_SIZE", "many"}, want: []string{"CLOUDWATCH_READ_BATCH_SIZE", "whole number"}},
		"log group ARN":       {env: []string{"LOG_GROUP_ARN", "API-Gateway-Execution-Logs_x/prod"}, want: []string{"LOG_GROUP_ARN", "not the ARN of a log group"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ""
			if tc.yaml != "" {
				path = file(t, tc.yaml)
			}
			_, err := Load(path, env(tc.env...))
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

func TestMisspeltSettingIsHinted(t *testing.T) {
	t.Parallel()
	_, err := Load(file(t, "poll_intervall: 3s\n"), env())
	var e *Error
	if !errors.As(err, &e) || e.Mend() != "did you mean poll_interval?" {
		t.Errorf("err = %v, mend %q", err, e.Mend())
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"idle under grace":     {func(c *Config) { c.Idle = time.Second }, "shorter than grace"},
		"overlap under settle": {func(c *Config) { c.Overlap = time.Second }, "shorter than settle"},
		"zero poll":            {func(c *Config) { c.PollInterval = 0 }, "poll_interval"},
		"negative settle":      {func(c *Config) { c.Settle = -1 }, "settle"},
		"no open calls":        {func(c *Config) { c.MaxOpenCalls = 0 }, "max_open_calls"},
		"log level":            {func(c *Config) { c.LogLevel = "loud" }, "log_level"},
		"hub without role":     {func(c *Config) { c.Accounts.Hub = &account.Role{ExternalID: "x"} }, "hub_role_arn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Default()
			tc.change(c)
			err := c.Validate()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want one that says %q", err, tc.want)
			}
		})
	}
}

// The deployment of the Akto connector lists all of its variables, the unused
// ones with empty values.
func TestAktoDeployment(t *testing.T) {
	t.Parallel()
	c, err := Load("", env(
		"AKTO_BYTES_IN_THRESHOLD", "100",
		"AKTO_TRAFFIC_BATCH_TIME_SECS", "10",
		"AKTO_TRAFFIC_BATCH_SIZE", "100",
		"AKTO_KAFKA_BROKER_MAL", "mini-runtime.akto.svc:9092,other:9092",
		"CLOUDWATCH_READ_BATCH_SIZE", "7",
		"CROSS_ACCOUNT_ROLE_ARN", "arn:aws:iam::111122223333:role/A, arn:aws:iam::444455556666:role/B",
		"LOG_GROUP_PREFIX", "API-Gateway-Execution-Logs",
		"LOG_GROUP_ARN", "",
		"SESSION_NAME", "",
		"DATABASE_ABSTRACTOR_TOKEN", "secret-token-value",
	))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	want := []string{"kafka://mini-runtime.akto.svc:9092,other:9092/akto.api.logs?batch_bytes=65536&batch_count=100&batch_time=10s&format=akto"}
	if d := cmp.Diff(want, c.Sinks); d != "" {
		t.Error(d)
	}
	if len(c.Accounts.Roles) != 2 || c.Accounts.Roles[1].ARN != "arn:aws:iam::444455556666:role/B" {
		t.Errorf("roles = %+v", c.Accounts.Roles)
	}
	if c.ReadConcurrency != 7 || c.Accounts.SessionName != "gatehouse" {
		t.Errorf("read_concurrency = %d, session_name = %q", c.ReadConcurrency, c.Accounts.SessionName)
	}
	notices := strings.Join(c.Notices, "\n")
	if !strings.Contains(notices, "DATABASE_ABSTRACTOR_TOKEN") || strings.Contains(notices, "secret-token-value") {
		t.Errorf("notices = %q, want the token named and not shown", notices)
	}
}

// None of the variables is read and then silently ignored.
func TestEveryLegacyVariableActsOrTells(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"AKTO_KAFKA_BROKER_MAL": "b:9092", "AKTO_BYTES_IN_THRESHOLD": "100", "AKTO_TRAFFIC_BATCH_TIME_SECS": "10",
		"AKTO_TRAFFIC_BATCH_SIZE": "100", "CLOUDWATCH_READ_BATCH_SIZE": "9", "SESSION_NAME": "other",
		"CROSS_ACCOUNT_ROLE_ARN": "arn:aws:iam::111122223333:role/A", "LOG_GROUP_PREFIX": "other",
		"LOG_GROUP_ARN":        "arn:aws:logs:eu-west-1:111122223333:log-group:g:*",
		"cequence_aws_regions": "all", "cequence_log_level": "trace", "cequence_rest_api_enabled": "false", "cequence_http_api_enabled": "false",
		"cequence_auto_discover_apis": "false", "is_existing_http_log_group": "false", "cequence_tf_auto_approve": "true", "cequence_res_content_types": "application/json",
	}
	platform := []string{
		"cequence_client_id", "other", "cequence_client_secret", "other", "cequence_auth_endpoint", "auth.example", "cequence_edge_endpoint", "edge.example",
	}
	onSink := map[string]bool{"AKTO_TRAFFIC_BATCH_TIME_SECS": true, "AKTO_TRAFFIC_BATCH_SIZE": true}
	base := func() *Config { c := Default(); c.Sinks = nil; return c }
	for _, l := range LegacyVariables() {
		v := values[l.Name]
		if v == "" {
			v = "x"
		}
		pairs := []string{l.Name, v}
		if onSink[l.Name] {
			pairs = append(pairs, "AKTO_KAFKA_BROKER_MAL", "b:9092")
		}
		if slices.Contains(platform, l.Name) {
			pairs = append(slices.Clone(platform), pairs...) // the last word on a name holds
		}
		c, err := Load("", env(pairs...))
		if err != nil {
			t.Errorf("%s: %v", l.Name, err)
			continue
		}
		if slices.Contains(platform, l.Name) {
			if before, err := Load("", env(platform...)); err != nil || cmp.Equal(before, c) {
				t.Errorf("%s changes nothing, %v", l.Name, err)
			}
			continue
		}
		if onSink[l.Name] {
			if !strings.Contains(c.Sinks[0], "batch_") {
				t.Errorf("%s did not reach the sink: %q", l.Name, c.Sinks)
			}
			continue
		}
		if cmp.Equal(base(), c) {
			t.Errorf("%s changes nothing and says nothing", l.Name)
		}
		if l.Here == "" || l.There == "" {
			t.Errorf("%s is not documented", l.Name)
		}
	}
}

func TestEverySettingRoundTrips(t *testing.T) {
	t.Parallel()
	samples := map[string]string{
		"listen": "127.0.0.1:1", "log_level": "debug", "log_format": "json", "organization": "true",
		"allow_long_lived_keys": "true", "prefix_only": "true", "logging_http_group_exists": "true", "quota": "GetLogEvents=3", "max_open_calls": "7",
		"read_concurrency": "3", "dead_letter_max_count": "7", "dead_letter_max_bytes": "99", "https_headers": "x-key=1", "otlp_headers": "x-key=1",
		"completeness_check": "false", "estate_principals": "true", "ingest_listen": "127.0.0.1:1", "ingest_behind_proxy": "true", "spool_max_bytes": "3M", "push_only": "true", "filter_sample_rate": "0.25", "role_arns": "arn:aws:iam::111122223333:role/A", "hub_role_arn": "arn:aws:iam::111122223333:role/H",
		"notify_slack_channel_kinds": "request.*", "notify_slack_kinds": "request.*", "notify_email_to_kinds": "request.*", "notify_email_kinds": "grant.late",
		"notify_webhooks": "siem=https://siem.example.com/in", "notify_webhook_secrets": "siem=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"oidc_trust_email": "true", "notify_webhook_secret_files": "siem=secret", "notify_webhook_kinds": "siem=grant.* request.created", "notify_oncall_max_people": "3", "access_per_integration": "3",
	}
	for _, s := range Settings() {
		v := samples[s.Name]
		if v == "" {
			v = "1m1s"
		}
		c, err := Load("", env(s.Variable(), v))
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		if got := s.Get(c); got != v {
			t.Errorf("%s: set %q, got %q", s.Name, v, got)
		}
		if s.Get(Default()) == v {
			t.Errorf("%s: the sample is the default: the test shows nothing", s.Name)
		}
		if s.Doc == "" {
			t.Errorf("%s has no doc", s.Name)
		}
	}
}

func TestGroupOfARN(t *testing.T) {
	t.Parallel()
	want := transaction.Group{Account: "111122223333", Region: "cn-north-1", Name: "API-Gateway-Execution-Logs_a/prod"}
	for _, arn := range []string{
		"arn:aws-cn:logs:cn-north-1:111122223333:log-group:API-Gateway-Execution-Logs_a/prod",
		"arn:aws-cn:logs:cn-north-1:111122223333:log-group:API-Gateway-Execution-Logs_a/prod:*",
	} {
		got, err := GroupOfARN(arn)
		if err != nil || got != want {
			t.Errorf("GroupOfARN(%q) = %+v, %v", arn, got, err)
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"1h":                   now.Add(-time.Hour),
		"7d":                   now.Add(-7 * 24 * time.Hour),
		"2026-03-04":           time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC),
		"2026-03-04T08:00:00Z": time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC),
		"0s":                   now,
	} {
		got, err := Since(text, now)
		if err != nil || !got.Equal(want) {
			t.Errorf("Since(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "-2d", "2027-01-01", "1x"} {
		if got, err := Since(text, now); err == nil {
			t.Errorf("Since(%q) = %s, want an error", text, got)
		}
	}
}
