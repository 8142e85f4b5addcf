package finding

var logGroupUnencrypted = Rule{
	ID: "log-group-unencrypted", Title: "The log group has no key of its own", Severity: Low, Area: Logging, Of: OfLogGroup,
	Looks: "The KMS key of log groups that hold API Gateway's logs.",
	Why:   "Without a key of yours, whoever may read CloudWatch Logs in the account reads what callers sent; with one, the key's policy has a say too.",
	Mend: Mend{
		CLI:       "aws logs associate-kms-key --region {region} --log-group-name {name} --kms-key-id KEY_ARN",
		Terraform: "resource \"aws_cloudwatch_log_group\" \"this\" {\n  name       = \"{name}\"\n  kms_key_id = aws_kms_key.logs.arn\n}",
	},
	Peers: Peers{Prowler: []string{"cloudwatch_log_group_kms_encryption_enabled"}, Checkov: []string{"CKV_AWS_158"}},
	check: func(s *scene) Outcome {
		if s.group.KMSKey == "" {
			return failed(fact("KMS key", "none"))
		}
		return passed(fact("KMS key", s.group.KMSKey))
	},
}
