package finding

var wafBlocksNothing = Rule{
	ID: "waf-blocks-nothing", Title: "No rule of the web ACL turns a request away", Severity: Medium, Area: Exposure, Of: OfWebACL,
	Types: []APIType{REST},
	Looks: "The actions of a web ACL's rules and of its groups of rules, and its default action. Rules that count or allow, before a default that allows, let everything pass.",
	Why:   "Counting is for trying out rules. A web ACL that was left so reports attacks and stops none of them.",
	Mend: Mend{
		CLI:       "aws wafv2 get-web-acl --region {region} --arn arn:aws:wafv2:{region}:{account}:regional/webacl/{name}   # then update-web-acl with OverrideAction None, or Action Block, and the lock token",
		Terraform: "# in the rules of aws_wafv2_web_acl: for a group of rules\noverride_action {\n  none {}\n}\n# for a rule of its own\naction {\n  block {}\n}",
	},
	Peers: Peers{Prowler: []string{"wafv2_webacl_with_rules"}},
	needs: []Part{PartWebACL},
	check: func(s *scene) Outcome {
		w := s.webACL
		if why := w.idle(); why != "" {
			return skipped(why)
		}
		for i := range w.Rules {
			if w.Rules[i].blocks() {
				return passed(w.facts()...)
			}
		}
		return failed(w.facts()...)
	},
}
