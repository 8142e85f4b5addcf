package estate

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// AWS documents no largest page for HTTP and WebSocket APIs, so the listings
// leave the size to it.

func (r *regionReader) listV2(ctx context.Context) []API {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.Api, *string, error) {
		out, err := r.v2.GetApis(ctx, &apigatewayv2.GetApisInput{NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		r.failed(readAPIs, "", err)
	}
	apis := make([]API, 0, len(items))
	for i := range items {
		item := &items[i]
		api := API{
			ID:              aws.ToString(item.ApiId),
			Name:            aws.ToString(item.Name),
			Type:            transaction.HTTP,
			Endpoint:        hostOf(aws.ToString(item.ApiEndpoint)),
			EndpointType:    "REGIONAL", // the only one that they have
			DefaultDisabled: aws.ToBool(item.DisableExecuteApiEndpoint),
			Created:         aws.ToTime(item.CreatedDate).UTC(),
			Tags:            item.Tags,
		}
		if item.ProtocolType == types.ProtocolTypeWebsocket {
			api.Type = transaction.WebSocket
		}
		apis = append(apis, api)
	}
	return apis
}

func hostOf(endpoint string) string {
	_, host, ok := strings.Cut(endpoint, "://")
	if !ok {
		host = endpoint
	}
	host, _, _ = strings.Cut(host, "/")
	return host
}

// readV2 reads the stages, routes, integrations and authorizers of an HTTP or
// WebSocket API; each may fail without the others.
func (r *regionReader) readV2(ctx context.Context, api *API) {
	id := aws.String(api.ID)
	stages, err := all(ctx, func(ctx context.Context, token *string) ([]types.Stage, *string, error) {
		out, err := r.v2.GetStages(ctx, &apigatewayv2.GetStagesInput{ApiId: id, NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		r.failed(readV2Stages, subject(api), err)
	}
	for i := range stages {
		api.Stages = append(api.Stages, v2Stage(api.Type, &stages[i]))
	}

	routes, err := all(ctx, func(ctx context.Context, token *string) ([]types.Route, *string, error) {
		out, err := r.v2.GetRoutes(ctx, &apigatewayv2.GetRoutesInput{ApiId: id, NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		api.RoutesPartial = true
		r.failed(readV2Routes, subject(api), err)
	}
	integrations := r.integrations(ctx, api)
	for i := range routes {
		api.Routes = append(api.Routes, v2Route(api.Type, &routes[i], integrations))
	}

	authorizers, err := all(ctx, func(ctx context.Context, token *string) ([]types.Authorizer, *string, error) {
		out, err := r.v2.GetAuthorizers(ctx, &apigatewayv2.GetAuthorizersInput{ApiId: id, NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		r.failed(readV2Authorizers, subject(api), err)
	}
	for i := range authorizers {
		a := &authorizers[i]
		api.Authorizers = append(api.Authorizers, Authorizer{
			ID: aws.ToString(a.AuthorizerId), Name: aws.ToString(a.Name), Type: string(a.AuthorizerType),
		})
	}
}

// integrations returns what the integrations of an API are, by id.
func (r *regionReader) integrations(ctx context.Context, api *API) map[string]string {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.Integration, *string, error) {
		out, err := r.v2.GetIntegrations(ctx, &apigatewayv2.GetIntegrationsInput{ApiId: aws.String(api.ID), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		r.failed(readV2Integration, subject(api), err)
	}
	texts := make(map[string]string, len(items))
	for i := range items {
		kind := string(items[i].IntegrationType)
		if sub := aws.ToString(items[i].IntegrationSubtype); sub != "" {
			kind += " " + sub
		}
		texts[aws.ToString(items[i].IntegrationId)] = integrationText(kind, aws.ToString(items[i].IntegrationUri))
	}
	return texts
}

func v2Stage(kind transaction.APIType, s *types.Stage) Stage {
	stage := Stage{Name: aws.ToString(s.StageName), Tags: s.Tags}
	if s.AccessLogSettings != nil {
		stage.setAccessLog(aws.ToString(s.AccessLogSettings.DestinationArn), aws.ToString(s.AccessLogSettings.Format))
	}
	if kind != transaction.WebSocket {
		return stage
	}
	stage.LoggingLevel = "OFF"
	if set := s.DefaultRouteSettings; set != nil {
		stage.LoggingLevel, stage.DataTrace = level(string(set.LoggingLevel)), aws.ToBool(set.DataTraceEnabled)
	}
	for key, set := range s.RouteSettings {
		o := MethodLogging{Path: key, LoggingLevel: level(string(set.LoggingLevel)), DataTrace: aws.ToBool(set.DataTraceEnabled)}
		if o.LoggingLevel != stage.LoggingLevel || o.DataTrace != stage.DataTrace {
			stage.Overrides = append(stage.Overrides, o)
		}
	}
	return stage
}

// defaultRoute is the key of the route that takes what no other takes.
const defaultRoute = "$default"

func v2Route(kind transaction.APIType, rt *types.Route, integrations map[string]string) Route {
	key := aws.ToString(rt.RouteKey)
	route := Route{
		Path:           key,
		Authorization:  string(rt.AuthorizationType),
		AuthorizerID:   aws.ToString(rt.AuthorizerId),
		APIKeyRequired: aws.ToBool(rt.ApiKeyRequired),
	}
	if route.Authorization == "" {
		route.Authorization = "NONE"
	}
	if kind == transaction.HTTP {
		route.Method = methodAny
		if method, path, ok := strings.Cut(key, " "); ok {
			route.Method, route.Path = method, path
		}
	}
	if id, ok := strings.CutPrefix(aws.ToString(rt.Target), "integrations/"); ok {
		route.Integration = integrations[id]
	}
	return route
}
