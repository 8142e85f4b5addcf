package doctor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	securityID = "111111111111"
	ordersID   = "222222222222"
	catalogID  = "333333333333"
	region     = "eu-west-1"
	hubARN     = "arn:aws:iam::111111111111:role/Hub"
	ordersARN  = "arn:aws:iam::222222222222:role/Collector"
	catalogARN = "arn:aws:iam::333333333333:role/Collector"
)

// collecting is what a role that reads needs.
var collecting = []string{"logs:DescribeLogGroups", "logs:FilterLogEvents", "apigateway:GET", "cloudwatch:GetMetricData", "account:ListRegions"}

// clinic is a hub and two accounts that it reads, all in order.
type clinic struct {
	t   *testing.T
	sim *awssim.Sim
	o   Options
	key awssim.Credentials
	// before changes each answer's header.
	before func(http.Header)
}

func newClinic(t *testing.T, o awssim.Options) *clinic {
	t.Helper()
	c := &clinic{t: t, sim: awssim.New(o)}
	security := c.sim.Account(securityID)
	security.AddRole(awssim.Role{Name: "Base", Allow: []string{"sts:*"}})
	security.AddRole(awssim.Role{Name: "Hub", TrustedPrincipals: []string{"arn:aws:iam::111111111111:role/Base"}, Allow: []string{"sts:*", "organizations:*"}})
	for _, id := range []string{ordersID, catalogID} {
		c.role(id, awssim.Role{})
		r := c.sim.Account(id).Region(region)
		r.SetLogRole("arn:aws:iam::" + id + ":role/Logs")
		r.AddRESTAPI(awssim.RESTAPI{
			ID: "api0000001", Name: "books", Resources: []awssim.Resource{{Path: "/books", Methods: []awssim.Method{{HTTPMethod: "GET"}}}},
			Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}},
		})
		r.Logs().CreateGroup("API-Gateway-Execution-Logs_api0000001/prod")
	}
	c.sim.Organization(securityID).Add(ordersID, catalogID)
	handler := c.sim.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.before != nil {
			c.before(w.Header())
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.key = security.Session("Base", "test", time.Hour)
	c.o = Options{
		Accounts: account.Config{
			Hub: &account.Role{ARN: hubARN}, Roles: []account.Role{{ARN: ordersARN}, {ARN: catalogARN}}, ExternalID: "x-1",
			SessionName: "gatehouse", Regions: []string{region},
			Quota: map[string]float64{"apigateway": 1000, "GetResources": 1000, "FilterLogEvents": 1000, "DescribeLogGroups": 1000},
		},
		Account: account.Options{
			MaxAttempts: 2, MaxBackoff: 5 * time.Millisecond,
			BaseConfig: &aws.Config{Region: region, BaseEndpoint: aws.String(server.URL), Credentials: c.base(c.key)},
		},
		PollInterval: 10 * time.Second,
	}
	return c
}

func (c *clinic) base(key awssim.Credentials) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{
			AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken,
			Source: "SSOProvider", CanExpire: !key.Expiration.IsZero(), Expires: key.Expiration,
		}, nil
	})
}

// role sets the collector's role of an account: trusted by the hub, with what
// collecting needs, unless r says otherwise.
func (c *clinic) role(id string, r awssim.Role) {
	r.Name = "Collector"
	if r.TrustPolicy == "" && r.TrustedAccounts == nil && r.TrustedPrincipals == nil {
		r.TrustedPrincipals, r.ExternalID = []string{hubARN}, "x-1"
	}
	if r.Allow == nil {
		r.Allow = collecting
	}
	c.sim.Account(id).AddRole(r)
}

func (c *clinic) run() *Report {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 60*time.Second)
	defer cancel()
	report := Run(ctx, c.o)
	for _, r := range report.Results {
		for _, text := range []string{r.What, r.Why, r.Mend, r.Statement, r.Subject} {
			if strings.Contains(text, c.key.SecretAccessKey) || c.key.SessionToken != "" && strings.Contains(text, c.key.SessionToken) {
				c.t.Errorf("a secret is in %+v", r)
			}
		}
	}
	return report
}

// want finds the result of a check in a place, and its texts.
func (c *clinic) want(report *Report, status Status, check, place string, texts ...string) {
	c.t.Helper()
	var seen []string
	for _, r := range report.Results {
		where := strings.TrimSpace(r.Account + " " + r.Region)
		all := strings.Join([]string{r.Subject, r.What, r.Why, r.Mend, r.Statement}, "\n")
		if r.Check == check && strings.Contains(where, place) {
			seen = append(seen, string(r.Status)+" "+where+"\n"+all)
			if r.Status == status && !slices.ContainsFunc(texts, func(t string) bool { return !strings.Contains(all, t) }) {
				return
			}
		}
	}
	c.t.Errorf("no %s %s of %q with %q, but\n%s\n(all: %d ok, %d warnings, %d failures)", status, check, place, texts, strings.Join(seen, "\n---\n"), report.OK, report.Warnings, report.Failures)
}

func TestAllInOrder(t *testing.T) {
	t.Parallel()
	c := newClinic(t, awssim.Options{})
	var steps []Progress
	c.o.Progress = func(p Progress) { steps = append(steps, p) }
	report := c.run()
	if report.Failures != 0 {
		t.Errorf("failures: %+v", report.Results)
	}
	c.want(report, OK, checkBase, "", "arn:aws:sts::111111111111:assumed-role/Base/test", "an SSO session, which end in 1h0m0s")
	c.want(report, OK, checkClock, "")
	c.want(report, OK, checkHub, "", hubARN, "an hour at most")
	for _, id := range []string{ordersID, catalogID} {
		c.want(report, OK, checkRole, id, "is assumed")
		c.want(report, OK, actionGateway, id+" "+region, "1 APIs, 1 stages, 1 routes")
		c.want(report, OK, actionGroups, id, "1 log groups")
		c.want(report, OK, actionEvents, id, "1 of 1")
		c.want(report, OK, actionMetrics, id, "own count can be read")
		c.want(report, OK, checkLogging, id, "all 1 stages")
		c.want(report, OK, "CloudWatch role", id, "role/Logs")
	}
	if last := steps[len(steps)-1]; last.Done != last.Total {
		t.Errorf("progress ends at %d of %d", last.Done, last.Total)
	}
	for _, call := range c.sim.Calls() {
		switch {
		case strings.HasPrefix(call.Operation, "Get"), strings.HasPrefix(call.Operation, "List"), strings.HasPrefix(call.Operation, "Describe"),
			call.Operation == "AssumeRole", call.Operation == "FilterLogEvents", call.Service == "monitoring", call.Operation == "":
		default:
			t.Errorf("%s:%s was called", call.Service, call.Operation)
		}
	}
}

// Each fault gives its line, with the mend, and the other account is checked all the
// same.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		fault  func(*clinic)
		status Status
		check  string
		place  string
		texts  []string
	}{
		{
			"the role is missing", func(c *clinic) { c.sim.Account(ordersID).RemoveRole("Collector") }, Fail, checkRole, ordersID,
			[]string{"the role cannot be assumed", "AccessDenied", "The role must exist", `{"Action":"sts:AssumeRole"`},
		},
		{
			"the external id is wrong", func(c *clinic) { c.role(ordersID, awssim.Role{TrustedPrincipals: []string{hubARN}, ExternalID: "x-2"}) }, Fail, checkRole, ordersID,
			[]string{"a wrong external id gets this same answer", `"sts:ExternalId":"x-1"`},
		},
		{"the hub may not assume, and can be read", func(c *clinic) {
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Hub", TrustedPrincipals: []string{"arn:aws:iam::111111111111:role/Base"}, Allow: []string{"iam:Get*", "iam:List*"}})
		}, Fail, checkRole, ordersID, []string{"the policies of " + hubARN + " do not allow sts:AssumeRole on it", `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + ordersARN + `"}`}},
		{"the hub may assume, and the trust refuses", func(c *clinic) {
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Hub", TrustedPrincipals: []string{"arn:aws:iam::111111111111:role/Base"}, Allow: []string{"iam:Get*", "iam:List*", "sts:*"}})
			c.role(ordersID, awssim.Role{TrustedAccounts: []string{catalogID}})
		}, Fail, checkRole, ordersID, []string{"although the policies of " + hubARN + " allow it: it does not exist, or its trust policy refuses"}},
		{"a permission is denied: logs", func(c *clinic) {
			c.role(ordersID, awssim.Role{Allow: []string{"logs:DescribeLogGroups", "apigateway:GET"}})
		}, Fail, actionEvents, ordersID + " " + region, []string{
			"AccessDenied", `{"Effect":"Allow","Action":"logs:FilterLogEvents","Resource":"arn:aws:logs:*:222222222222:log-group:API-Gateway-Execution-Logs*"}`, "add the statement to " + ordersARN,
		}},
		{"a permission is denied: API Gateway", func(c *clinic) {
			c.role(ordersID, awssim.Role{Allow: []string{"logs:*"}})
		}, Fail, actionGateway, ordersID, []string{`{"Effect":"Allow","Action":"apigateway:GET","Resource":"arn:aws:apigateway:eu-west-1::/*"}`}},
		{"a permission is denied: listing groups", func(c *clinic) {
			c.role(ordersID, awssim.Role{Allow: []string{"apigateway:GET"}})
		}, Fail, actionGroups, ordersID, []string{`{"Effect":"Allow","Action":"logs:DescribeLogGroups","Resource":"*"}`}},
		{"a permission is denied: metrics", func(c *clinic) {
			c.role(ordersID, awssim.Role{Allow: []string{"logs:*", "apigateway:GET"}})
		}, Warn, actionMetrics, ordersID, []string{`{"Effect":"Allow","Action":"cloudwatch:GetMetricData","Resource":"*"}`}},
		{"a permission is denied that collecting can do without", func(c *clinic) {
			c.role(ordersID, awssim.Role{Allow: []string{"logs:DescribeLogGroups", "logs:FilterLogEvents", "apigateway:GET"}})
		}, Warn, "logs:DescribeDeliver*", ordersID, []string{`"Action":"logs:DescribeDeliver*"`}},
		{"a region is disabled, and the account may be asked", func(c *clinic) {
			c.o.Accounts.Regions = []string{region, "eu-south-2"}
		}, Fail, checkRegion, ordersID + " eu-south-2", []string{"is not enabled", "leave it out of the regions"}},
		{"a region is disabled, and the account may not be asked", func(c *clinic) {
			c.o.Accounts.Regions = []string{region, "eu-south-2"}
			c.role(ordersID, awssim.Role{Allow: []string{"logs:*", "apigateway:GET"}})
		}, Fail, checkRegion, ordersID + " eu-south-2", []string{"UnrecognizedClientException", "leave it out of the regions"}},
		{"AWS throttles", func(c *clinic) {
			c.sim.Inject(awssim.Fault{Kind: awssim.Throttle, Service: "logs", Operation: "FilterLogEvents", Account: ordersID})
		}, Warn, actionEvents, ordersID, []string{"AWS throttles"}},
		{"sessions expire", func(c *clinic) {
			c.sim.Inject(awssim.Fault{Kind: awssim.ExpireCredentials, Service: "logs", Operation: "FilterLogEvents", Account: ordersID})
		}, Fail, actionEvents, ordersID, []string{"ExpiredToken", "the session ended in the middle"}},
		{"a log group is of the class Infrequent Access", func(c *clinic) {
			createGroup(c, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("API-Gateway-Execution-Logs_cheap/prod"), LogGroupClass: logstypes.LogGroupClassInfrequentAccess})
		}, Fail, "log group", ordersID, []string{"API-Gateway-Execution-Logs_cheap/prod", "class STANDARD"}},
		{"an encrypted group whose key is gone", func(c *clinic) {
			createGroup(c, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("API-Gateway-Execution-Logs_secret/prod"), KmsKeyId: aws.String("arn:aws:kms:eu-west-1:222222222222:key/k")})
			c.sim.Inject(awssim.Fault{Kind: awssim.Denied, Service: "logs", Operation: "FilterLogEvents", Group: "API-Gateway-Execution-Logs_secret/prod"})
		}, Fail, actionEvents, ordersID, []string{"the log group is encrypted and cannot be read", "arn:aws:kms:eu-west-1:222222222222:key/k is enabled"}},
		{"a stage logs nothing", func(c *clinic) {
			c.sim.Account(ordersID).Region(region).AddHTTPAPI(awssim.API{ID: "http000001", Name: "shop", Stages: []awssim.Stage{{Name: "$default"}}})
		}, Warn, checkLogging, ordersID, []string{"1 of 2 stages log nothing", "shop (http000001/$default)"}},
		{"a stage has no data trace, and a format without request ids", func(c *clinic) {
			c.sim.Account(ordersID).Region(region).AddRESTAPI(awssim.RESTAPI{ID: "plain00001", Stages: []awssim.Stage{{
				Name: "v1", LoggingLevel: "INFO", AccessLogARN: "arn:aws:logs:eu-west-1:222222222222:log-group:access", AccessFormat: `{"ip":"$context.identity.sourceIp"}`,
			}}})
		}, Warn, checkLogging, ordersID, []string{"1 of 2 stages have an access-log format without a request id", "plain00001/v1"}},
		{
			"API Gateway has no CloudWatch role", func(c *clinic) { c.sim.Account(ordersID).Region(region).SetLogRole("") }, Fail, "CloudWatch role", ordersID,
			[]string{"which 1 stages are told to", "AmazonAPIGatewayPushToCloudWatchLogs"},
		},
		{"a quota is set too high", func(*clinic) {}, Warn, checkQuota, "", []string{"FilterLogEvents", "1e+03 calls a second are set, and AWS documents 10 in eu-west-1"}},
		{"more log groups than the quota can read", func(c *clinic) {
			c.o.Accounts.Quota["FilterLogEvents"] = 1
			for name := range strings.FieldsSeq("a b c d e f g h i j k l") {
				c.sim.Account(ordersID).Region(region).Logs().CreateGroup("API-Gateway-Execution-Logs_" + name + "/prod")
			}
		}, Warn, checkQuota, ordersID, []string{"13 log groups at 1 calls of FilterLogEvents a second take 13s a round", "raise poll_interval"}},
		{"a log group that is named and not there", func(c *clinic) {
			for _, id := range []string{ordersID, catalogID} {
				c.o.Groups = append(c.o.Groups, transaction.Group{Account: id, Region: region, Name: "API-Gateway-Execution-Logs_api0000001/prod"})
			}
			c.o.Groups = append(c.o.Groups, transaction.Group{Account: ordersID, Region: region, Name: "none"})
		}, Fail, actionEvents, ordersID, []string{"none", "ResourceNotFoundException"}},
		{"a prefix of one's own", func(c *clinic) {
			c.o.Prefix = "our-logs/"
			createGroup(c, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("our-logs/a")})
			c.role(ordersID, awssim.Role{Allow: []string{"logs:DescribeLogGroups", "apigateway:GET"}, Policies: []string{
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:FilterLogEvents","Resource":"arn:aws:logs:*:*:log-group:API-Gateway*"}]}`,
			}})
		}, Fail, actionEvents, ordersID, []string{"our-logs/a", `"Resource":"arn:aws:logs:*:222222222222:log-group:our-logs/a:*"`}},
		{"the organization cannot be listed", func(c *clinic) {
			c.o.Accounts.Roles, c.o.Accounts.Organization, c.o.Accounts.RoleName = nil, true, "Collector"
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Hub", TrustedPrincipals: []string{"arn:aws:iam::111111111111:role/Base"}, Allow: []string{"sts:*"}})
		}, Fail, checkOrganization, "", []string{`{"Effect":"Allow","Action":"organizations:ListAccounts","Resource":"*"}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, awssim.Options{})
			test.fault(c)
			report := c.run()
			c.want(report, test.status, test.check, test.place, test.texts...)
			if test.check != checkOrganization && !strings.HasPrefix(test.name, "the hub may not") {
				c.want(report, OK, checkRole, catalogID, "is assumed")
				c.want(report, OK, actionEvents, catalogID, "1 of 1")
			}
		})
	}
}

// createGroup makes a log group in the account orders as the API does.
func createGroup(c *clinic, in *cloudwatchlogs.CreateLogGroupInput) {
	c.t.Helper()
	key := c.sim.Account(ordersID).AddAccessKey("admin")
	client := cloudwatchlogs.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: c.o.Account.BaseConfig.BaseEndpoint,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	})
	if _, err := client.CreateLogGroup(c.t.Context(), in); err != nil {
		c.t.Fatal(err)
	}
}

// What fails early in the chain is told, and nothing behind it is guessed.
func TestChainFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault func(*clinic)
		check string
		texts []string
	}{
		{"no credentials", func(c *clinic) { c.o.Account.BaseConfig.Credentials = nil }, checkBase, []string{"no AWS credentials found", "aws sso login"}},
		{"a long-lived key", func(c *clinic) {
			k := c.sim.Account(securityID).AddAccessKey("admin")
			c.o.Account.BaseConfig.Credentials = credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, "")
		}, checkBase, []string{"long-lived access key", "allow_long_lived_keys"}},
		{"expired base credentials", func(c *clinic) { c.sim.ExpireSessions(securityID, "Base") }, checkBase, []string{"ExpiredToken", "the base credentials have expired"}},
		{
			"a clock that is far off", func(c *clinic) { c.o.Clock = func() time.Time { return time.Now().Add(10 * time.Minute) } }, checkClock,
			[]string{"ahead of AWS's: AWS refuses signatures that are five minutes off", "NTP"},
		},
		{"a clock so far off that AWS refuses", func(c *clinic) {
			c.before = func(h http.Header) { h.Set("Date", time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat)) }
			c.sim.Inject(awssim.Fault{Kind: awssim.Status500, Service: "sts"})
		}, checkClock, []string{"behind AWS's"}},
		{"the hub does not trust the base", func(c *clinic) {
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Hub", TrustedAccounts: []string{ordersID}})
		}, checkHub, []string{"AccessDenied", "trust policy of " + hubARN}},
		{"the hub wants another external id, and can be read", func(c *clinic) {
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Base", Allow: []string{"sts:*", "iam:Get*", "iam:List*"}})
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Hub", TrustedPrincipals: []string{"arn:aws:iam::111111111111:role/Base"}, ExternalID: "other"})
		}, checkHub, []string{"asks for another external id"}},
		{"the hub does not exist, and IAM may be read", func(c *clinic) {
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Base", Allow: []string{"sts:*", "iam:Get*", "iam:List*"}})
			c.sim.Account(securityID).RemoveRole("Hub")
		}, checkHub, []string{"the role does not exist in account 111111111111"}},
		{"the hub's trust does not name the base, and can be read", func(c *clinic) {
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Base", Allow: []string{"sts:*", "iam:Get*", "iam:List*"}})
			c.sim.Account(securityID).AddRole(awssim.Role{Name: "Hub", TrustedAccounts: []string{ordersID}})
		}, checkHub, []string{"its trust policy does not let arn:aws:iam::111111111111:role/Base in"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, awssim.Options{})
			test.fault(c)
			c.want(c.run(), Fail, test.check, "", test.texts...)
		})
	}
}

// Credentials that are about to end and that nobody renews are warned of.
func TestBaseThatEnds(t *testing.T) {
	t.Parallel()
	c := newClinic(t, awssim.Options{})
	c.key = c.sim.Account(securityID).Session("Base", "test", 10*time.Minute)
	key := c.key
	c.o.Account.BaseConfig.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken, Source: "EnvConfigCredentials", CanExpire: true, Expires: key.Expiration}, nil
	})
	c.want(c.run(), Warn, checkBase, "", "from the environment, which end in 10m0s", "renew them now")
	c.o.Account.BaseConfig.Credentials = credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken)
	c.want(c.run(), Warn, checkBase, "", "when they end is not known")
}

type failing struct {
	text, mend string
	warning    bool
}

func (f *failing) Error() string { return f.text }
func (f *failing) Mend() string  { return f.mend }
func (f *failing) Warning() bool { return f.warning }

func TestParts(t *testing.T) {
	t.Parallel()
	c := newClinic(t, awssim.Options{})
	part := func(check string, err error) Part {
		return Part{Check: check, Subject: check + ":x", Fine: "answers", Checker: CheckerFunc(func(context.Context) error { return err })}
	}
	c.o.Parts = []Part{
		part("store", nil),
		part("sink", errors.Join(&failing{"no such topic", "make it", false}, &failing{"nearly full", "make room", true})),
		{Check: "sink", Subject: "slow", Checker: CheckerFunc(func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				return errors.New("not bounded in time")
			}
			return nil
		}), Fine: "answers"},
	}
	report := c.run()
	c.want(report, OK, "store", "", "store:x", "answers")
	c.want(report, Fail, "sink", "", "no such topic", "make it")
	c.want(report, Warn, "sink", "", "nearly full", "make room")
	c.want(report, OK, "sink", "", "slow")
	if report.Failures != 1 {
		t.Errorf("%d failures", report.Failures)
	}
	bad := BadSettings(errors.Join(&failing{"a: 1", "mend a", false}, errors.New("b: 2")))
	if bad.Failures != 2 || bad.Results[0].Mend != "mend a" || bad.Results[1].What != "b: 2" {
		t.Errorf("%+v", bad)
	}
}

// A run that is stopped ends, with what was found until then.
func TestStopped(t *testing.T) {
	t.Parallel()
	c := newClinic(t, awssim.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	c.o.Progress = func(p Progress) {
		if p.Done > 0 {
			cancel()
		}
	}
	c.sim.Inject(awssim.Fault{Kind: awssim.Slow, Service: "apigateway", Delay: time.Minute})
	done := make(chan *Report, 1)
	go func() { done <- Run(ctx, c.o) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}
