package finding

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is where a finding stands.
type State string

// The states. Gatehouse itself opens findings, sets them to fixed and regressed, and
// opens them again when an acceptance ends; all else is decided by people.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	// Accepted is until a date.
	Accepted State = "accepted"
	// FalsePositive stays, whatever the rule says later.
	FalsePositive State = "false_positive"
	Fixed         State = "fixed"
	// Regressed was fixed, and is there again.
	Regressed State = "regressed"
)

// States are all states.
func States() []State {
	return []State{Open, Acknowledged, Accepted, FalsePositive, Fixed, Regressed}
}

// Unsettled are the states that wait for somebody to mend something.
func Unsettled() []State { return []State{Open, Acknowledged, Regressed} }

// Engine is the name under which Gatehouse itself changes states.
const Engine = "gatehouse"

// Finding is what a rule found at a subject, and its life.
type Finding struct {
	ID       string     `json:"id"`
	Rule     string     `json:"rule"`
	Title    string     `json:"title"`
	Severity Severity   `json:"severity"`
	Area     Area       `json:"area"`
	Subject  Subject    `json:"subject"`
	Evidence []Evidence `json:"evidence"`
	State    State      `json:"state"`
	// Until is when an acceptance ends.
	Until time.Time `json:"until,omitzero"`
	// By and Reason are of the last change of state.
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	// Opened is when it was found first, and Changed when its state or its evidence
	// changed last.
	Opened  time.Time `json:"opened"`
	Changed time.Time `json:"changed"`
	// NotSeen is set where the last evaluation could not look, so that the rest is of
	// an earlier one.
	NotSeen bool `json:"not_seen,omitempty"`
	// Version grows with each change.
	Version int64 `json:"version"`
	// History are the changes of state, the oldest first; lists leave it out.
	History []Change `json:"history,omitempty"`
}

// Change is a change of state.
type Change struct {
	Time   time.Time `json:"time"`
	From   State     `json:"from,omitempty"` // empty: it was found
	To     State     `json:"to"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

func (f *Finding) move(to State, by, reason string, until, now time.Time) Change {
	c := Change{Time: now, From: f.State, To: to, By: by, Reason: reason, Until: until}
	f.State, f.By, f.Reason, f.Until, f.Changed = to, by, reason, until, now
	return c
}

// open makes a finding of what was found for the first time.
func open(found *Found, now time.Time) (Finding, Change) {
	f := Finding{
		ID: found.ID, Rule: found.Rule.ID, Title: found.Rule.Title, Severity: found.Rule.Severity, Area: found.Rule.Area,
		Subject: found.Subject, Evidence: found.Evidence, Opened: now,
	}
	return f, f.move(Open, Engine, "the rule found it", time.Time{}, now)
}

// observe takes in what an evaluation says of a finding that is there: found (with
// what the rule now says), not found, or not seen. It returns the changes of state,
// and whether anything changed.
func (f *Finding) observe(found *Found, seen bool, now time.Time) (changes []Change, changed bool) {
	before := *f
	if found == nil && seen {
		// Whoever called it a false positive meant the rule's saying so, too, when it
		// says so again: that verdict outlives the rule's.
		if f.State != Fixed && f.State != FalsePositive {
			changes = append(changes, f.move(Fixed, Engine, "the rule does not find it any more", time.Time{}, now))
		}
		f.NotSeen = false
		return changes, len(changes) > 0 || before.NotSeen
	}
	if f.State == Accepted && !now.Before(f.Until) {
		changes = append(changes, f.move(Open, Engine, "the acceptance ended", time.Time{}, now))
	}
	if found == nil {
		f.NotSeen = f.State != Fixed
		return changes, len(changes) > 0 || before.NotSeen != f.NotSeen
	}
	f.NotSeen = false
	if f.State == Fixed {
		changes = append(changes, f.move(Regressed, Engine, "it had been fixed and is found again", time.Time{}, now))
	}
	told := f.Title == found.Rule.Title && f.Severity == found.Rule.Severity && f.Area == found.Rule.Area &&
		f.Subject == found.Subject && slices.Equal(f.Evidence, found.Evidence)
	if !told {
		f.Title, f.Severity, f.Area = found.Rule.Title, found.Rule.Severity, found.Rule.Area
		f.Subject, f.Evidence, f.Changed = found.Subject, found.Evidence, now
	}
	return changes, len(changes) > 0 || !told || before.NotSeen
}

// Decision is what somebody decides about a finding.
type Decision struct {
	// State is open, acknowledged, accepted or false_positive.
	State  State
	By     string // who; needed
	Reason string // why; needed
	// Until is when an acceptance ends: in the future, and within a year.
	Until time.Time
	// Version is that of the finding that was looked at; 0: whichever it is.
	Version int64
}

const (
	// acceptAtMost is the longest acceptance: who accepts a risk looks at it again.
	acceptAtMost = 366 * 24 * time.Hour
	byAtMost     = 200
	reasonAtMost = 2000
)

// ErrDecision is wrapped by errors about decisions that cannot be taken.
var ErrDecision = errors.New("the state cannot be set so")

func (d *Decision) check(now time.Time) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrDecision}, args...)...)
	}
	switch {
	case d.State == Fixed || d.State == Regressed:
		return refuse("%s is what Gatehouse sets itself after it looked; mend the cause, and the next discovery does", d.State)
	case !slices.Contains([]State{Open, Acknowledged, Accepted, FalsePositive}, d.State):
		return refuse("%q is none of open, acknowledged, accepted, false_positive", clip(string(d.State)))
	case strings.TrimSpace(d.By) == "" || len(d.By) > byAtMost:
		return refuse("say who decides, in at most %d bytes", byAtMost)
	case strings.TrimSpace(d.Reason) == "" || len(d.Reason) > reasonAtMost:
		return refuse("say why, in at most %d bytes", reasonAtMost)
	case d.State == Accepted && d.Until.IsZero():
		return refuse("an acceptance needs a date at which it ends")
	case d.State == Accepted && !d.Until.After(now):
		return refuse("the acceptance would have ended at %s already", d.Until.UTC().Format(time.DateOnly))
	case d.State == Accepted && d.Until.Sub(now) > acceptAtMost:
		return refuse("an acceptance is for a year at most; accept it again then")
	case d.State != Accepted && !d.Until.IsZero():
		return refuse("only an acceptance has an end")
	case strings.EqualFold(strings.TrimSpace(d.By), Engine):
		return refuse("%s is the name of the engine; say who decides", Engine)
	}
	return nil
}

// decide takes a decision of a person. What is fixed needs none.
func (f *Finding) decide(d *Decision, now time.Time) (Change, error) {
	if err := d.check(now); err != nil {
		return Change{}, err
	}
	if f.State == Fixed {
		return Change{}, fmt.Errorf("%w: it is fixed; if it comes back, it is regressed and can be decided then", ErrDecision)
	}
	return f.move(d.State, strings.TrimSpace(d.By), strings.TrimSpace(d.Reason), d.Until, now), nil
}
