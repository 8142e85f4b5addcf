package awssim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// FaultKind names a way to misbehave.
type FaultKind string

// The ways to misbehave. Those marked (filter) act on FilterLogEvents alone.
const (
	// Throttle answers with the service's throttling error.
	Throttle FaultKind = "throttle"
	// Denied answers with the service's access denied error.
	Denied FaultKind = "denied"
	// Status500 answers with status 500.
	Status500 FaultKind = "status500"
	// CutConnection does what was asked, then cuts the connection in the middle
	// of the answer's body.
	CutConnection FaultKind = "cut_connection"
	// Slow waits Delay before the call is handled.
	Slow FaultKind = "slow"
	// ExpireCredentials ends the calling session for good.
	ExpireCredentials FaultKind = "expire_credentials"
	// EmptyPage answers an empty page with a token; the events come after (filter).
	EmptyPage FaultKind = "empty_page"
	// PageTwice answers a page whose token leads to the same page again (filter).
	PageTwice FaultKind = "page_twice"
	// Double answers one event twice, on the page or, with Across, again as the
	// first of the next page (filter).
	Double FaultKind = "double"
	// TokenInvalid answers that the nextToken is invalid; it acts on calls that
	// carry one (filter).
	TokenInvalid FaultKind = "token_invalid"
	// Late keeps events from readers until Delay after they were put. It acts
	// on every event put, through the wire or by Logs.Put.
	Late FaultKind = "late"
)

var faultKinds = []FaultKind{
	Throttle, Denied, Status500, CutConnection, Slow, ExpireCredentials,
	EmptyPage, PageTwice, Double, TokenInvalid, Late,
}

// Fault is one line of the fault script. Empty selectors match everything; of
// several faults that match a call, the first injected of each kind acts.
type Fault struct { //nolint:recvcheck // encoding/json reads through a pointer and writes values
	Kind      FaultKind `json:"kind"`
	Service   string    `json:"service,omitempty"`   // sts, logs, apigateway, organizations, account
	Operation string    `json:"operation,omitempty"` // FilterLogEvents
	Account   string    `json:"account,omitempty"`   // the caller's
	Region    string    `json:"region,omitempty"`
	Group     string    `json:"group,omitempty"` // log group name
	// After lets that many matching calls pass first.
	After int `json:"after,omitempty"`
	// Times is how often it acts; 0: until it is removed. EmptyPage, PageTwice
	// and Double with Times 0 act once on each position of a walk, so that a
	// reader always gets on.
	Times int `json:"times,omitempty"`
	// Every acts on each Every-th matching call; 0 and 1: on each.
	Every int `json:"every,omitempty"`
	// Probability that it acts where it could; 0: always.
	Probability float64 `json:"probability,omitempty"`
	// Delay of Slow and Late; in JSON "250ms".
	Delay time.Duration `json:"-"`
	// Across puts the second copy of a Double on the next page.
	Across bool `json:"across,omitempty"`
	// Chunked makes CutConnection send a chunked body instead of declaring its
	// length.
	Chunked bool `json:"chunked,omitempty"`
}

// FaultState is an injected Fault and what it has done.
type FaultState struct {
	ID      int   `json:"id"`
	Fault   Fault `json:"fault"`
	Matched int   `json:"matched"` // calls or events that it could have acted on
	Acted   int   `json:"acted"`
}

type faultJSON struct {
	plainFault
	Delay string `json:"delay,omitempty"`
}

type plainFault Fault

// MarshalJSON writes the delay as "250ms".
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{plainFault: plainFault(f)}
	if f.Delay != 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the delay as "250ms".
func (f *Fault) UnmarshalJSON(data []byte) error {
	var j faultJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*f = Fault(j.plainFault)
	if j.Delay != "" {
		d, err := time.ParseDuration(j.Delay)
		if err != nil {
			return fmt.Errorf("delay: %w", err)
		}
		f.Delay = d
	}
	return nil
}

// Inject adds a fault to the script and returns its id for RemoveFault. It
// panics on an unknown Kind, for that is a mistake in the test.
func (s *Sim) Inject(f Fault) int {
	if !slices.Contains(faultKinds, f.Kind) {
		panic(fmt.Sprintf("awssim: unknown fault kind %q", f.Kind))
	}
	return s.faults.add(f)
}

// Faults lists the script, in the order of injection.
func (s *Sim) Faults() []FaultState { return s.faults.list() }

// RemoveFault removes one fault and reports whether it was there.
func (s *Sim) RemoveFault(id int) bool { return s.faults.remove(id) }

// ClearFaults removes all faults.
func (s *Sim) ClearFaults() { s.faults.clear() }

// faults is the script. Its lock is a leaf.
type faults struct {
	mu     sync.Mutex
	next   int
	script []*FaultState
	random *rand.Rand
}

func (f *faults) init(seed uint64) {
	f.random = rand.New(rand.NewPCG(seed, 0xda942042e4dd58b5)) //nolint:gosec // repeatable on purpose
}

func (f *faults) add(fault Fault) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	f.script = append(f.script, &FaultState{ID: f.next, Fault: fault})
	return f.next
}

func (f *faults) list() []FaultState {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]FaultState, len(f.script))
	for i, s := range f.script {
		out[i] = *s
	}
	return out
}

func (f *faults) remove(id int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.script)
	f.script = slices.DeleteFunc(f.script, func(s *FaultState) bool { return s.ID == id })
	return len(f.script) < n
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = nil
}

// occasion is where a fault could act.
type occasion struct {
	service, operation, account, region, group string
}

// matches reports whether the selectors of the fault fit.
func (f *Fault) matches(o *occasion) bool {
	return (f.Service == "" || f.Service == o.service) &&
		(f.Operation == "" || f.Operation == o.operation) &&
		(f.Account == "" || f.Account == o.account) &&
		(f.Region == "" || f.Region == o.region) &&
		(f.Group == "" || f.Group == o.group)
}

// strike returns the fault of that kind that acts on the occasion, or nil.
// Again says that the position was struck before; a fault without Times then
// stays quiet.
func (f *faults) strike(kind FaultKind, o *occasion, again bool) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.script {
		if s.Fault.Kind != kind || !s.Fault.matches(o) || again && s.Fault.Times == 0 {
			continue
		}
		s.Matched++
		n := s.Matched - s.Fault.After
		if n <= 0 || s.Fault.Times > 0 && s.Acted >= s.Fault.Times {
			continue
		}
		if s.Fault.Every > 1 && n%s.Fault.Every != 0 {
			continue
		}
		if s.Fault.Probability > 0 && f.random.Float64() >= s.Fault.Probability {
			continue
		}
		s.Acted++
		fault := s.Fault
		return &fault
	}
	return nil
}

// any reports whether a fault of that kind is in the script at all.
func (f *faults) any(kind FaultKind) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.script, func(s *FaultState) bool { return s.Fault.Kind == kind })
}
