package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/collect"
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
	// demoPastCalls bounds that past, so that a demo starts soon at any rate.
	demoPastCalls = 7500
	// demoSlowInterval is how often the slow reading runs: on a busy machine it is what
	// finds the lines that were written late.
	demoSlowInterval = 5 * time.Second
	// demoRetention bounds the simulator's memory.
	demoRetention = 20 * time.Minute
)

// Demo runs the product on a simulated organization. Nothing in it takes a
// short cut: clients call APIs through the product's own gateway, which writes
// their logs into a simulator that speaks AWS's wire protocols on a loopback
// address, and the product reads them through assumed roles.
func (*runtime) Demo(ctx context.Context, o cli.DemoOptions) (err error) {
	c, cleanup, err := demoConfig(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()

	l, err := demoListen(ctx, o.Listen)
	if err != nil {
		return err
	}
	served := false // the server closes what it serves
	defer func() {
		if !served {
			err = errors.Join(err, l.Close())
		}
	}()
	sim := awssim.New(awssim.Options{Seed: 1, Retention: demoRetention})
	world := demo.NewWorld(sim)
	kube, err := world.OpenCluster()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kube.Close()) }()
	aws4, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aws4.Close()) }()
	traffic, err := world.NewTraffic(demo.TrafficOptions{
		Endpoint: aws4.URL(), Credentials: newSimCredentials(sim), Rate: o.Rate,
		Seed: uint64(time.Now().UnixNano()), Log: newLogger(o.Err, c),
	})
	if err != nil {
		return err
	}
	start := time.Now()
	past := min(demoPast, time.Duration(demoPastCalls/o.Rate*float64(time.Second)))
	if err := traffic.Past(ctx, start.Add(-past), start); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it began
		}
		return err
	}
	p, err := newProduct(ctx, c, options{
		collect: true, analyze: true, out: o.Out, err: o.Err, slowInterval: demoSlowInterval,
		base: account.Options{BaseConfig: demoBase(world, aws4.URL())},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	personas := demo.People()
	if err := p.newRoster(ctx, personas); err != nil {
		return err
	}
	if err := p.openLending(lendingOptions{flows: demo.Flows, integrations: demo.Integrations}); err != nil {
		return err
	}
	handler, guard, err := p.face(ctx, identity.Viewer, personas, "Demo: a simulated organization. Nothing here is real; the terminal says what to try.")
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "dashboard: http://%s/\n", l.Addr())
	demoWelcome(o, l.Addr().String(), guard, personas)

	if o.For > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.For)
		defer stop()
	}
	// The callers stop first, so that what they did can be read to its end; the
	// dashboard last, so that it shows how.
	served = true
	shown := make(chan struct{})
	calling := service{"calling the APIs", func(ctx context.Context) error {
		err := traffic.Run(ctx)
		fmt.Fprintln(o.Err, "Nobody calls any more. Reading the last logs.")
		p.catchUp(traffic.Calls(), shown)
		return err
	}}
	showing := service{"showing", func(ctx context.Context) error {
		defer close(shown)
		return runAll(ctx, []service{p.collecting()}, slices.Concat([]service{
			{"discovering the estate", p.estate.run},
			p.switching(),
			p.watching(),
			guarding(guard),
			{"serving", (&server{l, handler, p.log}).run},
		}, p.lending.services(), p.lending.interacting(), borrowing(world, kube, guard, l.Addr().String(), personas, o.Err, p.log)))
	}}
	err = p.recorded(ctx, "demo", nil, func(ctx context.Context) error {
		return runAll(ctx, []service{calling}, []service{showing})
	})
	return errors.Join(err, p.summarize(o, traffic))
}

// demoWelcome says what there is to see and to try, and how one signs in.
func demoWelcome(o cli.DemoOptions, addr string, guard *identity.Guard, people []identity.Person) {
	fmt.Fprintf(o.Err, `A simulated organization of four accounts is being called %g times a second.
Nothing leaves this machine. Stop with Ctrl-C.

Anyone may look. To change things, sign in at %s
Or play one of these people, each in a browser profile or a private window of its own:
`, o.Rate, guard.AdminLink(addr))
	for _, who := range people {
		fmt.Fprintf(o.Err, "  %-9s %-12s %s\n", who.Role, who.Name, guard.PersonLink(addr, who))
	}
	fmt.Fprintf(o.Err, `
What to try:
  watch   Live tail: the calls as they come. Inventory: what is called, by whom, and
          which fields hold personal data.
  switch  Logging, signed in: choose payments, stage legacy, which logs nothing; show the
          plan; switch it on. Its calls come in within seconds, and end when it is put back.
  check   Findings: what is wrong and how to mend it. Policy lab: who may call what, and
          what is missing where.
  lend    Inbox, as Amir: agree to what Nadia asks for in the cluster %s, and read
          here that her kubectl is allowed. Grants, as Sofia: revoke it, and it is denied.
          Catalog, as Rosa: ask for something yourself.

`, demo.Cluster)
}

// borrowing are the demo's people, who ask for access, and try all the time whether they
// get into the cluster.
func borrowing(w *demo.World, k *awssim.Kubernetes, g *identity.Guard, addr string, people []identity.Person, out io.Writer, log *slog.Logger) []service {
	b := &demo.Borrowers{Base: "http://" + addr, Link: func(p identity.Person) string { return g.PersonLink(addr, p) }, Log: log}
	return []service{
		{"asking for access", func(ctx context.Context) error {
			err := b.Run(ctx)
			<-ctx.Done() // what ends would end the demo
			return err
		}},
		{"trying the cluster", func(ctx context.Context) error {
			return w.Watch(ctx, k, people, []string{"checkout", "orders", "payments", "sandbox"}, func(line string) { fmt.Fprintln(out, line) })
		}},
	}
}

// catchUpAtMost bounds how long a demo that ends reads what is left.
const catchUpAtMost = 90 * time.Second

// catchUp waits until so many calls were delivered. On a busy machine some lines were
// written later than the fast reading allows, and the slow one finds them an overlap
// later. It gives up once both readings have passed over the time of all calls: the logs
// of what is missing then are gone with their group. It ends too when collecting has.
func (p *product) catchUp(calls int, ended <-chan struct{}) {
	enough := time.NewTimer(catchUpAtMost)
	defer enough.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	through := time.Now().Add(p.config.Overlap + demoSlowInterval + 2*p.config.PollInterval) // of the fast reading, when the slow one has passed now
	for {
		h := p.collector.Health()
		behind := func(g collect.GroupHealth) bool { return g.Error == "" && time.Now().Add(-g.Lag).Before(through) }
		if h.Totals.Calls >= int64(calls) || h.OpenCalls == 0 && !slices.ContainsFunc(h.Groups, behind) {
			return
		}
		select {
		case <-tick.C:
		case <-enough.C:
			return
		case <-ended:
			return
		}
	}
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
	c.LoggingRoleName = demo.SwitcherRole
	c.Accounts.ExternalID = demo.ExternalID
	c.Accounts.Regions = demo.Regions
	c.EstatePrincipals = true
	c.PollInterval = time.Second
	c.Settle = 2 * time.Second   // a call's lines are written when it ends, a second after its first line at most
	c.Overlap = 15 * time.Second // what a busy machine writes late, and what Ctrl-C waits for at most
	c.Grace = 500 * time.Millisecond
	c.Idle = 10 * time.Second
	c.StartFrom = demoPast + time.Minute // the past has grown older by the time it is read
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
		if err := identity.CheckListen(addr, identity.Listening{}); err != nil {
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
func (p *product) summarize(o cli.DemoOptions, traffic *demo.Traffic) error {
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
	fmt.Fprintf(o.Out, "calls made: %d, calls delivered: %d, still open: %d; %d more went where nothing is logged\n",
		traffic.Calls(), t.Calls, h.OpenCalls, traffic.Unlogged())
	fmt.Fprintf(o.Out, "endpoints: %d (REST %d, HTTP %d, WEBSOCKET %d)\n", page.Total,
		types[transaction.REST], types[transaction.HTTP], types[transaction.WebSocket])
	fmt.Fprintf(o.Out, "log events: read %d = assembled %d + unparsed %d + filtered %d + open %d; the books %s\n",
		t.Read, t.Assembled, t.Unparsed, t.Filtered, t.Open, balance)
	return nil
}
