package awssim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// restWorld is an API that was made by calls, with a resource, /orders.
func restWorld(t *testing.T) (w *world, client *apigateway.Client, api, resource *string) {
	t.Helper()
	w = newWorld(t, awssim.Options{})
	client = w.gateway(orders)
	made, err := client.CreateRestApi(ctx(t), &apigateway.CreateRestApiInput{
		Name: aws.String("orders"), Tags: map[string]string{"team": "edge"},
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}},
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.CreateResource(ctx(t), &apigateway.CreateResourceInput{RestApiId: made.Id, ParentId: made.RootResourceId, PathPart: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	return w, client, made.Id, res.Id
}

// putProxy adds a method that a function answers.
func putProxy(t *testing.T, client *apigateway.Client, api, resource *string, method string) {
	t.Helper()
	if _, err := client.PutMethod(ctx(t), &apigateway.PutMethodInput{
		RestApiId: api, ResourceId: resource, HttpMethod: aws.String(method), AuthorizationType: aws.String("AWS_IAM"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutIntegration(ctx(t), &apigateway.PutIntegrationInput{
		RestApiId: api, ResourceId: resource, HttpMethod: aws.String(method), Type: types.IntegrationTypeAwsProxy, IntegrationHttpMethod: aws.String("POST"),
		Uri: aws.String("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:222222222222:function:orders/invocations"),
	}); err != nil {
		t.Fatal(err)
	}
}

// policyOf reads a resource policy, whose quotes are escaped once more than JSON needs.
func policyOf(t *testing.T, client *apigateway.Client, api *string) (d struct{ Statement []struct{ Resource any } }) {
	t.Helper()
	out, err := client.GetRestApi(ctx(t), &apigateway.GetRestApiInput{RestApiId: api})
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := json.Unmarshal([]byte(`"`+aws.ToString(out.Policy)+`"`), &text); err != nil {
		t.Fatalf("%v: %s", err, aws.ToString(out.Policy))
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return d
}

// A resource in the short form is converted to the ARN when the policy is saved, and a
// policy that is none is refused.
func TestResourcePolicyIsConverted(t *testing.T) {
	t.Parallel()
	_, client, api, _ := restWorld(t)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/prod/GET/orders"}]}`
	if _, err := client.UpdateRestApi(ctx(t), &apigateway.UpdateRestApiInput{RestApiId: api, PatchOperations: replace("/policy", policy)}); err != nil {
		t.Fatal(err)
	}
	if got, want := policyOf(t, client, api).Statement[0].Resource, "arn:aws:execute-api:eu-west-1:222222222222:"+*api+"/prod/GET/orders"; !cmp.Equal(got, any(want)) {
		t.Errorf("%v, want %s", got, want)
	}
	for _, bad := range []string{"{", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"execute-api:/*"}]}`} {
		if _, err := client.UpdateRestApi(ctx(t), &apigateway.UpdateRestApiInput{RestApiId: api, PatchOperations: replace("/policy", bad)}); code(err) != "BadRequestException" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := client.UpdateRestApi(ctx(t), &apigateway.UpdateRestApiInput{RestApiId: api, PatchOperations: replace("/policy", "")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetRestApi(ctx(t), &apigateway.GetRestApiInput{RestApiId: api})
	if err != nil || out.Policy != nil {
		t.Errorf("after its removal: %v %v", err, aws.ToString(out.Policy))
	}
}

func TestRestAPIIsChanged(t *testing.T) {
	t.Parallel()
	_, client, api, _ := restWorld(t)
	changes := append(replace("/name", "books"), replace("/description", "all books")...)
	changes = append(changes, replace("/disableExecuteApiEndpoint", "true")...)
	changes = append(changes, replace("/endpointConfiguration/types/REGIONAL", "EDGE")...)
	changes = append(changes, types.PatchOperation{Op: types.OpAdd, Path: aws.String("/binaryMediaTypes/image~1png")})
	if _, err := client.UpdateRestApi(ctx(t), &apigateway.UpdateRestApiInput{RestApiId: api, PatchOperations: changes}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetRestApi(ctx(t), &apigateway.GetRestApiInput{RestApiId: api})
	if err != nil {
		t.Fatal(err)
	}
	if *got.Name != "books" || *got.Description != "all books" || !got.DisableExecuteApiEndpoint ||
		got.EndpointConfiguration.Types[0] != types.EndpointTypeEdge || !cmp.Equal(got.BinaryMediaTypes, []string{"image/png"}) {
		t.Errorf("%+v", got)
	}
	for _, bad := range [][]types.PatchOperation{replace("/nothing", "x"), replace("/name", ""), replace("/endpointConfiguration/types/EDGE", "NEAR")} {
		if _, err := client.UpdateRestApi(ctx(t), &apigateway.UpdateRestApiInput{RestApiId: api, PatchOperations: bad}); code(err) != "BadRequestException" {
			t.Errorf("%s: %v", *bad[0].Path, err)
		}
	}
	// A change that fails half way changes nothing.
	half := append(replace("/name", "half"), replace("/nothing", "x")...)
	if _, err := client.UpdateRestApi(ctx(t), &apigateway.UpdateRestApiInput{RestApiId: api, PatchOperations: half}); err == nil {
		t.Error("a path that is none was changed")
	}
	if got, err = client.GetRestApi(ctx(t), &apigateway.GetRestApiInput{RestApiId: api}); err != nil || *got.Name != "books" {
		t.Errorf("%v %s", err, aws.ToString(got.Name))
	}
}

// What is deleted is gone for those who wait for a 404, and takes what is under it along.
func TestResourcesAreDeletedWithWhatIsUnderThem(t *testing.T) {
	t.Parallel()
	_, client, api, resource := restWorld(t)
	below, err := client.CreateResource(ctx(t), &apigateway.CreateResourceInput{RestApiId: api, ParentId: resource, PathPart: aws.String("{id}")})
	if err != nil {
		t.Fatal(err)
	}
	if *below.Path != "/orders/{id}" || *below.ParentId != *resource {
		t.Errorf("%+v", below)
	}
	if _, err := client.CreateResource(ctx(t), &apigateway.CreateResourceInput{RestApiId: api, ParentId: resource, PathPart: aws.String("{id}")}); code(err) != "ConflictException" {
		t.Errorf("a second one of the name: %v", err)
	}
	if _, err := client.DeleteResource(ctx(t), &apigateway.DeleteResourceInput{RestApiId: api, ResourceId: resource}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetResource(ctx(t), &apigateway.GetResourceInput{RestApiId: api, ResourceId: below.Id}); code(err) != "NotFoundException" {
		t.Errorf("what was under it: %v", err)
	}
	if _, err := client.DeleteRestApi(ctx(t), &apigateway.DeleteRestApiInput{RestApiId: api}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetRestApi(ctx(t), &apigateway.GetRestApiInput{RestApiId: api}); code(err) != "NotFoundException" {
		t.Errorf("the API: %v", err)
	}
}

func TestMethodsAreMadeAndChanged(t *testing.T) {
	t.Parallel()
	_, client, api, resource := restWorld(t)
	putProxy(t, client, api, resource, "GET")
	if _, err := client.PutMethod(ctx(t), &apigateway.PutMethodInput{RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE")}); code(err) != "ConflictException" {
		t.Errorf("a second GET: %v", err)
	}
	for method, auth := range map[string]string{"FETCH": "NONE", "PUT": "CUSTOM", "HEAD": "some"} {
		if _, err := client.PutMethod(ctx(t), &apigateway.PutMethodInput{RestApiId: api, ResourceId: resource, HttpMethod: aws.String(method), AuthorizationType: aws.String(auth)}); code(err) != "BadRequestException" {
			t.Errorf("%s with %s: %v", method, auth, err)
		}
	}
	if _, err := client.UpdateMethod(ctx(t), &apigateway.UpdateMethodInput{
		RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET"), PatchOperations: append(replace("/apiKeyRequired", "true"), replace("/requestParameters/method.request.querystring.q", "true")...),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UpdateIntegration(ctx(t), &apigateway.UpdateIntegrationInput{
		RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET"), PatchOperations: append(replace("/timeoutInMillis", "5000"), replace("/requestTemplates/application~1json", "{}")...),
	}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetMethod(ctx(t), &apigateway.GetMethodInput{RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET")})
	if err != nil {
		t.Fatal(err)
	}
	if !aws.ToBool(got.ApiKeyRequired) || !got.RequestParameters["method.request.querystring.q"] || len(got.MethodResponses) != 0 {
		t.Errorf("%+v", got)
	}
	in := got.MethodIntegration
	if in.TimeoutInMillis != 5000 || in.RequestTemplates["application/json"] != "{}" || in.Type != types.IntegrationTypeAwsProxy || *in.CacheNamespace != *resource || len(in.IntegrationResponses) != 0 {
		t.Errorf("%+v", in)
	}
	if _, err := client.DeleteIntegration(ctx(t), &apigateway.DeleteIntegrationInput{RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetIntegration(ctx(t), &apigateway.GetIntegrationInput{RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET")}); code(err) != "NotFoundException" {
		t.Errorf("the integration: %v", err)
	}
	if _, err := client.DeleteMethod(ctx(t), &apigateway.DeleteMethodInput{RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetMethod(ctx(t), &apigateway.GetMethodInput{RestApiId: api, ResourceId: resource, HttpMethod: aws.String("GET")}); code(err) != "NotFoundException" {
		t.Errorf("the method: %v", err)
	}
}

// The responses of a preflight: the integration's needs the method's of the same status.
func TestResponsesAreMadeAndDeleted(t *testing.T) {
	t.Parallel()
	_, client, api, resource := restWorld(t)
	options, ok := aws.String("OPTIONS"), aws.String("204")
	if _, err := client.PutMethod(ctx(t), &apigateway.PutMethodInput{RestApiId: api, ResourceId: resource, HttpMethod: options, AuthorizationType: aws.String("NONE")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutIntegration(ctx(t), &apigateway.PutIntegrationInput{
		RestApiId: api, ResourceId: resource, HttpMethod: options, Type: types.IntegrationTypeMock, RequestTemplates: map[string]string{"application/json": `{"statusCode":204}`},
	}); err != nil {
		t.Fatal(err)
	}
	answer := &apigateway.PutIntegrationResponseInput{
		RestApiId: api, ResourceId: resource, HttpMethod: options, StatusCode: ok, ResponseParameters: map[string]string{"method.response.header.Vary": "'Origin'"},
	}
	if _, err := client.PutIntegrationResponse(ctx(t), answer); code(err) != "NotFoundException" {
		t.Errorf("before the method has that status: %v", err)
	}
	if _, err := client.PutMethodResponse(ctx(t), &apigateway.PutMethodResponseInput{
		RestApiId: api, ResourceId: resource, HttpMethod: options, StatusCode: ok, ResponseParameters: map[string]bool{"method.response.header.Vary": true},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutIntegrationResponse(ctx(t), answer); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetIntegrationResponse(ctx(t), &apigateway.GetIntegrationResponseInput{RestApiId: api, ResourceId: resource, HttpMethod: options, StatusCode: ok})
	if err != nil || got.ResponseParameters["method.response.header.Vary"] != "'Origin'" {
		t.Errorf("%v %+v", err, got)
	}
	have, err := client.GetMethodResponse(ctx(t), &apigateway.GetMethodResponseInput{RestApiId: api, ResourceId: resource, HttpMethod: options, StatusCode: ok})
	if err != nil || !have.ResponseParameters["method.response.header.Vary"] {
		t.Errorf("%v %+v", err, have)
	}
	if _, err := client.DeleteIntegrationResponse(ctx(t), &apigateway.DeleteIntegrationResponseInput{RestApiId: api, ResourceId: resource, HttpMethod: options, StatusCode: ok}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteMethodResponse(ctx(t), &apigateway.DeleteMethodResponseInput{RestApiId: api, ResourceId: resource, HttpMethod: options, StatusCode: ok}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetMethodResponse(ctx(t), &apigateway.GetMethodResponseInput{RestApiId: api, ResourceId: resource, HttpMethod: options, StatusCode: ok}); code(err) != "NotFoundException" {
		t.Errorf("what was deleted: %v", err)
	}
}

// An API is deployed once it has methods that are answered, and a deployment that a
// stage shows cannot be deleted.
func TestStagesShowDeployments(t *testing.T) {
	t.Parallel()
	w, client, api, resource := restWorld(t)
	if _, err := client.CreateDeployment(ctx(t), &apigateway.CreateDeploymentInput{RestApiId: api}); code(err) != "BadRequestException" || !strings.Contains(err.Error(), "doesn't contain any methods") {
		t.Errorf("without methods: %v", err)
	}
	putProxy(t, client, api, resource, "GET")
	var made []*string
	for range 2 {
		d, err := client.CreateDeployment(ctx(t), &apigateway.CreateDeploymentInput{RestApiId: api, Description: aws.String("one")})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, d.Id)
	}
	if _, err := client.CreateStage(ctx(t), &apigateway.CreateStageInput{RestApiId: api, StageName: aws.String("prod"), DeploymentId: aws.String("nothing")}); code(err) != "BadRequestException" {
		t.Errorf("a stage of no deployment: %v", err)
	}
	if _, err := client.CreateStage(ctx(t), &apigateway.CreateStageInput{RestApiId: api, StageName: aws.String("prod"), DeploymentId: made[0], Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteDeployment(ctx(t), &apigateway.DeleteDeploymentInput{RestApiId: api, DeploymentId: made[0]}); code(err) != "BadRequestException" {
		t.Errorf("a deployment that is shown: %v", err)
	}
	update := append(replace("/deploymentId", *made[1]), replace("/variables/colour", "blue")...)
	update = append(update, replace("/*/*/throttling/burstLimit", "-1")...)
	update = append(update, replace("/description", "the real one")...)
	st, err := client.UpdateStage(ctx(t), &apigateway.UpdateStageInput{RestApiId: api, StageName: aws.String("prod"), PatchOperations: update})
	if err != nil {
		t.Fatal(err)
	}
	if *st.DeploymentId != *made[1] || st.Variables["colour"] != "blue" || *st.Description != "the real one" || st.MethodSettings["*/*"].ThrottlingBurstLimit != -1 {
		t.Errorf("%+v", st)
	}
	for _, bad := range [][]types.PatchOperation{replace("/deploymentId", "nothing"), replace("/*/*/throttling/burstLimit", "many"), replace("/*/*/caching/colour", "1")} {
		if _, err := client.UpdateStage(ctx(t), &apigateway.UpdateStageInput{RestApiId: api, StageName: aws.String("prod"), PatchOperations: bad}); code(err) != "BadRequestException" {
			t.Errorf("%s: %v", *bad[0].Path, err)
		}
	}
	list, err := client.GetDeployments(ctx(t), &apigateway.GetDeploymentsInput{RestApiId: api})
	if err != nil || len(list.Items) != 2 {
		t.Errorf("%v %+v", err, list)
	}
	if _, err := client.DeleteDeployment(ctx(t), &apigateway.DeleteDeploymentInput{RestApiId: api, DeploymentId: made[0]}); err != nil {
		t.Errorf("a deployment that is shown no more: %v", err)
	}
	if _, err := client.DeleteStage(ctx(t), &apigateway.DeleteStageInput{RestApiId: api, StageName: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetStage(ctx(t), &apigateway.GetStageInput{RestApiId: api, StageName: aws.String("prod")}); code(err) != "NotFoundException" {
		t.Errorf("the stage: %v", err)
	}
	if _, ok := w.sim.Account(orders).Region(region).Stage(*api, "prod"); ok {
		t.Error("the stage is still there")
	}
}

func TestGatewayTags(t *testing.T) {
	t.Parallel()
	_, client, api, _ := restWorld(t)
	arn := aws.String("arn:aws:apigateway:eu-west-1::/restapis/" + *api)
	if _, err := client.TagResource(ctx(t), &apigateway.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"cost": "7"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UntagResource(ctx(t), &apigateway.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetTags(ctx(t), &apigateway.GetTagsInput{ResourceArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"cost": "7"}, out.Tags); diff != "" {
		t.Error(diff)
	}
	for arn, want := range map[string]string{"arn:aws:apigateway:eu-west-1::/restapis/nothing": "NotFoundException", "arn:aws:apigateway:eu-west-1::/domainnames/x": "BadRequestException"} {
		if _, err := client.GetTags(ctx(t), &apigateway.GetTagsInput{ResourceArn: aws.String(arn)}); code(err) != want {
			t.Errorf("%s: %v", arn, err)
		}
	}
}
