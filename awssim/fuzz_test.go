package awssim_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// FuzzHandler sends anything to the handler: it must answer, never with a
// server error, and must not panic.
func FuzzHandler(f *testing.F) {
	sim := awssim.New(awssim.Options{Control: true})
	a := sim.Account(orders)
	a.AddRole(awssim.Role{Name: "R", TrustedAccounts: []string{orders}})
	a.AddOIDCProvider(awssim.OIDCProvider{URL: issuer, ClientIDs: []string{"x"}, JWKS: `{"keys":[]}`})
	metadata, err := os.ReadFile("testdata/saml/metadata.xml")
	if err != nil {
		f.Fatal(err)
	}
	a.AddSAMLProvider(awssim.SAMLProvider{Name: "idp", Metadata: string(metadata)})
	r := a.Region(region)
	r.AddRESTAPI(petStore())
	r.AddHTTPAPI(awssim.API{ID: "http01", Routes: []awssim.Route{{Key: "$default"}}})
	r.Logs().Put("g", "s", awssim.LogEvent{Timestamp: 1, Message: "x"})
	a.SetAccessKey("admin", "AKIAFUZZ", "secret")

	for _, seed := range []struct{ method, path, service, target, body string }{
		{"POST", "/", "logs", "Logs_20140328.FilterLogEvents", `{"logGroupName":"g","limit":1,"nextToken":"x"}`},
		{"POST", "/", "logs", "Logs_20140328.GetLogEvents", `{"logGroupName":"g","logStreamName":"s","nextToken":"f/0/s"}`},
		{"POST", "/", "logs", "Logs_20140328.PutLogEvents", `{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"m"}]}`},
		{"POST", "/", "logs", "Logs_20140328.DescribeLogStreams", `{"logGroupIdentifier":"arn:aws:logs:eu-west-1:222222222222:log-group:g","orderBy":"LastEventTime"}`},
		{"POST", "/", "logs", "Logs_20140328.DescribeLogGroups", `{"limit":1}`},
		{"POST", "/", "sts", "", "Action=AssumeRole&RoleArn=arn:aws:iam::222222222222:role/R&RoleSessionName=s"},
		{"POST", "/", "sts", "", "Action=AssumeRole&RoleArn=arn:aws:iam::222222222222:role/R&RoleSessionName=s2&Policy=%7B%7D&Tags.member.1.Key=a&TransitiveTagKeys.member.1=a&SourceIdentity=x"},
		{"POST", "/", "", "", "Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::222222222222:role/R&RoleSessionName=s2&WebIdentityToken=eyJhbGciOiJSUzI1NiJ9.e30.e30"},
		{"POST", "/", "", "", "Action=AssumeRoleWithSAML&RoleArn=arn:aws:iam::222222222222:role/R&PrincipalArn=arn:aws:iam::222222222222:saml-provider/idp&SAMLAssertion=PGEvPg=="},
		{"POST", "/", "organizations", "AWSOrganizationsV20161128.ListAccounts", `{}`},
		{"POST", "/listRegions", "account", "", `{"MaxResults":3}`},
		{"GET", "/restapis/abc123/resources?embed=methods&limit=1&position=x", "apigateway", "", ""},
		{"GET", "/restapis/abc123/stages/prod/exports/oas30?extensions=apigateway", "apigateway", "", ""},
		{"GET", "/v2/apis/http01/exports/OAS30?outputType=JSON", "apigateway", "", ""},
		{"GET", "/v2/apis/%2F/routes", "apigateway", "", ""},
		{"GET", "/?X-Amz-Credential=AKIAFUZZ%2F1%2Feu-west-1%2Fsts%2Faws4_request&Action=GetCallerIdentity", "", "", ""},
		{"POST", "/_awssim/faults", "", "", `{"kind":"late","delay":"1ms","times":1,"group":"none"}`},
	} {
		f.Add(seed.method, seed.path, seed.service, seed.target, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, path, service, target, body string) {
		u, err := url.Parse("http://awssim" + path)
		if err != nil || strings.HasPrefix(u.Path, "/_awssim/") && strings.Contains(body, "cut") {
			return
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://awssim/", strings.NewReader(body))
		req.Method, req.URL = method, u
		req.Header.Set("X-Amz-Target", target)
		if service != "" {
			signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKeyID: "AKIAFUZZ", SecretAccessKey: "secret"}, Service: service, Region: region}
			req.RequestURI = u.RequestURI()
			if _, err := signer.Sign(req, time.Now()); err != nil {
				return
			}
		}
		w := httptest.NewRecorder()
		sim.Handler().ServeHTTP(w, req)
		if w.Code >= 500 && len(sim.Faults()) == 0 {
			t.Errorf("%s %s of %s was answered %d %s", method, path, service, w.Code, w.Body)
		}
		sim.ClearFaults()
	})
}
