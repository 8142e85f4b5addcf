package iam

import (
	"slices"
	"strings"
)

func (l *linter) resources() {
	s := l.statement
	l.values("Resource", s.Resource, l.resource)
	l.values("NotResource", s.NotResource, l.resource)
	if s.Effect == Allow && l.doc.Kind == KindIdentity && slices.ContainsFunc(s.Action, isExecuteAPI) {
		if i := slices.Index(s.Resource, "*"); i >= 0 {
			l.report("api-wildcard", SeverityWarning, at("Resource", i), "write arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH",
				"every API of every account may be called")
		}
	}
}

func (l *linter) resource(text string, place []any) {
	l.variablesIn(text, place, true)
	route, short := strings.CutPrefix(text, "execute-api:")
	if short {
		l.route(route, place)
		return
	}
	a, ok := cutARN(completeARN(text))
	if !ok || a.service != "execute-api" {
		return
	}
	if strings.HasPrefix(a.resource, "/") {
		return // a domain
	}
	api, route, _ := strings.Cut(a.resource, "/")
	if l.statement.Effect == Allow {
		switch {
		case strings.ContainsAny(api, "*?"):
			l.report("api-wildcard", SeverityWarning, place, "write the id of the API in the place of "+api,
				"%q stands where the id of an API belongs: every API of the account is meant", clip(api))
		case strings.ContainsAny(a.account, "*?") || a.account == "":
			l.report("account-wildcard", SeverityWarning, place, "write the account of the API", "the account of the API is left open")
		}
	}
	l.route("/"+route, place)
}

// route looks at "/STAGE/METHOD/PATH". A route that a wildcard cuts short is
// fine.
func (l *linter) route(text string, place []any) {
	parts := strings.SplitN(text, "/", 4) // the first is empty
	if len(parts) > 2 && !strings.ContainsAny(parts[1], "*") {
		method := parts[2]
		switch {
		case method == "ANY":
			l.report("method", SeverityError, place, "write * in its place", "ANY matches nothing: an ARN holds the method of the request")
		case strings.ContainsAny(method, "*?$") || strings.HasPrefix(method, "@"), len(parts) == 3:
		case slices.Contains(httpMethods, strings.ToUpper(method)) && !slices.Contains(httpMethods, method):
			l.report("method", SeverityError, place, "write "+strings.ToUpper(method), "the method %q matches nothing: case matters", method)
		case !slices.Contains(httpMethods, method):
			l.report("method", SeverityError, place, "write the ARN as API/STAGE/METHOD/PATH", "%q stands where the method belongs", clip(method))
		}
	}
	if len(parts) > 3 {
		switch path := parts[3]; {
		case strings.HasPrefix(path, "/"):
			l.report("path", SeverityError, place, "take one slash out", "the path has two slashes in front, and matches nothing")
		case strings.Contains(withoutVariables(path), "{"):
			l.report("path", SeverityError, place, "write * in the place of {…}", "a template matches nothing: an ARN holds the path of the request")
		}
	}
}

// withoutVariables cuts policy variables out.
func withoutVariables(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if _, size := cutVariable("${" + rest); size > 0 {
			rest = rest[size-2:]
		}
		text = rest
	}
}

// variablesIn looks at the policy variables of a text.
func (l *linter) variablesIn(text string, place []any, inResource bool) {
	from := strings.Index(text, "${")
	if from < 0 {
		return
	}
	if !l.variables {
		l.report("variable-version", SeverityError, place, `write "Version": "`+Version2012+`"`, "without that version ${…} is plain text")
		return
	}
	if inResource && strings.HasPrefix(text, "arn:") && strings.Count(text[:from], ":") < 5 {
		l.report("variable-place", SeverityError, place, "write the account or region out, or use a condition", "a variable before the fifth colon of an ARN never has a value, and the entry matches nothing")
	}
	for rest := text[from:]; ; {
		t, size := cutVariable(rest)
		switch {
		case size == 0:
			l.report("variable-form", SeverityError, place, "close it with }", "a policy variable does not end, and is plain text")
			return
		case t.kind == tokenVariable && !strings.Contains(t.text, ":"):
			l.report("variable-form", SeverityError, place, "write it as ${aws:username} or ${aws:username, 'default'}", "a policy variable names no condition key, and never has a value")
		}
		next := strings.Index(rest[size:], "${")
		if next < 0 {
			return
		}
		rest = rest[size+next:]
	}
}

// reach finds statements that can have no effect: those that can match nothing,
// and those that another one makes superfluous.
func (l *linter) reach() {
	for i := range l.doc.Statements {
		l.index, l.statement = i, &l.doc.Statements[i]
		s := l.statement
		severity := SeverityWarning
		if s.Effect == Deny {
			severity = SeverityError
		}
		if why := neverMatches(s); why != "" {
			l.report("never-matches", severity, nil, "mend what never matches, or take the statement out", "the statement never applies: %s", why)
			continue
		}
		for j := range l.doc.Statements {
			o := &l.doc.Statements[j]
			if i == j || !covers(o, s) || covers(s, o) && i < j {
				continue
			}
			if o.Effect == s.Effect {
				l.report("superfluous", SeverityInfo, nil, "take it out", "statement %d says all that this one says", j)
				break
			}
			if o.Effect == Deny {
				l.report("unreachable", SeverityWarning, nil, "take one of them out", "statement %d denies all that this one allows", j)
				break
			}
		}
	}
}

// neverMatches says why a statement can match no request, or nothing.
func neverMatches(s *Statement) string {
	if s.Principal != nil {
		entries := compilePrincipals(s.Principal)
		if !slices.ContainsFunc(entries, func(e principalEntry) bool { return e.kind != entryNever }) {
			return "no entry of Principal can match"
		}
	}
	if s.Action != nil && s.Resource != nil && !slices.ContainsFunc(s.Action, func(action string) bool {
		return slices.ContainsFunc(s.Resource, func(resource string) bool { return sameService(action, resource) })
	}) {
		return "its actions are of other services than its resources"
	}
	if slices.Contains(s.NotAction, "*") {
		return "NotAction leaves every action out"
	}
	if slices.Contains(s.NotResource, "*") {
		return "NotResource leaves every resource out"
	}
	absent, present := map[string]bool{}, map[string]bool{}
	for _, c := range s.Condition {
		o, _ := parseOperator(c.Operator)
		key := strings.ToLower(c.Key)
		switch {
		case o.family == familyNull && len(c.Values) == 1 && strings.EqualFold(c.Values[0], "true"):
			absent[key] = true
		case o.family != familyNull && !o.negated && !o.ifExists && o.quantifier != quantifierAll:
			present[key] = true
		}
	}
	for key := range absent {
		if present[key] {
			return key + " must be absent and have a value"
		}
	}
	return ""
}

// sameService reports whether an action can be of a resource's service. Some
// services act on resources of another: an iam role is what sts assumes.
func sameService(action, resource string) bool {
	service, _, isOne := strings.Cut(strings.ToLower(action), ":")
	if !isOne || resource == "*" {
		return true
	}
	if strings.HasPrefix(resource, "execute-api:") {
		return service == "execute-api"
	}
	a, _ := cutARN(completeARN(resource))
	switch service {
	case "execute-api", "s3", "sqs", "sns", "kms", "eks", "dynamodb", "lambda":
		return a.service == service || a.service == "" || a.service == "*"
	}
	return true
}

// covers reports whether a statement without conditions speaks of all that
// another speaks of.
func covers(a, b *Statement) bool {
	if len(a.Condition) > 0 || a.NotAction != nil || a.NotResource != nil || a.NotPrincipal != nil ||
		b.NotAction != nil || b.NotResource != nil || b.NotPrincipal != nil {
		return false
	}
	if b.Principal != nil && !a.Principal.isEveryone() {
		same := func(x, y Strings) bool {
			return !slices.ContainsFunc(y, func(t string) bool { return !slices.Contains(x, t) })
		}
		if b.Principal.isEveryone() || !same(a.Principal.AWS, b.Principal.AWS) || !same(a.Principal.Service, b.Principal.Service) ||
			!same(a.Principal.Federated, b.Principal.Federated) {
			return false
		}
	}
	return coversAll(a.Action, b.Action, true) && coversAll(a.Resource, b.Resource, false)
}

func coversAll(a, b Strings, fold bool) bool {
	return !slices.ContainsFunc(b, func(text string) bool {
		return !slices.ContainsFunc(a, func(wide string) bool {
			if fold {
				text, wide = strings.ToLower(text), strings.ToLower(wide)
			}
			if wide == text || wide == "*" {
				return true
			}
			// A pattern whose only wildcards are stars covers what it matches as
			// text, wildcards of the other included.
			if strings.Contains(wide, "?") || strings.Contains(wide, "${") {
				return false
			}
			p := compilePattern(wide, syntax{wildcards: true, resource: !fold})
			return matchTokens(p.tokens, text)
		})
	})
}
