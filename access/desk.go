package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Errors that people meet. Each is wrapped with what, why and how to mend.
var (
	// ErrForbidden is wrapped where the person may not do or see that. What a person
	// may not see is ErrNotFound.
	ErrForbidden = errors.New("not allowed")
	// ErrNotGiven is wrapped where no flow gives what was asked for; the error is a
	// *NotGivenError.
	ErrNotGiven = errors.New("no access flow gives this")
	// ErrDecided is wrapped for a vote on a request that is not pending any more.
	ErrDecided = errors.New("the request is decided already")
	// ErrEnded is wrapped for a change of a grant that ends or has ended.
	ErrEnded = errors.New("the grant has ended")
	// ErrStopped is wrapped where a panic stands over what was asked for.
	ErrStopped = errors.New("lending is stopped here")
	// ErrInvalid is wrapped for input that cannot be right.
	ErrInvalid = errors.New("not valid")
	// ErrBusy is wrapped where something cannot be removed because it is in use.
	ErrBusy = errors.New("still in use")
)

// NotGivenError says why no flow gives what was asked for.
type NotGivenError struct {
	Decision flow.Decision
}

// Error gives the flows' reasons.
func (e *NotGivenError) Error() string {
	return strings.Join(append([]string{ErrNotGiven.Error()}, e.Decision.Reasons...), "; ")
}

// Unwrap returns ErrNotGiven.
func (e *NotGivenError) Unwrap() error { return ErrNotGiven }

// Mailer turns notices into letters and sends them. It is an adapter's: the Desk
// keeps the letters in its outbox and retries.
type Mailer interface {
	// Plan writes the letters of a notice, one for each address of each channel. It
	// asks nobody and has no side effect; its letters are committed together with
	// what they tell.
	Plan(n Notice) ([]Letter, error)
	// Deliver sends a letter. An error that wraps ErrUndeliverable is final; any
	// other is tried again, not before the error's RetryAfter() time.Duration if it
	// has one.
	Deliver(ctx context.Context, l ClaimedLetter) (receipt []byte, err error)
}

// ErrUndeliverable is wrapped by a Mailer's error that no retry can help.
var ErrUndeliverable = errors.New("it can never be delivered")

// Notice is something to tell people.
type Notice struct {
	// ID is the same for the same notice planned again.
	ID string `json:"id"`
	// Kind is request.created, request.approved, request.denied, request.cancelled,
	// request.lapsed, request.escalated, grant.ready, grant.ending, grant.extended,
	// grant.ended, grant.late, grant.failed, breakglass.used, panic.used,
	// panic.lifted, drift.found or integration.failed.
	Kind string `json:"kind"`
	// To are the IDs of the people to tell, beside who always hears.
	To      []string `json:"to,omitempty"`
	Request *Request `json:"request,omitempty"`
	Grant   *Grant   `json:"grant,omitempty"`
	// Integration is set where the notice is of one.
	Integration string    `json:"integration,omitempty"`
	Text        string    `json:"text,omitempty"` // what else there is to say
	By          string    `json:"by,omitempty"`
	At          time.Time `json:"at"`
	// Thread joins the notices of one request and its grant.
	Thread string `json:"thread,omitempty"`
	// Loud notices reach everybody who can help, whatever they chose to hear.
	Loud bool `json:"loud,omitempty"`
}

// Limits bound and pace a Desk. The zero value of each field is its default.
type Limits struct {
	// PerIntegration is how many objects of one integration are changed at once;
	// default 16.
	PerIntegration int
	// Lease is how long a process of which nobody knows whether it died keeps others
	// from its objects; default 5 s. A running one renews its leases, and those of one
	// that is known to be dead end at once.
	Lease time.Duration
	// Operation is how long one change of an object may take; default 30 s.
	Operation time.Duration
	// Poll is how soon what another process did is noticed; default 250 ms.
	Poll time.Duration
	// MaxBackoff bounds the wait between two tries; default 30 s.
	MaxBackoff time.Duration
	// Objective is how late a change may be before it is an alarm; default 1 min.
	Objective time.Duration
	// Provision is how long a grant may take to be put in place before it is given
	// up; default 1 h.
	Provision time.Duration
	// Reconcile is how often targets are compared with the ledger; default 10 min.
	Reconcile time.Duration
	// Discover is how often resources are discovered and integrations checked;
	// default 1 h.
	Discover time.Duration
	// EndingNotice is how long before the end the holder is told; default 10 min,
	// and never more than a quarter of the time lent.
	EndingNotice time.Duration
	// KeepLetters is how long sent letters are kept, for their receipts; default 30
	// days.
	KeepLetters time.Duration
}

// Options are what a Desk is made of.
type Options struct {
	Store        Store
	Provisioners []Provisioner
	// Facts knows people, groups and who is on call. It must not be nil.
	Facts flow.Facts
	// Mailer sends notices; nil: nobody is told.
	Mailer Mailer
	// Clock is the wall clock; default time.Now. It may jump: see Clock.
	Clock   func() time.Time
	Logger  *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: off
	Limits  Limits
	// Instance names this process among all that ever share the store; default host,
	// process and a random number.
	Instance string
}

// Desk lends access. All that faces do goes through its methods, which decide who
// may do and see what; a person that comes in as an argument has to be the one who
// is signed in. It is safe for concurrent use, and several may share a store.
type Desk struct {
	store  Store
	types  map[string]Provisioner
	facts  flow.Facts
	mailer Mailer
	log    *slog.Logger
	limits Limits
	// instance begins the names under which leases are taken; see attendance.
	instance string
	attended *attendance
	clock    *Clock
	metrics  *metrics
	watch    watchers

	wake    chan struct{}   // something was committed here
	results chan settlement // from the lanes to the settler

	alarmed map[string]time.Time // of one goroutine: integrations that are late, and when it was told; monotonic

	mu       sync.Mutex
	compiled *flow.Set // of version
	version  int
}

// NewDesk makes a Desk. It reads nothing until Run or the first question.
func NewDesk(o Options) (*Desk, error) {
	if o.Store == nil || o.Facts == nil {
		return nil, errors.New("lending needs a store and facts about people")
	}
	d := &Desk{
		store: o.Store, types: map[string]Provisioner{}, facts: o.Facts, mailer: o.Mailer,
		log: o.Logger, limits: o.Limits.withDefaults(), instance: o.Instance,
		wake: make(chan struct{}, 1), results: make(chan settlement), alarmed: map[string]time.Time{},
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.instance == "" {
		d.instance = instanceName()
	}
	d.attended = newAttendance(d)
	for _, p := range o.Provisioners {
		if d.types[p.Type()] != nil {
			return nil, fmt.Errorf("lending: two provisioners serve integrations of type %q", p.Type())
		}
		d.types[p.Type()] = p
	}
	var err error
	if d.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("lending: registering metrics: %w", err)
	}
	d.clock = NewClock(o.Clock, d.log, d.metrics.clockOff)
	return d, nil
}

func (l Limits) withDefaults() Limits {
	positive := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.PerIntegration <= 0 {
		l.PerIntegration = 16
	}
	positive(&l.Lease, 5*time.Second)
	positive(&l.Operation, 30*time.Second)
	positive(&l.Poll, 250*time.Millisecond)
	positive(&l.MaxBackoff, 30*time.Second)
	positive(&l.Objective, time.Minute)
	positive(&l.Provision, time.Hour)
	positive(&l.Reconcile, 10*time.Minute)
	positive(&l.Discover, time.Hour)
	positive(&l.EndingNotice, 10*time.Minute)
	positive(&l.KeepLetters, 30*24*time.Hour)
	return l
}
