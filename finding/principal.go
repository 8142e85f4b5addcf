package finding

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Account is what rules look at of an account as a whole. Unseen holds PartPrincipals
// where its roles and users were not read.
type Account struct {
	ID, Name   string
	Partition  string
	Principals []Principal
	Unseen     []Part
}

// Principal is an IAM role or user.
type Principal struct {
	ARN   string
	Trust string // the trust policy of a role as JSON; empty for a user
	// Wide is what its own policies allow on resources that nobody named: what they
	// allow on those, they allow on all.
	Wide []Wide
	// Partial is set where one of its policies could not be understood or found.
	Partial bool
}

// Wide is an action that is allowed on every resource of a kind.
type Wide struct {
	Action   string // of WideActions, or WideEverything
	Resource string // a pattern for people
	By       string // the policy that allows it
}

// The actions that rules ask Wide for.
const (
	WideEverything   = "*"
	WideInvoke       = "execute-api:Invoke"
	WideChangeAPI    = "apigateway:PATCH"
	WideDeleteAPI    = "apigateway:DELETE"
	WideReadLog      = "logs:GetLogEvents"
	WideSearchLog    = "logs:FilterLogEvents"
	WideDeleteLog    = "logs:DeleteLogGroup"
	WideRetainLog    = "logs:PutRetentionPolicy"
	WideSubscribeLog = "logs:PutSubscriptionFilter"
)

// role reports whether the principal is a role.
func (p *Principal) role() bool { return strings.Contains(p.ARN, ":role/") }

// serviceLinked reports whether AWS owns the role: nobody can change it.
func (p *Principal) serviceLinked() bool { return strings.Contains(p.ARN, ":role/aws-service-role/") }

// title is what stands after the account in the principal's ARN: "role/app".
func (p *Principal) title() string {
	if parts := strings.SplitN(p.ARN, ":", 6); len(parts) == 6 {
		return parts[5]
	}
	return p.ARN
}

// wide are the facts about actions that the principal may do on everything.
func (p *Principal) wide(actions ...string) []Evidence {
	var out []Evidence
	for _, a := range actions {
		for _, w := range p.Wide {
			if w.Action == a {
				out = append(out, fact(w.Action+" on "+w.Resource, "allowed by "+w.By))
			}
		}
	}
	return out
}

// census is what is known of all accounts together.
type census struct {
	accounts map[string]bool // those that discovery knows, read or not
	// principals are the names of the roles and users of the accounts in which they
	// were read.
	principals map[string]map[string]bool
	trusts     map[string]readTrust
}

func newCensus(e *Estate) *census {
	c := &census{accounts: map[string]bool{}, principals: map[string]map[string]bool{}, trusts: map[string]readTrust{}}
	for i := range e.Places {
		c.accounts[e.Places[i].Account] = true
	}
	for i := range e.Unread {
		c.accounts[e.Unread[i].Account] = true
	}
	for i := range e.Accounts {
		a := &e.Accounts[i]
		c.accounts[a.ID] = true
		if unreadPart(a.Unseen, PartPrincipals) {
			continue
		}
		names := make(map[string]bool, len(a.Principals))
		for j := range a.Principals {
			if who, err := iam.ParsePrincipal(a.Principals[j].ARN); err == nil {
				names[principalName(who.Kind, who.Name)] = true
			}
		}
		c.principals[a.ID] = names
	}
	return c
}

// principalName is the name of a role or user, which is unique in an account whatever
// the path.
func principalName(kind iam.PrincipalKind, name string) string { return kindOf(kind) + "/" + name }

func kindOf(kind iam.PrincipalKind) string {
	if kind == iam.PrincipalUser {
		return "user"
	}
	return "role"
}

// judgeWide judges a principal by the actions that it may do on everything.
func (s *scene) judgeWide(actions ...string) Outcome {
	p := s.principal
	switch {
	case p.serviceLinked():
		return skipped("the role is AWS's own, and nobody can change it")
	case p.Partial:
		return unseen("a policy of the principal could not be read")
	case len(p.wide(WideEverything)) > 0:
		return skipped("the principal may do everything, which principal-administrator tells")
	}
	return failed(p.wide(actions...)...)
}
