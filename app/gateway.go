package app

import (
	"context"
	"fmt"
	"net"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/gateway"
)

// Gateway serves a local API gateway until ctx is done.
func (*runtime) Gateway(ctx context.Context, o cli.GatewayOptions) error {
	c := config.Default()
	c.LogLevel = o.LogLevel
	if err := c.Validate(); err != nil {
		return &cli.UsageError{Err: err}
	}
	log := newLogger(o.Err, c)
	return gateway.Run(ctx, o.Config, gateway.RunOptions{
		Options:    gateway.Options{Log: log},
		CloudWatch: logClients(o.Config, account.Options{Logger: log}),
		Ready:      func(a net.Addr) { fmt.Fprintf(o.Out, "gateway: %s\n", a) },
	})
}

// logClients gives CloudWatch Logs clients with the base credentials: a gateway
// that plays several accounts writes all of their logs as itself.
func logClients(c *gateway.Config, o account.Options) func(string, string) (gateway.LogsAPI, error) {
	return func(_, region string) (gateway.LogsAPI, error) {
		a, err := account.New(account.Config{Regions: []string{region}}, o)
		if err != nil {
			return nil, err
		}
		return cloudwatchlogs.NewFromConfig(a.Config(account.Target{}, region), func(lo *cloudwatchlogs.Options) {
			if c.Logs.CloudWatch.Endpoint != "" {
				lo.BaseEndpoint = aws.String(c.Logs.CloudWatch.Endpoint)
			}
		}), nil
	}
}
