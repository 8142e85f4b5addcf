package logging

import (
	"fmt"
	"math"
	"slices"

	"github.com/gatehouse-project/gatehouse/estate"
)

const (
	// callsAStep is how often AWS is called for a step: reading what is there, the
	// change, and reading it back until it shows.
	callsAStep = 4
	// callsASecond is API Gateway's quota for an account.
	callsASecond = 10
	// accountPause is the time between two settings of an account's CloudWatch role.
	accountPause = 20
)

// Pace is how long the quotas of AWS make a plan take.
type Pace struct {
	Seconds     float64  `json:"seconds"`
	Steps       int      `json:"steps"` // stages, groups and roles; a stage's settings are set at once
	Assumptions []string `json:"assumptions"`
}

func (p *Plan) pace(s *estate.Snapshot) Pace {
	run := &applying{command: p.Command}
	var out Pace
	waits := false
	for _, lanes := range run.phases(p) {
		accounts := map[string]float64{} // calls, by account
		longest := 0.0                   // seconds of the slowest region
		for _, l := range lanes {
			seconds := 0.0
			for _, st := range l.steps {
				out.Steps++
				accounts[l.account] += callsAStep
				seconds += callsAStep / float64(callsASecond)
				// A role that was just made is known everywhere only after some seconds, so
				// the first attempt to choose it is often refused.
				if c := st.changes[0]; c.Kind == KindAccount && len(c.needs) > 0 && p.Command == Enable {
					seconds += accountPause
					waits = true
				}
			}
			longest = max(longest, seconds)
		}
		for _, calls := range accounts {
			longest = max(longest, calls/callsASecond)
		}
		out.Seconds += longest
	}
	if out.Steps == 0 {
		return Pace{Assumptions: []string{}}
	}
	out.Assumptions = []string{fmt.Sprintf("a step takes about %d calls, and API Gateway answers %d a second in an account", callsAStep, callsASecond)}
	if waits {
		out.Assumptions = append(out.Assumptions, fmt.Sprintf("the CloudWatch role of an account and region is set at most once in %d seconds, and a new role is often known at the second attempt", accountPause))
	}
	if took := s.Finished.Sub(s.Started).Seconds(); took >= 1 {
		out.Seconds += 2 * took
		out.Assumptions = append(out.Assumptions, fmt.Sprintf("the estate is read again before and after, %.0f seconds each as the last time", math.Ceil(took)))
	}
	out.Seconds = math.Ceil(out.Seconds)
	out.Assumptions = slices.Clip(out.Assumptions)
	return out
}
