package cli

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
)

// runtimeAPI is the variable by which AWS tells a process that it is a Lambda
// function, and where its runtime API is.
const runtimeAPI = "AWS_LAMBDA_RUNTIME_API"

// lambdaRuntime is what the lambda command asks of the product.
type lambdaRuntime interface {
	// Lambda answers the invocations of a Lambda function.
	Lambda(ctx context.Context, c *config.Config, o LambdaOptions) error
}

// LambdaOptions are what the command knows beside settings.
type LambdaOptions struct {
	// Account is the function's own, where a payload does not tell its owner.
	Account string
	Out     io.Writer // of the stdout sink
	Err     io.Writer // of the log
}

func newLambda(rt Runtime, s *Streams) *cobra.Command {
	var account string
	cmd := &cobra.Command{
		Use:   "lambda",
		Short: "Run as a Lambda function: on a schedule, or pushed to by CloudWatch Logs or Kinesis",
		Long: `Answer the invocations of a Lambda function. Settings come from the function's
environment. On the tick of a schedule the logs are collected from the saved
cursor on, as far as the time of the invocation allows. What CloudWatch Logs or a
Kinesis stream pushes is spooled before it is acknowledged, and then collected.

The program runs this command by itself when it is started in Lambda: as the
bootstrap of a function with an OS-only runtime it needs nothing else. The state
must be in S3 or DynamoDB, and what is pushed needs a spool in S3.`,
		Example: `  GATEHOUSE_STATE=s3://my-bucket/gatehouse GATEHOUSE_SINKS=https://edge.example.com?format=cequence`,
		Args:    noArgs,
	}
	flags := addSettings(cmd, collectSettings...)
	cmd.Flags().StringVar(&account, "account", "", "account of log groups whose owner a payload does not tell")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if os.Getenv(runtimeAPI) == "" {
			return withHint(usagef("this is no Lambda function: %s is not set", runtimeAPI),
				"use 'gatehouse collect' elsewhere; docs/ways-in.md shows how the function is set up")
		}
		c, err := flags.load(cmd)
		if err != nil {
			return err
		}
		if len(c.Sinks) == 0 {
			return withHint(usagef("no sink: there is nowhere to deliver calls to"), "set GATEHOUSE_SINKS; docs/sinks.md lists all")
		}
		return rt.Lambda(cmd.Context(), c, LambdaOptions{Account: account, Out: s.Out, Err: s.Err})
	}
	return cmd
}
