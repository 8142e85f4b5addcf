package iam

import (
	"bytes"
	"strconv"
	"strings"
)

// Case is a policy case: a request and the policies that have a say in it, as
// `gatehouse policy eval` reads them.
type Case struct {
	Query    *Query
	Policies Policies
}

// Cases reads policy cases and keeps what it has compiled, so that a policy that
// comes again is not compiled again. It is not safe for use by several
// goroutines.
type Cases struct {
	compiled map[cacheKey]*Policy
	bytes    int
}

type cacheKey struct {
	kind Kind
	text string
}

// maxCached bounds the texts of the policies that Cases keeps, in bytes.
const maxCached = 16 << 20

// Parse reads one case. line is the number of the text's first line in its
// stream. The errors are of type *Error.
func (c *Cases) Parse(text []byte, line int) (*Case, error) {
	src, err := readJSON(string(bytes.TrimRight(text, " \t\r\n")), line, MaxCaseSize)
	if err != nil {
		return nil, err
	}
	p := caseParser{cases: c, src: src, out: &Case{}}
	if err := p.parse(src.root); err != nil {
		return nil, err
	}
	return p.out, nil
}

// ParseCase reads one case.
func ParseCase(text []byte) (*Case, error) { return new(Cases).Parse(text, 1) }

// Evaluate decides the case into r.
func (c *Case) Evaluate(r *Result) { c.Policies.Evaluate(c.Query, r) }

type caseParser struct {
	cases *Cases
	src   *source
	out   *Case
}

var (
	caseFields = []string{
		"request", "identity_policies", "resource_policy", "permissions_boundary",
		"session_policies", "scps", "rcps", "vpc_endpoint_policy",
	}
	requestFields = []string{
		"principal", "action", "resource", "resource_account", "context", "auth", "api", "endpoint",
		"resource_owner_is_management_account", "service_linked_role",
	}
)

func (p *caseParser) parse(n *node) *Error {
	if n.kind != nodeObject {
		return p.src.at(n, "write several cases one a line", "a policy case is an object, not %s", n.kind)
	}
	if n.member("request") == nil {
		return p.src.at(n, "", "a policy case needs request")
	}
	out := &p.out.Policies
	for i, v := range n.items {
		var err *Error
		switch name := n.keys[i].text; name {
		case "request":
			err = p.request(v)
		case "identity_policies":
			out.Identity, err = p.policies(KindIdentity, name, v)
		case "resource_policy":
			// Of whatever kind: a case may also ask what a trust policy would
			// do that AWS has not stored yet.
			out.Resource, err = p.policy(KindResource, name, v)
		case "permissions_boundary":
			out.Boundary, err = p.policy(KindBoundary, name, v)
		case "session_policies":
			out.Session, err = p.policies(KindSession, name, v)
		case "scps":
			out.SCPs, err = p.levels(KindSCP, name, v)
		case "rcps":
			out.RCPs, err = p.levels(KindRCP, name, v)
		case "vpc_endpoint_policy":
			out.VPCEndpoint, err = p.policy(KindVPCEndpoint, name, v)
		default:
			err = p.unknown(n, i, caseFields)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *caseParser) unknown(n *node, i int, known []string) *Error {
	return (&parser{src: p.src}).unknown(n, i, known)
}

// policy reads one policy; null is an absent layer.
func (p *caseParser) policy(kind Kind, name string, n *node) (Attached, *Error) {
	if n.kind == nodeNull {
		return Attached{}, nil
	}
	policy, err := p.cases.compile(kind, p.src, n)
	return Attached{Name: name, Policy: policy}, err
}

// compile compiles the document at n, or finds it among those compiled before.
func (c *Cases) compile(kind Kind, src *source, n *node) (*Policy, *Error) {
	k := cacheKey{kind, src.text[n.start:n.end]}
	if policy := c.compiled[k]; policy != nil {
		return policy, nil
	}
	d, err := parseDocument(kind, src, n)
	if err != nil {
		return nil, err
	}
	policy, err := d.compiled()
	if err == nil {
		c.keep(k, policy)
	}
	return policy, err
}

// keep remembers a policy, and forgets all others when they are too many. The
// text of k is a part of the case's; keeping that would keep all of the case.
func (c *Cases) keep(k cacheKey, policy *Policy) {
	if c.bytes += len(k.text); c.compiled == nil || c.bytes > maxCached {
		c.compiled, c.bytes = map[cacheKey]*Policy{}, len(k.text)
	}
	k.text = strings.Clone(k.text)
	c.compiled[k] = policy
}

func (p *caseParser) policies(kind Kind, name string, n *node) ([]Attached, *Error) {
	if n.kind == nodeNull {
		return nil, nil
	}
	if n.kind != nodeList {
		return nil, p.src.at(n, "", "expected a list of policies, found %s", n.kind)
	}
	out := make([]Attached, len(n.items))
	for i, v := range n.items {
		policy, err := p.cases.compile(kind, p.src, v)
		if err != nil {
			return nil, err
		}
		out[i] = Attached{Name: indexed(name, i), Policy: policy}
	}
	return out, nil
}

func (p *caseParser) levels(kind Kind, name string, n *node) ([][]Attached, *Error) {
	if n.kind == nodeNull {
		return nil, nil
	}
	if n.kind != nodeList {
		return nil, p.src.at(n, "", "expected a list of levels, found %s", n.kind)
	}
	out := make([][]Attached, len(n.items))
	for i, v := range n.items {
		if v.kind != nodeList {
			return nil, p.src.at(v, "write a list of policies for every level: [[…], […]]", "a level is a list of policies, not %s", v.kind)
		}
		var err *Error
		if out[i], err = p.policies(kind, name+"["+strconv.Itoa(i)+"]", v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *caseParser) request(n *node) *Error {
	if n.kind != nodeObject {
		return p.src.at(n, "", "request is an object, not %s", n.kind)
	}
	var r Request
	for i, v := range n.items {
		var err *Error
		name := n.keys[i].text
		switch name {
		case "principal":
			var text string
			if text, err = p.str(v); err == nil {
				var parseErr error
				if r.Principal, parseErr = ParsePrincipal(text); parseErr != nil {
					err = p.src.at(v, "", "%v", parseErr)
				}
			}
		case "action":
			r.Action, err = p.str(v)
		case "resource":
			r.Resource, err = p.str(v)
		case "resource_account":
			r.ResourceAccount, err = p.optional(v)
		case "context":
			r.Context, err = p.context(v)
		case "auth":
			var text string
			text, err = p.optional(v)
			r.Auth = Auth(text)
		case "api":
			var text string
			text, err = p.optional(v)
			r.API = API(text)
		case "endpoint":
			var text string
			if text, err = p.optional(v); err == nil && text != "" && text != "public" && text != "private" {
				err = p.src.at(v, "", "%q is neither public nor private", clip(text))
			}
			r.Private = text == "private"
		case "resource_owner_is_management_account":
			r.ManagementAccount, err = p.flag(v)
		case "service_linked_role":
			r.ServiceLinkedRole, err = p.flag(v)
		default:
			err = p.unknown(n, i, requestFields)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range requestFields[:3] {
		if n.member(name) == nil {
			return p.src.at(n, "", "request needs %s", name)
		}
	}
	q, err := r.prepare()
	if err != nil {
		return (&parser{src: p.src}).put(err, n)
	}
	p.out.Query = q
	return nil
}

func (p *caseParser) str(n *node) (string, *Error) { return (&parser{src: p.src}).str(n) }

// optional reads a string that may be null.
func (p *caseParser) optional(n *node) (string, *Error) {
	if n.kind == nodeNull {
		return "", nil
	}
	return p.str(n)
}

func (p *caseParser) flag(n *node) (bool, *Error) {
	if n.kind != nodeBool && n.kind != nodeNull {
		return false, p.src.at(n, "", "expected true or false, found %s", n.kind)
	}
	return n.text == "true", nil
}

// context reads the condition keys: a list of values for each, or one value.
// Numbers, true and false may stand without quotes.
func (p *caseParser) context(n *node) (Context, *Error) {
	if n.kind == nodeNull {
		return nil, nil
	}
	if n.kind != nodeObject {
		return nil, p.src.at(n, "", "context is an object of keys, not %s", n.kind)
	}
	out := make(Context, len(n.items))
	for i, v := range n.items {
		values, err := (&parser{src: p.src}).conditionValues(v)
		if err != nil {
			return nil, err
		}
		out[n.keys[i].text] = values
	}
	return out, nil
}
