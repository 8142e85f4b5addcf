package app

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/ingest"
	"github.com/gatehouse-project/gatehouse/store"
)

const (
	// leastMargin and mostMargin bound how much of the time of an invocation is
	// left for delivering what was read and saving the cursor.
	leastMargin = 2 * time.Second
	mostMargin  = 20 * time.Second
	// discoveryInLambda bounds the time that an invocation spends on the estate.
	discoveryInLambda = 20 * time.Second
)

// Lambda runs as a Lambda function until AWS ends the process.
func (*runtime) Lambda(ctx context.Context, c *config.Config, o cli.LambdaOptions) (err error) {
	if c.State == config.DefaultState() {
		return &config.Error{
			Where: "state", Err: errors.New("a Lambda function has no disk that stays"),
			Hint: "set GATEHOUSE_STATE to s3://BUCKET/PREFIX or dynamodb://TABLE/KEY",
		}
	}
	p, err := newProduct(ctx, c, options{headless: true, out: o.Out, err: o.Err})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	f := &function{product: p, out: o, lease: &lease{leases: p.store, holder: sandbox(), log: p.log}}
	h := &ingest.Lambda{
		Pass: f.pass, Account: o.Account, Region: os.Getenv("AWS_REGION"), Log: p.log,
	}
	if p.spool != nil {
		h.Spool = p.spool
	}
	awslambda.StartWithOptions(h, awslambda.WithContext(ctx))
	return errors.New("the Lambda runtime has ended")
}

// sandbox names this instance of the function. Its host's name will not do: all
// sandboxes may have the same, and the same process number.
func sandbox() string {
	return "lambda " + os.Getenv("AWS_LAMBDA_LOG_STREAM_NAME") + " " + rand.Text()[:8]
}

// function is what invocations of one sandbox share. Lambda makes them one after
// the other.
type function struct {
	product    *product
	out        cli.LambdaOptions
	lease      *lease
	discovered time.Time
}

// pass collects once, within the time of the invocation.
func (f *function) pass(ctx context.Context, pushed bool) (ingest.Outcome, error) {
	err := f.lease.try(ctx)
	if _, held := errors.AsType[*store.HeldError](err); held {
		// Whoever has it, or whoever comes next, also reads what is spooled.
		return ingest.Outcome{State: ingest.AnotherBusy}, nil
	}
	if err != nil {
		return ingest.Outcome{}, err
	}
	var outcome ingest.Outcome
	err = f.lease.hold(ctx, func(ctx context.Context) error {
		outcome, err = f.collect(ctx, pushed)
		return err
	})
	return outcome, err
}

func (f *function) collect(ctx context.Context, pushed bool) (ingest.Outcome, error) {
	margin := mostMargin
	if end, ok := ctx.Deadline(); ok {
		margin = min(max(time.Until(end)/5, leastMargin), mostMargin)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-margin))
		defer cancel()
	}
	p := f.product
	if !pushed && time.Since(f.discovered) >= p.config.DiscoveryInterval {
		discovering, cancel := context.WithTimeout(ctx, discoveryInLambda)
		p.estate.refresh(discovering)
		cancel()
		f.discovered = time.Now()
	}
	// Every pass has a collector and sinks of its own, and so its own meters.
	c := *p.config
	c.ShutdownTimeout = margin - leastMargin/2
	if pushed {
		// What was pushed is there: nothing need settle, and nothing else is read.
		c.Settle, c.Ingest.PushOnly = 0, true
	}
	once := *p
	once.config, once.registry, once.cleanup, once.passes = &c, prometheus.NewRegistry(), nil, true
	if err := once.newCollector(ctx, options{headless: true, out: f.out.Out, err: f.out.Err}); err != nil {
		return ingest.Outcome{}, err
	}
	done, err := once.collector.RunPass(ctx)
	if p.spool != nil {
		err = errors.Join(err, p.spool.Trim(context.WithoutCancel(ctx)))
	}
	return outcomeOf(once.collector.Health(), done), errors.Join(err, once.close())
}

func outcomeOf(h collect.Health, done bool) ingest.Outcome {
	o := ingest.Outcome{State: ingest.ToContinue, Lag: h.Lag.Round(time.Second).String()}
	if done {
		o.State = ingest.CaughtUp
	}
	for _, s := range h.Sinks {
		o.Calls = max(o.Calls, s.Delivered)
	}
	return o
}
