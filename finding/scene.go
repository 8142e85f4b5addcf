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
	now       time.Time
	census    *census
	place     *Place // of a principal: one without a region, for its account
	api       *API
	stage     *Stage
	route     *Route
	domain    *Domain
	group     *LogGroup
	plan      *UsagePlan
	webACL    *WebACL
	function  *Function
	cluster   *Cluster
	principal *Principal
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
	case s.webACL != nil:
		out.Name = s.webACL.title()
	case s.function != nil:
		out.Name = s.function.title(s.place)
	case s.cluster != nil:
		out.Name = s.cluster.Name
	case s.principal != nil:
		out.Name = s.principal.title()
	}
	return out
}

// missing returns the first of parts that was not read, or "".
func (s *scene) missing(parts []Part) Part {
	for _, p := range parts {
		if unreadPart(s.place.Unseen, p) || s.api != nil && unreadPart(s.api.Unseen, p) || s.domain != nil && unreadPart(s.domain.Unseen, p) ||
			s.group != nil && unreadPart(s.group.Unseen, p) || s.cluster != nil && unreadPart(s.cluster.Unseen, p) ||
			s.webACL != nil && unreadPart(s.webACL.Unseen, p) || s.function != nil && unreadPart(s.function.Unseen, p) {
			return p
		}
	}
	return ""
}

func unreadPart(unseen []Part, p Part) bool { return slices.Contains(unseen, p) }

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
	OfWebACL:   {PartREST, PartStages},
	OfFunction: {PartREST, PartV2, PartRoutes, PartIntegrations, PartAuthorizers},
	OfCluster:  {PartClusters}, OfPrincipal: {PartPrincipals},
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
			if u.Region == "" || r.Of != OfPrincipal {
				tell(r, s, unseen(clip(u.Why)))
			}
		}
	}
	known := newCensus(e)
	for i := range e.Places {
		s := scene{now: e.Time, census: known, place: &e.Places[i]}
		for _, r := range rules {
			s.judgePlace(r, tell)
		}
	}
	for i := range e.Accounts {
		a := &e.Accounts[i]
		s := scene{now: e.Time, census: known, place: &Place{Account: a.ID, AccountName: a.Name, Partition: a.Partition, Unseen: a.Unseen}}
		for _, r := range rules {
			if r.Of == OfPrincipal {
				s.judgePrincipals(r, a, tell)
			}
		}
	}
}

// judgePrincipals judges the roles and users of an account.
func (s *scene) judgePrincipals(r *Rule, a *Account, tell func(*Rule, Subject, Outcome)) {
	if p := s.missing(listing[r.Of]); p != "" {
		tell(r, s.subject(OfAccount), unseen("the account's roles and users were not read; estate_principals has them read"))
	}
	for i := range a.Principals {
		t := *s
		t.principal = &a.Principals[i]
		tell(r, t.subject(r.Of), r.judge(&t))
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
	case OfWebACL:
		s.unlisted(r, tell)
		for i := range s.place.WebACLs {
			t := *s
			t.webACL = &s.place.WebACLs[i]
			one(&t)
		}
	case OfFunction:
		s.unlisted(r, tell)
		for i := range s.place.Functions {
			t := *s
			t.function = &s.place.Functions[i]
			one(&t)
		}
	case OfCluster:
		notListed(OfRegion, listing[r.Of]...)
		for i := range s.place.Clusters {
			t := *s
			t.cluster = &s.place.Clusters[i]
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
	case OfAccount, OfPrincipal:
	}
}

// unlisted tells that not all subjects of a rule are known, where they are found in
// APIs: of the whole region, since a finding about one of them names no API.
func (s *scene) unlisted(r *Rule, tell func(*Rule, Subject, Outcome)) {
	p, where := s.missing(listing[r.Of]), ""
	for i := range s.place.APIs {
		if p != "" {
			break
		}
		t := *s
		t.api = &s.place.APIs[i]
		if r.Applies(t.api.Type) {
			p, where = t.missing(listing[r.Of]), " of API "+t.api.ID
		}
	}
	if p != "" {
		tell(r, s.subject(OfRegion), unseen(string(p)+where+" could not be read"))
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
