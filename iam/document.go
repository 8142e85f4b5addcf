package iam

import (
	"bytes"
	"encoding/json"
)

// Kind is the place of a policy document: what it is attached to decides which
// elements it may hold.
type Kind uint8

// The kinds of policy document.
const (
	// KindIdentity is attached to a user, group or role; also what a Lambda
	// authorizer answers.
	KindIdentity Kind = iota
	// KindResource is attached to a resource, such as a REST API.
	KindResource
	// KindTrust is a role's trust policy, which names no resource: it is the role.
	KindTrust
	// KindBoundary is a permissions boundary.
	KindBoundary
	// KindSession is given when a role is assumed.
	KindSession
	// KindSCP is a service control policy.
	KindSCP
	// KindRCP is a resource control policy.
	KindRCP
	// KindVPCEndpoint is attached to a VPC endpoint.
	KindVPCEndpoint
)

var kindNames = [...]string{
	KindIdentity:    "identity",
	KindResource:    "resource",
	KindTrust:       "trust",
	KindBoundary:    "boundary",
	KindSession:     "session",
	KindSCP:         "scp",
	KindRCP:         "rcp",
	KindVPCEndpoint: "vpc_endpoint",
}

// String returns the kind's name, such as "identity".
func (k Kind) String() string { return kindNames[k] }

// ParseKind reads the name of a kind.
func ParseKind(name string) (Kind, error) {
	for k, n := range kindNames {
		if n == name {
			return Kind(k), nil
		}
	}
	return 0, mistake("", "%q is none of identity, resource, trust, boundary, session, scp, rcp, vpc_endpoint", clip(name))
}

// hasPrincipal reports whether statements of this kind name principals.
func (k Kind) hasPrincipal() bool {
	return k == KindResource || k == KindTrust || k == KindRCP || k == KindVPCEndpoint
}

// Effect is what a statement does.
type Effect string

// The two effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// The versions of the policy language. A document without one has the older,
// which knows no policy variables.
const (
	Version2012 = "2012-10-17"
	Version2008 = "2008-10-17"
)

// Document is a policy document.
type Document struct {
	Kind Kind `json:"-"`
	// Version is Version2012, Version2008, or empty if the document has none.
	Version    string      `json:"Version,omitempty"`
	ID         string      `json:"Id,omitempty"`
	Statements []Statement `json:"Statement"`

	src  *source
	node *node
}

// Statement is one statement. Of each pair X and NotX a valid statement has one;
// the other is nil.
type Statement struct {
	Sid          string      `json:"Sid,omitempty"`
	Effect       Effect      `json:"Effect"`
	Principal    *Principals `json:"Principal,omitempty"`
	NotPrincipal *Principals `json:"NotPrincipal,omitempty"`
	Action       Strings     `json:"Action,omitempty"`
	NotAction    Strings     `json:"NotAction,omitempty"`
	Resource     Strings     `json:"Resource,omitempty"`
	NotResource  Strings     `json:"NotResource,omitempty"`
	Condition    Conditions  `json:"Condition,omitempty"`
}

// Strings is a list that is written as a string where it has one member.
type Strings []string

// MarshalJSON writes one string, or a list of several.
func (s Strings) MarshalJSON() ([]byte, error) {
	switch len(s) {
	case 0:
		return []byte("[]"), nil
	case 1:
		return encode(s[0])
	default:
		return encode([]string(s))
	}
}

// Principals is a Principal or NotPrincipal element.
type Principals struct {
	// Everyone is set for "*"; the rest is then empty.
	Everyone      bool    `json:"-"`
	AWS           Strings `json:"AWS,omitempty"`
	Service       Strings `json:"Service,omitempty"`
	Federated     Strings `json:"Federated,omitempty"`
	CanonicalUser Strings `json:"CanonicalUser,omitempty"`
}

// MarshalJSON writes "*" or the object.
func (p *Principals) MarshalJSON() ([]byte, error) {
	if p.Everyone {
		return []byte(`"*"`), nil
	}
	type plain Principals
	return encode((*plain)(p))
}

// Condition is one operator applied to one key.
type Condition struct {
	Operator string
	Key      string
	Values   Strings
}

// Conditions are the conditions of a statement, all of which must be met.
type Conditions []Condition

// MarshalJSON writes the two-level object, in the order of c.
func (c Conditions) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	done := map[string]bool{}
	for i, first := range c {
		if done[first.Operator] {
			continue
		}
		done[first.Operator] = true
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(mustEncode(first.Operator))
		b.WriteString(":{")
		separator := ""
		for _, same := range c[i:] {
			if same.Operator == first.Operator {
				b.WriteString(separator)
				b.Write(mustEncode(same.Key))
				b.WriteByte(':')
				b.Write(mustEncode(same.Values))
				separator = ","
			}
		}
		b.WriteByte('}')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// JSON returns the document as compact JSON.
func (d *Document) JSON() []byte { return mustEncode(d) }

// Pretty returns the document as indented JSON without a line end behind it.
func (d *Document) Pretty() []byte {
	var b bytes.Buffer
	// What JSON returned is valid.
	_ = json.Indent(&b, d.JSON(), "", "  ")
	return b.Bytes()
}

// encode is json.Marshal without the escapes for HTML, which would make "<" in a
// policy hard to read.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// mustEncode encodes strings and structures of strings, which cannot fail.
func mustEncode(v any) []byte {
	b, _ := encode(v)
	return b
}
