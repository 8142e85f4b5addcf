package estate

import (
	"fmt"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// unknownAccount stands in a generated policy for an account that is not known; a
// star takes its place afterwards, and the API's id keeps the statement to one API.
const unknownAccount = "000000000000"

// lacks turns what a decision misses into places and statements.
func (e *verdict) lacks(r *iam.Result) []Lack {
	if r.Decision != iam.ImplicitDeny {
		return nil
	}
	if e.elsewhere() {
		return []Lack{{
			Layer: iam.LayerIdentity, Where: "a role of account " + e.p.Call.Owner + " that the caller assumes first (--role-arn)", Statement: e.invoke(),
			Note: fmt.Sprintf("an %s API has no resource policy, so no one of another account can call it directly", e.typeName()),
		}}
	}
	out := make([]Lack, 0, len(r.Missing))
	for _, l := range r.Missing {
		out = append(out, e.lack(l, r)...)
	}
	return out
}

func (e *verdict) lack(l iam.Layer, r *iam.Result) []Lack {
	whom := principalText(e.p.Who)
	if p := e.p.Principal; p != nil && p.ARN != "" {
		whom = kindText(p.Kind) + p.ARN + " in account " + e.p.Who.Account
	}
	switch l {
	case iam.LayerIdentity:
		if e.auth == iam.AuthLambda {
			return []Lack{{Layer: l, Where: "the policy that the Lambda authorizer answers", Statement: e.invoke()}}
		}
		lack := Lack{Layer: l, Where: whom, Statement: e.invoke()}
		if e.p.Principal != nil && e.p.Principal.Deleted {
			lack.Note = "it does not exist any more, and sessions of a deleted role may do nothing: make it again, or call with another"
		}
		if len(r.Missing) == 1 && e.p.Call.Owner == e.p.Who.Account && e.api == iam.REST {
			or := e.resourceLack()
			lack.Or = &or
		}
		return []Lack{lack}
	case iam.LayerResource:
		return []Lack{e.resourceLack()}
	case iam.LayerBoundary:
		lack := Lack{Layer: l, Where: "the permissions boundary of " + whom, Statement: e.invoke()}
		if p := e.p.Principal; p != nil && p.Boundary != nil {
			lack.Where = "the permissions boundary " + p.Boundary.ARN + " of " + whom
		}
		return []Lack{lack}
	case iam.LayerSCP:
		return e.scpLacks()
	case iam.LayerSession:
		return []Lack{{Layer: l, Where: "the session policy that was passed when the session of " + whom + " was made", Statement: e.invoke()}}
	default:
		return []Lack{{Layer: l, Where: "the " + strings.ReplaceAll(l.String(), "_", " ") + " policy", Statement: e.invoke()}}
	}
}

func kindText(k iam.PrincipalKind) string {
	switch k {
	case iam.PrincipalRole:
		return "role "
	case iam.PrincipalUser:
		return "user "
	default:
		return ""
	}
}

// scpLacks names the levels on which no service control policy allows the call.
func (e *verdict) scpLacks() []Lack {
	query, err := e.query(e.owners()[0])
	if err != nil {
		return nil
	}
	var out []Lack
	for _, level := range e.p.Organization.Levels {
		alone := iam.Policies{SCPs: [][]iam.Attached{{}}}
		for i := range level.Policies {
			alone.SCPs[0] = append(alone.SCPs[0], level.Policies[i].Attached())
		}
		r := iam.Evaluate(&alone, query)
		for _, l := range r.Missing {
			if l == iam.LayerSCP {
				out = append(out, Lack{
					Layer: iam.LayerSCP, Where: "a service control policy of " + level.Target, Statement: e.invoke(),
					Note: "every level from the organization's root to the account must allow the call",
				})
			}
		}
	}
	return out
}

// scope is the part of the API that the call is about, by the route's template
// where it is known.
func (e *verdict) scope() iam.Scope {
	c := &e.p.Call
	s := iam.Scope{Partition: c.Partition, Region: c.Region, Account: c.Owner, API: c.API}
	if len(s.Account) != 12 {
		s.Account = unknownAccount
	}
	if c.Stage != "" {
		s.Stages = []string{c.Stage}
	}
	if e.isWebSocket() || strings.HasPrefix(c.Method, "$") || c.Action == "execute-api:ManageConnections" {
		return s
	}
	s.Methods = []string{c.Method}
	s.Paths = []string{"/" + c.Path}
	if e.route != nil && strings.HasPrefix(e.route.Path, "/") {
		s.Paths = []string{e.route.Path}
	}
	return s
}

// finish makes the one statement of a generated policy speak of the call's action.
func (e *verdict) finish(d *iam.Document, err error) string {
	c := &e.p.Call
	if err != nil || len(d.Statements) == 0 {
		// A path that no generated policy may hold, such as one with a star.
		s := iam.Statement{Effect: iam.Allow, Action: iam.Strings{c.Action}, Resource: iam.Strings{c.resource("*")}}
		return statementJSON(&s)
	}
	s := d.Statements[0]
	s.Action = iam.Strings{c.Action}
	return strings.ReplaceAll(statementJSON(&s), ":"+unknownAccount+":", ":*:")
}

// invoke is the statement that the caller's side needs.
func (e *verdict) invoke() string {
	return e.finish(iam.GenerateInvoke(iam.InvokePolicy{Scope: e.scope(), ManageConnections: e.p.Call.Action == "execute-api:ManageConnections"}))
}

// resourceLack is what the API's resource policy needs.
func (e *verdict) resourceLack() Lack {
	c := &e.p.Call
	l := Lack{Layer: iam.LayerResource, Where: "the resource policy of API " + c.API, Note: "then deploy stage " + c.Stage + " again: a stage runs the policy that it was deployed with"}
	if e.p.API != nil {
		if e.p.API.API.Name != "" {
			l.Where += " (" + e.p.API.API.Name + ")"
		}
		if e.p.API.Policy == nil && sees(e.p.API.Unseen, iam.LayerResource) {
			l.Note = "the API has no resource policy yet; " + l.Note
		}
	}
	switch {
	case len(c.Owner) == 12:
		l.Where += " in account " + c.Owner
	case c.Owner != "":
		l.Where += " in the account that ends in " + c.Owner
	}
	p := iam.ResourcePolicy{Scope: e.scope()}
	switch {
	case e.auth != iam.AuthIAM || c.Anonymous:
		// API Gateway knows no principal here, so only everyone can be let in. The
		// statement is that of a caller, with the caller replaced.
		p.Accounts = []string{unknownAccount}
		d, err := iam.GenerateResource(p)
		if err != nil {
			return l
		}
		d.Statements[0].Principal, d.Statements[0].Sid = &iam.Principals{Everyone: true}, "Everyone"
		l.Statement = e.finish(d, nil)
		l.Note += "; API Gateway knows no caller where the method's authorization is not AWS_IAM"
		return l
	case e.p.Who.Kind == iam.PrincipalRoleSession || e.p.Who.Kind == iam.PrincipalRole:
		p.Roles = []string{"arn:" + e.p.Who.Partition + ":iam::" + e.p.Who.Account + ":role/" + e.p.Who.Name}
		if e.p.Principal != nil && e.p.Principal.ID != "" {
			p.Roles[0] = e.p.Principal.ARN
		}
	case e.p.Who.Kind == iam.PrincipalUser:
		p.Users = []string{e.p.Who.ARN}
	default:
		p.Accounts = []string{e.p.Who.Account}
	}
	l.Statement = e.finish(iam.GenerateResource(p))
	return l
}
