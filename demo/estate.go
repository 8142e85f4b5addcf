package demo

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/gateway"
)

// publish makes an API known to the simulated control plane, as it is served.
func (w *World) publish(a *gateway.API) {
	account := w.Sim.Account(a.Account)
	account.AddRole(awssim.Role{
		Name: logRole, TrustPolicy: trustService("apigateway.amazonaws.com"),
		Allow: []string{
			"logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams",
			"logs:PutLogEvents", "logs:GetLogEvents", "logs:FilterLogEvents",
		},
	})
	region := account.Region(a.Region)
	region.SetLogRole(roleARN(a.Account, logRole))
	stages := make([]awssim.Stage, 0, len(a.Stages))
	for i := range a.Stages {
		s := &a.Stages[i]
		st := awssim.Stage{
			Name: s.Name, LoggingLevel: s.LoggingLevel, DataTrace: s.DataTrace, Variables: s.Variables,
			Tags: map[string]string{"owner": a.Name + "-team", "environment": s.Name},
		}
		if l := s.AccessLog; l != nil {
			st.AccessFormat, st.AccessLogARN = l.Format, "arn:aws:logs:"+a.Region+":"+a.Account+":log-group:"+l.Group
			region.Logs().CreateGroup(l.Group) // which owners make before they name it
		}
		stages = append(stages, st)
	}
	w.addBackends(a, stages)
	authorizers := make([]awssim.Authorizer, 0, len(a.Authorizers))
	for name, z := range a.Authorizers {
		authorizers = append(authorizers, awssim.Authorizer{
			ID: name, Name: name, Type: z.Type, URI: functionURI(a, z.URL), IdentitySource: strings.Join(z.IdentitySource, ","),
			Issuer: z.Issuer, Audience: z.Audience,
		})
	}
	if a.Type == "REST" {
		region.AddRESTAPI(awssim.RESTAPI{
			ID: a.ID, Name: a.Name, EndpointType: "REGIONAL", Policy: policyOf(a),
			Resources: resourcesOf(a), Authorizers: authorizers, Stages: stages,
		})
		return
	}
	v2 := awssim.API{ID: a.ID, Name: a.Name, Routes: routesOf(a), Authorizers: authorizers, Stages: stages}
	if a.Type == "HTTP" {
		region.AddHTTPAPI(v2)
	} else {
		region.AddWebSocketAPI(v2)
	}
}

func policyOf(a *gateway.API) string {
	if a.Policy == nil {
		return ""
	}
	return string(a.Policy.JSON)
}

func resourcesOf(a *gateway.API) []awssim.Resource {
	list := make([]awssim.Resource, 0, len(a.Routes))
	for i := range a.Routes {
		r := &a.Routes[i]
		list = append(list, awssim.Resource{Path: r.Path, Methods: []awssim.Method{{
			HTTPMethod: r.Method, Authorization: r.Authorization, AuthorizerID: r.Authorizer, APIKeyRequired: r.APIKeyRequired,
			Integration: integrationOf(a, r),
		}}})
	}
	return list
}

func routesOf(a *gateway.API) []awssim.Route {
	list := make([]awssim.Route, 0, len(a.Routes))
	for i := range a.Routes {
		r := &a.Routes[i]
		list = append(list, awssim.Route{
			Key: strings.TrimSpace(r.Method + " " + r.Path), Authorization: r.Authorization, AuthorizerID: r.Authorizer,
			Integration: integrationOf(a, r),
		})
	}
	return list
}

func integrationOf(a *gateway.API, r *gateway.Route) *awssim.Integration {
	i := &awssim.Integration{Type: r.Integration.Type, Method: "POST", URI: functionURI(a, r.Integration.URI), Timeout: r.Integration.Timeout}
	if r.Integration.Type != "AWS_PROXY" {
		i.Method = r.Method
	}
	return i
}

// functionURI is how the control plane names a function: HTTP APIs by its ARN, the
// others by the path of its Invoke operation. Other addresses stay as they are.
func functionURI(a *gateway.API, uri string) string {
	path, ok := strings.CutPrefix(uri, "https://lambda."+a.Region+".amazonaws.com/")
	switch {
	case !ok:
		return uri
	case a.Type == "HTTP":
		return strings.TrimSuffix(strings.TrimPrefix(path, "2015-03-31/functions/"), "/invocations")
	default:
		return "arn:aws:apigateway:" + a.Region + ":lambda:path/" + path
	}
}
