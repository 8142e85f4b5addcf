package iam

import (
	"fmt"
	"strings"
)

// layerTitles name the layers as AWS's texts do.
var layerTitles = [...]string{
	LayerSCP:         "service control policy",
	LayerRCP:         "resource control policy",
	LayerVPCEndpoint: "VPC endpoint policy",
	LayerBoundary:    "permissions boundary",
	LayerSession:     "session policy",
	LayerIdentity:    "identity-based policy",
	LayerResource:    "resource-based policy",
}

func (r *Result) title(l Layer) string {
	if l == LayerResource && r.trust {
		return "role trust policy"
	}
	return layerTitles[l]
}

// Message returns the text that AWS would show to the caller, and nothing if the
// request is allowed. For execute-api it is the text of the response's body, in
// which the account of the resource is masked.
//
// AWS names one type of policy alone. Which one, where several deny, is best
// evidence: for explicit denials the identity-based policy goes before the
// resource-based one, and across accounts a resource-based policy that names only
// the account counts as missing when the caller's own side is.
func (r *Result) Message() string {
	if r.Decision == Allowed || r.query == nil {
		return ""
	}
	q := r.query
	if q.executeAPI {
		if text, ok := r.gatewayText(); ok {
			return text
		}
	}
	if r.stop == stopRoot && r.Decision == ImplicitDeny {
		return "Roles may not be assumed by root accounts."
	}
	who := q.who.String()
	if q.auth != AuthIAM {
		who = anonymous.String()
	}
	text := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", who, q.request.Action, q.maskedResource())
	l, explicit := r.blamed()
	if explicit {
		article := "a"
		switch {
		case l == LayerIdentity:
			article = "an"
		case l == LayerResource && r.trust:
			article = "the"
		}
		return text + " with an explicit deny in " + article + " " + r.title(l)
	}
	return text + fmt.Sprintf(" because no %s allows the %s action", r.title(l), q.request.Action)
}

// gatewayText returns the texts of API Gateway that name no principal.
func (r *Result) gatewayText() (string, bool) {
	switch q := r.query; {
	case q.api == HTTP:
		return "Forbidden", true
	case r.stop == stopUnsigned:
		return "Missing Authentication Token", true
	case q.auth == AuthLambda && r.denied.has(LayerIdentity) && !r.denied.has(LayerResource) && !r.denied.has(LayerVPCEndpoint):
		// Captures of 2026 add " in an identity-based policy".
		return "User is not authorized to access this resource with an explicit deny", true
	case q.auth == AuthLambda && r.Decision == ImplicitDeny && r.lack == 1<<LayerIdentity:
		return "User is not authorized to access this resource", true
	}
	return "", false
}

// blamed is the layer that AWS names, and whether as an explicit denial.
func (r *Result) blamed() (l Layer, explicit bool) {
	if r.Decision == ExplicitDeny {
		order := [...]Layer{LayerSCP, LayerRCP, LayerVPCEndpoint, LayerBoundary, LayerSession, LayerIdentity}
		if r.query.executeAPI {
			// The endpoint is asked before API Gateway is.
			order[0], order[2] = LayerVPCEndpoint, LayerSCP
		}
		for _, l := range order {
			if r.denied.has(l) {
				return l, true
			}
		}
		return LayerResource, true
	}
	switch {
	case r.lack.has(LayerVPCEndpoint):
		return LayerVPCEndpoint, false
	case r.lack.has(LayerSCP):
		// "AWS treats an implicit denial by a service control policy as an
		// explicit one" in its texts.
		return LayerSCP, true
	case r.lack.has(LayerResource):
		return LayerResource, false
	case r.lack.has(LayerIdentity) && r.cross && r.grants == grantAccount:
		return LayerResource, false
	case r.lack.has(LayerIdentity):
		return LayerIdentity, false
	case r.lack.has(LayerBoundary):
		return LayerBoundary, false
	default:
		return LayerSession, false
	}
}

// maskedResource is the resource as the text shows it: API Gateway hides all but
// the last four digits of the account.
func (q *Query) maskedResource() string {
	a, ok := cutARN(q.resource)
	if !q.executeAPI || !ok || len(a.account) != 12 {
		return q.resource
	}
	return strings.Join([]string{"arn", a.partition, a.service, a.region, "********" + a.account[8:], a.resource}, ":")
}

// Advice says in sentences what a person can do about a denial: which side lacks
// what, and what to write there. Nothing if the request is allowed.
func (r *Result) Advice() string {
	switch {
	case r.Decision == Allowed, r.query == nil:
		return ""
	case r.Decision == ExplicitDeny:
		return r.adviseOnDeny()
	}
	q := r.query
	switch r.stop {
	case stopUnsigned:
		return "Sign the request with Signature Version 4 (service execute-api); this method accepts no unsigned calls."
	case stopRoot:
		return "Use an IAM user or a role: AWS lets no root user assume a role."
	case stopElsewhere:
		return fmt.Sprintf("An %s API has no resource policy, so account %s cannot be let in directly: assume a role of account %s that may call it.",
			q.api, q.who.Account, q.account)
	}
	var parts []string
	if r.cross && r.lack&(1<<LayerIdentity|1<<LayerResource) != 0 {
		parts = append(parts, "Across accounts both sides must allow.")
	}
	for l := range layerCount {
		if r.lack.has(l) {
			parts = append(parts, r.adviseOnMissing(l))
		}
	}
	return strings.Join(parts, " ")
}

func (r *Result) adviseOnDeny() string {
	reason := r.Reasons[0]
	at := fmt.Sprintf("statement %d", reason.Statement)
	if reason.Sid != "" {
		at += fmt.Sprintf(" (%s)", reason.Sid)
	}
	in := "the " + r.title(reason.Layer)
	if reason.Policy != "" {
		in += " " + reason.Policy
	}
	return fmt.Sprintf("Take out or narrow %s of %s: it denies the request, and no Allow can outweigh a Deny.", at, in)
}

func (r *Result) adviseOnMissing(l Layer) string {
	q := r.query
	whom, action, resource := q.who.String(), q.request.Action, q.resource
	owner := ""
	if q.account != "" {
		owner = " of account " + q.account
	}
	switch l {
	case LayerSCP:
		return fmt.Sprintf("On every level of the organization, from its root to the account of %s, a service control policy must allow %s; one level does not.", whom, action)
	case LayerVPCEndpoint:
		return fmt.Sprintf("The policy of the VPC endpoint must allow %s to perform %s on %s.", whom, action, resource)
	case LayerBoundary:
		return fmt.Sprintf("The permissions boundary of %s must allow %s on %s.", whom, action, resource)
	case LayerSession:
		if q.who.Kind == PrincipalFederatedUser && len(r.Reasons) == 0 {
			return fmt.Sprintf("Pass a session policy that allows %s on %s: without one a federated user has no permissions.", action, resource)
		}
		return fmt.Sprintf("A session policy of %s must allow %s on %s.", whom, action, resource)
	case LayerIdentity:
		if q.auth == AuthLambda {
			return fmt.Sprintf("The Lambda authorizer must answer a policy that allows %s on %s.", action, resource)
		}
		return fmt.Sprintf("Attach an identity-based policy to %s that allows %s on %s.", whom, action, resource)
	default:
		if r.trust {
			return fmt.Sprintf("The trust policy of %s must allow %s to perform %s, with the conditions that the request meets.", resource, whom, action)
		}
		if q.executeAPI {
			if q.auth != AuthIAM {
				whom = `everyone ("Principal": "*", because API Gateway sees an anonymous caller here)`
			}
			return fmt.Sprintf("Let the resource policy of the API%s allow %s on %s for %s, and deploy the stage again.", owner, action, resource, whom)
		}
		return fmt.Sprintf("Let the resource-based policy of %s%s allow %s for %s.", resource, owner, action, whom)
	}
}
