package finding

var webSocketOpen = Rule{
	ID: "websocket-open", Title: "Anybody may connect to the WebSocket API", Severity: High, Area: Auth, Of: OfAPI,
	Types: []APIType{WebSocket},
	Looks: "The authorization of $connect, which holds for all other routes of the connection.",
	Why:   "Who may connect may send to every route. API Gateway asks at $connect and never again, and without a $connect route it lets everybody in.",
	Mend: Mend{
		CLI:       "aws apigatewayv2 get-routes --region {region} --api-id {api}\naws apigatewayv2 update-route --region {region} --api-id {api} --route-id CONNECT_ROUTE --authorization-type AWS_IAM",
		Terraform: "resource \"aws_apigatewayv2_route\" \"connect\" {\n  api_id             = \"{api}\"\n  route_key          = \"$connect\"\n  authorization_type = \"AWS_IAM\" # or CUSTOM with authorizer_id\n}",
	},
	Peers: Peers{SecurityHub: []string{"APIGateway.8"}, Prowler: []string{"apigatewayv2_api_authorizers_enabled"}, Checkov: []string{"CKV_AWS_309"}, CloudSploit: []string{"v2 authorizer"}},
	needs: []Part{PartRoutes},
	check: func(s *scene) Outcome {
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			if r.Path != "$connect" {
				continue
			}
			switch {
			case r.Authorization == "":
				return unseen("AWS told no authorization of $connect")
			case r.Authorization != "NONE":
				return passed(fact("authorization of $connect", r.Authorization))
			case r.KeyRequired:
				return skipped("$connect asks for an API key, which route-key-only tells")
			}
			return failed(fact("authorization of $connect", "NONE"))
		}
		if len(s.api.Routes) == 0 {
			return skipped("the API has no route")
		}
		return failed(fact("$connect", "there is no such route, so everybody may connect"))
	},
}
