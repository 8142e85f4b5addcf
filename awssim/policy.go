package awssim

import (
	"fmt"

	"github.com/gatehouse-project/gatehouse/iam"
)

// policies are the compiled policies of a role or a user.
type policies struct {
	trust    iam.Attached // of a role
	document string       // of trust
	inline   []inlinePolicy
	identity []iam.Attached // inline, in the same order
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
	p := &policies{inline: inlinePolicies(r.arn, r.Allow, r.Policies, r.Inline)}
	p.identity = attachedOf(p.inline)
	p.document = emptyPolicy
	short := len(r.TrustedAccounts) > 0 || len(r.TrustedPrincipals) > 0
	switch {
	case r.TrustPolicy != "" && (short || r.ExternalID != ""):
		panic("awssim: the role " + r.arn + " has a trust policy, so TrustedAccounts, TrustedPrincipals and ExternalID must be empty")
	case r.TrustPolicy != "":
		p.document = r.TrustPolicy
		p.trust = mustCompile(iam.KindTrust, r.arn, "trust policy", p.document)
	case short:
		p.document = shortTrust(partition, r)
		p.trust = mustCompile(iam.KindTrust, r.arn, "trust policy", p.document)
	}
	return p
}

// emptyPolicy allows nothing.
const emptyPolicy = `{"Version":"2012-10-17","Statement":[]}`

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
		return emptyPolicy
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

// AddPolicy adds a customer managed policy, or a new default version of the one of
// that name, and returns its ARN, which AssumeRole takes as a session policy. A
// policy of the account "aws" is one of AWS's own, for all accounts. It panics on a
// policy that AWS would not store.
func (a *Account) AddPolicy(name, document string) string {
	arn := "arn:" + a.sim.partition + ":iam::" + a.id + ":policy/" + name
	attached := mustCompile(iam.KindSession, arn, arn, document)
	id := "ANPA" + a.sim.randomID(upperAlnum, 17)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.sim.clock()
	p := managedPolicy{arn: arn, path: "/", name: name, id: id, created: now}
	if old := a.managed[arn]; old != nil {
		p = *old
	}
	p.version, p.attached = p.add(document, now), attached
	a.managed[arn] = &p
	return arn
}

func (a *Account) policy(arn string) (iam.Attached, bool) {
	if p := a.managedPolicy(arn); p != nil {
		return p.attached, true
	}
	return iam.Attached{}, false
}

// policiesOf are the policies that limit what a credential may do, as its role or
// user has them now, and its tags. One that is gone may do nothing.
func (a *Account) policiesOf(c *Credential) (iam.Policies, map[string]string) {
	var p iam.Policies
	if org := a.sim.organizationOf(a.id); org != nil {
		p.SCPs = org.levels(a.id)
	}
	if c.Principal.Kind == KindSession {
		p.Session = c.session
		if r := a.role(c.Principal.Name); r != nil {
			p.Identity, p.Boundary = a.identityOf(r.policies.identity, r.ManagedPolicies, nil), a.boundary(r.boundary)
			return p, r.Tags
		}
		return p, nil
	}
	if u := a.user(c.Principal.Name); u != nil {
		p.Identity, p.Boundary = a.identityOf(u.policies.identity, u.ManagedPolicies, u.Groups), a.boundary(u.boundary)
		return p, u.Tags
	}
	return p, nil
}
