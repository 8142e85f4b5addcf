package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/mail"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/webhook"
)

// Notify are the settings of notices: docs/notices.md.
type Notify struct {
	Slack    NotifySlack
	Email    NotifyEmail
	Webhooks NotifyWebhooks
	OnCall   NotifyOnCall
}

// NotifySlack are the settings of the Slack app.
type NotifySlack struct {
	Token, TokenFile                 string
	SigningSecret, SigningSecretFile string
	// Channel is told of ChannelKinds; people are told of Kinds.
	Channel      string
	ChannelKinds []string
	Kinds        []string
	API          string
}

// IsOn reports whether notices go to Slack.
func (s *NotifySlack) IsOn() bool { return s.Token != "" || s.TokenFile != "" }

// BotToken is the bot token, of the file if there is one.
func (s *NotifySlack) BotToken() (string, error) {
	return secretOf("notify_slack_token_file", s.TokenFile, s.Token)
}

// HasSecret reports whether decisions can be made in Slack.
func (s *NotifySlack) HasSecret() bool { return s.SigningSecret != "" || s.SigningSecretFile != "" }

// Secret is the signing secret, of the file if there is one.
func (s *NotifySlack) Secret() (string, error) {
	return secretOf("notify_slack_signing_secret_file", s.SigningSecretFile, s.SigningSecret)
}

// NotifyEmail are the settings of e-mail.
type NotifyEmail struct {
	Server       string // HOST:PORT
	Security     string // starttls, tls or none
	Username     string
	Password     string
	PasswordFile string
	From         string
	// To are told of ToKinds; people are told of Kinds.
	To, ToKinds []string
	Kinds       []string
	CAFile      string
}

// HasPassword reports whether Gatehouse signs in to the server.
func (e *NotifyEmail) HasPassword() bool { return e.Password != "" || e.PasswordFile != "" }

// Secret is the password, of the file if there is one.
func (e *NotifyEmail) Secret() (string, error) {
	return secretOf("notify_email_password_file", e.PasswordFile, e.Password)
}

// NotifyWebhooks are the settings of webhooks, each by its name.
type NotifyWebhooks struct {
	URLs        map[string]string
	Secrets     map[string]string // several with blanks between
	SecretFiles map[string]string
	Kinds       map[string]string // several with blanks between
	CAFile      string
}

// Names are the names of the webhooks, in order.
func (w *NotifyWebhooks) Names() []string { return slices.Sorted(maps.Keys(w.URLs)) }

// SecretsOf are the signing secrets of a webhook, of the file if there is one.
func (w *NotifyWebhooks) SecretsOf(name string) ([]string, error) {
	text, err := secretOf("notify_webhook_secret_files", w.SecretFiles[name], w.Secrets[name])
	return strings.Fields(text), err
}

// KindsOf are the kinds of notices that a webhook gets; none: all.
func (w *NotifyWebhooks) KindsOf(name string) []string { return strings.Fields(w.Kinds[name]) }

// NotifyOnCall are the settings of the address that says who is on call.
type NotifyOnCall struct {
	URL                string
	Secret, SecretFile string
	CAFile             string
	MaxPeople          int
}

// Bearer is the token that is sent, of the file if there is one.
func (o *NotifyOnCall) Bearer() (string, error) {
	return secretOf("notify_oncall_secret_file", o.SecretFile, o.Secret)
}

// secretOf is a secret of a file, which is read again each time, or of a setting.
func secretOf(setting, path, value string) (string, error) {
	if path == "" {
		return value, nil
	}
	return secretFile(setting, path)
}

func defaultNotify() Notify {
	return Notify{
		Slack: NotifySlack{
			API:          "https://slack.com/api/",
			ChannelKinds: []string{"request.created", "request.escalated", "grant.late", "grant.failed", "breakglass.*", "panic.*", "drift.*", "integration.*"},
		},
		Email: NotifyEmail{
			Security: "starttls",
			ToKinds:  []string{"grant.late", "grant.failed", "breakglass.*", "panic.*", "drift.*", "integration.*"},
		},
		OnCall: NotifyOnCall{MaxPeople: webhook.DefaultMaxPeople},
	}
}

// kinds is a list of kinds of notices.
func kinds(name, flag, doc string, field func(*Config) *[]string) *Setting {
	s := list(name, flag, doc, field)
	set := s.set
	s.set = func(c *Config, v []string) error {
		for _, k := range v {
			if err := notify.CheckKind(k); err != nil {
				return err
			}
		}
		return set(c, v)
	}
	return s
}

// named are pairs whose values are looked at.
func named(name, doc string, field func(*Config) *map[string]string, check func(string) error) *Setting {
	return pairs(name, doc,
		func(c *Config) map[string]string { return *field(c) },
		func(c *Config, m map[string]string) error {
			for k, v := range m {
				if strings.ContainsFunc(k, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' }) {
					// What stands there may be a URL with a token.
					return errors.New("an entry has a name with other characters than a-z, 0-9, - and _")
				}
				if err := check(v); err != nil {
					return fmt.Errorf("%s: %w", k, err)
				}
			}
			*field(c) = m
			return nil
		})
}

func anything(string) error { return nil }

var notifySettings = []*Setting{
	secret(text("notify_slack_token", "bot token of the Slack app that sends notices (xoxb-…); none: no Slack", func(c *Config) *string { return &c.Notify.Slack.Token })),
	text("notify_slack_token_file", "file with that token, read for each call", func(c *Config) *string { return &c.Notify.Slack.TokenFile }),
	secret(text("notify_slack_signing_secret", "signing secret of the app, for decisions that are made in Slack; none: buttons lead to the page", func(c *Config) *string { return &c.Notify.Slack.SigningSecret })),
	text("notify_slack_signing_secret_file", "file with that secret, read for each request", func(c *Config) *string { return &c.Notify.Slack.SigningSecretFile }),
	text("notify_slack_channel", "Slack channel that is told beside the people: its id, or #name", func(c *Config) *string { return &c.Notify.Slack.Channel }),
	kinds("notify_slack_channel_kinds", "notify-slack-channel-kind", "kinds of notices that go there: request.created, request.* or *", func(c *Config) *[]string { return &c.Notify.Slack.ChannelKinds }),
	kinds("notify_slack_kinds", "notify-slack-kind", "kinds of notices that people get in Slack; all if empty", func(c *Config) *[]string { return &c.Notify.Slack.Kinds }),
	text("notify_slack_api", "address of Slack's API", func(c *Config) *string { return &c.Notify.Slack.API }),

	text("notify_email_server", "HOST:PORT of the SMTP server that sends notices; none: no e-mail", func(c *Config) *string { return &c.Notify.Email.Server }),
	text("notify_email_security", "starttls, tls, or none for plain text without a password", func(c *Config) *string { return &c.Notify.Email.Security }),
	text("notify_email_username", "user name for the server", func(c *Config) *string { return &c.Notify.Email.Username }),
	secret(text("notify_email_password", "that user's password", func(c *Config) *string { return &c.Notify.Email.Password })),
	text("notify_email_password_file", "file with that password, read for each message", func(c *Config) *string { return &c.Notify.Email.PasswordFile }),
	text("notify_email_from", "sender of the messages, such as Gatehouse <gatehouse@example.com>", func(c *Config) *string { return &c.Notify.Email.From }),
	list("notify_email_to", "notify-email-to", "addresses that are told beside the people", func(c *Config) *[]string { return &c.Notify.Email.To }),
	kinds("notify_email_to_kinds", "notify-email-to-kind", "kinds of notices that go there", func(c *Config) *[]string { return &c.Notify.Email.ToKinds }),
	kinds("notify_email_kinds", "notify-email-kind", "kinds of notices that people get by e-mail; all if empty", func(c *Config) *[]string { return &c.Notify.Email.Kinds }),
	text("notify_email_ca_file", "certificate authorities of the server, in PEM, in the place of the system's", func(c *Config) *string { return &c.Notify.Email.CAFile }),

	secret(named("notify_webhooks", "webhooks that get notices, NAME=URL", func(c *Config) *map[string]string { return &c.Notify.Webhooks.URLs }, anything)),
	secret(named("notify_webhook_secrets", "signing secrets of the webhooks, NAME=whsec_…; two with a blank between, where a secret is being changed",
		func(c *Config) *map[string]string { return &c.Notify.Webhooks.Secrets }, func(v string) error {
			for s := range strings.FieldsSeq(v) {
				if _, err := webhook.ParseSecret(s); err != nil {
					return err
				}
			}
			return nil
		})),
	named("notify_webhook_secret_files", "files with the signing secrets, NAME=PATH; read for each request", func(c *Config) *map[string]string { return &c.Notify.Webhooks.SecretFiles }, anything),
	named("notify_webhook_kinds", "kinds of notices that a webhook gets, NAME=KINDS with blanks between; all if not said",
		func(c *Config) *map[string]string { return &c.Notify.Webhooks.Kinds }, func(v string) error {
			for k := range strings.FieldsSeq(v) {
				if err := notify.CheckKind(k); err != nil {
					return err
				}
			}
			return nil
		}),
	text("notify_webhook_ca_file", "certificate authorities of the webhooks, in PEM, in the place of the system's", func(c *Config) *string { return &c.Notify.Webhooks.CAFile }),

	text("notify_oncall_url", "https URL that says who is on call; none: nobody ever is", func(c *Config) *string { return &c.Notify.OnCall.URL }),
	secret(text("notify_oncall_secret", "bearer token for it", func(c *Config) *string { return &c.Notify.OnCall.Secret })),
	text("notify_oncall_secret_file", "file with that token, read for each request", func(c *Config) *string { return &c.Notify.OnCall.SecretFile }),
	text("notify_oncall_ca_file", "certificate authorities of that address, in PEM, in the place of the system's", func(c *Config) *string { return &c.Notify.OnCall.CAFile }),
	number("notify_oncall_max_people", "people that it may name; an answer with more counts as nobody", func(c *Config) *int { return &c.Notify.OnCall.MaxPeople }),
}

// validate checks how the settings go together.
func (n *Notify) validate(bad func(name, format string, args ...any)) {
	twice := func(name, value, file string) {
		if value != "" && file != "" {
			bad(name, "is set, and %s_file too: one is enough", name)
		}
	}
	s := &n.Slack
	twice("notify_slack_token", s.Token, s.TokenFile)
	twice("notify_slack_signing_secret", s.SigningSecret, s.SigningSecretFile)
	if !s.IsOn() && (s.HasSecret() || s.Channel != "") {
		bad("notify_slack_token", "is needed, or notify_slack_token_file: without one nothing goes to Slack")
	}
	n.Email.validate(bad)
	n.Webhooks.validate(bad)
	o := &n.OnCall
	twice("notify_oncall_secret", o.Secret, o.SecretFile)
	if (o.URL == "") != (o.Secret == "" && o.SecretFile == "") {
		bad("notify_oncall_url", "and notify_oncall_secret or notify_oncall_secret_file belong together")
	}
	if o.MaxPeople < 1 {
		bad("notify_oncall_max_people", "must be at least 1, not %d", o.MaxPeople)
	}
}

func (e *NotifyEmail) validate(bad func(name, format string, args ...any)) {
	if e.Password != "" && e.PasswordFile != "" {
		bad("notify_email_password", "is set, and notify_email_password_file too: one is enough")
	}
	if (e.Username == "") == e.HasPassword() {
		bad("notify_email_username", "and notify_email_password or notify_email_password_file belong together")
	}
	if e.Security == "none" && e.HasPassword() {
		bad("notify_email_security", "a password is not sent in plain text: use starttls or tls")
	}
	if !slices.Contains([]string{"starttls", "tls", "none"}, e.Security) {
		bad("notify_email_security", "%q is none of starttls, tls, none", e.Security)
	}
	for _, to := range e.To {
		if a, err := mail.ParseAddress(to); err != nil || a.Address != to {
			bad("notify_email_to", "%q is not an e-mail address", to)
		}
	}
	if e.Server == "" {
		if e.From != "" || len(e.To) > 0 || e.Username != "" {
			bad("notify_email_server", "is needed: without it no e-mail is sent")
		}
		return
	}
	if _, _, err := net.SplitHostPort(e.Server); err != nil {
		bad("notify_email_server", "%q is not HOST:PORT", e.Server)
	}
	if _, err := mail.ParseAddress(e.From); err != nil {
		bad("notify_email_from", "is needed with notify_email_server: an address such as gatehouse@example.com")
	}
}

func (w *NotifyWebhooks) validate(bad func(name, format string, args ...any)) {
	for _, name := range w.Names() {
		if err := webhook.CheckURL(w.URLs[name]); err != nil {
			bad("notify_webhooks", "%s: %w", name, err)
		}
		if (w.Secrets[name] == "") == (w.SecretFiles[name] == "") {
			bad("notify_webhooks", "%s needs one of notify_webhook_secrets and notify_webhook_secret_files", name)
		}
	}
	for _, m := range []struct {
		setting string
		entries map[string]string
	}{{"notify_webhook_secrets", w.Secrets}, {"notify_webhook_secret_files", w.SecretFiles}, {"notify_webhook_kinds", w.Kinds}} {
		for _, name := range slices.Sorted(maps.Keys(m.entries)) {
			if w.URLs[name] == "" {
				bad(m.setting, "%w", errors.New("there is no webhook "+name+" in notify_webhooks"))
			}
		}
	}
}
