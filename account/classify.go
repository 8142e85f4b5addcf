package account

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Class is what an error of an AWS call means for whoever made the call.
type Class string

const (
	// ClassNone is the class of no error.
	ClassNone Class = ""
	// Throttled means that AWS asks for fewer calls: wait, then repeat. The
	// limiter has already slowed down.
	Throttled Class = "throttled"
	// Denied means that a person must change a policy, a trust, a key or a
	// region's opt-in. Repeating soon is of no use; repeating rarely finds out
	// when it has been mended.
	Denied Class = "denied"
	// Gone means that the thing asked for does not exist (any more).
	Gone Class = "gone"
	// Expired means that the credentials, or the signature made with them, are
	// too old. New credentials or a right clock mend it; a repeat fetches them.
	Expired Class = "expired"
	// Transient means that AWS or the way to it failed for a moment: repeat with
	// back-off. Errors that nothing else explains are transient, since giving up
	// on them could lose log events and repeating a read cannot.
	Transient Class = "transient"
	// Cut means that an answer began and broke off in its body, or did not parse.
	// Nothing of it may be used: repeat the same page.
	Cut Class = "cut"
	// Invalid means that AWS refuses the call as it is written. The same call
	// never succeeds.
	Invalid Class = "invalid"
	// Canceled means that the caller's own context ended. It says nothing of AWS.
	Canceled Class = "canceled"
)

// classByCode holds the error codes whose meaning the HTTP status does not
// tell: the JSON protocols answer nearly everything with 400.
var classByCode = map[string]Class{
	"Throttling":                             Throttled,
	"ThrottlingException":                    Throttled,
	"ThrottledException":                     Throttled,
	"RequestThrottled":                       Throttled,
	"RequestThrottledException":              Throttled,
	"TooManyRequestsException":               Throttled,
	"RequestLimitExceeded":                   Throttled,
	"LimitExceededException":                 Throttled, // CloudWatch Logs and API Gateway say this for concurrent use too
	"ProvisionedThroughputExceededException": Throttled,
	"BandwidthLimitExceeded":                 Throttled,
	"PriorRequestNotComplete":                Throttled,
	"TransactionInProgressException":         Throttled,
	"SlowDown":                               Throttled,

	"ExpiredToken":              Expired,
	"ExpiredTokenException":     Expired,
	"TokenRefreshRequired":      Expired,
	"RequestExpired":            Expired,
	"RequestTimeTooSkewed":      Expired,
	"RequestInTheFuture":        Expired,
	"IDPCommunicationError":     Transient,
	"ServiceUnavailable":        Transient,
	"RequestTimeout":            Transient,
	"RequestTimeoutException":   Transient,
	"InternalFailure":           Transient,
	"InternalError":             Transient,
	"OperationAborted":          Transient,
	"ConflictException":         Transient, // concurrent change of the same API
	"OperationAbortedException": Transient, // concurrent change of the same log group

	"AccessDenied":                        Denied,
	"AccessDeniedException":               Denied,
	"UnauthorizedException":               Denied,
	"UnauthorizedOperation":               Denied,
	"ForbiddenException":                  Denied,
	"AuthFailure":                         Denied,
	"OptInRequired":                       Denied,
	"RegionDisabledException":             Denied,
	"UnrecognizedClientException":         Denied,
	"InvalidClientTokenId":                Denied,
	"InvalidAccessKeyId":                  Denied,
	"InvalidIdentityToken":                Denied,
	"IDPRejectedClaim":                    Denied,
	"SignatureDoesNotMatch":               Denied,
	"InvalidSignatureException":           Denied,
	"IncompleteSignature":                 Denied,
	"IncompleteSignatureException":        Denied,
	"MissingAuthenticationToken":          Denied,
	"MissingAuthenticationTokenException": Denied,

	"NotFoundException":         Gone,
	"ResourceNotFoundException": Gone,
	"NoSuchEntity":              Gone,
	"NoSuchEntityException":     Gone,

	"ValidationError":                   Invalid,
	"ValidationException":               Invalid,
	"InvalidParameterException":         Invalid,
	"InvalidParameterValue":             Invalid,
	"InvalidInputException":             Invalid,
	"BadRequestException":               Invalid,
	"MalformedPolicyDocument":           Invalid,
	"PackedPolicyTooLarge":              Invalid,
	"UnknownOperationException":         Invalid,
	"AWSOrganizationsNotInUseException": Invalid,
	"DataAlreadyAcceptedException":      Invalid,
}

// Classify says what err, from any AWS call of the SDK, means for a retry. It
// is the only place that decides so. The order matters: the caller's own end
// comes first, then what AWS said, then what the status says, and only then how
// the bytes failed.
func Classify(err error) Class {
	if err == nil {
		return ClassNone
	}
	if errors.Is(err, context.Canceled) {
		return Canceled
	}
	if _, ok := errors.AsType[*attemptTimeoutError](err); ok {
		return Transient
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if class, ok := classByCode[api.ErrorCode()]; ok {
			return class
		}
	}
	if _, ok := errors.AsType[*ssocreds.InvalidTokenError](err); ok {
		return Expired
	}
	if errors.Is(err, ErrLongLivedKeys) || errors.Is(err, ErrNoCredentials) {
		return Denied
	}
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return Transient
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		if class, ok := classByStatus(response.HTTPStatusCode()); ok {
			return class
		}
	}
	var body *smithy.DeserializationError
	if errors.As(err, &body) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Cut
	}
	var serialization *smithy.SerializationError
	var params *smithy.InvalidParamsError
	if errors.As(err, &serialization) || errors.As(err, &params) {
		return Invalid
	}
	return Transient
}

// classByStatus reports false for a success, whose body is then at fault.
func classByStatus(status int) (Class, bool) {
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled, true
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Denied, true
	case status == http.StatusNotFound:
		return Gone, true
	case status == http.StatusRequestTimeout:
		return Transient, true
	case status >= 500:
		return Transient, true
	case status >= 400:
		return Invalid, true
	default:
		return ClassNone, false
	}
}
