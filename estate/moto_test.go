//go:build integration

package estate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	restypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// startMoto starts moto's server, an AWS that this project did not write, and
// returns its address.
func startMoto(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not in PATH: pip install 'moto[server]==5.2.1'")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION=us-east-1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed on purpose
	})
	url := "http://" + addr
	for range 300 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/moto-api/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			return url
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("moto_server did not answer within 30 s")
	return ""
}

func motoAccounts(t *testing.T, url string, cfg account.Config) *account.Accounts {
	t.Helper()
	a, err := account.New(cfg, account.Options{
		MaxAttempts: 1, // what moto does not implement it answers with 500
		BaseConfig: &aws.Config{
			Region: region, BaseEndpoint: aws.String(url),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestIntegrationDiscoverOnMoto(t *testing.T) {
	t.Parallel()
	url := startMoto(t)
	ctx := t.Context()
	role := "arn:aws:iam::" + ordersID + ":role/Collector"
	accounts := motoAccounts(t, url, account.Config{
		Hub:   &account.Role{ARN: "arn:aws:iam::" + securityID + ":role/Hub"},
		Roles: []account.Role{{ARN: role, ExternalID: "gatehouse-42"}},
	})
	targets, problems := accounts.Targets(ctx)
	if len(targets) != 1 {
		t.Fatalf("problems: %+v", problems)
	}
	cfg := accounts.Config(targets[0], region)
	ids := fillMoto(t, cfg)

	d, err := New(accounts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Discover(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Accounts) != 1 || s.Accounts[0].ID != ordersID || len(s.Accounts[0].Regions) != 1 {
		t.Fatalf("%+v", s.Accounts)
	}
	found := s.Accounts[0].Regions[0]
	byID := map[string]API{}
	for _, api := range found.APIs {
		byID[api.ID] = api
	}
	rest, web, socket := byID[ids.rest], byID[ids.http], byID[ids.socket]
	if rest.Type != transaction.REST || web.Type != transaction.HTTP || socket.Type != transaction.WebSocket {
		t.Fatalf("APIs: %+v", found.APIs)
	}
	group := "API-Gateway-Execution-Logs_" + ids.rest + "/prod"
	if len(rest.Stages) != 1 || rest.Stages[0].LoggingLevel != "INFO" || !rest.Stages[0].DataTrace ||
		rest.Stages[0].ExecutionGroup != group || rest.Stages[0].AccessGroup != "orders-access" {
		t.Errorf("stages: %+v", rest.Stages)
	}
	if len(rest.Stages) == 1 && (len(rest.Stages[0].Overrides) != 1 || rest.Stages[0].Overrides[0].Path != "/orders/{id}") {
		t.Errorf("overrides: %+v", rest.Stages[0].Overrides)
	}
	if len(rest.Routes) != 1 || rest.Routes[0].Path != "/orders/{id}" || rest.Routes[0].Authorization != "AWS_IAM" || !rest.Routes[0].APIKeyRequired {
		t.Errorf("routes: %+v", rest.Routes)
	}
	if len(web.Routes) != 1 || web.Routes[0].Method != http.MethodGet || web.Routes[0].Integration != "HTTP_PROXY https://backend.example/items" {
		t.Errorf("routes: %+v", web.Routes)
	}
	names := []string{}
	for _, g := range found.LogGroups {
		names = append(names, g.Name)
		if g.Created.IsZero() {
			t.Errorf("%s has no time of creation", g.Name)
		}
	}
	if want := group + " orders-access"; strings.Join(names, " ") != want {
		t.Errorf("log groups %v, want %s", names, want)
	}
	// moto does not know the authorizers of HTTP APIs; that hides nothing else.
	for _, f := range found.Errors {
		if !strings.HasPrefix(f.What, "apigatewayv2:GetAuthorizers") {
			t.Errorf("fault %+v", f)
		}
	}
	r := NewResolver(s)
	call := transaction.Transaction{Account: ordersID, Region: region, APIID: ids.rest, Method: "GET", Path: "/orders/7"}
	if r.Enrich(&call); call.Route != "/orders/{id}" {
		t.Errorf("route %q", call.Route)
	}
	if got := len(r.Groups()); got != 2 {
		t.Errorf("%d groups: %+v", got, r.Groups())
	}
}

func TestIntegrationOrganizationOnMoto(t *testing.T) {
	t.Parallel()
	url := startMoto(t)
	ctx := t.Context()
	base := motoAccounts(t, url, account.Config{})
	own, problems := base.Targets(ctx)
	if len(own) != 1 {
		t.Fatalf("problems: %+v", problems)
	}
	client := organizations.NewFromConfig(base.Config(own[0], region))
	if _, err := client.CreateOrganization(ctx, &organizations.CreateOrganizationInput{}); err != nil {
		t.Fatal(err)
	}
	for i := range 25 { // more than a page
		name := fmt.Sprintf("member-%02d", i)
		if _, err := client.CreateAccount(ctx, &organizations.CreateAccountInput{
			AccountName: aws.String(name), Email: aws.String(name + "@example.com"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	accounts := motoAccounts(t, url, account.Config{Organization: true, RoleName: "Collector"})
	targets, problems := accounts.Targets(ctx)
	if len(targets) != 26 || len(problems) != 0 {
		t.Errorf("%d targets, problems %+v", len(targets), problems)
	}
	// moto has no account:ListRegions; the default regions stand in.
	all := motoAccounts(t, url, account.Config{Regions: []string{"all"}})
	targets, problems = all.Targets(ctx)
	if len(targets) != 1 || len(targets[0].Regions) != 17 || len(problems) != 1 {
		t.Errorf("targets %+v, problems %+v", targets, problems)
	}
	var chain *account.ChainError
	if len(problems) == 1 && (!errors.As(problems[0].Err, &chain) || chain.Link != account.LinkRegions) {
		t.Errorf("problem %+v", problems[0])
	}
}

// TestIntegrationClusterOnMoto reads a cluster that moto made.
func TestIntegrationClusterOnMoto(t *testing.T) {
	t.Parallel()
	url := startMoto(t)
	accounts := motoAccounts(t, url, account.Config{})
	targets, problems := accounts.Targets(t.Context())
	if len(targets) != 1 {
		t.Fatalf("problems: %+v", problems)
	}
	client := eks.NewFromConfig(accounts.Config(targets[0], region))
	must[*eks.CreateClusterOutput](t)(client.CreateCluster(t.Context(), &eks.CreateClusterInput{
		Name: aws.String("blue"), RoleArn: aws.String("arn:aws:iam::123456789012:role/Cluster"), Version: aws.String("1.31"),
		ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: []string{"subnet-1"}, PublicAccessCidrs: []string{"203.0.113.0/24"}},
		Tags:               map[string]string{"team": "platform"},
	}))
	d, err := New(accounts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Discover(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Accounts[0].Regions[0]
	if len(r.Clusters) != 1 || !r.Seen(PartClusters) {
		t.Fatalf("%+v %+v", r.Clusters, r.Notes)
	}
	c := r.Clusters[0]
	if c.Name != "blue" || c.Version != "1.31" || c.Status != "ACTIVE" || c.Created.IsZero() || c.Tags["team"] != "platform" || !strings.HasSuffix(c.ARN, ":cluster/blue") {
		t.Errorf("%+v", c)
	}
}

type motoIDs struct{ rest, http, socket string }

// must stops the test if a call that fills moto fails.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func fillMoto(t *testing.T, cfg aws.Config) motoIDs {
	t.Helper()
	ctx := t.Context()
	logs := cloudwatchlogs.NewFromConfig(cfg)
	rest := apigateway.NewFromConfig(cfg)
	v2 := apigatewayv2.NewFromConfig(cfg)
	var ids motoIDs

	api := must[*apigateway.CreateRestApiOutput](t)(rest.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("orders")}))
	ids.rest = aws.ToString(api.Id)
	parent := aws.ToString(api.RootResourceId)
	for _, part := range []string{"orders", "{id}"} {
		res := must[*apigateway.CreateResourceOutput](t)(rest.CreateResource(ctx, &apigateway.CreateResourceInput{
			RestApiId: api.Id, ParentId: aws.String(parent), PathPart: aws.String(part),
		}))
		parent = aws.ToString(res.Id)
	}
	must[*apigateway.PutMethodOutput](t)(rest.PutMethod(ctx, &apigateway.PutMethodInput{
		RestApiId: api.Id, ResourceId: aws.String(parent), HttpMethod: aws.String("GET"),
		AuthorizationType: aws.String("AWS_IAM"), ApiKeyRequired: true,
	}))
	must[*apigateway.PutIntegrationOutput](t)(rest.PutIntegration(ctx, &apigateway.PutIntegrationInput{
		RestApiId: api.Id, ResourceId: aws.String(parent), HttpMethod: aws.String("GET"), Type: restypes.IntegrationTypeMock,
	}))
	must[*apigateway.CreateDeploymentOutput](t)(rest.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{
		RestApiId: api.Id, StageName: aws.String("prod"),
	}))
	replace := func(path, value string) restypes.PatchOperation {
		return restypes.PatchOperation{Op: restypes.OpReplace, Path: aws.String(path), Value: aws.String(value)}
	}
	must[*apigateway.UpdateStageOutput](t)(rest.UpdateStage(ctx, &apigateway.UpdateStageInput{
		RestApiId: api.Id, StageName: aws.String("prod"),
		PatchOperations: []restypes.PatchOperation{
			replace("/*/*/logging/loglevel", "INFO"), replace("/*/*/logging/dataTrace", "true"),
			replace("/~1orders~1{id}/GET/logging/loglevel", "ERROR"),
			replace("/accessLogSettings/destinationArn", "arn:aws:logs:"+region+":"+ordersID+":log-group:orders-access"),
			replace("/accessLogSettings/format", "$context.requestId"),
		},
	}))

	web := must[*apigatewayv2.CreateApiOutput](t)(v2.CreateApi(ctx, &apigatewayv2.CreateApiInput{
		Name: aws.String("catalog"), ProtocolType: v2types.ProtocolTypeHttp,
	}))
	ids.http = aws.ToString(web.ApiId)
	integration := must[*apigatewayv2.CreateIntegrationOutput](t)(v2.CreateIntegration(ctx, &apigatewayv2.CreateIntegrationInput{
		ApiId: web.ApiId, IntegrationType: v2types.IntegrationTypeHttpProxy, IntegrationMethod: aws.String("ANY"),
		IntegrationUri: aws.String("https://backend.example/items?key=secret"), PayloadFormatVersion: aws.String("1.0"),
	}))
	must[*apigatewayv2.CreateRouteOutput](t)(v2.CreateRoute(ctx, &apigatewayv2.CreateRouteInput{
		ApiId: web.ApiId, RouteKey: aws.String("GET /items/{id}"),
		Target: aws.String("integrations/" + aws.ToString(integration.IntegrationId)),
	}))
	socket := must[*apigatewayv2.CreateApiOutput](t)(v2.CreateApi(ctx, &apigatewayv2.CreateApiInput{
		Name: aws.String("chat"), ProtocolType: v2types.ProtocolTypeWebsocket, RouteSelectionExpression: aws.String("$request.body.action"),
	}))
	ids.socket = aws.ToString(socket.ApiId)
	for _, name := range []string{"API-Gateway-Execution-Logs_" + ids.rest + "/prod", "orders-access", "orders-access-2", "unrelated"} {
		must[*cloudwatchlogs.CreateLogGroupOutput](t)(logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name)}))
	}
	return ids
}
