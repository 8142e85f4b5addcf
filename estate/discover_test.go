package estate

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	securityID = "111111111111"
	ordersID   = "222222222222"
	catalogID  = "333333333333"
	region     = "eu-west-1"
)

// world is an organization of three accounts in an AWS in the process.
type world struct {
	sim      *awssim.Sim
	accounts *account.Accounts
	disc     *Discoverer
}

var readRights = []string{
	"apigateway:GET", "logs:DescribeLogGroups", "logs:DescribeDeliver*", "account:ListRegions",
	"logs:DescribeSubscriptionFilters", "logs:DescribeMetricFilters", "logs:GetDataProtectionPolicy", "logs:DescribeResourcePolicies",
	"eks:ListClusters", "eks:DescribeCluster", "eks:ListAccessEntries", "eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies",
	"wafv2:GetWebACL", "wafv2:GetLoggingConfiguration", "lambda:GetFunctionConfiguration", "lambda:GetPolicy", "lambda:ListFunctionUrlConfigs",
}

func setup(t *testing.T, change ...func(*account.Config)) *world {
	t.Helper()
	sim := awssim.New(awssim.Options{})
	security := sim.Account(securityID).SetName("security")
	hub := security.AddRole(awssim.Role{Name: "Hub", Allow: []string{"sts:*", "organizations:*", "apigateway:*", "logs:*", "eks:*"}})
	for id, name := range map[string]string{ordersID: "orders", catalogID: "catalog"} {
		sim.Account(id).SetName(name).AddRole(awssim.Role{Name: "Collector", TrustedPrincipals: []string{hub}, Allow: readRights})
	}
	sim.Organization(securityID).Add(ordersID, catalogID)
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(server.Close)
	cfg := account.Config{Organization: true, RoleName: "Collector", Regions: []string{region}, Quota: map[string]float64{
		"apigateway": 1000, "GetResources": 1000, "DescribeLogGroups": 1000, "DescribeSubscriptionFilters": 1000,
		"lambda": 1000, "GetPolicy": 1000, "GetWebACL": 1000, "GetLoggingConfiguration": 1000,
	}}
	for _, f := range change {
		f(&cfg)
	}
	base := security.Session("Hub", "test", time.Hour)
	accounts, err := account.New(cfg, account.Options{
		MaxAttempts: 2, MaxBackoff: 10 * time.Millisecond,
		BaseConfig: &aws.Config{
			Region: region, BaseEndpoint: aws.String(server.URL),
			Credentials: credentials.NewStaticCredentialsProvider(base.AccessKeyID, base.SecretAccessKey, base.SessionToken),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(accounts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &world{sim: sim, accounts: accounts, disc: d}
}

// addOrders gives the orders account a REST API with everything that a stage
// can say about logging.
func addOrders(w *world) string {
	r := w.sim.Account(ordersID).Region(region)
	r.SetLogRole("arn:aws:iam::222222222222:role/ApiGatewayLogs")
	const access = "arn:aws:logs:eu-west-1:222222222222:log-group:orders-access"
	id := r.AddRESTAPI(awssim.RESTAPI{
		ID: "ordersapi1", Name: "orders", Tags: map[string]string{"team": "shop"},
		Resources: []awssim.Resource{
			{Path: "/", Methods: []awssim.Method{{HTTPMethod: "GET", Authorization: "AWS_IAM"}}},
			{Path: "/orders/{id}", Methods: []awssim.Method{{
				HTTPMethod: "GET", Authorization: "CUSTOM", AuthorizerID: "tokens", APIKeyRequired: true,
				Integration: &awssim.Integration{
					Type: "AWS_PROXY", Method: "POST",
					URI: "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:222222222222:function:orders/invocations",
				},
			}}},
		},
		Authorizers: []awssim.Authorizer{{ID: "auth01", Name: "tokens", Type: "TOKEN"}},
		Stages: []awssim.Stage{
			{
				Name: "prod", LoggingLevel: "INFO", DataTrace: true, AccessLogARN: access, AccessFormat: `{"requestId":"$context.requestId"}`,
				MethodSettings: map[string]awssim.MethodSetting{"~1orders~1{id}/GET": {LoggingLevel: "ERROR"}},
			},
			{Name: "quiet"},
			{Name: "firehose", AccessLogARN: "arn:aws:firehose:eu-west-1:222222222222:deliverystream/amazon-apigateway-x", AccessFormat: "$context.requestId"},
			{Name: "was-on", LoggingLevel: "OFF"},
		},
	})
	for _, group := range []string{
		"API-Gateway-Execution-Logs_ordersapi1/prod", "API-Gateway-Execution-Logs_ordersapi1/was-on",
		"orders-access", "orders-access-2", "unrelated", "/aws/apigateway/welcome",
	} {
		r.Logs().CreateGroup(group)
	}
	return id
}

func addCatalog(w *world) {
	r := w.sim.Account(catalogID).Region(region)
	r.AddHTTPAPI(awssim.API{
		ID: "catalogapi", Name: "catalog",
		Routes: []awssim.Route{
			{Key: "GET /items/{id}", Authorization: "JWT", AuthorizerID: "users", Integration: &awssim.Integration{Type: "HTTP_PROXY", Method: "ANY", URI: "https://user:password@backend.example/items?key=secret"}},
			{Key: "$default"},
		},
		Authorizers: []awssim.Authorizer{{ID: "auth02", Name: "users", Type: "JWT"}},
		Stages:      []awssim.Stage{{Name: "$default", AccessLogARN: "arn:aws:logs:eu-west-1:333333333333:log-group:/aws/apigateway/catalog-access"}},
	})
	r.Logs().CreateGroup("/aws/apigateway/catalog-access")
	r.AddWebSocketAPI(awssim.API{
		ID: "chatapi001", Name: "chat",
		Routes: []awssim.Route{{Key: "$connect", Authorization: "AWS_IAM"}, {Key: "sendMessage"}},
		Stages: []awssim.Stage{{
			Name: "live", LoggingLevel: "ERROR",
			MethodSettings: map[string]awssim.MethodSetting{"sendMessage": {LoggingLevel: "INFO", DataTrace: true}},
		}},
	})
}

// withoutDetails leaves out what TestDiscoverDetails looks at.
var withoutDetails = cmp.Options{
	cmpopts.IgnoreFields(Region{}, "Throttle", "Functions"),
	cmpopts.IgnoreFields(API{}, "APIKeySource", "RouteSelection", "Deployments", "DetailsRead", "Digest", "Secrets"),
	cmpopts.IgnoreFields(Stage{}, "Created", "Updated", "DeploymentID", "Deployed", "Settings"),
	cmpopts.IgnoreFields(Route{}, "ID", "Backend"),
	cmpopts.IgnoreFields(Authorizer{}, "TTL"),
}

func discover(t *testing.T, w *world) *Snapshot {
	t.Helper()
	s, err := w.disc.Discover(t.Context(), nil)
	if err != nil {
		t.Fatalf("Discover: %v", err)
	}
	return s
}

func accountOf(t *testing.T, s *Snapshot, id string) *Account {
	t.Helper()
	i := slices.IndexFunc(s.Accounts, func(a Account) bool { return a.ID == id })
	if i < 0 {
		t.Fatalf("account %s is missing", id)
	}
	return &s.Accounts[i]
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addOrders(w)
	addCatalog(w)
	s := discover(t, w)
	want := []Account{
		{ID: securityID, Name: "security", Status: "ACTIVE", Regions: []Region{{Name: region}}},
		{ID: ordersID, Name: "orders", Status: "ACTIVE", Regions: []Region{{
			Name: region, LogRole: "arn:aws:iam::222222222222:role/ApiGatewayLogs",
			APIs: []API{{
				ID: "ordersapi1", Name: "orders", Type: transaction.REST, EndpointType: "REGIONAL",
				Endpoint: "ordersapi1.execute-api.eu-west-1.amazonaws.com", Tags: map[string]string{"team": "shop"},
				Stages: []Stage{
					{
						Name: "firehose", LoggingLevel: "OFF", AccessFormat: "$context.requestId",
						AccessLogARN: "arn:aws:firehose:eu-west-1:222222222222:deliverystream/amazon-apigateway-x",
					},
					{
						Name: "prod", LoggingLevel: "INFO", DataTrace: true, AccessFormat: `{"requestId":"$context.requestId"}`,
						AccessLogARN: "arn:aws:logs:eu-west-1:222222222222:log-group:orders-access", AccessGroup: "orders-access",
						ExecutionGroup: "API-Gateway-Execution-Logs_ordersapi1/prod",
						Overrides:      []MethodLogging{{Method: "GET", Path: "/orders/{id}", LoggingLevel: "ERROR"}},
					},
					{Name: "quiet", LoggingLevel: "OFF"},
					// Off now, but what it wrote before is still there.
					{Name: "was-on", LoggingLevel: "OFF", ExecutionGroup: "API-Gateway-Execution-Logs_ordersapi1/was-on"},
				},
				Routes: []Route{
					{Method: "GET", Path: "/", Authorization: "AWS_IAM"},
					{
						Method: "GET", Path: "/orders/{id}", Authorization: "CUSTOM", AuthorizerID: "auth01", APIKeyRequired: true,
						Integration: "AWS_PROXY arn:aws:lambda:eu-west-1:222222222222:function:orders",
					},
				},
				Authorizers: []Authorizer{{ID: "auth01", Name: "tokens", Type: "TOKEN"}},
			}},
			LogGroups: []LogGroup{
				{Name: "API-Gateway-Execution-Logs_ordersapi1/prod"},
				{Name: "API-Gateway-Execution-Logs_ordersapi1/was-on"},
				{Name: "orders-access"},
			},
		}}},
		{ID: catalogID, Name: "catalog", Status: "ACTIVE", Regions: []Region{{
			Name: region,
			APIs: []API{
				{
					ID: "catalogapi", Name: "catalog", Type: transaction.HTTP, EndpointType: "REGIONAL",
					Endpoint: "catalogapi.execute-api.eu-west-1.amazonaws.com",
					Stages: []Stage{{
						Name: "$default", AccessGroup: "/aws/apigateway/catalog-access",
						AccessLogARN: "arn:aws:logs:eu-west-1:333333333333:log-group:/aws/apigateway/catalog-access",
					}},
					Routes: []Route{
						{Method: "ANY", Path: "$default", Authorization: "NONE"},
						{Method: "GET", Path: "/items/{id}", Authorization: "JWT", AuthorizerID: "auth02", Integration: "HTTP_PROXY https://backend.example/items"},
					},
					Authorizers: []Authorizer{{ID: "auth02", Name: "users", Type: "JWT"}},
				},
				{
					ID: "chatapi001", Name: "chat", Type: transaction.WebSocket, EndpointType: "REGIONAL",
					Endpoint: "chatapi001.execute-api.eu-west-1.amazonaws.com",
					Stages: []Stage{{
						Name: "live", LoggingLevel: "ERROR", ExecutionGroup: "/aws/apigateway/chatapi001/live",
						Overrides: []MethodLogging{{Path: "sendMessage", LoggingLevel: "INFO", DataTrace: true}},
					}},
					Routes: []Route{{Path: "$connect", Authorization: "AWS_IAM"}, {Path: "sendMessage", Authorization: "NONE"}},
				},
			},
			LogGroups: []LogGroup{{Name: "/aws/apigateway/catalog-access"}},
		}}},
	}
	ignore := cmp.Options{
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(API{}, "Created"),
		withoutDetails,
		cmpopts.IgnoreFields(LogGroup{}, "ARN", "Created", "Class", "Bytes"),
	}
	if diff := cmp.Diff(want, s.Accounts, ignore); diff != "" {
		t.Error(diff)
	}
	for _, g := range accountOf(t, s, ordersID).Regions[0].LogGroups {
		if g.Created.IsZero() || !strings.HasSuffix(g.ARN, ":log-group:"+g.Name) {
			t.Errorf("log group %+v", g)
		}
	}
	if s.Finished.Before(s.Started) || s.Started.IsZero() {
		t.Errorf("from %v to %v", s.Started, s.Finished)
	}
}

func TestDiscoverPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.sim.Account(ordersID).Region(region)
	for i := range 60 {
		r.AddHTTPAPI(awssim.API{Name: fmt.Sprintf("api-%02d", i)})
		r.Logs().CreateGroup(fmt.Sprintf("API-Gateway-Execution-Logs_x%02d/prod", i))
	}
	var routes []awssim.Route
	for i := range 120 {
		routes = append(routes, awssim.Route{Key: fmt.Sprintf("GET /r%d", i)})
	}
	big := r.AddHTTPAPI(awssim.API{Name: "big", Routes: routes})
	s := discover(t, w)
	found := accountOf(t, s, ordersID).Regions[0]
	if len(found.APIs) != 61 || len(found.LogGroups) != 60 || len(found.Errors) > 0 {
		t.Errorf("%d APIs, %d groups, faults %v", len(found.APIs), len(found.LogGroups), found.Errors)
	}
	for i := range found.APIs {
		if api := &found.APIs[i]; api.ID == big && len(api.Routes) != 120 {
			t.Errorf("%d routes", len(api.Routes))
		}
	}
}

func TestPartialFailures(t *testing.T) {
	t.Parallel()
	t.Run("an account", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		addOrders(w)
		w.sim.Account(catalogID).RemoveRole("Collector")
		s := discover(t, w)
		if a := accountOf(t, s, catalogID); a.Error == "" || !strings.Contains(a.Mend, "trust policy") {
			t.Errorf("%+v", a)
		}
		if a := accountOf(t, s, ordersID); len(a.Regions[0].APIs) != 1 || len(a.Regions[0].Errors) != 0 {
			t.Errorf("%+v", a)
		}
	})
	t.Run("one read of one API", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		addOrders(w)
		addCatalog(w)
		w.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: "GetResources"})
		s := discover(t, w)
		r := accountOf(t, s, ordersID).Regions[0]
		if len(r.APIs) != 1 || len(r.APIs[0].Stages) != 4 || !r.APIs[0].RoutesPartial || len(r.APIs[0].Authorizers) != 1 {
			t.Errorf("%+v", r.APIs)
		}
		if len(r.Errors) != 1 || r.Errors[0].What != "apigateway:GetResources of ordersapi1 (orders)" ||
			!strings.Contains(r.Errors[0].Mend, "allow apigateway:GET on arn:aws:apigateway:eu-west-1::/restapis/*/resources to arn:aws:iam::222222222222:role/Collector") {
			t.Errorf("%+v", r.Errors)
		}
		if c := accountOf(t, s, catalogID).Regions[0]; len(c.APIs) != 2 || len(c.Errors) != 0 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("log groups", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		addOrders(w)
		w.sim.Account(ordersID).AddRole(awssim.Role{
			Name: "Collector", TrustedPrincipals: []string{"arn:aws:iam::111111111111:role/Hub"}, Allow: []string{"apigateway:GET"},
		})
		s := discover(t, w)
		r := accountOf(t, s, ordersID).Regions[0]
		if len(r.APIs) != 1 || len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Mend, "allow logs:DescribeLogGroups on arn:aws:logs:eu-west-1:222222222222:log-group:*") {
			t.Errorf("%+v", r)
		}
		// The groups that the settings name are still offered for reading.
		if groups := NewResolver(s).Groups(); len(groups) != 2 {
			t.Errorf("groups %+v", groups)
		}
	})
	t.Run("a cut answer and a server's error", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		addOrders(w)
		w.sim.Inject(awssim.Fault{Kind: awssim.CutConnection, Operation: "GetResources", Times: 1})
		w.sim.Inject(awssim.Fault{Kind: awssim.Status500, Operation: "GetRestApis", Times: 1})
		s := discover(t, w)
		if r := accountOf(t, s, ordersID).Regions[0]; len(r.Errors) != 0 || len(r.APIs[0].Routes) != 2 {
			t.Errorf("not repeated: %+v", r)
		}
	})
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.sim.ExpireSessions(securityID, "Hub")
		s, err := w.disc.Discover(t.Context(), nil)
		var chain *account.ChainError
		if s == nil || !errors.As(err, &chain) || chain.Link != account.LinkBase || !strings.Contains(chain.Mend(), "expired") {
			t.Errorf("%v %v", s, err)
		}
	})
	t.Run("a disabled region", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(c *account.Config) { c.Regions = []string{region, "ap-east-1"} })
		addOrders(w)
		w.sim.Account(ordersID).SetRegionStatus("ap-east-1", "DISABLED")
		s := discover(t, w)
		a := accountOf(t, s, ordersID)
		if len(a.Regions) != 2 || len(a.Regions[0].Errors) == 0 || !strings.Contains(a.Regions[0].Errors[0].Mend, "is not enabled") {
			t.Errorf("%+v", a.Regions[0])
		}
		if len(a.Regions[1].APIs) != 1 {
			t.Errorf("%+v", a.Regions[1])
		}
	})
}

func TestDiscoverReportsProgress(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addOrders(w)
	addCatalog(w)
	var reports []Progress
	if _, err := w.disc.Discover(t.Context(), func(p Progress) { reports = append(reports, p) }); err != nil {
		t.Fatal(err)
	}
	if len(reports) != 4 || reports[0].Regions != 3 || reports[0].RegionsDone != 0 {
		t.Fatalf("%+v", reports)
	}
	last := reports[3]
	if last.RegionsDone != 3 || last.APIs != 3 || last.Stages != 6 || last.Routes != 6 || last.LogGroups != 4 {
		t.Errorf("%+v", last)
	}
}

func TestDiscoverEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.sim.Inject(awssim.Fault{Kind: awssim.Slow, Operation: "GetRestApis", Delay: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := w.disc.Discover(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Discover: %v", err)
	}
}

func TestListingThatNeverEnds(t *testing.T) {
	t.Parallel()
	calls := 0
	items, err := all(t.Context(), func(context.Context, *string) ([]int, *string, error) {
		calls++
		return []int{calls}, aws.String("again"), nil
	})
	if err == nil || calls != 2 || len(items) != 2 {
		t.Errorf("%d calls, %v, %v", calls, items, err)
	}
}

func TestIntegrationText(t *testing.T) {
	t.Parallel()
	for in, want := range map[[2]string]string{
		{"MOCK", ""}:                                           "MOCK",
		{"HTTP", "http://u:p@h:8080/a?token=x"}:                "HTTP http://h:8080/a",
		{"HTTP", "https://h"}:                                  "HTTP https://h",
		{"AWS", "arn:aws:apigateway:eu-west-1:sqs:path/1/q"}:   "AWS arn:aws:apigateway:eu-west-1:sqs:path/1/q",
		{"AWS_PROXY", "arn:aws:lambda:eu-west-1:2:function:f"}: "AWS_PROXY arn:aws:lambda:eu-west-1:2:function:f",
		{"AWS_PROXY", "arn:…/functions/arn:f:${stageVariables.function}/invocations"}: "AWS_PROXY arn:f:${stageVariables.function}",
	} {
		if got := integrationText(in[0], in[1]); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}
