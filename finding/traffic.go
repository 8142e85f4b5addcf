package finding

import (
	"slices"
	"strings"
	"time"
)

// Traffic tells what was called, and of which log groups every event was read. The
// inventory and the collector know.
type Traffic interface {
	// Read returns since when every event of a log group was read and delivered,
	// without a gap until now; zero where that is not so.
	Read(account, region, group string) time.Time
	// Calls returns when the routes of an API were called last. Whole is false where
	// calls were counted without their route, or not at all.
	Calls(account, region, api string) (calls []Call, whole bool)
}

// Call is when a route was called last. Method is empty where it does not matter, as
// for a WebSocket API.
type Call struct {
	Method, Route string
	Last          time.Time
}

// Observe adds to the APIs of the estate what is known of their traffic.
func (e *Estate) Observe(t Traffic) {
	for i := range e.Places {
		p := &e.Places[i]
		for j := range p.APIs {
			a := &p.APIs[j]
			a.Calls, a.CallsWhole = t.Calls(p.Account, p.Region, a.ID)
			for k := range a.Stages {
				s := &a.Stages[k]
				s.WatchedSince = time.Time{}
				for _, group := range s.completeLogs(a.Type) {
					read := t.Read(p.Account, p.Region, group)
					// A stage that was changed later may have logged less before, and AWS tells
					// when it was changed and not what.
					if read.IsZero() || s.Updated.IsZero() {
						continue
					}
					read = latest(read, s.Updated)
					if s.WatchedSince.IsZero() || read.Before(s.WatchedSince) {
						s.WatchedSince = read
					}
				}
			}
		}
	}
}

// completeLogs are the log groups to which the stage writes every call: of an access
// log, and of an execution log whose level is INFO for all methods. At ERROR a call
// that succeeds leaves no line.
func (s *Stage) completeLogs(of APIType) []string {
	var out []string
	if _, group, ok := strings.Cut(s.AccessLog, ":log-group:"); ok {
		out = append(out, strings.TrimSuffix(group, ":*"))
	}
	quiet := func(m Settings) bool { return m.LoggingLevel != "INFO" }
	if of != HTTP && s.LoggingLevel == "INFO" && s.ExecutionGroup != "" && !slices.ContainsFunc(s.Settings, quiet) {
		out = append(out, s.ExecutionGroup)
	}
	return out
}

const (
	// idleDays is how long nobody calls what is called unused: a month, so that what
	// runs once a month is not.
	idleDays  = 31
	idleAfter = idleDays * 24 * time.Hour
)

// unwatched says why the calls of an API are not all known of the last idleDays;
// empty: they are.
func (s *scene) unwatched() string {
	if !s.api.CallsWhole {
		return "some calls of the API were counted without their route, or its traffic is not known"
	}
	for i := range s.api.Stages {
		st := &s.api.Stages[i]
		switch {
		case st.WatchedSince.IsZero():
			return "the calls of the stage " + st.Name + " are not all logged and read, or it is not known since when"
		case s.now.Sub(st.WatchedSince) < idleAfter:
			return "the calls of the stage " + st.Name + " have been logged and read, unchanged, since " + st.WatchedSince.UTC().Format(time.DateOnly) + " alone"
		}
	}
	return ""
}

// lastCall is the last call of those that fit; zero: none was ever seen.
func (a *API) lastCall(fits func(*Call) bool) time.Time {
	var last time.Time
	for i := range a.Calls {
		if c := &a.Calls[i]; fits(c) {
			last = latest(last, c.Last)
		}
	}
	return last
}

// judgeIdle judges what was called last at a time.
func (s *scene) judgeIdle(last time.Time) Outcome {
	called := fact("last call", "none was seen")
	if !last.IsZero() {
		called.Value = last.UTC().Format(time.DateOnly)
	}
	if !last.IsZero() && s.now.Sub(last) < idleAfter {
		// The day of the last call would be a change of the finding's evidence each day.
		return passed(fact("last call", "within "+plural(idleDays, "day")))
	}
	if why := s.unwatched(); why != "" {
		return unseen(why)
	}
	return failed(called, fact("all calls are logged and read", "for at least "+plural(idleDays, "day")))
}
