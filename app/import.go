package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-project/gatehouse/archive"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// importedKey begins the settings that tell of files that were imported.
const importedKey = "imported/"

// importFiles collects what files hold, once. It asks nothing of AWS.
func importFiles(ctx context.Context, given *config.Config, o cli.CollectOptions) (err error) {
	c := *given
	// Everything there will ever be is there.
	c.Settle, c.CompletenessCheck, c.Ingest = 0, false, config.Ingest{}
	p, err := newProduct(ctx, &c, options{offline: true, headless: true, out: o.Out, err: o.Err})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	l := newLease(p.store, p.log)
	if err := l.try(ctx); err != nil {
		return err
	}
	return l.hold(ctx, func(ctx context.Context) error {
		p.files, err = archive.Open(ctx, archive.Config{
			Paths: o.From, Group: transaction.NewGroup(o.FromGroup), Log: p.log,
			Known: func(ctx context.Context, digest string) (bool, error) {
				when, err := p.store.Setting(ctx, importedKey+digest)
				return when != "", err
			},
		})
		if err != nil {
			return err
		}
		p.cleanup = append(p.cleanup, p.files.Close)
		if err := p.newCollector(ctx, options{headless: true, since: o.Since, out: o.Out, err: o.Err}); err != nil {
			return err
		}
		if err := p.collector.RunOnce(ctx, o.Since); err != nil {
			return err
		}
		now := time.Now().UTC().Format(time.RFC3339)
		for _, digest := range p.files.Digests() {
			if err := p.store.SetSetting(ctx, importedKey+digest, now); err != nil {
				return err
			}
		}
		files, known, bad := p.files.Counts()
		t := p.collector.Health().Totals
		fmt.Fprintf(o.Err, "files: %d imported, %d known already; log events: %d; calls: %d; unparsed: %d; places that could not be read: %d\n",
			files, known, t.Read, t.Calls, t.Unparsed, bad)
		return nil
	})
}
