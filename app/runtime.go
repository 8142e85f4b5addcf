package app

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
)

// runtime is the product as the command line sees it.
type runtime struct{}

var _ cli.Runtime = (*runtime)(nil)

// Version is the version of this build.
func (*runtime) Version() string { return version }

// Collect reads logs into sinks until ctx is done, or once.
func (*runtime) Collect(ctx context.Context, c *config.Config, o cli.CollectOptions) (err error) {
	if len(o.From) > 0 {
		return importFiles(ctx, c, o)
	}
	p, err := newProduct(ctx, c, options{collect: true, headless: true, since: o.Since, out: o.Out, err: o.Err})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if o.Once {
		return p.collectOnce(ctx, o)
	}
	last := []service{{"discovering the estate", p.estate.run}, p.watching()}
	if c.Listen != "" {
		l, err := listen(ctx, c.Listen)
		if err != nil {
			return err
		}
		last = append(last, service{"serving", (&server{l, p.probes(), p.log}).run})
	}
	taking, err := p.ingesting(ctx)
	if err != nil {
		return err
	}
	return p.recorded(ctx, "collect", nil, func(ctx context.Context) error {
		return runAll(ctx, append(taking, p.collecting()), last)
	})
}

// collectOnce discovers the estate and reads what was asked for. An estate that
// cannot be discovered leaves the groups that the prefix finds. Discovering may
// take longer than the lease lasts, so the lease is held over both.
func (p *product) collectOnce(ctx context.Context, o cli.CollectOptions) error {
	l := newLease(p.store, p.log)
	if err := l.try(ctx); err != nil {
		return err
	}
	return l.hold(ctx, func(ctx context.Context) error {
		p.estate.refresh(ctx)
		return p.collector.RunOnce(ctx, o.Since)
	})
}

// Serve runs the product with its dashboard until ctx is done.
func (*runtime) Serve(ctx context.Context, c *config.Config, o cli.ServeOptions) (err error) {
	addr := c.Listen
	if addr == "" {
		addr = config.DefaultListen
	}
	web := slices.Contains(o.Roles, "web")
	if web {
		if err := identity.CheckListen(addr, listening(c)); err != nil {
			return err
		}
	}
	p, err := newProduct(ctx, c, options{
		collect: slices.Contains(o.Roles, "collect"), analyze: slices.Contains(o.Roles, "analyze"),
		since: o.Since, out: o.Out, err: o.Err,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	lend := slices.Contains(o.Roles, "access")
	if web || lend {
		if err := p.openLendingFor(ctx, o); err != nil {
			return err
		}
	}
	var first []service
	last := []service{{"discovering the estate", p.estate.run}}
	switch {
	case p.lending == nil:
	case lend:
		last = append(last, p.lending.services()...)
	default:
		last = append(last, service{"following what is lent", p.lending.desk.Follow})
	}
	if p.collector != nil {
		taking, err := p.ingesting(ctx)
		if err != nil {
			return err
		}
		first = append(taking, p.collecting())
	}
	if web {
		handler, guard, err := p.face(ctx, identity.None, nil, "")
		if err != nil {
			return err
		}
		l, err := listen(ctx, addr)
		if err != nil {
			return err
		}
		if l, err = secured(l, c); err != nil {
			return err
		}
		last = append(last, p.switching(), guarding(guard), service{"serving", (&server{l, handler, p.log}).run})
		last = append(last, p.lending.interacting()...)
		greet(o.Err, c, guard, l.Addr())
	} else if p.lending != nil {
		// Nobody comes in here, but who is shut out has to lose what they were lent.
		guard, err := p.newGuard(ctx, identity.None, nil, dashboard.Options{})
		if err != nil {
			return err
		}
		last = append(last, guarding(guard))
	}
	last = append(last, p.watching())
	return p.recorded(ctx, "serve", o.Roles, func(ctx context.Context) error { return runAll(ctx, first, last) })
}

// Discover finds the estate and keeps it in the store. Full reads every detail
// again, and not only of what shows a change.
func (*runtime) Discover(ctx context.Context, c *config.Config, full bool, progress func(estate.Progress)) (_ *estate.Snapshot, err error) {
	p, err := newProduct(ctx, c, options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if full {
		p.estate.discoverer.Resume(nil)
	}
	return p.estate.discover(ctx, progress)
}

// EstateHistory is what changed in the estate from one discovery to the next.
func (*runtime) EstateHistory(ctx context.Context, c *config.Config, q estate.HistoryQuery) (_ estate.HistoryPage, err error) {
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return estate.HistoryPage{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.EstateHistory(ctx, q)
}

// Estate is the estate as the last discovery found it, or nil.
func (*runtime) Estate(ctx context.Context, c *config.Config) (_ *estate.Snapshot, err error) {
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.LoadEstate(ctx)
}

// Inventory opens the saved inventory; the caller calls the function that it
// returns when done.
func (*runtime) Inventory(ctx context.Context, c *config.Config) (inventory.Reader, func() error, error) {
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// Credentials are those that the configuration leads to: of its one role, or of
// the base where it has none.
func (*runtime) Credentials(_ context.Context, c *config.Config) (aws.CredentialsProvider, string, error) {
	a, err := account.New(c.Accounts, account.Options{})
	if err != nil {
		return nil, "", err
	}
	var target account.Target
	if len(c.Accounts.Roles) > 0 {
		target.RoleARN = c.Accounts.Roles[0].ARN
	}
	return a.Config(target, a.Region()).Credentials, a.Region(), nil
}
