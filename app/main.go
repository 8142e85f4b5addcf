// Package app puts the product together. It is the only package that imports
// everything; nothing but main imports it.
package app

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatehouse-project/gatehouse/cli"
)

// version is set by the linker.
var version = "dev"

// Main runs the command line and returns the exit status. The first SIGINT or
// SIGTERM stops gracefully: what was read is delivered. A second one ends the
// process at once; nothing is lost by that either, the next start reads again.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(130)
	}()
	return cli.Run(asOperator(ctx), &runtime{}, cli.Streams{In: in, Out: out, Err: errw}, args)
}
