package iam

import (
	"slices"
	"strings"
)

// Parse reads a policy document strictly: unknown elements, duplicate keys,
// wrong types, and what AWS refuses to store are errors of type *Error, with
// path, line and column. A document whose Statement is an empty list is valid
// and says nothing.
//
// Two things that AWS refuses are taken as they are, because they mean what they
// say, and Lint reports them: a principal ARN with a wildcard, which matches no
// one, and a Sid with other characters than AWS takes.
func Parse(kind Kind, text []byte) (*Document, error) {
	src, err := readJSON(string(text), 1, MaxDocumentSize)
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(kind, src, src.root)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// parser reads one document out of a tree.
type parser struct {
	src  *source
	kind Kind
	sids map[string]bool
}

func parseDocument(kind Kind, src *source, n *node) (*Document, *Error) {
	p := parser{src: src, kind: kind, sids: map[string]bool{}}
	if n.kind != nodeObject {
		return nil, src.at(n, "", "a policy document is an object, not %s", n.kind)
	}
	if n.end-n.start > MaxDocumentSize {
		return nil, src.at(n, "", "it is too large: %d bytes, at most %d are read", n.end-n.start, MaxDocumentSize)
	}
	d := &Document{Kind: kind, Statements: []Statement{}, src: src, node: n}
	var statements *node
	for i, v := range n.items {
		var err *Error
		switch n.keys[i].text {
		case "Version":
			d.Version, err = p.str(v)
			if err == nil && d.Version != Version2012 && d.Version != Version2008 {
				err = src.at(v, `write "`+Version2012+`"`, "%q is not a version of the policy language", clip(d.Version))
			}
		case "Id":
			d.ID, err = p.str(v)
		case "Statement":
			statements = v
		default:
			err = p.unknown(n, i, []string{"Version", "Id", "Statement"})
		}
		if err != nil {
			return nil, err
		}
	}
	if statements == nil {
		return nil, src.at(n, "", "a policy document needs Statement")
	}
	list := []*node{statements}
	if statements.kind == nodeList {
		list = statements.items
	}
	for _, s := range list {
		st, err := p.statement(s)
		if err != nil {
			return nil, err
		}
		d.Statements = append(d.Statements, st)
	}
	return d, nil
}

var statementElements = []string{
	"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}

func (p *parser) unknown(n *node, i int, known []string) *Error {
	hint := "known here: " + strings.Join(known, ", ")
	for _, k := range known {
		if strings.EqualFold(k, n.keys[i].text) {
			hint = "write " + k
		}
	}
	return p.src.atKey(n, i, hint, "unknown element %q", clip(n.keys[i].text))
}

func (p *parser) statement(n *node) (Statement, *Error) {
	var s Statement
	if n.kind != nodeObject {
		return s, p.src.at(n, "", "a statement is an object, not %s", n.kind)
	}
	for i, v := range n.items {
		var err *Error
		switch n.keys[i].text {
		case "Sid":
			s.Sid, err = p.sid(v)
		case "Effect":
			s.Effect, err = p.effect(v)
		case "Principal":
			s.Principal, err = p.principals(v)
		case "NotPrincipal":
			s.NotPrincipal, err = p.principals(v)
		case "Action":
			s.Action, err = p.list(v, checkAction)
		case "NotAction":
			s.NotAction, err = p.list(v, checkAction)
		case "Resource":
			s.Resource, err = p.list(v, p.checkResource)
		case "NotResource":
			s.NotResource, err = p.list(v, p.checkResource)
		case "Condition":
			s.Condition, err = p.conditions(v)
		default:
			err = p.unknown(n, i, statementElements)
		}
		if err != nil {
			return s, err
		}
	}
	if err := checkStatement(p.kind, &s); err != nil {
		return s, p.put(err, n)
	}
	return s, nil
}

// put gives an error about an element of a statement the element's place.
func (p *parser) put(err *Error, n *node) *Error {
	if v := n.member(err.Path); v != nil {
		n = v
	}
	return p.src.put(err, n)
}

// checkStatement holds the rules about which elements stand together. The path
// of an error is the element at fault, or empty.
func checkStatement(kind Kind, s *Statement) *Error {
	at := func(element, hint, format string, args ...any) *Error {
		e := mistake(hint, format, args...)
		e.Path = element
		return e
	}
	switch {
	case s.Effect == "":
		return at("", `add "Effect": "Allow" or "Effect": "Deny"`, "a statement needs Effect")
	case s.Action != nil && s.NotAction != nil:
		return at("NotAction", "keep one of them", "a statement has Action or NotAction, not both")
	case s.Action == nil && s.NotAction == nil:
		return at("", "", "a statement needs Action or NotAction")
	case s.Resource != nil && s.NotResource != nil:
		return at("NotResource", "keep one of them", "a statement has Resource or NotResource, not both")
	case s.Principal != nil && s.NotPrincipal != nil:
		return at("NotPrincipal", "keep one of them", "a statement has Principal or NotPrincipal, not both")
	}
	hasPrincipal, hasResource := s.Principal != nil || s.NotPrincipal != nil, s.Resource != nil || s.NotResource != nil
	principalElement := "Principal"
	if s.NotPrincipal != nil {
		principalElement = "NotPrincipal"
	}
	resourceElement := "Resource"
	if s.NotResource != nil {
		resourceElement = "NotResource"
	}
	switch {
	case hasPrincipal && !kind.hasPrincipal():
		return at(principalElement, "take it out: the policy applies to what it is attached to", "%s names no principal", kind.describe())
	case !hasPrincipal && kind.hasPrincipal():
		return at("", `add "Principal": {"AWS": "arn:aws:iam::ACCOUNT:role/NAME"}`, "%s needs Principal", kind.describe())
	case hasResource && kind == KindTrust:
		return at(resourceElement, "take it out: the resource is the role itself", "a trust policy names no resource")
	case !hasResource && kind != KindTrust && kind != KindResource:
		return at("", `add "Resource"`, "a statement needs Resource or NotResource")
	case !hasResource && kind == KindResource && (slices.ContainsFunc(s.Action, isExecuteAPI) || slices.ContainsFunc(s.NotAction, isExecuteAPI)):
		return at("", `add "Resource": "execute-api:/*"`, "a statement needs Resource or NotResource")
	case s.NotPrincipal != nil && (kind == KindTrust || kind == KindRCP):
		return at("NotPrincipal", "use Principal", "%s knows no NotPrincipal", kind.describe())
	case kind == KindRCP && !s.Principal.isEveryone():
		return at("Principal", `write "Principal": "*" and choose by Condition`, `a resource control policy applies to "*"`)
	case kind == KindRCP && s.NotAction != nil:
		return at("NotAction", "list the actions in Action", "a resource control policy knows no NotAction")
	case kind == KindRCP && s.Effect == Deny && slices.Contains(s.Action, "*"):
		return at("Action", `name services, as in "s3:*"`, `"*" alone is not an action of a resource control policy`)
	case kind == KindRCP && s.Effect == Allow && !isFullAccess(s):
		return at("Effect", "use Deny; RCPFullAWSAccess allows the rest", "a resource control policy only denies")
	}
	return nil
}

func isExecuteAPI(action string) bool {
	return len(action) > 12 && strings.EqualFold(action[:12], "execute-api:")
}

// isFullAccess recognizes the statement of RCPFullAWSAccess.
func isFullAccess(s *Statement) bool {
	return slices.Equal(s.Action, Strings{"*"}) && slices.Equal(s.Resource, Strings{"*"}) && len(s.Condition) == 0
}

func (p *Principals) isEveryone() bool {
	return p.Everyone || slices.Equal(p.AWS, Strings{"*"}) && len(p.Service)+len(p.Federated)+len(p.CanonicalUser) == 0
}

// describe names the kind in a sentence.
func (k Kind) describe() string {
	return [...]string{
		"an identity-based policy", "a resource-based policy", "a trust policy", "a permissions boundary",
		"a session policy", "a service control policy", "a resource control policy", "a VPC endpoint policy",
	}[k]
}

func (p *parser) str(n *node) (string, *Error) {
	if n.kind != nodeString {
		return "", p.src.at(n, "", "expected a string, found %s", n.kind)
	}
	return n.text, nil
}

func (p *parser) sid(n *node) (string, *Error) {
	sid, err := p.str(n)
	if err != nil || sid == "" {
		return "", err
	}
	if p.sids[sid] {
		return "", p.src.at(n, "give every statement its own Sid, or none", "the Sid %q is there twice", clip(sid))
	}
	p.sids[sid] = true
	return sid, nil
}

func isAlphanumeric(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

func (p *parser) effect(n *node) (Effect, *Error) {
	text, err := p.str(n)
	if err == nil && text != string(Allow) && text != string(Deny) {
		err = p.src.at(n, "case matters", "Effect is Allow or Deny, not %q", clip(text))
	}
	return Effect(text), err
}

// list reads a string or a list of strings, which must not be empty.
func (p *parser) list(n *node, check func(string) *Error) (Strings, *Error) {
	items := []*node{n}
	if n.kind == nodeList {
		items = n.items
		if len(items) == 0 {
			return nil, p.src.at(n, "", "the list is empty")
		}
	}
	out := make(Strings, len(items))
	for i, v := range items {
		if v.kind != nodeString {
			return nil, p.src.at(v, "", "expected a string, found %s", v.kind)
		}
		if err := check(v.text); err != nil {
			return nil, p.src.put(err, v)
		}
		out[i] = v.text
	}
	return out, nil
}

// checkAction holds the form of an action: "*" or service:name, with wildcards
// in the name alone.
func checkAction(text string) *Error {
	if text == "*" {
		return nil
	}
	service, name, ok := strings.Cut(text, ":")
	switch {
	case !ok || service == "" || name == "":
		return mistake(`write it as "execute-api:Invoke", or "*"`, "%q is not an action", clip(text))
	case !isAlphanumeric(strings.ReplaceAll(service, "-", "")):
		return mistake("name the service; wildcards stand in the name of the action alone", "the service of the action %q holds other than letters, digits and hyphens", clip(text))
	case strings.ContainsAny(name, ": \t\n"):
		return mistake("", "%q is not an action", clip(text))
	}
	return nil
}

// checkResource holds the form of a resource: "*", an ARN whose service has no
// wildcard or, in a resource policy, API Gateway's short form.
func (p *parser) checkResource(text string) *Error { return checkResource(p.kind, text) }

func checkResource(kind Kind, text string) *Error {
	if text == "*" {
		return nil
	}
	if rest, ok := strings.CutPrefix(text, "execute-api:"); ok && kind == KindResource {
		if !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "*") {
			return mistake(`write it as "execute-api:/STAGE/METHOD/PATH"`, "%q is not a resource of this API", clip(text))
		}
		return nil
	}
	rest, ok := strings.CutPrefix(text, "arn:")
	if !ok {
		return mistake("", `the resource %q is neither an ARN nor "*"`, clip(text))
	}
	_, rest, _ = strings.Cut(rest, ":")
	service, _, _ := strings.Cut(rest, ":")
	if strings.ContainsAny(service, "*?") {
		return mistake("name the service, as in arn:aws:execute-api:…", "the service of the resource %q has a wildcard", clip(text))
	}
	return nil
}

func (p *parser) principals(n *node) (*Principals, *Error) {
	if n.kind == nodeString {
		if n.text == "*" {
			return &Principals{Everyone: true}, nil
		}
		return nil, p.src.at(n, `write {"AWS": "…"} or {"Service": "…"}`, `a principal that is a string is "*", not %q`, clip(n.text))
	}
	if n.kind != nodeObject {
		return nil, p.src.at(n, "", `expected "*" or an object, found %s`, n.kind)
	}
	if len(n.items) == 0 {
		return nil, p.src.at(n, "", "it names no one")
	}
	out := &Principals{}
	for i, v := range n.items {
		var err *Error
		switch n.keys[i].text {
		case "AWS":
			out.AWS, err = p.list(v, checkAWSPrincipal)
		case "Service":
			out.Service, err = p.list(v, checkNotEmpty)
		case "Federated":
			out.Federated, err = p.list(v, checkNotEmpty)
		case "CanonicalUser":
			out.CanonicalUser, err = p.list(v, checkNotEmpty)
		default:
			err = p.src.atKey(n, i, "known here: AWS, Service, Federated, CanonicalUser", "unknown kind of principal %q", clip(n.keys[i].text))
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkAWSPrincipal holds the form of an entry of Principal.AWS.
func checkAWSPrincipal(text string) *Error {
	if text == "*" || isAccountID(text) || strings.HasPrefix(text, "arn:") || isUniqueID(text) {
		return nil
	}
	return mistake("write an account id, or the ARN of a role, user or session", "%q is not an AWS principal", clip(text))
}

// isUniqueID recognizes the id that IAM puts in the place of a principal that was
// deleted.
func isUniqueID(text string) bool {
	return len(text) >= 16 && isAlphanumeric(text) && (strings.HasPrefix(text, "AIDA") || strings.HasPrefix(text, "AROA"))
}

func checkNotEmpty(text string) *Error {
	if text == "" {
		return mistake("", "it is empty")
	}
	return nil
}

func (p *parser) conditions(n *node) (Conditions, *Error) {
	if n.kind != nodeObject {
		return nil, p.src.at(n, "", "Condition is an object, not %s", n.kind)
	}
	var out Conditions
	for i, block := range n.items {
		name := n.keys[i].text
		if _, err := parseOperator(name); err != nil {
			placed := p.src.atKey(n, i, err.Hint, "%s", err.Message)
			return nil, placed
		}
		if block.kind != nodeObject {
			return nil, p.src.at(block, `write {"`+clip(name)+`": {"key": "value"}}`, "expected an object of keys, found %s", block.kind)
		}
		for j, v := range block.items {
			if block.keys[j].text == "" {
				return nil, p.src.atKey(block, j, "", "a condition key is empty")
			}
			values, err := p.conditionValues(v)
			if err != nil {
				return nil, err
			}
			out = append(out, Condition{Operator: name, Key: block.keys[j].text, Values: values})
		}
	}
	return out, nil
}

// conditionValues reads one value or a list. Numbers, true and false may stand
// without quotes.
func (p *parser) conditionValues(n *node) (Strings, *Error) {
	items := []*node{n}
	if n.kind == nodeList {
		items = n.items
	}
	out := make(Strings, len(items))
	for i, v := range items {
		switch v.kind {
		case nodeString, nodeNumber, nodeBool:
			out[i] = v.text
		default:
			return nil, p.src.at(v, "", "expected a value, found %s", v.kind)
		}
	}
	return out, nil
}
