// Package cli is the command line: one file a noun, every text reviewed.
//
// Results go to standard output and nothing else does; notes, progress and
// errors go to standard error. An error says where, why and how to mend it:
// lower case, no full stop, a hint on a line of its own. The exit status is 0
// for ok, 1 for failed and 2 for a mistake in the command's own words; a command that
// tells more by it says so in its help.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Streams are the three standard streams.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// UsageError is a mistake in the command's own words; the exit status is 2.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake itself.
func (e *UsageError) Unwrap() error { return e.Err }

func usagef(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}

// statusError is an error of a command whose exit status tells more than that it failed.
type statusError struct {
	err    error
	status int
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// hinted is an error with a line that says how to mend it.
type hinted struct {
	err  error
	hint string
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }

// withHint adds a line on how to mend err.
func withHint(err error, hint string) error { return &hinted{err: err, hint: hint} }

// Mender is an error that knows how it can be mended.
type Mender interface{ Mend() string }

func hintOf(err error) string {
	if h, ok := errors.AsType[*hinted](err); ok {
		return h.hint
	}
	var m Mender
	if errors.As(err, &m) {
		return m.Mend()
	}
	return ""
}

// Run executes args and returns the exit status.
func Run(ctx context.Context, rt Runtime, s Streams, args []string) int {
	if len(args) == 0 && os.Getenv(runtimeAPI) != "" {
		args = []string{"lambda"}
	}
	root := newRoot(rt, &s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(s.Err, "gatehouse: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(s.Err, "  hint: %s\n", hint)
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	if _, ok := errors.AsType[*UsageError](err); ok {
		return 2
	}
	return 1
}

func newRoot(rt Runtime, s *Streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "gatehouse",
		Short:         "See every call to your API Gateway APIs, prove who may make it, lend access for a while",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withHint(usagef("unknown command %q", args[0]), "see 'gatehouse --help'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return withHint(&UsageError{Err: err}, "see 'gatehouse "+cmd.Name()+" --help'")
	})
	root.AddCommand(
		newDemo(rt, s),
		newServe(rt, s),
		newCollect(rt, s),
		newParse(s),
		newEstate(rt, s),
		newLogging(rt, s),
		newInventory(rt, s),
		newDeadLetter(rt, s),
		newPolicy(s),
		newInvoke(rt, s),
		newGateway(rt, s),
		newDeploy(s),
		newAudit(rt, s),
		newDoctor(rt, s),
		newFinding(rt, s),
		newLambda(rt, s),
		newAccess(rt, s),
		newFlow(s),
		newIntegration(s),
		newLogin(s),
		newLogout(s),
		newVersion(rt, s),
	)
	return root
}
