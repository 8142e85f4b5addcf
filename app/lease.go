package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/store"
)

const (
	// collectorLease is held by the one process that collects with a store. Two
	// would each move the other's cursors.
	collectorLease = "collector"
	leaseTime      = 15 * time.Second
	leaseRenewal   = 4 * time.Second
	leaseRetry     = time.Second
)

// lease is the right to do something alone with a store: to collect, or to switch
// logging.
type lease struct {
	name   string
	leases store.Leases
	holder string
	log    *slog.Logger
}

// newLease names this process: its host and number, and a random part, since a
// container's first process always has the same number.
func newLease(l store.Leases, log *slog.Logger) *lease {
	return &lease{name: collectorLease, leases: l, holder: fmt.Sprintf("%s/%d/%s", thisHost(), os.Getpid(), rand.Text()[:8]), log: log}
}

// thisHost names the set of processes among which a number says who lives: the
// host's name, and a digest of its start and of the namespace of its process
// numbers. With a store that several machines share, two of one name would
// otherwise take each other's processes for dead.
func thisHost() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	boot, errBoot := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, errSpace := os.Readlink("/proc/self/ns/pid")
	if errBoot != nil || errSpace != nil {
		return host // no Linux: the name alone
	}
	sum := sha256.Sum256(append(boot, space...))
	return fmt.Sprintf("%s~%x", host, sum[:4])
}

// try takes the lease. A holder that died on this host without giving it back
// (kill -9) is put aside at once; waiting for its time to end would only let
// the logs fall behind.
func (l *lease) try(ctx context.Context) error {
	err := l.leases.AcquireLease(ctx, l.name, l.holder, leaseTime)
	var held *store.HeldError
	if !errors.As(err, &held) || !l.died(held.Holder) {
		return err
	}
	if err := l.leases.ReleaseLease(ctx, l.name, held.Holder); err != nil {
		return err
	}
	return l.leases.AcquireLease(ctx, l.name, l.holder, leaseTime)
}

// died reports whether a holder was a process of this host that is no more. A
// process with our own number can only be one before us.
func (l *lease) died(holder string) bool {
	theirs, ours := strings.Split(holder, "/"), strings.Split(l.holder, "/")
	if len(theirs) != 3 || theirs[0] != ours[0] {
		return false
	}
	if theirs[1] == ours[1] {
		return theirs[2] != ours[2]
	}
	pid, err := strconv.Atoi(theirs[1])
	return err == nil && pid > 0 && gone(pid)
}

// take waits until the lease is free.
func (l *lease) take(ctx context.Context) error {
	said := false
	for {
		err := l.try(ctx)
		var held *store.HeldError
		if !errors.As(err, &held) {
			return err
		}
		if !said {
			said = true
			l.log.WarnContext(ctx, "another process collects with this state; waiting until it stops", "holder", held.Holder, "hint", held.Mend())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(leaseRetry):
		}
	}
}

// hold renews the lease while run runs. If the lease cannot be renewed before it
// ends, run is stopped: another process may collect by then.
func (l *lease) hold(ctx context.Context, run func(context.Context) error) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		until := time.Now().Add(leaseTime)
		tick := time.NewTicker(leaseRenewal)
		defer tick.Stop()
		for {
			select {
			case <-running.Done():
				return
			case <-tick.C:
			}
			start := time.Now()
			err := l.leases.AcquireLease(running, l.name, l.holder, leaseTime)
			var held *store.HeldError
			switch {
			case err == nil:
				until = start.Add(leaseTime)
			case errors.As(err, &held), time.Now().Add(leaseRenewal).After(until):
				stop(fmt.Errorf("the %s's lease was lost: %w", l.name, err))
				return
			}
		}
	}()
	err := run(running)
	if lost := context.Cause(running); lost != nil && ctx.Err() == nil {
		err = errors.Join(lost, err)
	}
	stop(nil)
	<-renewed
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return errors.Join(err, l.leases.ReleaseLease(release, l.name, l.holder))
}
