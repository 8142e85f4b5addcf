package gateway

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// accessTemplate is an access-log format.
type accessTemplate struct {
	group string
	parts template
}

// record is the call's access record. A variable without a value is "-"; values
// are not escaped, as in API Gateway, but they cannot break the line.
func (a *accessTemplate) record(c *call) string {
	return a.parts.expand(func(p part) string {
		v := c.value(p)
		if v == "" {
			return "-"
		}
		return strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, v)
	})
}

// variable is the value of $context.NAME; empty where it has none.
func (c *call) variable(name string) string {
	group, rest, nested := strings.Cut(name, ".")
	if !nested {
		return c.plainVariable(name)
	}
	switch group {
	case "identity":
		return c.identityVariable(rest)
	case "authorizer":
		return c.authorizerVariable(rest)
	case "error":
		return c.errorVariable(rest)
	case "integration":
		return c.integrationVariable(rest)
	case "authenticate", "authorize":
		return c.phaseVariable(group, rest)
	case "customDomain":
		if rest == "basePathMatched" {
			return c.basePath
		}
	}
	return ""
}

func (c *call) plainVariable(name string) string {
	switch name {
	case "requestId":
		return c.id
	case "extendedRequestId":
		return c.extended
	case "accountId":
		return c.api.Account
	case "apiId":
		return c.api.ID
	case "stage":
		if c.stage != nil {
			return c.stage.Name
		}
	case "httpMethod":
		if c.socket == nil {
			return c.r.Method
		}
	case "path":
		if c.socket == nil {
			return c.sent
		}
	case "resourcePath":
		if c.route != nil && c.api.kind == transaction.REST {
			return c.route.path
		}
	case "resourceId":
		if c.route != nil {
			return c.route.resourceID
		}
	case "routeKey":
		if c.route != nil && c.api.kind != transaction.REST {
			return c.route.key
		}
	case "status":
		return strconv.Itoa(c.status)
	case "protocol":
		return c.r.Proto
	case "requestTime":
		return c.start.UTC().Format("02/Jan/2006:15:04:05 -0700")
	case "requestTimeEpoch":
		return strconv.FormatInt(c.start.UnixMilli(), 10)
	case "responseLength":
		return strconv.Itoa(c.length)
	case "dataProcessed":
		return strconv.Itoa(c.length + len(c.body))
	case "responseLatency":
		return milliseconds(c.g.now().Sub(c.start))
	case "integrationLatency":
		return c.integrationVariable("latency")
	case "integrationStatus":
		return c.integrationVariable("integrationStatus")
	case "integrationErrorMessage":
		return c.integration.err
	case "awsEndpointRequestId":
		return c.integration.requestID
	case "domainName":
		return c.r.Host
	case "domainPrefix":
		prefix, _, _ := strings.Cut(c.r.Host, ".")
		return prefix
	case "xrayTraceId":
		return c.traceID
	}
	return c.socketVariable(name)
}

func (c *call) identityVariable(name string) string {
	switch name {
	case "sourceIp":
		return c.sourceIP
	case "userAgent":
		return c.r.UserAgent()
	case "apiKeyId":
		if c.apiKey != nil {
			return c.apiKey.id
		}
	case "apiKey":
		// API Gateway writes the key itself; a secret does not belong into a log.
		if c.apiKey != nil {
			return maskKey(c.apiKey.value)
		}
	}
	if c.who == nil {
		return ""
	}
	switch name {
	case "userArn":
		return c.who.Principal.ARN
	case "accountId":
		return c.who.Principal.Account
	case "caller", "user":
		return c.callerID()
	case "principalOrgId":
		return strings.Join(c.who.Context["aws:PrincipalOrgID"], ",")
	}
	return ""
}

// callerID is the unique id of the caller, or its access key where that is not
// known.
func (c *call) callerID() string {
	if c.who.UserID != "" {
		return c.who.UserID
	}
	return c.who.AccessKeyID
}

func (c *call) authorizerVariable(name string) string {
	switch name {
	case "error":
		if c.refusal != nil && c.authRan {
			return c.refusal.message
		}
		return ""
	case "latency", "integrationLatency":
		if c.authRan {
			return milliseconds(c.authLatency)
		}
		return ""
	case "status", "integrationStatus":
		if c.authStatus != 0 {
			return strconv.Itoa(c.authStatus)
		}
		return ""
	case "principalId":
		if c.lambda != nil {
			return c.lambda.principal
		}
		return text(c.claims["sub"])
	}
	if claim, ok := strings.CutPrefix(name, "claims."); ok {
		return text(c.claims[claim])
	}
	if claim, ok := strings.CutPrefix(name, "jwt.claims."); ok {
		return text(c.claims[claim])
	}
	if c.lambda != nil {
		return text(c.lambda.context[name])
	}
	return ""
}

// text writes a claim or a value of an authorizer's context.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			out = append(out, text(e))
		}
		return "[" + strings.Join(out, " ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

func (c *call) errorVariable(name string) string {
	f := c.refusal
	if f == nil {
		return ""
	}
	switch name {
	case "message":
		return f.message
	case "messageString":
		return quote(f.message)
	case "responseType":
		return f.kind
	case "validationErrorString":
		return f.validation
	}
	return ""
}

func (c *call) integrationVariable(name string) string {
	o := &c.integration
	switch name {
	case "error":
		return o.err
	case "latency":
		if o.called {
			return milliseconds(o.latency)
		}
	case "status":
		if o.status != 0 {
			return strconv.Itoa(o.status)
		}
	case "integrationStatus":
		if o.status != 0 {
			return strconv.Itoa(o.status)
		}
	case "requestId":
		return o.requestID
	}
	return ""
}

// phaseVariable tells how authentication and authorization by IAM ended.
func (c *call) phaseVariable(phase, name string) string {
	if name != "status" && name != "error" || c.route == nil || c.route.auth != iam.AuthIAM {
		return ""
	}
	failed := phase == "authenticate" && c.denied == "authentication" || phase == "authorize" && c.denied == "authorization"
	switch {
	case name == "error" && failed:
		return c.refusal.errorType
	case name == "error" || phase == "authorize" && c.denied == "authentication":
		return ""
	case failed:
		return strconv.Itoa(c.refusal.status)
	default:
		return "200"
	}
}
