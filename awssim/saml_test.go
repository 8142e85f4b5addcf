package awssim_test

import (
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	accounts "github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// The responses of testdata/saml were signed with signxml, and canonical.json was
// written by lxml, so that this package's canonical form is not its own judge.
// Their keys are gone; the responses are of 2026-03-01 12:00, when the clock of
// the tests stands.

func samlFile(t *testing.T, name string) string {
	t.Helper()
	return string(must[[]byte](t)(os.ReadFile("testdata/saml/" + name + ".xml")))
}

func samlWorld(t *testing.T) (*world, string, func(role, provider, response string) (*sts.AssumeRoleWithSAMLOutput, error)) {
	t.Helper()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	provider := a.AddSAMLProvider(awssim.SAMLProvider{Name: "idp", Metadata: samlFile(t, "metadata")})
	arn := a.AddRole(awssim.Role{Name: "Federated", Allow: []string{"logs:*"}, TrustPolicy: `{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
		"Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml", "saml:sub_type": "persistent"}}
	}}`})
	client := sts.NewFromConfig(aws.Config{Region: region, BaseEndpoint: &w.url, RetryMaxAttempts: 1, HTTPClient: accounts.Connections(nil)})
	return w, arn, func(role, provider, response string) (*sts.AssumeRoleWithSAMLOutput, error) {
		return client.AssumeRoleWithSAML(ctx(t), &sts.AssumeRoleWithSAMLInput{
			RoleArn: &role, PrincipalArn: &provider, SAMLAssertion: aws.String(base64.StdEncoding.EncodeToString([]byte(response))),
		})
	}
}

const samlProvider = "arn:aws:iam::222222222222:saml-provider/idp"

func TestAssumeRoleWithSAML(t *testing.T) {
	t.Parallel()
	w, arn, call := samlWorld(t)
	for _, name := range []string{"assertion-rsa", "assertion-ecdsa", "response-rsa"} {
		out, err := call(arn, samlProvider, samlFile(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if *out.Subject != "alice & böb" || *out.SubjectType != "persistent" || *out.Issuer != "https://idp.example.com/saml" || *out.AssumedRoleUser.Arn != "arn:aws:sts::222222222222:assumed-role/Federated/alice@example.com" {
			t.Errorf("%s: the answer is %q %q %q %q", name, *out.Subject, *out.SubjectType, *out.Issuer, *out.AssumedRoleUser.Arn)
		}
		c := out.Credentials
		if caller, ok := w.sim.Caller(*c.AccessKeyId); !ok || !slices.Equal(caller.Context["saml:sub"], []string{"alice & böb"}) {
			t.Errorf("%s: the session keeps %v", name, caller.Context)
		}
		must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(w.config(awssim.Credentials{
			AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken,
		})).GetCallerIdentity(ctx(t), nil))
	}
}

// People whom IAM Identity Center knows take a role under their own name alone.
func TestSessionsOfSAMLKeepTheirSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	sso := awssim.Role{Name: "AWSReservedSSO_Dev_0123456789abcdef", Path: "/aws-reserved/sso.amazonaws.com/eu-west-1/", Allow: []string{"sts:AssumeRole"}}
	a.AddRole(sso)
	lent := a.AddRole(awssim.Role{Name: "Lent", TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole",
		"Condition":{"StringEqualsIgnoreCase":{"sts:RoleSessionName":"${SAML:sub}"},
		"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_*"}}}]}`})
	for name, c := range map[string]struct {
		key     awssim.Credentials
		session string
		allow   bool
	}{
		"under her own name":     {a.SAMLSession(sso.Name, "alice@example.com", time.Hour), "alice@example.com", true},
		"in another case":        {a.SAMLSession(sso.Name, "alice@example.com", time.Hour), "Alice@Example.com", true},
		"under another's name":   {a.SAMLSession(sso.Name, "bob@example.com", time.Hour), "alice@example.com", false},
		"from no SAML at all":    {a.Session(sso.Name, "alice@example.com", time.Hour), "alice@example.com", false},
		"named like the unknown": {a.Session(sso.Name, "alice@example.com", time.Hour), "${SAML:sub}", false},
	} {
		_, err := sts.NewFromConfig(w.config(c.key)).AssumeRole(ctx(t), &sts.AssumeRoleInput{RoleArn: &lent, RoleSessionName: &c.session})
		if c.allow != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSAMLRefused(t *testing.T) {
	t.Parallel()
	w, arn, call := samlWorld(t)
	signed, whole := samlFile(t, "assertion-rsa"), samlFile(t, "response-rsa")
	cut := func(s, from, to string) (before, middle, after string) {
		i := strings.Index(s, from)
		j := strings.Index(s, to) + len(to)
		return s[:i], s[i:j], s[j:]
	}
	replace := func(s, old, by string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("there is no %q to replace", old)
		}
		return strings.ReplaceAll(s, old, by)
	}
	head, assertion, tail := cut(signed, "<saml:Assertion", "</saml:Assertion>")
	_, signature, _ := cut(assertion, "<ds:Signature", "</ds:Signature>")
	evil := replace(replace(assertion, signature, ""), "alice@example.com", "admin@example.com")
	const (
		bad  = "Response signature invalid"
		one  = "SAML response must have one assertion"
		form = "Invalid SAML response"
	)
	other := "arn:aws:iam::222222222222:role/Other"
	w.sim.Account(orders).AddRole(awssim.Role{Name: "Other", TrustPolicy: `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Federated": "` + samlProvider + `"}, "Action": "sts:AssumeRoleWithSAML"}}`})
	for _, test := range []struct{ name, role, provider, response, code, message string }{
		{"session name changed", arn, samlProvider, replace(signed, "alice@example.com", "admin@example.com"), "InvalidIdentityToken", bad},
		{"a space more", arn, samlProvider, replace(signed, "<saml:Subject>", "<saml:Subject> "), "InvalidIdentityToken", bad},
		{"attribute changed", arn, samlProvider, replace(signed, `2026-03-01T12:05:00Z`, `2027-03-01T12:05:00Z`), "InvalidIdentityToken", bad},
		{"namespace changed", arn, samlProvider, replace(whole, `xmlns:xs="http://www.w3.org/2001/XMLSchema"`, `xmlns:xs="urn:x" saml:x="1"`), "InvalidIdentityToken", bad},
		{"not signed", arn, samlProvider, replace(signed, signature, ""), "InvalidIdentityToken", bad},
		{"signed by another", arn, samlProvider, replace(signed, signature, replace(signature, "rsa-sha256", "rsa-sha1")), "InvalidIdentityToken", bad},
		{"evil assertion before the signed one", arn, samlProvider, head + evil + assertion + tail, "InvalidIdentityToken", bad},
		{"evil assertion of another id", arn, samlProvider, head + replace(evil, `"_a1"`, `"_a2"`) + assertion + tail, "InvalidIdentityToken", one},
		{"signed one wrapped into the evil one", arn, samlProvider, head + replace(replace(evil, `"_a1"`, `"_a2"`), "<saml:Subject>", "<saml:Advice>"+assertion+"</saml:Advice><saml:Subject>") + tail, "InvalidIdentityToken", one},
		{"signature of the other element", arn, samlProvider, head + replace(evil, "<saml:Subject>", signature+"<saml:Subject>") + tail, "InvalidIdentityToken", bad},
		{"two signatures", arn, samlProvider, replace(signed, signature, signature+signature), "InvalidIdentityToken", bad},
		{"comment in the name", arn, samlProvider, replace(signed, "alice@example.com", "alice@example.com<!-- -->"), "InvalidIdentityToken", form},
		{"document type", arn, samlProvider, `<!DOCTYPE a [<!ENTITY x "y">]>` + signed, "InvalidIdentityToken", form},
		{"two roots", arn, samlProvider, signed + signed, "InvalidIdentityToken", form},
		{"an open tag", arn, samlProvider, signed[:len(signed)-5], "InvalidIdentityToken", form},
		{"deep", arn, samlProvider, strings.Repeat("<a>", 1000), "InvalidIdentityToken", form},
		{"undeclared prefix", arn, samlProvider, "<x:a/>", "InvalidIdentityToken", form},
		{"not a response", arn, samlProvider, "<a/>", "InvalidIdentityToken", form},
		{"failed", arn, samlProvider, replace(signed, "status:Success", "status:Responder"), "InvalidIdentityToken", "SAML response does not report success"},
		{"encrypted", arn, samlProvider, head + assertion + `<e:EncryptedAssertion xmlns:e="urn:oasis:names:tc:SAML:2.0:assertion"/>` + tail, "InvalidIdentityToken", "Encrypted assertions are not supported"},
		{"no such provider", arn, samlProvider + "x", signed, "InvalidIdentityToken", "Specified provider doesn't exist"},
		{"role that is not in the response", other, samlProvider, signed, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
		{"role that does not exist", "arn:aws:iam::222222222222:role/None", samlProvider, signed, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := call(test.role, test.provider, test.response)
			wantCode(t, err, test.code, test.message)
		})
	}
}

func TestSAMLTrustAndTime(t *testing.T) {
	t.Parallel()
	w, arn, call := samlWorld(t)
	signed := samlFile(t, "assertion-rsa")
	w.sim.Account(orders).AddRole(awssim.Role{Name: "Federated", TrustPolicy: `{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Principal": {"Federated": "` + samlProvider + `"}, "Action": "sts:AssumeRoleWithSAML"}}`})
	_, err := call(arn, samlProvider, signed)
	wantCode(t, err, "AccessDenied", "Not authorized to perform sts:TagSession")
	w.sim.Account(orders).AddRole(awssim.Role{Name: "Federated", TrustPolicy: `{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Principal": {"Federated": "` + samlProvider + `x"}, "Action": "sts:*"}}`})
	_, err = call(arn, samlProvider, signed)
	wantCode(t, err, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
	w.clock.Advance(5 * time.Minute)
	_, err = call(arn, samlProvider, signed)
	wantCode(t, err, "ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
	w.clock.Advance(-2 * time.Hour)
	_, err = call(arn, samlProvider, signed)
	wantCode(t, err, "InvalidIdentityToken", "SAML assertion is not valid yet")
}
