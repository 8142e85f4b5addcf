package finding

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// scene is what a rule looks at: a subject and all that is around it. What a subject
// has not is nil.
type scene struct {
	now    time.Time
	place  *Place
	api    *API
	stage  *Stage
	route  *Route
	domain *Domain
	group  *LogGroup
	plan   *UsagePlan
}

func (s *scene) subject(kind Kind) Subject {
	out := Subject{Kind: kind, Account: s.place.Account, AccountName: s.place.AccountName, Region: s.place.Region}
	if s.api != nil {
		out.API, out.APIName, out.APIType = s.api.ID, s.api.Name, s.api.Type
	}
	switch {
	case s.stage != nil:
		out.Stage = s.stage.Name
	case s.route != nil:
		out.Name, out.RouteID = s.route.Name(), s.route.ID
	case s.domain != nil:
		out.Name = s.domain.Name
	case s.group != nil:
		out.Name = s.group.Name
	case s.plan != nil:
		out.Name = s.plan.ID
	}
	return out
}

// missing returns the first of parts that was not read, or "".
func (s *scene) missing(parts []Part) Part {
	for _, p := range parts {
		if slices.Contains(s.place.Unseen, p) || s.api != nil && slices.Contains(s.api.Unseen, p) ||
			s.domain != nil && slices.Contains(s.domain.Unseen, p) || s.group != nil && slices.Contains(s.group.Unseen, p) {
			return p
		}
	}
	return ""
}

// judge gives a rule's outcome, within bounds.
func (r *Rule) judge(s *scene) Outcome {
	if s.api != nil && !r.Applies(s.api.Type) {
		return skipped("a " + string(s.api.Type) + " API has no such thing")
	}
	if p := s.missing(r.needs); p != "" {
		return unseen(string(p) + " could not be read")
	}
	o := r.check(s)
	slices.SortFunc(o.Evidence, func(a, b Evidence) int { return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Value, b.Value)) })
	o.Evidence = bounded(o.Evidence)
	return o
}

// listing is what must have been read to know all subjects of a kind.
var listing = map[Kind][]Part{
	OfStage: {PartStages}, OfRoute: {PartRoutes},
	OfDomain: {PartDomains}, OfLogGroup: {PartLogGroups}, OfUsagePlan: {PartUsagePlans},
}

// Judge tells the outcome of every rule for every subject, in the order of the
// estate and of the catalogue. Where a list of subjects was not read whole, the rules
// about them are told once more as NotSeen, of what holds the list.
func Judge(e *Estate, tell func(r *Rule, s Subject, o Outcome)) {
	rules := catalogue
	e = e.ordered()
	for _, u := range e.Unread {
		s := Subject{Kind: OfAccount, Account: u.Account, AccountName: u.AccountName, Region: u.Region}
		if u.Region != "" {
			s.Kind = OfRegion
		}
		for _, r := range rules {
			tell(r, s, unseen(clip(u.Why)))
		}
	}
	for i := range e.Places {
		s := scene{now: e.Time, place: &e.Places[i]}
		for _, r := range rules {
			s.judgePlace(r, tell)
		}
	}
}

func (s *scene) judgePlace(r *Rule, tell func(*Rule, Subject, Outcome)) {
	one := func(s *scene) { tell(r, s.subject(r.Of), r.judge(s)) }
	notListed := func(kind Kind, parts ...Part) {
		if p := s.missing(parts); p != "" {
			tell(r, s.subject(kind), unseen(string(p)+" could not be read"))
		}
	}
	switch r.Of {
	case OfRegion:
		one(s)
	case OfDomain:
		notListed(OfRegion, listing[r.Of]...)
		for i := range s.place.Domains {
			t := *s
			t.domain = &s.place.Domains[i]
			one(&t)
		}
	case OfLogGroup:
		notListed(OfRegion, listing[r.Of]...)
		for i := range s.place.LogGroups {
			t := *s
			t.group = &s.place.LogGroups[i]
			one(&t)
		}
	case OfUsagePlan:
		notListed(OfRegion, listing[r.Of]...)
		for i := range s.place.UsagePlans {
			t := *s
			t.plan = &s.place.UsagePlans[i]
			one(&t)
		}
	case OfAPI, OfStage, OfRoute:
		if r.Applies(REST) {
			notListed(OfRegion, PartREST)
		}
		if r.Applies(HTTP) || r.Applies(WebSocket) {
			notListed(OfRegion, PartV2)
		}
		for i := range s.place.APIs {
			t := *s
			t.api = &s.place.APIs[i]
			t.judgeAPI(r, one, tell)
		}
	case OfAccount:
	}
}

func (s *scene) judgeAPI(r *Rule, one func(*scene), tell func(*Rule, Subject, Outcome)) {
	if r.Of == OfAPI {
		one(s)
		return
	}
	if p := s.missing(listing[r.Of]); p != "" && r.Applies(s.api.Type) {
		tell(r, s.subject(OfAPI), unseen(string(p)+" could not be read"))
	}
	if r.Of == OfStage {
		for i := range s.api.Stages {
			t := *s
			t.stage = &s.api.Stages[i]
			one(&t)
		}
		return
	}
	for i := range s.api.Routes {
		t := *s
		t.route = &s.api.Routes[i]
		one(&t)
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
