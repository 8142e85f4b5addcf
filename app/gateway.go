package app

import (
	"cmp"
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
	options := gateway.Options{Log: log}
	var sts *server
	if o.Config.STS != nil {
		sim, err := newLocalSTS(o.Config)
		if err != nil {
			return &cli.UsageError{Err: fmt.Errorf("the local STS: %w", err)}
		}
		options.Credentials = newSimCredentials(sim)
		// Its callers are told apart by their signatures, so it may listen anywhere.
		l, err := listen(ctx, cmp.Or(o.Config.STS.Listen, gateway.DefaultSTSListen))
		if err != nil {
			return err
		}
		fmt.Fprintf(o.Out, "sts: http://%s\n", l.Addr())
		sts = &server{l, sim.Handler(), log}
	}
	serving := service{"serving", func(ctx context.Context) error {
		return gateway.Run(ctx, o.Config, gateway.RunOptions{
			Options:    options,
			CloudWatch: logClients(o.Config, account.Options{Logger: log}),
			Ready:      func(a net.Addr) { fmt.Fprintf(o.Out, "gateway: %s\n", a) },
		})
	}}
	if sts == nil {
		return serving.run(ctx)
	}
	return runAll(ctx, []service{serving}, []service{{"serving the local STS", sts.run}})
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
