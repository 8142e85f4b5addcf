package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// maxAuthorizerResult is the largest answer of a Lambda authorizer.
const maxAuthorizerResult = 8 << 10

// authorizerEvent is what a Lambda authorizer is given.
func (c *call) authorizerEvent(z *authorizer, resource string, identities []string) []byte {
	var event map[string]any
	switch {
	case z.Type == "TOKEN":
		event = map[string]any{"type": "TOKEN", "methodArn": resource, "authorizationToken": identities[0]}
	case z.v2:
		event = c.eventV2()
		delete(event, "body")
		delete(event, "isBase64Encoded")
		event["type"], event["routeArn"], event["identitySource"] = "REQUEST", resource, identities
	default:
		event = c.eventV1()
		delete(event, "body")
		delete(event, "isBase64Encoded")
		event["type"], event["methodArn"] = "REQUEST", resource
		if c.api.kind == transaction.HTTP {
			event["identitySource"] = strings.Join(identities, ",")
			event["authorizationToken"] = strings.Join(identities, ",")
		}
	}
	return encode(event)
}

// encode writes JSON as API Gateway does, with angle brackets and ampersands as
// they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // events hold nothing that JSON cannot
		return []byte("{}")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// answer is what a function endpoint answered.
type answer struct {
	status        int
	body          []byte
	functionError bool
	requestID     string
}

// errTooLarge means that an endpoint's answer is larger than its limit.
var errTooLarge = errors.New("the answer is too large")

// invoke posts an event to a function endpoint.
func (g *Gateway) invoke(ctx context.Context, url string, event []byte, limit int64) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	resp, err := g.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, errTooLarge
	}
	return &answer{
		status: resp.StatusCode, body: body, functionError: resp.Header.Get("X-Amz-Function-Error") != "",
		requestID: resp.Header.Get("X-Amzn-Requestid"),
	}, nil
}

// unauthorized reports whether the function said so: by raising "Unauthorized",
// or, as plain HTTP endpoints do, by status 401.
func (a *answer) unauthorized() bool {
	if a.status == http.StatusUnauthorized {
		return true
	}
	if !a.functionError {
		return false
	}
	var failure struct {
		Message string `json:"errorMessage"`
	}
	return json.Unmarshal(a.body, &failure) == nil && failure.Message == "Unauthorized"
}

// readResult reads an authorizer's answer: a policy, or an HTTP API's simple
// response. What cannot be read allows nothing.
func (z *authorizer) readResult(body []byte) (*authorizerResult, error) {
	var in struct {
		PrincipalID        *string         `json:"principalId"`
		PolicyDocument     json.RawMessage `json:"policyDocument"`
		Context            map[string]any  `json:"context"`
		UsageIdentifierKey string          `json:"usageIdentifierKey"`
		IsAuthorized       *bool           `json:"isAuthorized"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("reading the result: %w", err)
	}
	if d.More() {
		return nil, errors.New("reading the result: there is more than one value")
	}
	out := &authorizerResult{context: in.Context, usageKey: in.UsageIdentifierKey}
	if z.SimpleResponses {
		if in.IsAuthorized == nil {
			return nil, errors.New("the simple response has no isAuthorized")
		}
		out.simple, out.allowed = true, *in.IsAuthorized
		return out, nil
	}
	if in.PrincipalID == nil || len(in.PolicyDocument) == 0 {
		return nil, errors.New("the result has no principalId or no policyDocument")
	}
	if !z.v2 {
		for k, v := range in.Context {
			switch v.(type) {
			case map[string]any, []any:
				return nil, fmt.Errorf("the context's %s is not a text, a number or a boolean", clip(k))
			}
		}
	}
	p, err := iam.ParseAndCompile(iam.KindIdentity, in.PolicyDocument)
	if err != nil {
		return nil, fmt.Errorf("the policy document: %w", err)
	}
	out.principal = *in.PrincipalID
	out.policies.Identity = []iam.Attached{{Name: "policy of the authorizer " + z.name, Policy: p}}
	return out, nil
}
