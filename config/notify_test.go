package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestNotifySettings(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(signing+"\n"+signing+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file(t, `
notify_slack_token_file: `+secret+`
notify_slack_channel: "#access"
notify_email_server: smtp.example.com:587
notify_email_from: Gatehouse <gatehouse@example.com>
notify_webhooks:
  siem: https://siem.example.com/in?token=t0ken
  ops: https://ops.example.com/
notify_webhook_secret_files:
  siem: `+secret+`
notify_webhook_secrets:
  ops: `+signing+`
notify_webhook_kinds:
  siem: grant.* request.created
notify_oncall_url: https://oncall.example.com/now
notify_oncall_secret: bearer
`), env())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	n := &c.Notify
	if d := cmp.Diff([]string{"ops", "siem"}, n.Webhooks.Names()); d != "" {
		t.Error(d)
	}
	if got, err := n.Webhooks.SecretsOf("siem"); err != nil || len(got) != 2 {
		t.Errorf("secrets of the file: %d, %v; want both lines", len(got), err)
	}
	if d := cmp.Diff([]string{"grant.*", "request.created"}, n.Webhooks.KindsOf("siem")); d != "" {
		t.Error(d)
	}
	if len(n.Webhooks.KindsOf("ops")) != 0 {
		t.Error("a webhook of which nothing is said gets all kinds")
	}
	if !n.Slack.IsOn() || n.Slack.HasSecret() {
		t.Error("Slack is on, and without a signing secret nothing is decided there")
	}
}

func TestNotifySettingsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ yaml, want string }{
		"a channel without Slack":     {"notify_slack_channel: C1", "notify_slack_token"},
		"a token twice":               {"notify_slack_token: a\nnotify_slack_token_file: b", "one is enough"},
		"a kind that is none":         {"notify_slack_kinds: [Request]", "no kind of notice"},
		"e-mail without a sender":     {"notify_email_server: a:25", "notify_email_from"},
		"a sender without e-mail":     {"notify_email_from: a@example.com", "notify_email_server"},
		"a password in plain text":    {"notify_email_server: a:25\nnotify_email_from: a@b.c\nnotify_email_security: none\nnotify_email_username: u\nnotify_email_password: p", "plain text"},
		"a password without a user":   {"notify_email_server: a:25\nnotify_email_from: a@b.c\nnotify_email_password: p", "notify_email_username"},
		"a list of bad addresses":     {"notify_email_server: a:25\nnotify_email_from: a@b.c\nnotify_email_to: [nobody]", "notify_email_to"},
		"a webhook without a secret":  {"notify_webhooks: {a: https://h/}", "notify_webhook_secrets"},
		"a webhook in plain text":     {"notify_webhooks: {a: http://h.example/hunter2}\nnotify_webhook_secrets: {a: " + signing + "}", "must be https"},
		"a webhook with a password":   {"notify_webhooks: {a: 'https://u:hunter2@h/'}\nnotify_webhook_secrets: {a: " + signing + "}", "no user"},
		"a weak secret":               {"notify_webhooks: {a: https://h/}\nnotify_webhook_secrets: {a: hunter2}", "whsec_"},
		"a secret of nothing":         {"notify_webhook_secrets: {a: " + signing + "}", "no webhook a"},
		"kinds of nothing":            {"notify_webhook_kinds: {a: '*'}", "no webhook a"},
		"a URL in the place of names": {"notify_webhooks: ['https://h/hunter2?x=1']", "an entry has a name"},
		"on call without a token":     {"notify_oncall_url: https://h/", "notify_oncall_secret"},
		"nobody may be on call":       {"notify_oncall_max_people: 0", "at least 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded, err := Load(file(t, c.yaml), env())
			if err == nil {
				err = loaded.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// The example of docs/notices.md is a file that loads.
func TestDocumentedNotices(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/notices.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```yaml\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("no example")
	}
	c, err := Load(file(t, example), env())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if !c.Notify.Slack.HasSecret() || c.Notify.Email.Server == "" || len(c.Notify.Webhooks.URLs) != 1 {
		t.Errorf("the example says less than it seems to: %+v", c.Notify)
	}
}
