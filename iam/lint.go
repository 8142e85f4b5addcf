package iam

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// SeverityError is what does not do what it says.
	SeverityError Severity = "error"
	// SeverityWarning is what allows more, or denies less, than is wise.
	SeverityWarning Severity = "warning"
	// SeverityInfo is what may surprise.
	SeverityInfo Severity = "info"
)

// Finding is a mistake that Lint found: where, what, and how it is mended.
type Finding struct {
	Place
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Mend     string   `json:"mend"`
}

// Lint finds mistakes in a policy document, those that AWS refuses and those that
// it stores in silence. A document that cannot be parsed has one finding, of the
// rule "invalid". Findings are ordered by their place.
func Lint(kind Kind, text []byte) []Finding {
	d, err := Parse(kind, text)
	if e, ok := errors.AsType[*Error](err); ok {
		return []Finding{{Place: e.Place, Rule: "invalid", Severity: SeverityError, Message: e.Message, Mend: e.Hint}}
	}
	return d.Lint()
}

// Lint finds mistakes in a document that Parse returned.
func (d *Document) Lint() []Finding {
	l := &linter{doc: d, variables: d.Version == Version2012}
	l.document()
	for i := range d.Statements {
		l.index, l.statement = i, &d.Statements[i]
		l.sid()
		l.principals()
		l.actions()
		l.resources()
		l.conditions()
		l.trust()
	}
	l.reach()
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l.findings
}

// linter looks at one document, statement by statement.
type linter struct {
	doc       *Document
	variables bool
	index     int
	statement *Statement
	findings  []Finding
}

// report notes a finding at an element of the statement: its name, and below it
// keys and indexes. A value that is not in a list is found at its element.
func (l *linter) report(rule string, severity Severity, at []any, mend, format string, args ...any) {
	n := l.doc.node.member("Statement")
	if n.kind == nodeList {
		n = n.items[l.index]
	}
	for _, step := range at {
		var next *node
		switch step := step.(type) {
		case string:
			next = n.member(step)
		case int:
			if n.kind == nodeList {
				next = n.items[step]
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	l.reportNode(rule, severity, n, mend, format, args...)
}

func (l *linter) reportNode(rule string, severity Severity, n *node, mend, format string, args ...any) {
	p := l.doc.src.place(n)
	l.findings = append(l.findings, Finding{Place: p, Rule: rule, Severity: severity, Message: fmt.Sprintf(format, args...), Mend: mend})
}

// at is the way to an element, for report.
func at(steps ...any) []any { return steps }

func (l *linter) document() {
	root := l.doc.node
	if len(l.doc.Statements) == 0 {
		l.reportNode("empty", SeverityWarning, root.member("Statement"), "write a statement, or detach the policy",
			"the policy says nothing; where it limits, as a boundary or a session policy does, it allows nothing")
	}
	switch l.doc.Version {
	case "":
		l.reportNode("version", SeverityWarning, root, `add "Version": "`+Version2012+`"`, "without Version the policy is read as of %s", Version2008)
	case Version2008:
		l.reportNode("version", SeverityWarning, root.member("Version"), `write "`+Version2012+`"`, "this version knows no policy variables")
	}
	if size, most, unit := l.size(); size > most {
		l.reportNode("size", SeverityError, root, "split it, or use wildcards and shorter Sids", "it has %d %s, and AWS takes %d", size, unit, most)
	}
}

// size measures the document as AWS does for its kind. AWS raises some of these
// limits on request.
func (l *linter) size() (size, most int, unit string) {
	text := l.doc.src.text[l.doc.node.start:l.doc.node.end]
	characters := 0
	for _, r := range text {
		if !strings.ContainsRune(" \t\r\n", r) {
			characters++
		}
	}
	switch l.doc.Kind {
	case KindTrust:
		return characters, 2048, "characters besides blanks"
	case KindSession:
		return len(text), 2048, "characters"
	case KindSCP, KindRCP:
		return len(text), 5120, "bytes"
	case KindVPCEndpoint:
		return len(text), 20480, "characters"
	case KindResource:
		if strings.Contains(text, "execute-api:") {
			return len(text), 8192, "bytes"
		}
		return len(text), 20480, "bytes"
	default:
		return characters, 6144, "characters besides blanks"
	}
}

// values calls f for every entry of Action, NotAction, Resource or NotResource.
func (l *linter) values(element string, list Strings, f func(text string, at []any)) {
	for i, text := range list {
		f(text, at(element, i))
	}
}

// sid: policies in IAM and Organizations have alphanumeric ids; services let their
// resource policies have more.
func (l *linter) sid() {
	if l.doc.Kind != KindResource && l.doc.Kind != KindVPCEndpoint && !isAlphanumeric(l.statement.Sid) {
		l.report("sid", SeverityError, at("Sid"), "use A-Z, a-z and 0-9 alone", "AWS does not take the Sid %q", clip(l.statement.Sid))
	}
}

func (l *linter) principals() {
	s := l.statement
	for element, p := range map[string]*Principals{"Principal": s.Principal, "NotPrincipal": s.NotPrincipal} {
		if p == nil {
			continue
		}
		for i, text := range p.AWS {
			l.awsPrincipal(text, at(element, "AWS", i))
		}
		for i, text := range p.Service {
			if !isServiceName(text) {
				l.report("principal-form", SeverityError, at(element, "Service", i), "write it as apigateway.amazonaws.com",
					"%q is not a service, and matches none", clip(text))
			}
		}
		for i, text := range p.Federated {
			if q, err := ParsePrincipal(text); err != nil || q.Kind != PrincipalProvider {
				l.report("principal-form", SeverityError, at(element, "Federated", i), "write the ARN of an OIDC or SAML provider",
					"%q is not an identity provider, and matches none", clip(text))
			}
		}
	}
	if s.NotPrincipal != nil {
		severity, say := SeverityWarning, "with Deny it must list the account, the role and the session of whom it spares, and denies everyone who has a permissions boundary"
		if s.Effect == Allow {
			severity, say = SeverityError, "with Allow it lets in everyone else, anonymous callers too"
		}
		l.report("not-principal", severity, at("NotPrincipal"), `use "Principal": "*" with ArnNotLike on aws:PrincipalArn`, "NotPrincipal: %s", say)
	}
	if s.Principal == nil || !s.Principal.isEveryone() || s.Effect != Allow || len(s.Condition) > 0 {
		return
	}
	if !slices.ContainsFunc(s.Resource, func(r string) bool { return !strings.Contains(r, "/OPTIONS/") }) && s.Resource != nil {
		return // preflight requests are never signed
	}
	switch l.doc.Kind {
	case KindTrust:
		l.report("open-to-everyone", SeverityError, at("Principal"), "name accounts, roles or services", "everyone in AWS may assume the role")
	case KindResource:
		l.report("open-to-everyone", SeverityWarning, at("Principal"), "name accounts or roles, or add a condition on the network or on aws:PrincipalArn",
			"everyone is let in; anonymous callers too where a method asks for no authorization")
	}
}

func (l *linter) awsPrincipal(text string, place []any) {
	if compileAWS(text).kind != entryNever {
		return
	}
	switch {
	case isUniqueID(text):
		l.report("principal-deleted", SeverityWarning, place, "take it out, or name the new user or role",
			"%s stands for a user or role that was deleted, and matches no one", text)
	case strings.ContainsAny(text, "*?"):
		l.report("principal-wildcard", SeverityError, place, `name the account here, and add "ArnLike": {"aws:PrincipalArn": "`+text+`"}`,
			"a wildcard in a principal matches no one, and AWS does not store it")
	default:
		l.report("principal-form", SeverityError, place, "write an account, or the ARN of a role, user, role session or federated user",
			"%q cannot be a principal of this kind, and matches no one", clip(text))
	}
}

// knownActions are all actions of the services that these policies are about.
var knownActions = map[string][]string{
	"execute-api": {"Invoke", "InvalidateCache", "ManageConnections"},
	"sts": {
		"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "DecodeAuthorizationMessage",
		"GetAccessKeyInfo", "GetCallerIdentity", "GetDelegatedAccessToken", "GetFederationToken", "GetServiceBearerToken",
		"GetSessionToken", "GetWebIdentityToken", "SetContext", "SetSourceIdentity", "TagGetWebIdentityToken", "TagSession",
	},
}

func (l *linter) actions() {
	s := l.statement
	limits := l.doc.Kind == KindSCP || l.doc.Kind == KindBoundary || l.doc.Kind == KindVPCEndpoint || l.doc.Kind == KindRCP
	check := func(text string, place []any) {
		service, name, _ := strings.Cut(strings.ToLower(text), ":")
		if known := knownActions[service]; known != nil {
			p := compilePattern(name, syntax{wildcards: true})
			if !slices.ContainsFunc(known, func(k string) bool { ok, _ := p.match(strings.ToLower(k), nil); return ok }) {
				l.report("unknown-action", SeverityError, place, "known: "+strings.Join(known, ", "), "%s has no action %q", service, clip(name))
			}
		}
		if l.doc.Kind == KindTrust && text != "*" && service != "sts" {
			l.report("unknown-action", SeverityError, place, "use sts:AssumeRole", "a trust policy decides actions of sts alone, not %q", clip(text))
		}
	}
	l.values("Action", s.Action, check)
	l.values("NotAction", s.NotAction, check)
	if s.Effect != Allow || limits {
		return
	}
	if i := slices.Index(s.Action, "*"); i >= 0 {
		l.report("every-action", SeverityWarning, at("Action", i), "name the actions", "every action of every service is allowed")
	}
	if s.NotAction != nil {
		l.report("not-action", SeverityWarning, at("NotAction"), "use Action", "with Allow, NotAction allows all that it does not name, and what AWS will add")
	}
}
