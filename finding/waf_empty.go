package finding

var wafEmpty = Rule{
	ID: "waf-empty", Title: "The web ACL has no rule", Severity: Medium, Area: Exposure, Of: OfWebACL,
	Types: []APIType{REST},
	Looks: "The rules of the web ACLs that stages have, those of AWS Firewall Manager among them, and the default action.",
	Why:   "A stage with an empty web ACL looks protected and is not: every request passes.",
	Mend: Mend{
		CLI:       "aws wafv2 get-web-acl --region {region} --arn arn:aws:wafv2:{region}:{account}:regional/webacl/{name}   # then update-web-acl with rules and the lock token",
		Terraform: "# in aws_wafv2_web_acl\nrule {\n  name     = \"common\"\n  priority = 1\n  override_action {\n    none {}\n  }\n  statement {\n    managed_rule_group_statement {\n      vendor_name = \"AWS\"\n      name        = \"AWSManagedRulesCommonRuleSet\"\n    }\n  }\n  visibility_config {\n    cloudwatch_metrics_enabled = true\n    metric_name                = \"common\"\n    sampled_requests_enabled   = true\n  }\n}",
	},
	Peers: Peers{SecurityHub: []string{"WAF.10"}, Prowler: []string{"wafv2_webacl_with_rules"}},
	needs: []Part{PartWebACL},
	check: func(s *scene) Outcome {
		if len(s.webACL.Rules) == 0 && s.webACL.DefaultAction != actionBlock {
			return failed(s.webACL.facts()...)
		}
		return passed(s.webACL.facts()...)
	},
}
