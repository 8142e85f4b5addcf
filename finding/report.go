package finding

import (
	"maps"
	"slices"
	"time"
)

// Found is what a rule says is wrong with a subject.
type Found struct {
	ID       string
	Rule     *Rule
	Subject  Subject
	Evidence []Evidence
}

// Tally is how often a rule gave which verdict.
type Tally struct {
	Rule          string `json:"rule"`
	Pass          int    `json:"pass"`
	Fail          int    `json:"fail"`
	NotApplicable int    `json:"not_applicable"`
	NotSeen       int    `json:"not_seen"`
}

// AccountTally is how often the rules gave which verdict in an account.
type AccountTally struct {
	Account       string `json:"account"`
	Name          string `json:"name,omitempty"`
	Pass          int    `json:"pass"`
	Fail          int    `json:"fail"`
	NotApplicable int    `json:"not_applicable"`
	NotSeen       int    `json:"not_seen"`
	// Failing counts the failures by the severity of their rules.
	Failing map[Severity]int `json:"failing,omitempty"`
}

func (t *AccountTally) add(rule *Rule, v Verdict) {
	switch v {
	case Pass:
		t.Pass++
	case NotApplicable:
		t.NotApplicable++
	case NotSeen:
		t.NotSeen++
	case Fail:
		t.Fail++
		if t.Failing == nil {
			t.Failing = map[Severity]int{}
		}
		t.Failing[rule.Severity]++
	}
}

// Report is what all rules say of an estate.
type Report struct {
	Time  time.Time
	Found []Found
	// Tallies are in the order of the catalogue.
	Tallies []Tally
	// Accounts are in the order of their ids.
	Accounts []AccountTally

	// blind are the ids of rules and subjects that were not seen; a subject stands for
	// all that it holds.
	blind  map[string]bool
	places map[[2]string]bool
}

// Evaluate judges an estate by all rules.
func Evaluate(e *Estate) *Report {
	r := &Report{Time: e.Time, blind: map[string]bool{}, places: map[[2]string]bool{}}
	at := make(map[*Rule]int, len(catalogue))
	for i, rule := range catalogue {
		at[rule] = i
		r.Tallies = append(r.Tallies, Tally{Rule: rule.ID})
	}
	for i := range e.Places {
		r.places[[2]string{e.Places[i].Account, e.Places[i].Region}] = true
	}
	for i := range e.Accounts {
		r.places[[2]string{e.Accounts[i].ID, ""}] = true
	}
	accounts := map[string]*AccountTally{}
	Judge(e, func(rule *Rule, s Subject, o Outcome) {
		t := &r.Tallies[at[rule]]
		a := accounts[s.Account]
		if a == nil {
			a = &AccountTally{Account: s.Account, Name: s.AccountName}
			accounts[s.Account] = a
		}
		a.add(rule, o.Verdict)
		switch o.Verdict {
		case Pass:
			t.Pass++
		case NotApplicable:
			t.NotApplicable++
		case Fail:
			t.Fail++
			r.Found = append(r.Found, Found{IDOf(rule.ID, s), rule, s, o.Evidence})
		case NotSeen:
			t.NotSeen++
			r.blind[IDOf(rule.ID, s)] = true
		}
	})
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		r.Accounts = append(r.Accounts, *accounts[id])
	}
	return r
}

// sees reports whether the absence of a finding from the report means that all is
// well. A place that the estate does not have at all was not looked at.
func (r *Report) sees(f *Finding) bool {
	s := f.Subject
	if !r.places[[2]string{s.Account, s.Region}] {
		return false
	}
	for _, holder := range []Subject{
		s,
		{Kind: OfAPI, Account: s.Account, Region: s.Region, API: s.API},
		{Kind: OfRegion, Account: s.Account, Region: s.Region},
		{Kind: OfAccount, Account: s.Account},
	} {
		if r.blind[IDOf(f.Rule, holder)] {
			return false
		}
	}
	return true
}
