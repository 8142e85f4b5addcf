package notify

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Class says what a failure asks for. The classes are also labels of metrics.
type Class string

// The classes of failures.
const (
	// Temporary failures pass by themselves: the outbox tries again.
	Temporary Class = "temporary"
	// Misconfigured means that a person must mend something on either side. The
	// outbox tries again, so that nothing is lost meanwhile.
	Misconfigured Class = "misconfigured"
	// Permanent failures are of this one delivery: its address is gone, or its
	// content is refused. No retry can help.
	Permanent Class = "permanent"
)

// Error is a failed delivery. Its text has no secret in it.
type Error struct {
	// Channel is slack, email or webhook:NAME.
	Channel string
	Class   Class
	// After is how long the other side asks to wait; 0 if it does not say.
	After time.Duration
	Err   error
	// Hint says how to mend it; empty if waiting is all.
	Hint string
}

func (e *Error) Error() string { return "notifying by " + e.Channel + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Mend says what a person can do; empty if waiting is all.
func (e *Error) Mend() string { return e.Hint }

// RetryAfter is how long the other side asks to wait; 0 if it does not say.
func (e *Error) RetryAfter() time.Duration { return e.After }

// IsPermanent reports whether no retry can help.
func IsPermanent(err error) bool { return ClassOf(err) == Permanent }

// ClassOf is the class of a failure; an error that is no *Error is Temporary.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Temporary
}

// RetryAfter is how long the other side asks to wait; 0 if it does not say.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	return 0
}

// maxAfter bounds what another side may ask for.
const maxAfter = time.Hour

// ParseRetryAfter reads a Retry-After header: seconds or a date, at most an hour;
// 0 if there is none or it cannot be read.
func ParseRetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		if seconds >= int64(maxAfter/time.Second) {
			return maxAfter
		}
		return max(0, time.Duration(seconds)*time.Second)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxAfter)
}
