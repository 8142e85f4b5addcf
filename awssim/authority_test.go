package awssim_test

import (
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
	"github.com/gatehouse-project/gatehouse/sigv4"
)

const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

func TestBadSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	key := w.sim.Account(orders).AddAccessKey("admin")
	key.SecretAccessKey += "x"
	cfg := w.config(key)
	_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx(t), nil)
	wantCode(t, err, "SignatureDoesNotMatch", mismatch)
	_, err = cloudwatchlogs.NewFromConfig(cfg).DescribeLogGroups(ctx(t), nil)
	wantCode(t, err, "InvalidSignatureException", mismatch)
	_, err = newGateway(cfg).GetRestApis(ctx(t), nil)
	wantCode(t, err, "InvalidSignatureException", mismatch)
}

// What is changed on the way is refused, whatever it is.
func TestTamperedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	key := w.sim.Account(orders).AddAccessKey("admin")
	for name, change := range map[string]func(r *http.Request){
		"body":   func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"limit":2}`)) },
		"header": func(r *http.Request) { r.Header.Set("X-Amz-Target", "Logs_20140328.GetLogEvents") },
		"query":  func(r *http.Request) { r.URL.RawQuery = "a=b" },
		"host":   func(r *http.Request) { r.Host = "logs.us-east-1.amazonaws.com" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), http.MethodPost, w.url, strings.NewReader(`{"limit":1}`)))
			r.Header.Set("X-Amz-Target", "Logs_20140328.DescribeLogGroups")
			sign(t, r, key, "logs", region)
			change(r)
			res := must[*http.Response](t)(http.DefaultClient.Do(r))
			defer closeBody(t, res.Body)
			if body := must[string](t)(readAll(res.Body)); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "InvalidSignatureException") {
				t.Errorf("answer is %d %s", res.StatusCode, body)
			}
		})
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		offset time.Duration
		want   string
	}{
		{4 * time.Minute, ""},
		{-4 * time.Minute, ""},
		{6 * time.Minute, "Signature expired: "},
		{-6 * time.Minute, "Signature not yet current: "},
	} {
		w := newWorld(t, awssim.Options{SigningClock: func() time.Time { return time.Now().Add(test.offset) }})
		_, err := w.sts(orders).GetCallerIdentity(ctx(t), nil)
		if test.want == "" {
			if err != nil {
				t.Errorf("%v: %v", test.offset, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch: "+test.want) {
			t.Errorf("%v: %v, want %s", test.offset, err, test.want)
		}
	}
}

func TestPresignedCallerIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	req, err := sts.NewPresignClient(w.sts(orders)).PresignGetCallerIdentity(ctx(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(url string) (int, string) {
		r := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), http.MethodGet, url, http.NoBody))
		r.Method = req.Method
		res := must[*http.Response](t)(http.DefaultClient.Do(r))
		defer closeBody(t, res.Body)
		return res.StatusCode, must[string](t)(readAll(res.Body))
	}
	if status, body := get(req.URL); status != http.StatusOK || !strings.Contains(body, "user/admin") {
		t.Errorf("answer is %d %s", status, body)
	}
	if status, body := get(req.URL + "&x=y"); status != http.StatusForbidden || !strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("with a parameter more the answer is %d %s", status, body)
	}
}

// What is presigned for STS is good for 15 minutes, however short X-Amz-Expires is.
func TestPresignedCallerIdentityLasts(t *testing.T) {
	t.Parallel()
	for offset, want := range map[time.Duration]int{14 * time.Minute: http.StatusOK, 16 * time.Minute: http.StatusForbidden} {
		w := newWorld(t, awssim.Options{SigningClock: func() time.Time { return time.Now().Add(offset) }})
		r := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), http.MethodGet, w.url+"/?Action=GetCallerIdentity&Version=2011-06-15", http.NoBody))
		key := w.sim.Account(orders).AddAccessKey("admin")
		signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}, Region: region, Service: "sts"}
		if _, err := signer.Presign(r, time.Now(), time.Minute); err != nil {
			t.Fatal(err)
		}
		res := must[*http.Response](t)(http.DefaultClient.Do(r))
		body := must[string](t)(readAll(res.Body))
		closeBody(t, res.Body)
		if res.StatusCode != want {
			t.Errorf("after %v the answer is %d %s", offset, res.StatusCode, body)
		}
	}
}

func TestMalformedAuthorization(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	r := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), http.MethodPost, w.url, strings.NewReader("Action=GetCallerIdentity")))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID")
	res := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer closeBody(t, res.Body)
	if body := must[string](t)(readAll(res.Body)); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "<Code>IncompleteSignature</Code>") || !strings.Contains(body, "requires &#39;Signature&#39; parameter") {
		t.Errorf("answer is %d %s", res.StatusCode, body)
	}
}

const trustHub = `{"Version": "2012-10-17", "Statement": [{
	"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]%s
}]}`

func trust(more string) string { return strings.Replace(trustHub, "%s", more, 1) }

func TestTrustPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	w.sim.Organization(hub)
	admin := w.admin(hub)
	stranger := w.admin(other)
	tag := []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("sec")}}
	condition := func(operator, key, value string) string {
		return trust(`, "Condition": {"` + operator + `": {"` + key + `": "` + value + `"}}`)
	}
	for _, test := range []struct {
		name   string
		policy string
		from   aws.Config
		in     sts.AssumeRoleInput
		denied string // action; empty: allowed
	}{
		{"account", trust(""), admin, sts.AssumeRoleInput{}, ""},
		{"another account", trust(""), stranger, sts.AssumeRoleInput{}, "sts:AssumeRole"},
		{"external id", condition("StringEquals", "sts:ExternalId", "x-1"), admin, sts.AssumeRoleInput{ExternalId: aws.String("x-1")}, ""},
		{"wrong external id", condition("StringEquals", "sts:ExternalId", "x-1"), admin, sts.AssumeRoleInput{ExternalId: aws.String("x-2")}, "sts:AssumeRole"},
		{"no external id", condition("StringEquals", "sts:ExternalId", "x-1"), admin, sts.AssumeRoleInput{}, "sts:AssumeRole"},
		{"principal ARN", condition("StringLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:user/adm*"), admin, sts.AssumeRoleInput{}, ""},
		{"another principal ARN", condition("StringLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/*"), admin, sts.AssumeRoleInput{}, "sts:AssumeRole"},
		{"session name", condition("StringLike", "sts:RoleSessionName", "sess*"), admin, sts.AssumeRoleInput{}, ""},
		{"source identity", condition("StringEquals", "sts:SourceIdentity", "alice"), admin, sts.AssumeRoleInput{SourceIdentity: aws.String("alice")}, ""},
		{"another source identity", condition("StringEquals", "sts:SourceIdentity", "alice"), admin, sts.AssumeRoleInput{SourceIdentity: aws.String("bob")}, "sts:AssumeRole"},
		{"tags", condition("StringEquals", "aws:RequestTag/team", "sec"), admin, sts.AssumeRoleInput{Tags: tag}, ""},
		{"tags that may not be given", strings.Replace(trust(""), `"sts:TagSession", `, "", 1), admin, sts.AssumeRoleInput{Tags: tag}, "sts:TagSession"},
		{"address", condition("IpAddress", "aws:SourceIp", "127.0.0.0/8"), admin, sts.AssumeRoleInput{}, ""},
		{"after its end", condition("DateLessThan", "aws:CurrentTime", "2026-01-01T00:00:00Z"), admin, sts.AssumeRoleInput{}, "sts:AssumeRole"},
		{"organization", `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "` + w.sim.Organization(hub).ID() + `"}}}}`, admin, sts.AssumeRoleInput{}, ""},
		{"another organization", `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-other"}}}}`, admin, sts.AssumeRoleInput{}, "sts:AssumeRole"},
		{"service alone", `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}}`, admin, sts.AssumeRoleInput{}, "sts:AssumeRole"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := strings.ReplaceAll(test.name, " ", "-")
			arn := w.sim.Account(orders).AddRole(awssim.Role{Name: name, TrustPolicy: test.policy})
			test.in.RoleArn = &arn
			_, err := assume(w, test.from, &test.in)
			if test.denied == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			account := hub
			if test.name == "another account" {
				account = other
			}
			wantCode(t, err, "AccessDenied", "User: arn:aws:iam::"+account+":user/admin is not authorized to perform: "+test.denied+" on resource: "+arn)
		})
	}
	explicit := w.sim.Account(orders).AddRole(awssim.Role{Name: "Explicit", TrustPolicy: strings.Replace(trust(""), `"Statement": [`, `"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sts:*"}, `, 1)})
	_, err := assume(w, admin, &sts.AssumeRoleInput{RoleArn: &explicit})
	wantCode(t, err, "AccessDenied", "User: arn:aws:iam::111111111111:user/admin is not authorized to perform: sts:AssumeRole on resource: "+explicit+" with an explicit deny in the role trust policy")
}

func TestPoliciesOfASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	const (
		logs    = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}}`
		oneRead = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": "arn:aws:logs:*:*:log-group:mine:*"}}`
		team    = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "logs:*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/team": "sec"}}}}`
		noReads = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "logs:FilterLogEvents", "Resource": "*"}]}`
	)
	a := w.sim.Account(orders)
	for _, g := range []string{"mine", "theirs"} {
		a.Region(region).Logs().Put(g, "s", awssim.LogEvent{Timestamp: w.clock.Millis(), Message: "x"})
	}
	managed := a.AddPolicy("OneRead", oneRead)
	tag := []ststypes.Tag{{Key: aws.String("Team"), Value: aws.String("sec")}}
	for _, test := range []struct {
		name  string
		role  awssim.Role
		in    sts.AssumeRoleInput
		group string
		want  string // the end of the message; empty: allowed
	}{
		{"identity", awssim.Role{Policies: []string{logs}}, sts.AssumeRoleInput{}, "mine", ""},
		{"identity for another group", awssim.Role{Policies: []string{oneRead}}, sts.AssumeRoleInput{}, "theirs", "because no identity-based policy allows the logs:FilterLogEvents action"},
		{"explicit deny", awssim.Role{Policies: []string{noReads}}, sts.AssumeRoleInput{}, "mine", "with an explicit deny in an identity-based policy"},
		{"boundary", awssim.Role{Policies: []string{logs}, PermissionsBoundary: oneRead}, sts.AssumeRoleInput{}, "mine", ""},
		{"boundary that is silent", awssim.Role{Policies: []string{logs}, PermissionsBoundary: oneRead}, sts.AssumeRoleInput{}, "theirs", "because no permissions boundary allows the logs:FilterLogEvents action"},
		{"session policy", awssim.Role{Policies: []string{logs}}, sts.AssumeRoleInput{Policy: aws.String(oneRead)}, "mine", ""},
		{"session policy that is silent", awssim.Role{Policies: []string{logs}}, sts.AssumeRoleInput{Policy: aws.String(oneRead)}, "theirs", "because no session policy allows the logs:FilterLogEvents action"},
		{"session policy does not add", awssim.Role{}, sts.AssumeRoleInput{Policy: aws.String(oneRead)}, "mine", "because no identity-based policy allows the logs:FilterLogEvents action"},
		{"session policy by ARN", awssim.Role{Policies: []string{logs}}, sts.AssumeRoleInput{PolicyArns: []ststypes.PolicyDescriptorType{{Arn: &managed}}}, "theirs", "because no session policy allows the logs:FilterLogEvents action"},
		{"principal tag of the session", awssim.Role{Policies: []string{team}}, sts.AssumeRoleInput{Tags: tag}, "mine", ""},
		{"principal tag of the role", awssim.Role{Policies: []string{team}, Tags: map[string]string{"team": "sec"}}, sts.AssumeRoleInput{}, "mine", ""},
		{"session tag over the role's", awssim.Role{Policies: []string{team}, Tags: map[string]string{"team": "other"}}, sts.AssumeRoleInput{Tags: tag}, "mine", ""},
		{"no principal tag", awssim.Role{Policies: []string{team}}, sts.AssumeRoleInput{}, "mine", "because no identity-based policy allows the logs:FilterLogEvents action"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.role.Name = strings.NewReplacer(" ", "-", "'", "").Replace(test.name)
			test.role.TrustPolicy = trust("")
			arn := a.AddRole(test.role)
			test.in.RoleArn = &arn
			c := must[awssim.Credentials](t)(assume(w, w.admin(hub), &test.in))
			_, err := cloudwatchlogs.NewFromConfig(w.config(c)).FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &test.group})
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, "AccessDeniedException", "User: arn:aws:sts::222222222222:assumed-role/"+test.role.Name+"/session is not authorized to perform: logs:FilterLogEvents on resource: arn:aws:logs:eu-west-1:222222222222:log-group:"+test.group+":log-stream: "+test.want)
		})
	}
}

func TestSessionPolicyErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	arn := w.sim.Account(orders).AddRole(awssim.Role{Name: "R", TrustPolicy: trust("")})
	for _, test := range []struct {
		name          string
		in            sts.AssumeRoleInput
		code, message string
	}{
		{"no JSON", sts.AssumeRoleInput{Policy: aws.String("{")}, "MalformedPolicyDocument", "This policy contains invalid Json"},
		{"no policy", sts.AssumeRoleInput{Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Maybe"}]}`)}, "MalformedPolicyDocument", "Syntax errors in policy."},
		{"too long", sts.AssumeRoleInput{Policy: aws.String(strings.Repeat(" ", 2049))}, "ValidationError", "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048"},
		{"no such policy", sts.AssumeRoleInput{PolicyArns: []ststypes.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::222222222222:policy/None")}}}, "ValidationError", "PolicyArns: arn:aws:iam::222222222222:policy/None does not exist or is not attachable."},
		{"tag twice", sts.AssumeRoleInput{Tags: []ststypes.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("A"), Value: aws.String("2")}}}, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"transitive key without tag", sts.AssumeRoleInput{TransitiveTagKeys: []string{"a"}}, "ValidationError", "One of the specified transitive tag keys was not passed as a session tag: a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.in.RoleArn = &arn
			_, err := assume(w, w.admin(hub), &test.in)
			wantCode(t, err, test.code, test.message)
		})
	}
}

// Transitive tags and the source identity pass on along a chain of roles, and
// cannot be changed on the way.
func TestRoleChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	everything := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`
	first := w.sim.Account(hub).AddRole(awssim.Role{Name: "First", TrustPolicy: trust(""), Policies: []string{everything}})
	chained := `, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "sec", "aws:SourceIdentity": "alice", "aws:RequestTag/team": "sec"}}`
	second := w.sim.Account(orders).AddRole(awssim.Role{Name: "Second", TrustPolicy: trust(chained)})
	c := must[awssim.Credentials](t)(assume(w, w.admin(hub), &sts.AssumeRoleInput{
		RoleArn: &first, SourceIdentity: aws.String("alice"), TransitiveTagKeys: []string{"team"},
		Tags: []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("sec")}, {Key: aws.String("own"), Value: aws.String("1")}},
	}))
	out, err := sts.NewFromConfig(w.config(c)).AssumeRole(ctx(t), &sts.AssumeRoleInput{RoleArn: &second, RoleSessionName: aws.String("two")})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.SourceIdentity) != "alice" {
		t.Errorf("the source identity is %q", aws.ToString(out.SourceIdentity))
	}
	_, err = assume(w, w.config(c), &sts.AssumeRoleInput{RoleArn: &second, SourceIdentity: aws.String("bob")})
	wantCode(t, err, "AccessDenied", "User: arn:aws:sts::111111111111:assumed-role/First/session is not authorized to perform: sts:SetSourceIdentity on resource: "+second)
	_, err = assume(w, w.config(c), &sts.AssumeRoleInput{RoleArn: &second, Tags: []ststypes.Tag{{Key: aws.String("TEAM"), Value: aws.String("dev")}}})
	wantCode(t, err, "InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
}

func TestWorldMistakesPanic(t *testing.T) {
	t.Parallel()
	a := awssim.New(awssim.Options{}).Account(orders)
	for name, f := range map[string]func(){
		"trust policy":  func() { a.AddRole(awssim.Role{Name: "R", TrustPolicy: "{"}) },
		"both forms":    func() { a.AddRole(awssim.Role{Name: "R", TrustPolicy: trust(""), ExternalID: "x"}) },
		"policy":        func() { a.AddUser(awssim.User{Name: "U", Policies: []string{`{"Statement":[{}]}`}}) },
		"OIDC issuer":   func() { a.AddOIDCProvider(awssim.OIDCProvider{URL: "http://x", JWKS: `{"keys":[]}`}) },
		"OIDC keys":     func() { a.AddOIDCProvider(awssim.OIDCProvider{URL: "https://x", JWKS: `nope`}) },
		"SAML metadata": func() { a.AddSAMLProvider(awssim.SAMLProvider{Name: "p", Metadata: "<a/>"}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
