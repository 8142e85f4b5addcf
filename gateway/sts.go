package gateway

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// STS is a local AWS STS beside the gateway. Whoever has one of the configured
// credentials assumes its roles as in AWS, and calls the APIs with the sessions.
// The gateway's configuration names it; the one who runs the gateway serves it,
// and gives the sessions to the gateway as Options.Credentials.
type STS struct {
	// Listen is the address that clients name as AWS_ENDPOINT_URL_STS.
	Listen string `yaml:"listen"`
	Roles  []Role `yaml:"roles"`
}

// DefaultSTSListen is where the local STS listens unless told otherwise.
const DefaultSTSListen = "127.0.0.1:8323"

// Role is a role that can be assumed through the local STS.
type Role struct {
	// ARN is arn:aws:iam::ACCOUNT:role/NAME.
	ARN string `yaml:"arn"`
	// Trust is the trust policy; without one, nobody may assume the role.
	Trust *PolicyText `yaml:"trust_policy"`
	// Policies are the identity-based policies of the role's sessions.
	Policies []PolicyText `yaml:"policies"`
	Boundary *PolicyText  `yaml:"permissions_boundary"`
	// MaxSession is the longest session, 1 h if zero.
	MaxSession time.Duration     `yaml:"max_session"`
	Tags       map[string]string `yaml:"tags"`
}

// texts gives the policy documents of a role with their paths.
func (r *Role) texts(path string) map[string]*PolicyText {
	texts := map[string]*PolicyText{}
	if r.Trust != nil {
		texts[path+".trust_policy"] = r.Trust
	}
	if r.Boundary != nil {
		texts[path+".permissions_boundary"] = r.Boundary
	}
	for i := range r.Policies {
		texts[indexed(path+".policies", i)] = &r.Policies[i]
	}
	return texts
}

// check finds what the local STS could not keep to.
func (s *STS) check(credentials []Credential) []error {
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	seen := map[string]bool{}
	for i := range s.Roles {
		r := &s.Roles[i]
		path := indexed("sts.roles", i)
		who, err := iam.ParsePrincipal(r.ARN)
		switch {
		case err != nil || who.Kind != iam.PrincipalRole:
			fail(at(path+".arn", "%q is not the ARN of a role", clip(r.ARN)))
		case seen[who.Account+"/"+roleName(r.ARN)]:
			fail(at(path+".arn", "account %s has another role of this name", who.Account))
		}
		seen[who.Account+"/"+roleName(r.ARN)] = true
		if r.MaxSession != 0 && (r.MaxSession < 15*time.Minute || r.MaxSession > 12*time.Hour) {
			fail(at(path+".max_session", "%s is not between 15 minutes and 12 hours", r.MaxSession))
		}
		for p, text := range r.texts(path) {
			kind := iam.KindIdentity
			switch p {
			case path + ".trust_policy":
				kind = iam.KindTrust
			case path + ".permissions_boundary":
				kind = iam.KindBoundary
			}
			if _, err := attach(p, kind, text); err != nil {
				fail(err)
			}
		}
	}
	for i := range credentials {
		path := fmt.Sprintf("credentials[%d]", i)
		if len(credentials[i].SCPs) > 0 {
			e := at(path+".scps", "the local STS knows no service control policies")
			e.Hint = "write what they deny into the credential's permissions_boundary, or leave out sts"
			fail(e)
		}
		who, err := iam.ParsePrincipal(credentials[i].Principal)
		if err == nil && who.Kind != iam.PrincipalUser && who.Kind != iam.PrincipalRoleSession {
			fail(at(path+".principal", "only users and role sessions can have credentials where there is a local STS"))
		}
	}
	return errs
}

// roleName is the last part of a role's ARN, which is unique in an account
// whatever the path before it.
func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
