package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// authorizer is an authorizer made ready.
type authorizer struct {
	*Authorizer
	name    string
	sources []identitySource
	pattern *regexp.Regexp
	ttl     time.Duration
	v2      bool
	cache   resultCache
	jwt     *jwtVerifier
}

// identitySource is what a call must bring for the authorizer to be asked.
type identitySource struct {
	kind variableKind
	name string
}

// authorizerResult is what an authorizer answered.
type authorizerResult struct {
	principal string
	policies  iam.Policies // identity
	simple    bool         // an HTTP API's isAuthorized
	allowed   bool         // where simple
	context   map[string]any
	usageKey  string
	expires   time.Time
}

// maxAuthorizerTTL and maxAuthorizerTimeout are API Gateway's.
const (
	maxAuthorizerTTL     = time.Hour
	maxAuthorizerTimeout = 30 * time.Second
)

func (z *Authorizer) compile(path, name string, kind transaction.APIType) (*authorizer, error) {
	c := &authorizer{Authorizer: z, name: name}
	switch z.Type {
	case "TOKEN", "REQUEST":
		if err := checkURL(path+".url", z.URL); err != nil {
			return nil, err
		}
		if z.Type == "TOKEN" && kind != transaction.REST {
			return nil, at(path+".type", "only REST APIs have TOKEN authorizers")
		}
	case "JWT":
		if kind != transaction.HTTP {
			return nil, at(path+".type", "only HTTP APIs have JWT authorizers; a REST API's is COGNITO_USER_POOLS")
		}
	case "COGNITO_USER_POOLS":
		if kind != transaction.REST {
			return nil, at(path+".type", "only REST APIs have user pool authorizers; an HTTP API's is JWT")
		}
	default:
		return nil, at(path+".type", "%q is none of TOKEN, REQUEST, JWT, COGNITO_USER_POOLS", clip(z.Type))
	}
	sources := z.IdentitySource
	if len(sources) == 0 && z.Type != "REQUEST" {
		sources = []string{"method.request.header.Authorization"}
	}
	for i, s := range sources {
		source, ok := readIdentitySource(s)
		if !ok {
			return nil, at(indexed(path+".identity_source", i), "%q is not an identity source such as method.request.header.Authorization", clip(s))
		}
		c.sources = append(c.sources, source)
	}
	if z.Type != "REQUEST" && (len(c.sources) != 1 || kind == transaction.REST && c.sources[0].kind != headerVariable) {
		return nil, at(path+".identity_source", "a %s authorizer has one identity source, of a REST API a header", z.Type)
	}
	if z.IdentityValidation != "" {
		p, err := regexp.Compile("^(?:" + z.IdentityValidation + ")$")
		if err != nil {
			return nil, at(path+".identity_validation_expression", "%w", err)
		}
		c.pattern = p
	}
	switch {
	case z.TTL != nil:
		c.ttl = *z.TTL
	case kind != transaction.HTTP:
		c.ttl = 5 * time.Minute
	}
	if c.ttl < 0 || c.ttl > maxAuthorizerTTL {
		return nil, at(path+".ttl", "must be from 0 to 1h")
	}
	if len(c.sources) == 0 {
		if z.TTL != nil && c.ttl > 0 {
			return nil, at(path+".ttl", "results are kept by identity source, and there is none")
		}
		c.ttl = 0
	}
	switch z.PayloadVersion {
	case "":
		c.v2 = kind == transaction.HTTP
	case "1.0":
	case "2.0":
		c.v2 = true
	default:
		return nil, at(path+".payload_version", "%q is neither 1.0 nor 2.0", clip(z.PayloadVersion))
	}
	if kind != transaction.HTTP && c.v2 {
		return nil, at(path+".payload_version", "only HTTP APIs have 2.0")
	}
	if z.SimpleResponses && !c.v2 {
		return nil, at(path+".simple_responses", "needs payload_version 2.0 of an HTTP API")
	}
	if z.Type == "JWT" || z.Type == "COGNITO_USER_POOLS" {
		return c, c.compileJWT(path)
	}
	return c, nil
}

// readIdentitySource reads method.request.header.X, $request.header.X and their
// like.
func readIdentitySource(text string) (identitySource, bool) {
	s := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "$"), "method.")
	s = strings.TrimPrefix(s, "route.")
	for prefix, kind := range map[string]variableKind{
		"request.header.": headerVariable, "request.querystring.": queryVariable, "context.": contextVariable, "stageVariables.": stageVariable,
	} {
		if name, ok := strings.CutPrefix(s, prefix); ok && name != "" {
			return identitySource{kind, name}, true
		}
	}
	return identitySource{}, false
}

// start readies what the authorizer keeps while the gateway runs.
func (z *authorizer) start(g *Gateway) {
	z.cache.entries = map[[sha256.Size]byte]*authorizerResult{}
	if z.jwt != nil {
		z.jwt.start(g)
	}
}

// identities are the values of the identity sources; ok is false if one is
// missing, or does not look as it should.
func (c *call) identities(z *authorizer) (values []string, ok bool) {
	for _, s := range z.sources {
		v := c.value(part{kind: s.kind, name: s.name})
		if v == "" || z.pattern != nil && !z.pattern.MatchString(v) {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

// authorizeByLambda: an explicit Deny of the resource policy is final before the
// authorizer is asked.
func (c *call) authorizeByLambda() *refusal {
	resource := c.resource()
	if c.api.policy.Policy != nil {
		if f := c.preDeny(resource); f != nil {
			return f
		}
	}
	z := c.route.authorizer
	c.info("Starting authorizer: ", z.name, " for request: ", c.id)
	values, ok := c.identities(z)
	c.identity, c.secrets = values, nil
	if !ok && (len(z.sources) > 0 && (z.Type == "TOKEN" || z.ttl > 0 || c.api.kind == transaction.HTTP) || z.Type == "TOKEN") {
		return c.unauthorized()
	}
	if len(values) > 0 {
		c.info("Incoming identity: ", maskPrincipal(values[0]))
	}
	began := c.g.now()
	c.authRan = true
	var key [sha256.Size]byte
	keep := z.ttl > 0 && ok && len(values) > 0
	var result *authorizerResult
	if keep {
		key = cacheKey(c.stage.target, values)
		result = z.cache.get(key, began)
	}
	if result == nil {
		var f *refusal
		if result, f = c.askAuthorizer(z, resource, values); f != nil {
			c.authLatency = c.g.now().Sub(began)
			return f
		}
		if keep {
			result.expires = c.g.now().Add(z.ttl)
			z.cache.put(key, result, began)
		}
	} else {
		c.authStatus = 200
		c.info("Using cached authorizer policy for principal: ", maskPrincipal(result.principal))
	}
	c.authLatency = c.g.now().Sub(began)
	c.lambda = result
	if result.simple {
		c.info("Successfully completed authorizer execution")
		if !result.allowed {
			return c.accessDenied("User is not authorized to access this resource")
		}
		return nil
	}
	c.info("Using valid authorizer policy for principal: ", maskPrincipal(result.principal))
	f := c.decide("execute-api:Invoke", resource, &result.policies)
	if f == nil {
		c.info("Successfully completed authorizer execution")
	}
	return f
}

// preDeny refuses where the resource policy denies explicitly.
func (c *call) preDeny(resource string) *refusal {
	request := iam.Request{
		Action: "execute-api:Invoke", Resource: resource, Auth: iam.AuthLambda, API: iam.API(c.api.kind), Private: c.api.private,
		Context: c.conditionKeys(),
	}
	query, err := request.Prepare()
	if err != nil {
		return c.accessDenied("User is not authorized to access this resource")
	}
	policies := iam.Policies{Resource: c.api.policy}
	if policies.Decide(query) != iam.ExplicitDeny {
		return nil
	}
	return c.accessDenied(iam.Evaluate(&policies, query).Message())
}

func (c *call) unauthorized() *refusal {
	f := refuse("UNAUTHORIZED").because("Unauthorized request: " + c.id)
	f.silent = true
	return f
}

// cacheKey is a digest of what a result is kept under, so that no token stays in
// memory. Lengths keep ("ab", "c") apart from ("a", "bc").
func cacheKey(target string, values []string) [sha256.Size]byte {
	h := sha256.New()
	write := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		_, _ = h.Write(n[:]) // a hash never fails
		_, _ = h.Write([]byte(s))
	}
	write(target)
	for _, v := range values {
		write(v)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// maxResults bounds how many results an authorizer keeps.
const maxResults = 2_000

// resultCache keeps the results of an authorizer.
type resultCache struct {
	mu      sync.Mutex
	entries map[[sha256.Size]byte]*authorizerResult
}

func (r *resultCache) get(key [sha256.Size]byte, now time.Time) *authorizerResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[key]
	if e == nil || !now.Before(e.expires) {
		return nil
	}
	return e
}

func (r *resultCache) put(key [sha256.Size]byte, e *authorizerResult, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) >= maxResults {
		for k, old := range r.entries {
			if !now.Before(old.expires) {
				delete(r.entries, k)
			}
		}
		// Still full: forget some, whichever they are. They are asked for again.
		for k := range r.entries {
			if len(r.entries) < maxResults {
				break
			}
			delete(r.entries, k)
		}
	}
	r.entries[key] = e
}

// askAuthorizer posts the authorizer event and reads the answer.
func (c *call) askAuthorizer(z *authorizer, resource string, identities []string) (*authorizerResult, *refusal) {
	event := c.authorizerEvent(z, resource, identities)
	if c.traces() {
		c.info("Endpoint request URI: ", z.URL)
		c.info("Endpoint request headers: {Accept=application/json, Content-Type=application/json, User-Agent=AmazonAPIGateway_", c.api.ID, ", x-amzn-apigateway-api-id=", c.api.ID, "}")
		// The event holds the caller's token, which API Gateway writes as it is. Here
		// it is masked as everywhere.
		c.info("Endpoint request body after transformations: ", string(event))
		c.info("Sending request to ", z.URL)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), min(maxAuthorizerTimeout, c.g.limits.timeout()))
	defer cancel()
	answer, err := c.g.invoke(ctx, z.URL, event, maxAuthorizerResult)
	if err != nil {
		c.g.log.Warn("a Lambda authorizer failed", "api", c.api.ID, "authorizer", z.name, "request_id", c.id, "error", err)
		return nil, refuse("AUTHORIZER_FAILURE").because("Execution failed due to an internal error: the authorizer could not be called")
	}
	c.authStatus = answer.status
	if answer.unauthorized() {
		return nil, c.unauthorized()
	}
	if answer.status != 200 || answer.functionError {
		return nil, refuse("AUTHORIZER_FAILURE").because(fmt.Sprintf("Execution failed due to an authorizer error: the function answered with status %d", answer.status))
	}
	if c.traces() {
		c.info("Authorizer result body before parsing: ", string(answer.body))
	}
	result, err := z.readResult(answer.body)
	if err != nil {
		c.g.log.Warn("a Lambda authorizer answered something else than a result", "api", c.api.ID, "authorizer", z.name, "request_id", c.id, "error", err)
		return nil, refuse("AUTHORIZER_CONFIGURATION_ERROR").because("Execution failed due to configuration error: Invalid JSON in response: " + clip(err.Error()))
	}
	return result, nil
}
