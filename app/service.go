package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// service is a part of the product that runs until its context is done, and
// returns when it has waited for all that it started.
type service struct {
	name string
	run  func(context.Context) error
}

// runAll runs services until ctx is done or one of them fails, then stops the
// others and waits for them. Services in first are stopped and waited for
// before those in last are: the dashboard shows how the collector stops.
func runAll(ctx context.Context, first, last []service) error {
	ctx, stopFirst := context.WithCancel(ctx)
	defer stopFirst()
	lastCtx, stopLast := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLast()

	var mu sync.Mutex
	var errs []error
	start := func(ctx context.Context, wg *sync.WaitGroup, ss []service) {
		for _, s := range ss {
			wg.Go(func() {
				err := s.run(ctx)
				if err != nil && !errors.Is(err, context.Canceled) {
					mu.Lock()
					errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
					mu.Unlock()
				}
				stopFirst()
			})
		}
	}
	var wgFirst, wgLast sync.WaitGroup
	start(lastCtx, &wgLast, last)
	start(ctx, &wgFirst, first)
	<-ctx.Done()
	wgFirst.Wait()
	stopLast()
	wgLast.Wait()
	return errors.Join(errs...)
}
