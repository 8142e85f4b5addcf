package finding

import "strings"

var wafLog4jMissing = Rule{
	ID: "waf-log4j-missing", Title: "The web ACL lets attacks on Log4j pass", Severity: Medium, Area: Exposure, Of: OfWebACL,
	Types: []APIType{REST},
	Looks: "AWSManagedRulesKnownBadInputsRuleSet among a web ACL's rules: whether its own actions hold, those of its Log4JRCE rules too, and for all requests.",
	Why:   "One line in a header is enough to run code in a backend, or in anything behind it, that logs with an old Log4j. It is tried against every address of the internet all the time.",
	Mend: Mend{
		CLI:       "aws wafv2 get-web-acl --region {region} --arn arn:aws:wafv2:{region}:{account}:regional/webacl/{name}   # then update-web-acl with AWSManagedRulesKnownBadInputsRuleSet, OverrideAction None, and the lock token",
		Terraform: "# in a rule of aws_wafv2_web_acl\noverride_action {\n  none {}\n}\nstatement {\n  managed_rule_group_statement {\n    vendor_name = \"AWS\"\n    name        = \"AWSManagedRulesKnownBadInputsRuleSet\"\n  }\n}",
	},
	Peers: Peers{Checkov: []string{"CKV2_AWS_77", "CKV_AWS_192"}},
	needs: []Part{PartWebACL},
	check: func(s *scene) Outcome {
		if why := s.webACL.idle(); why != "" {
			return skipped(why)
		}
		var weak []Evidence
		other := ""
		for _, r := range s.webACL.groups() {
			if r.Group != knownBadInputs {
				if !strings.HasPrefix(r.Group, "AWS/") && r.blocks() {
					other = r.Group
				}
				continue
			}
			why := r.withoutLog4j()
			if why == "" {
				return passed(r.fact())
			}
			weak = append(weak, fact("rule "+r.Name, why))
		}
		switch {
		case other != "":
			return unseen("whether the rules of " + other + " know Log4j is not told by AWS")
		case len(weak) > 0:
			return failed(weak...)
		}
		return failed(fact(knownBadInputs, "is not among the rules"))
	},
}

const knownBadInputs = "AWS/AWSManagedRulesKnownBadInputsRuleSet"

// withoutLog4j says why the group of known bad inputs does not turn away attacks on
// Log4j; "": it does.
func (r *WebACLRule) withoutLog4j() string {
	switch {
	case !r.blocks():
		return "only counts"
	case r.Narrowed:
		return "is asked of a part of the requests alone"
	}
	for name, action := range r.Overrides {
		if strings.HasPrefix(name, "Log4JRCE") && (action == actionCount || action == "ALLOW") {
			return "its rules on Log4j only count"
		}
	}
	return ""
}
