package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// addRoute makes a route ready and puts it where calls find it.
func (a *api) addRoute(r *Route, path string, index int, timeout time.Duration, schemas map[string]*openapi3.Schema) error {
	if r.origin != "" {
		path += " (" + r.origin + ")"
	}
	rt := &route{Route: *r, method: r.Method, path: r.Path, timeout: timeout, resourceID: fmt.Sprintf("r%05x", index)}
	switch {
	case a.kind == transaction.WebSocket || r.Path == defaultRoute:
		if r.Method != "" || r.Path == "" || a.kind == transaction.REST {
			return at(path, "a route key has a path such as $default and no method, and is of an HTTP or WebSocket API")
		}
		rt.key = r.Path
		if a.kind == transaction.HTTP {
			rt.method = methodAny
		}
	case !methodPattern.MatchString(r.Method):
		return at(path+".method", "%q is none of ANY, GET, PUT, POST, DELETE, PATCH, HEAD, OPTIONS", clip(r.Method))
	case !pathPattern.MatchString(r.Path):
		return at(path+".path", "%q is not a path such as /pets/{id} or /{proxy+}", clip(r.Path))
	default:
		rt.key = r.Method + " " + r.Path
		for rest := strings.TrimSuffix(r.Path, "/"); rest != ""; {
			var s string
			s, rest = next(rest)
			if isGreedy(s) && rest != "" {
				return at(path+".path", "%q: only the last segment can be greedy", r.Path)
			}
			rt.segments = append(rt.segments, s)
			rt.hasParams = rt.hasParams || isParam(s)
		}
	}
	if err := a.setAuthorization(rt, path); err != nil {
		return err
	}
	// What would be ignored is refused: an owner would think it protects.
	if a.kind != transaction.REST {
		switch {
		case r.APIKeyRequired && (a.kind == transaction.HTTP || rt.key != routeConnect):
			return at(path+".api_key_required", "only REST APIs, and $connect of WebSocket APIs, ask for API keys")
		case r.ValidateBody, r.ValidateParameters:
			return at(path, "only REST APIs validate requests")
		}
	}
	if r.RouteResponse != nil && a.kind != transaction.WebSocket {
		return at(path+".route_response", "only WebSocket APIs have route responses")
	}
	if len(r.Scopes) > 0 && rt.auth != iam.AuthCognito {
		return at(path+".scopes", "only JWT and COGNITO_USER_POOLS have scopes")
	}
	if err := rt.compileValidation(path, schemas); err != nil {
		return err
	}
	if err := rt.compileIntegration(path+".integration", a.kind); err != nil {
		return err
	}
	if err := rt.compileCacheKeys(path + ".integration"); err != nil {
		return err
	}
	if a.kind == transaction.WebSocket {
		if a.socket[rt.key] != nil {
			return at(path, "the route %s is there twice", rt.key)
		}
		a.socket[rt.key] = rt
		return nil
	}
	if a.router.add(rt) != nil {
		return at(path, "the route %s is there twice", rt.key)
	}
	return nil
}

// setAuthorization finds how the route authorizes. A route that says nothing is
// one with authorization NONE, as in API Gateway.
func (a *api) setAuthorization(rt *route, path string) error {
	z := a.authorizers[rt.Authorizer]
	want := func(types ...string) error {
		if z == nil {
			return at(path+".authorizer", "the API has no authorizer %q", rt.Authorizer)
		}
		if !slices.Contains(types, z.Type) {
			return at(path+".authorizer", "%s is of type %s, which does not go with authorization %s", rt.Authorizer, z.Type, rt.Authorization)
		}
		rt.authorizer = z
		return nil
	}
	if a.kind == transaction.WebSocket && rt.key != "$connect" && rt.Authorization != "" && rt.Authorization != "NONE" {
		return at(path+".authorization", "only $connect is authorized")
	}
	switch rt.Authorization {
	case "", "NONE":
		if rt.Authorizer != "" {
			return at(path+".authorizer", "is set, but authorization is NONE: the route would be open")
		}
		rt.auth = iam.AuthNone
	case "AWS_IAM":
		rt.auth = iam.AuthIAM
	case "CUSTOM":
		rt.auth = iam.AuthLambda
		return want("TOKEN", "REQUEST")
	case "JWT":
		rt.auth = iam.AuthCognito
		if a.kind != transaction.HTTP {
			return at(path+".authorization", "only HTTP APIs have JWT authorizers")
		}
		return want("JWT")
	case "COGNITO_USER_POOLS":
		rt.auth = iam.AuthCognito
		if a.kind != transaction.REST {
			return at(path+".authorization", "only REST APIs have user pool authorizers")
		}
		return want("COGNITO_USER_POOLS")
	default:
		return at(path+".authorization", "%q is none of NONE, AWS_IAM, CUSTOM, JWT, COGNITO_USER_POOLS", clip(rt.Authorization))
	}
	return nil
}

// checkURL accepts the address of an HTTP endpoint.
func checkURL(path, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return at(path, "%q is not an http or https URL", clip(text))
	}
	return nil
}
