package gateway

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// api is an API made ready.
type api struct {
	*API
	kind        transaction.APIType
	partition   string
	arn         string // arn:aws:execute-api:REGION:ACCOUNT:ID/
	private     bool
	router      *router
	socket      map[string]*route // by route key, of a WebSocket API
	selection   []string          // of the body, of a WebSocket API
	policy      iam.Attached
	authorizers map[string]*authorizer
	stages      map[string]*stage
	fallback    *stage // $default
	responses   map[string]GatewayResponse
	binary      []string
}

// stage is a stage made ready.
type stage struct {
	*Stage
	target  string // API/STAGE
	logging atomic.Pointer[stageLogs]
	bucket  *bucket
	cache   *stageCache // nil: none
}

// route is a route made ready.
type route struct {
	Route
	method, path string
	key          string // "GET /pets/{id}", $default, or a WebSocket route key
	segments     []string
	hasParams    bool
	auth         iam.Auth
	authorizer   *authorizer
	required     []requiredParameter
	models       map[string]*openapi3.Schema
	timeout      time.Duration
	uri          template
	mappings     []mapping
	mock         *mockAnswer
	// transformation is nil of a proxy integration, and of a MOCK in its short form.
	transformation *transformation
	cacheKeys      []cacheParameter
	resourceID     string
}

// mapping is a request parameter that the integration is given.
type mapping struct {
	place, name string // header, querystring or path
	value       template
}

// requiredParameter is one that a call must bring.
type requiredParameter struct{ place, name string }

// prepared is all that New builds a Gateway from.
type prepared struct {
	apis       map[string]*api
	domains    map[string][]domain
	principals map[string]*Principal
	keys       map[string]*apiKey
	endpoints  []*vpcEndpoint
	shares     []*keyPlan
}

type domain struct {
	base  string // "" or "orders"
	api   *api
	stage *stage
}

// prepare reads what the configuration names, and checks all of it.
func (c *Config) prepare(dir string, getenv func(string) string) error {
	var errs []error
	secret := func(path string, value *string, variable string) {
		switch {
		case variable == "":
		case *value != "":
			errs = append(errs, at(path, "is given twice, here and by a variable"))
		case getenv(variable) == "":
			errs = append(errs, at(path, "the variable %s is empty", variable))
		default:
			*value = getenv(variable)
		}
	}
	for i := range c.Credentials {
		k := &c.Credentials[i]
		path := fmt.Sprintf("credentials[%d]", i)
		secret(path+".secret_access_key_env", &k.SecretAccessKey, k.SecretAccessKeyEnv)
		secret(path+".session_token_env", &k.SessionToken, k.SessionTokenEnv)
		for p, text := range k.texts(path) {
			errs = append(errs, readText(dir, p, &text.JSON, text.File))
		}
	}
	if c.STS != nil {
		for i := range c.STS.Roles {
			for p, text := range c.STS.Roles[i].texts(indexed("sts.roles", i)) {
				errs = append(errs, readText(dir, p, &text.JSON, text.File))
			}
		}
	}
	for i := range c.UsagePlans {
		for j := range c.UsagePlans[i].Keys {
			k := &c.UsagePlans[i].Keys[j]
			secret(fmt.Sprintf("usage_plans[%d].keys[%d].value_env", i, j), &k.Value, k.ValueEnv)
		}
	}
	for i := range c.APIs {
		a := &c.APIs[i]
		path := fmt.Sprintf("apis[%d]", i)
		if a.Policy != nil {
			errs = append(errs, readText(dir, path+".policy", &a.Policy.JSON, a.Policy.File))
		}
		for name, m := range a.Models {
			errs = append(errs, readText(dir, path+".models."+name, &m.JSON, m.File))
			a.Models[name] = m
		}
		if a.OpenAPI != "" {
			text, err := readBounded(relative(dir, a.OpenAPI))
			if err == nil {
				err = a.Import(text)
			}
			if err != nil {
				errs = append(errs, at(path+".openapi", "%s: %w", a.OpenAPI, err))
			}
		}
	}
	for i := range c.VPCEndpoints {
		e := &c.VPCEndpoints[i]
		path := indexed("vpc_endpoints", i)
		secret(path+".secret_env", &e.Secret, e.SecretEnv)
		if e.Policy != nil {
			errs = append(errs, readText(dir, path+".policy", &e.Policy.JSON, e.Policy.File))
		}
	}
	if c.State != "" {
		c.State = relative(dir, c.State)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := c.compile()
	return err
}

func relative(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// readText reads a document from its file; nil if it is given inline.
func readText(dir, path string, text *[]byte, file string) error {
	if file == "" || *text != nil {
		return nil
	}
	b, err := readBounded(relative(dir, file))
	if err != nil {
		return at(path, "%w", err)
	}
	*text = b
	return nil
}

// texts are the policies of a credential and their paths.
func (k *Credential) texts(path string) map[string]*PolicyText {
	out := map[string]*PolicyText{}
	for i := range k.Policies {
		out[fmt.Sprintf("%s.policies[%d]", path, i)] = &k.Policies[i]
	}
	if k.Boundary != nil {
		out[path+".permissions_boundary"] = k.Boundary
	}
	for i := range k.SessionPolicies {
		out[fmt.Sprintf("%s.session_policies[%d]", path, i)] = &k.SessionPolicies[i]
	}
	for l := range k.SCPs {
		for i := range k.SCPs[l] {
			out[fmt.Sprintf("%s.scps[%d][%d]", path, l, i)] = &k.SCPs[l][i]
		}
	}
	return out
}

// compile makes the configuration ready. The errors are of type *ConfigError,
// joined.
func (c *Config) compile() (*prepared, error) {
	p := &prepared{apis: map[string]*api{}, domains: map[string][]domain{}, principals: map[string]*Principal{}, keys: map[string]*apiKey{}}
	var errs []error
	if len(c.APIs) == 0 {
		errs = append(errs, at("", "no API is configured"))
	}
	if l := c.Limits; l.Connections < 0 || l.Payload < 0 || l.Payload > maxPayload || l.Timeout < 0 || l.Shutdown < 0 || l.Buffer < 0 ||
		l.Read < 0 || l.ReadHeader < 0 || l.Idle < 0 {
		errs = append(errs, at("limits", "a limit is negative, or payload is above %d", maxPayload))
	}
	if c.TLS != nil && (c.TLS.Certificate == "" || c.TLS.Key == "") {
		errs = append(errs, at("tls", "needs certificate and key"))
	}
	if c.Logs.File != "" && c.Logs.CloudWatch != nil {
		errs = append(errs, at("logs", "file and cloudwatch are both set"))
	}
	for i := range c.APIs {
		path := fmt.Sprintf("apis[%d]", i)
		a, err := c.APIs[i].compile(path, c.Limits.timeout())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if p.apis[a.ID] != nil {
			errs = append(errs, at(path+".id", "API %s is there twice", a.ID))
			continue
		}
		p.apis[a.ID] = a
		for j, d := range a.Domains {
			at0 := fmt.Sprintf("%s.domains[%d]", path, j)
			s := a.stages[d.Stage]
			if s == nil {
				errs = append(errs, at(at0+".stage", "API %s has no stage %q", a.ID, d.Stage))
				continue
			}
			base := strings.Trim(d.BasePath, "/")
			name := strings.ToLower(d.Name)
			if name == "" || slices.ContainsFunc(p.domains[name], func(o domain) bool { return o.base == base }) {
				errs = append(errs, at(at0, "the domain %q has no name, or its base path %q is taken", d.Name, base))
				continue
			}
			p.domains[name] = append(p.domains[name], domain{base, a, s})
		}
	}
	for i := range c.Credentials {
		path := fmt.Sprintf("credentials[%d]", i)
		who, err := c.Credentials[i].compile(path)
		if err == nil && p.principals[who.AccessKeyID] != nil {
			err = at(path+".access_key_id", "%s is there twice", who.AccessKeyID)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.principals[who.AccessKeyID] = who
	}
	if c.STS != nil {
		errs = append(errs, c.STS.check(c.Credentials)...)
	}
	for i := range c.UsagePlans {
		errs = append(errs, c.UsagePlans[i].compile(fmt.Sprintf("usage_plans[%d]", i), p))
	}
	errs = append(errs, c.checkState())
	for i := range c.VPCEndpoints {
		path := indexed("vpc_endpoints", i)
		e, err := c.VPCEndpoints[i].compile(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if slices.ContainsFunc(p.endpoints, func(o *vpcEndpoint) bool {
			return o.ID == e.ID || e.Listen != "" && o.Listen == e.Listen || e.Header != "" && o.Header == e.Header && o.secret == e.secret
		}) {
			errs = append(errs, at(path, "another VPC endpoint has this id, address or secret"))
		}
		p.endpoints = append(p.endpoints, e)
	}
	return p, errors.Join(errs...)
}

var (
	apiIDPattern     = regexp.MustCompile(`^[a-z0-9]{1,32}$`)
	stageNamePattern = regexp.MustCompile(`^(\$default|[A-Za-z0-9_-]{1,128})$`)
	accountPattern   = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	methodPattern    = regexp.MustCompile(`^(ANY|GET|PUT|POST|DELETE|PATCH|HEAD|OPTIONS)$`)
	pathPattern      = regexp.MustCompile(`^/([^/\s{}]+|\{[A-Za-z0-9._:-]+\+?\})?(/([^/\s{}]+|\{[A-Za-z0-9._:-]+\+?\}))*$`)
)

func (cfg *API) compile(path string, timeout time.Duration) (*api, error) {
	a := &api{
		API: cfg, kind: transaction.APIType(cfg.Type), stages: map[string]*stage{}, authorizers: map[string]*authorizer{},
		responses: cfg.GatewayResponses, partition: partitionOf(cfg.Region), binary: cfg.BinaryMediaTypes,
	}
	var errs []error
	add := func(e error) { errs = append(errs, e) }
	switch a.kind {
	case transaction.REST, transaction.HTTP, transaction.WebSocket:
	default:
		add(at(path+".type", "%q is none of REST, HTTP, WEBSOCKET", cfg.Type))
	}
	for _, f := range []struct {
		name, value, want string
		pattern           *regexp.Regexp
	}{
		{"id", cfg.ID, "an API id such as a1b2c3d4e5", apiIDPattern},
		{"account", cfg.Account, "a 12-digit account", accountPattern},
		{"region", cfg.Region, "a region such as eu-west-1", regionPattern},
	} {
		if !f.pattern.MatchString(f.value) {
			add(at(path+"."+f.name, "%q is not %s", clip(f.value), f.want))
		}
	}
	a.arn = "arn:" + a.partition + ":execute-api:" + cfg.Region + ":" + cfg.Account + ":" + cfg.ID + "/"
	switch cfg.Endpoint {
	case "", "public":
	case "private":
		a.private = true
		if cfg.Policy == nil {
			add(at(path+".endpoint", "a private API needs a resource policy"))
		}
	default:
		add(at(path+".endpoint", "%q is neither public nor private", cfg.Endpoint))
	}
	if cfg.DisableExecuteAPIEndpoint && len(cfg.Domains) == 0 {
		add(at(path+".disable_execute_api_endpoint", "the API has no custom domain: nobody could call it"))
	}
	if cfg.Policy != nil {
		if a.kind != transaction.REST {
			add(at(path+".policy", "only REST APIs have a resource policy"))
		}
		p, err := iam.ParseAndCompile(iam.KindResource, cfg.Policy.JSON)
		if err != nil {
			add(at(path+".policy", "%w", err))
		}
		a.policy = iam.Attached{Name: "resource policy of " + cfg.ID, Policy: p}
	}
	add(cfg.CORS.check(path + ".cors"))
	if cfg.CORS != nil && a.kind != transaction.HTTP {
		add(&ConfigError{Path: path + ".cors", Err: errors.New("only HTTP APIs answer preflight calls themselves"), Hint: "give a REST API an OPTIONS route with a MOCK integration"})
	}
	switch cfg.APIKeySource {
	case "", "HEADER", "AUTHORIZER":
	default:
		add(at(path+".api_key_source", "%q is neither HEADER nor AUTHORIZER", cfg.APIKeySource))
	}
	for name, z := range cfg.Authorizers {
		c, err := z.compile(path+".authorizers."+name, name, a.kind)
		if err != nil {
			add(err)
			continue
		}
		a.authorizers[name] = c
	}
	schemas, err := compileModels(path, cfg.Models)
	add(err)
	a.router = &router{http: a.kind == transaction.HTTP}
	if a.kind == transaction.WebSocket {
		a.socket = map[string]*route{}
		add(a.compileSelection(path))
	}
	for i := range cfg.Routes {
		add(a.addRoute(&cfg.Routes[i], fmt.Sprintf("%s.routes[%d]", path, i), i, timeout, schemas))
	}
	if len(cfg.Stages) == 0 {
		add(at(path+".stages", "an API needs a stage"))
	}
	for i := range cfg.Stages {
		add(a.addStage(&cfg.Stages[i], fmt.Sprintf("%s.stages[%d]", path, i)))
	}
	for name, r := range cfg.GatewayResponses {
		at0 := path + ".gateway_responses." + name
		if _, known := responseTypes[name]; !known && name != "DEFAULT_4XX" && name != "DEFAULT_5XX" {
			add(at(at0, "is not a gateway response type"))
		}
		if r.Status != 0 && (r.Status < 200 || r.Status > 599) {
			add(at(at0+".status", "%d is not a status", r.Status))
		}
		if a.kind != transaction.REST {
			add(at(at0, "only REST APIs have gateway responses"))
		}
	}
	return a, errors.Join(errs...)
}

func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}

func (a *api) addStage(s *Stage, path string) error {
	if !stageNamePattern.MatchString(s.Name) || s.Name == defaultRoute && a.kind != transaction.HTTP {
		return at(path+".name", "%q is not the name of a stage of an API of type %s", clip(s.Name), a.kind)
	}
	if a.stages[s.Name] != nil {
		return at(path+".name", "the stage %s is there twice", s.Name)
	}
	st := &stage{Stage: s, target: a.ID + "/" + s.Name}
	logs, err := a.compileLogging(s.Name, &StageLogging{Level: s.LoggingLevel, DataTrace: s.DataTrace, AccessLog: s.AccessLog}, path+".")
	if err != nil {
		return err
	}
	st.logging.Store(logs)
	if s.Throttle != nil {
		if err := s.Throttle.check(path + ".throttle"); err != nil {
			return err
		}
		st.bucket = newBucket(s.Throttle)
	}
	if s.Cache != nil {
		var err error
		if st.cache, err = s.Cache.compile(path+".cache", a); err != nil {
			return err
		}
	}
	a.stages[s.Name] = st
	if s.Name == defaultRoute {
		a.fallback = st
	}
	return nil
}
