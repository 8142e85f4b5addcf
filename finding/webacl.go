package finding

import (
	"slices"
	"strings"
)

// WebACL is a web ACL of AWS WAF that stages have.
type WebACL struct {
	ARN string
	// Stages are those that have it, for people: "prod of orders".
	Stages []string
	// DefaultAction is ALLOW or BLOCK.
	DefaultAction string
	Rules         []WebACLRule // in the order in which AWS WAF asks them
	// Logs are the ARNs that its logs go to, and LogFilter what becomes of requests that
	// no filter of the log speaks of: KEEP, DROP, or empty where nothing is filtered.
	Logs      []string
	LogFilter string
	Unseen    []Part
}

// WebACLRule is a rule of a web ACL.
type WebACLRule struct {
	Name string
	// Statement is what kind of rule it is: "managed_rule_group", "rule_group",
	// "rate_based", …
	Statement string
	// Action is ALLOW, BLOCK, COUNT, CAPTCHA or CHALLENGE; of a group COUNT, or NONE
	// where the group's own actions hold.
	Action string
	Group  string // "AWS/AWSManagedRulesCommonRuleSet", or the ARN of the account's own
	// Overrides are the actions of single rules of the group that were changed.
	Overrides map[string]string
	Narrowed  bool // the group is asked of a part of the requests alone
}

const (
	managedGroup = "managed_rule_group"
	ownGroup     = "rule_group"
	actionBlock  = "BLOCK"
	actionCount  = "COUNT"
	actionNone   = "NONE"
)

// title is the web ACL's name and id.
func (w *WebACL) title() string {
	_, tail, ok := strings.Cut(w.ARN, ":regional/webacl/")
	if !ok {
		return w.ARN
	}
	return tail
}

// blocks reports whether the rule can turn a request away. A group whose own actions
// hold can, though what its rules do is not read.
func (r *WebACLRule) blocks() bool {
	switch r.Action {
	case actionBlock, actionNone, "CAPTCHA", "CHALLENGE":
		return true
	}
	return false
}

// fact is what the rule is and does.
func (r *WebACLRule) fact() Evidence {
	what := r.Statement
	if r.Group != "" {
		what += " " + r.Group
	}
	return fact("rule "+r.Name, what+", action "+orNone(r.Action))
}

// facts are the web ACL's default action, its stages, and its rules.
func (w *WebACL) facts() []Evidence {
	out := make([]Evidence, 0, 2+len(w.Rules))
	out = append(out, fact("default action", orNone(w.DefaultAction)), fact("stages", strings.Join(w.Stages, ", ")))
	for i := range w.Rules {
		out = append(out, w.Rules[i].fact())
	}
	return out
}

// idle says why the questions about a web ACL's rules make no sense; "": they do.
func (w *WebACL) idle() string {
	switch {
	case w.DefaultAction == actionBlock:
		return "the web ACL blocks all that no rule allows"
	case len(w.Rules) == 0:
		return "the web ACL has no rule, which waf-empty tells"
	}
	return ""
}

// groups are the rules that ask a group of rules that somebody else keeps up to date.
func (w *WebACL) groups() []WebACLRule {
	return slices.DeleteFunc(slices.Clone(w.Rules), func(r WebACLRule) bool { return r.Statement != managedGroup })
}
