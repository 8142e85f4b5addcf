package iam

// executeAPI decides a call to an API as API Gateway does: by the way of
// authorization of its method, by AWS's tables A (same account) and B (cross
// account), and by what the type of API has.
func (e *evaluation) executeAPI() bool {
	q := e.query
	hasResourcePolicy := q.api == REST && e.policies.Resource.Policy != nil
	switch q.auth {
	case AuthIAM:
		return e.invokeByIAM(hasResourcePolicy)
	case AuthLambda:
		return e.invokeByLambda(hasResourcePolicy)
	default:
		return e.invokeOpenly(hasResourcePolicy)
	}
}

// endpoint evaluates the VPC endpoint's policy. The endpoint reads the identity
// from the Authorization header, whatever the method's authorization is.
func (e *evaluation) endpoint() bool {
	p := e.policies
	return p.VPCEndpoint.Policy == nil ||
		e.require(LayerVPCEndpoint, e.policy(LayerVPCEndpoint, p.VPCEndpoint, &e.query.who) != 0)
}

// invokeByIAM: who is authenticated first, then the tables, which are the
// general logic but for APIs that have no resource policy and private ones, which
// must have one.
//
// Table A read literally allows what a resource policy gives to the root of the
// API's own account. Here, as in all of IAM, that is delegation: the caller's own
// policies must allow too (best evidence).
func (e *evaluation) invokeByIAM(hasResourcePolicy bool) bool {
	q, p := e.query, e.policies
	who := &q.who
	if who.Kind == PrincipalAnonymous {
		// An unsigned call is refused before any policy is looked at.
		e.result.stop = stopUnsigned
		return e.require(LayerIdentity, false)
	}
	gates := e.gates(who)
	principal := e.principalSide(who)
	if hasResourcePolicy {
		e.result.grants = e.policy(LayerResource, p.Resource, who)
	}
	ok := e.combine(principal, false)
	if q.api != REST && e.result.cross {
		// HTTP and WebSocket APIs have no resource policy that could let another
		// account in; its callers assume a role of the API's account.
		e.result.stop = stopElsewhere
	}
	if q.request.Private {
		ok = e.require(LayerResource, e.result.grants != 0) && ok
	}
	return ok && gates
}

// invokeByLambda: an explicit Deny of the resource policy is final before the
// authorizer is asked; then table A, with what the authorizer answered in the
// place of identity policies. API Gateway knows no principal here: the resource
// policy sees an anonymous caller.
func (e *evaluation) invokeByLambda(hasResourcePolicy bool) bool {
	endpoint := e.endpoint()
	if hasResourcePolicy {
		e.result.grants = e.policy(LayerResource, e.policies.Resource, &anonymous)
		if e.result.denied.has(LayerResource) {
			return false
		}
	}
	allowed := e.union(LayerIdentity, e.policies.Identity, &anonymous) != 0 || e.result.grants != 0
	ok := e.require(LayerIdentity, allowed)
	if e.query.request.Private {
		ok = e.require(LayerResource, e.result.grants != 0) && ok
	}
	return ok && endpoint
}

// invokeOpenly: methods without authorization, and those of a Cognito user pool
// or a JWT authorizer, which has authenticated the caller already. An API without
// a resource policy is then open; one with a policy must allow explicitly.
func (e *evaluation) invokeOpenly(hasResourcePolicy bool) bool {
	endpoint := e.endpoint()
	if !hasResourcePolicy {
		return e.require(LayerResource, !e.query.request.Private) && endpoint
	}
	e.result.grants = e.policy(LayerResource, e.policies.Resource, &anonymous)
	return e.require(LayerResource, e.result.grants != 0) && endpoint
}
