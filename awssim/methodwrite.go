package awssim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	methodPath      = "/restapis/{api}/resources/{resource}/methods/{method}"
	integrationPath = methodPath + "/integration"
)

// methodWriteRoutes are the operations of API Gateway that change methods,
// integrations and their responses.
var methodWriteRoutes = []route{
	{http.MethodPut, methodPath, operation{name: "PutMethod", run: putMethod}},
	{http.MethodPatch, methodPath, operation{name: "UpdateMethod", run: updateMethod}},
	{http.MethodDelete, methodPath, operation{name: "DeleteMethod", run: deleteMethod}},
	{http.MethodPut, methodPath + "/responses/{status}", operation{name: "PutMethodResponse", run: putMethodResponse}},
	{http.MethodGet, methodPath + "/responses/{status}", operation{name: "GetMethodResponse", run: getMethodResponse}},
	{http.MethodDelete, methodPath + "/responses/{status}", operation{name: "DeleteMethodResponse", run: deleteMethodResponse}},
	{http.MethodPut, integrationPath, operation{name: "PutIntegration", run: putIntegration}},
	{http.MethodPatch, integrationPath, operation{name: "UpdateIntegration", run: updateIntegration}},
	{http.MethodDelete, integrationPath, operation{name: "DeleteIntegration", run: deleteIntegration}},
	{http.MethodPut, integrationPath + "/responses/{status}", operation{name: "PutIntegrationResponse", run: putIntegrationResponse}},
	{http.MethodGet, integrationPath + "/responses/{status}", operation{name: "GetIntegrationResponse", run: getIntegrationResponse}},
	{http.MethodDelete, integrationPath + "/responses/{status}", operation{name: "DeleteIntegrationResponse", run: deleteIntegrationResponse}},
}

// The fields that hold the responses of a method and of an integration.
const (
	methodResponses      = "methodResponses"
	integrationResponses = "integrationResponses"
)

// changeMethods changes a copy of the list of methods of the resource of the call.
func (x *exchange) changeMethods(change func(api *restAPI, res *Resource) error) error {
	_, err := x.changeRESTAPI(func(_ *Region, next *restAPI) error {
		i := next.resource(x.args["resource"])
		if i < 0 {
			return notFound("Invalid Resource identifier specified")
		}
		res := &next.Resources[i]
		res.Methods = slices.Clone(res.Methods)
		return change(next, res)
	})
	return err
}

func (x *exchange) methodOf(res *Resource) int {
	return slices.IndexFunc(res.Methods, func(m Method) bool { return m.HTTPMethod == x.args["method"] })
}

// changeMethod changes a copy of the method of the call, and answers what shows.
func (x *exchange) changeMethod(change func(api *restAPI, m *Method) error, show func(res *Resource, m *Method) item) error {
	var shown item
	err := x.changeMethods(func(api *restAPI, res *Resource) error {
		i := x.methodOf(res)
		if i < 0 {
			return notFound("Invalid Method identifier specified")
		}
		m := &res.Methods[i]
		m.More, m.RequestParameters, m.RequestModels = maps.Clone(m.More), maps.Clone(m.RequestParameters), maps.Clone(m.RequestModels)
		if m.Integration != nil {
			in := *m.Integration
			in.More = maps.Clone(in.More)
			m.Integration = &in
		}
		if err := change(api, m); err != nil {
			return err
		}
		if show != nil {
			shown = show(res, m)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case show == nil:
		return x.noContent(nil)
	}
	return x.answerJSON(shown)
}

func showMethod(res *Resource, m *Method) item { return m.item(res) }

func showIntegration(res *Resource, m *Method) item { return m.Integration.restItem(res) }

type methodInput struct {
	AuthorizationType   string            `json:"authorizationType"`
	AuthorizerID        string            `json:"authorizerId"`
	APIKeyRequired      bool              `json:"apiKeyRequired"`
	OperationName       string            `json:"operationName"`
	RequestParameters   map[string]bool   `json:"requestParameters"`
	RequestModels       map[string]string `json:"requestModels"`
	RequestValidatorID  string            `json:"requestValidatorId"`
	AuthorizationScopes []string          `json:"authorizationScopes"`
}

func putMethod(x *exchange) error {
	in, err := gatewayInput[methodInput](x)
	if err != nil {
		return err
	}
	m := Method{
		HTTPMethod: x.args["method"], Authorization: in.AuthorizationType, AuthorizerID: in.AuthorizerID, APIKeyRequired: in.APIKeyRequired,
		OperationName: in.OperationName, RequestParameters: in.RequestParameters, RequestModels: in.RequestModels,
		AuthorizationScopes: in.AuthorizationScopes,
		More:                Object(item{methodResponses: Object{}}.set("requestValidatorId", in.RequestValidatorID)),
	}
	if !slices.Contains([]string{"ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}, m.HTTPMethod) {
		return badRequest("Invalid HTTP method specified")
	}
	var shown item
	err = x.changeMethods(func(api *restAPI, res *Resource) error {
		if x.methodOf(res) >= 0 {
			return conflict("Method already exists for this resource")
		}
		if err := api.checkAuthorization(&m); err != nil {
			return err
		}
		res.Methods = append(res.Methods, m)
		shown = m.item(res)
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(shown)
}

func (api *restAPI) checkAuthorization(m *Method) error {
	switch m.Authorization {
	case "NONE", "AWS_IAM":
		return nil
	case "CUSTOM", "COGNITO_USER_POOLS":
		if slices.ContainsFunc(api.Authorizers, func(a Authorizer) bool { return a.ID == m.AuthorizerID }) {
			return nil
		}
		return badRequest("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.")
	}
	return badRequest("Invalid authorization type specified. Must be one of: [NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS]")
}

func updateMethod(x *exchange) error {
	changes, err := x.patch()
	if err != nil {
		return err
	}
	return x.changeMethod(func(api *restAPI, m *Method) error {
		for _, p := range changes {
			name, parameter := strings.CutPrefix(p.Path, "/requestParameters/")
			var bad error
			switch {
			case parameter && p.Op == "remove":
				delete(m.RequestParameters, unpointer(name))
			case parameter:
				if m.RequestParameters == nil {
					m.RequestParameters = map[string]bool{}
				}
				m.RequestParameters[unpointer(name)], bad = strconv.ParseBool(p.Value)
			case p.Path == "/authorizationType":
				m.Authorization = p.Value
			case p.Path == "/authorizerId":
				m.AuthorizerID = p.Value
			case p.Path == "/operationName":
				m.OperationName = p.Value
			case p.Path == "/apiKeyRequired":
				m.APIKeyRequired, bad = strconv.ParseBool(p.Value)
			default:
				return invalidPath(p)
			}
			if bad != nil {
				return badRequest("Invalid value for " + p.Path)
			}
		}
		return api.checkAuthorization(m)
	}, showMethod)
}

func deleteMethod(x *exchange) error {
	return x.noContent(x.changeMethods(func(_ *restAPI, res *Resource) error {
		i := x.methodOf(res)
		if i < 0 {
			return notFound("Invalid Method identifier specified")
		}
		res.Methods = slices.Delete(res.Methods, i, i+1)
		return nil
	}))
}

type integrationInput struct {
	Type                string            `json:"type"`
	Method              string            `json:"httpMethod"`
	URI                 string            `json:"uri"`
	ConnectionType      string            `json:"connectionType"`
	ConnectionID        string            `json:"connectionId"`
	Credentials         string            `json:"credentials"`
	RequestParameters   map[string]string `json:"requestParameters"`
	RequestTemplates    map[string]string `json:"requestTemplates"`
	PassthroughBehavior string            `json:"passthroughBehavior"`
	CacheNamespace      string            `json:"cacheNamespace"`
	CacheKeyParameters  []string          `json:"cacheKeyParameters"`
	ContentHandling     string            `json:"contentHandling"`
	Timeout             int64             `json:"timeoutInMillis"`
}

func putIntegration(x *exchange) error {
	in, err := gatewayInput[integrationInput](x)
	if err != nil {
		return err
	}
	backend := in.Type != "MOCK"
	switch {
	case !slices.Contains([]string{"HTTP", "AWS", "MOCK", "HTTP_PROXY", "AWS_PROXY"}, in.Type):
		return badRequest("Enumeration value for integration type must be one of: [HTTP, MOCK, AWS_PROXY, AWS, HTTP_PROXY]")
	case backend && in.Method == "":
		return badRequest("Enumeration value for HttpMethod must be non-empty")
	case backend && strings.HasPrefix(in.Type, "AWS") && !strings.HasPrefix(in.URI, "arn:"):
		return badRequest("AWS ARN for integration must contain path or action")
	case in.Timeout != 0 && in.Timeout < 50:
		return badRequest("Timeout should be between 50 ms and 29000 ms")
	}
	made := Integration{
		Type: in.Type, Method: in.Method, URI: in.URI, Credentials: in.Credentials, ConnectionType: in.ConnectionType,
		ConnectionID: in.ConnectionID, Timeout: time.Duration(in.Timeout) * time.Millisecond,
	}
	made.More = Object(item{integrationResponses: Object{}}.set("passthroughBehavior", in.PassthroughBehavior).
		set("cacheNamespace", in.CacheNamespace).set("cacheKeyParameters", in.CacheKeyParameters).set("contentHandling", in.ContentHandling).
		set("requestParameters", in.RequestParameters).set("requestTemplates", in.RequestTemplates))
	return x.changeMethod(func(_ *restAPI, m *Method) error {
		if m.Integration != nil { // responses outlive the integration that they were made for
			made.More[integrationResponses] = responsesOf(m.Integration.More, integrationResponses)
		}
		m.Integration = &made
		return nil
	}, showIntegration)
}

func noIntegration() *Error { return notFound("Invalid Integration identifier specified") }

func updateIntegration(x *exchange) error {
	changes, err := x.patch()
	if err != nil {
		return err
	}
	return x.changeMethod(func(_ *restAPI, m *Method) error {
		in := m.Integration
		if in == nil {
			return noIntegration()
		}
		for _, p := range changes {
			switch p.Path {
			case "/uri":
				in.URI = p.Value
			case "/credentials":
				in.Credentials = p.Value
			case "/httpMethod":
				in.Method = p.Value
			case "/connectionType":
				in.ConnectionType = p.Value
			case "/connectionId":
				in.ConnectionID = p.Value
			case "/passthroughBehavior", "/contentHandling", "/cacheNamespace":
				if in.More == nil {
					in.More = Object{}
				}
				in.More[p.Path[1:]] = p.Value
			case "/timeoutInMillis":
				ms, err := strconv.ParseInt(p.Value, 10, 64)
				if err != nil || ms < 50 {
					return badRequest("Timeout should be between 50 ms and 29000 ms")
				}
				in.Timeout = time.Duration(ms) * time.Millisecond
			default:
				if err := in.patchMap(p); err != nil {
					return err
				}
			}
		}
		return nil
	}, showIntegration)
}

// patchMap changes an entry of the request templates or parameters.
func (in *Integration) patchMap(p patchOperation) error {
	field, name, _ := strings.Cut(strings.TrimPrefix(p.Path, "/"), "/")
	if name == "" || field != "requestTemplates" && field != "requestParameters" {
		return invalidPath(p)
	}
	have, _ := in.More[field].(map[string]string)
	have = orEmpty(maps.Clone(have))
	if delete(have, unpointer(name)); p.Op != "remove" {
		have[unpointer(name)] = p.Value
	}
	if in.More == nil {
		in.More = Object{}
	}
	in.More[field] = have
	return nil
}

func deleteIntegration(x *exchange) error {
	return x.changeMethod(func(_ *restAPI, m *Method) error {
		if m.Integration == nil {
			return noIntegration()
		}
		m.Integration = nil
		return nil
	}, nil)
}

// responsesOf are the responses in the further fields of a method or an integration, as a
// copy. One that was set up in Go has the response that it shows.
func responsesOf(more Object, field string) Object {
	if have, ok := more[field].(Object); ok {
		return maps.Clone(have)
	}
	return Object{"200": Object{"statusCode": "200"}}
}

// responses are the responses that the call is about, with what else there is in the
// same fields.
func (m *Method) responses(field string) (more *Object, responses Object, err error) {
	more = &m.More
	if field == integrationResponses {
		if m.Integration == nil {
			return nil, nil, noIntegration()
		}
		more = &m.Integration.More
	}
	return more, responsesOf(*more, field), nil
}

func (x *exchange) putResponse(field string, fields Object) error {
	status := x.args["status"]
	if n, err := strconv.Atoi(status); err != nil || n < 100 || n > 599 {
		return badRequest("Invalid status code specified")
	}
	fields["statusCode"] = status
	return x.changeMethod(func(_ *restAPI, m *Method) error {
		more, responses, err := m.responses(field)
		if err != nil {
			return err
		}
		if field == integrationResponses && responsesOf(m.More, methodResponses)[status] == nil {
			return notFound("Invalid Response status code specified")
		}
		if field == methodResponses && responses[status] != nil {
			return conflict("Response already exists for this resource")
		}
		responses[status] = fields
		if *more == nil {
			*more = Object{}
		}
		(*more)[field] = responses
		return nil
	}, func(*Resource, *Method) item { return item(fields) })
}

func (x *exchange) getResponse(field string) error {
	_, m, err := x.theMethod()
	if err != nil {
		return err
	}
	_, responses, err := m.responses(field)
	if err != nil {
		return err
	}
	found, ok := responses[x.args["status"]]
	if !ok {
		return notFound("Invalid Response status code specified")
	}
	return x.answerJSON(found)
}

func (x *exchange) deleteResponse(field string) error {
	return x.changeMethod(func(_ *restAPI, m *Method) error {
		more, responses, err := m.responses(field)
		if err != nil {
			return err
		}
		if responses[x.args["status"]] == nil {
			return notFound("Invalid Response status code specified")
		}
		delete(responses, x.args["status"])
		if *more == nil {
			*more = Object{}
		}
		(*more)[field] = responses
		return nil
	}, nil)
}

func putMethodResponse(x *exchange) error {
	in, err := gatewayInput[struct {
		Parameters map[string]bool   `json:"responseParameters"`
		Models     map[string]string `json:"responseModels"`
	}](x)
	if err != nil {
		return err
	}
	return x.putResponse(methodResponses, Object(item{}.set("responseParameters", in.Parameters).set("responseModels", in.Models)))
}

func getMethodResponse(x *exchange) error    { return x.getResponse(methodResponses) }
func deleteMethodResponse(x *exchange) error { return x.deleteResponse(methodResponses) }

func putIntegrationResponse(x *exchange) error {
	in, err := gatewayInput[struct {
		SelectionPattern string            `json:"selectionPattern"`
		Parameters       map[string]string `json:"responseParameters"`
		Templates        map[string]string `json:"responseTemplates"`
		ContentHandling  string            `json:"contentHandling"`
	}](x)
	if err != nil {
		return err
	}
	return x.putResponse(integrationResponses, Object(item{}.set("selectionPattern", in.SelectionPattern).
		set("responseParameters", in.Parameters).set("responseTemplates", in.Templates).set("contentHandling", in.ContentHandling)))
}

func getIntegrationResponse(x *exchange) error    { return x.getResponse(integrationResponses) }
func deleteIntegrationResponse(x *exchange) error { return x.deleteResponse(integrationResponses) }
