package awssim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Object is something of AWS that the Sim shows and does not act on: its fields as
// AWS answers them, by AWS's own names.
type Object map[string]any

// with adds fields as they are.
func (it item) with(more Object) item {
	maps.Copy(it, more)
	return it
}

// The collections of API Gateway that hold Objects, by the path that lists them. A
// name in braces is an id: "usageplans/{id}/keys" is filled with
// AddObject("usageplans/abc/keys", …).
var apiObjectRoutes = []route{
	{http.MethodGet, "/usageplans", operation{name: "GetUsagePlans", run: listObjects}},
	{http.MethodGet, "/usageplans/{plan}/keys", operation{name: "GetUsagePlanKeys", run: listObjects}},
	{http.MethodGet, "/domainnames", operation{name: "GetDomainNames", run: listObjects}},
	{http.MethodGet, "/domainnames/{domain}/basepathmappings", operation{name: "GetBasePathMappings", run: listObjects}},
	{http.MethodGet, "/v2/domainnames/{domain}/apimappings", operation{name: "GetApiMappings", run: listRouteObjects}},
	{http.MethodGet, "/vpclinks", operation{name: "GetVpcLinks", run: listObjects}},
	{http.MethodGet, "/v2/vpclinks", operation{name: "GetVpcLinks", run: listRouteObjects}},
	{http.MethodGet, "/clientcertificates", operation{name: "GetClientCertificates", run: listObjects}},
	{http.MethodGet, "/restapis/{api}/models", operation{name: "GetModels", run: listObjects}},
	{http.MethodGet, "/restapis/{api}/requestvalidators", operation{name: "GetRequestValidators", run: listObjects}},
	{http.MethodGet, "/restapis/{api}/gatewayresponses", operation{name: "GetGatewayResponses", run: listObjects}},
	{http.MethodGet, "/restapis/{api}/deployments", operation{name: "GetDeployments", run: listObjects}},
	{http.MethodGet, "/restapis/{api}/deployments/{deployment}", operation{name: "GetDeployment", run: getDeployment}},
	{http.MethodGet, "/v2/apis/{api}/models", operation{name: "GetModels", run: listRouteObjects}},
	{http.MethodGet, "/v2/apis/{api}/deployments", operation{name: "GetDeployments", run: listRouteObjects}},
}

var allAPIGatewayRoutes = slices.Concat(apiGatewayRoutes, apiObjectRoutes, stageRoutes, restWriteRoutes, methodWriteRoutes, deploymentRoutes)

// AddObject adds to a collection of API Gateway, such as "usageplans",
// "usageplans/abc/keys", "restapis/a1b2c3/models" or "v2/domainnames/x.example/apimappings".
// Deployments need not be added: those that the stages name are there.
func (r *Region) AddObject(collection string, o Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.objects == nil {
		r.objects = map[string][]Object{}
	}
	r.objects[collection] = append(slices.Clip(r.objects[collection]), maps.Clone(o))
}

// SetObjects replaces a collection.
func (r *Region) SetObjects(collection string, list ...Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.objects == nil {
		r.objects = map[string][]Object{}
	}
	r.objects[collection] = slices.Clone(list)
}

// collection finds the objects that the path of the call lists.
func (x *exchange) collection() ([]Object, error) {
	r, err := x.reached()
	if err != nil {
		return nil, err
	}
	path := strings.Trim(x.r.URL.Path, "/")
	path = strings.TrimSuffix(path, "/"+x.args["deployment"])
	r.mu.RLock()
	list := r.objects[path]
	r.mu.RUnlock()
	switch {
	case x.args["api"] != "" && strings.HasPrefix(path, "v2/"):
		_, api, err := x.theRouteAPI()
		if err != nil {
			return nil, err
		}
		if list == nil && strings.HasSuffix(path, "/deployments") {
			for i := range api.Stages {
				st := &api.Stages[i]
				list = append(list, Object{
					"deploymentId": st.DeploymentID, "createdDate": stamp(st.Created), "deploymentStatus": "DEPLOYED", "autoDeployed": st.AutoDeploy,
				})
			}
		}
	case x.args["api"] != "":
		api, err := x.theRESTAPI()
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasSuffix(path, "/deployments"):
			r.mu.RLock()
			list = r.deployments(api)
			r.mu.RUnlock()
		case strings.HasSuffix(path, "/gatewayresponses"):
			list = append(slices.Clip(list), Object{"responseType": "THROTTLED", "statusCode": "429", "defaultResponse": true})
		}
	case x.args["plan"] != "" && !r.hasObject("usageplans", "id", x.args["plan"]):
		return nil, notFound("Invalid Usage Plan ID specified")
	case x.args["domain"] != "" && !r.hasObject("domainnames", "domainName", x.args["domain"]):
		return nil, notFound("Invalid domain name identifier specified")
	}
	return list, nil
}

func (r *Region) hasObject(collection, key, value string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.ContainsFunc(r.objects[collection], func(o Object) bool { return o[key] == value })
}

func listObjects(x *exchange) error {
	list, err := x.collection()
	if err != nil {
		return err
	}
	return answerItems(x, x.r.URL.Path, 500, 25, list, func(o *Object) item { return item(*o) })
}

func listRouteObjects(x *exchange) error {
	list, err := x.collection()
	if err != nil {
		return err
	}
	return answerRoutePage(x, x.r.URL.Path, list, func(o *Object) item { return item(*o) })
}

func getDeployment(x *exchange) error {
	list, err := x.collection()
	if err != nil {
		return err
	}
	for _, o := range list {
		if o["id"] == x.args["deployment"] {
			return x.answerJSON(o)
		}
	}
	return notFound("Invalid Deployment identifier specified")
}
