package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// RunOptions are what Run needs beside a configuration.
type RunOptions struct {
	// Options of the gateway; its Logs are those of the configuration.
	Options
	// CloudWatch gives the client of an account and region, where the configuration
	// logs to CloudWatch.
	CloudWatch func(account, region string) (LogsAPI, error)
	// Registry takes metrics; nil: none.
	Registry prometheus.Registerer
	// Ready is told the address once calls are taken; it may be nil.
	Ready func(net.Addr)
}

// Run serves a configuration until ctx is done. It then lets calls under way end,
// and after that writes the log events that are left.
func Run(ctx context.Context, c *Config, o RunOptions) (err error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var queue *LogQueue
	switch {
	case c.Logs.File != "":
		f, failure := os.OpenFile(c.Logs.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if failure != nil {
			return fmt.Errorf("opening the log: %w", failure)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		queue = NewLogQueue(NewLogFile(f), c.Limits.Buffer, log, o.Registry)
	case c.Logs.CloudWatch != nil:
		if o.CloudWatch == nil {
			return errors.New("the configuration logs to CloudWatch, and there is no client for it")
		}
		queue = NewLogQueue(NewCloudWatch(o.CloudWatch, log), c.Limits.Buffer, log, o.Registry)
	}
	o.Logs = nil
	if queue != nil {
		o.Logs = queue.Writer
	}
	g, err := New(c, o.Options)
	if err != nil {
		return err
	}
	var usage *usageState
	if c.State != "" {
		if usage, err = g.loadUsage(c.State); err != nil {
			return err
		}
	}
	s, err := Listen(ctx, c, g)
	if err != nil {
		return err
	}
	written, saved := make(chan error, 1), make(chan error, 1)
	stopLog, stopUsage := func() {}, func() {}
	if usage != nil {
		// The counts outlive the calls, as the log does.
		counts, stop := context.WithCancel(context.WithoutCancel(ctx))
		stopUsage = stop
		go func() { saved <- usage.Run(counts) }()
	}
	if queue != nil {
		// The log outlives the calls: its last events are those of their ends.
		logs, stop := context.WithCancel(context.WithoutCancel(ctx))
		stopLog = stop
		go func() { written <- queue.Run(logs) }()
	}
	if o.Ready != nil {
		o.Ready(s.Addr())
	}
	err = s.Run(ctx)
	stopLog()
	stopUsage()
	if usage != nil {
		err = errors.Join(err, <-saved)
	}
	if queue != nil {
		err = errors.Join(err, <-written)
	}
	return err
}
