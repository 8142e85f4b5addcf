package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/iam"
)

// simCredentials are the credentials that a simulated AWS has given out.
type simCredentials struct{ sim *awssim.Sim }

var _ gateway.CredentialStore = simCredentials{}

// newSimCredentials lets a gateway know the sessions of a simulated AWS.
func newSimCredentials(sim *awssim.Sim) gateway.CredentialStore { return simCredentials{sim} }

// Lookup returns who has the key, with the policies as they are now.
func (s simCredentials) Lookup(accessKeyID string) (*gateway.Principal, error) {
	c, ok := s.sim.Caller(accessKeyID)
	if !ok {
		return nil, nil
	}
	who, err := iam.ParsePrincipal(c.Principal.ARN)
	if err != nil {
		return nil, fmt.Errorf("the principal of access key %s: %w", accessKeyID, err)
	}
	return &gateway.Principal{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires,
		Principal: who, UserID: c.Principal.ID, Policies: c.Policies, Context: c.Context,
	}, nil
}

// newLocalSTS makes a simulated AWS of the roles and credentials of a gateway's
// configuration, which Load has checked.
func newLocalSTS(c *gateway.Config) (*awssim.Sim, error) {
	sim := awssim.New(awssim.Options{})
	for i := range c.STS.Roles {
		r := &c.STS.Roles[i]
		who, err := iam.ParsePrincipal(r.ARN)
		if err != nil {
			return nil, err
		}
		path, name := splitName(r.ARN, ":role")
		role := awssim.Role{Name: name, Path: path, Policies: texts(r.Policies), MaxSession: r.MaxSession, Tags: r.Tags}
		if r.Trust != nil {
			role.TrustPolicy = string(r.Trust.JSON)
		}
		if r.Boundary != nil {
			role.PermissionsBoundary = string(r.Boundary.JSON)
		}
		sim.Account(who.Account).AddRole(role)
	}
	given := map[string][]string{} // policies by principal
	for i := range c.Credentials {
		if err := addCredential(sim, c, &c.Credentials[i], given); err != nil {
			return nil, fmt.Errorf("credentials[%d]: %w", i, err)
		}
	}
	return sim, nil
}

// addCredential makes a credential of the configuration known to the STS.
func addCredential(sim *awssim.Sim, c *gateway.Config, k *gateway.Credential, given map[string][]string) error {
	who, err := iam.ParsePrincipal(k.Principal)
	if err != nil {
		return err
	}
	account := sim.Account(who.Account)
	policies, boundary := texts(k.Policies), ""
	if k.Boundary != nil {
		boundary = string(k.Boundary.JSON)
	}
	whose := who.ARN
	if who.Kind == iam.PrincipalRoleSession {
		whose = who.Account + "/" + sessionRole(k.Principal)
	}
	all := append(slices.Clone(policies), boundary)
	if before, ok := given[whose]; ok && !slices.Equal(before, all) {
		// In AWS they belong to the user or the role and not to a key.
		return fmt.Errorf("%s has other policies than another credential of the same user or role: with a local STS they must be the same", k.AccessKeyID)
	}
	given[whose] = all
	if who.Kind == iam.PrincipalUser {
		path, name := splitName(k.Principal, ":user")
		account.AddUser(awssim.User{Name: name, Path: path, Policies: policies, PermissionsBoundary: boundary})
		account.SetAccessKey(name, k.AccessKeyID, k.SecretAccessKey)
		return nil
	}
	role := sessionRole(k.Principal)
	configured := slices.ContainsFunc(c.STS.Roles, func(r gateway.Role) bool {
		owner, err := iam.ParsePrincipal(r.ARN)
		_, name := splitName(r.ARN, ":role")
		return err == nil && owner.Account == who.Account && name == role
	})
	switch {
	case !configured:
		account.AddRole(awssim.Role{Name: role, Policies: policies, PermissionsBoundary: boundary, TrustPolicy: `{"Version":"2012-10-17","Statement":[]}`})
	case len(policies) > 0 || boundary != "":
		return fmt.Errorf("%s is a session of a role of sts.roles: its policies are those of the role, leave them out here", k.AccessKeyID)
	}
	account.SetSession(role, k.Principal[strings.LastIndexByte(k.Principal, '/')+1:], awssim.Credentials{
		AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken, Expiration: k.Expires,
	}, texts(k.SessionPolicies)...)
	return nil
}

func texts(policies []gateway.PolicyText) []string {
	out := make([]string, 0, len(policies))
	for _, p := range policies {
		out = append(out, string(p.JSON))
	}
	return out
}

// splitName splits arn:aws:iam::ACCOUNT:role/path/NAME into /path/ and NAME.
func splitName(arn, kind string) (path, name string) {
	_, path, _ = strings.Cut(arn, kind)
	i := strings.LastIndexByte(path, '/')
	return path[:i+1], path[i+1:]
}

// sessionRole is the role of arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION.
func sessionRole(arn string) string {
	_, rest, _ := strings.Cut(arn, ":assumed-role/")
	role, _, _ := strings.Cut(rest, "/")
	return role
}
