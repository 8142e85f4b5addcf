package finding

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

var functionAnyGateway = Rule{
	ID: "function-any-gateway", Title: "Every AWS customer's API may call the function", Severity: High, Area: Exposure, Of: OfFunction,
	Looks: "The resource policies of the Lambda functions that APIs call: whether they let API Gateway in for an API of a stranger's account, for want of a condition on aws:SourceArn or aws:SourceAccount.",
	Why:   "API Gateway calls for whoever makes an API in his own account and names the function as its backend: without the account in the permission, that is everybody, and past this API's authorizer.",
	Mend: Mend{
		CLI:       "aws lambda remove-permission --region {region} --function-name {name} --statement-id STATEMENT\naws lambda add-permission --region {region} --function-name {name} --statement-id STATEMENT --action lambda:InvokeFunction --principal apigateway.amazonaws.com --source-arn arn:aws:execute-api:{region}:{account}:API/*",
		Terraform: "# in aws_lambda_permission\nprincipal  = \"apigateway.amazonaws.com\"\nsource_arn = \"${aws_api_gateway_rest_api.this.execution_arn}/*\"",
	},
	Peers: Peers{Prowler: []string{"awslambda_function_not_publicly_accessible"}, Checkov: []string{"CKV_AWS_301", "CKV_AWS_364"}},
	needs: []Part{PartFunctionPolicy},
	check: func(s *scene) Outcome {
		if s.known(&s.function.public, functionPublic.check) == Fail {
			return skipped("everybody may invoke the function, which function-public tells")
		}
		return s.judgeVersions(
			func(v *FunctionVersion) ([]invocation, error) {
				account, _, err := s.function.strangerOf(s.place.Partition)
				if err != nil {
					return nil, err
				}
				return s.gateways(v, account)
			}, gatewayEvidence)
	},
}

var functionOtherAPI = Rule{
	ID: "function-other-api", Title: "Other APIs of the account may call the function", Severity: Low, Area: Exposure, Of: OfFunction,
	Looks: "The resource policies of the Lambda functions that APIs call: whether they let API Gateway in for another API of the same account than those that call it.",
	Why:   "Whoever may make an API in the account reaches the function by one without an authorizer, though he may not invoke the function himself.",
	Mend: Mend{
		CLI:       "aws lambda remove-permission --region {region} --function-name {name} --statement-id STATEMENT\naws lambda add-permission --region {region} --function-name {name} --statement-id STATEMENT --action lambda:InvokeFunction --principal apigateway.amazonaws.com --source-arn arn:aws:execute-api:{region}:{account}:API/*",
		Terraform: "# in aws_lambda_permission\nprincipal  = \"apigateway.amazonaws.com\"\nsource_arn = \"${aws_api_gateway_rest_api.this.execution_arn}/*\"",
	},
	needs: []Part{PartFunctionPolicy},
	check: func(s *scene) Outcome {
		if s.known(&s.function.public, functionPublic.check) == Fail || s.known(&s.function.anyGateway, functionAnyGateway.check) == Fail {
			return skipped("API Gateway may call it for every account, which function-public or function-any-gateway tells")
		}
		return s.judgeVersions(func(v *FunctionVersion) ([]invocation, error) { return s.gateways(v, s.place.Account) }, gatewayEvidence)
	},
}

func gatewayEvidence(v *FunctionVersion, t *invocation, by []string) Evidence {
	return fact("resource policy of "+v.Name, "lets in "+t.context["aws:SourceArn"][0]+" by "+strings.Join(by, ", "))
}

// otherAPI is the id of an API that calls no function.
const otherAPI = "0therap1id"

// gateways are invocations by API Gateway for an API of an account that does not call
// the function. They come from the stages, methods and paths that a route can have, and
// from those that the policy speaks of.
func (s *scene) gateways(v *FunctionVersion, account string) ([]invocation, error) {
	who, err := iam.ParsePrincipal("apigateway.amazonaws.com")
	if err != nil {
		return nil, err
	}
	partition := s.place.Partition
	if partition == "" {
		partition = "aws"
	}
	stem := "arn:" + partition + ":execute-api:" + s.place.Region + ":" + account + ":" + otherAPI
	sources := []string{stem + "/prod/GET/", stem + "/prod/POST/pets", stem + "/$default/GET/pets", stem + "/authorizers/abc123"}
	for _, pattern := range sourcePatterns(v.Policy) {
		if arn := sourceLike(pattern, partition, s.place.Region, account); arn != "" && len(sources) < sourcesAtMost {
			sources = append(sources, arn)
		}
	}
	out := make([]invocation, 0, len(sources))
	for _, arn := range sources {
		out = append(out, invocation{who, "lambda:InvokeFunction", iam.Context{
			"aws:SourceArn": {arn}, "aws:SourceAccount": {account}, "aws:PrincipalServiceName": {"apigateway.amazonaws.com"}, "aws:PrincipalIsAWSService": {"true"},
		}, nil})
	}
	return out, nil
}

// sourcesAtMost bounds the APIs that are tried with one policy.
const sourcesAtMost = 50

// sourcePatterns are what a policy asks of aws:SourceArn.
func sourcePatterns(policy string) []string {
	doc, err := iam.Parse(iam.KindResource, []byte(policy))
	if err != nil {
		return nil // allowed says so
	}
	var out []string
	for _, statement := range doc.Statements {
		for _, c := range statement.Condition {
			if strings.EqualFold(c.Key, "aws:SourceArn") {
				out = append(out, c.Values...)
			}
		}
	}
	return out
}

// sourceLike is the ARN of a call of an account's API that fits a pattern as far as
// that leaves open which account and which API it is; "" where it names them.
func sourceLike(pattern, partition, region, account string) string {
	part := strings.SplitN(pattern, ":", 6)
	if len(part) != 6 {
		return "" // "*" and its like: the plain tries show what they let in
	}
	open := func(text string) bool { return strings.ContainsAny(text, "*?") }
	api, rest, found := strings.Cut(part[5], "/")
	if !open(api) || !open(part[4]) && part[4] != account {
		return ""
	}
	if !found {
		rest = "prod/GET/pets"
	}
	if open(part[3]) {
		part[3] = region
	}
	rest = strings.NewReplacer("*", "x", "?", "x").Replace(rest)
	return strings.Join([]string{"arn", partition, "execute-api", part[3], account, otherAPI + "/" + rest}, ":")
}
