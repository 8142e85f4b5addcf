package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/archive"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/tail"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// discoveryAtMost is how long collecting waits for the first discovery of the
// estate, which names the access-log groups and their formats.
const discoveryAtMost = 30 * time.Second

// options say which parts of the product to put together.
type options struct {
	collect bool
	analyze bool
	// headless leaves out what only the dashboard and the HTTP API show.
	headless bool
	// offline is for what needs nothing of AWS: the estate is as it was last seen.
	offline bool
	since   time.Time // where a first start reads from; zero: the configuration's
	// slowInterval is how often the slow reading runs; zero: as usual.
	slowInterval time.Duration
	base         account.Options
	out          io.Writer // for the stdout sink
	err          io.Writer // for the log
}

// product is the parts that run together, put together once.
type product struct {
	config    *config.Config
	log       *slog.Logger
	registry  *prometheus.Registry
	store     store.Store
	audit     *audit.Watch
	accounts  *account.Accounts
	estate    *estateKeeper
	letters   *deadletter.Keeper
	findings  *finding.Book        // nil if headless
	desk      *logging.Desk        // nil if headless or offline, or without a journal
	inventory *inventory.Inventory // nil without analyze
	collector *collect.Collector   // nil without collect
	tail      *tail.Hub            // nil without collect, or headless
	spool     *spool.Spool         // nil where nothing is pushed
	passes    bool                 // it collects in passes, as a Lambda function does
	files     *archive.Archive     // nil unless files are imported
	// people and sessions are the directory and the sessions; nil without a dashboard.
	// onDisabled takes back what was lent to somebody who is kept out.
	people     *identity.Roster
	sessions   identity.Store
	onDisabled []func(context.Context, identity.Entry) error
	lending    *lending       // nil: nothing is lent
	cleanup    []func() error // run by close, last first
}

// newProduct puts the parts together. What was built before a part that fails
// is taken down again.
func newProduct(ctx context.Context, c *config.Config, o options) (_ *product, err error) {
	p := &product{config: c, log: newLogger(o.err, c), registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	for _, n := range c.Notices {
		p.log.InfoContext(ctx, "about a setting", "note", n)
	}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	if p.store, err = openStore(ctx, c, p.log); err != nil {
		return nil, err
	}
	p.cleanup = append(p.cleanup, p.store.Close)
	if p.audit, err = audit.NewWatch(audit.WatchOptions{Reader: p.store, Logger: p.log, Metrics: p.registry}); err != nil {
		return nil, err
	}
	if p.letters, err = newKeeper(c, p.store, deadletter.Options{Logger: p.log, Metrics: p.registry}); err != nil {
		return nil, err
	}

	var d *estate.Discoverer
	if !o.offline {
		if d, err = p.reach(o); err != nil {
			return nil, err
		}
	}
	if p.estate, err = newEstateKeeper(ctx, d, p.store, c.DiscoveryInterval, p.log); err != nil {
		return nil, err
	}
	if !o.headless {
		p.findings = finding.NewBook(p.store, nil)
		p.estate.judge = p.judge
	}
	if !o.headless && !o.offline {
		if p.desk, err = p.newDesk(ctx, o); err != nil {
			return nil, err
		}
	}
	if o.analyze {
		p.inventory = inventory.New(inventory.Options{Registerer: p.registry, Logger: p.log, APIName: p.estate.apiName})
		if err := p.inventory.Load(ctx, p.store); err != nil {
			return nil, fmt.Errorf("loading the inventory: %w", err)
		}
	}
	if err := p.openSpool(ctx); err != nil {
		return nil, err
	}
	if o.collect {
		if err := p.newCollector(ctx, o); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// reach prepares the way to AWS.
func (p *product) reach(o options) (d *estate.Discoverer, err error) {
	o.base.Logger, o.base.Registerer = p.log, p.registry
	if p.accounts, err = account.New(p.config.Accounts, o.base); err != nil {
		return nil, fmt.Errorf("preparing AWS credentials: %w", err)
	}
	return estate.New(p.accounts, estate.Options{Logger: p.log, Registerer: p.registry, Principals: p.config.EstatePrincipals})
}

func openStore(ctx context.Context, c *config.Config, log *slog.Logger) (store.Store, error) {
	return store.Open(ctx, c.State, store.Options{Logger: log}, engines)
}

func (p *product) newCollector(ctx context.Context, o options) error {
	c := p.config
	filter, restriction, err := filterOf(c)
	if err != nil {
		return err
	}
	cw := collect.CloudWatchConfig{Prefix: c.LogGroupPrefix, ARNs: c.LogGroupARNs, Restriction: restriction, Log: p.log}
	switch {
	case len(c.LogGroupARNs) > 0:
		cw.Prefix = ""
	case c.PrefixOnly:
		cw.Stages = func() []transaction.Group { return p.estate.accessLogGroups(c.AccessLogGroups, nil) }
	default:
		cw.Stages = func() []transaction.Group { return p.estate.accessLogGroups(c.AccessLogGroups, p.estate.groups()) }
	}
	source, err := p.source(cw)
	if err != nil {
		return err
	}
	sinks, err := openSinks(ctx, sinkOptions{
		config: c, letters: p.letters, out: o.out, log: p.log, metrics: p.registry,
		accounts: p.accounts,
	})
	if err != nil {
		return err
	}
	deps := collect.Deps{Source: source, State: p.state(), Sinks: sinks, Enricher: p.estate, Filter: filter, Log: p.log, Metrics: p.registry}
	if p.inventory != nil {
		deps.Observers = append(deps.Observers, p.inventory)
	}
	if !o.headless {
		p.tail = tail.New(tail.Options{Registerer: p.registry})
		deps.Observers = append(deps.Observers, p.tail)
	}
	redactor, err := c.Redactor()
	if err != nil {
		return errors.Join(err, closeSinks(ctx, sinks))
	}
	p.collector, err = collect.New(collect.Config{
		PollInterval:      c.PollInterval,
		Settle:            atLeastOne(c.Settle),
		Overlap:           c.Overlap,
		SlowInterval:      o.slowInterval,
		Grace:             atLeastOne(c.Grace),
		Idle:              c.Idle,
		StartFrom:         atLeastOne(c.StartFrom),
		Since:             o.since,
		DiscoveryInterval: c.DiscoveryInterval,
		ShutdownTimeout:   c.ShutdownTimeout,
		CommitInterval:    p.commitInterval(),
		Concurrency:       c.ReadConcurrency,
		MaxOpenCalls:      c.MaxOpenCalls,
		SkipCheck:         !c.CompletenessCheck || p.files != nil,
		CheckInterval:     c.CheckInterval,
		Redactor:          redactor,
	}, deps)
	if err != nil {
		return errors.Join(err, closeSinks(ctx, sinks))
	}
	// Groups that only stages name are read as soon as the stages are known.
	p.estate.news = p.collector.Rediscover
	return nil
}

// atLeastOne is d, but at least the millisecond that is the logs' resolution:
// the collector reads zero as "not said".
func atLeastOne(d time.Duration) time.Duration { return max(d, time.Millisecond) }

// health is the running collector's; nil where nothing is collected.
func (p *product) health() func() collect.Health {
	if p.collector == nil {
		return nil
	}
	return p.collector.Health
}

// collecting is the service that collects until its context is done.
func (p *product) collecting() service {
	return service{"collecting", func(ctx context.Context) error {
		l := newLease(p.store, p.log)
		if err := l.take(ctx); err != nil {
			return err
		}
		return l.hold(ctx, func(ctx context.Context) error {
			if err := p.estate.wait(ctx, discoveryAtMost); err != nil {
				return err
			}
			return replaying(ctx, p.letters, p.collector.Run)
		})
	}}
}

// close takes the parts down in the opposite order.
func (p *product) close() error {
	var errs []error
	for _, f := range slices.Backward(p.cleanup) {
		errs = append(errs, f())
	}
	p.cleanup = nil
	return errors.Join(errs...)
}
