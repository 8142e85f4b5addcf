package finding

// acl gives the stage a web ACL.
func acl(change ...func(*WebACL)) func(*world) {
	return func(w *world) {
		a := WebACL{ARN: "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/shop/1", Stages: []string{"prod of api1"}, DefaultAction: "ALLOW"}
		for _, c := range change {
			c(&a)
		}
		w.place.WebACLs = append(w.place.WebACLs, a)
		if w.stage != nil {
			w.stage.WebACL = a.ARN
		}
	}
}

func defaultBlock(a *WebACL) { a.DefaultAction = "BLOCK" }

func ruled(rules ...WebACLRule) func(*WebACL) {
	return func(a *WebACL) { a.Rules = append(a.Rules, rules...) }
}

func logged(filter string) func(*WebACL) {
	return func(a *WebACL) { a.Logs, a.LogFilter = []string{"arn:group"}, filter }
}

func aclUnseen(p Part) func(*WebACL) { return func(a *WebACL) { a.Unseen = []Part{p} } }

var (
	blockOffice = WebACLRule{Name: "office", Statement: "ip_set", Action: "BLOCK"}
	allowOffice = WebACLRule{Name: "office", Statement: "ip_set", Action: "ALLOW"}
	countRate   = WebACLRule{Name: "rate", Statement: "rate_based", Action: "COUNT"}
	common      = WebACLRule{Name: "common", Statement: "managed_rule_group", Action: "NONE", Group: "AWS/AWSManagedRulesCommonRuleSet"}
	badInputs   = WebACLRule{Name: "bad", Statement: "managed_rule_group", Action: "NONE", Group: knownBadInputs}
	ownRules    = WebACLRule{Name: "ours", Statement: "rule_group", Action: "NONE", Group: "arn:group"}
	vendor      = WebACLRule{Name: "vendor", Statement: "managed_rule_group", Action: "NONE", Group: "Vendor/Everything"}
)

func counting(r WebACLRule) WebACLRule { r.Action = "COUNT"; return r }

func narrowed(r WebACLRule) WebACLRule { r.Narrowed = true; return r }

func overridden(r WebACLRule, name, action string) WebACLRule {
	r.Overrides = map[string]string{name: action}
	return r
}

var webACLRuleCases = []ruleCase{
	{"waf-log-off", REST, "none", acl(ruled(common)), Fail},
	{"waf-log-off", REST, "a log", acl(ruled(common), logged("")), Pass},
	{"waf-log-off", REST, "a log with a filter", acl(ruled(common), logged("DROP")), Pass},
	{"waf-log-off", REST, "the rules are not seen, the log is", acl(logged(""), aclUnseen(PartWebACL)), Pass},
	{"waf-log-off", REST, "not seen", acl(aclUnseen(PartWebACLLogging)), NotSeen},
	{"waf-log-off", REST, "no web ACL", nothing, NotApplicable},

	{"waf-empty", REST, "empty", acl(), Fail},
	{"waf-empty", REST, "empty, and blocks", acl(defaultBlock), Pass},
	{"waf-empty", REST, "a rule that counts", acl(ruled(countRate)), Pass},
	{"waf-empty", REST, "not seen", acl(aclUnseen(PartWebACL)), NotSeen},

	{"waf-blocks-nothing", REST, "counts", acl(ruled(countRate, counting(common), counting(ownRules))), Fail},
	{"waf-blocks-nothing", REST, "allows before a default that allows", acl(ruled(allowOffice)), Fail},
	{"waf-blocks-nothing", REST, "allows before a default that blocks", acl(defaultBlock, ruled(allowOffice)), NotApplicable},
	{"waf-blocks-nothing", REST, "one blocks", acl(ruled(countRate, blockOffice)), Pass},
	{"waf-blocks-nothing", REST, "a group whose actions hold", acl(ruled(countRate, common)), Pass},
	{"waf-blocks-nothing", REST, "a challenge", acl(ruled(WebACLRule{Name: "bots", Statement: "label_match", Action: "CHALLENGE"})), Pass},
	{"waf-blocks-nothing", REST, "empty", acl(), NotApplicable},

	{"waf-managed-missing", REST, "own rules alone", acl(ruled(blockOffice, ownRules)), Fail},
	{"waf-managed-missing", REST, "AWS's", acl(ruled(blockOffice, common)), Pass},
	{"waf-managed-missing", REST, "another vendor's", acl(ruled(vendor)), Pass},
	{"waf-managed-missing", REST, "a list of who may", acl(defaultBlock, ruled(allowOffice)), NotApplicable},

	{"waf-log4j-missing", REST, "another group", acl(ruled(common)), Fail},
	{"waf-log4j-missing", REST, "known bad inputs", acl(ruled(common, badInputs)), Pass},
	// A group that is named in the configuration is taken for protection by others,
	// whatever is made of it.
	{"waf-log4j-missing", REST, "that count", acl(ruled(counting(badInputs))), Fail},
	{"waf-log4j-missing", REST, "without the rules on Log4j", acl(ruled(overridden(badInputs, "Log4JRCE_HEADER", "COUNT"))), Fail},
	{"waf-log4j-missing", REST, "with another rule that counts", acl(ruled(overridden(badInputs, "Host_localhost_HEADER", "COUNT"))), Pass},
	{"waf-log4j-missing", REST, "of a part of the requests", acl(ruled(narrowed(badInputs))), Fail},
	{"waf-log4j-missing", REST, "counts once and blocks once", acl(ruled(counting(badInputs), badInputs)), Pass},
	{"waf-log4j-missing", REST, "another vendor's, of which nothing is known", acl(ruled(vendor)), NotSeen},
	{"waf-log4j-missing", REST, "empty", acl(), NotApplicable},
}
