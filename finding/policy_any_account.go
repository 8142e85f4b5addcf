package finding

var policyAnyAccount = Rule{
	ID: "policy-any-account", Title: "The resource policy lets every AWS account in", Severity: High, Area: Auth, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "Methods with IAM authorization, and whether the resource policy lets a role of a stranger's account call them.",
	Why:   "IAM authorization proves who calls and not that he may: a policy that allows everybody lets each of the world's AWS accounts in.",
	Mend: Mend{
		CLI:       "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations 'op=replace,path=/policy,value=POLICY'   # POLICY: name accounts, roles or aws:PrincipalOrgID\naws apigateway create-deployment --region {region} --rest-api-id {api} --stage-name STAGE",
		Terraform: "data \"aws_iam_policy_document\" \"callers\" {\n  statement {\n    actions   = [\"execute-api:Invoke\"]\n    resources = [\"execute-api:/*\"]\n    principals {\n      type        = \"AWS\"\n      identifiers = [\"arn:aws:iam::{account}:root\"]\n    }\n  }\n}",
	},
	Peers: Peers{Checkov: []string{"CKV2_AWS_70"}, Prowler: []string{"apigateway_restapi_public"}},
	needs: []Part{PartRoutes, PartStages},
	check: func(s *scene) Outcome {
		if s.api.Policy == "" {
			return skipped("the API has no resource policy, so callers of other accounts are refused")
		}
		d, err := newDoor(s)
		if err != nil {
			return unseen(err.Error())
		}
		byIAM := 0
		var open []Evidence
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			if r.Authorization != "AWS_IAM" {
				continue
			}
			byIAM++
			a, err := s.strangersByIAM(d, r)
			if err != nil {
				return unseen(err.Error())
			}
			if a.open {
				open = append(open, fact("route "+r.Name(), a.evidence().Value))
			}
		}
		switch {
		case byIAM == 0:
			return skipped("no method has IAM authorization")
		case len(s.api.Stages) == 0:
			return skipped("the API has no stage, so nobody can call it")
		}
		return failed(open...)
	},
}
