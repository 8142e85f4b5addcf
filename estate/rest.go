package estate

import (
	"cmp"
	"context"
	"slices"
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
		r.unsaw(PartREST)
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
		api.restSettings(item)
		apis = append(apis, api)
	}
	return apis
}

// restSettings sets what the listing says of a REST API beyond who it is.
func (a *API) restSettings(item *types.RestApi) {
	scan := secretScan{a}
	a.Description = scan.text("API description", "", aws.ToString(item.Description))
	a.Version = aws.ToString(item.Version)
	a.Policy = unescapePolicy(aws.ToString(item.Policy))
	a.APIKeySource = string(item.ApiKeySource)
	a.TLSPolicy = string(item.SecurityPolicy)
	a.MinimumCompression = item.MinimumCompressionSize
	a.BinaryTypes = item.BinaryMediaTypes
	if c := item.EndpointConfiguration; c != nil {
		a.VPCEndpoints = c.VpcEndpointIds
		if len(c.Types) > 0 {
			a.EndpointType = string(c.Types[0])
		}
	}
}

// readREST reads the stages, resources and authorizers of a REST API; each of
// the three may fail without the others.
func (r *regionReader) readREST(ctx context.Context, api *API) {
	r.restStages(ctx, api)
	r.restMethods(ctx, api)
	r.restAuthorizers(ctx, api)
	sortDetails(api)
}

// discoverREST reads all of a REST API. Changes of its methods, authorizers, models
// and gateway responses do nothing before they are deployed: as long as the stages
// run the same deployments and the listing says the same, those are what they were.
func (r *regionReader) discoverREST(ctx context.Context, api *API) {
	r.restStages(ctx, api)
	if r.sameDetails(api) {
		return
	}
	validators, models := r.restMethods(ctx, api)
	r.restAuthorizers(ctx, api)
	if validators {
		r.restValidators(ctx, api)
	}
	if models {
		r.restModels(ctx, api)
	}
	r.restGatewayResponses(ctx, api)
	r.restDeployments(ctx, api)
	sortDetails(api)
}

func (r *regionReader) restStages(ctx context.Context, api *API) {
	stages, err := r.rest.GetStages(ctx, &apigateway.GetStagesInput{RestApiId: aws.String(api.ID)})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartStages)
		r.failed(readStages, subject(api), err)
		return
	}
	for i := range stages.Item {
		api.Stages = append(api.Stages, restStage(&stages.Item[i], secretScan{api}))
	}
}

// restMethods reads the routes, and reports whether any of them has a request
// validator, and a model.
func (r *regionReader) restMethods(ctx context.Context, api *API) (validators, models bool) {
	resources, err := all(ctx, func(ctx context.Context, token *string) ([]types.Resource, *string, error) {
		out, err := r.rest.GetResources(ctx, &apigateway.GetResourcesInput{
			RestApiId: aws.String(api.ID), Embed: []string{"methods"}, Limit: aws.Int32(restPage), Position: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		api.RoutesPartial = true
		api.Unseen = mark(api.Unseen, PartRoutes)
		r.failed(readResources, subject(api), err)
	}
	for i := range resources {
		api.Routes = append(api.Routes, restRoutes(&resources[i], secretScan{api})...)
	}
	for i := range api.Routes {
		validators = validators || api.Routes[i].Validator != nil
		models = models || len(api.Routes[i].RequestModels) > 0
	}
	return validators, models
}

func (r *regionReader) restAuthorizers(ctx context.Context, api *API) {
	authorizers, err := all(ctx, func(ctx context.Context, token *string) ([]types.Authorizer, *string, error) {
		out, err := r.rest.GetAuthorizers(ctx, &apigateway.GetAuthorizersInput{
			RestApiId: aws.String(api.ID), Limit: aws.Int32(restPage), Position: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartAuthorizers)
		r.failed(readAuthorizers, subject(api), err)
	}
	for i := range authorizers {
		api.Authorizers = append(api.Authorizers, restAuthorizer(&authorizers[i]))
	}
}

func restAuthorizer(a *types.Authorizer) Authorizer {
	out := Authorizer{
		ID: aws.ToString(a.Id), Name: aws.ToString(a.Name), Type: string(a.Type),
		URI: cleanURI(aws.ToString(a.AuthorizerUri)), Credentials: aws.ToString(a.AuthorizerCredentials),
		IdentityValidation: aws.ToString(a.IdentityValidationExpression), TTL: a.AuthorizerResultTtlInSeconds,
		ProviderARNs: a.ProviderARNs,
	}
	for source := range strings.SplitSeq(aws.ToString(a.IdentitySource), ",") {
		if source = strings.TrimSpace(source); source != "" {
			out.IdentitySource = append(out.IdentitySource, source)
		}
	}
	return out
}

// restValidators fills in what the validators that the methods name check.
func (r *regionReader) restValidators(ctx context.Context, api *API) {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.RequestValidator, *string, error) {
		out, err := r.rest.GetRequestValidators(ctx, &apigateway.GetRequestValidatorsInput{
			RestApiId: aws.String(api.ID), Limit: aws.Int32(restPage), Position: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartValidators)
		r.missed(readValidators, err, "")
	}
	for i := range items {
		v := &items[i]
		for j := range api.Routes {
			if on := api.Routes[j].Validator; on != nil && on.ID == aws.ToString(v.Id) {
				on.Name, on.Body, on.Parameters = aws.ToString(v.Name), v.ValidateRequestBody, v.ValidateRequestParameters
			}
		}
	}
}

func (r *regionReader) restModels(ctx context.Context, api *API) {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.Model, *string, error) {
		out, err := r.rest.GetModels(ctx, &apigateway.GetModelsInput{RestApiId: aws.String(api.ID), Limit: aws.Int32(restPage), Position: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartModels)
		r.missed(readModels, err, "")
	}
	for i := range items {
		m := &items[i]
		api.Models = append(api.Models, Model{
			ID: aws.ToString(m.Id), Name: aws.ToString(m.Name), ContentType: aws.ToString(m.ContentType), Schema: len(aws.ToString(m.Schema)),
		})
	}
}

// restGatewayResponses reads the answers that somebody changed; the listing has
// those that are as AWS made them too.
func (r *regionReader) restGatewayResponses(ctx context.Context, api *API) {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.GatewayResponse, *string, error) {
		out, err := r.rest.GetGatewayResponses(ctx, &apigateway.GetGatewayResponsesInput{
			RestApiId: aws.String(api.ID), Limit: aws.Int32(restPage), Position: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartGatewayResponses)
		r.missed(readResponses, err, "")
	}
	for i := range items {
		g := &items[i]
		if g.DefaultResponse {
			continue
		}
		out := GatewayResponse{Type: string(g.ResponseType), Status: aws.ToString(g.StatusCode)}
		scan := secretScan{api}
		for key, value := range g.ResponseParameters {
			if name, ok := strings.CutPrefix(key, "gatewayresponse.header."); ok {
				out.Headers = put(out.Headers, strings.ToLower(name), scan.text("gateway response "+out.Type+", header "+name, name, value))
			}
		}
		for kind, template := range g.ResponseTemplates {
			scan.code("gateway response "+out.Type+", template "+kind, template)
		}
		api.GatewayResponses = append(api.GatewayResponses, out)
	}
}

// deploymentsKept bounds the deployments of an API that the snapshot has. AWS keeps
// every one that was ever made.
const deploymentsKept = 20

// restDeployments reads the newest deployments, and when those were made that the
// stages run.
func (r *regionReader) restDeployments(ctx context.Context, api *API) {
	out, err := r.rest.GetDeployments(ctx, &apigateway.GetDeploymentsInput{RestApiId: aws.String(api.ID), Limit: aws.Int32(restPage)})
	if err != nil {
		api.Unseen = mark(api.Unseen, PartDeployments)
		r.missed(readDeployments, err, "")
		return
	}
	made := make([]Deployment, 0, len(out.Items))
	for i := range out.Items {
		d := &out.Items[i]
		made = append(made, Deployment{
			ID: aws.ToString(d.Id), Created: utc(d.CreatedDate), Description: secretScan{api}.text("deployment description", "", aws.ToString(d.Description)),
		})
	}
	// What a page of 500 does not have is asked for by its id.
	for i := range api.Stages {
		id := api.Stages[i].DeploymentID
		if id == "" || aws.ToString(out.Position) == "" || slices.ContainsFunc(made, func(d Deployment) bool { return d.ID == id }) {
			continue
		}
		one, err := r.rest.GetDeployment(ctx, &apigateway.GetDeploymentInput{RestApiId: aws.String(api.ID), DeploymentId: aws.String(id)})
		if err != nil {
			api.Unseen = mark(api.Unseen, PartDeployments)
			r.missed(readDeployments, err, "")
			continue
		}
		made = append(made, Deployment{ID: id, Created: utc(one.CreatedDate)})
	}
	api.deployed(made)
}

// deployed sets the API's deployments and when each stage's was made.
func (a *API) deployed(made []Deployment) {
	for i := range a.Stages {
		s := &a.Stages[i]
		if j := slices.IndexFunc(made, func(d Deployment) bool { return d.ID == s.DeploymentID }); j >= 0 {
			s.Deployed = made[j].Created
		}
	}
	slices.SortFunc(made, func(a, b Deployment) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	a.Deployments = slices.Clone(made[:min(len(made), deploymentsKept)])
}

func subject(api *API) string {
	if api.Name == "" {
		return api.ID
	}
	return api.ID + " (" + api.Name + ")"
}
