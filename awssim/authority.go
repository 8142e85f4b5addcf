package awssim

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Authority decides who is calling and what they may. It is where signature
// verification and policy evaluation are plugged in. An error of either method
// refuses the call, whatever the error is.
type Authority interface {
	// Authenticate checks that the request was made with the credential. Its
	// errors are the Err… values of this package, an *Error, or anything else,
	// which is answered as access denied.
	Authenticate(r *http.Request, body []byte, key Credential) error
	// Authorize checks that the call is allowed. ErrAccessDenied is answered in
	// the service's own words. It is not asked about sts:GetCallerIdentity, which
	// needs no permission.
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

// The kinds of principals that can sign calls.
const (
	KindUser    Kind = "user"
	KindSession Kind = "assumed-role"
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
	// Expires ends a session; zero: a long-lived key.
	Expires time.Time
	// Chained says that the role was assumed by another role's session.
	Chained bool
	// Policies are the session policies given to AssumeRole, Tags the session
	// tags, SourceIdentity the source identity.
	Policies       []string
	Tags           map[string]string
	SourceIdentity string
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
	// Granted are the action patterns of the caller's role or user; nil if it
	// does not exist any more.
	Granted []string
	// Session is the calling credential.
	Session Credential

	// Role is the role to assume, nil if there is none of that ARN; for
	// sts:AssumeRole alone, as the two that follow.
	Role       *Role
	RoleAcct   string
	ExternalID string
}

// lists is the default Authority: access key, session token, expiry, and the
// lists of Role and User. It does not look at signatures.
type lists struct{ clock func() time.Time }

var _ Authority = lists{}

// Authenticate checks the access key, the session token and the expiry.
func (l lists) Authenticate(r *http.Request, _ []byte, key Credential) error {
	if !key.Known() {
		return ErrUnknownAccessKey
	}
	token := r.Header.Get("X-Amz-Security-Token")
	if token == "" {
		token = r.URL.Query().Get("X-Amz-Security-Token")
	}
	if token != key.SessionToken {
		return ErrUnknownAccessKey
	}
	if !key.Expires.IsZero() && !l.clock().Before(key.Expires) {
		return ErrExpiredToken
	}
	return nil
}

// Authorize looks the action up in what is granted to the caller and, for
// sts:AssumeRole, asks the role's trust lists. A role of the caller's own
// account that trusts the caller by name needs no grant, as on AWS.
func (l lists) Authorize(call Call) error {
	granted := false
	for _, pattern := range call.Granted {
		if matchAction(pattern, call.Action) {
			granted = true
			break
		}
	}
	if call.Action != "sts:AssumeRole" {
		if !granted {
			return ErrAccessDenied
		}
		return nil
	}
	if call.Role == nil {
		return ErrAccessDenied
	}
	if call.Role.ExternalID != "" && call.ExternalID != call.Role.ExternalID {
		return ErrAccessDenied
	}
	named := slices.ContainsFunc(call.Role.TrustedPrincipals, func(arn string) bool {
		return arn == call.Principal.ARN || arn != "" && arn == call.Principal.RoleARN
	})
	if named && (granted || call.RoleAcct == call.Account) {
		return nil
	}
	if granted && slices.Contains(call.Role.TrustedAccounts, call.Account) {
		return nil
	}
	return ErrAccessDenied
}

// matchAction matches an action with a pattern of * and ?, without regard to
// case, in time linear in practice: it backtracks to the last star alone.
func matchAction(pattern, action string) bool {
	pattern, action = strings.ToLower(pattern), strings.ToLower(action)
	p, a, star, mark := 0, 0, -1, 0
	for a < len(action) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, a
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == action[a]):
			p++
			a++
		case star >= 0:
			mark++
			p, a = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
