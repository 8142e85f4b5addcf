package gateway

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/sigv4"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// authorize decides whether the call may go on. nil is the only answer that lets
// it.
func (c *call) authorize() *refusal {
	if c.route.auth == iam.AuthNone && c.api.policy.Policy == nil && !c.api.private {
		return nil
	}
	resource := c.resource()
	if f := c.checkARN(resource); f != nil {
		return f
	}
	if f := c.checkEndpoint(); f != nil {
		return f
	}
	switch c.route.auth {
	case iam.AuthNone:
		return c.decide("execute-api:Invoke", resource, nil)
	case iam.AuthIAM:
		if f := c.authenticate(); f != nil {
			return f
		}
		return c.decide("execute-api:Invoke", resource, &c.who.Policies)
	case iam.AuthLambda:
		return c.authorizeByLambda()
	case iam.AuthCognito:
		if f := c.authorizeByJWT(); f != nil {
			return f
		}
		if c.api.kind == transaction.HTTP {
			return nil
		}
		return c.decide("execute-api:Invoke", resource, nil)
	default:
		return refuse("ACCESS_DENIED")
	}
}

// resource is the ARN of the method that is called, with the path of this call.
func (c *call) resource() string {
	if c.socket != nil {
		return c.api.arn + c.stage.Name + "/" + c.route.key
	}
	path := c.path
	if c.api.kind == transaction.REST && len(path) > 1 {
		// A trailing slash leads to the same resource, and so to the same policy.
		path = strings.TrimRight(path, "/")
		if path == "" {
			path = "/"
		}
	}
	return c.api.arn + c.stage.Name + "/" + c.r.Method + path
}

// authenticate verifies the signature and finds whose it is.
func (c *call) authenticate() *refusal {
	if f := c.readBody(); f != nil {
		return f
	}
	verified, err := c.g.verifier(c.api.Region).VerifyBody(c.r, c.body, c.start)
	if err != nil {
		c.denied = "authentication"
		return c.unverified(err)
	}
	who, err := c.g.credentials.Lookup(verified.Credentials.AccessKeyID)
	if err != nil || who == nil || who.SecretAccessKey != verified.Credentials.SecretAccessKey {
		// The key was replaced between the two look-ups.
		c.denied = "authentication"
		return c.unverified(err)
	}
	c.who = who
	return nil
}

// signatureKinds are the gateway response types of signature errors.
var signatureKinds = map[string]string{
	sigv4.CodeMissingToken: "MISSING_AUTHENTICATION_TOKEN",
	sigv4.CodeExpiredToken: "EXPIRED_TOKEN",
	sigv4.CodeIncomplete:   "INVALID_SIGNATURE",
	sigv4.CodeInvalid:      "INVALID_SIGNATURE",
	sigv4.CodeUnrecognized: "INVALID_SIGNATURE",
}

func (c *call) unverified(err error) *refusal {
	var e *sigv4.Error
	if !errors.As(err, &e) {
		if err != nil {
			c.g.log.Error("cannot verify a signature", "api", c.api.ID, "request_id", c.id, "error", err)
		}
		return refuse("API_CONFIGURATION_ERROR").spaced().because("Execution failed due to configuration error: the credentials could not be looked up")
	}
	kind, ok := signatureKinds[e.Code]
	if !ok {
		kind = "ACCESS_DENIED"
	}
	f := refuse(kind)
	f.status, f.errorType, f.message = http.StatusForbidden, e.Code, e.Message
	// The log has the summary alone: the message repeats the canonical request,
	// and with it what the caller sent.
	cause := "The client is not authorized to perform this operation."
	if e.Code == sigv4.CodeMissingToken {
		cause = "Missing Authentication Token"
	}
	return f.because(cause)
}

// checkHeader complains of an Authorization header that cannot be one, as API
// Gateway does even where there is no such resource.
func (c *call) checkHeader() *refusal {
	if c.r.Header.Get("Authorization") == "" {
		return nil
	}
	_, err := c.g.verifier(c.api.Region).VerifyBody(c.r, nil, c.start)
	var e *sigv4.Error
	if errors.As(err, &e) && e.Code == sigv4.CodeIncomplete {
		return c.unverified(err)
	}
	return nil
}

// decide asks package iam. identity are the policies of the caller's side; nil
// for a caller without any.
func (c *call) decide(action, resource string, identity *iam.Policies) *refusal {
	if ok, message := c.allows(action, resource, c.route.auth, identity); !ok {
		return c.accessDenied(message)
	}
	return nil
}

// allows is decide with the way of authorization given; message is what a denial
// says.
func (c *call) allows(action, resource string, auth iam.Auth, identity *iam.Policies) (ok bool, message string) {
	request := iam.Request{
		Action: action, Resource: resource, Auth: auth, API: iam.API(c.api.kind), Private: c.api.private,
		Context: c.conditionKeys(),
	}
	if c.who != nil {
		request.Principal = c.who.Principal
	}
	query, err := request.Prepare()
	if err != nil {
		// A path that is too long, or a context key that is there twice.
		c.g.log.Warn("a call cannot be decided", "api", c.api.ID, "request_id", c.id, "error", err)
		return false, "User is not authorized to access this resource"
	}
	var policies iam.Policies
	if identity != nil {
		policies = *identity
	}
	policies.Resource = c.api.policy
	if policies.Decide(query) == iam.Allowed {
		return true, ""
	}
	return false, iam.Evaluate(&policies, query).Message()
}

// accessDenied is a denial by policy. The bodies of IAM's denials have a capital
// M; those of a Lambda authorizer's do not.
func (c *call) accessDenied(message string) *refusal {
	c.denied = "authorization"
	f := refuse("ACCESS_DENIED").saying(message).because(message)
	if strings.HasPrefix(message, "User: ") {
		f.body = `{"Message":` + quote(message) + `}`
	} else {
		f.cause = []string{"The client is not authorized to perform this operation."}
	}
	return f
}

// conditionKeys are the keys that API Gateway gives to every policy, and those of
// the principal.
func (c *call) conditionKeys() iam.Context {
	keys := make(iam.Context, 8)
	brought := c.who != nil && len(c.who.Context) > 0
	if c.who != nil {
		maps.Copy(keys, c.who.Context)
		if c.who.UserID != "" {
			keys["aws:userid"] = []string{c.who.UserID}
		}
	}
	at := c.start.UTC()
	// Through a VPC endpoint the caller's address is one of the VPC, and
	// aws:SourceIp is absent.
	source, vpcSource, vpce, vpc := c.sourceIP, "", "", ""
	if c.vpce != nil {
		source, vpcSource, vpce, vpc = "", c.sourceIP, c.vpce.ID, c.vpce.VPC
	}
	for _, k := range [...]struct{ name, value string }{
		// What the call itself is stands against anything that the credentials say.
		{"aws:CurrentTime", at.Format("2006-01-02T15:04:05Z")},
		{"aws:EpochTime", strconv.FormatInt(at.Unix(), 10)},
		{"aws:SecureTransport", strconv.FormatBool(c.r.TLS != nil)},
		{"aws:SourceIp", source},
		{"aws:VpcSourceIp", vpcSource},
		{"aws:SourceVpce", vpce},
		{"aws:SourceVpc", vpc},
		{"aws:UserAgent", c.r.UserAgent()},
		{"aws:Referer", c.r.Referer()},
	} {
		if k.value != "" {
			keys[k.name] = []string{k.value}
		} else if brought {
			delete(keys, k.name)
		}
	}
	return keys
}
