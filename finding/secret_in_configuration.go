package finding

var secretInConfiguration = Rule{
	ID: "secret-in-configuration", Title: "The configuration holds what looks like a secret", Severity: High, Area: Data, Of: OfAPI,
	Looks: "Stage variables, mapping templates, integration addresses, request parameters and descriptions. Gatehouse keeps the place and never the value.",
	Why:   "Whoever may read the configuration has the secret: it is in exports, in backups, in the state of Terraform and on screens.",
	Mend: Mend{
		CLI:         "aws secretsmanager create-secret --region {region} --name NAME --secret-string file://secret\n# change the secret itself, let the backend read it there, then take it out of the configuration:\naws apigateway update-stage --region {region} --rest-api-id {api} --stage-name STAGE --patch-operations op=remove,path=/variables/VARIABLE",
		CLIV2:       "aws secretsmanager create-secret --region {region} --name NAME --secret-string file://secret\n# change the secret itself, let the backend read it there, then take it out of the configuration",
		Terraform:   "# keep it in aws_secretsmanager_secret, and give the backend its ARN",
		TerraformV2: "# keep it in aws_secretsmanager_secret, and give the backend its ARN",
	},
	Peers: Peers{Prowler: []string{"apigateway_restapi_no_secrets_in_stage_variables"}},
	needs: []Part{PartStages, PartRoutes, PartIntegrations},
	check: func(s *scene) Outcome {
		found := make([]Evidence, 0, len(s.api.Secrets))
		for _, secret := range s.api.Secrets {
			found = append(found, fact(secret.Where, "looks like: "+secret.Kind))
		}
		return failed(found...)
	},
}
