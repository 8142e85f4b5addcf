package awssim

import (
	"maps"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Caller is who an access key belongs to, with all that a service other than
// those of the Sim needs to decide a call signed with it.
type Caller struct {
	Credential

	// Policies are those of the caller's side, as its role or user has them now.
	// One that is gone may do nothing.
	Policies iam.Policies
	// Context are the condition keys that the caller brings: aws:userid,
	// aws:PrincipalArn, aws:PrincipalTag/…, aws:PrincipalOrgID and the like.
	Context iam.Context
}

// Caller returns who an access key belongs to, and false for a key that was
// never issued or whose account is closed. The end of a session is not looked
// at: it is in Expires.
func (s *Sim) Caller(accessKeyID string) (*Caller, bool) {
	c := &Caller{Credential: s.credential(accessKeyID)}
	if !c.Known() {
		return nil, false
	}
	a := s.account(c.Principal.Account)
	if a == nil || a.Status() != statusActive {
		return nil, false
	}
	var tags map[string]string
	c.Policies, tags = a.policiesOf(&c.Credential)
	c.Context = s.principalKeys(&c.Credential, tags)
	return c, true
}

// principalKeys are the condition keys of who calls, who has the tags.
func (s *Sim) principalKeys(cred *Credential, tags map[string]string) iam.Context {
	p := &cred.Principal
	c := iam.Context{"aws:userid": {p.ID}}
	if org := s.organizationOf(p.Account); org != nil {
		c["aws:PrincipalOrgID"] = []string{org.ID()}
	}
	if p.Kind == KindSession {
		// With its path, which the session's ARN does not have.
		c["aws:PrincipalArn"] = []string{p.RoleARN}
		c["aws:TokenIssueTime"] = []string{cred.Issued.Format(time.RFC3339)}
	}
	for key, value := range tags {
		c["aws:PrincipalTag/"+key] = []string{value}
	}
	for key, value := range cred.Tags {
		// A session tag goes before the role's own of that name, in any case.
		for k := range tags {
			if strings.EqualFold(k, key) {
				delete(c, "aws:PrincipalTag/"+k)
			}
		}
		c["aws:PrincipalTag/"+key] = []string{value}
	}
	if cred.SourceIdentity != "" {
		c["aws:SourceIdentity"] = []string{cred.SourceIdentity}
	}
	if cred.Provider != "" {
		c["aws:FederatedProvider"] = []string{cred.Provider}
	}
	maps.Copy(c, cred.Keys)
	return c
}
