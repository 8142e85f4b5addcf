package estate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// corsHeader begins the integration response parameters that make CORS.
const corsHeader = "method.response.header.access-control-"

func restRoutes(res *types.Resource, scan secretScan) []Route {
	routes := make([]Route, 0, len(res.ResourceMethods))
	for method, m := range res.ResourceMethods {
		route := Route{
			ID:             aws.ToString(res.Id),
			Method:         method,
			Path:           aws.ToString(res.Path),
			Authorization:  aws.ToString(m.AuthorizationType),
			AuthorizerID:   aws.ToString(m.AuthorizerId),
			APIKeyRequired: aws.ToBool(m.ApiKeyRequired),

			OperationName: aws.ToString(m.OperationName), Scopes: m.AuthorizationScopes,
			RequestParameters: m.RequestParameters, RequestModels: m.RequestModels,
		}
		if id := aws.ToString(m.RequestValidatorId); id != "" {
			route.Validator = &Validator{ID: id}
		}
		if in := m.MethodIntegration; in != nil {
			route.Integration = integrationText(string(in.Type), aws.ToString(in.Uri))
			route.Backend = restIntegration("route "+method+" "+route.Path, in, scan)
			for kind, template := range in.RequestTemplates {
				route.CORSTemplates = append(route.CORSTemplates, corsTemplates("request template "+kind, template)...)
			}
			for status, response := range in.IntegrationResponses {
				for kind, template := range response.ResponseTemplates {
					route.CORSTemplates = append(route.CORSTemplates, corsTemplates("response template "+status+" "+kind, template)...)
				}
				for key, value := range response.ResponseParameters {
					if strings.HasPrefix(strings.ToLower(key), corsHeader) {
						name := strings.ToLower(strings.TrimPrefix(key, "method.response.header."))
						route.CORSHeaders = put(route.CORSHeaders, name, value)
					}
				}
			}
		}
		slices.SortStableFunc(route.CORSTemplates, func(a, b CORSTemplate) int { return cmp.Compare(a.Where, b.Where) })
		routes = append(routes, route)
	}
	return routes
}

func restIntegration(where string, in *types.Integration, scan secretScan) *Integration {
	out := &Integration{
		Type: string(in.Type), Method: aws.ToString(in.HttpMethod), URI: scan.uri(where, aws.ToString(in.Uri)),
		ConnectionType: string(in.ConnectionType), ConnectionID: aws.ToString(in.ConnectionId), TimeoutMillis: in.TimeoutInMillis,
		Credentials: aws.ToString(in.Credentials), Passthrough: aws.ToString(in.PassthroughBehavior),
		ContentHandling: string(in.ContentHandling), CacheNamespace: aws.ToString(in.CacheNamespace), CacheKeys: in.CacheKeyParameters,
		RequestParameters: scan.parameters(where, in.RequestParameters), Templates: slices.Sorted(maps.Keys(in.RequestTemplates)),
	}
	if in.TlsConfig != nil {
		out.TLS = &BackendTLS{SkipVerify: in.TlsConfig.InsecureSkipVerification}
	}
	for kind, template := range in.RequestTemplates {
		scan.code(where+", request template "+kind, template)
	}
	for status, response := range in.IntegrationResponses {
		for kind, template := range response.ResponseTemplates {
			scan.code(where+", response template "+status+" "+kind, template)
		}
	}
	return out
}

// put adds to a map that may be nil.
func put(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}
