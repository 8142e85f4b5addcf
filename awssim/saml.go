package awssim

import (
	"crypto/sha1" //nolint:gosec // the name qualifier that AWS defines, no signature
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// SAMLProvider is a SAML identity provider that an account trusts.
type SAMLProvider struct {
	Name string
	// Metadata is the provider's EntityDescriptor. Its certificates verify the
	// provider's responses.
	Metadata string
}

type samlProvider struct {
	arn, name, entity string
	certificates      []*x509.Certificate
}

// What AWS's own metadata asks of a response.
const (
	samlRecipient = "https://signin.aws.amazon.com/saml"
	samlAudience  = "urn:amazon:webservices"
	samlAttribute = "https://aws.amazon.com/SAML/Attributes/"
	maxAssertion  = 100_000
)

// AddSAMLProvider registers a provider and returns its ARN, which trust policies
// name as Principal.Federated. It panics if the metadata has no entity or no
// certificate to verify signatures with.
func (a *Account) AddSAMLProvider(p SAMLProvider) string {
	arn := "arn:" + a.sim.partition + ":iam::" + a.id + ":saml-provider/" + p.Name
	s, err := readMetadata(p.Metadata)
	if err != nil {
		panic("awssim: the metadata of " + arn + ": " + err.Error())
	}
	s.arn, s.name = arn, p.Name
	a.mu.Lock()
	defer a.mu.Unlock()
	a.saml[arn] = s
	return arn
}

func (a *Account) samlProvider(arn string) *samlProvider {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.saml[arn]
}

func readMetadata(text string) (*samlProvider, error) {
	root, err := parseXML(text)
	if err != nil {
		return nil, err
	}
	p := &samlProvider{entity: root.attr("entityID")}
	if !root.is(nsMetadata, "EntityDescriptor") || p.entity == "" {
		return nil, errors.New("it is not an EntityDescriptor with an entityID")
	}
	idp := root.only(nsMetadata, "IDPSSODescriptor")
	if idp == nil {
		return nil, errors.New("it has no IDPSSODescriptor")
	}
	for _, descriptor := range idp.elements(nsMetadata, "KeyDescriptor") {
		if use := descriptor.attr("use"); use != "" && use != "signing" {
			continue
		}
		var bad error
		descriptor.walk(func(e *element) {
			if !e.is(nsSignature, "X509Certificate") {
				return
			}
			der, err := decodeBase64(e.text())
			if err == nil {
				var c *x509.Certificate
				if c, err = x509.ParseCertificate(der); err == nil {
					p.certificates = append(p.certificates, c)
				}
			}
			bad = errors.Join(bad, err)
		})
		if bad != nil {
			return nil, fmt.Errorf("a certificate: %w", bad)
		}
	}
	if len(p.certificates) == 0 {
		return nil, errors.New("it has no certificate to verify signatures with")
	}
	return p, nil
}

// samlSubject is what a response says of who signed in.
type samlSubject struct{ subject, kind, issuer, audience, qualifier string }

// keys are the condition keys that a session keeps of it.
func (s *samlSubject) keys() iam.Context {
	if s.subject == "" {
		return nil
	}
	return iam.Context{"saml:sub": {s.subject}, "saml:sub_type": {s.kind}, "saml:namequalifier": {s.qualifier}}
}

// prepareSAML reads the input and verifies the response.
func prepareSAML(x *exchange) error {
	in := &assumeInput{tags: map[string]string{}}
	if err := in.readFederatedRole(x); err != nil {
		return err
	}
	if err := in.readSession(x); err != nil {
		return err
	}
	arn := x.form.Get("PrincipalArn")
	p := x.account.samlProvider(arn)
	if p == nil {
		return invalidIdentityToken("Specified provider doesn't exist")
	}
	text := x.form.Get("SAMLAssertion")
	if len(text) < 4 || len(text) > maxAssertion {
		return validation("1 validation error detected: Value at 'sAMLAssertion' failed to satisfy constraint: Member must have length between 4 and %d", maxAssertion)
	}
	response, err := decodeBase64(text)
	if err != nil {
		return invalidIdentityToken("Invalid base64 SAMLResponse")
	}
	assertion, err := p.verify(string(response))
	if err != nil {
		return err
	}
	if err := in.readAssertion(x, p, assertion); err != nil {
		return err
	}
	in.trustProvider(x, p.arn)
	c := x.call.Context
	for key, value := range map[string]string{
		"saml:aud": in.saml.audience, "saml:iss": in.saml.issuer, "saml:sub": in.saml.subject,
		"saml:sub_type": in.saml.kind, "saml:namequalifier": in.saml.qualifier,
	} {
		c[key] = []string{value}
	}
	in.addContext(x)
	return nil
}

// verify returns the response's one assertion, if it, or the response around it,
// is signed by the provider. Nothing outside the signed element is read but the
// status, which can only refuse.
func (p *samlProvider) verify(text string) (*element, error) {
	root, err := parseXML(text)
	if err != nil || !root.is(nsProtocol, "Response") {
		return nil, invalidIdentityToken("Invalid SAML response")
	}
	status := root.only(nsProtocol, "Status").only(nsProtocol, "StatusCode")
	if status == nil || status.attr("Value") != "urn:oasis:names:tc:SAML:2.0:status:Success" {
		return nil, invalidIdentityToken("SAML response does not report success")
	}
	assertions, encrypted, ids := 0, false, map[string]int{}
	root.walk(func(e *element) {
		switch {
		case e.is(nsAssertion, "Assertion"):
			assertions++
		case e.is(nsAssertion, "EncryptedAssertion"):
			encrypted = true
		}
		for _, a := range e.attrs {
			if strings.EqualFold(a.local, "id") {
				ids[a.value]++
			}
		}
	})
	for _, n := range ids {
		if n > 1 {
			// Two elements of one ID: the one that is signed and the one that is read
			// might differ.
			return nil, invalidIdentityToken("Response signature invalid")
		}
	}
	assertion := root.only(nsAssertion, "Assertion")
	switch {
	case encrypted:
		return nil, invalidIdentityToken("Encrypted assertions are not supported")
	case assertions != 1 || assertion == nil:
		return nil, invalidIdentityToken("SAML response must have one assertion")
	}
	signed := 0
	for _, e := range []*element{root, assertion} {
		if len(e.elements(nsSignature, "Signature")) == 0 {
			continue
		}
		if err := verifyElement(e, p.certificates); err != nil {
			return nil, invalidIdentityToken("Response signature invalid")
		}
		signed++
	}
	if signed == 0 {
		return nil, invalidIdentityToken("Response signature invalid")
	}
	return assertion, nil
}

// readAssertion checks what the assertion says and reads the session from it.
func (in *assumeInput) readAssertion(x *exchange, p *samlProvider, a *element) error {
	now := x.sim.clock()
	if a.only(nsAssertion, "Issuer").text() != p.entity {
		return invalidIdentityToken("Issuer not present in specified provider")
	}
	conditions := a.only(nsAssertion, "Conditions")
	if conditions == nil {
		return invalidIdentityToken("SAML assertion has no Conditions")
	}
	if err := checkTimes(conditions, now, false); err != nil {
		return err
	}
	audiences := conditions.only(nsAssertion, "AudienceRestriction")
	if audiences == nil || !slices.ContainsFunc(audiences.elements(nsAssertion, "Audience"), func(e *element) bool {
		return e.text() == samlAudience || e.text() == samlRecipient
	}) {
		return invalidIdentityToken("SAML Assertion audience is invalid")
	}
	subject := a.only(nsAssertion, "Subject")
	name := subject.only(nsAssertion, "NameID")
	data := subject.only(nsAssertion, "SubjectConfirmation").only(nsAssertion, "SubjectConfirmationData")
	if name.text() == "" || data == nil || data.attr("Recipient") != samlRecipient {
		return invalidIdentityToken("SAML assertion has no Subject for " + samlRecipient)
	}
	if err := checkTimes(data, now, true); err != nil {
		return err
	}
	kind := name.attr("Format")
	kind = kind[strings.LastIndexByte(kind, ':')+1:]
	if kind != "persistent" && kind != "transient" {
		kind = name.attr("Format")
	}
	sum := sha1.Sum([]byte(p.entity + in.account + "/" + p.name)) //nolint:gosec // AWS's definition
	in.saml = samlSubject{
		subject: name.text(), kind: kind, issuer: p.entity, audience: samlRecipient,
		qualifier: base64.StdEncoding.EncodeToString(sum[:]),
	}
	return in.readAttributes(x, p, a)
}

// checkTimes checks NotBefore and NotOnOrAfter.
func checkTimes(e *element, now time.Time, mustEnd bool) error {
	if text := e.attr("NotBefore"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil || t.After(now.Add(tokenSkew)) {
			return invalidIdentityToken("SAML assertion is not valid yet")
		}
	}
	text := e.attr("NotOnOrAfter")
	if text == "" && !mustEnd {
		return nil
	}
	if t, err := time.Parse(time.RFC3339, text); err != nil || !now.Before(t) {
		return &Error{Code: "ExpiredTokenException", Message: "Token must be redeemed within 5 minutes of issuance"}
	}
	return nil
}

// readAttributes reads the role that the provider gives, and the session.
func (in *assumeInput) readAttributes(x *exchange, p *samlProvider, a *element) error {
	values := map[string][]string{}
	for _, statement := range a.elements(nsAssertion, "AttributeStatement") {
		for _, attribute := range statement.elements(nsAssertion, "Attribute") {
			for _, v := range attribute.elements(nsAssertion, "AttributeValue") {
				values[attribute.attr("Name")] = append(values[attribute.attr("Name")], v.text())
			}
		}
	}
	granted := slices.ContainsFunc(values[samlAttribute+"Role"], func(pair string) bool {
		one, two, _ := strings.Cut(pair, ",")
		one, two = strings.TrimSpace(one), strings.TrimSpace(two)
		return one == in.arn && two == p.arn || one == p.arn && two == in.arn
	})
	if !granted {
		return ErrAccessDenied
	}
	single := func(name string) string {
		if v := values[samlAttribute+name]; len(v) == 1 {
			return v[0]
		}
		return ""
	}
	if in.session = single("RoleSessionName"); !validSessionName(in.session) {
		return invalidIdentityToken("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
	}
	if text := single("SessionDuration"); text != "" && x.form.Get("DurationSeconds") == "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 900 || n > 43200 {
			return invalidIdentityToken("SessionDuration in AuthnResponse must be between 900 and 43200")
		}
		in.duration = time.Duration(n) * time.Second
	}
	in.source = single("SourceIdentity")
	for name, v := range values {
		key, ok := strings.CutPrefix(name, samlAttribute+"PrincipalTag:")
		if !ok {
			continue
		}
		if len(v) != 1 {
			return invalidIdentityToken("The tag " + key + " does not have one value")
		}
		if err := in.addTag(key, v[0]); err != nil {
			return err
		}
	}
	for _, key := range values[samlAttribute+"TransitiveTagKeys"] {
		if _, ok := in.tags[key]; !ok {
			return validation("One of the specified transitive tag keys was not passed as a session tag: %s", key)
		}
		in.transitive = append(in.transitive, key)
	}
	return nil
}

func assumeRoleWithSAML(x *exchange) error {
	in, c, err := x.assume()
	if err != nil {
		return err
	}
	user, creds := onWire(c)
	return x.answerXML("AssumeRoleWithSAML", struct {
		XMLName         xml.Name `xml:"AssumeRoleWithSAMLResult"`
		SourceIdentity  string   `xml:",omitempty"`
		Subject         string
		SubjectType     string
		Issuer          string
		Audience        string
		NameQualifier   string
		AssumedRoleUser assumedUser
		Credentials     wireCredentials
	}{
		SourceIdentity: in.source, Subject: in.saml.subject, SubjectType: in.saml.kind, Issuer: in.saml.issuer,
		Audience: in.saml.audience, NameQualifier: in.saml.qualifier, AssumedRoleUser: user, Credentials: creds,
	})
}
