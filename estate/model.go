// Package estate knows what exists: accounts, regions, APIs, stages, routes and
// the log groups that the stages write to. It finds all of it through assumed
// roles, in parallel within AWS's quotas, and one account that cannot be read
// never hides another.
package estate

import (
	"context"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// form grows when a discovery begins to read more than those before it did.
const form = 2

// Snapshot is the whole estate as one discovery found it.
type Snapshot struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// SinceFull counts the discoveries since the last one that read every detail
	// anew; 0: this one did.
	SinceFull int `json:"since_full,omitempty"`
	// Partial is set where not all accounts could be listed, so that one that is
	// absent may exist all the same.
	Partial bool `json:"partial,omitempty"`
	// Form is what a discovery of this version reads. One with another form is no
	// measure for what changed.
	Form     int       `json:"form,omitempty"`
	Accounts []Account `json:"accounts"`
}

// Account is an AWS account. Error and Mend are set where it could not be read.
type Account struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Status  string   `json:"status,omitempty"` // ACTIVE, SUSPENDED, …
	Regions []Region `json:"regions,omitempty"`
	Error   string   `json:"error,omitempty"`
	Mend    string   `json:"mend,omitempty"`
	// Note says why an account was left out on purpose, or is read in another
	// way than was asked; nothing failed.
	Note string `json:"note,omitempty"`
	// Errors are reads of the account itself that failed without hiding it.
	Errors []Fault `json:"errors,omitempty"`
	// Principals are the account's IAM roles and users, where they are asked for:
	// PrincipalsRead says whether they were.
	Principals     []IAMPrincipal `json:"principals,omitempty"`
	PrincipalsRead bool           `json:"principals_read,omitempty"`
	// Notes are reads that Gatehouse can do without and that were refused, and Unseen
	// the parts of the account that were not read for that.
	Notes  []Fault `json:"notes,omitempty"`
	Unseen []Part  `json:"unseen,omitempty"`
}

// Region is one region of an account. Errors are what could not be read in it.
type Region struct {
	Name      string     `json:"name"`
	APIs      []API      `json:"apis,omitempty"`
	LogGroups []LogGroup `json:"log_groups,omitempty"` // API Gateway's own, and those that stages name
	// LogRole is the account's API Gateway CloudWatch role in this region.
	LogRole string  `json:"log_role,omitempty"`
	Errors  []Fault `json:"errors,omitempty"`
	// Throttle is the account's limit on all calls of all of its APIs in this region;
	// nil where it was not read.
	Throttle *Throttle `json:"throttle,omitempty"`
	// What APIs share. It is read only where there is an API.
	UsagePlans   []UsagePlan         `json:"usage_plans,omitempty"`
	Domains      []Domain            `json:"domains,omitempty"`
	VPCLinks     []VPCLink           `json:"vpc_links,omitempty"`
	Certificates []ClientCertificate `json:"client_certificates,omitempty"`
	// LogPolicies are the resource policies of CloudWatch Logs in this region.
	LogPolicies []LogPolicy `json:"log_policies,omitempty"`
	Clusters    []Cluster   `json:"clusters,omitempty"`
	// WebACLs are those that the stages have, and Functions the Lambda functions that
	// the APIs call, in the order of their ARNs.
	WebACLs   []WebACL   `json:"web_acls,omitempty"`
	Functions []Function `json:"functions,omitempty"`
	// Unseen are the parts of this region that were not read, or not whole.
	Unseen []Part `json:"unseen,omitempty"`
	// Notes are reads that Gatehouse can do without and that were refused. The
	// rest is complete all the same.
	Notes []Fault `json:"notes,omitempty"`
}

// Fault is one read that failed.
type Fault struct {
	What  string `json:"what"` // for example "apigateway:GetRestApis"
	Error string `json:"error"`
	Mend  string `json:"mend,omitempty"`
	// Class says what the error means: denied, throttled, …
	Class account.Class `json:"class,omitempty"`
	// Action and Resource are the permission that the read needs.
	Action   string `json:"action,omitempty"`
	Resource string `json:"resource,omitempty"`
}

// API is a REST, HTTP or WebSocket API.
type API struct {
	ID              string              `json:"id"`
	Name            string              `json:"name,omitempty"`
	Type            transaction.APIType `json:"type"`
	Endpoint        string              `json:"endpoint,omitempty"`      // the default execute-api host
	EndpointType    string              `json:"endpoint_type,omitempty"` // EDGE, REGIONAL, PRIVATE
	DefaultDisabled bool                `json:"default_endpoint_disabled,omitempty"`
	Created         time.Time           `json:"created,omitzero"`
	Tags            map[string]string   `json:"tags,omitempty"`
	Stages          []Stage             `json:"stages,omitempty"`
	Routes          []Route             `json:"routes,omitempty"`
	Authorizers     []Authorizer        `json:"authorizers,omitempty"`
	// RoutesPartial is set where not all routes could be read, so that a call
	// that matches none of them, or only a greedy one, proves nothing.
	RoutesPartial bool `json:"routes_partial,omitempty"`

	Description string `json:"description,omitempty"`
	Version     string `json:"version,omitempty"`
	// Policy is the resource policy of a REST API as JSON; empty: none, for
	// the listing that shows the API shows its policy too.
	Policy string `json:"policy,omitempty"`
	// APIKeySource is HEADER or AUTHORIZER for a REST API; of a WebSocket API it is
	// the expression that finds the key.
	APIKeySource string `json:"api_key_source,omitempty"`
	// VPCEndpoints are the endpoints that a private API names.
	VPCEndpoints []string `json:"vpc_endpoints,omitempty"`
	// TLSPolicy is the security policy of the API's own endpoint, such as TLS_1_0;
	// empty where AWS does not tell.
	TLSPolicy string `json:"tls_policy,omitempty"`
	// MinimumCompression is from how many bytes bodies are compressed; nil: never.
	MinimumCompression *int32   `json:"minimum_compression,omitempty"`
	BinaryTypes        []string `json:"binary_types,omitempty"`
	// RouteSelection is the expression that chooses a WebSocket API's route.
	RouteSelection   string            `json:"route_selection,omitempty"`
	CORS             *CORS             `json:"cors,omitempty"` // of an HTTP API; nil: none
	Models           []Model           `json:"models,omitempty"`
	GatewayResponses []GatewayResponse `json:"gateway_responses,omitempty"` // those that were changed
	Deployments      []Deployment      `json:"deployments,omitempty"`       // the newest first, at most 20
	// Secrets are places in the configuration that hold what looks like a secret. The
	// value itself is nowhere in the snapshot.
	Secrets []Secret `json:"secrets,omitempty"`
	// Unseen are the parts of this API that were not read, or not whole.
	Unseen []Part `json:"unseen,omitempty"`
	// DetailsRead is when routes, authorizers and what else only a deployment makes
	// effective were last read.
	DetailsRead time.Time `json:"details_read,omitzero"`
	// Digest is of what a listing says of the API and of its stages' deployments: as
	// long as it stays, so do the details.
	Digest string `json:"digest,omitempty"`
}

// Stage is a deployed stage and its logging settings.
type Stage struct {
	Name string `json:"name"`
	// LoggingLevel is OFF, ERROR or INFO; empty for HTTP APIs, which have no
	// execution logs. DataTrace and Metrics are of the stage's default (/*/*).
	LoggingLevel string            `json:"logging_level,omitempty"`
	DataTrace    bool              `json:"data_trace,omitempty"`
	AccessLogARN string            `json:"access_log_arn,omitempty"`
	AccessFormat string            `json:"access_format,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	// ExecutionGroup and AccessGroup are log group names; empty if there is none.
	ExecutionGroup string `json:"execution_group,omitempty"`
	AccessGroup    string `json:"access_group,omitempty"`
	// Deliveries are where log delivery takes the stage's logs beside that.
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// Overrides are methods (or WebSocket routes) with settings of their own.
	Overrides []MethodLogging `json:"overrides,omitempty"`

	Description string    `json:"description,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	Updated     time.Time `json:"updated,omitzero"`
	// DeploymentID is what the stage runs, and Deployed when that was made; zero
	// where it was not found among the API's deployments.
	DeploymentID string    `json:"deployment_id,omitempty"`
	Deployed     time.Time `json:"deployed,omitzero"`
	AutoDeploy   bool      `json:"auto_deploy,omitempty"` // HTTP and WebSocket APIs
	// Variables are the stage variables. What looks like a secret is redacted, and
	// among the API's Secrets.
	Variables map[string]string `json:"variables,omitempty"`
	// Settings are the settings of all methods (Method and Path are "*") or routes
	// (Path is "*"), and of those that have their own.
	Settings  []MethodSettings `json:"settings,omitempty"`
	Cache     bool             `json:"cache,omitempty"` // a cache cluster is on
	CacheSize string           `json:"cache_size,omitempty"`
	Tracing   bool             `json:"tracing,omitempty"` // X-Ray
	WebACL    string           `json:"web_acl,omitempty"` // ARN; REST APIs alone have one
	// ClientCertificate is the id of the certificate that backends are shown.
	ClientCertificate    string  `json:"client_certificate,omitempty"`
	Canary               *Canary `json:"canary,omitempty"`
	DocumentationVersion string  `json:"documentation_version,omitempty"`
}

// MethodSettings are a stage's settings for one method of a REST API, or one route
// of another.
type MethodSettings struct {
	Method string `json:"method,omitempty"` // empty for routes
	Path   string `json:"path"`
	// LoggingLevel is OFF, ERROR or INFO; empty for HTTP APIs.
	LoggingLevel string `json:"logging_level,omitempty"`
	DataTrace    bool   `json:"data_trace,omitempty"`
	Metrics      bool   `json:"metrics,omitempty"` // detailed ones
	// Throttle is the limit; nil: the account's alone. API Gateway writes the
	// account's limit where somebody set anything else, so a limit that is there
	// need not be one that somebody chose.
	Throttle *Throttle `json:"throttle,omitempty"`
	// What the cache does; REST APIs alone have one.
	Caching         bool  `json:"caching,omitempty"`
	CacheTTL        int32 `json:"cache_ttl_seconds,omitempty"`
	CacheEncrypted  bool  `json:"cache_encrypted,omitempty"`
	CacheAuthorized bool  `json:"cache_invalidation_authorized,omitempty"`
	// CacheUnauthorized is what happens to a request that may not invalidate the
	// cache: FAIL_WITH_403, SUCCEED_WITH_RESPONSE_HEADER, …
	CacheUnauthorized string `json:"cache_unauthorized,omitempty"`
}

// Throttle is a limit on calls: a rate a second, and how many may come at once.
type Throttle struct {
	Rate  float64 `json:"rate"`
	Burst int32   `json:"burst"`
}

// Canary is a second deployment that a stage gives a part of its calls.
type Canary struct {
	DeploymentID string  `json:"deployment_id,omitempty"`
	Percent      float64 `json:"percent"`
	// Variables are the names of the stage variables that differ.
	Variables []string `json:"variables,omitempty"`
}

// MethodLogging is the logging of one method where it differs from the stage's
// default.
type MethodLogging struct {
	Method       string `json:"method,omitempty"` // empty for WebSocket
	Path         string `json:"path"`             // the template, or the route key
	LoggingLevel string `json:"logging_level"`
	DataTrace    bool   `json:"data_trace,omitempty"`
}

// Route is a method of a REST resource, or a route of an HTTP or WebSocket API.
type Route struct {
	Method string `json:"method"` // ANY for all; empty for WebSocket
	Path   string `json:"path"`   // the template: "/pets/{id}", "$default", "sendMessage"
	// Authorization is NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS or JWT.
	Authorization  string `json:"authorization,omitempty"`
	AuthorizerID   string `json:"authorizer_id,omitempty"`
	APIKeyRequired bool   `json:"api_key_required,omitempty"`
	Integration    string `json:"integration,omitempty"` // type and URI, for people

	ID            string   `json:"id,omitempty"`
	OperationName string   `json:"operation_name,omitempty"`
	Scopes        []string `json:"scopes,omitempty"` // that the token must have one of
	// RequestParameters maps the parameters that the method takes, such as
	// "method.request.querystring.page", to whether they are required.
	RequestParameters map[string]bool `json:"request_parameters,omitempty"`
	// RequestModels maps content types to models.
	RequestModels map[string]string `json:"request_models,omitempty"`
	// Validator is what API Gateway checks of a request; nil: nothing, or unseen with
	// PartValidators.
	Validator *Validator `json:"validator,omitempty"`
	// CORSHeaders are the Access-Control headers that a REST method's integration
	// response sets, in lower case, with the value as it is mapped: "'*'".
	CORSHeaders map[string]string `json:"cors_headers,omitempty"`
	// CORSTemplates are the mapping templates that set the allowed origin from the
	// request.
	CORSTemplates []CORSTemplate `json:"cors_templates,omitempty"`
	// Backend is the integration; nil: none, or unseen with PartIntegrations.
	Backend *Integration `json:"backend,omitempty"`
}

// Validator says what API Gateway checks of a request before the integration sees
// it.
type Validator struct {
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"`
	Body       bool   `json:"body,omitempty"`
	Parameters bool   `json:"parameters,omitempty"`
}

// Integration is what a route calls.
type Integration struct {
	ID   string `json:"id,omitempty"` // HTTP and WebSocket APIs
	Type string `json:"type"`         // AWS, AWS_PROXY, HTTP, HTTP_PROXY, MOCK
	// Subtype is the service that a proxy integration of an HTTP API calls, such as
	// SQS-SendMessage.
	Subtype string `json:"subtype,omitempty"`
	Method  string `json:"method,omitempty"` // towards the backend
	// URI is without the user and the query of a URL: those may be secrets.
	URI string `json:"uri,omitempty"`
	// ConnectionType is INTERNET or VPC_LINK, and ConnectionID the VPC link.
	ConnectionType string `json:"connection_type,omitempty"`
	ConnectionID   string `json:"connection_id,omitempty"`
	// TLS is how the backend's certificate is checked; nil: as AWS does by itself,
	// and for a VPC link of an HTTP API no TLS at all.
	TLS           *BackendTLS `json:"tls,omitempty"`
	TimeoutMillis int32       `json:"timeout_ms,omitempty"`
	// Credentials are the ARN of the role that API Gateway calls with; empty: the
	// backend's own policy allows it.
	Credentials string `json:"credentials,omitempty"`
	// Passthrough is what becomes of bodies that no template fits.
	Passthrough     string   `json:"passthrough,omitempty"`
	ContentHandling string   `json:"content_handling,omitempty"`
	CacheNamespace  string   `json:"cache_namespace,omitempty"`
	CacheKeys       []string `json:"cache_keys,omitempty"`
	PayloadFormat   string   `json:"payload_format,omitempty"`
	// RequestParameters are what is mapped into the request. What looks like a secret
	// is redacted.
	RequestParameters map[string]string `json:"request_parameters,omitempty"`
	// Templates are the content types that have a request template. The templates
	// themselves are not kept.
	Templates []string `json:"templates,omitempty"`
}

// BackendTLS is how the certificate of a backend is checked.
type BackendTLS struct {
	// SkipVerify accepts every certificate of a REST API's backend.
	SkipVerify bool `json:"insecure_skip_verification,omitempty"`
	// ServerName is the name that a backend behind a VPC link must have.
	ServerName string `json:"server_name,omitempty"`
}

// CORS is what an HTTP API answers to browsers of other origins.
type CORS struct {
	Origins     []string `json:"origins,omitempty"`
	Methods     []string `json:"methods,omitempty"`
	Headers     []string `json:"headers,omitempty"`
	Expose      []string `json:"expose,omitempty"`
	Credentials bool     `json:"credentials,omitempty"`
	MaxAge      int32    `json:"max_age_seconds,omitempty"`
}

// Model is a schema of bodies.
type Model struct {
	ID          string `json:"id,omitempty"`
	Name        string `json:"name"`
	ContentType string `json:"content_type,omitempty"`
	// Schema is the JSON schema's size in bytes; 0: it says nothing.
	Schema int `json:"schema_bytes,omitempty"`
}

// GatewayResponse is an answer that API Gateway itself gives and that somebody
// changed.
type GatewayResponse struct {
	Type   string `json:"type"` // UNAUTHORIZED, DEFAULT_4XX, …
	Status string `json:"status,omitempty"`
	// Headers are the headers that it sets, with the value as it is mapped.
	Headers map[string]string `json:"headers,omitempty"`
}

// Deployment is a version of an API that a stage can run.
type Deployment struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"created,omitzero"`
	Description string    `json:"description,omitempty"`
	Auto        bool      `json:"auto,omitempty"`
	// Status is of HTTP and WebSocket APIs: PENDING, FAILED or DEPLOYED.
	Status string `json:"status,omitempty"`
}

// Authorizer is an authorizer of an API.
type Authorizer struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Type string `json:"type"` // TOKEN, REQUEST, COGNITO_USER_POOLS, JWT

	URI         string `json:"uri,omitempty"`         // of a Lambda authorizer
	Credentials string `json:"credentials,omitempty"` // the ARN of the role that calls it
	// IdentitySource are the parts of the request that it is asked with, and that its
	// answer is cached by.
	IdentitySource     []string `json:"identity_source,omitempty"`
	IdentityValidation string   `json:"identity_validation,omitempty"` // a regular expression
	// TTL is how long an answer is cached, in seconds; 0: it is not. Nil where AWS
	// tells none: 300 for a REST API.
	TTL           *int32   `json:"ttl_seconds,omitempty"`
	ProviderARNs  []string `json:"provider_arns,omitempty"` // Cognito user pools
	Issuer        string   `json:"issuer,omitempty"`        // JWT
	Audience      []string `json:"audience,omitempty"`
	PayloadFormat string   `json:"payload_format,omitempty"`
	Simple        bool     `json:"simple_responses,omitempty"`
}

// LogGroup is a CloudWatch log group that holds API Gateway's logs.
type LogGroup struct {
	Name          string    `json:"name"`
	ARN           string    `json:"arn,omitempty"`
	Created       time.Time `json:"created,omitzero"`
	RetentionDays int32     `json:"retention_days,omitempty"` // 0: for ever
	KMSKey        string    `json:"kms_key,omitempty"`
	Class         string    `json:"class,omitempty"`
	Bytes         int64     `json:"bytes,omitempty"`

	// DataProtection is the state of the group's data protection policy: ACTIVATED,
	// ARCHIVED, DELETED, DISABLED; empty: there never was one. Policy is its text.
	DataProtection       string `json:"data_protection,omitempty"`
	DataProtectionPolicy string `json:"data_protection_policy,omitempty"`
	DeletionProtection   bool   `json:"deletion_protection,omitempty"`
	// Subscriptions are where CloudWatch Logs sends the group's events, and Metrics
	// what it counts in them.
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Metrics       []MetricFilter `json:"metric_filters,omitempty"`
	// Unseen are the parts of this group that were not read.
	Unseen []Part `json:"unseen,omitempty"`
}

// Subscription sends the events of a log group to somewhere else.
type Subscription struct {
	Name        string `json:"name"`
	Pattern     string `json:"pattern,omitempty"`
	Destination string `json:"destination"` // ARN
	Role        string `json:"role,omitempty"`
}

// MetricFilter counts events of a log group.
type MetricFilter struct {
	Name    string   `json:"name"`
	Pattern string   `json:"pattern,omitempty"`
	Metrics []string `json:"metrics,omitempty"` // "namespace/name"
}

// LogPolicy is a resource policy of CloudWatch Logs: which services may write, and
// who else may do what.
type LogPolicy struct {
	Name     string `json:"name"`
	Document string `json:"document"` // JSON
	// Resource is the ARN of the log group that the policy is of; empty: it is the
	// account's.
	Resource string `json:"resource,omitempty"`
}

// Store keeps the last snapshot.
type Store interface {
	SaveEstate(ctx context.Context, s *Snapshot) error
	// LoadEstate returns the last saved snapshot, or nil if there is none.
	LoadEstate(ctx context.Context) (*Snapshot, error)
}
