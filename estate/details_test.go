package estate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// detailSecrets are the secrets that addDetails puts where people put them.
var detailSecrets = []string{"hunter2hunter2", "AKIAIOSFODNN7EXAMPLE", "tiger-password", "s3cr3t-value-1", "mapped-secret-9", "key-value-of-a-key", "environment-value-1"}

// cartsPolicy is the resource policy of a function.
const cartsPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"*"}]}`

var made = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// addDetails gives the orders account all that a region can have.
func addDetails(w *world) {
	r := w.sim.Account(ordersID).Region(region)
	epoch := func(t time.Time) float64 { return float64(t.Unix()) }
	r.AddRESTAPI(awssim.RESTAPI{
		ID: "detailapi1", Name: "detail", Description: "do not tell AKIAIOSFODNN7EXAMPLE", EndpointType: "PRIVATE", APIKeySource: "AUTHORIZER", Created: made,
		Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`,
		More: awssim.Object{
			"version": "7", "minimumCompressionSize": 1024, "binaryMediaTypes": []string{"image/png"}, "securityPolicy": "TLS_1_2",
			"endpointConfiguration": awssim.Object{"types": []string{"PRIVATE"}, "vpcEndpointIds": []string{"vpce-1"}},
		},
		Authorizers: []awssim.Authorizer{{
			ID: "auth01", Name: "tokens", Type: "REQUEST", URI: "arn:aws:apigateway:eu-west-1:lambda:path/f", Credentials: "arn:aws:iam::222222222222:role/Auth",
			IdentitySource: "method.request.header.Authorization, method.request.querystring.tenant", TTL: time.Minute,
			More: awssim.Object{"identityValidationExpression": "^Bearer .+$"},
		}},
		Resources: []awssim.Resource{{ID: "res001", Path: "/pets/{id}", Methods: []awssim.Method{
			{
				HTTPMethod: "POST", Authorization: "CUSTOM", AuthorizerID: "tokens", AuthorizationScopes: []string{"pets/write"}, OperationName: "putPet",
				RequestParameters: map[string]bool{"method.request.path.id": true}, RequestModels: map[string]string{"application/json": "Pet"},
				More: awssim.Object{"requestValidatorId": "val001"},
				Integration: &awssim.Integration{
					Type: "HTTP", Method: "POST", URI: "http://shop:tiger-password@backend.internal/pets?x=1", ConnectionType: "VPC_LINK", ConnectionID: "link01",
					Credentials: "arn:aws:iam::222222222222:role/Call", Timeout: 3 * time.Second,
					More: awssim.Object{
						"tlsConfig": awssim.Object{"insecureSkipVerification": true}, "contentHandling": "CONVERT_TO_TEXT", "passthroughBehavior": "NEVER",
						"cacheKeyParameters": []string{"method.request.path.id"}, "cacheNamespace": "pets",
						"requestParameters": awssim.Object{"integration.request.header.X-Api-Key": "'mapped-secret-9'", "integration.request.path.id": "method.request.path.id"},
						"requestTemplates":  awssim.Object{"application/json": `{"password": "s3cr3t-value-1"}`},
						"integrationResponses": awssim.Object{"200": awssim.Object{
							"statusCode": "200", "responseParameters": awssim.Object{"method.response.header.Access-Control-Allow-Origin": "'*'"},
						}},
					},
				},
			},
		}}},
		Stages: []awssim.Stage{{
			Name: "prod", DeploymentID: "dep002", LoggingLevel: "INFO", Tracing: true, WebACL: "arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/a/1", Created: made,
			Variables:      map[string]string{"DB_PASSWORD": "hunter2hunter2", "SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:222222222222:secret:x", "table": "pets"},
			MethodSettings: map[string]awssim.MethodSetting{"~1pets~1{id}/POST": {LoggingLevel: "OFF", More: awssim.Object{"throttlingRateLimit": 5.5, "throttlingBurstLimit": 9}}},
			More: awssim.Object{
				"cacheClusterEnabled": true, "cacheClusterSize": "0.5", "clientCertificateId": "cert01", "documentationVersion": "v3",
				"canarySettings": awssim.Object{"deploymentId": "dep001", "percentTraffic": 10.0, "stageVariableOverrides": awssim.Object{"table": "pets2"}},
			},
		}},
	})
	under := "restapis/detailapi1/"
	r.AddObject(under+"requestvalidators", awssim.Object{"id": "val001", "name": "body", "validateRequestBody": true, "validateRequestParameters": false})
	r.AddObject(under+"models", awssim.Object{"id": "mod001", "name": "Pet", "contentType": "application/json", "schema": "{}"})
	r.AddObject(under+"gatewayresponses", awssim.Object{
		"responseType": "DEFAULT_4XX", "statusCode": "400", "defaultResponse": false,
		"responseParameters": awssim.Object{"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
	})
	r.SetObjects(under+"deployments",
		awssim.Object{"id": "dep001", "createdDate": epoch(made)}, awssim.Object{"id": "dep002", "createdDate": epoch(made.Add(time.Hour)), "description": "second"})

	r.AddObject("usageplans", awssim.Object{
		"id": "plan01", "name": "gold", "quota": awssim.Object{"limit": 100, "period": "DAY"}, "throttle": awssim.Object{"rateLimit": 2.5, "burstLimit": 4},
		"apiStages": []awssim.Object{{"apiId": "detailapi1", "stage": "prod", "throttle": awssim.Object{"/pets/{id}/POST": awssim.Object{"rateLimit": 1.0, "burstLimit": 1}}}},
	})
	r.AddObject("usageplans/plan01/keys", awssim.Object{"id": "key001", "name": "partner", "type": "API_KEY", "value": "key-value-of-a-key"})
	r.AddObject("domainnames", awssim.Object{
		"domainName": "pets.example.com", "securityPolicy": "TLS_1_0", "endpointConfiguration": awssim.Object{"types": []string{"REGIONAL"}},
		"regionalCertificateArn": "arn:aws:acm:eu-west-1:222222222222:certificate/1", "domainNameStatus": "AVAILABLE",
		"mutualTlsAuthentication": awssim.Object{"truststoreUri": "s3://trust/store.pem", "truststoreWarnings": []string{"expired"}},
	})
	r.AddObject("v2/domainnames/pets.example.com/apimappings", awssim.Object{"apiId": "detailapi1", "stage": "prod", "apiMappingId": "m1", "apiMappingKey": "shop/pets"})
	r.AddObject("domainnames", awssim.Object{"domainName": "edge.example.com", "endpointConfiguration": awssim.Object{"types": []string{"EDGE"}}, "securityPolicy": "TLS_1_2"})
	r.AddObject("domainnames/edge.example.com/basepathmappings", awssim.Object{"basePath": "(none)", "restApiId": "detailapi1", "stage": "prod"})
	r.AddObject("vpclinks", awssim.Object{"id": "link01", "name": "inner", "status": "AVAILABLE", "targetArns": []string{"arn:aws:elasticloadbalancing:eu-west-1:222222222222:loadbalancer/net/a/1"}})
	r.AddObject("v2/vpclinks", awssim.Object{"vpcLinkId": "link02", "name": "http", "subnetIds": []string{"subnet-1"}, "securityGroupIds": []string{"sg-1"}, "vpcLinkStatus": "AVAILABLE"})
	r.AddObject("clientcertificates", awssim.Object{"clientCertificateId": "cert01", "createdDate": epoch(made), "expirationDate": epoch(made.Add(365 * 24 * time.Hour))})

	r.AddHTTPAPI(awssim.API{
		ID: "webapi0001", Name: "web", Created: made,
		More: awssim.Object{"corsConfiguration": awssim.Object{"allowOrigins": []string{"*"}, "allowCredentials": true, "maxAge": 60}},
		Routes: []awssim.Route{{
			ID: "route1", Key: "POST /carts", Authorization: "JWT", AuthorizerID: "users", AuthorizationScopes: []string{"carts"},
			Integration: &awssim.Integration{ID: "int001", Type: "HTTP_PROXY", Method: "POST", URI: "arn:listener", ConnectionType: "VPC_LINK", ConnectionID: "link02", More: awssim.Object{
				"tlsConfig": awssim.Object{"serverNameToVerify": "carts.internal"},
			}},
		}, {
			ID: "route2", Key: "POST /orders", Authorization: "AWS_IAM",
			Integration: &awssim.Integration{ID: "int002", Type: "AWS_PROXY", URI: "arn:aws:lambda:eu-west-1:222222222222:function:carts:live"},
		}},
		Authorizers: []awssim.Authorizer{{ID: "auth02", Name: "users", Type: "JWT", Issuer: "https://id.example", Audience: []string{"web"}, IdentitySource: "$request.header.Authorization"}},
		Stages: []awssim.Stage{{Name: "$default", DeploymentID: "dep003", AutoDeploy: true, Created: made, MethodSettings: map[string]awssim.MethodSetting{
			"POST /carts": {More: awssim.Object{"throttlingRateLimit": 3.0, "throttlingBurstLimit": 6}},
		}}},
	})

	r.AddFunction("carts", awssim.Object{
		"Runtime": "python3.9", "PackageType": "Zip", "Environment": awssim.Object{"Variables": awssim.Object{"PLAIN": "environment-value-1"}},
	})
	r.PublishFunction("carts", "live", cartsPolicy, nil)
	r.AddFunctionURL("carts", "", "NONE", awssim.Object{"AllowOrigins": []string{"*"}})
	acl := r.AddWebACL(awssim.Object{
		"Name": "a", "Id": "1", "DefaultAction": awssim.Object{"Allow": awssim.Object{}},
		"Rules": []awssim.Object{
			{"Name": "office", "Priority": 2, "Action": awssim.Object{"Block": awssim.Object{}}, "Statement": awssim.Object{"IPSetReferenceStatement": awssim.Object{"ARN": "arn:set"}}},
			{"Name": "known", "Priority": 1, "OverrideAction": awssim.Object{"None": awssim.Object{}}, "Statement": awssim.Object{"ManagedRuleGroupStatement": awssim.Object{
				"VendorName": "AWS", "Name": "AWSManagedRulesKnownBadInputsRuleSet", "Version": "Version_1.22",
				"RuleActionOverrides": []awssim.Object{{"Name": "Log4JRCE_BODY", "ActionToUse": awssim.Object{"Count": awssim.Object{}}}},
				"ScopeDownStatement":  awssim.Object{"GeoMatchStatement": awssim.Object{"CountryCodes": []string{"DE"}}},
			}}},
		},
		"PostProcessFirewallManagerRuleGroups": []awssim.Object{{
			"Name": "central", "Priority": 0, "OverrideAction": awssim.Object{"Count": awssim.Object{}},
			"FirewallManagerStatement": awssim.Object{"RuleGroupReferenceStatement": awssim.Object{"ARN": "arn:group"}},
		}},
		"RetrofittedByFirewallManager": true,
	})
	r.SetWebACLLogging(acl, awssim.Object{
		"LogDestinationConfigs": []string{"arn:aws:logs:eu-west-1:222222222222:log-group:aws-waf-logs-a"}, "LogScope": "SECURITY_LAKE",
		"LoggingFilter": awssim.Object{"DefaultBehavior": "DROP", "Filters": []awssim.Object{}},
	})

	logs := r.Logs()
	group := "API-Gateway-Execution-Logs_detailapi1/prod"
	logs.AddSubscriptionFilter(group, awssim.Object{"filterName": "ship", "filterPattern": "", "destinationArn": "arn:aws:lambda:eu-west-1:222222222222:function:ship"})
	logs.AddMetricFilter(group, awssim.Object{"filterName": "errors", "filterPattern": "ERROR", "metricTransformations": []awssim.Object{{"metricNamespace": "Shop", "metricName": "Errors", "metricValue": "1"}}})
	logs.SetDataProtection(group, `{"Name":"mask"}`)
	logs.AddResourcePolicy(awssim.Object{"policyName": "deliver", "policyDocument": "{}"})

	r.AddCluster(awssim.Object{
		"name": "blue", "version": "1.34", "status": "ACTIVE", "createdAt": epoch(made), "accessConfig": awssim.Object{"authenticationMode": "API"},
		"resourcesVpcConfig": awssim.Object{"endpointPublicAccess": true, "publicAccessCidrs": []string{"0.0.0.0/0"}},
		"logging":            awssim.Object{"clusterLogging": []awssim.Object{{"types": []string{"audit", "api"}, "enabled": true}, {"types": []string{"scheduler"}, "enabled": false}}},
		"encryptionConfig":   []awssim.Object{{"resources": []string{"secrets"}, "provider": awssim.Object{"keyArn": "arn:aws:kms:eu-west-1:222222222222:key/1"}}},
		"identity":           awssim.Object{"oidc": awssim.Object{"issuer": "https://oidc.eks.example/id/A"}},
	}, awssim.Object{
		"principalArn": "arn:aws:iam::222222222222:role/Ops", "type": "STANDARD", "kubernetesGroups": []string{"ops"}, "createdAt": epoch(made),
		"policies": []awssim.Object{{"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", "accessScope": awssim.Object{"type": "cluster"}}},
	})
	r.AddCluster(awssim.Object{"name": "old", "accessConfig": awssim.Object{"authenticationMode": "CONFIG_MAP"}, "resourcesVpcConfig": awssim.Object{}})
}

func apiOf(t *testing.T, r *Region, id string) *API {
	t.Helper()
	i := slices.IndexFunc(r.APIs, func(a API) bool { return a.ID == id })
	if i < 0 {
		t.Fatalf("API %s is missing", id)
	}
	return &r.APIs[i]
}

func TestDiscoverDetails(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addDetails(w)
	r := &accountOf(t, discover(t, w), ordersID).Regions[0]
	if len(r.Errors)+len(r.Notes)+len(r.Unseen) != 0 {
		t.Fatalf("not all was seen: %+v %+v %v", r.Errors, r.Notes, r.Unseen)
	}
	api := apiOf(t, r, "detailapi1")
	want := API{
		ID: "detailapi1", Name: "detail", Type: "REST", Endpoint: "detailapi1.execute-api.eu-west-1.amazonaws.com", EndpointType: "PRIVATE", Created: made,
		Description: "[redacted]", Version: "7", APIKeySource: "AUTHORIZER", VPCEndpoints: []string{"vpce-1"}, TLSPolicy: "TLS_1_2",
		Policy:             `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`,
		MinimumCompression: aws.Int32(1024), BinaryTypes: []string{"image/png"},
		Stages: []Stage{{
			Name: "prod", LoggingLevel: "INFO", ExecutionGroup: "API-Gateway-Execution-Logs_detailapi1/prod", Created: made, Updated: made,
			DeploymentID: "dep002", Deployed: made.Add(time.Hour), Tracing: true, WebACL: "arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/a/1",
			Variables: map[string]string{"DB_PASSWORD": "[redacted]", "SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:222222222222:secret:x", "table": "pets"},
			Overrides: []MethodLogging{{Method: "POST", Path: "/pets/{id}", LoggingLevel: "OFF"}},
			Settings: []MethodSettings{
				{Method: "*", Path: "*", LoggingLevel: "INFO", Throttle: &Throttle{10000, 5000}, CacheTTL: 300, CacheAuthorized: true, CacheUnauthorized: "SUCCEED_WITH_RESPONSE_HEADER"},
				{Method: "POST", Path: "/pets/{id}", LoggingLevel: "OFF", Throttle: &Throttle{5.5, 9}, CacheTTL: 300, CacheAuthorized: true, CacheUnauthorized: "SUCCEED_WITH_RESPONSE_HEADER"},
			},
			Cache: true, CacheSize: "0.5", ClientCertificate: "cert01", DocumentationVersion: "v3",
			Canary: &Canary{DeploymentID: "dep001", Percent: 10, Variables: []string{"table"}},
		}},
		Routes: []Route{{
			ID: "res001", Method: "POST", Path: "/pets/{id}", Authorization: "CUSTOM", AuthorizerID: "auth01", Scopes: []string{"pets/write"}, OperationName: "putPet",
			Integration:       "HTTP http://backend.internal/pets",
			RequestParameters: map[string]bool{"method.request.path.id": true}, RequestModels: map[string]string{"application/json": "Pet"},
			Validator: &Validator{ID: "val001", Name: "body", Body: true}, CORSHeaders: map[string]string{"access-control-allow-origin": "'*'"},
			Backend: &Integration{
				Type: "HTTP", Method: "POST", URI: "http://backend.internal/pets", ConnectionType: "VPC_LINK", ConnectionID: "link01", TLS: &BackendTLS{SkipVerify: true},
				TimeoutMillis: 3000, Credentials: "arn:aws:iam::222222222222:role/Call", Passthrough: "NEVER", ContentHandling: "CONVERT_TO_TEXT",
				CacheNamespace: "pets", CacheKeys: []string{"method.request.path.id"}, Templates: []string{"application/json"},
				RequestParameters: map[string]string{"integration.request.header.X-Api-Key": "[redacted]", "integration.request.path.id": "method.request.path.id"},
			},
		}},
		Authorizers: []Authorizer{{
			ID: "auth01", Name: "tokens", Type: "REQUEST", URI: "arn:aws:apigateway:eu-west-1:lambda:path/f", Credentials: "arn:aws:iam::222222222222:role/Auth",
			IdentitySource:     []string{"method.request.header.Authorization", "method.request.querystring.tenant"},
			IdentityValidation: "^Bearer .+$", TTL: aws.Int32(60),
		}},
		Models:           []Model{{ID: "mod001", Name: "Pet", ContentType: "application/json", Schema: 2}},
		GatewayResponses: []GatewayResponse{{Type: "DEFAULT_4XX", Status: "400", Headers: map[string]string{"access-control-allow-origin": "'*'"}}},
		Deployments:      []Deployment{{ID: "dep002", Created: made.Add(time.Hour), Description: "second"}, {ID: "dep001", Created: made}},
		Secrets: []Secret{
			{"API description", "AWS access key"},
			{"route POST /pets/{id}, URI", "password in a URL"},
			{"route POST /pets/{id}, parameter integration.request.header.X-Api-Key", "password"},
			{"route POST /pets/{id}, request template application/json", "password"},
			{"stage prod, variable DB_PASSWORD", "password"},
		},
	}
	if diff := cmp.Diff(&want, api, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(API{}, "DetailsRead", "Digest")); diff != "" {
		t.Error(diff)
	}
	if api.DetailsRead.IsZero() {
		t.Error("it is not told when the details were read")
	}

	web := apiOf(t, r, "webapi0001")
	if diff := cmp.Diff(&CORS{Origins: []string{"*"}, Credentials: true, MaxAge: 60}, web.CORS); diff != "" {
		t.Error(diff)
	}
	if got := web.Routes[0]; got.Backend == nil || got.Backend.TLS.ServerName != "carts.internal" || got.Scopes[0] != "carts" {
		t.Errorf("%+v", got)
	}
	if got := web.Authorizers[0]; got.Issuer != "https://id.example" || got.Audience[0] != "web" || got.IdentitySource[0] != "$request.header.Authorization" {
		t.Errorf("%+v", got)
	}
	if got := web.Stages[0]; !got.AutoDeploy || !got.Deployed.Equal(made) || len(got.Settings) != 2 || got.Settings[1].Throttle.Burst != 6 || got.LoggingLevel != "" {
		t.Errorf("%+v", got)
	}

	for name, c := range map[string]struct{ want, got any }{
		"usage plans": {[]UsagePlan{{
			ID: "plan01", Name: "gold", Quota: &Quota{Limit: 100, Period: "DAY"}, Throttle: &Throttle{2.5, 4}, Keys: []APIKey{{"key001", "partner"}},
			Stages: []PlanStage{{APIID: "detailapi1", Stage: "prod", Methods: map[string]Throttle{"/pets/{id}/POST": {1, 1}}}},
		}}, r.UsagePlans},
		"domains": {[]Domain{
			{Name: "edge.example.com", EndpointTypes: []string{"EDGE"}, TLSPolicy: "TLS_1_2", Mappings: []Mapping{{APIID: "detailapi1", Stage: "prod"}}},
			{
				Name: "pets.example.com", EndpointTypes: []string{"REGIONAL"}, TLSPolicy: "TLS_1_0", Status: "AVAILABLE",
				Certificates: []string{"arn:aws:acm:eu-west-1:222222222222:certificate/1"},
				MutualTLS:    &MutualTLS{Truststore: "s3://trust/store.pem", Warnings: []string{"expired"}},
				Mappings:     []Mapping{{Path: "shop/pets", APIID: "detailapi1", Stage: "prod"}},
			},
		}, r.Domains},
		"VPC links": {[]VPCLink{
			{ID: "link01", Name: "inner", Kind: "REST", Status: "AVAILABLE", Targets: []string{"arn:aws:elasticloadbalancing:eu-west-1:222222222222:loadbalancer/net/a/1"}},
			{ID: "link02", Name: "http", Kind: "V2", Status: "AVAILABLE", Subnets: []string{"subnet-1"}, SecurityGroups: []string{"sg-1"}},
		}, r.VPCLinks},
		"certificates": {[]ClientCertificate{{ID: "cert01", Created: made, Expires: made.Add(365 * 24 * time.Hour)}}, r.Certificates},
		"log policies": {[]LogPolicy{{Name: "deliver", Document: "{}"}}, r.LogPolicies},
		"throttle":     {&Throttle{10000, 5000}, r.Throttle},
		"web ACLs": {[]WebACL{{
			ARN: "arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/a/1", Name: "a", DefaultAction: "ALLOW", FirewallManager: true,
			Rules: []WebACLRule{
				{
					Name: "known", Priority: 1, Statement: "managed_rule_group", Action: "NONE", Group: "AWS/AWSManagedRulesKnownBadInputsRuleSet", Version: "Version_1.22",
					Overrides: map[string]string{"Log4JRCE_BODY": "COUNT"}, Narrowed: true,
				},
				{Name: "office", Priority: 2, Statement: "ip_set", Action: "BLOCK"},
				{Name: "central", Statement: "rule_group", Action: "COUNT", Group: "arn:group", FirewallManager: true},
			},
			Logs: []string{"arn:aws:logs:eu-west-1:222222222222:log-group:aws-waf-logs-a"}, LogScope: "SECURITY_LAKE", LogFilter: "DROP",
		}}, r.WebACLs},
		"functions": {[]Function{{
			ARN: "arn:aws:lambda:eu-west-1:222222222222:function:carts",
			Versions: []FunctionVersion{
				{Name: latest, URL: &FunctionURL{URL: "https://carts.lambda-url.eu-west-1.on.aws/", AuthType: "NONE", CORS: &CORS{Origins: []string{"*"}}}},
				{Name: "live", Called: true, Runtime: "python3.9", Package: "Zip", Policy: cartsPolicy},
			},
		}}, r.Functions},
		"log groups": {[]LogGroup{{
			Name: "API-Gateway-Execution-Logs_detailapi1/prod", DataProtection: "ACTIVATED", DataProtectionPolicy: `{"Name":"mask"}`,
			Subscriptions: []Subscription{{Name: "ship", Destination: "arn:aws:lambda:eu-west-1:222222222222:function:ship"}},
			Metrics:       []MetricFilter{{Name: "errors", Pattern: "ERROR", Metrics: []string{"Shop/Errors"}}},
		}}, r.LogGroups},
		"clusters": {[]Cluster{
			{
				Name: "blue", ARN: "arn:aws:eks:eu-west-1:222222222222:cluster/blue", Version: "1.34", Status: "ACTIVE", Created: made, AuthenticationMode: "API",
				PublicEndpoint: true, PublicCIDRs: []string{"0.0.0.0/0"}, Logging: []string{"api", "audit"}, SecretsKey: "arn:aws:kms:eu-west-1:222222222222:key/1",
				OIDCIssuer: "https://oidc.eks.example/id/A",
				AccessEntries: []AccessEntry{{
					Principal: "arn:aws:iam::222222222222:role/Ops", Type: "STANDARD", Groups: []string{"ops"}, Created: made,
					Policies: []AccessPolicy{{ARN: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", Scope: "cluster"}},
				}},
			},
			{Name: "old", ARN: "arn:aws:eks:eu-west-1:222222222222:cluster/old", AuthenticationMode: "CONFIG_MAP"},
		}, r.Clusters},
	} {
		if diff := cmp.Diff(c.want, c.got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(LogGroup{}, "ARN", "Created", "Class", "Bytes")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNoSecretIsInTheSnapshot(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addDetails(w)
	text, err := json.Marshal(discover(t, w))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range detailSecrets {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in the snapshot", secret)
		}
	}
}

// TestWhatIsNotSeen takes away one right after the other: nothing else is lost, the
// part is marked as not seen, and it is said what would show it.
func TestWhatIsNotSeen(t *testing.T) {
	t.Parallel()
	group := func(r *Region) *LogGroup { return &r.LogGroups[0] }
	for what, c := range map[string]struct {
		action  string
		service string
		unseen  func(*Region) bool
	}{
		"usage plans": {"apigateway:GET", "GetUsagePlans", func(r *Region) bool { return !r.Seen(PartUsagePlans) && len(r.UsagePlans) == 0 }},
		"keys":        {"apigateway:GET", "GetUsagePlanKeys", func(r *Region) bool { return slices.Contains(r.UsagePlans[0].Unseen, PartKeys) }},
		"domains":     {"apigateway:GET", "GetDomainNames", func(r *Region) bool { return !r.Seen(PartDomains) }},
		"mappings": {"apigateway:GET", "GetApiMappings", func(r *Region) bool {
			return slices.Contains(r.Domains[1].Unseen, PartMappings) && r.Domains[0].Unseen == nil
		}},
		"VPC links":           {"apigateway:GET", "GetVpcLinks", func(r *Region) bool { return !r.Seen(PartVPCLinks) }},
		"certificates":        {"apigateway:GET", "GetClientCertificates", func(r *Region) bool { return !r.Seen(PartClientCertificates) }},
		"validators":          {"apigateway:GET", "GetRequestValidators", func(r *Region) bool { return !r.api("detailapi1").Seen(PartValidators) }},
		"models":              {"apigateway:GET", "GetModels", func(r *Region) bool { return !r.api("detailapi1").Seen(PartModels) }},
		"gateway responses":   {"apigateway:GET", "GetGatewayResponses", func(r *Region) bool { return !r.api("detailapi1").Seen(PartGatewayResponses) }},
		"deployments":         {"apigateway:GET", "GetDeployments", func(r *Region) bool { return !r.api("detailapi1").Seen(PartDeployments) }},
		"subscriptions":       {"logs:DescribeSubscriptionFilters", "DescribeSubscriptionFilters", func(r *Region) bool { return !group(r).Seen(PartSubscriptions) }},
		"metric filters":      {"logs:DescribeMetricFilters", "DescribeMetricFilters", func(r *Region) bool { return !group(r).Seen(PartMetricFilters) }},
		"data protection":     {"logs:GetDataProtectionPolicy", "GetDataProtectionPolicy", func(r *Region) bool { return !group(r).Seen(PartDataProtection) }},
		"log policies":        {"logs:DescribeResourcePolicies", "DescribeResourcePolicies", func(r *Region) bool { return !r.Seen(PartLogPolicies) }},
		"clusters":            {"eks:ListClusters", "ListClusters", func(r *Region) bool { return !r.Seen(PartClusters) }},
		"a cluster":           {"eks:DescribeCluster", "DescribeCluster", func(r *Region) bool { return len(r.Clusters) == 2 && !r.Clusters[0].Seen(PartCluster) }},
		"entries":             {"eks:ListAccessEntries", "ListAccessEntries", func(r *Region) bool { return !r.Clusters[0].Seen(PartAccessEntries) && r.Clusters[0].Seen(PartCluster) }},
		"an entry":            {"eks:DescribeAccessEntry", "DescribeAccessEntry", func(r *Region) bool { return !r.Clusters[0].Seen(PartAccessEntries) }},
		"a web ACL":           {"wafv2:GetWebACL", "GetWebACL", func(r *Region) bool { return !r.WebACLs[0].Seen(PartWebACL) && len(r.WebACLs[0].Logs) == 1 }},
		"a web ACL's logging": {"wafv2:GetLoggingConfiguration", "GetLoggingConfiguration", func(r *Region) bool { return !r.WebACLs[0].Seen(PartWebACLLogging) && len(r.WebACLs[0].Rules) == 3 }},
		"functions": {"lambda:GetFunctionConfiguration", "GetFunctionConfiguration", func(r *Region) bool {
			return !r.Functions[0].Seen(PartFunctionConfiguration) && r.Functions[0].Seen(PartFunctionPolicy) && r.Functions[0].Versions[1].Policy != ""
		}},
		"functions' policies": {"lambda:GetPolicy", "GetPolicy", func(r *Region) bool {
			return !r.Functions[0].Seen(PartFunctionPolicy) && r.Functions[0].Versions[0].URL != nil
		}},
		"functions' URLs": {"lambda:ListFunctionUrlConfigs", "ListFunctionUrlConfigs", func(r *Region) bool {
			return !r.Functions[0].Seen(PartFunctionURLs) && r.Functions[0].Versions[1].Runtime != ""
		}},
		"an entry's policies": {"eks:ListAssociatedAccessPolicies", "ListAssociatedAccessPolicies", func(r *Region) bool { return !r.Clusters[0].Seen(PartAccessEntries) }},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			addDetails(w)
			w.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: c.service, Account: ordersID})
			s := discover(t, w)
			r := &accountOf(t, s, ordersID).Regions[0]
			if !c.unseen(r) {
				t.Errorf("not marked: %v %+v", r.Unseen, r)
			}
			if len(r.Errors) != 0 || len(r.Notes) == 0 || !strings.Contains(r.Notes[0].Mend, c.action) {
				t.Errorf("errors %+v, notes %+v", r.Errors, r.Notes)
			}
			if len(r.APIs) != 2 || len(r.api("detailapi1").Routes) != 1 || len(r.api("detailapi1").Authorizers) != 1 || len(r.LogGroups) != 1 {
				t.Errorf("something else is hidden: %+v", r)
			}
			// As soon as the right is there, what it shows is seen, and nothing looks
			// as if it had only now come into being.
			w.sim.ClearFaults()
			again := discover(t, w)
			r = &accountOf(t, again, ordersID).Regions[0]
			if c.unseen(r) || len(r.Notes) != 0 {
				t.Errorf("still not seen: %v %+v", r.Unseen, r.Notes)
			}
			for _, change := range Diff(s, again) {
				t.Errorf("a right looks like a change: %+v", change)
			}
			for _, change := range Diff(again, s) {
				t.Errorf("a missing right looks like a change: %+v", change)
			}
		})
	}
}

func (r *Region) api(id string) *API {
	return &r.APIs[slices.IndexFunc(r.APIs, func(a API) bool { return a.ID == id })]
}
