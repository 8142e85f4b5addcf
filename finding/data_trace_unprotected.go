package finding

var dataTraceUnprotected = Rule{
	ID: "data-trace-unprotected", Title: "Whole requests and answers are logged where nothing protects them", Severity: Medium, Area: Logging, Of: OfStage,
	Types: []APIType{REST, WebSocket},
	Looks: "Data trace of the stage and its methods, and the key and data protection policy of the log group that it writes to.",
	Why:   "Data trace writes headers, tokens and bodies into the log group. Who may read the group reads them all, unless a data protection policy masks them and a key of yours says who.",
	Mend: Mend{
		CLI:         "aws logs put-data-protection-policy --region {region} --log-group-identifier API-Gateway-Execution-Logs_{api}/{stage} --policy-document file://policy.json",
		CLIV2:       "aws logs put-data-protection-policy --region {region} --log-group-identifier /aws/apigateway/{api}/{stage} --policy-document file://policy.json",
		Terraform:   "resource \"aws_cloudwatch_log_data_protection_policy\" \"execution\" {\n  log_group_name  = \"API-Gateway-Execution-Logs_{api}/{stage}\"\n  policy_document = data.aws_cloudwatch_log_data_protection_policy_document.this.json\n}",
		TerraformV2: "resource \"aws_cloudwatch_log_data_protection_policy\" \"execution\" {\n  log_group_name  = \"/aws/apigateway/{api}/{stage}\"\n  policy_document = data.aws_cloudwatch_log_data_protection_policy_document.this.json\n}",
	},
	Peers: Peers{Checkov: []string{"CKV_AWS_276"}},
	needs: []Part{PartLogGroups},
	check: func(s *scene) Outcome {
		traced := tracedMethods(s.stage)
		if len(traced) == 0 {
			return passed(fact("data trace", "off"))
		}
		g := s.place.group(s.stage.ExecutionGroup)
		if g == nil {
			return failed(append(traced, fact("log group "+orNone(s.stage.ExecutionGroup), "not made yet; it will have no key and no data protection"))...)
		}
		var bare []Evidence
		if !g.Protected {
			bare = append(bare, fact("data protection policy of "+g.Name, "none that is active"))
		}
		if g.KMSKey == "" {
			bare = append(bare, fact("KMS key of "+g.Name, "none"))
		}
		if len(bare) == 0 {
			return passed(traced...)
		}
		return failed(append(traced, bare...)...)
	},
}

// tracedMethods are the settings of a stage that have data trace on.
func tracedMethods(stage *Stage) []Evidence {
	var out []Evidence
	if stage.DataTrace && stage.settings() == nil {
		out = append(out, fact("data trace", "on"))
	}
	for i := range stage.Settings {
		if stage.Settings[i].DataTrace {
			out = append(out, fact("data trace of "+stage.Settings[i].name(), "on"))
		}
	}
	return out
}
