package gateway

import (
	"time"
)

// Config is a gateway: where it listens, who has credentials, and its APIs. It
// is read by Load.
type Config struct {
	// Listen is the address, DefaultListen if empty.
	Listen string `yaml:"listen"`
	TLS    *TLS   `yaml:"tls"`
	Limits Limits `yaml:"limits"`
	Logs   Logs   `yaml:"logs"`
	// ClockSkew is how far a signature's time may be from the gateway's, 5 minutes
	// if zero.
	ClockSkew   time.Duration `yaml:"clock_skew"`
	Credentials []Credential  `yaml:"credentials"`
	// STS is a local AWS STS, through which credentials assume roles; nil: none.
	STS        *STS        `yaml:"sts"`
	APIs       []API       `yaml:"apis"`
	UsagePlans []UsagePlan `yaml:"usage_plans"`
	// VPCEndpoints are the ways to private APIs.
	VPCEndpoints []VPCEndpoint `yaml:"vpc_endpoints"`
	// State is a file that keeps the usage plans' counts over a restart; empty: they
	// are kept in memory alone.
	State string `yaml:"state"`
}

// DefaultListen is where a gateway listens unless told otherwise.
const DefaultListen = "127.0.0.1:8322"

// TLS is a certificate and its key, as PEM files.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Limits bound what callers can make the gateway hold. Zero fields are
// API Gateway's own quotas.
type Limits struct {
	// Connections is how many connections are open at once; 1,000 if zero.
	Connections int `yaml:"connections"`
	// Payload is the largest body in bytes; 10 MB if zero, and no more.
	Payload int64 `yaml:"payload"`
	// Timeout bounds an integration that sets none; 29 s if zero.
	Timeout time.Duration `yaml:"timeout"`
	// ReadHeader, Read and Idle bound a connection's reading; 10 s, 60 s and 60 s.
	ReadHeader time.Duration `yaml:"read_header"`
	Read       time.Duration `yaml:"read"`
	Idle       time.Duration `yaml:"idle"`
	// Shutdown is how long a stop waits for calls under way; 30 s if zero.
	Shutdown time.Duration `yaml:"shutdown"`
	// Buffer is how many bytes of log events wait to be written; 16 MiB if zero.
	Buffer int `yaml:"log_buffer"`
}

// Logs say where log events go. At most one of File and CloudWatch is set; with
// neither, nothing is logged.
type Logs struct {
	// File is a path to which events are appended as NDJSON.
	File       string         `yaml:"file"`
	CloudWatch *CloudWatchLog `yaml:"cloudwatch"`
}

// CloudWatchLog is a CloudWatch Logs endpoint. Account and region are those of
// the credentials and the APIs.
type CloudWatchLog struct {
	// Endpoint is a URL; AWS's own if empty.
	Endpoint string `yaml:"endpoint"`
}

// Credential is an access key and who it belongs to.
type Credential struct {
	AccessKeyID string `yaml:"access_key_id"`
	// SecretAccessKey, or the variable of the environment that holds it.
	SecretAccessKey    string `yaml:"secret_access_key"`
	SecretAccessKeyEnv string `yaml:"secret_access_key_env"`
	SessionToken       string `yaml:"session_token"`
	SessionTokenEnv    string `yaml:"session_token_env"`
	// Expires is when a session ends; never if zero.
	Expires time.Time `yaml:"expires"`
	// Principal is the ARN of the user or role session.
	Principal string `yaml:"principal"`
	// UserID is aws:userid, such as AROAEXAMPLE:session.
	UserID   string       `yaml:"user_id"`
	Policies []PolicyText `yaml:"policies"`
	// Boundary and SessionPolicies do not limit where they are absent.
	Boundary        *PolicyText  `yaml:"permissions_boundary"`
	SessionPolicies []PolicyText `yaml:"session_policies"`
	// SCPs are the service control policies, level by level from the root of the
	// organization.
	SCPs [][]PolicyText `yaml:"scps"`
	// Context holds condition keys of the principal, such as aws:PrincipalTag/team
	// or aws:PrincipalOrgID.
	Context map[string]Values `yaml:"context"`
}

// API is one API.
type API struct {
	ID      string `yaml:"id"`
	Name    string `yaml:"name"`
	Type    string `yaml:"type"` // REST, HTTP or WEBSOCKET
	Account string `yaml:"account"`
	Region  string `yaml:"region"`
	// Endpoint is public, or private: then nothing is allowed that the resource
	// policy does not allow.
	Endpoint string `yaml:"endpoint"`
	// Domains are custom domain names that lead to a stage of this API.
	Domains []Domain `yaml:"domains"`
	// DisableExecuteAPIEndpoint refuses calls that do not come by a custom domain.
	DisableExecuteAPIEndpoint bool `yaml:"disable_execute_api_endpoint"`
	// OpenAPI is a file whose routes, authorizers and policy are added to those
	// given here, which win.
	OpenAPI string `yaml:"openapi"`
	// Functions are HTTP endpoints of the Lambda functions that an OpenAPI export
	// names, by the function's name or ARN.
	Functions map[string]string `yaml:"functions"`
	// Policy is the resource policy of a REST API.
	Policy      *PolicyText           `yaml:"policy"`
	CORS        *CORS                 `yaml:"cors"` // of an HTTP API
	Authorizers map[string]Authorizer `yaml:"authorizers"`
	Routes      []Route               `yaml:"routes"`
	Stages      []Stage               `yaml:"stages"`
	// Models are JSON schemas by name, for request validation.
	Models map[string]SchemaText `yaml:"models"`
	// GatewayResponses override what API Gateway answers itself, by response type,
	// DEFAULT_4XX or DEFAULT_5XX.
	GatewayResponses map[string]GatewayResponse `yaml:"gateway_responses"`
	// RouteSelection is a WebSocket API's expression, $request.body.action if
	// empty.
	RouteSelection string `yaml:"route_selection_expression"`
	// APIKeySource is HEADER (X-API-Key) or AUTHORIZER.
	APIKeySource string `yaml:"api_key_source"`
	// BinaryMediaTypes are the types that a REST API hands on as base64.
	BinaryMediaTypes []string `yaml:"binary_media_types"`
}

// Domain is a custom domain name and the stage that it leads to.
type Domain struct {
	Name     string `yaml:"name"`
	BasePath string `yaml:"base_path"`
	Stage    string `yaml:"stage"`
}

// CORS is the configuration of an HTTP API.
type CORS struct {
	AllowOrigins     []string `yaml:"allow_origins" json:"allowOrigins"`
	AllowMethods     []string `yaml:"allow_methods" json:"allowMethods"`
	AllowHeaders     []string `yaml:"allow_headers" json:"allowHeaders"`
	ExposeHeaders    []string `yaml:"expose_headers" json:"exposeHeaders"`
	MaxAge           int      `yaml:"max_age" json:"maxAge"`
	AllowCredentials bool     `yaml:"allow_credentials" json:"allowCredentials"`
}

// Stage is a deployment of an API; $default is served at the root.
type Stage struct {
	Name      string            `yaml:"name"`
	Variables map[string]string `yaml:"variables"`
	// LoggingLevel is OFF, ERROR or INFO; HTTP APIs have no execution logs.
	LoggingLevel string     `yaml:"logging_level"`
	DataTrace    bool       `yaml:"data_trace"`
	AccessLog    *AccessLog `yaml:"access_log"`
	Throttle     *Throttle  `yaml:"throttle"`
	// Cache keeps responses of a REST API; nil: there is none.
	Cache *Cache `yaml:"cache"`
}

// AccessLog is a log group and a format of $context variables.
type AccessLog struct {
	Group  string `yaml:"group"`
	Format string `yaml:"format"`
}

// Throttle is a token bucket: requests a second, and how many at once.
type Throttle struct {
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
}

// Route is a method of a resource, or a route of an HTTP or WebSocket API.
type Route struct {
	// Method is an HTTP method or ANY; empty for $default and WebSocket routes.
	Method string `yaml:"method"`
	// Path is a template such as /pets/{id}, $default, or a WebSocket route key.
	Path string `yaml:"path"`
	// Authorization is NONE, AWS_IAM, CUSTOM, JWT or COGNITO_USER_POOLS.
	Authorization  string   `yaml:"authorization"`
	Authorizer     string   `yaml:"authorizer"`
	Scopes         []string `yaml:"scopes"`
	APIKeyRequired bool     `yaml:"api_key_required"`
	// RequiredParameters are method.request.{path,querystring,header}.NAME.
	RequiredParameters []string `yaml:"required_parameters"`
	// RequestModels are models by content type; validated where ValidateBody is
	// set.
	RequestModels      map[string]string `yaml:"request_models"`
	ValidateBody       bool              `yaml:"validate_body"`
	ValidateParameters bool              `yaml:"validate_parameters"`
	OperationName      string            `yaml:"operation_name"`
	// RouteResponse says whether a WebSocket client is given what the integration
	// answers; nil is true. False is a route without a route response.
	RouteResponse *bool       `yaml:"route_response"`
	Integration   Integration `yaml:"integration"`

	// origin tells where an imported route comes from, for errors.
	origin string
}

// Integration is what a route calls.
type Integration struct {
	// Type is HTTP_PROXY, AWS_PROXY or MOCK; of REST APIs also HTTP or AWS, whose
	// requests and responses are made by mapping templates.
	Type string `yaml:"type"`
	// Method is the method that HTTP_PROXY and HTTP call with; ANY or empty: the
	// request's.
	Method string `yaml:"method"`
	// URI is an HTTP endpoint. {name} is a path parameter and ${stageVariables.x} a
	// stage variable. An AWS_PROXY endpoint is posted the Lambda event, an AWS one
	// what the mapping template makes, and each answers the function's result.
	URI string `yaml:"uri"`
	// PayloadVersion is 1.0 or 2.0; 1.0 for REST and 2.0 for HTTP APIs if empty.
	PayloadVersion string        `yaml:"payload_version"`
	Timeout        time.Duration `yaml:"timeout"`
	// RequestParameters map integration.request.{path,querystring,header}.NAME to
	// method.request.{path,querystring,header}.NAME, method.request.body,
	// method.request.body.JSONPATH, a stageVariables.NAME, a context.NAME or a 'quoted
	// constant'.
	RequestParameters map[string]string `yaml:"request_parameters"`
	// Responses of a MOCK, by status: a short form of IntegrationResponses.
	Responses map[string]MockResponse `yaml:"responses"`
	// Status is which of Responses a MOCK gives; the lowest one if zero.
	Status int `yaml:"status"`

	// RequestTemplates are mapping templates by content type, of HTTP, AWS and MOCK.
	RequestTemplates map[string]string `yaml:"request_templates"`
	// PassthroughBehavior is what becomes of a body without a template:
	// WHEN_NO_MATCH (if empty), WHEN_NO_TEMPLATES or NEVER.
	PassthroughBehavior string `yaml:"passthrough_behavior"`
	// ContentHandling is CONVERT_TO_BINARY or CONVERT_TO_TEXT; empty: neither.
	ContentHandling string `yaml:"content_handling"`
	// IntegrationResponses are chosen by SelectionPattern; HTTP, AWS and MOCK.
	IntegrationResponses []IntegrationResponse `yaml:"integration_responses"`

	// CacheKeyParameters are method.request.{path,querystring,header}.NAME and
	// integration.request.{path,querystring,header}.NAME, by whose values the stage's
	// cache keeps responses apart.
	CacheKeyParameters []string `yaml:"cache_key_parameters"`
	// CacheNamespace is shared by routes that share responses; the resource's own if
	// empty.
	CacheNamespace string `yaml:"cache_namespace"`
}

// IntegrationResponse makes a method response of what an integration answered.
type IntegrationResponse struct {
	// Status is that of the method response.
	Status int `yaml:"status"`
	// SelectionPattern is a regular expression that the status of the endpoint, or
	// the error message of a function, must match as a whole. An empty one is the
	// default.
	SelectionPattern string `yaml:"selection_pattern"`
	// ResponseParameters map method.response.header.NAME to
	// integration.response.header.NAME, integration.response.body,
	// integration.response.body.JSONPATH, a stageVariables.NAME, a context.NAME or a
	// 'quoted constant'.
	ResponseParameters map[string]string `yaml:"response_parameters"`
	// ResponseTemplates are mapping templates by content type.
	ResponseTemplates map[string]string `yaml:"response_templates"`
	ContentHandling   string            `yaml:"content_handling"`
}

// MockResponse is what a MOCK integration answers.
type MockResponse struct {
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
}

// Authorizer is a Lambda or JWT authorizer of an API.
type Authorizer struct {
	// Type is TOKEN, REQUEST, JWT or COGNITO_USER_POOLS.
	Type string `yaml:"type"`
	// URL is an HTTP endpoint that is posted the authorizer event and answers its
	// result.
	URL string `yaml:"url"`
	// IdentitySource names what a call must bring, such as
	// method.request.header.Authorization or $request.header.Authorization.
	IdentitySource []string `yaml:"identity_source"`
	// IdentityValidation is a regular expression that the token must match.
	IdentityValidation string `yaml:"identity_validation_expression"`
	// TTL is how long a result is kept; nil is 300 s, and 0 for HTTP APIs.
	TTL *time.Duration `yaml:"ttl"`
	// PayloadVersion is 1.0 or 2.0, of an HTTP API's authorizer.
	PayloadVersion  string `yaml:"payload_version"`
	SimpleResponses bool   `yaml:"simple_responses"`
	// Issuer, Audience and the keys are for JWT and COGNITO_USER_POOLS. The keys
	// are inline, at a URL, or found by the issuer's discovery document.
	Issuer   string   `yaml:"issuer"`
	Audience []string `yaml:"audience"`
	JWKS     string   `yaml:"jwks"`
	JWKSURL  string   `yaml:"jwks_url"`
}

// GatewayResponse overrides an answer of API Gateway itself. Its template knows
// $context variables.
type GatewayResponse struct {
	Status  int               `yaml:"status"`
	Headers map[string]string `yaml:"headers"`
	// Templates are bodies by content type.
	Templates map[string]string `yaml:"templates"`
}

// UsagePlan limits the holders of API keys.
type UsagePlan struct {
	ID       string    `yaml:"id"`
	Name     string    `yaml:"name"`
	Throttle *Throttle `yaml:"throttle"`
	Quota    *Quota    `yaml:"quota"`
	// Stages are API/STAGE.
	Stages []string `yaml:"stages"`
	Keys   []APIKey `yaml:"keys"`
}

// Quota is how many calls a key may make in a period: DAY, WEEK or MONTH.
type Quota struct {
	Limit  int    `yaml:"limit"`
	Period string `yaml:"period"`
}

// APIKey is a key of a usage plan; its value, or the variable of the environment
// that holds it.
type APIKey struct {
	ID       string `yaml:"id"`
	Name     string `yaml:"name"`
	Value    string `yaml:"value"`
	ValueEnv string `yaml:"value_env"`
	Disabled bool   `yaml:"disabled"`
}

// Cache is the cache of a stage, and the settings of all methods in it that have
// none of their own.
type Cache struct {
	// Size is how many bytes of responses are held in memory; 64 MiB if zero.
	Size          int64 `yaml:"size"`
	CacheSettings `yaml:",inline"`
	// Methods are settings of single methods, by route such as "GET /pets/{id}".
	Methods map[string]CacheSettings `yaml:"methods"`
}

// CacheSettings are how a method's responses are cached. Of a stage they hold for
// its GET methods; other methods are cached where their own settings enable it.
type CacheSettings struct {
	// Enabled is whether responses are cached; nil: true for a stage's GET methods
	// and for a method with settings of its own.
	Enabled *bool `yaml:"enabled"`
	// TTL is how long, up to an hour; nil is the stage's, and there 5 minutes. Zero
	// is no caching.
	TTL *time.Duration `yaml:"ttl"`
	// Encrypted is accepted and changes nothing here: what is cached stays in the
	// memory of the process.
	Encrypted bool `yaml:"encrypted"`
	// RequireAuthorization is whether a call with Cache-Control: max-age=0 needs
	// execute-api:InvalidateCache to renew an entry; nil is the stage's, and there
	// true.
	RequireAuthorization *bool `yaml:"require_authorization"`
	// Unauthorized is what becomes of one that lacks it: FAIL_WITH_403,
	// SUCCEED_WITH_RESPONSE_HEADER or SUCCEED_WITHOUT_RESPONSE_HEADER; empty is the
	// stage's, and there SUCCEED_WITH_RESPONSE_HEADER.
	Unauthorized string `yaml:"unauthorized"`
}

// VPCEndpoint is an interface endpoint for execute-api. A call comes through it if
// it came to its address, or if it brings its header with its secret.
type VPCEndpoint struct {
	ID  string `yaml:"id"`  // vpce-…
	VPC string `yaml:"vpc"` // vpc-…
	// Listen is an address of the endpoint's own.
	Listen string `yaml:"listen"`
	// Header is the name of a header that a trusted proxy sets to Secret.
	Header    string `yaml:"header"`
	Secret    string `yaml:"secret"`
	SecretEnv string `yaml:"secret_env"`
	// Policy is the endpoint's policy; nil allows all.
	Policy *PolicyText `yaml:"policy"`
}
