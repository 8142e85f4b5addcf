package finding

import "strings"

var functionPublic = Rule{
	ID: "function-public", Title: "Everybody may invoke the function behind the API", Severity: Critical, Area: Exposure, Of: OfFunction,
	Looks: "The resource policies of the Lambda functions that APIs call, and of their versions and aliases: whether they let a role of a stranger's account invoke.",
	Why:   "Whoever has an AWS account goes round the gateway: its authorizer, its limits, its web ACL and its logs see nothing of the call, and the function takes what he sends for an event of API Gateway's.",
	Mend: Mend{
		CLI:       "aws lambda get-policy --region {region} --function-name {name}\naws lambda remove-permission --region {region} --function-name {name} --statement-id STATEMENT   # --qualifier for a version or alias",
		Terraform: "resource \"aws_lambda_permission\" \"api\" {\n  action        = \"lambda:InvokeFunction\"\n  function_name = \"{name}\"\n  principal     = \"apigateway.amazonaws.com\"\n  source_arn    = \"${aws_api_gateway_rest_api.this.execution_arn}/*\"\n}",
	},
	Peers: Peers{SecurityHub: []string{"Lambda.1"}, Prowler: []string{"awslambda_function_not_publicly_accessible"}, Checkov: []string{"CKV_AWS_301"}},
	needs: []Part{PartFunctionPolicy},
	check: func(s *scene) Outcome {
		return s.judgeVersions(
			func(*FunctionVersion) ([]invocation, error) { return s.strangers("lambda:InvokeFunction", false, nil) },
			func(v *FunctionVersion, _ *invocation, by []string) Evidence {
				return fact("resource policy of "+v.Name, "lets a stranger invoke it by "+strings.Join(by, ", "))
			})
	},
}
