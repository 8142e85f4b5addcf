package estate

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestSecretKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"", "AKIAIOSFODNN7EXAMPLE", "AWS access key"},
		{"", "key is ASIAIOSFODNN7EXAMPLE!", "AWS access key"},
		{"", "-----BEGIN RSA PRIVATE KEY-----", "private key"},
		{"", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2ln", "JWT"},
		{"", "ghp_" + strings.Repeat("a1B2", 9), "GitHub token"},
		{"", "xoxb-1234567890-abcdef", "Slack token"},
		{"", "postgres://shop:tiger1@db/x", "password in a URL"},
		{"", "Bearer 0123456789abcdef0123", "bearer token"},
		{"DB_PASSWORD", "hunter2", "password"},
		{"dbPassword", "'hunter2'", "password"},
		{"X-Api-Key", "abcdef123", "password"},
		{"client_secret", "abcdef123", "password"},
		{"apiToken", "abcdef123", "password"},
		{"", "Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MEFCQ0RFRkdI", "random text"},

		{"DB_PASSWORD", "", ""},
		{"DB_PASSWORD", "${stageVariables.password}", ""},
		{"DB_PASSWORD", "method.request.header.Password", ""},
		{"SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:1:secret:x", ""},
		{"SECRET_NAME", "shop/db", ""},
		{"TOKEN_URL", "https://id.example/token", ""},
		{"token_ttl", "360000", ""},
		{"PASSWORD", "arn:aws:ssm:eu-west-1:1:parameter/x", ""},
		{"table", "pets", ""},
		{"commit", "3f786850e387550fdab836ed7e6dc881de23001b", ""},
		{"id", "5b2f4f0a-6f1e-4a52-9a4d-0f5a3c1d2e3f", ""},
		{"function", "arn:aws:lambda:eu-west-1:222222222222:function:VeryLongFunctionName42ForOrders", ""},
		{"monkey", "abcdef123", ""},
		{"DB_PASSWORD", "[redacted]", ""},
	} {
		if got := secretKind(c.name, c.value); got != c.want {
			t.Errorf("%s=%s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func TestSecretsInParametersAndTemplates(t *testing.T) {
	t.Parallel()
	api := new(API)
	scan := secretScan{api}
	got := scan.parameters("route GET /", map[string]string{
		"integration.request.header.Authorization": "'Basic'",
		"integration.request.header.X-Token":       "'abcdef123'",
		"integration.request.header.X-Tenant":      "'shop'",
		"integration.request.header.X-User":        "context.authorizer.principalId",
	})
	for name, want := range map[string]string{
		"integration.request.header.Authorization": transaction.Redacted,
		"integration.request.header.X-Token":       transaction.Redacted,
		"integration.request.header.X-Tenant":      "'shop'",
		"integration.request.header.X-User":        "context.authorizer.principalId",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	scan.code("template", `#set($x = "1") {"apiKey": "abcdef1234"}`)
	scan.code("innocent", `{"password": "$input.params('password')", "token": "$context.authorizer.token"}`)
	if len(api.Secrets) != 3 || api.Secrets[2].Where != "template" && api.Secrets[1].Where != "template" {
		t.Errorf("%+v", api.Secrets)
	}
}

func FuzzSecrets(f *testing.F) {
	for _, s := range []string{"", "hunter2", "AKIAIOSFODNN7EXAMPLE", "http://u:p@h/a?password=x&y", "a://b", "://", "'x'", "eyJ.eyJ.", "?a=b", "\xff\xfe", "Bearer x"} {
		f.Add("DB_PASSWORD", s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		api := new(API)
		scan := secretScan{api}
		shown := scan.text("w", name, value)
		if shown != value && shown != transaction.Redacted {
			t.Fatalf("%q became %q", value, shown)
		}
		// What was taken out is told, and what is shown is safe by the same measure.
		if (shown == value) != (len(api.Secrets) == 0) {
			t.Fatalf("%q: %+v", value, api.Secrets)
		}
		scan.code("w", value)
		scan.parameters("w", map[string]string{name: value})
		if clean := scan.uri("w", value); strings.Contains(clean, "?") || utf8.ValidString(value) && !utf8.ValidString(clean) {
			t.Fatalf("%q became %q", value, clean)
		}
		if len(api.Secrets) > secretsAtMost {
			t.Fatal("the list grows without bound")
		}
	})
}
