package finding

import (
	"slices"
	"strings"
)

var corsAnyOrigin = Rule{
	ID: "cors-any-origin", Title: "Pages of every origin may read the answers", Severity: Low, Area: Exposure, Of: OfAPI,
	Types: []APIType{REST, HTTP},
	Looks: "The allowed origins of an HTTP API's CORS, and the Access-Control-Allow-Origin that a REST API's methods and gateway responses set.",
	Why:   "Every page that a user visits may call the API from his browser and read what it answers, inside a company network too. For an API of public data that is meant.",
	Mend: Mend{
		CLI:         "aws apigateway update-integration-response --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --status-code 200 --patch-operations \"op=replace,path=/responseParameters/method.response.header.Access-Control-Allow-Origin,value='https://app.example.com'\"",
		CLIV2:       "aws apigatewayv2 update-api --region {region} --api-id {api} --cors-configuration AllowOrigins=https://app.example.com",
		Terraform:   "# in aws_api_gateway_integration_response\nresponse_parameters = {\n  \"method.response.header.Access-Control-Allow-Origin\" = \"'https://app.example.com'\"\n}",
		TerraformV2: "# in aws_apigatewayv2_api\ncors_configuration {\n  allow_origins = [\"https://app.example.com\"]\n}",
	},
	Peers: Peers{KICS: []string{"v2_cors_wildcard_origin"}},
	needs: []Part{PartRoutes, PartIntegrations, PartResponses},
	check: func(s *scene) Outcome {
		origins := s.api.origins()
		if len(origins) == 0 {
			return skipped("API Gateway sets no CORS headers")
		}
		var wide []Evidence
		for _, o := range origins {
			if o.any {
				wide = append(wide, fact("allowed origin of "+o.where, o.value))
			}
		}
		return failed(wide...)
	},
}

// origin is an origin that a part of an API allows.
type origin struct {
	where, value string
	any          bool // every origin
	reflected    bool // whichever the request or the backend names
	credentials  bool
}

const (
	allowOrigin      = "access-control-allow-origin"
	allowCredentials = "access-control-allow-credentials"
)

// origins are what API Gateway itself answers to browsers.
func (a *API) origins() []origin {
	var out []origin
	if a.CORS != nil {
		for _, v := range a.CORS.Origins {
			out = append(out, origin{where: "the API", value: v, any: v == "*" || v == "https://*" || v == "http://*", credentials: a.CORS.Credentials})
		}
	}
	mapped := func(where string, headers map[string]string) {
		value, ok := headers[allowOrigin]
		if !ok {
			return
		}
		plain := strings.Trim(value, "'")
		out = append(out, origin{
			where: where, value: value, any: plain == "*",
			reflected:   strings.HasPrefix(value, "method.request.") || strings.HasPrefix(value, "integration.response.") || strings.HasPrefix(value, "context."),
			credentials: strings.Trim(headers[allowCredentials], "'") == "true",
		})
	}
	for i := range a.Routes {
		mapped("route "+a.Routes[i].Name(), a.Routes[i].CORSHeaders)
	}
	for i := range a.Responses {
		headers := map[string]string{}
		for k, v := range a.Responses[i].Headers {
			k = strings.ToLower(k)
			if at := strings.LastIndexByte(k, '.'); at >= 0 {
				k = k[at+1:]
			}
			headers[k] = v
		}
		mapped("gateway response "+a.Responses[i].Type, headers)
	}
	slices.SortFunc(out, func(x, y origin) int { return strings.Compare(x.where+x.value, y.where+y.value) })
	return out
}
