package estate

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// restPage is the largest page that API Gateway gives of REST APIs, resources
// and authorizers.
const restPage = 500

func (r *regionReader) listREST(ctx context.Context) []API {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.RestApi, *string, error) {
		out, err := r.rest.GetRestApis(ctx, &apigateway.GetRestApisInput{Limit: aws.Int32(restPage), Position: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		r.failed(readRestAPIs, "", err)
	}
	apis := make([]API, 0, len(items))
	for i := range items {
		item := &items[i]
		api := API{
			ID:              aws.ToString(item.Id),
			Name:            aws.ToString(item.Name),
			Type:            transaction.REST,
			Endpoint:        aws.ToString(item.Id) + ".execute-api." + r.region + "." + account.DNSSuffix(r.region),
			DefaultDisabled: item.DisableExecuteApiEndpoint,
			Created:         aws.ToTime(item.CreatedDate).UTC(),
			Tags:            item.Tags,
		}
		if item.EndpointConfiguration != nil && len(item.EndpointConfiguration.Types) > 0 {
			api.EndpointType = string(item.EndpointConfiguration.Types[0])
		}
		apis = append(apis, api)
	}
	return apis
}

// readREST reads the stages, resources and authorizers of a REST API; each of
// the three may fail without the others.
func (r *regionReader) readREST(ctx context.Context, api *API) {
	id := aws.String(api.ID)
	stages, err := r.rest.GetStages(ctx, &apigateway.GetStagesInput{RestApiId: id})
	if err != nil {
		r.failed(readStages, subject(api), err)
	} else {
		for i := range stages.Item {
			api.Stages = append(api.Stages, restStage(&stages.Item[i]))
		}
	}

	resources, err := all(ctx, func(ctx context.Context, token *string) ([]types.Resource, *string, error) {
		out, err := r.rest.GetResources(ctx, &apigateway.GetResourcesInput{
			RestApiId: id, Embed: []string{"methods"}, Limit: aws.Int32(restPage), Position: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		api.RoutesPartial = true
		r.failed(readResources, subject(api), err)
	}
	for i := range resources {
		api.Routes = append(api.Routes, restRoutes(&resources[i])...)
	}

	authorizers, err := all(ctx, func(ctx context.Context, token *string) ([]types.Authorizer, *string, error) {
		out, err := r.rest.GetAuthorizers(ctx, &apigateway.GetAuthorizersInput{
			RestApiId: id, Limit: aws.Int32(restPage), Position: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		r.failed(readAuthorizers, subject(api), err)
	}
	for i := range authorizers {
		a := &authorizers[i]
		api.Authorizers = append(api.Authorizers, Authorizer{ID: aws.ToString(a.Id), Name: aws.ToString(a.Name), Type: string(a.Type)})
	}
}

func subject(api *API) string {
	if api.Name == "" {
		return api.ID
	}
	return api.ID + " (" + api.Name + ")"
}

// defaultMethods is the key of a stage's settings for every method.
const defaultMethods = "*/*"

func restStage(s *types.Stage) Stage {
	stage := Stage{Name: aws.ToString(s.StageName), LoggingLevel: "OFF", Tags: s.Tags}
	if s.AccessLogSettings != nil {
		stage.setAccessLog(aws.ToString(s.AccessLogSettings.DestinationArn), aws.ToString(s.AccessLogSettings.Format))
	}
	if set, ok := s.MethodSettings[defaultMethods]; ok {
		stage.LoggingLevel, stage.DataTrace = level(aws.ToString(set.LoggingLevel)), set.DataTraceEnabled
	}
	for key, set := range s.MethodSettings {
		if key == defaultMethods {
			continue
		}
		path, method := methodKey(key)
		o := MethodLogging{Method: method, Path: path, LoggingLevel: level(aws.ToString(set.LoggingLevel)), DataTrace: set.DataTraceEnabled}
		if o.LoggingLevel != stage.LoggingLevel || o.DataTrace != stage.DataTrace {
			stage.Overrides = append(stage.Overrides, o)
		}
	}
	return stage
}

// methodKey splits a key of a stage's method settings: a resource path, written
// as in a JSON pointer, and a method, such as "~1pets~1{id}/GET".
func methodKey(key string) (path, method string) {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return key, ""
	}
	return strings.ReplaceAll(strings.ReplaceAll(key[:i], "~1", "/"), "~0", "~"), key[i+1:]
}

func restRoutes(res *types.Resource) []Route {
	routes := make([]Route, 0, len(res.ResourceMethods))
	for method, m := range res.ResourceMethods {
		route := Route{
			Method:         method,
			Path:           aws.ToString(res.Path),
			Authorization:  aws.ToString(m.AuthorizationType),
			AuthorizerID:   aws.ToString(m.AuthorizerId),
			APIKeyRequired: aws.ToBool(m.ApiKeyRequired),
		}
		if m.MethodIntegration != nil {
			route.Integration = integrationText(string(m.MethodIntegration.Type), aws.ToString(m.MethodIntegration.Uri))
		}
		routes = append(routes, route)
	}
	return routes
}
