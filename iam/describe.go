package iam

import (
	"fmt"
	"strings"
)

// Sentence is one statement of a policy in prose.
type Sentence struct {
	Statement int    `json:"statement"`
	Sid       string `json:"sid,omitempty"`
	Effect    Effect `json:"effect"`
	Who       string `json:"who"`
	Actions   string `json:"actions"`
	Resources string `json:"resources"`
	If        string `json:"if,omitempty"`
	// Text is all of it as one sentence.
	Text string `json:"text"`
}

// Describe tells each statement of a policy in prose.
func Describe(d *Document) []Sentence {
	out := make([]Sentence, len(d.Statements))
	for i := range d.Statements {
		s := &d.Statements[i]
		t := Sentence{Statement: i, Sid: s.Sid, Effect: s.Effect, Who: describeWho(d.Kind, s), If: describeConditions(s.Condition)}
		t.Actions = describeActions(s.Action, false)
		if s.NotAction != nil {
			t.Actions = describeActions(s.NotAction, true)
		}
		t.Resources = describeResources(d.Kind, s)
		verb := "Allows"
		if s.Effect == Deny {
			verb = "Denies"
		}
		t.Text = fmt.Sprintf("%s %s %s on %s", verb, t.Who, t.Actions, t.Resources)
		if t.If != "" {
			t.Text += ", if " + t.If
		}
		t.Text += "."
		out[i] = t
	}
	return out
}

func describeWho(kind Kind, s *Statement) string {
	switch {
	case s.NotPrincipal != nil:
		return "everyone but " + describePrincipals(s.NotPrincipal)
	case s.Principal != nil:
		return describePrincipals(s.Principal)
	case kind == KindSCP:
		return "every principal of the account"
	case kind == KindSession:
		return "the session"
	default:
		return "the principal that has it"
	}
}

func describePrincipals(p *Principals) string {
	if p.Everyone {
		return "everyone (anonymous callers too)"
	}
	var parts []string
	for _, text := range p.AWS {
		switch e := compileAWS(text); e.kind {
		case entryEveryone:
			parts = append(parts, "everyone (anonymous callers too)")
		case entryAccount:
			parts = append(parts, "account "+e.text+" (as far as its own policies allow)")
		case entryRole:
			parts = append(parts, "every session of role "+text)
		case entryNever:
			parts = append(parts, text+" (which matches no one)")
		default:
			parts = append(parts, text)
		}
	}
	for _, text := range p.Service {
		parts = append(parts, "the service "+text)
	}
	for _, text := range p.Federated {
		parts = append(parts, "whom "+text+" vouches for")
	}
	for _, text := range p.CanonicalUser {
		parts = append(parts, "the canonical user "+text)
	}
	return join(parts, "and")
}

func describeActions(actions []string, not bool) string {
	text := "to perform " + join(actions, "and")
	if len(actions) == 1 && actions[0] == "*" {
		text = "to do anything"
	}
	if not {
		return "to do anything but " + join(actions, "and")
	}
	return text
}

func describeResources(kind Kind, s *Statement) string {
	switch {
	case s.NotResource != nil:
		return "everything but " + join(s.NotResource, "and")
	case s.Resource == nil && kind == KindTrust:
		return "the role"
	case s.Resource == nil:
		return "the resource"
	}
	parts := make([]string, len(s.Resource))
	for i, text := range s.Resource {
		parts[i] = describeResource(text)
	}
	return join(parts, "and")
}

// describeResource says what an execute-api ARN means; another resource is left
// as it is.
func describeResource(text string) string {
	if text == "*" {
		return "every resource"
	}
	var route string
	api := "this API"
	if short, ok := strings.CutPrefix(text, "execute-api:"); ok {
		route = strings.TrimPrefix(short, "/")
	} else {
		a, ok := cutARN(completeARN(text))
		if !ok || a.service != "execute-api" || strings.HasPrefix(a.resource, "/") {
			return text
		}
		api, route, _ = strings.Cut(a.resource, "/")
		switch {
		case api == "*" && route == "":
			api = "every API"
			route = "*"
		case api == "*":
			api = "every API"
		default:
			api = "API " + api
		}
		api += " of " + oneOrEvery(a.account, "account") + " in " + oneOrEvery(a.region, "region")
	}
	parts := strings.SplitN(route, "/", 3)
	switch {
	case route == "*":
		return api + ", every stage, method and path"
	case len(parts) == 3:
		return fmt.Sprintf("%s, %s, %s, %s", api, oneOrEvery(parts[0], "stage"), oneOrEvery(parts[1], "method"), oneOrEvery("/"+parts[2], "path"))
	case len(parts) == 2 && parts[1] == "*":
		return fmt.Sprintf("%s, %s, every method and path", api, oneOrEvery(parts[0], "stage"))
	default:
		return api + ", what matches " + route
	}
}

func oneOrEvery(text, what string) string {
	if text == "*" || text == "/*" {
		return "every " + what
	}
	return what + " " + text
}

// operatorWords say an operator between a key and its values.
var operatorWords = map[string]string{
	"StringEquals": "is", "StringNotEquals": "is not",
	"StringEqualsIgnoreCase": "is, in any case,", "StringNotEqualsIgnoreCase": "is not, in any case,",
	"StringLike": "is like", "StringNotLike": "is not like",
	"ArnEquals": "is like", "ArnLike": "is like", "ArnNotEquals": "is not like", "ArnNotLike": "is not like",
	"NumericEquals": "is", "NumericNotEquals": "is not", "NumericLessThan": "is less than", "NumericLessThanEquals": "is at most",
	"NumericGreaterThan": "is more than", "NumericGreaterThanEquals": "is at least",
	"DateEquals": "is", "DateNotEquals": "is not", "DateLessThan": "is before", "DateLessThanEquals": "is not after",
	"DateGreaterThan": "is after", "DateGreaterThanEquals": "is not before",
	"Bool": "is", "BinaryEquals": "is", "IpAddress": "is in", "NotIpAddress": "is not in", "Null": "is absent:",
}

func describeConditions(conditions Conditions) string {
	var parts []string
	for _, c := range conditions {
		o, err := parseOperator(c.Operator)
		if err != nil {
			continue // a document that was parsed has none
		}
		word := "or"
		if o.negated {
			word = "nor"
		}
		text := c.Key + " " + operatorWords[o.name] + " " + join(c.Values, word)
		switch o.quantifier {
		case quantifierAll:
			text = "every value of " + text
		case quantifierAny:
			text = "some value of " + text
		}
		if o.family == familyNull {
			text = c.Key + " is absent"
			if strings.EqualFold(strings.Join(c.Values, ""), "false") {
				text = c.Key + " is present"
			}
		}
		if o.ifExists {
			text += " (or the key is absent)"
		}
		parts = append(parts, text)
	}
	return join(parts, "and")
}

// join makes "a, b and c" of a list.
func join(parts []string, word string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " " + word + " " + parts[len(parts)-1]
}
