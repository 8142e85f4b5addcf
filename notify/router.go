package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The channels. A webhook's is WebhookPrefix and its name.
const (
	Slack         = "slack"
	Email         = "email"
	WebhookPrefix = "webhook:"
)

const (
	// DefaultTimeout bounds one attempt.
	DefaultTimeout = 20 * time.Second
	// atOnce deliveries of one channel go at the same time. Others wait for turnWait
	// and are then given back to the outbox, so that a channel that hangs does not
	// hold all its workers.
	atOnce   = 4
	turnWait = time.Second
)

// Channel is one way to send, and who is told over it.
type Channel struct {
	// Name is Slack, Email or WebhookPrefix with a name.
	Name   string
	Sender Sender
	// Kinds are what the people in Notice.To are told: kinds, or prefixes such as
	// request.*; empty: all.
	Kinds []string
	// Always are addresses that are told of AlwaysKinds (empty: all) without being
	// named: a Slack channel, a mailing list, the webhook itself.
	Always      []string
	AlwaysKinds []string
	// Updates says that Sender brings earlier messages up to date.
	Updates bool
}

// Options are what a Router is made of.
type Options struct {
	Channels []Channel
	// Timeout bounds one attempt; 0: DefaultTimeout.
	Timeout time.Duration
	Logger  *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: off
	Now     func() time.Time      // nil: time.Now
}

// Router says who is told of a Notice over which channel, and sends. It is safe
// for concurrent use.
type Router struct {
	lanes   map[string]*lane
	order   []string
	timeout time.Duration
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	flights flights
}

// lane is a channel with what keeps it from holding up others.
type lane struct {
	Channel
	breaker breaker
	turn    chan struct{}
	// reported says that an outage was logged. A short wait that the other side asked
	// for is none.
	reported atomic.Bool
}

// New makes a Router. Without channels it plans nothing.
func New(o Options) (*Router, error) {
	r := &Router{lanes: map[string]*lane{}, timeout: o.Timeout, log: o.Logger, now: o.Now}
	if r.timeout <= 0 {
		r.timeout = DefaultTimeout
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	for _, c := range o.Channels {
		if name := strings.TrimPrefix(c.Name, WebhookPrefix); c.Name != Slack && c.Name != Email && (name == c.Name || name == "") {
			return nil, fmt.Errorf("notices: there is no channel %q: use slack, email or webhook:NAME", c.Name)
		}
		if c.Sender == nil {
			return nil, fmt.Errorf("notices: channel %s has no sender", c.Name)
		}
		if r.lanes[c.Name] != nil {
			return nil, fmt.Errorf("notices: channel %s is there twice", c.Name)
		}
		for _, k := range slices.Concat(c.Kinds, c.AlwaysKinds) {
			if err := CheckKind(k); err != nil {
				return nil, fmt.Errorf("notices: channel %s: %w", c.Name, err)
			}
		}
		r.lanes[c.Name] = &lane{Channel: c, breaker: breaker{now: r.now, turned: r.shows(c.Name)}, turn: make(chan struct{}, atOnce)}
		r.order = append(r.order, c.Name)
	}
	var err error
	if r.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("notices: registering metrics: %w", err)
	}
	for _, name := range r.order {
		r.metrics.channel(name)
	}
	return r, nil
}

// CheckKind accepts a kind (request.created), a prefix (request.*) or * for all.
func CheckKind(k string) error {
	rest := strings.TrimSuffix(strings.TrimSuffix(k, "*"), ".")
	if k == "*" {
		return nil
	}
	if strings.HasSuffix(k, "*") && !strings.HasSuffix(k, ".*") || rest == "" || strings.ContainsFunc(rest, func(c rune) bool {
		return (c < 'a' || c > 'z') && c != '.' && c != '_'
	}) {
		return fmt.Errorf("%q is no kind of notice such as request.created, request.* or *", k)
	}
	return nil
}

// fits reports whether a kind is one of kinds; none are all.
func fits(kinds []string, kind string) bool {
	if len(kinds) == 0 {
		return true
	}
	return slices.ContainsFunc(kinds, func(k string) bool {
		if prefix, ok := strings.CutSuffix(k, "*"); ok {
			return strings.HasPrefix(kind, prefix)
		}
		return k == kind
	})
}

// Plan says which deliveries a Notice needs, in the order of the channels and
// each address once. It asks nobody and has no side effect, so it can be called
// inside the transaction that makes the change.
func (r *Router) Plan(n Notice) []Delivery {
	var out []Delivery
	for _, name := range r.order {
		l := r.lanes[name]
		seen := map[string]bool{}
		add := func(address string) {
			if key := strings.ToLower(address); !seen[key] {
				seen[key] = true
				out = append(out, Delivery{Channel: name, Address: address, Notice: n})
			}
		}
		for _, to := range n.To {
			person, place := l.addresses(to)
			if person != "" && (n.Loud || fits(l.Kinds, n.Kind)) {
				add(person)
			}
			if place != "" { // named on purpose, whatever the settings say
				add(place)
			}
		}
		for _, address := range l.Always {
			if n.Loud || fits(l.AlwaysKinds, n.Kind) {
				add(address)
			}
		}
		if l.Updates && n.Thread != "" && n.IsClosing() {
			out = append(out, Delivery{Channel: name, Notice: n})
		}
	}
	return out
}

// addresses are where a channel finds a recipient: as a person, and as a place.
func (l *lane) addresses(to Recipient) (person, place string) {
	switch l.Name {
	case Slack:
		if person = to.SlackID; person == "" {
			person = to.Email
		}
		return person, to.Channel
	case Email:
		return to.Email, ""
	default:
		if to.Webhook != "" && l.Name == WebhookPrefix+to.Webhook {
			return "", to.Webhook
		}
		return "", ""
	}
}

// Deliver sends one delivery and returns where it is found. Its errors are *Error.
// The same delivery given again, by another worker or after its receipt could not
// be kept, is not sent again for as long as this Router remembers it.
func (r *Router) Deliver(ctx context.Context, d Delivery) (Receipt, error) {
	l := r.lanes[d.Channel]
	if l == nil {
		return Receipt{}, &Error{
			Channel: d.Channel, Class: Permanent, Err: errors.New("the channel is not set up any more"),
			Hint: "set it up again (docs/notices.md), or leave the notice",
		}
	}
	receipt, err := r.flights.do(ctx, d.Key(), func() (Receipt, error) { return r.deliver(ctx, l, d) })
	if err == nil {
		return receipt, nil
	}
	if _, ok := errors.AsType[*Error](err); !ok {
		err = &Error{Channel: d.Channel, Class: Temporary, Err: err}
	}
	return Receipt{}, err
}

func (r *Router) deliver(ctx context.Context, l *lane, d Delivery) (Receipt, error) {
	patience := time.NewTimer(turnWait)
	defer patience.Stop()
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-patience.C:
		return Receipt{}, &Error{Channel: l.Name, Class: Temporary, After: turnWait, Err: errors.New("it is busy with other notices")}
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("waiting for other notices: %w", ctx.Err())
	}
	probe, wait, ok := l.breaker.enter()
	if !ok {
		return Receipt{}, &Error{
			Channel: l.Name, Class: Temporary, After: wait,
			Err: fmt.Errorf("it failed before and is left alone for %s", wait.Round(time.Millisecond)),
		}
	}
	attempt, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	receipt, err := l.Sender.Send(attempt, d)
	var class Class
	if err != nil {
		class = ClassOf(err)
	}
	l.breaker.leave(probe, class, RetryAfter(err), err != nil && ctx.Err() != nil)
	r.note(ctx, l, err)
	if err != nil {
		r.metrics.failed.WithLabelValues(l.Name, string(class)).Inc()
		return Receipt{}, err
	}
	r.metrics.sent.WithLabelValues(l.Name).Inc()
	if !d.Notice.Time.IsZero() {
		r.metrics.lag.WithLabelValues(l.Name).Observe(max(0, r.now().Sub(d.Notice.Time).Seconds()))
	}
	receipt.Channel, receipt.Address, receipt.Kind = d.Channel, d.Address, d.Notice.Kind
	if receipt.Time.IsZero() {
		receipt.Time = r.now()
	}
	return receipt, nil
}

// shows keeps the gauge of a channel's breaker.
func (r *Router) shows(channel string) func(open bool) {
	return func(open bool) {
		value := 0.0
		if open {
			value = 1
		}
		r.metrics.open.WithLabelValues(channel).Set(value)
	}
}

// note logs when a channel does not work and when it does again: once each.
func (r *Router) note(ctx context.Context, l *lane, err error) {
	switch class := ClassOf(err); {
	case err == nil:
		if l.reported.Swap(false) {
			r.log.InfoContext(ctx, "notices get through again", slog.String("channel", l.Name))
		}
	case class == Permanent || RetryAfter(err) > 0 || ctx.Err() != nil:
		r.log.DebugContext(ctx, "a notice is not delivered", slog.String("channel", l.Name), slog.Any("error", err))
	case !l.reported.Swap(true):
		r.log.WarnContext(ctx, "notices do not get through: they wait", slog.String("channel", l.Name), slog.Any("error", err))
	}
}

// remembered is how many receipts a Router remembers.
const remembered = 4096

// flights lets one of those who deliver the same thing do it, and gives the
// others its receipt; so it does for a while after.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
	done  []string // keys of the flights that ended well, oldest first
}

type flight struct {
	ended   chan struct{}
	receipt Receipt
	err     error
}

func (f *flights) do(ctx context.Context, key string, send func() (Receipt, error)) (Receipt, error) {
	f.mu.Lock()
	if other := f.byKey[key]; other != nil {
		f.mu.Unlock()
		select {
		case <-other.ended:
			return other.receipt, other.err
		case <-ctx.Done():
			return Receipt{}, fmt.Errorf("waiting for the same notice: %w", ctx.Err())
		}
	}
	mine := &flight{ended: make(chan struct{}), err: errors.New("sending it was broken off")}
	if f.byKey == nil {
		f.byKey = map[string]*flight{}
	}
	f.byKey[key] = mine
	f.mu.Unlock()

	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		close(mine.ended)
		if mine.err != nil {
			delete(f.byKey, key)
			return
		}
		if f.done = append(f.done, key); len(f.done) > remembered {
			delete(f.byKey, f.done[0])
			f.done = f.done[1:]
		}
	}()
	mine.receipt, mine.err = send()
	return mine.receipt, mine.err
}
