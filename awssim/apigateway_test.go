package awssim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	gwtypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gatehouse-project/gatehouse/awssim"
)

var created = time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC)

const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`

func petStore() awssim.RESTAPI {
	lambda := &awssim.Integration{Type: "AWS_PROXY", Method: "POST", URI: "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:222222222222:function:pets/invocations", Timeout: 5 * time.Second}
	return awssim.RESTAPI{
		ID: "abc123", Name: "pets", Description: "the pets", Policy: policy, Created: created, Tags: map[string]string{"team": "pets"},
		Resources: []awssim.Resource{
			{Path: "/pets/{id}", Methods: []awssim.Method{
				{HTTPMethod: "GET", Authorization: "AWS_IAM", Integration: lambda, OperationName: "getPet"},
				{HTTPMethod: "DELETE", Authorization: "CUSTOM", AuthorizerID: "tokens", APIKeyRequired: true, Integration: lambda},
			}},
			{Path: "/pets", Methods: []awssim.Method{{HTTPMethod: "ANY", RequestParameters: map[string]bool{"method.request.querystring.page": false}}}},
			{Path: "/files/{path+}", Methods: []awssim.Method{{HTTPMethod: "GET", Integration: &awssim.Integration{Type: "MOCK"}}}},
		},
		Authorizers: []awssim.Authorizer{{ID: "auth01", Name: "tokens", Type: "TOKEN", URI: "arn:lambda", IdentitySource: "method.request.header.X-Token", TTL: time.Minute}},
		Stages: []awssim.Stage{{
			Name: "prod", LoggingLevel: "INFO", DataTrace: true, AccessLogARN: "arn:aws:logs:eu-west-1:222222222222:log-group:access", AccessFormat: `{"requestId":"$context.requestId"}`,
			MethodSettings: map[string]awssim.MethodSetting{"~1pets/GET": {LoggingLevel: "ERROR"}}, Tags: map[string]string{"env": "prod"}, Created: created,
		}, {Name: "test"}},
	}
}

func TestRESTAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	r := w.sim.Account(orders).Region(region)
	id := aws.String(r.AddRESTAPI(petStore()))
	client := w.gateway(orders)

	apis := must[*apigateway.GetRestApisOutput](t)(client.GetRestApis(ctx(t), nil))
	api := must[*apigateway.GetRestApiOutput](t)(client.GetRestApi(ctx(t), &apigateway.GetRestApiInput{RestApiId: id}))
	if len(apis.Items) != 1 || *apis.Items[0].Name != "pets" || *api.Id != "abc123" || !api.CreatedDate.Equal(created) || api.Tags["team"] != "pets" ||
		api.EndpointConfiguration.Types[0] != gwtypes.EndpointTypeRegional || api.ApiKeySource != gwtypes.ApiKeySourceTypeHeader {
		t.Errorf("API is %+v", api)
	}
	if want := strings.ReplaceAll(policy, `"`, `\"`); *api.Policy != want {
		t.Errorf("policy is %s, want it escaped once: %s", *api.Policy, want)
	}

	var paths []string
	byPath := map[string]gwtypes.Resource{}
	for p := apigateway.NewGetResourcesPaginator(client, &apigateway.GetResourcesInput{RestApiId: id, Embed: []string{"methods"}, Limit: aws.Int32(2)}); p.HasMorePages(); {
		for _, res := range must[*apigateway.GetResourcesOutput](t)(p.NextPage(ctx(t))).Items {
			paths, byPath[*res.Path] = append(paths, *res.Path), res
		}
	}
	if want := []string{"/", "/files", "/files/{path+}", "/pets", "/pets/{id}"}; !slices.Equal(paths, want) {
		t.Errorf("paths are %v, want %v", paths, want)
	}
	pet := byPath["/pets/{id}"]
	if *pet.ParentId != *byPath["/pets"].Id || *byPath["/pets"].ParentId != *api.RootResourceId || *pet.PathPart != "{id}" || byPath["/"].ParentId != nil {
		t.Error("resources are not linked to their parents")
	}
	get, del := pet.ResourceMethods["GET"], pet.ResourceMethods["DELETE"]
	if *get.AuthorizationType != "AWS_IAM" || get.MethodIntegration.Type != gwtypes.IntegrationTypeAwsProxy || get.MethodIntegration.TimeoutInMillis != 5000 ||
		*del.AuthorizerId != "auth01" || !*del.ApiKeyRequired || *get.ApiKeyRequired {
		t.Errorf("methods are %+v and %+v", get, del)
	}
	plain := must[*apigateway.GetResourcesOutput](t)(client.GetResources(ctx(t), &apigateway.GetResourcesInput{RestApiId: id}))
	if m := plain.Items[4].ResourceMethods["GET"]; m.AuthorizationType != nil {
		t.Errorf("methods are embedded without being asked for: %+v", m)
	}
	m := must[*apigateway.GetMethodOutput](t)(client.GetMethod(ctx(t), &apigateway.GetMethodInput{RestApiId: id, ResourceId: pet.Id, HttpMethod: aws.String("GET")}))
	in := must[*apigateway.GetIntegrationOutput](t)(client.GetIntegration(ctx(t), &apigateway.GetIntegrationInput{RestApiId: id, ResourceId: pet.Id, HttpMethod: aws.String("GET")}))
	if *m.OperationName != "getPet" || *in.HttpMethod != "POST" || *in.Uri != *get.MethodIntegration.Uri {
		t.Errorf("method is %+v, integration %+v", m, in)
	}

	stages := must[*apigateway.GetStagesOutput](t)(client.GetStages(ctx(t), &apigateway.GetStagesInput{RestApiId: id}))
	st := must[*apigateway.GetStageOutput](t)(client.GetStage(ctx(t), &apigateway.GetStageInput{RestApiId: id, StageName: aws.String("prod")}))
	if len(stages.Item) != 2 || *st.MethodSettings["*/*"].LoggingLevel != "INFO" || !st.MethodSettings["*/*"].DataTraceEnabled ||
		*st.MethodSettings["~1pets/GET"].LoggingLevel != "ERROR" || *st.AccessLogSettings.Format != `{"requestId":"$context.requestId"}` ||
		!strings.HasSuffix(*st.AccessLogSettings.DestinationArn, ":access") || st.Tags["env"] != "prod" || !st.CreatedDate.Equal(created) {
		t.Errorf("stage is %+v", st)
	}
	if len(stages.Item[1].MethodSettings) != 0 || stages.Item[1].AccessLogSettings != nil {
		t.Errorf("a stage without logging has settings: %+v", stages.Item[1])
	}
	list := must[*apigateway.GetAuthorizersOutput](t)(client.GetAuthorizers(ctx(t), &apigateway.GetAuthorizersInput{RestApiId: id}))
	a := must[*apigateway.GetAuthorizerOutput](t)(client.GetAuthorizer(ctx(t), &apigateway.GetAuthorizerInput{RestApiId: id, AuthorizerId: aws.String("auth01")}))
	if len(list.Items) != 1 || *a.Name != "tokens" || a.Type != gwtypes.AuthorizerTypeToken || *a.AuthorizerResultTtlInSeconds != 60 {
		t.Errorf("authorizer is %+v", a)
	}
	r.SetLogRole("arn:aws:iam::222222222222:role/logs")
	acc := must[*apigateway.GetAccountOutput](t)(client.GetAccount(ctx(t), nil))
	if *acc.CloudwatchRoleArn != "arn:aws:iam::222222222222:role/logs" || acc.ThrottleSettings.RateLimit != 10000 {
		t.Errorf("account is %+v", acc)
	}

	_, err := client.GetStage(ctx(t), &apigateway.GetStageInput{RestApiId: id, StageName: aws.String("none")})
	wantError[*gwtypes.NotFoundException](t, err, "Invalid stage identifier specified")
	_, err = w.gateway(hub).GetRestApi(ctx(t), &apigateway.GetRestApiInput{RestApiId: id})
	wantError[*gwtypes.NotFoundException](t, err, "Invalid API identifier specified 111111111111:abc123")
	_, err = client.GetRestApis(ctx(t), &apigateway.GetRestApisInput{Position: aws.String("junk")})
	wantError[*gwtypes.BadRequestException](t, err, "Invalid position parameter specified")
	_, err = client.GetSdkTypes(ctx(t), &apigateway.GetSdkTypesInput{})
	wantCode(t, err, "UnknownOperationException", "awssim does not know the operation apigateway GET /sdktypes")
	r.RemoveAPI(*id)
	if apis := must[*apigateway.GetRestApisOutput](t)(client.GetRestApis(ctx(t), nil)); len(apis.Items) != 0 {
		t.Error("a removed API is still listed")
	}
}

func TestRESTAPIPaging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	for i := range 60 {
		w.sim.Account(orders).Region(region).AddRESTAPI(awssim.RESTAPI{ID: fmt.Sprintf("api%02d", i), Name: "x"})
	}
	w.sim.Account(orders).Region("us-east-1").AddRESTAPI(awssim.RESTAPI{Name: "elsewhere"})
	var ids []string
	pages := 0
	for p := apigateway.NewGetRestApisPaginator(w.gateway(orders), &apigateway.GetRestApisInput{}); p.HasMorePages(); pages++ {
		for _, api := range must[*apigateway.GetRestApisOutput](t)(p.NextPage(ctx(t))).Items {
			ids = append(ids, *api.Id)
		}
	}
	if len(ids) != 60 || pages != 3 || !slices.IsSorted(ids) {
		t.Errorf("%d APIs on %d pages: %v", len(ids), pages, ids)
	}
}

// loadOpenAPI parses an export. It does not validate it: greedy paths and JWT
// authorizers without flows, which API Gateway exports, are no valid OpenAPI.
func loadOpenAPI(t *testing.T, body []byte) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(body)
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return doc
}

func TestGetExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	id := aws.String(w.sim.Account(orders).Region(region).AddRESTAPI(petStore()))
	client := w.gateway(orders)
	out := must[*apigateway.GetExportOutput](t)(client.GetExport(ctx(t), &apigateway.GetExportInput{
		RestApiId: id, StageName: aws.String("prod"), ExportType: aws.String("oas30"), Accepts: aws.String("application/json"),
		Parameters: map[string]string{"extensions": "apigateway"},
	}))
	if *out.ContentType != "application/json" || !strings.Contains(*out.ContentDisposition, "oas30_") {
		t.Errorf("export is %s, %s", *out.ContentType, *out.ContentDisposition)
	}
	doc := loadOpenAPI(t, out.Body)
	get := doc.Paths.Value("/pets/{id}").Get
	if doc.Servers[0].URL != "https://abc123.execute-api.eu-west-1.amazonaws.com/{basePath}" || doc.Servers[0].Variables["basePath"].Default != "prod" {
		t.Errorf("server is %+v", doc.Servers[0])
	}
	if get.OperationID != "getPet" || get.Extensions["x-amazon-apigateway-integration"] == nil || (*get.Security)[0]["sigv4"] == nil {
		t.Errorf("operation is %+v", get)
	}
	if doc.Paths.Value("/pets").Extensions["x-amazon-apigateway-any-method"] == nil || doc.Extensions["x-amazon-apigateway-policy"] == nil {
		t.Error("the extensions are missing")
	}
	if s := doc.Components.SecuritySchemes["tokens"].Value; s.Name != "X-Token" || s.Extensions["x-amazon-apigateway-authorizer"] == nil {
		t.Errorf("security scheme is %+v", s)
	}
	if p := doc.Paths.Value("/files/{path+}").Get; p == nil || p.Parameters[0].Value.Name != "path" {
		t.Errorf("greedy path is %+v", p)
	}
	swagger := must[*apigateway.GetExportOutput](t)(client.GetExport(ctx(t), &apigateway.GetExportInput{RestApiId: id, StageName: aws.String("prod"), ExportType: aws.String("swagger")}))
	var two struct{ Swagger, BasePath string }
	if err := json.Unmarshal(swagger.Body, &two); err != nil || two.Swagger != "2.0" || two.BasePath != "/prod" || strings.Contains(string(swagger.Body), "x-amazon-apigateway-integration") {
		t.Errorf("swagger export is %s", swagger.Body)
	}
	_, err := client.GetExport(ctx(t), &apigateway.GetExportInput{RestApiId: id, StageName: aws.String("none"), ExportType: aws.String("oas30")})
	wantError[*gwtypes.NotFoundException](t, err, "Invalid stage identifier specified")
}

func TestHTTPAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	r := w.sim.Account(orders).Region(region)
	api := awssim.API{
		ID: "http01", Name: "catalog", Created: created, Tags: map[string]string{"a": "b"},
		Authorizers: []awssim.Authorizer{{ID: "jwt001", Name: "jwt", Type: "JWT", IdentitySource: "$request.header.Authorization", Issuer: "https://issuer.example.com", Audience: []string{"app"}}},
		Stages:      []awssim.Stage{{Name: "$default", AutoDeploy: true, AccessLogARN: "arn:aws:logs:eu-west-1:222222222222:log-group:http", AccessFormat: "$context.requestId", Created: created}},
	}
	for i := range 5 {
		api.Routes = append(api.Routes, awssim.Route{
			Key: fmt.Sprintf("GET /items%d/{id}", i), Authorization: "JWT", AuthorizerID: "jwt",
			Integration: &awssim.Integration{ID: fmt.Sprintf("int%d", i/2), Type: "AWS_PROXY", Method: "POST", URI: "arn:lambda", PayloadFormat: "2.0"},
		})
	}
	api.Routes = append(api.Routes, awssim.Route{ID: "route9", Key: "$default"})
	id := aws.String(r.AddHTTPAPI(api))
	client := w.gatewayV2(orders)

	apis := must[*apigatewayv2.GetApisOutput](t)(client.GetApis(ctx(t), nil))
	got := must[*apigatewayv2.GetApiOutput](t)(client.GetApi(ctx(t), &apigatewayv2.GetApiInput{ApiId: id}))
	if len(apis.Items) != 1 || *apis.Items[0].ApiId != "http01" || got.ProtocolType != v2types.ProtocolTypeHttp || !got.CreatedDate.Equal(created) ||
		*got.ApiEndpoint != "https://http01.execute-api.eu-west-1.amazonaws.com" || got.Tags["a"] != "b" {
		t.Errorf("API is %+v", got)
	}
	var keys []string
	in := &apigatewayv2.GetRoutesInput{ApiId: id, MaxResults: aws.String("4")}
	for {
		page := must[*apigatewayv2.GetRoutesOutput](t)(client.GetRoutes(ctx(t), in))
		for _, rt := range page.Items {
			keys = append(keys, *rt.RouteKey)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
		if len(page.Items) != 4 {
			t.Errorf("a page has %d routes, want 4", len(page.Items))
		}
	}
	if len(keys) != 6 || keys[5] != "$default" {
		t.Errorf("routes are %v", keys)
	}
	first := must[*apigatewayv2.GetRoutesOutput](t)(client.GetRoutes(ctx(t), &apigatewayv2.GetRoutesInput{ApiId: id})).Items[0]
	rt := must[*apigatewayv2.GetRouteOutput](t)(client.GetRoute(ctx(t), &apigatewayv2.GetRouteInput{ApiId: id, RouteId: first.RouteId}))
	if rt.AuthorizationType != v2types.AuthorizationTypeJwt || *rt.AuthorizerId != "jwt001" || *rt.Target != "integrations/int0" {
		t.Errorf("route is %+v", rt)
	}
	if ints := must[*apigatewayv2.GetIntegrationsOutput](t)(client.GetIntegrations(ctx(t), &apigatewayv2.GetIntegrationsInput{ApiId: id})); len(ints.Items) != 3 {
		t.Errorf("%d integrations, want 3 shared ones", len(ints.Items))
	}
	integ := must[*apigatewayv2.GetIntegrationOutput](t)(client.GetIntegration(ctx(t), &apigatewayv2.GetIntegrationInput{ApiId: id, IntegrationId: aws.String("int1")}))
	if integ.IntegrationType != v2types.IntegrationTypeAwsProxy || *integ.TimeoutInMillis != 30000 || *integ.PayloadFormatVersion != "2.0" {
		t.Errorf("integration is %+v", integ)
	}
	auths := must[*apigatewayv2.GetAuthorizersOutput](t)(client.GetAuthorizers(ctx(t), &apigatewayv2.GetAuthorizersInput{ApiId: id}))
	if a := auths.Items[0]; a.AuthorizerType != v2types.AuthorizerTypeJwt || *a.JwtConfiguration.Issuer != "https://issuer.example.com" || a.IdentitySource[0] != "$request.header.Authorization" {
		t.Errorf("authorizer is %+v", a)
	}
	must[*apigatewayv2.GetAuthorizerOutput](t)(client.GetAuthorizer(ctx(t), &apigatewayv2.GetAuthorizerInput{ApiId: id, AuthorizerId: aws.String("jwt001")}))
	stages := must[*apigatewayv2.GetStagesOutput](t)(client.GetStages(ctx(t), &apigatewayv2.GetStagesInput{ApiId: id}))
	st := must[*apigatewayv2.GetStageOutput](t)(client.GetStage(ctx(t), &apigatewayv2.GetStageInput{ApiId: id, StageName: aws.String("$default")}))
	if len(stages.Items) != 1 || *st.AccessLogSettings.Format != "$context.requestId" || st.DefaultRouteSettings.LoggingLevel != "" || !*st.AutoDeploy {
		t.Errorf("stage is %+v", st)
	}
	doc := loadOpenAPI(t, must[*apigatewayv2.ExportApiOutput](t)(client.ExportApi(ctx(t), &apigatewayv2.ExportApiInput{ApiId: id, OutputType: aws.String("JSON"), Specification: aws.String("OAS30"), StageName: aws.String("$default")})).Body)
	if doc.Paths.Value("/items0/{id}").Get == nil || doc.Paths.Value("/$default") == nil || doc.Components.SecuritySchemes["jwt"] == nil {
		t.Errorf("export is %+v", doc.Paths)
	}
	_, err := client.GetApi(ctx(t), &apigatewayv2.GetApiInput{ApiId: aws.String("none")})
	wantError[*v2types.NotFoundException](t, err, "Invalid API identifier specified 222222222222:none")
	_, err = client.GetRoutes(ctx(t), &apigatewayv2.GetRoutesInput{ApiId: id, NextToken: aws.String("junk")})
	wantError[*v2types.BadRequestException](t, err, "Invalid nextToken parameter specified")
	if v1 := must[*apigateway.GetRestApisOutput](t)(w.gateway(orders).GetRestApis(ctx(t), nil)); len(v1.Items) != 0 {
		t.Error("an HTTP API is listed among REST APIs")
	}
}

func TestWebSocketAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	id := aws.String(w.sim.Account(orders).Region(region).AddWebSocketAPI(awssim.API{
		Name: "chat", Routes: []awssim.Route{{Key: "$connect", Authorization: "AWS_IAM"}, {Key: "sendMessage"}},
		Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}},
	}))
	client := w.gatewayV2(orders)
	api := must[*apigatewayv2.GetApiOutput](t)(client.GetApi(ctx(t), &apigatewayv2.GetApiInput{ApiId: id}))
	st := must[*apigatewayv2.GetStageOutput](t)(client.GetStage(ctx(t), &apigatewayv2.GetStageInput{ApiId: id, StageName: aws.String("prod")}))
	if api.ProtocolType != v2types.ProtocolTypeWebsocket || *api.RouteSelectionExpression != "$request.body.action" || !strings.HasPrefix(*api.ApiEndpoint, "wss://") {
		t.Errorf("API is %+v", api)
	}
	if st.DefaultRouteSettings.LoggingLevel != v2types.LoggingLevelInfo || !*st.DefaultRouteSettings.DataTraceEnabled {
		t.Errorf("stage is %+v", st.DefaultRouteSettings)
	}
}
