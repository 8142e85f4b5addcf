package app

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/mail"
	"github.com/gatehouse-project/gatehouse/notify/slack"
	"github.com/gatehouse-project/gatehouse/notify/webhook"
)

// notices are the ways to tell people, as the settings have them.
type notices struct {
	router *notify.Router
	slack  *slack.App      // nil: no Slack
	onCall *webhook.OnCall // nil: nobody is ever on call
}

// openNotices makes the channels of the configuration. It connects to nothing, so
// a channel that is down keeps nothing from starting.
func openNotices(c *config.Config, log *slog.Logger, metrics prometheus.Registerer) (*notices, error) {
	n := &notices{}
	var channels []notify.Channel
	if s := &c.Notify.Slack; s.IsOn() {
		app, err := slack.New(slack.Options{Token: s.BotToken, API: s.API, Interactive: s.HasSecret(), Logger: log})
		if err != nil {
			return nil, fmt.Errorf("notices: %w", err)
		}
		n.slack = app
		channel := notify.Channel{Name: notify.Slack, Sender: app, Kinds: s.Kinds, AlwaysKinds: s.ChannelKinds, Updates: true}
		if s.Channel != "" {
			channel.Always = []string{s.Channel}
		}
		channels = append(channels, channel)
	}
	if e := &c.Notify.Email; e.Server != "" {
		o := mail.Options{Server: e.Server, Security: e.Security, Username: e.Username, From: e.From, CAFile: e.CAFile}
		if e.HasPassword() {
			o.Password = e.Secret
		}
		m, err := mail.New(o)
		if err != nil {
			return nil, fmt.Errorf("notices: %w", err)
		}
		channels = append(channels, notify.Channel{Name: notify.Email, Sender: m, Kinds: e.Kinds, Always: e.To, AlwaysKinds: e.ToKinds})
	}
	hooks := &c.Notify.Webhooks
	for _, name := range hooks.Names() {
		w, err := webhook.New(webhook.Options{
			Name: name, URL: hooks.URLs[name], CAFile: hooks.CAFile,
			Secrets: func() ([]string, error) { return hooks.SecretsOf(name) },
		})
		if err != nil {
			return nil, fmt.Errorf("notices: %w", err)
		}
		channels = append(channels, notify.Channel{
			Name: notify.WebhookPrefix + name, Sender: w, Always: []string{name}, AlwaysKinds: hooks.KindsOf(name),
		})
	}
	var err error
	if o := &c.Notify.OnCall; o.URL != "" {
		n.onCall, err = webhook.NewOnCall(webhook.OnCallOptions{URL: o.URL, Secret: o.Bearer, CAFile: o.CAFile, MaxPeople: o.MaxPeople, Logger: log})
		if err != nil {
			return nil, fmt.Errorf("notices: %w", err)
		}
	}
	n.router, err = notify.New(notify.Options{Channels: channels, Logger: log, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	return n, nil
}
