package sigv4

import (
	"errors"
	"log/slog"
	"time"
)

// Algorithm is a way of signing. Its zero value is HMAC.
type Algorithm uint8

// The algorithms.
const (
	// HMAC is AWS4-HMAC-SHA256, for one region.
	HMAC Algorithm = iota
	// ECDSA is AWS4-ECDSA-P256-SHA256, which is SigV4a, for a set of regions.
	ECDSA
)

const (
	hmacName  = "AWS4-HMAC-SHA256"
	ecdsaName = "AWS4-ECDSA-P256-SHA256"
)

// String returns the algorithm's name on the wire.
func (a Algorithm) String() string {
	if a == ECDSA {
		return ecdsaName
	}
	return hmacName
}

// Credentials are an access key. They print without their secrets.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken belongs to temporary credentials, and is empty for others.
	SessionToken string
	// Expires ends temporary credentials; the zero time: they do not end. It
	// matters to a Verifier alone.
	Expires time.Time
}

// String returns the access key's id alone.
func (c Credentials) String() string { return "access key " + c.AccessKeyID }

// GoString returns the access key's id alone.
func (c Credentials) GoString() string { return "sigv4.Credentials{" + c.AccessKeyID + "}" }

// LogValue returns the access key's id alone.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.AccessKeyID) }

// ErrUnknownAccessKey is what a Lookup returns, wrapped or not, for an access key
// that does not exist.
var ErrUnknownAccessKey = errors.New("the access key does not exist")

// Lookup finds the credentials of an access key. An error that is
// ErrUnknownAccessKey refuses the request with AWS's text; an *Error is answered
// as it is; any other is handed on.
type Lookup func(accessKeyID string) (Credentials, error)

// Rules are what differs from service to service. The zero value is right for
// all services but S3.
type Rules struct {
	// SingleEncode encodes the path once, where others encode the encoded path
	// again.
	SingleEncode bool
	// Path says which form of the path is signed.
	Path PathForm
	// UnsignedPayload lets the header X-Amz-Content-Sha256 say UNSIGNED-PAYLOAD in
	// place of the digest of the body.
	UnsignedPayload bool
	// TokenAfterSigning leaves the session token out of what is signed; it is added
	// to the request afterwards. A signed header is a signed header still.
	TokenAfterSigning bool
}

// PathForm says which form of the path is signed.
type PathForm uint8

// The forms of a path.
const (
	// PathEither signs the normalised path, and verifies the path as it was sent
	// and, if that does not match, normalised: clients differ in it.
	PathEither PathForm = iota
	// PathNormalized is the path without dot segments and empty segments.
	PathNormalized
	// PathAsSent is the path as it is on the wire.
	PathAsSent
)

// RulesOf returns the rules of a service by its name in the credential scope.
func RulesOf(service string) Rules {
	switch service {
	case "s3", "s3express", "s3-object-lambda", "s3-outposts":
		return Rules{SingleEncode: true, Path: PathAsSent, UnsignedPayload: true}
	}
	return Rules{}
}
