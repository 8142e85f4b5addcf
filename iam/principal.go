package iam

import (
	"fmt"
	"strings"
)

// PrincipalKind is the kind of who makes a request.
type PrincipalKind uint8

// The kinds of principal that a request can come from.
const (
	// PrincipalAnonymous gave no credentials.
	PrincipalAnonymous PrincipalKind = iota
	// PrincipalUser is an IAM user.
	PrincipalUser
	// PrincipalRole is any session of a role.
	PrincipalRole
	// PrincipalRoleSession is one session of a role.
	PrincipalRoleSession
	// PrincipalRoot is the root user of an account.
	PrincipalRoot
	// PrincipalFederatedUser is a session from sts:GetFederationToken.
	PrincipalFederatedUser
	// PrincipalProvider is who an OIDC or SAML provider vouches for.
	PrincipalProvider
	// PrincipalService is an AWS service.
	PrincipalService
)

// Principal is who makes a request. Its zero value is anonymous.
type Principal struct {
	Kind PrincipalKind
	// ARN is the text that ParsePrincipal was given: an ARN, a service name, or
	// "anonymous".
	ARN string
	// Account is the 12-digit account, empty for services and anonymous.
	Account   string
	Partition string
	// Name is the name of the user, role or federated user, without its path.
	Name string
	// Session is the name of a role session.
	Session string
}

// anonymous is the caller whom API Gateway shows to a resource policy wherever
// it authorizes in another way than IAM.
var anonymous = Principal{ARN: "anonymous"}

// String returns the principal as AWS's error texts name it.
func (p *Principal) String() string {
	if p.Kind == PrincipalAnonymous {
		return "anonymous"
	}
	return p.ARN
}

// webIdentityProviders are providers that have a name of their own in place of
// an ARN.
var webIdentityProviders = map[string]bool{
	"accounts.google.com":            true,
	"cognito-identity.amazonaws.com": true,
	"graph.facebook.com":             true,
	"www.amazon.com":                 true,
}

// ParsePrincipal reads who makes a request: the ARN of a user, role, role
// session, root user, federated user or identity provider, the name of a
// service, or "anonymous".
func ParsePrincipal(text string) (Principal, error) {
	p := Principal{ARN: text}
	switch {
	case text == "anonymous":
		return anonymous, nil
	case webIdentityProviders[text]:
		p.Kind = PrincipalProvider
		return p, nil
	case isServiceName(text):
		p.Kind = PrincipalService
		return p, nil
	}
	a, ok := cutARN(text)
	if !ok {
		return Principal{}, fmt.Errorf("%q is not a principal: expected an ARN, a service such as apigateway.amazonaws.com, or anonymous", clip(text))
	}
	if !isAccountID(a.account) {
		return Principal{}, fmt.Errorf("%q has no 12-digit account", clip(text))
	}
	p.Account, p.Partition = a.account, a.partition
	kind, name, _ := strings.Cut(a.resource, "/")
	switch a.service + ":" + kind {
	case "iam:root":
		p.Kind = PrincipalRoot
		if a.resource == "root" {
			return p, nil
		}
	case "iam:user":
		p.Kind, p.Name = PrincipalUser, lastSegment(name)
	case "iam:role":
		p.Kind, p.Name = PrincipalRole, lastSegment(name)
	case "iam:oidc-provider", "iam:saml-provider":
		p.Kind, p.Name = PrincipalProvider, name
	case "sts:federated-user":
		p.Kind, p.Name = PrincipalFederatedUser, name
	case "sts:assumed-role":
		p.Kind = PrincipalRoleSession
		p.Name, p.Session, ok = strings.Cut(name, "/")
		if !ok || p.Session == "" || strings.Contains(p.Session, "/") {
			return Principal{}, fmt.Errorf("%q is not a role session: expected assumed-role/ROLE/SESSION, the role without its path", clip(text))
		}
	default:
		return Principal{}, fmt.Errorf("%q cannot make requests: expected a user, role, assumed-role, federated-user, root or identity provider", clip(text))
	}
	if p.Name == "" || strings.ContainsAny(text, "*?") {
		return Principal{}, fmt.Errorf("%q does not name one principal", clip(text))
	}
	return p, nil
}

func isServiceName(text string) bool {
	return !strings.ContainsAny(text, ":/* ") && (strings.HasSuffix(text, ".amazonaws.com") ||
		strings.HasSuffix(text, ".amazonaws.com.cn") || strings.HasSuffix(text, ".aws.internal"))
}

// grant is how a statement's Principal names who makes the request. A resource
// policy that names a session is not limited by what one that names its role is
// limited by, so the kinds are kept apart, as bits.
type grant uint8

const (
	// grantAccount is the account: it delegates to the account's own policies.
	grantAccount grant = 1 << iota
	// grantEveryone is "*".
	grantEveryone
	// grantEveryoneByARN is "*" together with a condition on aws:PrincipalArn.
	grantEveryoneByARN
	// grantRole is the role of a session.
	grantRole
	// grantItself is the user, session, service or provider itself.
	grantItself
)

// principalEntry is one compiled entry of Principal.
type principalEntry struct {
	kind entryKind
	text string // the whole entry, or the account of an account
	// of a role or a user
	account, partition, name string
}

type entryKind uint8

const (
	entryEveryone entryKind = iota
	entryAccount
	entryRole
	entryUser
	entryExact   // a session or federated user
	entryOutside // a service or an identity provider
	entryNever   // forms that AWS does not store, unique ids of deleted principals
)

// compilePrincipals turns the element into entries.
func compilePrincipals(p *Principals) []principalEntry {
	var entries []principalEntry
	if p.Everyone {
		entries = append(entries, principalEntry{kind: entryEveryone})
	}
	for _, text := range p.AWS {
		entries = append(entries, compileAWS(text))
	}
	for _, text := range p.Service {
		entries = append(entries, principalEntry{kind: entryOutside, text: text})
	}
	for _, text := range p.Federated {
		entries = append(entries, principalEntry{kind: entryOutside, text: text})
	}
	return entries
}

// compileAWS reads one entry of Principal.AWS. A wildcard in a part of an ARN is
// not a pattern there: AWS refuses to store it, and it matches no one.
func compileAWS(text string) principalEntry {
	if text == "*" {
		return principalEntry{kind: entryEveryone}
	}
	if isAccountID(text) {
		return principalEntry{kind: entryAccount, text: text}
	}
	p, err := ParsePrincipal(text)
	if err != nil {
		return principalEntry{kind: entryNever}
	}
	switch p.Kind {
	case PrincipalRoot:
		return principalEntry{kind: entryAccount, text: p.Account, partition: p.Partition}
	case PrincipalRole:
		return principalEntry{kind: entryRole, text: text, account: p.Account, partition: p.Partition, name: p.Name}
	case PrincipalUser:
		return principalEntry{kind: entryUser, text: text, account: p.Account, partition: p.Partition, name: strings.TrimPrefix(lastPart(text), "user/")}
	case PrincipalRoleSession, PrincipalFederatedUser:
		return principalEntry{kind: entryExact, text: text}
	default:
		return principalEntry{kind: entryNever}
	}
}

// names tells how the entry names who, 0 if it does not.
func (e *principalEntry) names(who *Principal) grant {
	switch e.kind {
	case entryEveryone:
		return grantEveryone
	case entryAccount:
		if e.text == who.Account && (e.partition == "" || e.partition == who.Partition) {
			return grantAccount
		}
	case entryRole:
		switch who.Kind {
		case PrincipalRole:
			if e.text == who.ARN {
				return grantRole
			}
		case PrincipalRoleSession:
			// The ARN of a session has lost the role's path, and names of roles
			// are unique in an account whatever their path.
			if e.name == who.Name && e.account == who.Account && e.partition == who.Partition {
				return grantRole
			}
		}
	case entryUser:
		if e.text == who.ARN {
			return grantItself
		}
		// The ARN of a federated user does not tell whose session it is; best
		// evidence (the oracle): the user's of the same name. What the user is
		// granted is limited as what a role is.
		if who.Kind == PrincipalFederatedUser && e.name == who.Name && e.account == who.Account && e.partition == who.Partition {
			return grantRole
		}
	case entryExact:
		if e.text == who.ARN {
			return grantItself
		}
	case entryOutside:
		if (who.Kind == PrincipalService || who.Kind == PrincipalProvider) && e.text == who.ARN {
			return grantItself
		}
	}
	return 0
}

// named tells how any of the entries names who.
func named(entries []principalEntry, who *Principal) grant {
	var g grant
	for i := range entries {
		g |= entries[i].names(who)
	}
	return g
}
