package finding

import "strconv"

var logRoleMissing = Rule{
	ID: "log-role-missing", Title: "API Gateway has no role to write execution logs with", Severity: Medium, Area: Logging, Of: OfRegion,
	Looks: "The account's cloudwatchRoleArn in the region, where there are REST or WebSocket APIs.",
	Why:   "Logging that is switched on writes nothing while the account has no role for it, and nothing tells so.",
	Mend: Mend{
		CLI:       "aws apigateway update-account --region {region} --patch-operations op=replace,path=/cloudwatchRoleArn,value=ROLE_ARN",
		Terraform: "resource \"aws_api_gateway_account\" \"this\" {\n  cloudwatch_role_arn = aws_iam_role.api_gateway_logs.arn\n}",
	},
	Peers: Peers{SecurityHub: []string{"APIGateway.1"}},
	needs: []Part{PartAccount, PartREST, PartV2},
	check: func(s *scene) Outcome {
		n := 0
		for i := range s.place.APIs {
			if s.place.APIs[i].Type != HTTP {
				n++
			}
		}
		switch {
		case n == 0:
			return skipped("the region has no REST or WebSocket API")
		case s.place.LogRole == "":
			return failed(fact("cloudwatchRoleArn", "none"), fact("REST and WebSocket APIs", strconv.Itoa(n)))
		}
		return passed(fact("cloudwatchRoleArn", s.place.LogRole))
	},
}
