package transaction

import "strings"

// field is what an access-log variable tells of a call.
type field uint8

const (
	fieldNone field = iota // a variable that a transaction has no place for
	fieldRequestID
	fieldExtendedID
	fieldAPIID
	fieldStage
	fieldIP
	fieldCaller
	fieldUser
	fieldUserARN
	fieldUserAgent
	fieldIdentityAccount
	fieldAPIKeyID
	fieldAPIKey
	fieldCognitoIdentity
	fieldRequestTime
	fieldRequestTimeEpoch
	fieldMethod
	fieldResourcePath
	fieldRouteKey
	fieldPath
	fieldBasePath
	fieldDomain
	fieldStatus
	fieldProtocol
	fieldResponseLength
	fieldResponseLatency
	fieldIntegrationLatency
	fieldIntegrationStatus
	fieldServiceStatus // of the AWS service behind the integration
	fieldIntegrationError
	fieldIntegrationRequestID
	fieldAuthorizerPrincipal
	fieldAuthorizerError
	fieldAuthorizerLatency
	fieldAuthorizerStatus
	fieldAuthorizeStatus
	fieldAuthorizeError
	fieldAuthenticateStatus
	fieldAuthenticateError
	fieldClaimSub
	fieldClaimUsername
	fieldClaimClient
	fieldErrorMessage
	fieldErrorType
	fieldErrorValidation
	fieldWAFResponse
	fieldWAFStatus
	fieldConnectionID
	fieldEventType
	fieldMessage // of a delivery record
	fieldRequestHeaders
	fieldResponseHeaders
	fieldRequestBody
	fieldResponseBody
	fieldBase64 // of the bodies
	numFields
)

// accessVar is a variable of an access record with its value, which is neither
// empty nor "-".
type accessVar struct {
	field field
	value string
}

// span is a variable of an access record by its place in the record's text.
type span struct {
	from, to uint32
	field    field
}

// callerWrites holds the fields whose text the caller chooses: it may contain
// anything, even what looks like the rest of a record.
const callerWrites = 1<<fieldUserAgent | 1<<fieldPath

// messages holds the fields that formats give either form of an error's message,
// with quotes or without.
const messages = 1<<fieldErrorMessage | 1<<fieldIntegrationError | 1<<fieldErrorValidation

// tells holds the fields that only an access record of API Gateway would have;
// a JSON object with a request id alone may be anything.
const tells = 1<<fieldMethod | 1<<fieldStatus | 1<<fieldResourcePath | 1<<fieldRouteKey | 1<<fieldPath |
	1<<fieldIP | 1<<fieldEventType | 1<<fieldConnectionID | 1<<fieldProtocol | 1<<fieldResponseLatency |
	1<<fieldIntegrationStatus

func (f field) in(set uint64) bool { return set>>f&1 != 0 }

// contextFields maps the names of $context variables to fields.
var contextFields = map[string]field{
	"requestId":                          fieldRequestID,
	"extendedRequestId":                  fieldExtendedID,
	"apiId":                              fieldAPIID,
	"stage":                              fieldStage,
	"identity.sourceIp":                  fieldIP,
	"identity.caller":                    fieldCaller,
	"identity.user":                      fieldUser,
	"identity.userArn":                   fieldUserARN,
	"identity.userAgent":                 fieldUserAgent,
	"identity.accountId":                 fieldIdentityAccount,
	"identity.apiKeyId":                  fieldAPIKeyID,
	"identity.apiKey":                    fieldAPIKey,
	"identity.cognitoIdentityId":         fieldCognitoIdentity,
	"requestTime":                        fieldRequestTime,
	"requestTimeEpoch":                   fieldRequestTimeEpoch,
	"httpMethod":                         fieldMethod,
	"resourcePath":                       fieldResourcePath,
	"routeKey":                           fieldRouteKey,
	"path":                               fieldPath,
	"customDomain.basePathMatched":       fieldBasePath,
	"domainName":                         fieldDomain,
	"status":                             fieldStatus,
	"protocol":                           fieldProtocol,
	"responseLength":                     fieldResponseLength,
	"responseLatency":                    fieldResponseLatency,
	"integrationLatency":                 fieldIntegrationLatency,
	"integration.latency":                fieldIntegrationLatency,
	"integration.status":                 fieldIntegrationStatus,
	"integration.integrationStatus":      fieldServiceStatus,
	"integrationStatus":                  fieldServiceStatus,
	"integration.error":                  fieldIntegrationError,
	"integrationErrorMessage":            fieldIntegrationError,
	"integration.requestId":              fieldIntegrationRequestID,
	"awsEndpointRequestId":               fieldIntegrationRequestID,
	"authorizer.principalId":             fieldAuthorizerPrincipal,
	"authorizer.error":                   fieldAuthorizerError,
	"authorizer.latency":                 fieldAuthorizerLatency,
	"authorizer.integrationLatency":      fieldAuthorizerLatency,
	"authorizer.status":                  fieldAuthorizerStatus,
	"authorizer.integrationStatus":       fieldNone,
	"authorize.status":                   fieldAuthorizeStatus,
	"authorize.error":                    fieldAuthorizeError,
	"authenticate.status":                fieldAuthenticateStatus,
	"authenticate.error":                 fieldAuthenticateError,
	"authorizer.claims.sub":              fieldClaimSub,
	"authorizer.claims.username":         fieldClaimUsername,
	"authorizer.claims.cognito:username": fieldClaimUsername,
	"authorizer.claims.client_id":        fieldClaimClient,
	"authorizer.claims.azp":              fieldClaimClient,
	"authorizer.jwt.claims.sub":          fieldClaimSub,
	"authorizer.jwt.claims.username":     fieldClaimUsername,
	"authorizer.jwt.claims.client_id":    fieldClaimClient,
	"error.message":                      fieldErrorMessage,
	"error.messageString":                fieldErrorMessage,
	"error.responseType":                 fieldErrorType,
	"error.validationErrorString":        fieldErrorValidation,
	"wafResponseCode":                    fieldWAFResponse,
	"waf.status":                         fieldWAFStatus,
	"connectionId":                       fieldConnectionID,
	"eventType":                          fieldEventType,
}

// keyAliases are the keys that people give these variables in JSON and XML
// formats, beside the variables' own names; in lower case without separators.
var keyAliases = withVariables(map[string]field{
	"ip": fieldIP, "sourceip": fieldIP, "clientip": fieldIP, "remoteip": fieldIP, "remoteaddr": fieldIP,
	"sourceipaddress": fieldIP, "requestsourceip": fieldIP,
	"reqid": fieldRequestID, "contextrequestid": fieldRequestID, "apigatewayrequestid": fieldRequestID,
	"apigwrequestid": fieldRequestID, "xamznrequestid": fieldRequestID, "awsrequestid": fieldRequestID,
	"extrequestid": fieldExtendedID, "requestextendedid": fieldExtendedID, "xamzapigwid": fieldExtendedID,
	"caller": fieldCaller, "user": fieldUser, "userarn": fieldUserARN, "callerarn": fieldUserARN,
	"useragent": fieldUserAgent, "accountidentity": fieldIdentityAccount, "calleraccount": fieldIdentityAccount,
	"calleraccountid": fieldIdentityAccount, "identityaccountid": fieldIdentityAccount,
	"apikeyid": fieldAPIKeyID, "apikey": fieldAPIKey, "cognitoidentityid": fieldCognitoIdentity,
	"time": fieldRequestTime, "timestamp": fieldRequestTime, "requesttimeepochms": fieldRequestTimeEpoch,
	"method": fieldMethod, "verb": fieldMethod, "requestmethod": fieldMethod,
	"resource": fieldResourcePath, "route": fieldRouteKey, "routekey": fieldRouteKey,
	"uri": fieldPath, "requestpath": fieldPath, "requesturi": fieldPath,
	"restapiid": fieldAPIID, "stagename": fieldStage,
	"domain": fieldDomain, "host": fieldDomain, "basepath": fieldBasePath, "basepathmatched": fieldBasePath,
	"statuscode": fieldStatus, "httpstatus": fieldStatus, "responsestatus": fieldStatus, "responsecode": fieldStatus,
	"bytes": fieldResponseLength, "latency": fieldResponseLatency, "responsetime": fieldResponseLatency,
	// As a key of a nested object this is integration.status, and as one key most
	// formats give it either variable: the integration's own status is meant.
	"integrationstatus": fieldIntegrationStatus, "integrationstatuscode": fieldIntegrationStatus, "integrationerror": fieldIntegrationError,
	"integrationerrormessage": fieldIntegrationError, "integrationrequestid": fieldIntegrationRequestID,
	"endpointrequestid": fieldIntegrationRequestID,
	"principalid":       fieldAuthorizerPrincipal, "authorizerprincipalid": fieldAuthorizerPrincipal, "principal": fieldAuthorizerPrincipal,
	"authorizererror": fieldAuthorizerError, "authorizerlatency": fieldAuthorizerLatency, "authorizerstatus": fieldAuthorizerStatus,
	"authorizerintegrationlatency": fieldAuthorizerLatency, "authorizerintegrationstatus": fieldNone,
	"authorizestatus": fieldAuthorizeStatus, "authorizeerror": fieldAuthorizeError,
	"authenticatestatus": fieldAuthenticateStatus, "authenticateerror": fieldAuthenticateError,
	"sub": fieldClaimSub, "authorizersub": fieldClaimSub, "claimssub": fieldClaimSub, "authorizerclaimssub": fieldClaimSub,
	"error": fieldErrorMessage, "errormessage": fieldErrorMessage, "errormessagestring": fieldErrorMessage,
	"errorresponsetype": fieldErrorType, "errortype": fieldErrorType, "responsetype": fieldErrorType,
	"validationerror": fieldErrorValidation, "validationerrorstring": fieldErrorValidation, "errorvalidationerrorstring": fieldErrorValidation,
	"waf": fieldWAFResponse, "wafstatus": fieldWAFStatus,
	"message": fieldMessage, "logmessage": fieldMessage, "log": fieldMessage, "line": fieldMessage,
	"msg": fieldMessage, "executionlog": fieldMessage, "logline": fieldMessage, "text": fieldMessage, "eventmessage": fieldMessage,
	"headers": fieldRequestHeaders, "requestheaders": fieldRequestHeaders, "responseheaders": fieldResponseHeaders,
	"requestpayload": fieldRequestBody, "requestbody": fieldRequestBody, "body": fieldRequestBody,
	"responsepayload": fieldResponseBody, "responsebody": fieldResponseBody,
	"isbase64encoded": fieldBase64,
})

// withVariables adds the variables' own names to the aliases.
func withVariables(aliases map[string]field) map[string]field {
	for name, f := range contextFields {
		key := plainKey(name)
		if _, taken := aliases[key]; !taken {
			aliases[key] = f
		}
	}
	return aliases
}

// plainKey is a key in lower case without separators.
func plainKey(key string) string {
	var room [96]byte
	return string(appendPlain(room[:0], key))
}

func appendPlain(b []byte, key string) []byte {
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '_' || c == '-' || c == '.' || c == ' ' || c == ':' || c == '$':
			continue
		}
		b = append(b, c)
	}
	return b
}

// fieldOfKey tells what the value under a JSON key or in an XML element is.
func fieldOfKey(key string) field {
	if len(key) > 80 {
		return fieldNone
	}
	var room [96]byte
	plain := appendPlain(room[:0], key)
	if f, ok := keyAliases[string(plain)]; ok {
		return f
	}
	// Formats often group variables under names of their own, for example
	// "context" or "requestContext".
	for _, outer := range [...]string{"requestcontext", "context", "request", "http"} {
		if inner, ok := strings.CutPrefix(string(plain), outer); ok {
			if f, ok := keyAliases[inner]; ok {
				return f
			}
		}
	}
	return fieldNone
}

// fieldOfVariable tells what a $context variable is; name has no "$context.".
func fieldOfVariable(name string) field { return contextFields[name] }
