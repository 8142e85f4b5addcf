package cli

import (
	"context"
	"io"
	"time"

	"github.com/gatehouse-project/gatehouse/config"
)

// Runtime is what the commands ask of the product. app provides it, so that the
// commands need not know how the product is put together.
type Runtime interface {
	estateRuntime
	inventoryRuntime
	deadLetterRuntime
	invokeRuntime
	gatewayRuntime
	lambdaRuntime
	doctorRuntime
	findingRuntime
	loggingRuntime
	auditRuntime
	accessRuntime

	// Version is the version of this build.
	Version() string
	// Collect reads logs into sinks until ctx is done, or once.
	Collect(ctx context.Context, c *config.Config, o CollectOptions) error
	// Serve runs the product with its dashboard until ctx is done.
	Serve(ctx context.Context, c *config.Config, o ServeOptions) error
	// Demo runs the product on a simulated estate.
	Demo(ctx context.Context, o DemoOptions) error
}

// CollectOptions are what collect's flags say beside settings.
type CollectOptions struct {
	Once  bool
	Since time.Time // zero: not given
	// From are files and folders to import instead of reading CloudWatch, and
	// FromGroup is what they do not tell of their log group: a name or an ARN.
	From      []string
	FromGroup string
	Out       io.Writer // of the stdout sink
	Err       io.Writer // of the log
}

// ServeOptions are what serve's flags say beside settings.
type ServeOptions struct {
	Roles []string
	// RolesGiven says that somebody chose the roles.
	RolesGiven bool
	Since      time.Time
	Out        io.Writer
	Err        io.Writer
}

// DemoOptions are the demo's flags.
type DemoOptions struct {
	Listen   string
	For      time.Duration // zero: until stopped
	Rate     float64       // calls a second over all APIs
	State    string        // folder to keep the state in; empty: a temporary one
	LogLevel string
	Out      io.Writer
	Err      io.Writer
}
