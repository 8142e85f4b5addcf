package iam

import "strings"

// Policy is a compiled policy document. It is immutable; any number of
// goroutines may evaluate it at once.
type Policy struct {
	kind       Kind
	statements []statement
}

// Kind returns what kind of policy it is.
func (p *Policy) Kind() Kind { return p.kind }

// statement is a compiled statement.
type statement struct {
	sid         string
	deny        bool
	notAction   bool
	notResource bool
	// anyResource is set where a statement names no resource, as in a trust
	// policy.
	anyResource bool
	// byPrincipal is set in the kinds that name principals; not for NotPrincipal.
	byPrincipal  bool
	notPrincipal bool
	// byARN is set where a condition asks for an aws:PrincipalArn.
	byARN      bool
	actions    []pattern // lower case
	resources  []resource
	principals []principalEntry
	conditions []condition
}

// resource is one compiled entry of Resource.
type resource struct {
	pattern
	// short is API Gateway's form without the API: execute-api:/STAGE/METHOD/PATH.
	// AWS stores it as the full ARN of the API whose policy it stands in.
	short bool
}

// Compile turns the document into a form that is evaluated fast. A document that
// Parse returned always compiles; one that was built by hand is checked here, and
// the path of an error says where it is wrong.
func (d *Document) Compile() (*Policy, error) {
	p, err := d.compiled()
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (d *Document) compiled() (*Policy, *Error) {
	p := &Policy{kind: d.Kind, statements: make([]statement, len(d.Statements))}
	for i := range d.Statements {
		if err := d.compile(&p.statements[i], &d.Statements[i]); err != nil {
			err.Path = strings.TrimSuffix(indexed("Statement", i)+"."+err.Path, ".")
			return nil, err
		}
	}
	return p, nil
}

func (d *Document) compile(out *statement, s *Statement) *Error {
	if err := checkStatement(d.Kind, s); err != nil {
		return err
	}
	// "Use Version 2012-10-17: without it, variables are treated as literals."
	variables := d.Version == Version2012
	*out = statement{sid: s.Sid, deny: s.Effect == Deny, notAction: s.NotAction != nil, notResource: s.NotResource != nil}

	actions, element := s.Action, "Action"
	if out.notAction {
		actions, element = s.NotAction, "NotAction"
	}
	for i, text := range actions {
		if err := checkAction(text); err != nil {
			err.Path = indexed(element, i)
			return err
		}
		out.actions = append(out.actions, compilePattern(strings.ToLower(text), syntax{wildcards: true}))
	}

	resources, element := s.Resource, "Resource"
	if out.notResource {
		resources, element = s.NotResource, "NotResource"
	}
	out.anyResource = resources == nil
	for i, text := range resources {
		if err := checkResource(d.Kind, text); err != nil {
			err.Path = indexed(element, i)
			return err
		}
		path, short := strings.CutPrefix(text, "execute-api:")
		how := syntax{wildcards: true, variables: variables, resource: !short}
		out.resources = append(out.resources, resource{pattern: compilePattern(path, how), short: short})
		if whole := completeARN(text); whole != text {
			// What is written may also match as it is, by a star at the end of a
			// part.
			out.resources = append(out.resources, resource{pattern: compilePattern(whole, how)})
		}
	}

	switch {
	case s.Principal != nil:
		out.byPrincipal = true
		out.principals = compilePrincipals(s.Principal)
	case s.NotPrincipal != nil:
		out.notPrincipal = true
		out.principals = compilePrincipals(s.NotPrincipal)
	}

	for i, c := range s.Condition {
		o, err := parseOperator(c.Operator)
		if err != nil {
			err.Path = indexed("Condition", i)
			return err
		}
		key := strings.ToLower(c.Key)
		if key == "aws:principalarn" && !o.negated && (o.family == familyARN || o.family == familyString || o.family == familyLike) {
			out.byARN = true
		}
		out.conditions = append(out.conditions, compileCondition(o, key, c, variables))
	}
	return nil
}

// ParseAndCompile is Parse and Compile in one.
func ParseAndCompile(kind Kind, text []byte) (*Policy, error) {
	d, err := Parse(kind, text)
	if err != nil {
		return nil, err
	}
	return d.Compile()
}

// applies reports whether the statement speaks of the request, and how it names
// who made it; 0 means that it does not apply. limited says that who has a
// permissions boundary.
func (s *statement) applies(q *Query, who *Principal, limited bool) grant {
	if s.matchesAction(q) == s.notAction {
		return 0
	}
	g := grantItself
	switch {
	case s.byPrincipal:
		if g = named(s.principals, who); g == 0 {
			return 0
		}
	case s.notPrincipal:
		if s.exempts(who, limited) {
			return 0
		}
		g = grantEveryone
	}
	if !s.matchesResource(q) {
		return 0
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(q) {
			return 0
		}
	}
	if s.byARN && g&grantEveryone != 0 {
		g |= grantEveryoneByARN
	}
	return g
}

func (s *statement) matchesAction(q *Query) bool {
	for i := range s.actions {
		if ok, _ := s.actions[i].match(q.action, q); ok {
			return true
		}
	}
	return false
}

// matchesResource holds Resource and NotResource. A variable without a value
// makes its entry match nothing and, in NotResource, exclude everything, so that
// the statement does not apply either way.
func (s *statement) matchesResource(q *Query) bool {
	if s.anyResource {
		return true
	}
	for i := range s.resources {
		r := &s.resources[i]
		text := q.resource
		if r.short {
			if !q.executeAPI {
				continue
			}
			text = q.route
		}
		matched, ok := r.matchResource(text, q)
		if s.notResource && (matched || !ok) {
			return false
		}
		if !s.notResource && matched {
			return true
		}
	}
	return s.notResource
}

// exempts reports whether NotPrincipal leaves who out.
//
// AWS documents that a Deny must list the account, the role and the session, and
// that it "will always deny any IAM principal that has a permissions boundary".
// What a list of fewer of them does is documented only in part; best evidence
// (the oracle): the principal itself or its role is enough. An account alone is
// not taken to exempt its users and roles, which errs on the side of the Deny.
func (s *statement) exempts(who *Principal, limited bool) bool {
	if s.deny && limited {
		return false
	}
	g := named(s.principals, who)
	if g == grantAccount && s.deny {
		return who.Kind == PrincipalRoot
	}
	return g != 0
}
