package awssim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// Authority decides who is calling and what they may. It is where signature
// verification and policy evaluation are plugged in. An error of either method
// refuses the call, whatever the error is.
type Authority interface {
	// Authenticate checks that the request was made with the credential. Its
	// errors are the Err… values of this package, an *Error, a *sigv4.Error, or
	// anything else, which is answered as access denied.
	Authenticate(r *http.Request, body []byte, key Credential) error
	// Authorize checks that the call is allowed. ErrAccessDenied is answered in
	// the service's own words. It is not asked about sts:GetCallerIdentity, which
	// needs no permission, and asked again for each further action that a call
	// needs: sts:TagSession for session tags.
	Authorize(call Call) error
}

// Errors of an Authority, answered in the form and the words of the service
// that was called.
var (
	// ErrMissingAuthentication: the request is not signed at all.
	ErrMissingAuthentication = errors.New("missing authentication token")
	// ErrUnknownAccessKey: the access key does not exist, or the session token
	// is not the one that was issued with it.
	ErrUnknownAccessKey = errors.New("unknown access key")
	// ErrExpiredToken: the session has ended.
	ErrExpiredToken = errors.New("expired token")
	// ErrSignature: the signature does not match.
	ErrSignature = errors.New("signature does not match")
	// ErrAccessDenied: the call is not allowed.
	ErrAccessDenied = errors.New("access denied")
)

// errRegion: the credential scope names a region that the account cannot have.
var errRegion = errors.New("unknown region")

// Kind says what a Principal is.
type Kind string

// The kinds of principals.
const (
	KindUser    Kind = "user"
	KindSession Kind = "assumed-role"
	// KindProvider is who an OIDC or SAML provider vouches for. It calls
	// AssumeRoleWithWebIdentity and AssumeRoleWithSAML, which are not signed.
	KindProvider Kind = "provider"
)

// Principal is who calls.
type Principal struct {
	Account string
	Kind    Kind
	Name    string // of the user or the role
	Session string // role session name
	// ARN is of the user, or of the role session:
	// arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION.
	ARN string
	// RoleARN is the role of a session, with its path.
	RoleARN string
	ID      string // AIDA…, or AROA…:session
}

// Credential is an access key as awssim knows it. Its zero value, but for
// AccessKeyID, is a key that was never issued.
type Credential struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Principal       Principal
	// Issued is when a session began, Expires when it ends; zero: a long-lived key.
	Issued  time.Time
	Expires time.Time
	// Chained says that the role was assumed by another role's session.
	Chained bool
	// Policies are the session policies given to AssumeRole, as JSON or by ARN.
	Policies []string
	// Tags are the session tags; those of Transitive pass on to sessions that this
	// one assumes, as does SourceIdentity.
	Tags           map[string]string
	Transitive     []string
	SourceIdentity string
	// Provider is the ARN of the identity provider that vouched, if one did.
	Provider string
	// Keys are condition keys that the session brings to each of its calls: saml:sub,
	// saml:sub_type and saml:namequalifier of one that SAML began.
	Keys iam.Context

	session []iam.Attached // Policies, compiled
}

// Known reports whether the access key was issued.
func (c *Credential) Known() bool { return c.Principal.Account != "" }

func (c *Credential) credentials() Credentials {
	return Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey,
		SessionToken: c.SessionToken, Expiration: c.Expires,
	}
}

// Call is what an Authority decides on.
type Call struct {
	Service   string // the endpoint prefix: sts, logs, apigateway, …
	Operation string // FilterLogEvents
	Action    string // logs:FilterLogEvents; API Gateway: apigateway:GET
	Account   string // of the caller
	Region    string
	Resource  string // ARN, or "*"
	Principal Principal
	// Session is the calling credential.
	Session Credential
	// Policies have a say in the call: those of the caller, and the trust policy of
	// a role that is to be assumed.
	Policies iam.Policies
	// Context are the condition keys of the call.
	Context iam.Context
	// Owner is the account of the resource.
	Owner string

	// Role is the role to assume, nil if there is none of that ARN; for
	// sts:AssumeRole and its kin alone, as what follows.
	Role       *Role
	ExternalID string
}

// authority is the default Authority: signatures as sigv4 verifies them, and
// decisions as iam makes them.
type authority struct {
	sim      *Sim
	clock    func() time.Time // of signing
	verifier sigv4.Verifier
	// presigned verifies presigned requests to STS. They are good for 15 minutes
	// whatever X-Amz-Expires says: tokens of EKS, which the AWS CLI signs for 60
	// seconds, rest on that.
	presigned sigv4.Verifier
}

const presignedLife = 15 * time.Minute

var _ Authority = (*authority)(nil)

func newAuthority(s *Sim, clock func() time.Time) *authority {
	a := &authority{sim: s, clock: clock}
	a.verifier.Lookup = func(id string) (sigv4.Credentials, error) {
		c := s.credential(id)
		if !c.Known() {
			return sigv4.Credentials{}, sigv4.ErrUnknownAccessKey
		}
		// The end of the session is in the simulated time, and is checked below.
		return sigv4.Credentials{AccessKeyID: id, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
	}
	a.presigned.Lookup, a.presigned.Service, a.presigned.PresignedLife = a.verifier.Lookup, "sts", presignedLife
	return a
}

// Authenticate verifies the signature, the session token and the expiry.
func (a *authority) Authenticate(r *http.Request, body []byte, key Credential) error {
	verifier := &a.verifier
	if strings.HasSuffix(r.URL.Query().Get("X-Amz-Credential"), "/sts/aws4_request") {
		verifier = &a.presigned
	}
	if _, err := verifier.VerifyBody(r, body, a.clock()); err != nil {
		return err
	}
	if !key.Expires.IsZero() && !a.sim.clock().Before(key.Expires) {
		return ErrExpiredToken
	}
	return nil
}

// Authorize evaluates the policies of both sides.
func (a *authority) Authorize(call Call) error {
	who, err := iam.ParsePrincipal(call.Principal.ARN)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAccessDenied, err)
	}
	query, err := iam.Request{
		Principal: who, Action: call.Action, Resource: call.Resource, ResourceAccount: call.Owner, Context: call.Context,
	}.Prepare()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAccessDenied, err)
	}
	if call.Policies.Decide(query) == iam.Allowed {
		return nil
	}
	result := iam.Evaluate(&call.Policies, query)
	if call.Service == serviceSTS && result.Decision == iam.ImplicitDeny {
		// STS says no more than who may not do what; see deniedText.
		return ErrAccessDenied
	}
	return &denial{result.Message()}
}

// denial is ErrAccessDenied in words of its own.
type denial struct{ message string }

func (d *denial) Error() string { return d.message }

func (d *denial) Unwrap() error { return ErrAccessDenied }
