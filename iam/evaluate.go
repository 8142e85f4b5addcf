package iam

import "strings"

// Attached is a policy and the name under which reasons speak of it.
type Attached struct {
	Name   string
	Policy *Policy
}

// Policies are all policies that have a say in one kind of request. An absent
// layer (nil) does not limit; a layer that is there and silent does. Whatever is
// given applies: it is for the caller to leave out what AWS would not attach.
type Policies struct {
	// Identity are the policies of the user, its groups, or the role. With Lambda
	// authorization, the policies that the authorizer answered.
	Identity []Attached
	// Resource is the resource-based policy: also a trust policy, a key policy, a
	// private domain's policy. Absent if its Policy is nil.
	Resource Attached
	// Boundary is the permissions boundary.
	Boundary Attached
	// Session are the session policies, of which one must allow. Nil or empty: no
	// such layer.
	Session []Attached
	// SCPs are the service control policies of the principal's account, level by
	// level from the organization's root to the account. In each level one must
	// allow; a level without policies allows nothing. Nil or empty: no such layer.
	SCPs [][]Attached
	// RCPs are the resource control policies of the resource's account, which only
	// ever deny: RCPFullAWSAccess is always attached.
	RCPs [][]Attached
	// VPCEndpoint is the policy of the endpoint that the request came through.
	VPCEndpoint Attached
}

// Decide answers the request without saying why. It does not allocate.
func (p *Policies) Decide(q *Query) Decision {
	var r Result
	e := evaluation{policies: p, query: q, result: &r}
	return e.decide()
}

// Evaluate answers the request into r, whose memory it uses again.
func (p *Policies) Evaluate(q *Query, r *Result) {
	*r = Result{Reasons: r.Reasons[:0], Missing: r.Missing[:0], query: q}
	if r.Reasons == nil {
		r.Reasons = []Reason{}
	}
	e := evaluation{policies: p, query: q, result: r, explain: true}
	r.Decision = e.decide()
	// Statements that allow do not explain a denial by others.
	if r.Decision == ExplicitDeny {
		kept := r.Reasons[:0]
		for _, reason := range r.Reasons {
			if reason.Effect == Deny {
				kept = append(kept, reason)
			}
		}
		r.Reasons = kept
	}
	if r.Missing == nil {
		r.Missing = []Layer{}
	}
	if r.Decision == ImplicitDeny {
		for l := range layerCount {
			if r.lack.has(l) {
				r.Missing = append(r.Missing, l)
			}
		}
	}
}

// Evaluate answers the request once. Where many are answered, the method with a
// Result of the caller saves the allocation.
func Evaluate(p *Policies, q *Query) *Result {
	r := &Result{}
	p.Evaluate(q, r)
	return r
}

// evaluation is one evaluation under way.
type evaluation struct {
	policies *Policies
	query    *Query
	result   *Result
	explain  bool
}

func (e *evaluation) decide() Decision {
	var allowed bool
	if e.query.executeAPI {
		allowed = e.executeAPI()
	} else {
		allowed = e.aws()
	}
	switch {
	case e.result.denied != 0:
		return ExplicitDeny
	case allowed:
		return Allowed
	default:
		return ImplicitDeny
	}
}

// policy evaluates one policy and returns how its statements allow the request.
// Every statement is looked at, whatever has been found: each that denies is a
// reason.
func (e *evaluation) policy(l Layer, a Attached, who *Principal) grant {
	if a.Policy == nil {
		return 0
	}
	limited := e.policies.Boundary.Policy != nil
	var grants grant
	for i := range a.Policy.statements {
		s := &a.Policy.statements[i]
		g := s.applies(e.query, who, limited)
		if g == 0 {
			continue
		}
		effect := Allow
		if s.deny {
			effect = Deny
			e.result.denied |= 1 << l
		} else {
			grants |= g
		}
		if e.explain {
			e.result.Reasons = append(e.result.Reasons, Reason{Layer: l, Effect: effect, Policy: a.Name, Statement: i, Sid: s.sid})
		}
	}
	return grants
}

// union evaluates policies of which one must allow.
func (e *evaluation) union(l Layer, all []Attached, who *Principal) grant {
	var grants grant
	for _, a := range all {
		grants |= e.policy(l, a, who)
	}
	return grants
}

// require notes that a layer must allow and whether it does.
func (e *evaluation) require(l Layer, ok bool) bool {
	if !ok {
		e.result.lack |= 1 << l
	}
	return ok
}

// aws combines the layers as AWS's policy evaluation logic does.
func (e *evaluation) aws() bool {
	q, p := e.query, e.policies
	who := &q.who
	gates := e.gates(who)
	principal := e.principalSide(who)
	e.result.grants = e.policy(LayerResource, p.Resource, who)

	// A trust policy is part of every role, and a key policy of every key: they
	// must allow, if only by naming the account.
	mandatory := false
	if isTrustAction(q.action) {
		e.result.trust, mandatory = true, true
	} else if q.service == "kms" && strings.Contains(q.resource, ":key/") {
		mandatory = true
	}
	if who.Kind == PrincipalRoot && q.action == "sts:assumerole" {
		e.result.stop = stopRoot
		return false
	}
	return e.combine(principal, mandatory) && gates
}

// isTrustAction recognizes the actions that a trust policy decides.
func isTrustAction(action string) bool {
	switch action {
	case "sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity",
		"sts:tagsession", "sts:setsourceidentity", "sts:setcontext":
		return true
	}
	return false
}

// side is what the policies of the principal's side say.
type side struct{ identity, boundary, session bool }

// gates evaluates what limits every request that it applies to: service control
// policies, resource control policies and the VPC endpoint's policy.
func (e *evaluation) gates(who *Principal) bool {
	p := e.policies
	ok := true
	if e.asksSCPs(who) {
		for _, level := range p.SCPs {
			ok = e.require(LayerSCP, e.union(LayerSCP, level, who) != 0) && ok
		}
	}
	if e.asksRCPs() {
		for _, level := range p.RCPs {
			e.union(LayerRCP, level, who)
		}
	}
	if p.VPCEndpoint.Policy != nil {
		ok = e.require(LayerVPCEndpoint, e.policy(LayerVPCEndpoint, p.VPCEndpoint, who) != 0) && ok
	}
	return ok
}

// asksSCPs reports whether service control policies reach who: not principals of
// the management account, nor service-linked roles.
func (e *evaluation) asksSCPs(who *Principal) bool {
	r := &e.query.request
	management := r.ManagementAccount && who.Account != "" && who.Account == e.query.account
	return !r.ServiceLinkedRole && !management
}

// asksRCPs reports whether resource control policies reach the request: not
// resources of the management account, nor calls of service-linked roles, nor
// services that they do not support.
func (e *evaluation) asksRCPs() bool {
	r := &e.query.request
	return !r.ServiceLinkedRole && !r.ManagementAccount && supportsRCP(e.query.service)
}

// principalSide evaluates identity policies, boundary and session policies.
func (e *evaluation) principalSide(who *Principal) side {
	p := e.policies
	s := side{
		boundary: p.Boundary.Policy == nil || e.policy(LayerBoundary, p.Boundary, who) != 0,
		session:  len(p.Session) == 0 || e.union(LayerSession, p.Session, who) != 0,
		identity: e.union(LayerIdentity, p.Identity, who) != 0,
	}
	switch who.Kind {
	case PrincipalRoot:
		// The root user has every permission that its account has.
		s.identity = true
	case PrincipalFederatedUser:
		// "If you do not pass a policy, the resulting session has no permissions"
		// beyond what a resource policy gives to the session by name.
		s.session = s.session && len(p.Session) > 0
	}
	return s
}

// combine joins the principal's side with the resource's and notes what is
// missing.
func (e *evaluation) combine(s side, mandatory bool) bool {
	who, g := &e.query.who, e.result.grants
	own := e.require
	switch who.Kind {
	case PrincipalAnonymous, PrincipalService, PrincipalProvider:
		// They have no policies of their own to which the account of an identity
		// provider could delegate; a Deny for that account does reach them.
		ok := own(LayerResource, g&^grantAccount != 0)
		ok = own(LayerBoundary, s.boundary) && ok
		return own(LayerSession, s.session) && ok
	}

	if who.Account != e.query.account {
		e.result.cross = true
		ok := own(LayerIdentity, s.identity)
		ok = own(LayerBoundary, s.boundary) && ok
		ok = own(LayerSession, s.session) && ok
		return own(LayerResource, g != 0) && ok
	}

	// In one account either side is enough. How far an implicit denial of the
	// boundary or the session policies limits what a resource policy grants
	// depends on how it names the principal.
	switch {
	case g&grantItself != 0:
		// A user or a session by its own ARN: not at all.
		return true
	case g&grantEveryoneByARN != 0:
		// "*" with a condition on aws:PrincipalArn: not at all.
		return true
	case g&grantEveryone != 0 && s.session:
		// A plain "*": not by the boundary (best evidence: the oracle).
		return true
	case g&grantRole != 0 && s.session && s.boundary:
		return true
	}
	identity := s.identity || g&(grantRole|grantEveryone) != 0
	if mandatory && g == 0 {
		// Naming the principal there would do, whatever its own policies say.
		return own(LayerResource, false)
	}
	ok := own(LayerIdentity, identity)
	ok = own(LayerBoundary, s.boundary) && ok
	return own(LayerSession, s.session) && ok
}
