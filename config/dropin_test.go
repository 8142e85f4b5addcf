package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/collect"
)

// cequenceEnv is the .env file of the Cequence integration, filled in.
var cequenceEnv = []string{
	"cequence_client_id", "my-client",
	"cequence_client_secret", "very$ecret value",
	"cequence_auth_endpoint", "https://auth.tenant.example/auth/realms/main/protocol/openid-connect/token",
	"cequence_edge_endpoint", "https://edge.tenant.example/transactions",
	"cequence_aws_regions", "eu-west-1,us-east-1",
	"cequence_is_aws_organization_deployment", "false",
	"cequence_is_multi_account_deployment", "false",
	"cequence_deployment_type", "terraform",
	"cequence_log_level", "trace",
	"cequence_auto_install_dependencies", "true",
	"cequence_auto_uninstall_dependencies", "false",
	"cequence_rest_api_enabled", "true",
	"cequence_http_api_enabled", "true",
	"cequence_auto_discover_apis", "true",
	"is_existing_http_log_group", "false",
	"cequence_http_log_group_name", "cequence-http-api-access-logs",
	"cequence_tf_auto_approve", "false",
	"cequence_res_content_types", "application/json, application/xml;text/plain",
	"cequence_static_file_extensions", ".css|*.js .png",
}

func TestCequenceDeployment(t *testing.T) {
	t.Parallel()
	c, err := Load("", env(cequenceEnv...))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	want := []string{"https://edge.tenant.example/transactions?auth=oauth2&format=cequence"}
	if d := cmp.Diff(want, c.Sinks); d != "" {
		t.Error(d)
	}
	if c.HTTPS.ClientID != "my-client" || c.HTTPS.ClientSecret != "very$ecret value" || !strings.HasPrefix(c.HTTPS.TokenURL, "https://auth.tenant.example/") {
		t.Errorf("credentials %+v", c.HTTPS)
	}
	if d := cmp.Diff([]string{"eu-west-1", "us-east-1"}, c.Accounts.Regions); d != "" {
		t.Error(d)
	}
	if c.LogLevel != "trace" || c.APITypes != nil || c.APIConfig != "" {
		t.Errorf("log level %s, types %v, file %q", c.LogLevel, c.APITypes, c.APIConfig)
	}
	if d := cmp.Diff([]string{"cequence-http-api-access-logs"}, c.AccessLogGroups); d != "" {
		t.Error(d)
	}
	filter := collect.FilterConfig{
		ContentTypes:     []string{"application/json", "application/xml", "text/plain"},
		StaticExtensions: []string{"css", "js", "png"}, SampleRate: 1,
	}
	if d := cmp.Diff(filter, c.Filter); d != "" {
		t.Error(d)
	}
	notices := strings.Join(c.Notices, "\n")
	for _, name := range []string{"cequence_tf_auto_approve", "cequence_deployment_type", "is_existing_http_log_group"} {
		if !strings.Contains(notices, name) {
			t.Errorf("nothing is said of %s", name)
		}
	}
	if strings.Contains(notices, "ecret value") {
		t.Errorf("the secret is in the notices: %s", notices)
	}
}

func TestCequenceVariables(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env   []string
		check func(*Config) any
		want  any
		err   string
	}{
		"only REST":         {[]string{"cequence_http_api_enabled", "false"}, func(c *Config) any { return c.APITypes }, []string{"REST", "WEBSOCKET"}, ""},
		"only HTTP":         {[]string{"cequence_rest_api_enabled", "False"}, func(c *Config) any { return c.APITypes }, []string{"HTTP", "WEBSOCKET"}, ""},
		"neither":           {[]string{"cequence_rest_api_enabled", "false", "cequence_http_api_enabled", "false"}, func(c *Config) any { return c.APITypes }, []string{"WEBSOCKET"}, ""},
		"both":              {[]string{"cequence_rest_api_enabled", "true", "cequence_http_api_enabled", "true"}, func(c *Config) any { return c.APITypes }, []string(nil), ""},
		"not a word":        {[]string{"cequence_rest_api_enabled", "yes"}, nil, nil, "neither true nor false"},
		"settings win":      {[]string{"cequence_http_api_enabled", "false", "GATEHOUSE_API_TYPES", "HTTP"}, func(c *Config) any { return c.APITypes }, []string{"HTTP"}, ""},
		"group by default":  {[]string{"is_existing_http_log_group", "true"}, func(c *Config) any { return c.AccessLogGroups }, []string{"cequence-http-api-access-logs"}, ""},
		"group by name":     {[]string{"is_existing_http_log_group", "true", "cequence_http_log_group_name", "/our/logs"}, func(c *Config) any { return c.AccessLogGroups }, []string{"/our/logs"}, ""},
		"no group":          {[]string{"is_existing_http_log_group", "false"}, func(c *Config) any { return c.AccessLogGroups }, []string(nil), ""},
		"list of APIs":      {[]string{"cequence_auto_discover_apis", "false"}, func(c *Config) any { return c.APIConfig }, "api-config.json", ""},
		"level":             {[]string{"cequence_log_level", "warn"}, nil, nil, "none of info, debug, trace"},
		"edge alone":        {[]string{"cequence_edge_endpoint", "https://e.example"}, nil, nil, "cequence_auth_endpoint"},
		"edge without id":   {[]string{"cequence_edge_endpoint", "https://e.example", "cequence_auth_endpoint", "https://a.example"}, nil, nil, "cequence_client_id"},
		"secret alone":      {[]string{"cequence_client_secret", "s"}, nil, nil, "cequence_edge_endpoint"},
		"edge is no URL":    {[]string{"cequence_edge_endpoint", "https://"}, nil, nil, "is not a URL"},
		"hosts alone":       {[]string{"cequence_edge_endpoint", "e.example/in?compression=none", "cequence_auth_endpoint", "a.example/token", "cequence_client_id", "i", "cequence_client_secret", "s"}, func(c *Config) any { return c.Sinks[0] + " " + c.HTTPS.TokenURL }, "https://e.example/in?auth=oauth2&compression=none&format=cequence https://a.example/token", ""},
		"secret of a file":  {[]string{"cequence_edge_endpoint", "e.example", "cequence_auth_endpoint", "a.example", "cequence_client_id", "i", "GATEHOUSE_HTTPS_CLIENT_SECRET_FILE", "/run/secret"}, func(c *Config) any { return len(c.Sinks) }, 1, ""},
		"own URL of a sink": {[]string{"cequence_client_id", "i", "GATEHOUSE_SINKS", "https://e.example?auth=oauth2"}, func(c *Config) any { return c.HTTPS.ClientID }, "i", ""},
	} {
		c, err := Load("", env(tc.env...))
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: err = %v, want one that says %q", name, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(tc.want, tc.check(c)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestAPIConfig(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api-config.json")
	read := func(text string, change func(*Config)) (*Config, error) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := Default()
		c.APIConfig = path
		if change != nil {
			change(c)
		}
		return c, c.ReadAPIConfig()
	}
	c, err := read("\ufeff"+`{"region": "eu-west-1",
		"rest_apis": [{"id": "a1b2c3d4e5", "name": "Orders", "stages": ["prod", "dev"]}],
		"http_apis": [{"id": "f6g7h8i9j0"}]}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a1b2c3d4e5/prod", "a1b2c3d4e5/dev", "f6g7h8i9j0"}, c.APIs); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"eu-west-1"}, c.Accounts.Regions); d != "" {
		t.Error(d)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c, err = read(`{"http_apis": [{"id": "f6g7h8i9j0"}]}`, func(c *Config) { c.APIs = []string{"other"} })
	if err != nil || len(c.APIs) != 1 || len(c.Notices) != 1 {
		t.Errorf("apis %v, notices %v, %v", c.APIs, c.Notices, err)
	}
	for text, want := range map[string]string{
		`{}`:                                "lists no API",
		`{"rest_apis": [{"id": ""}]}`:       "rest_apis[0]",
		`{"http_apis": [{"id": "a/../b"}]}`: "not the ID",
		`{"rest_apis": [{"id": "a", "stages": ["x/y"]}]}`: "not the name of a stage",
		`{"apis": []}`:                 "unknown field",
		"{\n\"rest_apis\": [\n}":       "api-config.json:3:1",
		`{"rest_apis": {}}`:            "api-config.json:1:",
		`{"rest_apis":[{"id":"a"}]} x`: "follows",
	} {
		if _, err := read(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want one that says %q", text, err, want)
		}
	}
	missing := Default()
	missing.APIConfig = filepath.Join(t.TempDir(), "none.json")
	if err := missing.ReadAPIConfig(); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzAPIConfig(f *testing.F) {
	f.Add([]byte(`{"region":"eu-west-1","rest_apis":[{"id":"a","stages":["b"]}]}`))
	f.Add([]byte(`{"rest_apis":[{"id":"a","stages":null}],"http_apis":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, apis, err := parseAPIConfig(b)
		if err != nil {
			_ = place(b, err)
			return
		}
		if len(apis) == 0 {
			t.Fatal("no API and no error")
		}
		if _, err := collect.NewRestriction(nil, apis); err != nil {
			t.Fatalf("%q: %v", apis, err)
		}
	})
}

func TestParseEnv(t *testing.T) {
	t.Parallel()
	got, _, err := parseEnv([]byte("\ufeff# a comment\r\n" +
		"A=1\r\n\r\n export B = two words \n" +
		"C='it''s $HOME' # no\n" +
		"D=\"x\\n\\\"y\\\" \\$z \\\\\" # yes\n"))
	if err == nil {
		t.Errorf("text after a closing quote: %v", got)
	}
	got, _, err = parseEnv([]byte("\ufeff# a comment\r\nA=1\r\n\r\n export B = two words \nC='it is $HOME' # yes\n" +
		"D=\"x\\n\\\"y\\\" \\$z \\\\\" # yes\nE=\nF=a#b # c\nG=#\nH=pa$$word=with=equals\nexport=1\ncequence_client_id=<id>"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"A": "1", "B": "two words", "C": "it is $HOME", "D": "x\n\"y\" $z \\", "E": "", "F": "a#b", "G": "", "H": "pa$$word=with=equals",
		"export": "1", "cequence_client_id": "<id>",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for text, want := range map[string]string{
		"A": "NAME=VALUE", "=x": "NAME=VALUE", "1A=x": "NAME=VALUE", "A B=x": "NAME=VALUE", "A=1\nA=2": "A is set twice",
		"A='secret": "not closed", `A="secret`: "not closed", `A="secret\`: "not closed", `A="\q"`: `escape \q`, "A=\x00": "text file", "A=\xff": "text file",
	} {
		_, line, err := parseEnv([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || line < 1 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: line %d, %v; want %q", text, line, err, want)
		}
	}
}

func FuzzParseEnv(f *testing.F) {
	for _, s := range []string{"A=1\n", "export A='x' # y", `A="\n"`, "A=#", "\ufeffA=1", "A=\"", "'"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		vars, line, err := parseEnv(b)
		if err != nil && line < 1 {
			t.Fatalf("line %d: %v", line, err)
		}
		for name, value := range vars {
			if !isName(name) || !utf8.ValidString(value) {
				t.Fatalf("%q=%q", name, value)
			}
			// A value survives being written in double quotes.
			quoted := strings.NewReplacer("\\", `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "$", `\$`).Replace(value)
			again, _, err := parseEnv([]byte(name + `="` + quoted + `"`))
			if err != nil || again[name] != value {
				t.Fatalf("%q again: %q, %v", value, again[name], err)
			}
		}
	})
}

func TestEnvFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gatehouse.env")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("SESSION_NAME=from-file\nLOG_GROUP_PREFIX='from file'\nAWS_REGION=eu-north-1\nAWS_SECRET_ACCESS_KEY=hidden-key\nOTHER=hidden-value\ncequence_typo=hidden-typo\n")
	c, err := Read("", path, env("LOG_GROUP_PREFIX", "from-environment"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Accounts.SessionName != "from-file" || c.LogGroupPrefix != "from-environment" {
		t.Errorf("session name %q, prefix %q", c.Accounts.SessionName, c.LogGroupPrefix)
	}
	if d := cmp.Diff([]string{"eu-north-1"}, c.Accounts.Regions); d != "" {
		t.Error(d)
	}
	notices := strings.Join(c.Notices, "\n")
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "cequence_typo", "1 variables"} {
		if !strings.Contains(notices, name) {
			t.Errorf("notices %q say nothing of %s", notices, name)
		}
	}
	if strings.Contains(notices, "hidden") {
		t.Errorf("notices have values: %s", notices)
	}
	c, err = Read("", "", env("GATEHOUSE_ENV_FILE", path, "AWS_REGION", "us-east-1"))
	if err != nil || c.Accounts.SessionName != "from-file" || c.Accounts.Regions != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if os.Getenv("SESSION_NAME") == "from-file" {
		t.Error("the file changed the environment of the process")
	}
	write("SESSION_NAME='secret-value\n")
	if _, err := Read("", path, env()); err == nil || !strings.Contains(err.Error(), "gatehouse.env:1") || strings.Contains(err.Error(), "secret-value") {
		t.Errorf("err = %v", err)
	}
	if _, err := Read("", filepath.Join(t.TempDir(), "none"), env()); err == nil {
		t.Error("a file that is named and not there is no error")
	}
	if _, err := Read("", t.TempDir(), env()); err == nil {
		t.Error("a folder was read")
	}
}

// The file of the working directory is read by itself.
func TestEnvFileOfTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if c, err := Read("", "", env()); err != nil || len(c.Notices) > 0 {
		t.Fatalf("without a file: %v, %v", c, err)
	}
	if err := os.WriteFile(".env", []byte("SESSION_NAME=from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Read("", "", env())
	if err != nil || c.Accounts.SessionName != "from-file" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSecretsGoTogether(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"token URL alone": {func(c *Config) { c.HTTPS.TokenURL = "https://a" }, "https_client_id"},
		"id alone":        {func(c *Config) { c.HTTPS.ClientID = "i" }, "https_token_url"},
		"two secrets": {func(c *Config) {
			c.HTTPS = HTTPS{TokenURL: "https://a", ClientID: "i", ClientSecret: "s", ClientSecretFile: "f"}
		}, "one is enough"},
		"password alone":    {func(c *Config) { c.Kafka.Password = "p" }, "kafka_username"},
		"user alone":        {func(c *Config) { c.Kafka.Username = "u" }, "belong together"},
		"two passwords":     {func(c *Config) { c.Kafka = Kafka{Username: "u", Password: "p", PasswordFile: "f"} }, "one is enough"},
		"no room":           {func(c *Config) { c.DeadLetterMaxBytes = 1000 }, "dead_letter_max_bytes"},
		"no dead letters":   {func(c *Config) { c.DeadLetterMaxCount = 0 }, "dead_letter_max_count"},
		"all in order":      {func(c *Config) { c.HTTPS = HTTPS{TokenURL: "https://a", ClientID: "i", ClientSecretFile: file} }, ""},
		"Kafka with a file": {func(c *Config) { c.Kafka = Kafka{Username: "u", PasswordFile: file} }, ""},
	} {
		c := Default()
		tc.change(c)
		err := c.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: err = %v, want one that says %q", name, err, tc.want)
		}
	}
	h := HTTPS{ClientSecretFile: file}
	if s, err := h.Secret(); s != "from-file" || err != nil {
		t.Errorf("secret %q, %v", s, err)
	}
}

// A header's value is a secret and is in no error.
func TestHeadersAreSecret(t *testing.T) {
	t.Parallel()
	c, err := Load("", env("GATEHOUSE_OTLP_HEADERS", "api-key=abc=def, x-tenant=7"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"api-key": "abc=def", "x-tenant": "7"}, c.OTLP.Headers); d != "" {
		t.Error(d)
	}
	if _, err := Load("", env("GATEHOUSE_HTTPS_HEADERS", "hidden-value")); err == nil || strings.Contains(err.Error(), "hidden-value") {
		t.Errorf("err = %v", err)
	}
}
