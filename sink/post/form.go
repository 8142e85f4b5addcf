package post

import (
	"net/http"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Form is how batches are written for one kind of endpoint, and how its answers
// are read. It keeps no state and does not change what it is given.
type Form interface {
	// ContentType is that of the body.
	ContentType() string
	// Skip says in a word why t has no place in this form; empty if it has one.
	Skip(t *transaction.Transaction) string
	// AppendItem appends one transaction.
	AppendItem(dst []byte, t *transaction.Transaction) []byte
	// AppendBody appends the body of a batch; items are what AppendItem made of
	// its transactions.
	AppendBody(dst []byte, batch []*transaction.Transaction, items [][]byte) []byte
	// Class says what a status asks for.
	Class(status int) Class
	// Answer reads an answer's body for what it says of single calls.
	Answer(status int, body []byte, batch []*transaction.Transaction) Verdict
	// Resend reports whether calls may be sent again of which the endpoint took
	// some and did not say which. If not, all of them become dead letters.
	Resend() bool
}

// Verdict is what an answer says of single calls.
type Verdict struct {
	// Rejected are the calls that are named.
	Rejected []Rejection
	// Unnamed is set if more were rejected than are named.
	Unnamed bool
	// Message is what the answer says of the whole.
	Message string
}

// Rejection is a call that the endpoint did not take.
type Rejection struct {
	Index   int // in the batch
	Retry   bool
	Message string
}

// Class is what an answer, or a failure to get one, asks for. It labels
// metrics.
type Class string

const (
	// Accepted means that the batch was taken, but for what the Verdict names.
	Accepted Class = "accepted"
	// Later means that the same request may be taken later.
	Later Class = "later"
	// Unauthorized means that the token is not taken. It is renewed once, then it is as
	// Misconfigured.
	Unauthorized Class = "unauthorized"
	// Misconfigured means that a person must mend something first. It is tried again all
	// the same, since the mending may be done on the other side.
	Misconfigured Class = "misconfigured"
	// TooLarge means that less at a time may be taken.
	TooLarge Class = "too_large"
	// Content means that something in the batch is not taken, and nothing of it was.
	Content Class = "content"
	// Never means that the batch is not taken and must not be sent again, nor parts of it.
	Never Class = "never"
	// Stopped means that nobody waits any more.
	Stopped Class = "stopped"
)

var classes = [...]Class{Accepted, Later, Unauthorized, Misconfigured, TooLarge, Content, Never, Stopped}

// StatusClass says what a status means by HTTP itself. Giving a call up needs a
// person to bring it back and waiting does not, so what is not known to be about
// the content waits.
func StatusClass(status int) Class {
	switch status {
	case http.StatusUnauthorized:
		return Unauthorized
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return Later
	case http.StatusForbidden, http.StatusPaymentRequired, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusNotAcceptable, http.StatusProxyAuthRequired, http.StatusGone, http.StatusLengthRequired,
		http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusMisdirectedRequest,
		http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge, http.StatusUnavailableForLegalReasons,
		http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return Misconfigured
	}
	switch {
	case status >= 200 && status < 300:
		return Accepted
	case status >= 400 && status < 500:
		return Content
	case status >= 500:
		return Later
	default:
		return Misconfigured // a redirect
	}
}

// mendOf says what a person can do about a status.
func mendOf(status int) string {
	switch {
	case status >= 300 && status < 400:
		return "the endpoint redirects: give the sink the address that it redirects to"
	case status == http.StatusUnauthorized:
		return "check the client id and secret or the header that the endpoint asks for, and that the token is meant for it"
	case status == http.StatusForbidden:
		return "let this client write to the endpoint"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone:
		return "check the path in the sink's URL: batches are sent to it by POST"
	case status == http.StatusUnsupportedMediaType, status == http.StatusNotAcceptable:
		return "the endpoint does not take this form: check format=, or try compression=none"
	case status == http.StatusProxyAuthRequired:
		return "set the proxy's credentials in HTTPS_PROXY"
	case status == http.StatusTooManyRequests:
		return "the endpoint asks for less; it is tried again later"
	case status >= 500:
		return "look into the endpoint's own log; it is tried again later"
	default:
		return ""
	}
}
