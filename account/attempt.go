package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// defaultAttemptTimeout ends an attempt that hangs. A page of 10,000 events
// takes AWS a few seconds; a stalled connection would otherwise hold a reader
// for as long as the kernel keeps the socket.
const defaultAttemptTimeout = 60 * time.Second

// attempt is the step that each attempt of the SDK passes, since it stands
// directly after the SDK's retry loop: it waits for the rate limit, bounds the
// attempt in time, and tells the limiter what came of it.
type attempt struct {
	limiter *limiter
	creds   *session
	account string
	region  string
	timeout time.Duration
}

// ID names the step in the SDK's stack.
func (*attempt) ID() string { return "GatehouseAttempt" }

// install puts the step after the retry loop. A stack without one, as a client
// that was told never to retry may have, has its attempt at the front.
func (a *attempt) install(stack *middleware.Stack) error {
	if err := stack.Finalize.Insert(a, "Retry", middleware.After); err == nil {
		return nil
	}
	return stack.Finalize.Add(a, middleware.Before)
}

// HandleFinalize makes one attempt.
func (a *attempt) HandleFinalize(
	ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
	c := call{
		account:   a.account,
		region:    a.region,
		service:   awsmiddleware.GetServiceID(ctx),
		operation: awsmiddleware.GetOperationName(ctx),
	}
	if err := a.limiter.wait(ctx, c); err != nil {
		return out, metadata, fmt.Errorf("waiting for the rate limit of %s: %w", c.operation, err)
	}

	bounded, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	out, metadata, err = next.HandleFinalize(bounded, in)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		// The SDK takes any ended context for the caller's own wish and would not
		// try again.
		err = &attemptTimeoutError{operation: c.operation, after: a.timeout}
	}

	// Without credentials nothing was sent, and what STS said of the chain was
	// counted there.
	if _, ok := errors.AsType[*ChainError](err); ok {
		return out, metadata, err
	}
	class := Classify(err)
	a.limiter.metrics.request(c, class)
	switch class {
	case Throttled:
		a.limiter.throttled(c)
	case Cut:
		// The SDK does not repeat a call whose answer broke off in the middle. A
		// read can be repeated; a change may have been made already.
		if isRead(c.operation) {
			err = &repeatError{err: err}
		}
	case Expired:
		if isExpiredToken(err) && a.creds.rejected() {
			err = &repeatError{err: err}
		}
	default:
	}
	return out, metadata, err
}

// isRead reports whether an operation changes nothing that a repeat would
// change twice. New sessions of a role are as good as reads.
func isRead(operation string) bool {
	for _, prefix := range []string{"Get", "List", "Describe", "Filter", "AssumeRole"} {
		if strings.HasPrefix(operation, prefix) {
			return true
		}
	}
	return false
}

// attemptTimeoutError is an attempt that took too long. It hides the context's
// error on purpose: see HandleFinalize.
type attemptTimeoutError struct {
	operation string
	after     time.Duration
}

func (e *attemptTimeoutError) Error() string {
	return fmt.Sprintf("no answer to %s within %v", e.operation, e.after)
}

// RetryableError lets the SDK try again.
func (*attemptTimeoutError) RetryableError() bool { return true }

// Timeout reports true.
func (*attemptTimeoutError) Timeout() bool { return true }

// isExpiredToken reports whether AWS refused the credentials themselves, and not
// the time of the signature.
func isExpiredToken(err error) bool {
	switch errorCode(err) {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return true
	}
	return false
}

// repeatError is an error that the SDK would not retry and may: an answer to a
// read that broke off, or credentials that ended and can be renewed.
type repeatError struct{ err error }

func (e *repeatError) Error() string { return e.err.Error() }
func (e *repeatError) Unwrap() error { return e.err }

// RetryableError lets the SDK try again.
func (*repeatError) RetryableError() bool { return true }
