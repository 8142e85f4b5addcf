package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/sink/file"
	"github.com/gatehouse-project/gatehouse/sink/https"
	"github.com/gatehouse-project/gatehouse/sink/kafka"
	"github.com/gatehouse-project/gatehouse/sink/otlp"
	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/sink/stdout"
)

const sinkForms = "file:DIR, kafka://BROKER[,BROKER]/TOPIC?format=akto|native, https://HOST/PATH?format=native|cequence, otlp://HOST:4318/v1/logs, otlps://…, stdout:"

// sinkOptions are what sinks are opened with. Config is needed.
type sinkOptions struct {
	config *config.Config
	// letters keep what sinks refuse for good; nil: sinks wait with it.
	letters *deadletter.Keeper
	// accounts has the base credentials for brokers that ask for AWS's; nil: made
	// of the configuration when one does.
	accounts *account.Accounts
	out      io.Writer // of the stdout sink
	log      *slog.Logger
	metrics  prometheus.Registerer // may be nil
}

// openSinks opens the sinks of the configuration; all or none.
func openSinks(ctx context.Context, o sinkOptions) ([]collect.Sink, error) {
	if err := o.checkCredentials(); err != nil {
		return nil, err
	}
	var sinks []collect.Sink
	for _, u := range o.config.Sinks {
		s, err := o.open(ctx, u)
		if err != nil {
			return nil, errors.Join(err, closeSinks(ctx, sinks))
		}
		sinks = append(sinks, s)
	}
	return sinks, nil
}

func closeSinks(ctx context.Context, sinks []collect.Sink) error {
	errs := make([]error, 0, len(sinks))
	for _, s := range sinks {
		errs = append(errs, s.Close(ctx))
	}
	return errors.Join(errs...)
}

// isHTTPS reports whether a sink's URL is one of the https sink.
func isHTTPS(text string) bool {
	return strings.HasPrefix(text, "https:") || strings.HasPrefix(text, "http:")
}

// checkCredentials refuses to guess where a token belongs. There is one client
// for tokens; given to the wrong one of two endpoints, it would let that one
// write, or read, in the name of this client at the other.
func (o *sinkOptions) checkCredentials() error {
	if !o.config.HTTPS.HasCredentials() && len(o.config.HTTPS.Headers) == 0 {
		return nil
	}
	hosts := map[string]bool{}
	silent := ""
	for _, text := range o.config.Sinks {
		if !isHTTPS(text) {
			continue
		}
		c, err := https.Parse(text)
		if err != nil {
			return &cli.UsageError{Err: err}
		}
		hosts[c.URL.Host] = true
		if c.Auth == https.Default {
			silent = c.URL.Host
		}
	}
	if len(hosts) > 1 && silent != "" {
		return &cli.UsageError{Err: fmt.Errorf("https sinks go to %d hosts and there are credentials for one client: say for %s whether it gets them, with auth=oauth2 or auth=none", len(hosts), silent)}
	}
	return nil
}

func (o *sinkOptions) open(ctx context.Context, text string) (collect.Sink, error) {
	scheme, _, ok := strings.Cut(text, ":")
	if !ok {
		return nil, &cli.UsageError{Err: fmt.Errorf("sink %q has no scheme: use one of %s", text, sinkForms)}
	}
	switch scheme {
	case "file":
		u, err := url.Parse(text)
		if err != nil {
			return nil, &cli.UsageError{Err: fmt.Errorf("sink %q: %w", text, err)}
		}
		c, err := file.ParseURL(u)
		if err != nil {
			return nil, &cli.UsageError{Err: err}
		}
		c.Logger, c.Metrics = o.log, o.metrics
		return file.Open(c)
	case "kafka":
		return o.openKafka(ctx, text)
	case "https", "http":
		return o.openHTTPS(text)
	case "otlp", "otlps":
		c, err := otlp.Parse(text)
		if err != nil {
			return nil, &cli.UsageError{Err: err}
		}
		c.Header = o.config.OTLP.Headers
		return o.outlet(&c.Config, func() (*post.Sink, error) { return otlp.Open(c) })
	case "stdout":
		return stdout.New(o.out), nil
	default:
		return nil, &cli.UsageError{Err: fmt.Errorf("there is no %s sink: use one of %s", scheme, sinkForms)}
	}
}

func (o *sinkOptions) openKafka(ctx context.Context, text string) (collect.Sink, error) {
	c, err := kafka.Parse(text)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	c.Logger, c.Metrics = o.log, o.metrics
	if c.Auth.Mechanism == "aws-msk-iam" {
		if o.accounts == nil {
			if o.accounts, err = account.New(o.config.Accounts, account.Options{Logger: o.log}); err != nil {
				return nil, fmt.Errorf("preparing AWS credentials: %w", err)
			}
		}
		c.Auth.AWS = o.accounts.Config(account.Target{}, o.accounts.Region()).Credentials
	}
	if k := o.config.Kafka; (c.Auth.Mechanism == "plain" || strings.HasPrefix(c.Auth.Mechanism, "scram-")) && c.Auth.Username == "" && c.Auth.PasswordFile == "" {
		c.Auth.Username, c.Auth.Password, c.Auth.PasswordFile = k.Username, k.Password, k.PasswordFile
	}
	if o.letters == nil {
		return kafka.Open(ctx, c)
	}
	c.DeadLetters = o.letters.Box(c.Name())
	s, err := kafka.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return o.letters.Outlet(s), nil
}

func (o *sinkOptions) openHTTPS(text string) (collect.Sink, error) {
	c, err := https.Parse(text)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	if h := &o.config.HTTPS; c.Auth != https.None {
		c.Header = h.Headers
		if h.HasCredentials() {
			c.Credentials = &post.Credentials{TokenURL: h.TokenURL, ClientID: h.ClientID, Secret: h.Secret, Scopes: h.Scopes}
		}
	}
	return o.outlet(&c.Config, func() (*post.Sink, error) { return https.Open(c) })
}

// outlet opens a sink that posts, under the keeper of dead letters if there is
// one.
func (o *sinkOptions) outlet(c *post.Config, open func() (*post.Sink, error)) (collect.Sink, error) {
	c.Logger, c.Metrics = o.log, o.metrics
	if o.letters != nil {
		c.DeadLetters = o.letters.Box(c.Name())
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	if o.letters == nil {
		return s, nil
	}
	return o.letters.Outlet(s), nil
}
