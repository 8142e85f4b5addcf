package finding

import "github.com/gatehouse-project/gatehouse/iam"

var privatePolicyOpen = Rule{
	ID: "private-policy-open", Title: "The private API lets every VPC in", Severity: High, Area: Auth, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "Whether the resource policy of a private API lets a stranger in who comes from a VPC endpoint of his own account.",
	Why:   "A private API is reached through any VPC endpoint of the region, other accounts' too. Only a condition on aws:SourceVpce or aws:SourceVpc, or a named principal, keeps it private.",
	Mend: Mend{
		CLI:       "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations 'op=replace,path=/policy,value=POLICY'   # POLICY: StringEquals aws:SourceVpce\naws apigateway create-deployment --region {region} --rest-api-id {api} --stage-name STAGE",
		Terraform: "# in each allowing statement of aws_iam_policy_document\ncondition {\n  test     = \"StringEquals\"\n  variable = \"aws:SourceVpce\"\n  values   = [aws_vpc_endpoint.execute_api.id]\n}",
	},
	Peers: Peers{Checkov: []string{"CKV2_AWS_70"}},
	needs: []Part{PartRoutes, PartStages},
	check: func(s *scene) Outcome {
		switch {
		case !s.api.private():
			return skipped("the API is not private")
		case s.api.Policy == "":
			return skipped("there is no resource policy, which private-policy-missing tells")
		case len(s.api.Stages) == 0:
			return skipped("the API has no stage, so nobody can call it")
		}
		d, err := newDoor(s)
		if err != nil {
			return unseen(err.Error())
		}
		var open []Evidence
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			if r.preflight() || r.Authorization == "AWS_IAM" {
				continue // policy-any-account asks for those
			}
			a, err := d.try(r, iam.AuthNone)
			if err != nil {
				return unseen(err.Error())
			}
			if a.open {
				open = append(open, fact("route "+r.Name(), a.evidence().Value))
			}
		}
		return failed(open...)
	},
}
