package account

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Link names a link of the chain of credentials, or a question that is asked
// with it before any account can be read.
type Link string

// The links in the order in which they are needed.
const (
	LinkBase         Link = "base"
	LinkHub          Link = "hub"
	LinkOrganization Link = "organization"
	LinkRole         Link = "role"
	LinkRegions      Link = "regions"
)

var (
	// ErrNoCredentials occurs when the default chain ends without credentials.
	ErrNoCredentials = errors.New("no AWS credentials found")
	// ErrLongLivedKeys occurs when the base credentials are, or were made with,
	// an IAM user's access key and Config.AllowLongLivedKeys is not set.
	ErrLongLivedKeys = errors.New("the credentials are a long-lived access key (AKIA…) of an IAM user, which is refused")
)

// ChainError is a link of the chain that failed. It is an error, and not
// retried by the SDK: the call to STS behind it was.
type ChainError struct {
	Link    Link
	ARN     string // of the role, where the link is one
	Account string // of the role, or of the account that was asked
	Region  string // whose endpoint was asked
	Err     error

	profile    string
	externalID string
	tagged     bool // with session tags
	now        time.Time
}

// Error says which link failed and what AWS answered, without any secret.
func (e *ChainError) Error() string {
	what := "base credentials"
	switch e.Link {
	case LinkHub:
		what = "hub role " + e.ARN
	case LinkRole:
		what = "role " + e.ARN
	case LinkOrganization:
		what = "accounts of the organization"
	case LinkRegions:
		what = "regions of account " + e.Account
	case LinkBase:
	}
	return what + ": " + Text(e.Err)
}

// Unwrap returns what AWS or the way to it answered. Its text may hold a
// session token: show Text of it instead.
func (e *ChainError) Unwrap() error { return e.Err }

// Mend says what to change, with the exact statement where a policy lacks one.
func (e *ChainError) Mend() string { return mendChain(e) }

// RetryableError reports false: the call that failed has been retried already,
// and trying the outer call again would multiply the attempts.
func (*ChainError) RetryableError() bool { return false }

// maxText bounds what is shown of an error that AWS worded.
const maxText = 400

// Text returns what an error of an AWS call says, on one line and without
// secrets: the code, the message and the request id that AWS support asks for.
// A message about a wrong signature repeats the signed headers, and with them
// the session token; it is cut before they begin.
func Text(err error) string {
	if err == nil {
		return ""
	}
	if chain, ok := errors.AsType[*ChainError](err); ok {
		return chain.Error()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text := api.ErrorCode()
		if message := clean(api.ErrorMessage()); message != "" {
			text += ": " + message
		}
		var response interface{ ServiceRequestID() string }
		if errors.As(err, &response) && response.ServiceRequestID() != "" {
			text += " (request id " + clean(response.ServiceRequestID()) + ")"
		}
		return text
	}
	if send, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return clean(send.Err.Error())
	}
	if Classify(err) == Cut {
		return "the answer was cut off or is not what the service speaks: " + clean(innermost(err).Error())
	}
	return clean(err.Error())
}

// clean makes one bounded line of a text that came from elsewhere.
func clean(s string) string {
	for _, mark := range []string{"The Canonical String", "The String-to-Sign", "Canonical String"} {
		if i := strings.Index(s, mark); i >= 0 {
			s = s[:i]
		}
	}
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return strings.TrimSpace(s)
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// errorCode returns AWS's code of err, or nothing.
func errorCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func errorMessage(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorMessage()
	}
	return ""
}
