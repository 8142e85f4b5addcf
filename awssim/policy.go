package awssim

import (
	"encoding/json"
	"fmt"

	"github.com/gatehouse-project/gatehouse/iam"
)

// policies are the compiled policies of a role or a user.
type policies struct {
	trust    iam.Attached // of a role
	identity []iam.Attached
	boundary iam.Attached
}

// mustCompile compiles a policy of the world's set-up.
func mustCompile(kind iam.Kind, whose, name, text string) iam.Attached {
	p, err := iam.ParseAndCompile(kind, []byte(text))
	if err != nil {
		panic(fmt.Sprintf("awssim: the %s of %s: %v", name, whose, err))
	}
	return iam.Attached{Name: name, Policy: p}
}

func compileRole(partition string, r *Role) *policies {
	p := &policies{
		identity: compileIdentity(r.arn, r.Allow, r.Policies),
		boundary: compileBoundary(r.arn, r.PermissionsBoundary),
	}
	short := len(r.TrustedAccounts) > 0 || len(r.TrustedPrincipals) > 0
	switch {
	case r.TrustPolicy != "" && (short || r.ExternalID != ""):
		panic("awssim: the role " + r.arn + " has a trust policy, so TrustedAccounts, TrustedPrincipals and ExternalID must be empty")
	case r.TrustPolicy != "":
		p.trust = mustCompile(iam.KindTrust, r.arn, "trust policy", r.TrustPolicy)
	case short:
		p.trust = mustCompile(iam.KindTrust, r.arn, "trust policy", shortTrust(partition, r))
	}
	return p
}

// shortTrust is the trust policy that the lists of a role stand for. It lets those
// who may assume the role also tag the session and set its source identity.
func shortTrust(partition string, r *Role) string {
	var trusted iam.Strings
	for _, account := range r.TrustedAccounts {
		trusted = append(trusted, "arn:"+partition+":iam::"+account+":root")
	}
	for _, arn := range r.TrustedPrincipals {
		if arn != "" {
			trusted = append(trusted, arn)
		}
	}
	if len(trusted) == 0 {
		return `{"Version":"2012-10-17","Statement":[]}`
	}
	d := iam.Document{Version: iam.Version2012, Statements: []iam.Statement{{
		Effect: iam.Allow, Principal: &iam.Principals{AWS: trusted},
		Action: iam.Strings{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"},
	}}}
	if r.ExternalID != "" {
		d.Statements[0].Action = iam.Strings{"sts:AssumeRole"}
		d.Statements[0].Condition = iam.Conditions{{Operator: "StringEquals", Key: "sts:ExternalId", Values: iam.Strings{r.ExternalID}}}
		d.Statements = append(d.Statements, iam.Statement{
			Effect: iam.Allow, Principal: &iam.Principals{AWS: trusted}, Action: iam.Strings{"sts:TagSession", "sts:SetSourceIdentity"},
		})
	}
	return string(d.JSON())
}

// compileIdentity compiles identity-based policies and the one that a list of
// actions stands for.
func compileIdentity(whose string, allow, documents []string) []iam.Attached {
	var all []iam.Attached
	if len(allow) > 0 {
		text, err := json.Marshal(map[string]any{
			"Version":   iam.Version2012,
			"Statement": []any{map[string]any{"Effect": "Allow", "Action": allow, "Resource": "*"}},
		})
		if err != nil {
			panic("awssim: the actions of " + whose + ": " + err.Error())
		}
		all = append(all, mustCompile(iam.KindIdentity, whose, "Allow", string(text)))
	}
	for i, text := range documents {
		all = append(all, mustCompile(iam.KindIdentity, whose, fmt.Sprintf("policy %d", i), text))
	}
	return all
}

func compileBoundary(whose, text string) iam.Attached {
	if text == "" {
		return iam.Attached{}
	}
	return mustCompile(iam.KindBoundary, whose, "permissions boundary", text)
}

// AddPolicy adds a customer managed policy, or replaces the one of that name, and
// returns its ARN, which AssumeRole takes as a session policy. It panics on a
// policy that AWS would not store.
func (a *Account) AddPolicy(name, document string) string {
	arn := "arn:" + a.sim.partition + ":iam::" + a.id + ":policy/" + name
	p := mustCompile(iam.KindSession, arn, name, document)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.managed[arn] = p
	return arn
}

func (a *Account) policy(arn string) (iam.Attached, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	p, ok := a.managed[arn]
	return p, ok
}

// policiesOf are the policies that limit what a credential may do, as its role or
// user has them now, and its tags. One that is gone may do nothing.
func (a *Account) policiesOf(c *Credential) (iam.Policies, map[string]string) {
	if c.Principal.Kind == KindSession {
		if r := a.role(c.Principal.Name); r != nil {
			return iam.Policies{Identity: r.policies.identity, Boundary: r.policies.boundary, Session: c.session}, r.Tags
		}
		return iam.Policies{}, nil
	}
	if u := a.user(c.Principal.Name); u != nil {
		return iam.Policies{Identity: u.policies.identity, Boundary: u.policies.boundary}, u.Tags
	}
	return iam.Policies{}, nil
}
