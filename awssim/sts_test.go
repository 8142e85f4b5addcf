package awssim_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestGetCallerIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	id := must[*sts.GetCallerIdentityOutput](t)(w.sts(orders).GetCallerIdentity(ctx(t), nil))
	if *id.Account != orders || *id.Arn != "arn:aws:iam::"+orders+":user/admin" || !strings.HasPrefix(*id.UserId, "AIDA") {
		t.Errorf("identity is %s %s %s", *id.Account, *id.Arn, *id.UserId)
	}
}

func assume(w *world, from aws.Config, in *sts.AssumeRoleInput) (awssim.Credentials, error) {
	if in.RoleSessionName == nil {
		in.RoleSessionName = aws.String("session")
	}
	out, err := sts.NewFromConfig(from).AssumeRole(ctx(w.t), in)
	if err != nil {
		return awssim.Credentials{}, err
	}
	c := out.Credentials
	return awssim.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken, Expiration: *c.Expiration}, nil
}

func TestAssumeRoleAcrossAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	w.sim.Account(hub).AddRole(awssim.Role{Name: "Hub", TrustedAccounts: []string{hub}, Allow: []string{"sts:AssumeRole"}})
	spoke := w.sim.Account(orders).AddRole(awssim.Role{
		Name: "Collector", Path: "gatehouse", ExternalID: "x-1",
		TrustedPrincipals: []string{"arn:aws:iam::" + hub + ":role/Hub"}, Allow: []string{"logs:Describe*"},
	})
	if want := "arn:aws:iam::" + orders + ":role/gatehouse/Collector"; spoke != want {
		t.Fatalf("ARN is %s, want %s", spoke, want)
	}
	first := must[awssim.Credentials](t)(assume(w, w.admin(hub), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + hub + ":role/Hub")}))
	if !strings.HasPrefix(first.AccessKeyID, "ASIA") || first.SessionToken == "" || !first.Expiration.Equal(w.clock.Now().Add(time.Hour)) {
		t.Errorf("session is %s until %s", first.AccessKeyID, first.Expiration)
	}
	second := must[awssim.Credentials](t)(assume(w, w.config(first), &sts.AssumeRoleInput{RoleArn: &spoke, ExternalId: aws.String("x-1"), DurationSeconds: aws.Int32(900)}))
	if !second.Expiration.Equal(w.clock.Now().Add(15 * time.Minute)) {
		t.Errorf("the session ends at %s", second.Expiration)
	}
	id := must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(w.config(second)).GetCallerIdentity(ctx(t), nil))
	if *id.Account != orders || *id.Arn != "arn:aws:sts::"+orders+":assumed-role/Collector/session" || !strings.HasSuffix(*id.UserId, ":session") {
		t.Errorf("identity is %s %s %s", *id.Account, *id.Arn, *id.UserId)
	}

	// The session reads its own account and region alone, and does what Allow says alone.
	w.sim.Account(orders).Region(region).Logs().Put("orders-group", "s", awssim.LogEvent{Timestamp: w.clock.Millis(), Message: "x"})
	w.sim.Account(hub).Region(region).Logs().Put("hub-group", "s", awssim.LogEvent{Timestamp: w.clock.Millis(), Message: "x"})
	logs := cloudwatchlogs.NewFromConfig(w.config(second))
	groups := must[*cloudwatchlogs.DescribeLogGroupsOutput](t)(logs.DescribeLogGroups(ctx(t), nil))
	if len(groups.LogGroups) != 1 || *groups.LogGroups[0].LogGroupName != "orders-group" {
		t.Errorf("groups are %v", groups.LogGroups)
	}
	_, err := logs.FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("orders-group")})
	wantCode(t, err, "AccessDeniedException", "User: arn:aws:sts::222222222222:assumed-role/Collector/session is not authorized to perform: logs:FilterLogEvents on resource: arn:aws:logs:eu-west-1:222222222222:log-group:orders-group:log-stream: because no identity-based policy allows the logs:FilterLogEvents action")

	// A role that is replaced changes what its sessions may; one that is
	// removed leaves them nothing.
	w.sim.Account(orders).AddRole(awssim.Role{Name: "Collector", Path: "gatehouse", Allow: []string{"logs:*"}})
	must[*cloudwatchlogs.FilterLogEventsOutput](t)(logs.FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("orders-group")}))
	w.sim.Account(orders).RemoveRole("Collector")
	if _, err := logs.DescribeLogGroups(ctx(t), nil); err == nil {
		t.Error("a session of a removed role is still allowed to read")
	}
}

func TestAssumeRoleRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	role := func(r awssim.Role) *string { return aws.String(w.sim.Account(orders).AddRole(r)) }
	open := role(awssim.Role{Name: "Open", TrustedAccounts: []string{hub}})
	closed := role(awssim.Role{Name: "Closed"})
	guarded := role(awssim.Role{Name: "Guarded", TrustedAccounts: []string{hub}, ExternalID: "secret"})
	long := role(awssim.Role{Name: "Long", TrustedAccounts: []string{hub}, MaxSession: 12 * time.Hour})
	user := w.admin(hub)
	w.sim.Account(hub).AddUser(awssim.User{Name: "nobody"})
	nobody := w.config(w.sim.Account(hub).AddAccessKey("nobody"))
	w.sim.Account(hub).AddRole(awssim.Role{Name: "Hub", Allow: []string{"*"}})
	session := w.config(w.sim.Account(hub).Session("Hub", "hub", time.Hour))
	inClosed := w.sim.Account(other).SetStatus("SUSPENDED").AddRole(awssim.Role{Name: "Open", TrustedAccounts: []string{hub}})
	denied := func(arn string) string {
		return "User: arn:aws:iam::111111111111:user/admin is not authorized to perform: sts:AssumeRole on resource: " + arn
	}
	for _, test := range []struct {
		name    string
		from    aws.Config
		in      sts.AssumeRoleInput
		code    string
		message string
	}{
		{"role that trusts nobody", user, sts.AssumeRoleInput{RoleArn: closed}, "AccessDenied", denied(*closed)},
		{"role that does not exist", user, sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/None")}, "AccessDenied", denied("arn:aws:iam::222222222222:role/None")},
		{"account that is closed", user, sts.AssumeRoleInput{RoleArn: &inClosed}, "AccessDenied", denied(inClosed)},
		{"account that does not exist", user, sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::999999999999:role/Open")}, "AccessDenied", denied("arn:aws:iam::999999999999:role/Open")},
		{"no external id", user, sts.AssumeRoleInput{RoleArn: guarded}, "AccessDenied", denied(*guarded)},
		{"wrong external id", user, sts.AssumeRoleInput{RoleArn: guarded, ExternalId: aws.String("guess")}, "AccessDenied", denied(*guarded)},
		{"caller without permission", nobody, sts.AssumeRoleInput{RoleArn: open}, "AccessDenied", strings.ReplaceAll(denied(*open), "user/admin", "user/nobody")},
		{"longer than the role allows", user, sts.AssumeRoleInput{RoleArn: open, DurationSeconds: aws.Int32(7200)}, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{"too short", user, sts.AssumeRoleInput{RoleArn: open, DurationSeconds: aws.Int32(60)}, "ValidationError", "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{"chained longer than an hour", session, sts.AssumeRoleInput{RoleArn: long, DurationSeconds: aws.Int32(7200)}, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"},
		{"bad session name", user, sts.AssumeRoleInput{RoleArn: open, RoleSessionName: aws.String("with space")}, "ValidationError", `1 validation error detected: Value 'with space' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*, with a length from 2 to 64`},
		{"not a role", user, sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:user/x")}, "ValidationError", "arn:aws:iam::222222222222:user/x is invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := assume(w, test.from, &test.in)
			wantCode(t, err, test.code, test.message)
		})
	}
	must[awssim.Credentials](t)(assume(w, user, &sts.AssumeRoleInput{RoleArn: long, DurationSeconds: aws.Int32(43200)}))
	must[awssim.Credentials](t)(assume(w, user, &sts.AssumeRoleInput{RoleArn: guarded, ExternalId: aws.String("secret")}))
}

func TestSessionTagsAndPolicyReachTheCredential(t *testing.T) {
	t.Parallel()
	got := make(chan awssim.Credential, 1)
	w := newWorld(t, awssim.Options{Authority: spy{got}})
	arn := w.sim.Account(orders).AddRole(awssim.Role{Name: "R"})
	c := must[awssim.Credentials](t)(assume(w, w.admin(hub), &sts.AssumeRoleInput{
		RoleArn: &arn, Policy: aws.String(`{"Version":"2012-10-17","Statement":[]}`), SourceIdentity: aws.String("alice"),
		Tags: []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("sec")}},
	}))
	must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(w.config(c)).GetCallerIdentity(ctx(t), nil))
	k := <-got
	if k.Tags["team"] != "sec" || k.SourceIdentity != "alice" || len(k.Policies) != 1 || k.Chained {
		t.Errorf("credential is %+v", k)
	}
}

// spy allows everything and tells which session called.
type spy struct{ got chan awssim.Credential }

func (s spy) Authenticate(_ *http.Request, _ []byte, key awssim.Credential) error {
	if key.SessionToken != "" {
		s.got <- key
	}
	return nil
}

func (s spy) Authorize(awssim.Call) error { return nil }

type refusing struct{ err error }

func (f refusing) Authenticate(*http.Request, []byte, awssim.Credential) error { return nil }
func (f refusing) Authorize(awssim.Call) error                                 { return f.err }

func TestAnyErrorOfTheAuthorityRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{Authority: refusing{errors.New("out of order")}})
	_, err := w.logs(orders).DescribeLogGroups(ctx(t), nil)
	wantCode(t, err, "AccessDeniedException", "User: arn:aws:iam::222222222222:user/admin is not authorized to perform: logs:DescribeLogGroups on resource: arn:aws:logs:eu-west-1:222222222222:log-group::log-stream: because no identity-based policy allows the logs:DescribeLogGroups action")
}

func TestCredentialErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	w.sim.Account(orders).AddRole(awssim.Role{Name: "R", Allow: []string{"*"}})
	unknown := awssim.Credentials{AccessKeyID: "AKIAXXXXXXXXXXXXXXXX", SecretAccessKey: "x"}
	badToken := w.sim.Account(orders).Session("R", "s1", time.Hour)
	badToken.SessionToken = "other"
	expired := w.sim.Account(orders).Session("R", "s1", 15*time.Minute)
	w.clock.Advance(16 * time.Minute)
	closed := w.sim.Account(other).AddAccessKey("admin")
	w.sim.Account(other).SetStatus("SUSPENDED")
	const invalid, past = "The security token included in the request is invalid.", "The security token included in the request is expired"
	for _, test := range []struct {
		name            string
		cred            awssim.Credentials
		sts, rest, json string
		message         string
	}{
		{"unknown key", unknown, "InvalidClientTokenId", "UnrecognizedClientException", "UnrecognizedClientException", invalid},
		{"bad token", badToken, "InvalidClientTokenId", "UnrecognizedClientException", "UnrecognizedClientException", invalid},
		{"suspended account", closed, "InvalidClientTokenId", "UnrecognizedClientException", "UnrecognizedClientException", invalid},
		{"expired session", expired, "ExpiredToken", "ExpiredTokenException", "ExpiredTokenException", past},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := w.config(test.cred)
			_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx(t), nil)
			wantCode(t, err, test.sts, test.message)
			_, err = cloudwatchlogs.NewFromConfig(cfg).DescribeLogGroups(ctx(t), nil)
			wantCode(t, err, test.json, test.message)
			_, err = newGateway(cfg).GetRestApis(ctx(t), nil)
			wantCode(t, err, test.rest, test.message)
		})
	}
}

func TestUnsignedAndUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	key := w.sim.Account(hub).AddAccessKey("admin")
	// An auth that begins with "sign:" is the region and service to sign for.
	post := func(target, path, auth, body string) (int, string, http.Header) {
		req := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), http.MethodPost, w.url+path, strings.NewReader(body)))
		if target != "" {
			req.Header.Set("X-Amz-Target", target)
		}
		if scope, ok := strings.CutPrefix(auth, "sign:"); ok {
			where, service, _ := strings.Cut(scope, "/")
			sign(t, req, key, service, where)
		} else if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		res := must[*http.Response](t)(http.DefaultClient.Do(req))
		defer closeBody(t, res.Body)
		return res.StatusCode, must[string](t)(readAll(res.Body)), res.Header
	}
	for _, test := range []struct {
		name, target, path, auth, body string
		status                         int
		want                           string
	}{
		{"unsigned logs", "Logs_20140328.DescribeLogGroups", "/", "", "{}", 400, "MissingAuthenticationTokenException"},
		{"unsigned sts", "", "/", "", "Action=GetCallerIdentity", 403, "<Code>MissingAuthenticationToken</Code>"},
		{"unknown logs operation", "Logs_20140328.StartQuery", "/", "", "{}", 404, "UnknownOperationException"},
		{"unknown sts operation", "", "/", "", "Action=GetFederationToken", 404, "UnknownOperationException"},
		{"unknown service", "", "/x", "AWS4-HMAC-SHA256 Credential=A/20260301/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0", "", 404, "UnknownOperation"},
		{"unknown route", "", "/restapis/x", "", "", 404, "UnknownOperation"},
		{"unknown region", "Logs_20140328.DescribeLogGroups", "/", "sign:xx-fake-1/logs", "{}", 400, "Credential should be scoped to a valid region."},
		{"unknown JSON service", "DynamoDB_20120810.ListTables", "/", "AWS4-HMAC-SHA256 Credential=A/20260301/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0", "{}", 404, `"__type":"UnknownOperationException"`},
		{"garbage scope", "", "/nothing", "AWS4-HMAC-SHA256 Credential=////", "", 404, "UnknownOperation"},
		{"garbage body", "Logs_20140328.DescribeLogGroups", "/", "sign:eu-west-1/logs", "{nope", 400, "SerializationException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, body, header := post(test.target, test.path, test.auth, test.body)
			if status != test.status || !strings.Contains(body+header.Get("X-Amzn-Errortype"), test.want) || header.Get("X-Amzn-Requestid") == "" {
				t.Errorf("answer is %d %s %v, want %d with %s", status, body, header, test.status, test.want)
			}
		})
	}
}

// The authenticator of EKS asks for JSON.
func TestGetCallerIdentityAsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	key := w.sim.Account(orders).AddAccessKey("admin")
	ask := func(key awssim.Credentials) (status int, body string) {
		r, err := http.NewRequestWithContext(ctx(t), http.MethodGet, w.url+"/?Action=GetCallerIdentity&Version=2011-06-15", nil)
		if err != nil {
			t.Fatal(err)
		}
		sign(t, r, key, "sts", region)
		r.Header.Set("Accept", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer closeBody(t, answer.Body)
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v %v", answer.Header, err)
		}
		return answer.StatusCode, string(text)
	}
	if status, body := ask(key); status != http.StatusOK || !strings.Contains(body, `"GetCallerIdentityResult":{"Account":"222222222222","Arn":"arn:aws:iam::222222222222:user/admin"`) {
		t.Errorf("%d %s", status, body)
	}
	key.SecretAccessKey += "x"
	if status, body := ask(key); status != http.StatusForbidden || !strings.Contains(body, `{"Error":{"Code":"SignatureDoesNotMatch"`) {
		t.Errorf("with a wrong key: %d %s", status, body)
	}
}
