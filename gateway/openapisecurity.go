package gateway

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// importedAuthorizer is an x-amazon-apigateway-authorizer.
type importedAuthorizer struct {
	Type               string   `json:"type"`
	URI                string   `json:"authorizerUri"`
	TTLSeconds         *int64   `json:"authorizerResultTtlInSeconds"`
	IdentitySource     string   `json:"identitySource"`
	IdentityValidation string   `json:"identityValidationExpression"`
	PayloadVersion     string   `json:"authorizerPayloadFormatVersion"`
	SimpleResponses    bool     `json:"enableSimpleResponses"`
	ProviderARNs       []string `json:"providerARNs"`
	JWT                *struct {
		Issuer   string   `json:"issuer"`
		Audience []string `json:"audience"`
	} `json:"jwtConfiguration"`
}

// takeAuthorizers reads the security schemes that are authorizers.
func (m *importer) takeAuthorizers() error {
	for name, ref := range m.doc.Components.SecuritySchemes {
		if ref == nil || ref.Value == nil {
			continue
		}
		var in importedAuthorizer
		ok, err := into(ref.Value.Extensions, extensionAuthorizer, &in)
		if err != nil {
			return fmt.Errorf("the security scheme %s: %w", clip(name), err)
		}
		if _, there := m.Authorizers[name]; there || !ok {
			continue
		}
		z, err := m.authorizer(&in, ref.Value)
		if err != nil {
			return fmt.Errorf("the security scheme %s: %w", clip(name), err)
		}
		if m.Authorizers == nil {
			m.Authorizers = map[string]Authorizer{}
		}
		m.Authorizers[name] = z
	}
	return nil
}

func (m *importer) authorizer(in *importedAuthorizer, scheme *openapi3.SecurityScheme) (Authorizer, error) {
	z := Authorizer{Type: strings.ToUpper(in.Type), IdentityValidation: in.IdentityValidation, PayloadVersion: in.PayloadVersion, SimpleResponses: in.SimpleResponses}
	for s := range strings.SplitSeq(in.IdentitySource, ",") {
		if s = strings.TrimSpace(s); s != "" {
			z.IdentitySource = append(z.IdentitySource, s)
		}
	}
	if len(z.IdentitySource) == 0 && z.Type != "REQUEST" && scheme.In == "header" && scheme.Name != "" {
		z.IdentitySource = []string{"method.request.header." + scheme.Name}
	}
	if in.TTLSeconds != nil {
		if *in.TTLSeconds < 0 || *in.TTLSeconds > int64(maxAuthorizerTTL/time.Second) {
			return z, fmt.Errorf("authorizerResultTtlInSeconds: %d is not from 0 to 3600", *in.TTLSeconds)
		}
		ttl := time.Duration(*in.TTLSeconds) * time.Second
		z.TTL = &ttl
		if len(z.IdentitySource) == 0 {
			z.TTL = nil
		}
	}
	var err error
	switch z.Type {
	case "TOKEN", "REQUEST":
		z.URL, err = m.function(in.URI)
	case "JWT":
		if in.JWT == nil {
			return z, errors.New("has no jwtConfiguration")
		}
		z.Issuer, z.Audience = in.JWT.Issuer, in.JWT.Audience
	case "COGNITO_USER_POOLS":
		if len(in.ProviderARNs) != 1 {
			return z, errors.New("providerARNs must name one user pool")
		}
		p := strings.SplitN(in.ProviderARNs[0], ":", 6)
		if len(p) != 6 || p[2] != "cognito-idp" || !strings.HasPrefix(p[5], "userpool/") {
			return z, fmt.Errorf("%q is not the ARN of a user pool", clip(in.ProviderARNs[0]))
		}
		z.Issuer = "https://cognito-idp." + p[3] + ".amazonaws.com/" + strings.TrimPrefix(p[5], "userpool/")
	default:
		err = fmt.Errorf("an authorizer of type %q is not known", clip(in.Type))
	}
	return z, err
}

// setSecurity finds how an operation is authorized. What is not understood is an
// error: a route must never be open because its protection could not be read.
func (m *importer) setSecurity(r *Route, op *openapi3.Operation) error {
	requirements := m.doc.Security
	if op.Security != nil {
		requirements = *op.Security
	}
	var auth struct {
		Type string `json:"type"`
	}
	declared, err := into(op.Extensions, extensionAuth, &auth)
	if err != nil {
		return err
	}
	r.Authorization = "NONE"
	for _, requirement := range requirements {
		for name, scopes := range requirement {
			if err := m.require(r, name, scopes); err != nil {
				return err
			}
		}
	}
	if !declared {
		return nil
	}
	switch kind := strings.ToUpper(auth.Type); {
	case kind == "AWS_IAM":
		r.Authorization, r.Authorizer = "AWS_IAM", ""
	case kind == "NONE" && r.Authorization == "NONE":
	case kind == r.Authorization, kind == "":
	default:
		return fmt.Errorf("%s says %q and security says %s", extensionAuth, clip(auth.Type), r.Authorization)
	}
	return nil
}

func (m *importer) require(r *Route, name string, scopes []string) error {
	if m.doc.Components == nil {
		return fmt.Errorf("the document has no security scheme %q", clip(name))
	}
	ref := m.doc.Components.SecuritySchemes[name]
	if ref == nil || ref.Value == nil {
		return fmt.Errorf("the document has no security scheme %q", clip(name))
	}
	set := func(authorization, authorizer string) error {
		if r.Authorization != "NONE" {
			return errors.New("security asks for more than one way of authorization")
		}
		r.Authorization, r.Authorizer = authorization, authorizer
		return nil
	}
	if z, ok := m.Authorizers[name]; ok {
		r.Scopes = scopes
		switch z.Type {
		case "JWT", "COGNITO_USER_POOLS":
			return set(z.Type, name)
		default:
			return set("CUSTOM", name)
		}
	}
	var kind string
	if _, err := into(ref.Value.Extensions, extensionAuthType, &kind); err != nil {
		return err
	}
	switch {
	case strings.EqualFold(kind, "awsSigv4"):
		return set("AWS_IAM", "")
	case ref.Value.Type == "apiKey" && kind == "" && strings.EqualFold(ref.Value.Name, "x-api-key") && m.Type != string(transaction.HTTP):
		r.APIKeyRequired = true
		return nil
	}
	return fmt.Errorf("the security scheme %q is none that API Gateway knows: it has no %s and no authtype awsSigv4", clip(name), extensionAuthorizer)
}
