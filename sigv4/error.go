package sigv4

import (
	"strings"
	"time"
)

// The codes of refusals, as API Gateway and other services that speak JSON write
// them in x-amzn-ErrorType.
const (
	CodeMissingToken  = "MissingAuthenticationTokenException"
	CodeIncomplete    = "IncompleteSignatureException"
	CodeInvalid       = "InvalidSignatureException"
	CodeUnrecognized  = "UnrecognizedClientException"
	CodeExpiredToken  = "ExpiredTokenException"
	mismatchText      = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	unrecognizedText  = "The security token included in the request is invalid."
	expiredTokenText  = "The security token included in the request is expired"
	missingTokenText  = "Missing Authentication Token"
	foundBothText     = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
	hostNotSignedText = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
)

// Error refuses a request.
type Error struct {
	// Code is one of the Code… constants.
	Code string
	// Message is AWS's text, for the one who sent the request. It may repeat what
	// they sent, a session token among it, so it does not belong into a log: Error
	// leaves that out.
	Message string
	// CanonicalRequest and StringToSign are what the signature should have been
	// made of; empty unless the signature does not match.
	CanonicalRequest string
	StringToSign     string
	// Hint says, where it was found, what the client did differently. AWS does not
	// say it.
	Hint string

	brief string
}

// Error returns the code and the reason, without anything that was sent.
func (e *Error) Error() string {
	text := e.brief
	if text == "" {
		text = e.Message
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return e.Code + ": " + text
}

// Summary is the first paragraph of the message, which repeats nothing of the
// canonical request.
func (e *Error) Summary() string {
	text, _, _ := strings.Cut(e.Message, "\n")
	return text
}

func incomplete(message, brief string) *Error {
	return &Error{Code: CodeIncomplete, Message: message, brief: brief}
}

func invalid(message string) *Error { return &Error{Code: CodeInvalid, Message: message} }

// mismatch is the refusal of a signature that is not the calculated one.
func mismatch(canonical, toSign string) *Error {
	return &Error{
		Code: CodeInvalid,
		Message: mismatchText + "\n\nThe Canonical String for this request should have been\n'" + canonical +
			"'\n\nThe String-to-Sign should have been\n'" + toSign + "'\n",
		CanonicalRequest: canonical,
		StringToSign:     toSign,
		brief:            mismatchText,
	}
}

// basicISO is the layout of X-Amz-Date.
const basicISO = "20060102T150405Z"

func basic(t time.Time) string { return t.UTC().Format(basicISO) }
