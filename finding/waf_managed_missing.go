package finding

var wafManagedMissing = Rule{
	ID: "waf-managed-missing", Title: "The web ACL has no managed group of rules", Severity: Low, Area: Exposure, Of: OfWebACL,
	Types: []APIType{REST},
	Looks: "Groups of rules that AWS or another vendor keeps, among a web ACL's rules.",
	Why:   "Attacks change by the week. Rules that one wrote oneself know those of the day on which they were written.",
	Mend: Mend{
		CLI:       "aws wafv2 get-web-acl --region {region} --arn arn:aws:wafv2:{region}:{account}:regional/webacl/{name}   # then update-web-acl with AWSManagedRulesCommonRuleSet and the lock token",
		Terraform: "# in a rule of aws_wafv2_web_acl\noverride_action {\n  none {}\n}\nstatement {\n  managed_rule_group_statement {\n    vendor_name = \"AWS\"\n    name        = \"AWSManagedRulesCommonRuleSet\"\n  }\n}",
	},
	Peers: Peers{Prowler: []string{"wafv2_webacl_with_rules"}},
	needs: []Part{PartWebACL},
	check: func(s *scene) Outcome {
		if why := s.webACL.idle(); why != "" {
			return skipped(why)
		}
		if len(s.webACL.groups()) > 0 {
			return passed(s.webACL.facts()...)
		}
		return failed(s.webACL.facts()...)
	},
}
