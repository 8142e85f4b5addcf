package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/logging"
)

// newDesk prepares switching logging from the dashboard and the HTTP API. There is
// none where the state keeps no journal.
func (p *product) newDesk(ctx context.Context, o options) (*logging.Desk, error) {
	if _, err := p.store.LoggingRuns(ctx, 1); err != nil {
		var cannot interface{ Mend() string }
		if errors.As(err, &cannot) {
			p.log.InfoContext(ctx, "logging cannot be switched from the dashboard", "reason", err, "hint", cannot.Mend())
			return nil, nil
		}
		return nil, err
	}
	accounts, err := p.switchers(o)
	if err != nil {
		return nil, err
	}
	return logging.NewDesk(logging.DeskOptions{
		Accounts: accounts, Journal: p.store, Known: p.estate.snapshot, CallRate: callRate(p.store), Logger: p.log,
		Discover: func(ctx context.Context, progress func(estate.Progress)) (*estate.Snapshot, error) {
			s, err := p.estate.discover(ctx, progress)
			if err == nil && p.estate.news != nil {
				p.estate.news()
			}
			return s, err
		},
		Alone: func(ctx context.Context, run func(context.Context) error) error {
			l := newLease(p.store, p.log)
			l.name = loggingLease
			if err := l.try(ctx); err != nil {
				return err
			}
			return l.hold(ctx, run)
		},
	}), nil
}

// switchers reach the accounts with the roles that may switch. Reading and switching
// share nothing then, so that the role that reads need not be able to change anything.
func (p *product) switchers(o options) (*account.Accounts, error) {
	name := p.config.LoggingRoleName
	if name == "" {
		return p.accounts, nil
	}
	c := p.config.Accounts
	c.Roles = slices.Clone(c.Roles)
	for i := range c.Roles {
		at := strings.Index(c.Roles[i].ARN, ":role/")
		if at < 0 {
			return nil, fmt.Errorf("logging_role_name: %q is not the ARN of a role, so its name cannot be replaced", c.Roles[i].ARN)
		}
		c.Roles[i].ARN = c.Roles[i].ARN[:at] + ":role/" + name
	}
	if c.Organization {
		c.RoleName = name
	}
	base := o.base
	base.Logger, base.Registerer = p.log, nil // the meters are the reading side's
	accounts, err := account.New(c, base)
	if err != nil {
		return nil, fmt.Errorf("preparing the roles that switch logging: %w", err)
	}
	return accounts, nil
}

// switching is the service that carries out what is started on the desk.
func (p *product) switching() service {
	return service{"switching logging", func(ctx context.Context) error {
		if p.desk == nil {
			<-ctx.Done()
			return ctx.Err()
		}
		return p.desk.Run(ctx)
	}}
}
