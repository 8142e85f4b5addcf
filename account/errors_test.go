package account

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// stsSays makes Accounts whose STS answers every call with one error.
func stsSays(t *testing.T, cfg Config, status int, code, message string) *Accounts {
	t.Helper()
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>req-1</RequestId></ErrorResponse>`,
			code, html.EscapeString(message))
	})
	a, err := New(cfg, Options{
		HTTPClient: &wire{handler: handler}, MaxAttempts: 1,
		BaseConfig: baseConfig(credentials.NewStaticCredentialsProvider("ASIABASE", "secret-of-base", "token-of-base")),
		Clock:      func() time.Time { return time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestChainErrors(t *testing.T) {
	t.Parallel()
	const refused = "User: arn:aws:sts::111111111111:assumed-role/Hub/gatehouse is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/Collector"
	role := Config{Roles: []Role{{ARN: ordersARN}}}
	withID := Config{Roles: []Role{{ARN: ordersARN, ExternalID: externalID, SessionTags: map[string]string{"a": "b"}}}}
	for name, tc := range map[string]struct {
		cfg           Config
		status        int
		code, message string
		class         Class
		link          Link
		mend          []string
	}{
		"either side, no external id": {
			role, 403, "AccessDenied", refused, Denied, LinkRole,
			[]string{
				"does not say which side", "must exist",
				`identity policy of arn:aws:iam::111111111111:role/Hub must have {"Action":"sts:AssumeRole","Effect":"Allow","Resource":"arn:aws:iam::222222222222:role/Collector"}`,
				`trust policy of arn:aws:iam::222222222222:role/Collector must have {"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/Hub"}}`,
				"a missing one gets this same answer",
			},
		},
		"either side, external id and tags": {
			withID, 403, "AccessDenied", refused, Denied, LinkRole,
			[]string{
				`"Condition":{"StringEquals":{"sts:ExternalId":"gatehouse-42"}}`, `["sts:AssumeRole","sts:TagSession"]`,
				"a wrong external id gets this same answer",
			},
		},
		"the caller's policy": {
			role, 403, "AccessDenied", refused + " because no identity-based policy allows the sts:AssumeRole action", Denied, LinkRole,
			[]string{"the identity policy of arn:aws:iam::111111111111:role/Hub must have"},
		},
		"the trust": {
			role, 403, "AccessDenied", refused + " because no resource-based policy allows the sts:AssumeRole action", Denied, LinkRole,
			[]string{"the trust policy of arn:aws:iam::222222222222:role/Collector must have"},
		},
		"an explicit deny": {
			role, 403, "AccessDenied", refused + " with an explicit deny in a service control policy", Denied, LinkRole,
			[]string{"explicit Deny in a service control policy"},
		},
		"a disabled region": {
			role, 403, "RegionDisabledException", "STS is not activated in this region for account:222222222222.", Denied, LinkRole,
			[]string{"STS is disabled in us-east-1"}, // the last that was tried
		},
		"an old session": {
			role, 403, "ExpiredToken", "The security token included in the request is expired", Expired, LinkRole,
			[]string{"base credentials have expired"},
		},
		"a wrong clock": {
			role, 403, "SignatureDoesNotMatch", "Signature expired: 20261001T100000Z is now earlier than 20261001T114500Z", Denied, LinkRole,
			[]string{"the clock", "2026-10-01T12:00:00Z"},
		},
		"an unknown key": {
			role, 403, "InvalidClientTokenId", "The security token included in the request is invalid.", Denied, LinkRole,
			[]string{"deleted or deactivated", "another partition"},
		},
		"a bad value":    {role, 400, "ValidationError", "1 validation error detected", Invalid, LinkRole, []string{"external id"}},
		"too many tags":  {withID, 400, "PackedPolicyTooLarge", "too large", Invalid, LinkRole, []string{"fewer"}},
		"throttled":      {role, 400, "Throttling", "Rate exceeded", Throttled, LinkRole, []string{"throttles"}},
		"the hub itself": {viaHub(), 403, "AccessDenied", strings.ReplaceAll(refused, ordersARN, hubARN), Denied, LinkHub, []string{"trust policy of " + hubARN}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets, problems := stsSays(t, tc.cfg, tc.status, tc.code, tc.message).Targets(t.Context())
			if len(targets) != 0 || len(problems) != len(tc.cfg.Roles) {
				t.Fatalf("targets %+v, problems %+v", targets, problems)
			}
			p := problems[0]
			var chain *ChainError
			if !errors.As(p.Err, &chain) || chain.Link != tc.link {
				t.Fatalf("error is %#v, want link %s", p.Err, tc.link)
			}
			if got := Classify(p.Err); got != tc.class {
				t.Errorf("class is %q, want %q", got, tc.class)
			}
			if !strings.Contains(p.What, tc.code) || !strings.Contains(p.What, "req-1") {
				t.Errorf("it says %q", p.What)
			}
			for _, want := range tc.mend {
				if !strings.Contains(p.Mend, want) {
					t.Errorf("mend is\n%s\nwant it to say\n%s", p.Mend, want)
				}
			}
			if strings.Contains(p.What+p.Mend, "secret-of-base") || strings.Contains(p.What+p.Mend, "token-of-base") {
				t.Error("a secret is shown")
			}
		})
	}
}

func TestErrorsShowNoSessionToken(t *testing.T) {
	t.Parallel()
	message := "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.\n\n" +
		"The Canonical String for this request should have been\n'POST\n/\n\nhost:sts.amazonaws.com\nx-amz-security-token:IQoJb3JpZ2luX2VjSECRET\n"
	_, problems := stsSays(t, Config{Roles: []Role{{ARN: ordersARN}}}, 403, "SignatureDoesNotMatch", message).Targets(t.Context())
	for _, text := range []string{problems[0].What, problems[0].Mend, problems[0].Err.Error(), Text(problems[0].Err)} {
		if strings.Contains(text, "SECRET") || strings.Contains(text, "\n") {
			t.Errorf("shown: %q", text)
		}
	}
}

func TestWrongExternalID(t *testing.T) {
	t.Parallel()
	cfg := viaHub()
	cfg.ExternalID = "somebody-else"
	targets, problems := setup(t, cfg).Targets(t.Context())
	if len(targets) != 0 || len(problems) != 2 || !strings.Contains(problems[0].Mend, "a wrong external id gets this same answer") {
		t.Errorf("targets %+v, problems %+v", targets, problems)
	}
}

func TestHubFailureIsToldOnceForEachAccount(t *testing.T) {
	t.Parallel()
	w := setup(t, viaHub())
	w.sim.Account(securityID).RemoveRole("Hub")
	_, problems := w.Targets(t.Context())
	for _, p := range problems {
		var chain *ChainError
		if !errors.As(p.Err, &chain) || chain.Link != LinkHub || chain.ARN != hubARN || p.Account == securityID {
			t.Errorf("problem %+v", p)
		}
	}
	if got := w.sim.CallsOf("sts", "AssumeRole"); got > 2 {
		t.Errorf("a hub that cannot be assumed was tried %d times", got)
	}
}

func TestDisabledRegionFallsBack(t *testing.T) {
	t.Parallel()
	cfg := viaHub()
	cfg.Roles = []Role{{ARN: ordersARN, Regions: []string{"ap-east-1"}}}
	var hosts []string
	sim := setup(t, cfg, func(o *Options) {
		inner := o.HTTPClient
		o.BaseConfig.BaseEndpoint = nil
		o.HTTPClient = clientFunc(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			if r.URL.Host == "sts.ap-east-1.amazonaws.com" {
				body := `<ErrorResponse><Error><Code>RegionDisabledException</Code><Message>STS is not activated</Message></Error></ErrorResponse>`
				return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
			}
			return inner.Do(r)
		})
	})
	targets, problems := sim.Targets(t.Context())
	if len(targets) != 1 {
		t.Fatalf("problems %+v", problems)
	}
	want := []string{
		"sts.eu-west-1.amazonaws.com", // the hub
		"sts.ap-east-1.amazonaws.com", "sts.eu-west-1.amazonaws.com",
	}
	if diff := cmp.Diff(want, hosts); diff != "" {
		t.Error(diff)
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:iam::222222222222:role/R":        "sts.eu-west-1.amazonaws.com",
		"arn:aws-cn:iam::222222222222:role/R":     "sts.cn-north-1.amazonaws.com.cn",
		"arn:aws-us-gov:iam::222222222222:role/R": "sts.us-gov-west-1.amazonaws.com",
	} {
		var host string
		cfg := baseConfig(credentials.NewStaticCredentialsProvider("ASIA", "s", "t"))
		cfg.BaseEndpoint = nil
		a, err := New(Config{Roles: []Role{{ARN: arn}}}, Options{
			BaseConfig: cfg, MaxAttempts: 1,
			HTTPClient: clientFunc(func(r *http.Request) (*http.Response, error) {
				host = r.URL.Host
				return nil, errors.New("unreachable")
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, problems := a.Targets(t.Context())
		if host != want {
			t.Errorf("%s: asked %s, want %s", arn, host, want)
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Mend, "cannot be reached") {
			t.Errorf("problems %+v", problems)
		}
	}
}

func TestBaseErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		class Class
		mend  string
	}{
		"nothing configured": {errors.New("failed to refresh cached credentials, no EC2 IMDS role found, operation error"), Denied, "EKS Pod Identity"},
		"an SSO session":     {fmt.Errorf("x: %w", &ssocreds.InvalidTokenError{Err: errors.New("cached SSO token is expired")}), Expired, "aws sso login --profile ops"},
		"a web identity": {
			&smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRoleWithWebIdentity", Err: &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "Token expired: current date/time"}},
			Expired, "projected volume",
		},
		"an OIDC provider": {&smithy.GenericAPIError{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found"}, Denied, "OIDC provider"},
		"an IRSA role": {
			&smithy.GenericAPIError{Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}, Denied,
			"system:serviceaccount:",
		},
	} {
		provider := providerFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, tc.err })
		a, err := New(Config{Profile: "ops"}, Options{
			HTTPClient: &wire{handler: awssim.New(awssim.Options{}).Handler()}, BaseConfig: baseConfig(provider),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, problems := a.Targets(t.Context())
		if len(problems) != 1 {
			t.Fatalf("%s: problems %+v", name, problems)
		}
		var chain *ChainError
		if !errors.As(problems[0].Err, &chain) || chain.Link != LinkBase {
			t.Errorf("%s: %#v", name, problems[0].Err)
		}
		if got := Classify(problems[0].Err); got != tc.class {
			t.Errorf("%s: class is %q", name, got)
		}
		if !strings.Contains(problems[0].Mend, tc.mend) {
			t.Errorf("%s: mend is %q", name, problems[0].Mend)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	response := func(status int, err error) error {
		return &smithy.OperationError{ServiceID: "S", OperationName: "O", Err: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err,
		}}
	}
	api := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "m"} }
	for name, tc := range map[string]struct {
		err  error
		want Class
	}{
		"none":                     {nil, ClassNone},
		"throttled":                {response(400, api("ThrottlingException")), Throttled},
		"throttled by status":      {response(429, api("UnknownError")), Throttled},
		"denied":                   {response(400, api("AccessDeniedException")), Denied},
		"denied by status":         {response(403, api("SomethingNew")), Denied},
		"gone":                     {response(400, api("ResourceNotFoundException")), Gone},
		"gone by status":           {response(404, &smithy.DeserializationError{Err: errors.New("html")}), Gone},
		"expired":                  {response(400, api("ExpiredTokenException")), Expired},
		"invalid":                  {response(400, api("InvalidParameterException")), Invalid},
		"invalid by status":        {response(400, api("SomethingNew")), Invalid},
		"a server's error":         {response(500, api("UnknownError")), Transient},
		"a server's HTML":          {response(502, &smithy.DeserializationError{Err: errors.New("html")}), Transient},
		"a body that broke off":    {response(200, &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}), Cut},
		"a body of something else": {response(200, &smithy.DeserializationError{Err: errors.New("invalid character '<'")}), Cut},
		"no connection":            {&smithyhttp.RequestSendError{Err: io.ErrUnexpectedEOF}, Transient},
		"a concurrent change":      {response(409, api("ConflictException")), Transient},
		"canceled":                 {&smithy.CanceledError{Err: context.Canceled}, Canceled},
		"a deadline":               {context.DeadlineExceeded, Transient},
		"unexplained":              {errors.New("?"), Transient},
		"in a chain":               {fmt.Errorf("x: %w", &ChainError{Link: LinkRole, Err: api("AccessDenied")}), Denied},
	} {
		if got := Classify(tc.err); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
