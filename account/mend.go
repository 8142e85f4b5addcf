package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// mendChain says what to change so that a link holds. Each case is one cause
// that an operator can tell from the others by what AWS answers; where AWS
// answers the same to several causes, all of them are named.
func mendChain(e *ChainError) string {
	code := errorCode(e.Err)
	message := errorMessage(e.Err)
	var sso *ssocreds.InvalidTokenError
	var profile config.SharedConfigProfileNotExistError
	var mfa config.AssumeRoleTokenProviderNotSetError
	var send *smithyhttp.RequestSendError
	switch {
	case errors.Is(e.Err, ErrLongLivedKeys):
		return "use temporary credentials instead: an IAM role for the service account (IRSA), EKS Pod Identity, an instance role, " +
			"or a profile with 'aws sso login'; to accept the key all the same, set allow_long_lived_keys"
	case errors.Is(e.Err, ErrNoCredentials):
		return "give base credentials: a profile (AWS_PROFILE, after 'aws sso login'), an IAM role for the service account " +
			"(AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE), EKS Pod Identity, or an instance role"
	case errors.As(e.Err, &profile):
		return "choose a profile that the shared configuration (~/.aws/config, or AWS_CONFIG_FILE) names"
	case errors.As(e.Err, &mfa):
		return "the profile asks for an MFA code, which a service cannot give: use a role without that condition, " +
			"or put temporary credentials of 'aws sts get-session-token' into the environment"
	case errors.As(e.Err, &sso):
		return "the SSO session has expired: run 'aws sso login" + profileFlag(e.profile) + "'"
	case code == "RegionDisabledException":
		return fmt.Sprintf("STS is disabled in %s: enable the region in the account (account settings, or account:EnableRegion), or read other regions", e.Region)
	case code == "ExpiredToken" || code == "ExpiredTokenException" || code == "TokenRefreshRequired":
		return mendExpired(e, message)
	case code == "InvalidIdentityToken":
		return "STS does not accept the web identity token: the IAM OIDC provider of the account must name the token's issuer, " +
			"and its audience (sts.amazonaws.com); after the cluster was made again, its issuer is a new one"
	case isClockCode(code):
		return fmt.Sprintf("the clock of this machine or the secret key is wrong: it is %s here; compare with 'date -u', set the clock by NTP, "+
			"and if it is right check the key", e.now.UTC().Format(time.RFC3339))
	case code == "InvalidClientTokenId" || code == "UnrecognizedClientException":
		return mendUnknownKey(e)
	case strings.HasPrefix(code, "AccessDenied") || code == "UnauthorizedOperation":
		return mendDenied(e, message)
	case code == "PackedPolicyTooLarge":
		return "the session tags are too large together: give fewer or shorter ones"
	case code == "ValidationError" || code == "ValidationException":
		return "AWS refuses a value of the call: check the role's ARN, its external id (2 to 1,224 characters), session name and session tags"
	case code == "AWSOrganizationsNotInUseException":
		return "the account is in no organization: give the roles one by one, or a hub role in the organization's management account " +
			"or a delegated administrator"
	case errors.As(e.Err, &send):
		return mendUnreachable(e)
	}
	switch Classify(e.Err) {
	case Throttled:
		return "AWS throttles the calls: it is tried again by itself; if it stays, lower the quota of the service in the configuration"
	case Transient, Cut:
		return "it is tried again by itself; if it stays, check the network, the proxy and AWS's health dashboard"
	default:
		return "check the credentials with 'aws sts get-caller-identity'"
	}
}

func profileFlag(profile string) string {
	if profile == "" {
		return ""
	}
	return " --profile " + profile
}

func isClockCode(code string) bool {
	switch code {
	case "SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture":
		return true
	}
	return false
}

func mendExpired(e *ChainError, message string) string {
	if strings.Contains(message, "web identity") || strings.Contains(strings.ToLower(e.Err.Error()), "webidentity") {
		return "the web identity token has expired: the file of AWS_WEB_IDENTITY_TOKEN_FILE must be the projected volume itself, " +
			"which the kubelet renews, and not a copy of it"
	}
	return "the base credentials have expired: renew them ('aws sso login', or new values of AWS_SESSION_TOKEN), " +
		"or use a source that renews itself (a profile, IRSA, Pod Identity, an instance role)"
}

func mendUnknownKey(e *ChainError) string {
	text := "AWS does not know the access key: it was deleted or deactivated, or belongs to another partition"
	if parsed, err := parseRoleARN(e.ARN); err == nil {
		text += fmt.Sprintf(" (the role is in %s: a role can be assumed only from credentials of the same partition)", parsed.partition)
	}
	return text
}

func mendUnreachable(e *ChainError) string {
	text := "the endpoint cannot be reached: check DNS, HTTPS_PROXY and the firewall"
	if e.Region != "" {
		text += fmt.Sprintf(", in a private network a VPC endpoint for the service in %s", e.Region)
	}
	return text + ", and AWS_ENDPOINT_URL if it is set"
}

// mendDenied tells which side lacks what. AWS names the layer only when both
// sides are in one account or the denial is explicit; otherwise the caller's
// policy, the trust policy, a wrong external id and a role that does not exist
// all get the same answer, and so all four are named.
func mendDenied(e *ChainError, message string) string {
	switch e.Link {
	case LinkOrganization:
		return "allow it in the management account or in a delegated administrator, to the role that asks: " +
			statement(map[string]any{"Effect": "Allow", "Action": "organizations:ListAccounts", "Resource": "*"})
	case LinkRegions:
		return "allow it to the role that reads the account: " +
			statement(map[string]any{"Effect": "Allow", "Action": "account:ListRegions", "Resource": "*"}) +
			"; or name the regions in the configuration"
	case LinkBase, LinkHub, LinkRole:
	}
	if strings.Contains(message, "AssumeRoleWithWebIdentity") {
		return "the trust policy of the role in AWS_ROLE_ARN must allow sts:AssumeRoleWithWebIdentity to the cluster's OIDC provider, " +
			"with the conditions :sub = system:serviceaccount:<namespace>:<service account> and :aud = sts.amazonaws.com"
	}
	if e.ARN == "" {
		return "allow the call to the base credentials, or use others"
	}
	if policy, ok := explicitDeny(message); ok {
		return fmt.Sprintf("an explicit Deny in %s forbids it: take %s out of that statement", policy, e.ARN)
	}
	caller := roleOfSession(callerOf(message))
	identity := "the identity policy of " + orCaller(caller) + " must have " + statement(map[string]any{
		"Effect": "Allow", "Action": e.actions(), "Resource": e.ARN,
	})
	trust := "the trust policy of " + e.ARN + " must have " + e.trustStatement(caller)
	switch {
	case strings.Contains(message, "no identity-based policy allows"):
		return identity
	case strings.Contains(message, "no resource-based policy allows"):
		return trust + e.externalIDNote()
	case strings.Contains(message, "no permissions boundary allows"):
		return "the permissions boundary of " + orCaller(caller) + " must allow sts:AssumeRole on " + e.ARN
	case strings.Contains(message, "no session policy allows"):
		return "the session policy of the caller's own session must allow sts:AssumeRole on " + e.ARN
	case strings.Contains(message, "no service control policy allows"):
		return "a service control policy of the caller's account must allow sts:AssumeRole on " + e.ARN
	}
	return "AWS does not say which side denies it. The role must exist; " + identity + "; and " + trust + e.externalIDNote()
}

// externalIDNote is added where a wrong external id gives the same answer.
func (e *ChainError) externalIDNote() string {
	if e.externalID == "" {
		return "; if that policy asks for an external id, configure it: a missing one gets this same answer"
	}
	return "; a wrong external id gets this same answer"
}

func (e *ChainError) actions() any {
	if e.tagged {
		return []string{"sts:AssumeRole", "sts:TagSession"}
	}
	return "sts:AssumeRole"
}

func (e *ChainError) trustStatement(caller string) string {
	if caller == "" {
		caller = "<ARN of the caller's role>"
	}
	s := map[string]any{"Effect": "Allow", "Principal": map[string]string{"AWS": caller}, "Action": e.actions()}
	if e.externalID != "" {
		s["Condition"] = map[string]any{"StringEquals": map[string]string{"sts:ExternalId": e.externalID}}
	}
	return statement(s)
}

func statement(s map[string]any) string {
	b := new(strings.Builder)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

func orCaller(caller string) string {
	if caller == "" {
		return "the caller"
	}
	return caller
}

// callerOf finds the principal that AWS names: "User: ARN is not authorized …".
func callerOf(message string) string {
	_, rest, ok := strings.Cut(message, "User: ")
	if !ok {
		return ""
	}
	arn, _, _ := strings.Cut(rest, " ")
	if !strings.HasPrefix(arn, "arn:") {
		return ""
	}
	return clean(arn)
}

// explicitDeny returns the kind of policy that AWS says denies explicitly.
func explicitDeny(message string) (string, bool) {
	_, rest, ok := strings.Cut(message, "explicit deny in ")
	if !ok {
		return "", false
	}
	kind, _, _ := strings.Cut(clean(rest), ":")
	kind = strings.TrimRight(kind, ". ")
	if kind == "" {
		kind = "a policy"
	}
	return kind, true
}
