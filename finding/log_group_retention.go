package finding

import "strconv"

var logGroupRetention = Rule{
	ID: "log-group-retention", Title: "The log group keeps its events for ever, or too short", Severity: Low, Area: Logging, Of: OfLogGroup,
	Looks: "The retention of log groups that hold API Gateway's logs: it is set, and is at least 90 days.",
	Why:   "What is kept for ever costs for ever and holds personal data longer than anybody needs; what is gone after days is missing when a breach is found after weeks.",
	Mend: Mend{
		CLI:       "aws logs put-retention-policy --region {region} --log-group-name {name} --retention-in-days 365",
		Terraform: "resource \"aws_cloudwatch_log_group\" \"this\" {\n  name              = \"{name}\"\n  retention_in_days = 365\n}",
	},
	Peers: Peers{Prowler: []string{"cloudwatch_log_group_retention_policy_specific_days_enabled"}, Checkov: []string{"CKV_AWS_66", "CKV_AWS_338"}},
	check: func(s *scene) Outcome {
		switch days := s.group.RetentionDays; {
		case days == 0:
			return failed(fact("retention", "for ever"))
		case days < minRetentionDays:
			return failed(fact("retention", plural(int(days), "day")))
		default:
			return passed(fact("retention", strconv.Itoa(int(days))+" days"))
		}
	},
}

// minRetentionDays is how long a log should be there to look back on.
const minRetentionDays = 90
