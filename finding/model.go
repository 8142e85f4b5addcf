package finding

import (
	"net/http"
	"time"
)

// APIType is the type of an API.
type APIType string

// The types of API.
const (
	REST      APIType = "REST"
	HTTP      APIType = "HTTP"
	WebSocket APIType = "WEBSOCKET"
)

// Part is a part of an estate that may not have been read.
type Part string

// The parts that rules look at. What holds a part lists it among its Unseen where it
// was not read, or not whole.
const (
	PartREST           Part = "rest_apis"
	PartV2             Part = "http_and_websocket_apis"
	PartAccount        Part = "api_gateway_account"
	PartUsagePlans     Part = "usage_plans"
	PartDomains        Part = "domains"
	PartMappings       Part = "mappings"
	PartCertificates   Part = "client_certificates"
	PartStages         Part = "stages"
	PartRoutes         Part = "routes"
	PartIntegrations   Part = "integrations"
	PartAuthorizers    Part = "authorizers"
	PartValidators     Part = "validators"
	PartModels         Part = "models"
	PartResponses      Part = "gateway_responses"
	PartDeployments    Part = "deployments"
	PartLogGroups      Part = "log_groups"
	PartDeliveries     Part = "deliveries"
	PartLogPolicies    Part = "log_policies"
	PartSubscriptions  Part = "subscriptions"
	PartDataProtection Part = "data_protection"

	PartWebACL                Part = "web_acl"
	PartWebACLLogging         Part = "web_acl_logging"
	PartFunctionConfiguration Part = "function_configuration"
	PartFunctionPolicy        Part = "function_policy"
	PartFunctionURLs          Part = "function_urls"

	PartClusters      Part = "clusters"
	PartCluster       Part = "cluster"
	PartAccessEntries Part = "access_entries"
	PartPrincipals    Part = "principals"
)

// Estate is what the rules look at.
type Estate struct {
	// Time is when the estate was read. It is the rules' clock.
	Time   time.Time
	Places []Place
	// Accounts are what the accounts have beside their regions: IAM's roles and users.
	Accounts []Account
	// Unread are accounts, or regions of them, of which nothing could be read.
	Unread []Unread
}

// Unread is an account, or a region of one, that could not be read.
type Unread struct {
	Account, AccountName string
	Region               string // empty: the whole account
	Why                  string
}

// Place is one region of an account.
type Place struct {
	Account, AccountName string
	Region               string
	Partition            string // aws, aws-cn, …
	// LogRole is the role with which API Gateway writes execution logs; empty: none.
	LogRole string
	// Throttle is the account's limit; nil: not known.
	Throttle     *Throttle
	APIs         []API
	Domains      []Domain
	LogGroups    []LogGroup
	UsagePlans   []UsagePlan
	Certificates []Certificate
	LogPolicies  []LogPolicy
	WebACLs      []WebACL
	Functions    []Function
	Clusters     []Cluster
	Unseen       []Part
}

func (p *Place) group(name string) *LogGroup {
	for i := range p.LogGroups {
		if p.LogGroups[i].Name == name {
			return &p.LogGroups[i]
		}
	}
	return nil
}

// Throttle is a limit on calls.
type Throttle struct {
	Rate  float64
	Burst int32
}

// API is an API of any type.
type API struct {
	ID, Name           string
	Description        string
	Version            string
	Type               APIType
	EndpointType       string // EDGE, REGIONAL, PRIVATE
	DefaultDisabled    bool   // the execute-api endpoint is off
	Policy             string // JSON; empty: none
	APIKeySource       string
	MinimumCompression *int32
	Tags               map[string]string
	CORS               *CORS // of an HTTP API
	Stages             []Stage
	Routes             []Route
	Authorizers        []Authorizer
	Responses          []GatewayResponse
	Deployments        []Deployment // the newest first
	Secrets            []Secret
	// Calls are when its routes were called last; CallsWhole is false where calls may
	// be missing. Observe sets both.
	Calls      []Call
	CallsWhole bool
	Unseen     []Part
}

func (a *API) private() bool { return a.EndpointType == "PRIVATE" }

// Stage is a stage of an API.
type Stage struct {
	Name         string
	LoggingLevel string // OFF, ERROR, INFO
	DataTrace    bool
	// AccessLog is the ARN of where access logs go; empty: nowhere.
	AccessLog, AccessFormat string
	ExecutionGroup          string
	// Deliveries are the types of logs that CloudWatch Logs delivers.
	Deliveries        []string
	Settings          []Settings // the default first
	Cache             bool
	Tracing           bool
	WebACL            string
	ClientCertificate string
	CanaryPercent     float64 // 0: no canary
	Documentation     string  // the version that is published; empty: none
	AutoDeploy        bool
	DeploymentID      string
	Updated           time.Time
	// WatchedSince is since when every call of the stage was logged and read, without a
	// gap; zero: not all are, or it is not known. Observe sets it.
	WatchedSince time.Time
}

// settings are those of all methods or routes; nil: none were made.
func (s *Stage) settings() *Settings {
	for i := range s.Settings {
		if s.Settings[i].Path == "*" {
			return &s.Settings[i]
		}
	}
	return nil
}

// Settings are a stage's settings for all methods (Path is "*") or one.
type Settings struct {
	Method, Path             string
	LoggingLevel             string
	DataTrace, Metrics       bool
	Throttle                 *Throttle
	Caching                  bool
	CacheEncrypted           bool
	CacheInvalidationGuarded bool
}

func (s *Settings) name() string {
	if s.Method == "" {
		return s.Path
	}
	return s.Method + " " + s.Path
}

// Route is a method of a REST resource, or a route of another API.
type Route struct {
	ID, Method, Path  string
	Authorization     string // NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS, JWT
	AuthorizerID      string
	KeyRequired       bool
	Scopes            []string
	RequestParameters map[string]bool // to whether they are required
	RequestModels     map[string]string
	ValidatesBody     bool
	ValidatesParams   bool
	CORSHeaders       map[string]string // lower case, as mapped
	CORSTemplates     []CORSTemplate
	Backend           *Backend
}

// Name is how people call the route: "GET /pets", "$connect".
func (r *Route) Name() string {
	if r.Method == "" || r.Path == "$default" {
		return r.Path
	}
	return r.Method + " " + r.Path
}

func (r *Route) preflight() bool { return r.Method == http.MethodOptions }

// Backend is the integration of a route.
type Backend struct {
	Type              string // AWS, AWS_PROXY, HTTP, HTTP_PROXY, MOCK
	URI               string
	VPCLink           bool
	TLS               bool // certificates of a VPC link's backend are checked
	SkipVerify        bool
	TimeoutMillis     int32
	CacheKeys         []string
	RequestParameters map[string]string
}

func (b *Backend) http() bool { return b != nil && (b.Type == "HTTP" || b.Type == "HTTP_PROXY") }

// CORS is what an HTTP API answers to browsers.
type CORS struct {
	Origins, Headers []string
	Credentials      bool
}

// Authorizer is an authorizer of an API.
type Authorizer struct {
	ID, Name       string
	Type           string // TOKEN, REQUEST, COGNITO_USER_POOLS, JWT
	IdentitySource []string
	Validation     string // of a token, a regular expression
	TTL            *int32 // seconds; nil: AWS's default
	Audience       []string
	Simple         bool // answers yes or no, and no policy
}

// GatewayResponse is an answer of API Gateway that was changed.
type GatewayResponse struct {
	Type    string
	Headers map[string]string
}

// Deployment is a version of an API.
type Deployment struct {
	ID      string
	Created time.Time
}

// Secret is a place in a configuration that holds what looks like a secret. The
// secret itself is not known here.
type Secret struct{ Where, Kind string }

// Domain is a custom domain name.
type Domain struct {
	Name, TLSPolicy string
	// MutualTLS is set where client certificates are asked for.
	MutualTLS         bool
	TruststoreVersion string
	TruststoreWarning []string
	Mappings          []Mapping
	Unseen            []Part
}

// Mapping says which stage of which API a domain reaches.
type Mapping struct{ API, Stage string }

// LogGroup is a log group of API Gateway's logs.
type LogGroup struct {
	Name          string
	RetentionDays int32 // 0: for ever
	KMSKey        string
	// Protected is set where a data protection policy is active.
	Protected bool
	// Subscriptions are the ARNs that the events go to.
	Subscriptions []string
	Unseen        []Part
}

// LogPolicy is a resource policy of CloudWatch Logs.
type LogPolicy struct{ Name, Document string }

// UsagePlan limits what the holders of keys may call.
type UsagePlan struct {
	ID, Name       string
	Stages         []Mapping
	Quota          bool
	Throttle       *Throttle
	MethodThrottle bool
}

// Certificate is a client certificate of API Gateway.
type Certificate struct {
	ID      string
	Expires time.Time
}
