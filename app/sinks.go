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

	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/sink/file"
	"github.com/gatehouse-project/gatehouse/sink/kafka"
	"github.com/gatehouse-project/gatehouse/sink/stdout"
)

const sinkForms = "file:DIR, kafka://BROKER[,BROKER]/TOPIC?format=akto|native, stdout:"

// openSinks opens the sinks of these URLs; all or none.
func openSinks(ctx context.Context, urls []string, out io.Writer, log *slog.Logger, reg prometheus.Registerer) ([]collect.Sink, error) {
	var sinks []collect.Sink
	for _, u := range urls {
		s, err := openSink(ctx, u, out, log, reg)
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

func openSink(ctx context.Context, text string, out io.Writer, log *slog.Logger, reg prometheus.Registerer) (collect.Sink, error) {
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
		c.Logger, c.Metrics = log, reg
		return file.Open(c)
	case "kafka":
		c, err := kafka.Parse(text)
		if err != nil {
			return nil, &cli.UsageError{Err: err}
		}
		c.Logger, c.Metrics = log, reg
		return kafka.Open(ctx, c)
	case "stdout":
		return stdout.New(out), nil
	default:
		return nil, &cli.UsageError{Err: fmt.Errorf("there is no %s sink: use one of %s", scheme, sinkForms)}
	}
}
