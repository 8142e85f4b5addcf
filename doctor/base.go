package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/gatehouse-project/gatehouse/account"
)

const (
	// skewWarn and skewFail are how far the clock may be off: AWS refuses a
	// signature that is five minutes old.
	skewWarn = 30 * time.Second
	skewFail = 5 * time.Minute
	// soon is when credentials that nobody renews are about to end.
	soon = 15 * time.Minute
)

// identity is who the base credentials are.
type identity struct {
	arn, account string
	config       aws.Config
}

// base checks the base credentials and the clock. It reports false where nothing
// further can be asked.
func (r *run) base(ctx context.Context) (identity, bool) {
	cfg := r.o.Accounts
	cfg.Hub, cfg.Roles, cfg.Organization = nil, nil, false
	if len(cfg.Regions) == 0 {
		cfg.Regions = regionsOf(r.o.Accounts)
	}
	accounts, err := account.New(cfg, r.o.Account)
	if err != nil {
		r.add(Result{Status: Fail, Check: checkBase, What: "AWS cannot be reached as it is configured", Why: err.Error(), Mend: mendOf(err)})
		return identity{}, false
	}
	id := identity{config: accounts.Config(account.Target{}, accounts.Region())}
	creds, err := id.config.Credentials.Retrieve(ctx)
	if err != nil {
		r.add(Result{Status: Fail, Check: checkBase, What: "there are no base credentials", Why: account.Text(err), Mend: mendOf(err)})
		r.skew(nil, err)
		return id, false
	}
	out, err := sts.NewFromConfig(id.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	r.skew(out, err)
	if err != nil {
		chain := account.ChainError{Link: account.LinkBase, Region: accounts.Region(), Err: err}
		if deeper, ok := errors.AsType[*account.ChainError](err); ok {
			chain = *deeper
		}
		r.add(Result{Status: Fail, Check: checkBase, What: "AWS does not accept the base credentials", Why: account.Text(err), Mend: chain.Mend()})
		return id, false
	}
	id.arn, id.account = aws.ToString(out.Arn), aws.ToString(out.Account)
	r.add(r.describe(creds, id.arn))
	return id, true
}

// regionsOf are the regions of the roles, for a base that is configured with none.
func regionsOf(c account.Config) []string {
	var regions []string
	for i := range c.Roles {
		regions = append(regions, c.Roles[i].Regions...)
	}
	return regions
}

// sources name where the SDK's credentials come from, by how it names them.
var sources = []struct{ prefix, text string }{
	{"EnvConfigCredentials", "the environment"},
	{"WebIdentityCredentials", "a web identity (IRSA)"},
	{"SSOProvider", "an SSO session"},
	{"AssumeRoleProvider", "a role of the profile"},
	{"EC2RoleProvider", "the instance's role"},
	{"CredentialsEndpointProvider", "a container's credentials endpoint (EKS Pod Identity, ECS)"},
	{"SharedConfigCredentials", "the shared credentials file"},
	{"ProcessProvider", "a credential process"},
	{"LoginProvider", "a console login"},
}

func sourceOf(name string) string {
	for _, s := range sources {
		if strings.HasPrefix(name, s.prefix) {
			return s.text
		}
	}
	return "given credentials"
}

// describe says what kind of credentials the base has, and whether they last.
func (r *run) describe(creds aws.Credentials, arn string) Result {
	source := sourceOf(creds.Source)
	result := Result{Status: OK, Check: checkBase, Subject: arn, What: "temporary credentials from " + source}
	fixed := source == "the environment" || source == "the shared credentials file" || source == "given credentials"
	switch {
	case creds.SessionToken == "":
		result.Status, result.What = Warn, "a long-lived access key of an IAM user, from "+source
		result.Mend = "use a role instead: IRSA, EKS Pod Identity, an instance role, or a profile with 'aws sso login'; allow_long_lived_keys accepts this one"
	case creds.CanExpire:
		left := creds.Expires.Sub(r.clock())
		result.What += fmt.Sprintf(", which end in %v", left.Round(time.Minute))
		if fixed && left < soon {
			result.Status = Warn
			result.Mend = "renew them now, or use a source that renews itself: a profile, IRSA, Pod Identity, an instance role"
		}
	case fixed:
		result.Status = Warn
		result.What += "; when they end is not known, and nobody renews them"
		result.Mend = "for anything that runs for longer than this session, use a source that renews itself: a profile, IRSA, Pod Identity, an instance role"
	}
	return result
}

// skew compares the clock with the Date of AWS's answer, which is there with an
// error too.
func (r *run) skew(out *sts.GetCallerIdentityOutput, err error) {
	now := r.clock()
	var theirs time.Time
	if out != nil {
		theirs, _ = awsmiddleware.GetServerTime(out.ResultMetadata)
	}
	var response *smithyhttp.ResponseError
	if theirs.IsZero() && errors.As(err, &response) && response.Response != nil {
		theirs, _ = http.ParseTime(response.Response.Header.Get("Date")) // zero if it is no date
	}
	if theirs.IsZero() {
		if err == nil {
			r.add(Result{Status: Warn, Check: checkClock, What: "AWS's answer has no date to compare with"})
		}
		return
	}
	off := now.Sub(theirs)
	side := "ahead of"
	if off < 0 {
		off, side = -off, "behind"
	}
	result := Result{Status: OK, Check: checkClock, What: "agrees with AWS's within a few seconds"}
	if off >= 5*time.Second {
		result.What = fmt.Sprintf("%v %s AWS's", off.Round(time.Second), side)
	}
	const mend = "set this machine's clock by NTP"
	switch {
	case off >= skewFail:
		result.Status, result.Mend = Fail, mend
		result.What += ": AWS refuses signatures that are five minutes off"
	case off >= skewWarn:
		result.Status, result.Mend = Warn, mend
	}
	r.add(result)
}

// hub checks the hub role, if there is one, and reports false where no account can
// be reached without it.
func (r *run) hub(ctx context.Context, accounts *account.Accounts, base identity) bool {
	hub := r.o.Accounts.Hub
	if hub == nil {
		return true
	}
	cfg := accounts.Config(account.Target{}, accounts.Region())
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		result := Result{Status: Fail, Check: checkHub, Subject: hub.ARN, What: "it cannot be assumed from the base credentials", Why: account.Text(err), Mend: mendOf(err)}
		if account.Classify(err) == account.Throttled {
			result.Status = Warn
		}
		if account.Classify(err) == account.Denied {
			result = r.whichSide(ctx, result, readAssumer(ctx, base.config), hub.ARN, externalID(hub, r.o.Accounts))
		}
		r.add(result)
		return false
	}
	r.add(Result{Status: OK, Check: checkHub, Subject: hub.ARN, What: "is assumed; " + r.sessionText(creds)})
	return true
}

// sessionText says how long a session lasts.
func (r *run) sessionText(creds aws.Credentials) string {
	if !creds.CanExpire {
		return "when the session ends is not known"
	}
	return fmt.Sprintf("the session ends in %v and is renewed before (a chained session lasts an hour at most)", creds.Expires.Sub(r.clock()).Round(time.Minute))
}

func externalID(role *account.Role, c account.Config) string {
	if role.ExternalID != "" {
		return role.ExternalID
	}
	return c.ExternalID
}
