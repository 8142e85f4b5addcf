package invoke

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-project/gatehouse/iam"
)

const (
	// policyPrefix begins the names of the inline policies that deny older sessions.
	policyPrefix = "GatehouseRevokedSessions-"

	// maxSession is the longest session that is vended: AWS lets one that a session
	// began, as those of Gatehouse are, last no longer.
	maxSession = time.Hour
	// keepDenial is how long after its time a denial is kept: until the last session
	// that it denies has ended by itself, whatever the clocks say.
	keepDenial = maxSession + 5*time.Minute

	// maxInline is how many characters the inline policies of a role may have together,
	// white space not counted, and reserve what is left to others of them.
	maxInline = 10_240
	reserve   = 512

	keyUserID = "aws:userid"
	keyIssued = "aws:TokenIssueTime"
)

// denial says which sessions of a role are denied: those that began before a time.
type denial struct {
	sessions map[string]time.Time // by session name
	all      time.Time            // of everybody; zero: not
}

func newDenial() denial { return denial{sessions: map[string]time.Time{}} }

// before is the time before which sessions of that name are denied.
func (d *denial) before(session string) time.Time {
	if t := d.sessions[session]; t.After(d.all) {
		return t
	}
	return d.all
}

// add denies the sessions of that name that began before a time, which is rounded up to
// the seconds that policies have.
func (d *denial) add(session string, before time.Time) {
	if before = ceil(before); before.After(d.sessions[session]) {
		d.sessions[session] = before
	}
}

func (d *denial) merge(o *denial) {
	for session, before := range o.sessions {
		d.add(session, before)
	}
	if o.all.After(d.all) {
		d.all = o.all
	}
}

func (d *denial) clone() denial { return denial{sessions: maps.Clone(d.sessions), all: d.all} }

func (d *denial) isEmpty() bool { return len(d.sessions) == 0 && d.all.IsZero() }

// prune drops what denies nothing any more.
func (d *denial) prune(now time.Time) {
	maps.DeleteFunc(d.sessions, func(_ string, before time.Time) bool {
		return now.Sub(before) > keepDenial || !before.After(d.all)
	})
	if now.Sub(d.all) > keepDenial {
		d.all = time.Time{}
	}
}

// covers reports whether d denies at least what o does.
func (d *denial) covers(o *denial) bool {
	if d.all.Before(o.all) {
		return false
	}
	for session, before := range o.sessions {
		if d.before(session).Before(before) {
			return false
		}
	}
	return true
}

// write is the denial as a policy of at most so many characters. Where it does not fit,
// people whose times are close together get the later one, which ends sessions that are
// newer than needed; and where that is not enough, all older sessions of the role are
// denied: wide is true then.
func (d *denial) write(most int) (text string, wrote denial, wide bool) {
	d2 := d.clone()
	for {
		if text = d2.policy(); len(text) <= most {
			return text, d2, false
		}
		times := d2.times()
		if len(times) < 2 {
			break
		}
		n := 0
		for i := 1; i < len(times)-1; i++ {
			if times[i+1].Sub(times[i]) < times[n+1].Sub(times[n]) {
				n = i
			}
		}
		for session, before := range d2.sessions {
			if before.Equal(times[n]) {
				d2.sessions[session] = times[n+1]
			}
		}
	}
	latest := d2.all
	for _, t := range d2.sessions {
		if t.After(latest) {
			latest = t
		}
	}
	d2 = newDenial()
	d2.all = latest
	return d2.policy(), d2, true
}

// times are the times of sessions, in order.
func (d *denial) times() []time.Time {
	all := slices.Collect(maps.Values(d.sessions))
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

func (d *denial) policy() string {
	deny := func(before time.Time) statement {
		return statement{
			Effect: string(iam.Deny), Action: iam.Strings{"*"}, Resource: iam.Strings{"*"},
			Condition: conditions{"DateLessThan": {keyIssued: {stamp(before)}}},
		}
	}
	statements := []statement{}
	for _, before := range d.times() {
		s := deny(before)
		var who iam.Strings
		for session, t := range d.sessions {
			if t.Equal(before) {
				// The role's unique ID stands before the colon, which no session's name holds.
				who = append(who, "*:"+session)
			}
		}
		slices.Sort(who)
		s.Condition["StringLike"] = map[string]iam.Strings{keyUserID: who}
		statements = append(statements, s)
	}
	if !d.all.IsZero() {
		statements = append(statements, deny(d.all))
	}
	return document(statements)
}

// readDenial reads a policy as policy writes it. Anything else in it is an error: it was
// changed by somebody.
func readDenial(text string) (denial, error) {
	d := newDenial()
	doc, err := iam.Parse(iam.KindIdentity, []byte(text))
	if err != nil {
		return d, err
	}
	for n := range doc.Statements {
		s := &doc.Statements[n]
		var before time.Time
		var who []string
		named := false
		ok := s.Effect == iam.Deny && len(s.Action) == 1 && s.Action[0] == "*" && len(s.Resource) == 1 && s.Resource[0] == "*"
		for _, c := range s.Condition {
			switch {
			case c.Operator == "DateLessThan" && c.Key == keyIssued && len(c.Values) == 1:
				if before, err = time.Parse(time.RFC3339, c.Values[0]); err != nil {
					ok = false
				}
			case c.Operator == "StringLike" && c.Key == keyUserID:
				who, named = c.Values, true
			default:
				ok = false
			}
		}
		if !ok || before.IsZero() || named && len(who) == 0 {
			return d, fmt.Errorf("statement %d was not written by gatehouse", n+1)
		}
		if !named {
			d.merge(&denial{all: before})
		}
		for _, id := range who {
			session, found := strings.CutPrefix(id, "*:")
			if !found || !isSessionName(session) {
				return d, fmt.Errorf("statement %d was not written by gatehouse", n+1)
			}
			d.add(session, before)
		}
	}
	return d, nil
}

// inlineSize is how many characters of a role's quota a policy takes.
func inlineSize(text string) int {
	n := 0
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
