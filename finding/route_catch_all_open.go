package finding

var routeCatchAllOpen = Rule{
	ID: "route-catch-all-open", Title: "Anybody may call every path", Severity: Critical, Area: Auth, Of: OfRoute,
	Types: []APIType{REST, HTTP},
	Looks: "The authorization of $default and {proxy+} routes and, for a REST API, whether the resource policy lets a stranger in.",
	Why:   "A route that takes every path hands all of the backend to whoever calls, the parts too that were never meant to be reached.",
	Mend: Mend{
		CLI:         "aws apigateway update-method --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method} --patch-operations op=replace,path=/authorizationType,value=AWS_IAM\naws apigateway create-deployment --region {region} --rest-api-id {api} --stage-name STAGE",
		CLIV2:       "aws apigatewayv2 update-route --region {region} --api-id {api} --route-id {route_id} --authorization-type JWT --authorizer-id AUTHORIZER",
		Terraform:   "# in aws_api_gateway_method of {name}\nauthorization = \"AWS_IAM\" # or name the paths that are meant",
		TerraformV2: "# in aws_apigatewayv2_route of {name}\nauthorization_type = \"JWT\" # or name the paths that are meant\nauthorizer_id      = aws_apigatewayv2_authorizer.this.id",
	},
	Peers: Peers{SecurityHub: []string{"APIGateway.8"}, Checkov: []string{"CKV_AWS_59", "CKV_AWS_309"}, KICS: []string{"open_access"}},
	needs: []Part{PartStages},
	check: func(s *scene) Outcome {
		if !s.route.catchAll() {
			return skipped("the route takes the paths that it names")
		}
		return s.openRoute()
	},
}
