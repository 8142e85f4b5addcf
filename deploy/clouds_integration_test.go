//go:build integration

package deploy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	accounts "github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// clouds are where stacks are applied: a simulated AWS, and moto.
type clouds struct {
	sim       *awssim.Sim
	url, moto string

	mu      sync.Mutex
	refused []string // what the simulated AWS answered with an error
}

// newClouds have what the examples say is there already: accounts, clusters, an API with
// stages, and the roles and users that parameters name.
// Moto is emptied.
func newClouds(t *testing.T, moto string) *clouds {
	t.Helper()
	reset, err := http.NewRequestWithContext(t.Context(), http.MethodPost, moto+"/moto-api/reset", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(reset)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	sim := awssim.New(awssim.Options{})
	push := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:DescribeLogGroups","logs:DescribeLogStreams","logs:PutLogEvents","logs:GetLogEvents","logs:FilterLogEvents"],"Resource":"*"}]}`
	sim.Account("aws").AddPolicy("service-role/AmazonAPIGatewayPushToCloudWatchLogs", push)
	sim.Account("111122223333").AddRole(awssim.Role{Name: "GatehouseHub", Allow: []string{"sts:*"}})
	owner := sim.Account(spokeID)
	writer := owner.AddRole(awssim.Role{
		Name: "writes-logs", Inline: map[string]string{"push": push},
		TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
	})
	r := owner.Region(place)
	r.SetLogRole(writer)
	r.AddRESTAPI(awssim.RESTAPI{ID: "a1b2c3d4e5", Name: "old", Stages: []awssim.Stage{{Name: "prod"}, {Name: "dev"}}})
	for _, name := range []string{"orders", "billing"} {
		r.AddCluster(awssim.Object{"name": name, "status": "ACTIVE", "accessConfig": awssim.Object{"authenticationMode": "API_AND_CONFIG_MAP"}})
	}
	callers := sim.Account("444455556666")
	callers.AddRole(awssim.Role{Name: "storefront", Allow: []string{"execute-api:Invoke", "sts:*"}})
	callers.AddRole(awssim.Role{Name: "stranger", Allow: []string{"execute-api:Invoke", "sts:*"}})
	callers.AddUser(awssim.User{Name: "build", Allow: []string{"*"}})
	prefixed := sim.Account("555566667777")
	prefixed.AddRole(awssim.Role{Name: "ecs-app-blue", Allow: []string{"execute-api:Invoke", "sts:*"}})
	prefixed.AddRole(awssim.Role{Name: "other", Allow: []string{"execute-api:Invoke", "sts:*"}})
	w := &clouds{sim: sim, moto: moto}
	server := httptest.NewServer(w.recorded(sim.Handler()))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// recorded keeps what the simulated AWS refuses, to be shown with a failure.
func (w *clouds) recorded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := &recordedAnswer{ResponseWriter: rw, status: http.StatusOK}
		h.ServeHTTP(answer, r)
		if answer.status < http.StatusBadRequest {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refused = append(w.refused, fmt.Sprintf("%d %s %s %s\n\t%.300s\n\t%.300s", answer.status, r.Method, r.URL, r.Header.Get("X-Amz-Target"), body, answer.body.Bytes()))
	})
}

type recordedAnswer struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

func (a *recordedAnswer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *recordedAnswer) Write(b []byte) (int, error) {
	if a.status >= http.StatusBadRequest {
		a.body.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

// admin are credentials of an administrator of an account, good at moto, which gave
// them out, and at the simulated AWS alike.
func (w *clouds) admin(t *testing.T, account string) awssim.Credentials {
	t.Helper()
	out, err := sts.NewFromConfig(reach(w.moto, awssim.Credentials{AccessKeyID: "test", SecretAccessKey: "test"})).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + account + ":role/administrator"), RoleSessionName: aws.String("terraform"),
	})
	if err != nil {
		t.Fatal(err)
	}
	given := awssim.Credentials{
		AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey,
		SessionToken: *out.Credentials.SessionToken, Expiration: *out.Credentials.Expiration,
	}
	a := w.sim.Account(account)
	if _, ok := a.Role("administrator"); !ok {
		a.AddRole(awssim.Role{Name: "administrator", Allow: []string{"*"}})
	}
	a.SetSession("administrator", "terraform", given)
	return given
}

// reach is the configuration of a client of AWS at an address, with a key.
func reach(url string, key awssim.Credentials) aws.Config {
	return aws.Config{
		Region: place, BaseEndpoint: aws.String(url), RetryMaxAttempts: 1, HTTPClient: accounts.Connections(nil),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
	}
}

// endpoints are the services of a stack: all of them moto's, or the simulated AWS with
// those of moto that it does not have.
func (w *clouds) endpoints(home string) map[string]string {
	all := map[string]string{}
	for _, service := range []string{"iam", "sts", "apigateway", "apigatewayv2", "logs", "lambda", "eks", "cloudformation", "organizations", "scheduler", "s3", "sqs", "dynamodb"} {
		all[service] = w.moto
	}
	if home == onMoto {
		return all
	}
	for _, service := range []string{"iam", "sts", "apigateway", "apigatewayv2", "logs", "lambda", "eks"} {
		all[service] = w.url
	}
	return all
}

// holdings are what an account has in either place, by name, of every kind that a
// stack makes.
func (w *clouds) holdings(t *testing.T, key awssim.Credentials) []string {
	t.Helper()
	var all []string
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, url := range []string{w.url, w.moto} {
		cfg := reach(url, key)
		add := func(kind string, name *string) { all = append(all, url+" "+kind+" "+aws.ToString(name)) }
		rights := iam.NewFromConfig(cfg)
		roles, err := rights.ListRoles(t.Context(), &iam.ListRolesInput{MaxItems: aws.Int32(1000)})
		must(err)
		for i := range roles.Roles {
			name := roles.Roles[i].RoleName
			add("role", name)
			inline, err := rights.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: name})
			must(err)
			attached, err := rights.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: name})
			must(err)
			all = append(all, fmt.Sprint(url, " policies of ", *name, inline.PolicyNames, len(attached.AttachedPolicies)))
		}
		own, err := rights.GetAccountAuthorizationDetails(t.Context(), &iam.GetAccountAuthorizationDetailsInput{
			Filter: []types.EntityType{types.EntityTypeLocalManagedPolicy}, MaxItems: aws.Int32(1000),
		})
		must(err)
		for i := range own.Policies {
			add("policy", own.Policies[i].Arn)
		}
		groups, err := cloudwatchlogs.NewFromConfig(cfg).DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
		must(err)
		for i := range groups.LogGroups {
			add("log group", groups.LogGroups[i].LogGroupName)
		}
		gateway := apigateway.NewFromConfig(cfg)
		apis, err := gateway.GetRestApis(t.Context(), &apigateway.GetRestApisInput{})
		must(err)
		for i := range apis.Items {
			add("API", apis.Items[i].Id)
			all = append(all, fmt.Sprintf("policy %q", aws.ToString(apis.Items[i].Policy)))
			stages, err := gateway.GetStages(t.Context(), &apigateway.GetStagesInput{RestApiId: apis.Items[i].Id})
			must(err)
			for j := range stages.Item {
				all = append(all, fmt.Sprint("stage ", *stages.Item[j].StageName, len(stages.Item[j].MethodSettings)))
			}
		}
		clusters := eks.NewFromConfig(cfg)
		names, err := clusters.ListClusters(t.Context(), &eks.ListClustersInput{})
		must(err)
		for _, name := range names.Clusters {
			entries, err := clusters.ListAccessEntries(t.Context(), &eks.ListAccessEntriesInput{ClusterName: aws.String(name)})
			must(err)
			for _, e := range entries.AccessEntries {
				add("entry of "+name, aws.String(e))
			}
		}
	}
	tables, err := dynamodb.NewFromConfig(reach(w.moto, key)).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	must(err)
	for _, name := range tables.TableNames {
		all = append(all, "table "+name)
	}
	buckets, err := s3.NewFromConfig(reach(w.moto, key), func(o *s3.Options) { o.UsePathStyle = true }).ListBuckets(t.Context(), &s3.ListBucketsInput{})
	must(err)
	for i := range buckets.Buckets {
		all = append(all, "bucket "+*buckets.Buckets[i].Name)
	}
	r := w.sim.Account(accountOf(t, w, key)).Region(place)
	for _, name := range r.Functions() {
		all = append(all, "function "+name+" "+r.FunctionPolicy(name))
	}
	all = slices.DeleteFunc(all, func(s string) bool { return strings.Contains(s, "administrator") })
	slices.Sort(all)
	return all
}

func accountOf(t *testing.T, w *clouds, key awssim.Credentials) string {
	t.Helper()
	who, err := sts.NewFromConfig(reach(w.url, key)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *who.Account
}

// complain shows what the simulated AWS refused in a test that failed.
func (w *clouds) complain(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.Failed() {
		t.Log("refused by the simulated AWS:\n" + strings.Join(w.refused, "\n"))
	}
	w.refused = nil
}
