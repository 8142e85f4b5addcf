package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/demo"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// demoPast is how much traffic there was before the demo starts, so that the
	// charts have something to show.
	demoPast = 5 * time.Minute
	// demoRetention bounds the simulator's memory.
	demoRetention = 20 * time.Minute
)

// Demo runs the product on a simulated organization. Nothing in it takes a
// short cut: the simulator speaks AWS's wire protocols on a loopback address,
// and the product reads it through assumed roles.
func (*runtime) Demo(ctx context.Context, o cli.DemoOptions) (err error) {
	c, cleanup, err := demoConfig(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()

	start := time.Now()
	sim := awssim.New(awssim.Options{Seed: 1, Retention: demoRetention})
	world := demo.NewWorld(sim)
	player := world.NewPlayer(start.Add(-demoPast), o.Rate, uint64(start.UnixNano()))
	player.PlayUntil(start)
	aws4, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aws4.Close()) }()

	l, err := demoListen(ctx, o.Listen)
	if err != nil {
		return err
	}
	p, err := newProduct(ctx, c, options{
		collect: true, analyze: true, out: o.Out, err: o.Err,
		base: account.Options{BaseConfig: demoBase(world, aws4.URL())},
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, p.close()) }()
	handler, _, err := p.face(identity.Viewer, "Demo: a simulated organization. Nothing here is real.")
	if err != nil {
		return errors.Join(err, l.Close())
	}
	fmt.Fprintf(o.Out, "dashboard: http://%s/\n", l.Addr())
	fmt.Fprintf(o.Err, "A simulated organization of four accounts is being called %g times a second.\nNothing leaves this machine. Stop with Ctrl-C.\n", o.Rate)

	if o.For > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.For)
		defer stop()
	}
	err = runAll(ctx, []service{p.collecting()}, []service{
		{"playing traffic", player.Run},
		{"discovering the estate", p.estate.run},
		{"serving", (&server{l, handler, p.log}).run},
	})
	return errors.Join(err, p.summarize(o, player.Calls()))
}

// demoConfig is a product's configuration with shorter times: nothing is late
// in the simulator, and the demo's state is gone when it ends.
func demoConfig(o cli.DemoOptions) (_ *config.Config, cleanup func() error, err error) {
	cleanup = func() error { return nil }
	dir := o.State
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gatehouse-demo-"); err != nil {
			return nil, nil, fmt.Errorf("making a folder for the demo's state: %w", err)
		}
		cleanup = func() error { return os.RemoveAll(dir) }
	}
	c := config.Default()
	c.State = "sqlite:" + filepath.Join(dir, "gatehouse.db")
	c.LogLevel = o.LogLevel
	c.Accounts.Organization = true
	c.Accounts.RoleName = demo.CollectorRole
	c.Accounts.ExternalID = demo.ExternalID
	c.Accounts.Regions = demo.Regions
	c.PollInterval = time.Second
	c.Settle = time.Second
	c.Overlap = time.Minute
	c.Grace = 500 * time.Millisecond
	c.Idle = 40 * time.Second // longer than the 29 s after which an integration times out
	c.StartFrom = demoPast
	c.DiscoveryInterval = 30 * time.Second
	c.ShutdownTimeout = 10 * time.Second
	if err := c.Validate(); err != nil {
		return nil, nil, errors.Join(err, cleanup())
	}
	return c, cleanup, nil
}

// demoBase are the base credentials of the demo: sessions of Gatehouse's own
// role in the simulated security account, a new one whenever one ends.
func demoBase(w *demo.World, endpoint string) *aws.Config {
	return &aws.Config{
		Region:       demo.Regions[0],
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			s := w.Credentials(time.Hour)
			c := credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, s.SessionToken).Value
			c.CanExpire, c.Expires, c.Source = true, s.Expiration, "gatehouse demo"
			return c, nil
		})),
	}
}

// demoListen listens on the address that was asked for. Without one it takes the
// usual port, and any other if that is taken.
func demoListen(ctx context.Context, addr string) (net.Listener, error) {
	if addr != "" {
		if err := identity.CheckListen(addr, false); err != nil {
			return nil, err
		}
		return listen(ctx, addr)
	}
	l, err := listen(ctx, config.DefaultListen)
	if err != nil {
		return listen(ctx, "127.0.0.1:0")
	}
	return l, nil
}

// summarize says what the demo saw.
func (p *product) summarize(o cli.DemoOptions, made int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	page, err := p.store.Endpoints(ctx, inventory.Query{Limit: -1})
	if err != nil {
		return fmt.Errorf("reading the inventory for the summary: %w", err)
	}
	types := map[transaction.APIType]int{}
	for i := range page.Endpoints {
		types[page.Endpoints[i].APIType]++
	}
	h := p.collector.Health()
	t := h.Totals
	balance := "balance"
	if !t.Balanced() {
		balance = "DO NOT BALANCE"
	}
	fmt.Fprintf(o.Out, "calls played: %d, calls delivered: %d, still open: %d\n", made, t.Calls, h.OpenCalls)
	fmt.Fprintf(o.Out, "endpoints: %d (REST %d, HTTP %d, WEBSOCKET %d)\n", page.Total,
		types[transaction.REST], types[transaction.HTTP], types[transaction.WebSocket])
	fmt.Fprintf(o.Out, "log events: read %d = assembled %d + unparsed %d + filtered %d + open %d; the books %s\n",
		t.Read, t.Assembled, t.Unparsed, t.Filtered, t.Open, balance)
	return nil
}
