package estate

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// APIAccess is what an API itself says of who may call it.
type APIAccess struct {
	Account string
	Region  string
	API     API // with its routes, where they could be read
	// Policy is the resource policy as API Gateway holds it now, which may be newer
	// than what the stage runs; nil: none, or unseen.
	Policy *Policy
	Unseen []Unseen
}

// private reports whether the API is reached through VPC endpoints alone.
func (a *APIAccess) private() bool { return a.API.EndpointType == "PRIVATE" }

// ReadAPIAccess reads the resource policy and the routes of an API. It returns nil
// and no error where the account has no such API in that region.
func ReadAPIAccess(ctx context.Context, cfg aws.Config, accountID, region, id string) (*APIAccess, error) {
	cfg.Region = region
	r := &regionReader{
		place: place{target: account.Target{Account: accountID}, region: region},
		rest:  apigateway.NewFromConfig(cfg), v2: apigatewayv2.NewFromConfig(cfg),
	}
	out := &APIAccess{Account: accountID, Region: region, API: API{ID: id}}
	path := fmt.Sprintf("arn:%s:apigateway:%s::", account.PartitionOf(region), region)
	rest, err := r.rest.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: aws.String(id)})
	switch {
	case err == nil:
		out.API.Name, out.API.Type = aws.ToString(rest.Name), transaction.REST
		if rest.EndpointConfiguration != nil && len(rest.EndpointConfiguration.Types) > 0 {
			out.API.EndpointType = string(rest.EndpointConfiguration.Types[0])
		}
		out.resourcePolicy(aws.ToString(rest.Policy))
		r.readREST(ctx, &out.API)
	case account.Classify(err) != account.Gone:
		return nil, &ReadError{Unread: unread(iam.LayerResource, "the resource policy of API "+id, err, path+"/restapis/"+id+"*", "apigateway:GET"), Err: err}
	default:
		v2, err := r.v2.GetApi(ctx, &apigatewayv2.GetApiInput{ApiId: aws.String(id)})
		if account.Classify(err) == account.Gone {
			return nil, nil //nolint:nilnil // an API of another account is no error
		}
		if err != nil {
			return nil, &ReadError{Unread: unread(iam.LayerResource, "API "+id, err, path+"/apis/"+id+"*", "apigateway:GET"), Err: err}
		}
		out.API.Name, out.API.Type = aws.ToString(v2.Name), transaction.APIType(v2.ProtocolType)
		r.readV2(ctx, &out.API)
	}
	if out.API.RoutesPartial {
		for _, f := range r.faults {
			if strings.HasPrefix(f.What, readResources.operation) || strings.HasPrefix(f.What, readV2Routes.operation) {
				resource := path + "/restapis/" + id + "/resources"
				if out.API.Type != transaction.REST {
					resource = path + "/apis/" + id + "/routes"
				}
				out.Unseen = append(out.Unseen, Unseen{
					What: "the routes of API " + id + ", and with them the authorization of the method",
					Why:  f.Error, Actions: []string{"apigateway:GET"}, Resources: []string{resource},
				})
			}
		}
	}
	return out, nil
}

// ReadError is an API that could not be read.
type ReadError struct {
	Unread Unseen
	Err    error
}

// Error says which and why.
func (e *ReadError) Error() string { return "reading " + e.Unread.What + ": " + e.Unread.Why }

// Unwrap returns what AWS or the way to it answered.
func (e *ReadError) Unwrap() error { return e.Err }

func (a *APIAccess) resourcePolicy(text string) {
	if text == "" {
		return
	}
	title := "resource policy of API " + a.API.ID
	p, err := parsePolicy(iam.KindResource, title, "", unescapePolicy(text))
	if err != nil {
		a.Unseen = append(a.Unseen, Unseen{What: "the " + title, Layers: []iam.Layer{iam.LayerResource}, Why: err.Error()})
		return
	}
	a.Policy = &p
}

// route finds the route of a call. A stage may be the first segment of its path, or
// be $default, where it is not given.
func (a *APIAccess) route(stage, method, path string) *Route {
	switch {
	case a.API.Type == transaction.WebSocket:
		for i := range a.API.Routes {
			if a.API.Routes[i].Path == method { // $connect, …
				return &a.API.Routes[i]
			}
		}
		return nil
	case stage == "" || a.API.RoutesPartial:
		return nil
	}
	return newRouter(a.API.Type, a.API.Routes).find(method, path)
}
