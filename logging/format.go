package logging

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// formats are the access-log formats that are set, for each type of API: one JSON
// object with every useful $context variable that the type has. API Gateway does
// not escape what it puts in, so the values that a client chooses come last: a
// quotation mark in them spoils nothing before it. A format may have 3 KB.
var formats = map[transaction.APIType]string{
	transaction.REST:      object(shared, restFields, hostile),
	transaction.HTTP:      object(shared, httpFields, hostile),
	transaction.WebSocket: object(shared, socketFields, hostile[:len(hostile)-2], hostile[len(hostile)-1:]), // no path
}

// A field is a key and the variable that fills it.
type field struct{ key, variable string }

var shared = []field{
	{"requestId", "requestId"},
	{"extendedRequestId", "extendedRequestId"},
	{"requestTime", "requestTime"},
	{"requestTimeEpoch", "requestTimeEpoch"},
	{"accountId", "accountId"},
	{"apiId", "apiId"},
	{"stage", "stage"},
	{"domainName", "domainName"},
	{"ip", "identity.sourceIp"},
	{"caller", "identity.caller"},
	{"user", "identity.user"},
	{"userArn", "identity.userArn"},
	{"callerAccountId", "identity.accountId"},
	{"cognitoIdentityId", "identity.cognitoIdentityId"},
	{"principalId", "authorizer.principalId"},
	{"sub", "authorizer.claims.sub"},
	{"clientId", "authorizer.claims.client_id"},
	{"status", "status"},
	{"integrationStatus", "integration.integrationStatus"},
	{"integrationServiceStatus", "integration.status"},
	{"integrationLatency", "integration.latency"},
	{"integrationRequestId", "integration.requestId"},
	{"authorizerStatus", "authorizer.status"},
	{"authorizerLatency", "authorizer.latency"},
	{"authorizerRequestId", "authorizer.requestId"},
	{"errorResponseType", "error.responseType"},
}

var restFields = []field{
	{"httpMethod", "httpMethod"},
	{"resourcePath", "resourcePath"},
	{"resourceId", "resourceId"},
	{"protocol", "protocol"},
	{"responseLength", "responseLength"},
	{"responseLatency", "responseLatency"},
	{"apiKeyId", "identity.apiKeyId"},
	{"principalOrgId", "identity.principalOrgId"},
	{"clientCertSubject", "identity.clientCert.subjectDN"},
	{"authenticateStatus", "authenticate.status"},
	{"authorizeStatus", "authorize.status"},
	{"wafStatus", "waf.status"},
	{"wafResponseCode", "wafResponseCode"},
	{"webaclArn", "webaclArn"},
	{"xrayTraceId", "xrayTraceId"},
	{"endpointRequestId", "awsEndpointRequestId"},
}

var httpFields = []field{
	{"httpMethod", "httpMethod"},
	{"routeKey", "routeKey"},
	{"protocol", "protocol"},
	{"responseLength", "responseLength"},
	{"responseLatency", "responseLatency"},
	{"dataProcessed", "dataProcessed"},
	{"clientCertSubject", "identity.clientCert.subjectDN"},
	{"endpointRequestId", "awsEndpointRequestId"},
}

var socketFields = []field{
	{"routeKey", "routeKey"},
	{"eventType", "eventType"},
	{"connectionId", "connectionId"},
	{"connectedAt", "connectedAt"},
	{"messageId", "messageId"},
	{"apiKeyId", "identity.apiKeyId"},
	{"authorizeStatus", "authorize.status"},
	{"wafStatus", "waf.status"},
}

var hostile = []field{
	{"authorizerError", "authorizer.error"},
	{"integrationError", "integration.error"},
	{"validationError", "error.validationErrorString"},
	{"errorMessage", "error.message"},
	{"path", "path"},
	{"userAgent", "identity.userAgent"},
}

func object(lists ...[]field) string {
	var b strings.Builder
	b.WriteByte('{')
	for _, list := range lists {
		for _, f := range list {
			if b.Len() > 1 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + f.key + `":"$context.` + f.variable + `"`)
		}
	}
	b.WriteByte('}')
	return b.String()
}

// Format returns the access-log format that is set for a type of API.
func Format(t transaction.APIType) string { return formats[t] }

// identifies reports whether lines of a format say of which request they are. AWS
// accepts no other, but a WebSocket API's and one that was set long ago may lack it.
func identifies(format string) bool {
	return strings.Contains(format, "$context.requestId") || strings.Contains(format, "$context.extendedRequestId")
}
