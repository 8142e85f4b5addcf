package finding

import "strings"

var wafLogOff = Rule{
	ID: "waf-log-off", Title: "The web ACL keeps no log", Severity: Low, Area: Logging, Of: OfWebACL,
	Types: []APIType{REST},
	Looks: "The logging configuration of the web ACLs that stages have: the account's own, Security Lake's, and that of a telemetry rule.",
	Why:   "What AWS WAF turned away leaves no trace elsewhere: nobody sees an attack, nor the customers that a rule shuts out by mistake.",
	Mend: Mend{
		CLI:       "aws wafv2 put-logging-configuration --region {region} --logging-configuration ResourceArn=arn:aws:wafv2:{region}:{account}:regional/webacl/{name},LogDestinationConfigs=arn:aws:logs:{region}:{account}:log-group:aws-waf-logs-GROUP",
		Terraform: "resource \"aws_wafv2_web_acl_logging_configuration\" \"this\" {\n  resource_arn            = aws_wafv2_web_acl.this.arn\n  log_destination_configs = [aws_cloudwatch_log_group.waf.arn] # its name begins with aws-waf-logs-\n}",
	},
	Peers: Peers{SecurityHub: []string{"WAF.11"}, Prowler: []string{"wafv2_webacl_logging_enabled"}, Checkov: []string{"CKV2_AWS_31"}},
	needs: []Part{PartWebACLLogging},
	check: func(s *scene) Outcome {
		w := s.webACL
		if len(w.Logs) == 0 {
			return failed(fact("logs", "none"), fact("stages", strings.Join(w.Stages, ", ")))
		}
		out := []Evidence{fact("logs", strings.Join(w.Logs, ", "))}
		if w.LogFilter != "" {
			out = append(out, fact("what no filter of the log speaks of", w.LogFilter))
		}
		return passed(out...)
	},
}
