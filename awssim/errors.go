package awssim

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

// Error is an error that AWS would answer. An Authority may return one to
// choose code and text itself.
type Error struct {
	Status  int // HTTP status; 0: 400
	Code    string
	Message string
	// RetryAfter is sent as a header, in seconds, where it is not 0.
	RetryAfter int
}

// Error is "Code: message".
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) *Error {
	return &Error{Code: "InvalidParameterException", Message: fmt.Sprintf(format, args...)}
}

// wire is how a service writes answers and errors.
type wire int

const (
	wireQuery    wire = iota // STS, IAM: query in, XML out
	wireJSON                 // CloudWatch Logs, Organizations: X-Amz-Target
	wireRESTJSON             // API Gateway, Account
	wireCBOR                 // CloudWatch, as the SDKs for Go speak it
)

// fail writes an error in the service's own form.
func (x *exchange) fail(err error) {
	e := x.classify(err)
	x.failed = true
	x.throttled = e.Status == http.StatusTooManyRequests || e.Code == "ThrottlingException" || e.Code == "Throttling"
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	h := x.w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	var body []byte
	switch x.svc.wire {
	case wireQuery:
		kind := "Sender"
		if status >= 500 {
			kind = "Receiver"
		}
		if x.wantsJSON() {
			h.Set("Content-Type", "application/json")
			body, err = json.Marshal(item{"Error": item{"Type": kind, "Code": e.Code, "Message": e.Message}, "RequestId": x.requestID})
			break
		}
		h.Set("Content-Type", "text/xml")
		body, err = xml.Marshal(struct {
			XMLName xml.Name
			Type    string `xml:"Error>Type"`
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
			ID      string `xml:"RequestId"`
		}{XMLName: xml.Name{Space: namespaces[x.svc.name], Local: "ErrorResponse"}, Type: kind, Code: e.Code, Message: e.Message, ID: x.requestID})
	case wireCBOR:
		body, err = x.cborError(e), nil
	case wireJSON:
		h.Set("Content-Type", "application/x-amz-json-1.1")
		field := "message"
		if x.svc.name == serviceOrganizations {
			field = "Message"
		}
		body, err = json.Marshal(map[string]string{"__type": e.Code, field: e.Message})
	default:
		h.Set("Content-Type", "application/json")
		h.Set("X-Amzn-Errortype", e.Code)
		body, err = json.Marshal(map[string]string{"message": e.Message})
	}
	if err != nil {
		http.Error(x.w, err.Error(), http.StatusInternalServerError)
		return
	}
	x.answer(status, body)
}

// classify turns an error of any kind into the one that the service answers.
// What is not known is access denied: an error never allows.
func (x *exchange) classify(err error) *Error {
	query, rest := x.svc.wire == wireQuery, x.svc.wire == wireRESTJSON
	forbidden := http.StatusBadRequest
	if query || rest {
		forbidden = http.StatusForbidden
	}
	pick := func(q, j string) string {
		if query {
			return q
		}
		return j
	}
	var e *Error
	var denied *denial
	if signature, ok := errors.AsType[*sigv4.Error](err); ok {
		switch signature.Code {
		case sigv4.CodeMissingToken:
			err = ErrMissingAuthentication
		case sigv4.CodeUnrecognized:
			err = ErrUnknownAccessKey
		case sigv4.CodeExpiredToken:
			err = ErrExpiredToken
		case sigv4.CodeIncomplete:
			return &Error{Status: forbidden, Code: pick("IncompleteSignature", sigv4.CodeIncomplete), Message: signature.Message}
		default:
			// Other services than API Gateway do not show the canonical request.
			return &Error{Status: forbidden, Code: pick("SignatureDoesNotMatch", sigv4.CodeInvalid), Message: signature.Summary()}
		}
	}
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &denied):
		return &Error{Status: forbidden, Code: pick("AccessDenied", "AccessDeniedException"), Message: denied.message}
	case errors.Is(err, ErrMissingAuthentication):
		return &Error{Status: forbidden, Code: pick("MissingAuthenticationToken", "MissingAuthenticationTokenException"), Message: pick("Request is missing Authentication Token", "Missing Authentication Token")}
	case errors.Is(err, ErrUnknownAccessKey):
		return &Error{Status: forbidden, Code: pick("InvalidClientTokenId", "UnrecognizedClientException"), Message: "The security token included in the request is invalid."}
	case errors.Is(err, ErrExpiredToken):
		return &Error{Status: forbidden, Code: pick("ExpiredToken", "ExpiredTokenException"), Message: "The security token included in the request is expired"}
	case errors.Is(err, errRegion):
		return &Error{Status: forbidden, Code: pick("SignatureDoesNotMatch", "InvalidSignatureException"), Message: "Credential should be scoped to a valid region."}
	case errors.Is(err, ErrSignature):
		return &Error{Status: forbidden, Code: pick("SignatureDoesNotMatch", "InvalidSignatureException"), Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
	return &Error{Status: forbidden, Code: pick("AccessDenied", "AccessDeniedException"), Message: x.deniedText()}
}

// deniedText is AWS's text for a call that no policy allows. STS does not say
// which side it was, and to those whom a provider vouches for not even who they
// are.
func (x *exchange) deniedText() string {
	if x.call.Principal.Kind == KindProvider {
		return "Not authorized to perform " + x.call.Action
	}
	text := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", x.cred.Principal.ARN, x.call.Action, x.call.Resource)
	if x.call.Service != serviceSTS {
		text += fmt.Sprintf(" because no identity-based policy allows the %s action", x.call.Action)
	}
	return text
}

// throttled is the service's throttling error.
func (x *exchange) throttling() *Error {
	switch {
	case x.svc.wire == wireQuery:
		return &Error{Code: "Throttling", Message: "Rate exceeded"}
	case x.svc.name == serviceOrganizations:
		return &Error{Code: "TooManyRequestsException", Message: "AWS Organizations can't complete your request because it was throttled. Try again later."}
	case x.svc.name == serviceEKS:
		return &Error{Status: http.StatusTooManyRequests, Code: "ThrottlingException", Message: "Rate exceeded", RetryAfter: 1}
	case x.svc.wire == wireRESTJSON:
		return &Error{Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "Too Many Requests", RetryAfter: 1}
	}
	return &Error{Code: "ThrottlingException", Message: "Rate exceeded", RetryAfter: 1}
}

func unknownOperation(what string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "UnknownOperationException", Message: "awssim does not know the operation " + what}
}
