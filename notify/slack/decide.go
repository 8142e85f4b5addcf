package slack

import (
	"context"
	"time"
)

// Decision is what a person chose with a button.
type Decision struct {
	// RequestID is the value of the notice's action: the id of the request, or of
	// the grant for revoke and extend.
	RequestID string
	// Action is notify.Approve, notify.Deny, notify.Revoke or notify.Extend.
	Action string
	// Email is the confirmed address that Slack's API gives for SlackUserID.
	Email       string
	SlackUserID string
	// Reason is what the person wrote, up to 1000 characters; empty if the button
	// asks for none.
	Reason string
}

// Status says how a Decision ended.
type Status string

// The ways in which a Decision ends.
const (
	Done       Status = "done"
	Asked      Status = "asked"       // it is a request now, for others to decide
	Already    Status = "already"     // somebody decided before
	Expired    Status = "expired"     // the time to decide is over
	NotAllowed Status = "not_allowed" // not by this person
	NotFound   Status = "not_found"
)

// Outcome is told to the person who decided, and to nobody else.
type Outcome struct {
	Status Status
	// By is who decided, with Already.
	By string
	// Text says more, in plain text: why it is not allowed, what is still missing.
	Text string
}

// Decider decides requests and ends or extends grants. It is asked again whether
// the person may: a button says nothing of that. An error means that nothing is
// known to have changed.
type Decider interface {
	Decide(ctx context.Context, d Decision) (Outcome, error)
}

// Entry is a request or a grant of a person.
type Entry struct {
	Title string
	State string
	// Until is when it ends; zero: not known yet.
	Until time.Time
	Link  string
}

// Catalog lists what a person has asked for and has, newest first.
type Catalog interface {
	Mine(ctx context.Context, email string) ([]Entry, error)
}
