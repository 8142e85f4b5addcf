package estate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"github.com/gatehouse-project/gatehouse/account"
)

// WebACL is a web ACL of AWS WAF that stands before a stage.
type WebACL struct {
	ARN  string `json:"arn"`
	Name string `json:"name,omitempty"`
	// DefaultAction is ALLOW or BLOCK: what becomes of a request that no rule decides
	// on.
	DefaultAction string `json:"default_action,omitempty"`
	// Rules are in the order in which AWS WAF asks them.
	Rules []WebACLRule `json:"rules,omitempty"`
	// FirewallManager is set where AWS Firewall Manager made the web ACL, or adds to it.
	FirewallManager bool `json:"firewall_manager,omitempty"`
	// Logs are the ARNs that the web ACL's logs go to; empty: it keeps none.
	Logs []string `json:"logs,omitempty"`
	// LogScope is whose logging it is: CUSTOMER, SECURITY_LAKE or
	// CLOUDWATCH_TELEMETRY_RULE_MANAGED.
	LogScope string `json:"log_scope,omitempty"`
	// LogFilter is what becomes of requests that no filter of the log speaks of: KEEP or
	// DROP; empty: there is no filter, and all are kept.
	LogFilter string `json:"log_filter,omitempty"`
	// Unseen has PartWebACL where all but the ARN was not read, and PartWebACLLogging.
	Unseen []Part `json:"unseen,omitempty"`
}

// WebACLRule is a rule of a web ACL.
type WebACLRule struct {
	Name     string `json:"name"`
	Priority int32  `json:"priority"`
	// Statement is what kind of rule it is: "managed_rule_group", "rule_group",
	// "rate_based", "ip_set", "byte_match", …
	Statement string `json:"statement"`
	// Action is ALLOW, BLOCK, COUNT, CAPTCHA or CHALLENGE; of a group of rules COUNT, or
	// NONE where the group's own actions hold.
	Action string `json:"action,omitempty"`
	// Group is the group of rules: vendor and name ("AWS/AWSManagedRulesCommonRuleSet"),
	// or the ARN of the account's own.
	Group   string `json:"group,omitempty"`
	Version string `json:"version,omitempty"` // empty: the group's default one
	// Overrides are the actions of single rules of the group, where somebody changed
	// them, by the rule's name.
	Overrides map[string]string `json:"overrides,omitempty"`
	// Narrowed is set where the group is asked of a part of the requests alone.
	Narrowed bool `json:"narrowed,omitempty"`
	// FirewallManager is set for a rule that AWS Firewall Manager adds before or after
	// the account's own.
	FirewallManager bool `json:"firewall_manager,omitempty"`
}

// Seen reports whether a part of the web ACL was read whole.
func (w *WebACL) Seen(p Part) bool { return !slices.Contains(w.Unseen, p) }

// webACLs reads the web ACLs that stages of the region have, each once. AWS tells no
// time at which one changed: between two full discoveries only new ones are read.
func (r *regionReader) webACLs(ctx context.Context, apis []API) []WebACL {
	var arns []string
	for i := range apis {
		for j := range apis[i].Stages {
			if arn := apis[i].Stages[j].WebACL; arn != "" {
				arns = append(arns, arn)
			}
		}
	}
	slices.Sort(arns)
	arns = slices.Compact(arns)
	out := make([]WebACL, 0, len(arns))
	for _, arn := range arns {
		out = append(out, r.webACL(ctx, arn))
	}
	return out
}

func (r *regionReader) webACL(ctx context.Context, arn string) WebACL {
	if r.before != nil {
		i, ok := slices.BinarySearchFunc(r.before.WebACLs, arn, func(w WebACL, arn string) int { return cmp.Compare(w.ARN, arn) })
		if ok && len(r.before.WebACLs[i].Unseen) == 0 {
			return r.before.WebACLs[i]
		}
	}
	acl := WebACL{ARN: arn}
	if !strings.Contains(arn, ":wafv2:") {
		acl.Unseen = []Part{PartWebACL, PartWebACLLogging}
		r.noted(Fault{
			What: readWebACL.operation, Error: clipARN(arn) + " is of AWS WAF Classic, which is not read",
			Mend: "move the web ACL to AWS WAF, since AWS has ended AWS WAF Classic", Class: account.Invalid,
		})
		return acl
	}
	out, err := r.waf.GetWebACL(ctx, &wafv2.GetWebACLInput{ARN: aws.String(arn)})
	switch {
	case err != nil:
		acl.Unseen = mark(acl.Unseen, PartWebACL)
		r.missed(readWebACL, err, "")
	case out.WebACL == nil:
		acl.Unseen = mark(acl.Unseen, PartWebACL)
	default:
		acl.rules(out.WebACL)
	}
	if err := r.webACLLogging(ctx, &acl); err != nil {
		acl.Unseen = mark(acl.Unseen, PartWebACLLogging)
		r.missed(readWebACLLogging, err, "")
	}
	return acl
}

func clipARN(arn string) string {
	const most = 200
	if len(arn) > most {
		return arn[:most] + "…"
	}
	return arn
}

// rules sets what a web ACL does.
func (w *WebACL) rules(in *types.WebACL) {
	w.Name = aws.ToString(in.Name)
	w.FirewallManager = in.ManagedByFirewallManager || in.RetrofittedByFirewallManager
	if d := in.DefaultAction; d != nil {
		switch {
		case d.Block != nil:
			w.DefaultAction = "BLOCK"
		case d.Allow != nil:
			w.DefaultAction = "ALLOW"
		}
	}
	managed := func(groups []types.FirewallManagerRuleGroup) []WebACLRule {
		rules := make([]WebACLRule, 0, len(groups))
		for i := range groups {
			g := &groups[i]
			rule := WebACLRule{Name: aws.ToString(g.Name), Priority: g.Priority, Action: overrideText(g.OverrideAction), FirewallManager: true}
			if s := g.FirewallManagerStatement; s != nil {
				rule.statement(&types.Statement{ManagedRuleGroupStatement: s.ManagedRuleGroupStatement, RuleGroupReferenceStatement: s.RuleGroupReferenceStatement})
			}
			rules = append(rules, rule)
		}
		return inOrder(rules)
	}
	own := make([]WebACLRule, 0, len(in.Rules))
	for i := range in.Rules {
		rule := WebACLRule{Name: aws.ToString(in.Rules[i].Name), Priority: in.Rules[i].Priority, Action: actionText(in.Rules[i].Action)}
		if rule.Action == "" {
			rule.Action = overrideText(in.Rules[i].OverrideAction)
		}
		rule.statement(in.Rules[i].Statement)
		own = append(own, rule)
	}
	w.Rules = slices.Concat(managed(in.PreProcessFirewallManagerRuleGroups), inOrder(own), managed(in.PostProcessFirewallManagerRuleGroups))
}

func inOrder(rules []WebACLRule) []WebACLRule {
	slices.SortStableFunc(rules, func(a, b WebACLRule) int { return cmp.Compare(a.Priority, b.Priority) })
	return rules
}

func actionText(a *types.RuleAction) string {
	switch {
	case a == nil:
	case a.Allow != nil:
		return "ALLOW"
	case a.Block != nil:
		return "BLOCK"
	case a.Count != nil:
		return "COUNT"
	case a.Captcha != nil:
		return "CAPTCHA"
	case a.Challenge != nil:
		return "CHALLENGE"
	}
	return ""
}

func overrideText(o *types.OverrideAction) string {
	switch {
	case o == nil:
	case o.Count != nil:
		return "COUNT"
	case o.None != nil:
		return "NONE"
	}
	return ""
}

// statement sets what kind of rule it is. What it looks for is not kept.
func (r *WebACLRule) statement(s *types.Statement) {
	override := func(excluded []types.ExcludedRule, actions []types.RuleActionOverride) {
		// An excluded rule counts: that is how it was said before there were overrides.
		for _, e := range excluded {
			r.Overrides = put(r.Overrides, aws.ToString(e.Name), "COUNT")
		}
		for _, o := range actions {
			r.Overrides = put(r.Overrides, aws.ToString(o.Name), actionText(o.ActionToUse))
		}
	}
	switch {
	case s == nil:
	case s.ManagedRuleGroupStatement != nil:
		g := s.ManagedRuleGroupStatement
		r.Statement, r.Group = "managed_rule_group", aws.ToString(g.VendorName)+"/"+aws.ToString(g.Name)
		r.Version, r.Narrowed = aws.ToString(g.Version), g.ScopeDownStatement != nil
		override(g.ExcludedRules, g.RuleActionOverrides)
	case s.RuleGroupReferenceStatement != nil:
		g := s.RuleGroupReferenceStatement
		r.Statement, r.Group = "rule_group", aws.ToString(g.ARN)
		override(g.ExcludedRules, g.RuleActionOverrides)
	default:
		r.Statement = plainStatement(s)
	}
}

// plainStatement names a statement that is no group of rules.
func plainStatement(s *types.Statement) string {
	for _, kind := range []struct {
		name string
		is   bool
	}{
		{"rate_based", s.RateBasedStatement != nil},
		{"ip_set", s.IPSetReferenceStatement != nil},
		{"geo_match", s.GeoMatchStatement != nil},
		{"asn_match", s.AsnMatchStatement != nil},
		{"byte_match", s.ByteMatchStatement != nil},
		{"regex_match", s.RegexMatchStatement != nil || s.RegexPatternSetReferenceStatement != nil},
		{"size_constraint", s.SizeConstraintStatement != nil},
		{"sql_injection", s.SqliMatchStatement != nil},
		{"cross_site_scripting", s.XssMatchStatement != nil},
		{"label_match", s.LabelMatchStatement != nil},
		{"and", s.AndStatement != nil},
		{"or", s.OrStatement != nil},
		{"not", s.NotStatement != nil},
	} {
		if kind.is {
			return kind.name
		}
	}
	return "other"
}

// webACLLogging reads where the logs go. A web ACL whose owner logs nothing may log to
// Security Lake or by a telemetry rule of CloudWatch, which have configurations of
// their own.
func (r *regionReader) webACLLogging(ctx context.Context, acl *WebACL) error {
	for _, scope := range []types.LogScope{types.LogScopeCustomer, types.LogScopeSecurityLake, types.LogScopeCloudwatchTelemetryRuleManaged} {
		out, err := r.waf.GetLoggingConfiguration(ctx, &wafv2.GetLoggingConfigurationInput{ResourceArn: aws.String(acl.ARN), LogScope: scope})
		if _, none := errors.AsType[*types.WAFNonexistentItemException](err); none {
			continue
		}
		if _, unknown := errors.AsType[*types.WAFInvalidParameterException](err); unknown && scope != types.LogScopeCustomer {
			continue // best evidence: a partition that does not know the scope
		}
		if err != nil {
			return err
		}
		if c := out.LoggingConfiguration; c != nil && len(c.LogDestinationConfigs) > 0 {
			acl.Logs, acl.LogScope = c.LogDestinationConfigs, string(scope)
			if c.LoggingFilter != nil {
				acl.LogFilter = string(c.LoggingFilter.DefaultBehavior)
			}
			return nil
		}
	}
	return nil
}
