package app

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/notify"
)

// The settings reach the channels: who is told of what follows from them.
func TestNoticesOfTheSettings(t *testing.T) {
	t.Parallel()
	c := config.Default()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	c.Notify.Slack.Token, c.Notify.Slack.Channel = "xoxb-1", "#access"
	c.Notify.Email.Server, c.Notify.Email.From = "smtp.example.com:587", "gatehouse@example.com"
	c.Notify.Email.To, c.Notify.Email.Kinds = []string{"security@example.com"}, []string{"grant.*"}
	c.Notify.Webhooks.URLs = map[string]string{"siem": "https://siem.example.com/", "ops": "https://ops.example.com/"}
	c.Notify.Webhooks.Secrets = map[string]string{"siem": secret, "ops": secret}
	c.Notify.Webhooks.Kinds = map[string]string{"ops": "breakglass.* panic.*"}
	c.Notify.OnCall.URL, c.Notify.OnCall.Secret = "https://oncall.example.com/", "bearer"
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	n, err := openNotices(c, slog.New(slog.DiscardHandler), prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if n.slack == nil || n.onCall == nil {
		t.Error("Slack or on-call is not set up")
	}
	plan := func(kind string) (out []string) {
		for _, d := range n.router.Plan(notify.Notice{Kind: kind, To: []notify.Recipient{{Email: "alice@example.com"}}}) {
			out = append(out, d.Channel+" "+d.Address)
		}
		return out
	}
	for kind, want := range map[string][]string{
		"request.created": {"slack alice@example.com", "slack #access", "webhook:siem siem"},
		"grant.ready":     {"slack alice@example.com", "email alice@example.com", "webhook:siem siem"},
		"breakglass.used": {"slack alice@example.com", "slack #access", "email security@example.com", "webhook:ops ops", "webhook:siem siem"},
	} {
		if d := cmp.Diff(want, plan(kind)); d != "" {
			t.Errorf("%s: -want +got:\n%s", kind, d)
		}
	}
}

func TestWithoutSettingsNobodyIsTold(t *testing.T) {
	t.Parallel()
	n, err := openNotices(config.Default(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n.slack != nil || n.onCall != nil || len(n.router.Plan(notify.Notice{Kind: "panic.used", Loud: true})) != 0 {
		t.Error("there is a channel that nobody set up")
	}
}
