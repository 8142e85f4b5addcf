package estate

import (
	"context"
	"maps"
	"slices"
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
		r.unsaw(PartV2)
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
		api.v2Settings(item)
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

// v2Settings sets what the listing says of an HTTP or WebSocket API beyond who it
// is.
func (a *API) v2Settings(item *types.Api) {
	a.Description = secretScan{a}.text("API description", "", aws.ToString(item.Description))
	a.Version = aws.ToString(item.Version)
	if a.Type == transaction.WebSocket {
		a.RouteSelection = aws.ToString(item.RouteSelectionExpression)
		a.APIKeySource = aws.ToString(item.ApiKeySelectionExpression)
	}
	if c := item.CorsConfiguration; c != nil {
		a.CORS = &CORS{
			Origins: c.AllowOrigins, Methods: c.AllowMethods, Headers: c.AllowHeaders, Expose: c.ExposeHeaders,
			Credentials: aws.ToBool(c.AllowCredentials), MaxAge: aws.ToInt32(c.MaxAge),
		}
	}
}

// readV2 reads the stages, routes, integrations and authorizers of an HTTP or
// WebSocket API; each may fail without the others.
func (r *regionReader) readV2(ctx context.Context, api *API) {
	r.v2Stages(ctx, api)
	r.v2Routes(ctx, api)
	r.v2Authorizers(ctx, api)
	sortDetails(api)
}

// discoverV2 reads all of an HTTP or WebSocket API. A stage that deploys by itself
// has a new deployment after each change, and another one runs what it ran: as long
// as the deployments and the listing stay, so do the details.
func (r *regionReader) discoverV2(ctx context.Context, api *API) {
	r.v2Stages(ctx, api)
	if r.sameDetails(api) {
		return
	}
	models := r.v2Routes(ctx, api)
	r.v2Authorizers(ctx, api)
	if models {
		r.v2Models(ctx, api)
	}
	r.v2Deployments(ctx, api)
	sortDetails(api)
}

func (r *regionReader) v2Stages(ctx context.Context, api *API) {
	stages, err := all(ctx, func(ctx context.Context, token *string) ([]types.Stage, *string, error) {
		out, err := r.v2.GetStages(ctx, &apigatewayv2.GetStagesInput{ApiId: aws.String(api.ID), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartStages)
		r.failed(readV2Stages, subject(api), err)
	}
	for i := range stages {
		api.Stages = append(api.Stages, v2Stage(api.Type, &stages[i], secretScan{api}))
	}
}

// v2Routes reads the routes with their integrations, and reports whether any of them
// has a model.
func (r *regionReader) v2Routes(ctx context.Context, api *API) (models bool) {
	routes, err := all(ctx, func(ctx context.Context, token *string) ([]types.Route, *string, error) {
		out, err := r.v2.GetRoutes(ctx, &apigatewayv2.GetRoutesInput{ApiId: aws.String(api.ID), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		api.RoutesPartial = true
		api.Unseen = mark(api.Unseen, PartRoutes)
		r.failed(readV2Routes, subject(api), err)
	}
	integrations := r.integrations(ctx, api)
	for i := range routes {
		api.Routes = append(api.Routes, v2Route(api.Type, &routes[i], integrations))
		models = models || len(routes[i].RequestModels) > 0
	}
	return models
}

func (r *regionReader) v2Authorizers(ctx context.Context, api *API) {
	authorizers, err := all(ctx, func(ctx context.Context, token *string) ([]types.Authorizer, *string, error) {
		out, err := r.v2.GetAuthorizers(ctx, &apigatewayv2.GetAuthorizersInput{ApiId: aws.String(api.ID), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartAuthorizers)
		r.failed(readV2Authorizers, subject(api), err)
	}
	for i := range authorizers {
		api.Authorizers = append(api.Authorizers, v2Authorizer(&authorizers[i]))
	}
}

func v2Authorizer(a *types.Authorizer) Authorizer {
	out := Authorizer{
		ID: aws.ToString(a.AuthorizerId), Name: aws.ToString(a.Name), Type: string(a.AuthorizerType),
		URI: cleanURI(aws.ToString(a.AuthorizerUri)), Credentials: aws.ToString(a.AuthorizerCredentialsArn),
		IdentitySource: a.IdentitySource, IdentityValidation: aws.ToString(a.IdentityValidationExpression),
		TTL: a.AuthorizerResultTtlInSeconds, PayloadFormat: aws.ToString(a.AuthorizerPayloadFormatVersion),
		Simple: aws.ToBool(a.EnableSimpleResponses),
	}
	if j := a.JwtConfiguration; j != nil {
		out.Issuer, out.Audience = aws.ToString(j.Issuer), j.Audience
	}
	return out
}

// backend is an integration as a route shows it.
type backend struct {
	text        string
	integration *Integration
}

// integrations returns what the integrations of an API are, by id.
func (r *regionReader) integrations(ctx context.Context, api *API) map[string]backend {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.Integration, *string, error) {
		out, err := r.v2.GetIntegrations(ctx, &apigatewayv2.GetIntegrationsInput{ApiId: aws.String(api.ID), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartIntegrations)
		r.failed(readV2Integration, subject(api), err)
	}
	found := make(map[string]backend, len(items))
	for i := range items {
		kind := string(items[i].IntegrationType)
		if sub := aws.ToString(items[i].IntegrationSubtype); sub != "" {
			kind += " " + sub
		}
		found[aws.ToString(items[i].IntegrationId)] = backend{
			integrationText(kind, aws.ToString(items[i].IntegrationUri)), v2Integration(&items[i], secretScan{api}),
		}
	}
	return found
}

func v2Integration(in *types.Integration, scan secretScan) *Integration {
	where := "route integration " + aws.ToString(in.IntegrationId)
	out := &Integration{
		ID: aws.ToString(in.IntegrationId), Type: string(in.IntegrationType), Subtype: aws.ToString(in.IntegrationSubtype),
		Method: aws.ToString(in.IntegrationMethod), URI: scan.uri(where, aws.ToString(in.IntegrationUri)),
		ConnectionType: string(in.ConnectionType), ConnectionID: aws.ToString(in.ConnectionId), TimeoutMillis: aws.ToInt32(in.TimeoutInMillis),
		Credentials: aws.ToString(in.CredentialsArn), Passthrough: string(in.PassthroughBehavior),
		ContentHandling: string(in.ContentHandlingStrategy), PayloadFormat: aws.ToString(in.PayloadFormatVersion),
		RequestParameters: scan.parameters(where, in.RequestParameters), Templates: slices.Sorted(maps.Keys(in.RequestTemplates)),
	}
	if in.TlsConfig != nil {
		out.TLS = &BackendTLS{ServerName: aws.ToString(in.TlsConfig.ServerNameToVerify)}
	}
	for kind, template := range in.RequestTemplates {
		scan.code(where+", request template "+kind, template)
	}
	return out
}

func (r *regionReader) v2Models(ctx context.Context, api *API) {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.Model, *string, error) {
		out, err := r.v2.GetModels(ctx, &apigatewayv2.GetModelsInput{ApiId: aws.String(api.ID), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartModels)
		r.missed(readV2Models, err, "")
	}
	for i := range items {
		m := &items[i]
		api.Models = append(api.Models, Model{
			ID: aws.ToString(m.ModelId), Name: aws.ToString(m.Name), ContentType: aws.ToString(m.ContentType), Schema: len(aws.ToString(m.Schema)),
		})
	}
}

func (r *regionReader) v2Deployments(ctx context.Context, api *API) {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.Deployment, *string, error) {
		out, err := r.v2.GetDeployments(ctx, &apigatewayv2.GetDeploymentsInput{ApiId: aws.String(api.ID), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartDeployments)
		r.missed(readV2Deployments, err, "")
	}
	made := make([]Deployment, 0, len(items))
	for i := range items {
		d := &items[i]
		made = append(made, Deployment{
			ID: aws.ToString(d.DeploymentId), Created: utc(d.CreatedDate), Auto: aws.ToBool(d.AutoDeployed), Status: string(d.DeploymentStatus),
			Description: secretScan{api}.text("deployment description", "", aws.ToString(d.Description)),
		})
	}
	api.deployed(made)
}

func v2Stage(kind transaction.APIType, s *types.Stage, scan secretScan) Stage {
	name := aws.ToString(s.StageName)
	stage := Stage{
		Name: name, Tags: s.Tags, Description: scan.text("stage "+name+", description", "", aws.ToString(s.Description)),
		Created: utc(s.CreatedDate), Updated: utc(s.LastUpdatedDate), DeploymentID: aws.ToString(s.DeploymentId),
		AutoDeploy: aws.ToBool(s.AutoDeploy), Variables: scan.variables(name, s.StageVariables), ClientCertificate: aws.ToString(s.ClientCertificateId),
	}
	if s.AccessLogSettings != nil {
		stage.setAccessLog(aws.ToString(s.AccessLogSettings.DestinationArn), aws.ToString(s.AccessLogSettings.Format))
	}
	if kind == transaction.WebSocket {
		stage.LoggingLevel = "OFF"
	}
	if set := s.DefaultRouteSettings; set != nil {
		d := v2RouteSettings(kind, anyPath, set)
		stage.Settings = append(stage.Settings, d)
		stage.LoggingLevel, stage.DataTrace = d.LoggingLevel, d.DataTrace
	}
	for key, set := range s.RouteSettings {
		own := v2RouteSettings(kind, key, &set)
		stage.Settings = append(stage.Settings, own)
		o := MethodLogging{Path: key, LoggingLevel: own.LoggingLevel, DataTrace: own.DataTrace}
		if kind == transaction.WebSocket && (o.LoggingLevel != stage.LoggingLevel || o.DataTrace != stage.DataTrace) {
			stage.Overrides = append(stage.Overrides, o)
		}
	}
	sortSettings(stage.Settings)
	return stage
}

// v2RouteSettings are the settings of one route. An HTTP API has no execution logs,
// whatever its settings say.
func v2RouteSettings(kind transaction.APIType, path string, set *types.RouteSettings) MethodSettings {
	out := MethodSettings{Path: path, Metrics: aws.ToBool(set.DetailedMetricsEnabled)}
	if kind == transaction.WebSocket {
		out.LoggingLevel, out.DataTrace = level(string(set.LoggingLevel)), aws.ToBool(set.DataTraceEnabled)
	}
	if set.ThrottlingRateLimit != nil || set.ThrottlingBurstLimit != nil {
		out.Throttle = &Throttle{Rate: aws.ToFloat64(set.ThrottlingRateLimit), Burst: aws.ToInt32(set.ThrottlingBurstLimit)}
	}
	return out
}

// defaultRoute is the key of the route that takes what no other takes.
const defaultRoute = "$default"

func v2Route(kind transaction.APIType, rt *types.Route, integrations map[string]backend) Route {
	key := aws.ToString(rt.RouteKey)
	route := Route{
		Path:           key,
		Authorization:  string(rt.AuthorizationType),
		AuthorizerID:   aws.ToString(rt.AuthorizerId),
		APIKeyRequired: aws.ToBool(rt.ApiKeyRequired),

		ID: aws.ToString(rt.RouteId), OperationName: aws.ToString(rt.OperationName), Scopes: rt.AuthorizationScopes,
		RequestModels: rt.RequestModels,
	}
	for name, c := range rt.RequestParameters {
		if route.RequestParameters == nil {
			route.RequestParameters = map[string]bool{}
		}
		route.RequestParameters[name] = aws.ToBool(c.Required)
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
		route.Integration, route.Backend = integrations[id].text, integrations[id].integration
	}
	return route
}
