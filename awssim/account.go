package awssim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Account is a simulated AWS account.
type Account struct {
	sim *Sim
	id  string

	// changes keeps writes of IAM apart, from what they read to what they store. It is
	// taken before mu.
	changes sync.Mutex

	mu      sync.RWMutex
	name    string
	email   string
	status  string
	joined  time.Time
	roles   map[string]*Role // by name
	users   map[string]*User
	regions map[string]*Region
	optIn   map[string]string         // region opt status that differs from the table
	managed map[string]*managedPolicy // by ARN
	groups  map[string]*Group
	alias   string
	oidc    map[string]*oidcProvider // by issuer
	saml    map[string]*samlProvider // by ARN
}

// Role is an IAM role. What it trusts and may do is said by policy documents, or
// in the short form of lists, which AddRole turns into documents.
type Role struct {
	Name        string
	Path        string // with both slashes; empty: "/"
	Description string
	// TrustPolicy is the trust policy as JSON. It stands in place of
	// TrustedAccounts, TrustedPrincipals and ExternalID, which then are empty.
	TrustPolicy string
	// Policies are inline policies as JSON, and Inline such policies by name, beside
	// Allow.
	Policies []string
	Inline   map[string]string
	// ManagedPolicies are the ARNs of what AddPolicy made.
	ManagedPolicies []string
	// PermissionsBoundary is a policy as JSON, or the ARN of a managed one; empty:
	// none.
	PermissionsBoundary string
	// Tags are the role's tags: aws:PrincipalTag of its sessions, under the tags
	// of the session, and aws:ResourceTag where it is assumed.
	Tags map[string]string
	// TrustedAccounts may assume the role with any of their principals whose
	// own Allow has sts:AssumeRole.
	TrustedAccounts []string
	// TrustedPrincipals are ARNs of users, roles (any session of them) or role
	// sessions that may assume the role. Both lists empty: nobody may.
	TrustedPrincipals []string
	// ExternalID must be given to assume the role; empty: not asked for.
	ExternalID string
	// Allow are the actions that sessions of the role may call, with * and ?:
	// "logs:Describe*". Nil: nothing.
	Allow []string
	// MaxSession is the longest session; 0: one hour.
	MaxSession time.Duration

	id       string // AROA…
	arn      string
	boundary string // ARN
	policies *policies
}

// User is an IAM user.
type User struct {
	Name string
	Path string // with both slashes; empty: "/"
	// Allow are the actions that the user may call, with * and ?. Nil: nothing.
	Allow []string
	// Policies are inline policies as JSON, and Inline such policies by name, beside
	// Allow.
	Policies []string
	Inline   map[string]string
	// ManagedPolicies are the ARNs of what AddPolicy made.
	ManagedPolicies []string
	// Groups are the names of the user's groups.
	Groups []string
	// PermissionsBoundary is a policy as JSON, or the ARN of a managed one; empty:
	// none.
	PermissionsBoundary string
	// Tags are the user's tags, aws:PrincipalTag.
	Tags map[string]string

	id       string // AIDA…
	arn      string
	boundary string // ARN
	policies *policies
}

// Credentials are an access key, with a session token and an end if temporary.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // empty for a user's key
	Expiration      time.Time // zero for a user's key
}

func newAccount(s *Sim, id string) *Account {
	return &Account{
		sim: s, id: id,
		name:    "account-" + id,
		email:   "aws+" + id + "@example.com",
		status:  statusActive,
		joined:  s.clock(),
		roles:   map[string]*Role{},
		users:   map[string]*User{},
		regions: map[string]*Region{},
		optIn:   map[string]string{},
		managed: map[string]*managedPolicy{},
		groups:  map[string]*Group{},
		oidc:    map[string]*oidcProvider{},
		saml:    map[string]*samlProvider{},
	}
}

// ID is the 12-digit account id.
func (a *Account) ID() string { return a.id }

// SetName sets the name that Organizations shows.
func (a *Account) SetName(name string) *Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.name = name
	return a
}

// SetStatus sets the status that Organizations shows: ACTIVE, SUSPENDED or
// PENDING_CLOSURE. Calls with keys of an account that is not ACTIVE fail.
func (a *Account) SetStatus(status string) *Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
	return a
}

// Name is the name that Organizations shows.
func (a *Account) Name() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.name
}

// Status is the status that Organizations shows.
func (a *Account) Status() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.status
}

// AddRole adds a role, or replaces the one of that name, and returns its ARN.
// Sessions of a replaced role live on with what the new one allows. It panics on a
// policy that AWS would not store, for that is a mistake in the world's set-up.
func (a *Account) AddRole(r Role) string {
	r.Path = cleanPath(r.Path)
	r.arn = "arn:" + a.sim.partition + ":iam::" + a.id + ":role" + r.Path + r.Name
	r.TrustedAccounts = slices.Clone(r.TrustedAccounts)
	r.TrustedPrincipals = slices.Clone(r.TrustedPrincipals)
	r.Allow = slices.Clone(r.Allow)
	r.Policies = slices.Clone(r.Policies)
	r.Tags = maps.Clone(r.Tags)
	r.ManagedPolicies = slices.Clone(r.ManagedPolicies)
	r.boundary = a.boundaryARN(r.PermissionsBoundary, r.Name)
	r.policies = compileRole(a.sim.partition, &r)
	id := "AROA" + a.sim.randomID(upperAlnum, 17)
	a.mu.Lock()
	defer a.mu.Unlock()
	r.id = id
	if old, ok := a.roles[r.Name]; ok {
		r.id = old.id
	}
	a.roles[r.Name] = &r
	return r.arn
}

// RemoveRole deletes a role. Its sessions are known still, but allowed nothing.
func (a *Account) RemoveRole(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.roles, name)
}

// AddUser adds a user, or replaces the one of that name, and returns its ARN. It
// panics on a policy that AWS would not store.
func (a *Account) AddUser(u User) string {
	u.Path = cleanPath(u.Path)
	u.arn = "arn:" + a.sim.partition + ":iam::" + a.id + ":user" + u.Path + u.Name
	u.Allow = slices.Clone(u.Allow)
	u.Policies = slices.Clone(u.Policies)
	u.Tags = maps.Clone(u.Tags)
	u.ManagedPolicies, u.Groups = slices.Clone(u.ManagedPolicies), slices.Clone(u.Groups)
	u.boundary = a.boundaryARN(u.PermissionsBoundary, u.Name)
	u.policies = &policies{inline: inlinePolicies(u.arn, u.Allow, u.Policies, u.Inline)}
	u.policies.identity = attachedOf(u.policies.inline)
	id := "AIDA" + a.sim.randomID(upperAlnum, 17)
	a.mu.Lock()
	defer a.mu.Unlock()
	u.id = id
	if old, ok := a.users[u.Name]; ok {
		u.id = old.id
	}
	a.users[u.Name] = &u
	return u.arn
}

// AddAccessKey returns a new long-lived access key (AKIA…) of a user. A user
// that does not exist is added as an administrator (Allow "*").
func (a *Account) AddAccessKey(user string) Credentials {
	c := Credentials{
		AccessKeyID:     "AKIA" + a.sim.randomID(upperAlnum, 16),
		SecretAccessKey: a.sim.randomID(secretAlphabet, 40),
	}
	a.SetAccessKey(user, c.AccessKeyID, c.SecretAccessKey)
	return c
}

// SetAccessKey registers a long-lived access key with a given id and secret. A
// user that does not exist is added as an administrator (Allow "*").
func (a *Account) SetAccessKey(user, id, secret string) {
	u := a.user(user)
	if u == nil {
		a.AddUser(User{Name: user, Allow: []string{"*"}})
		u = a.user(user)
	}
	a.sim.addKey(&Credential{
		AccessKeyID:     id,
		SecretAccessKey: secret,
		Principal:       Principal{Account: a.id, Kind: KindUser, Name: u.Name, ARN: u.arn, ID: u.id},
	})
}

// Session returns temporary credentials of a role without asking its trust, as
// an instance profile or IRSA would hand them out. It panics if the role does
// not exist, for that is a mistake in the world's set-up.
func (a *Account) Session(role, sessionName string, duration time.Duration) Credentials {
	r := a.role(role)
	if r == nil {
		panic("awssim: account " + a.id + " has no role " + role)
	}
	return a.sim.issue(a, r, sessionName, duration).credentials()
}

// SAMLSession returns temporary credentials of a role for a user for whom a SAML
// provider has vouched, as IAM Identity Center hands them out: the session is named
// after the user and keeps saml:sub. It panics if the role does not exist.
func (a *Account) SAMLSession(role, user string, duration time.Duration) Credentials {
	r := a.role(role)
	if r == nil {
		panic("awssim: account " + a.id + " has no role " + role)
	}
	c := a.sim.newSession(a, r, user, duration)
	who := samlSubject{subject: user, kind: "persistent", qualifier: "awssim"}
	c.Keys = who.keys()
	a.sim.addKey(c)
	return c.credentials()
}

// SetSession registers temporary credentials of a role that were made elsewhere,
// limited by session policies. It panics if the role does not exist, for that is
// a mistake in the world's set-up.
func (a *Account) SetSession(role, sessionName string, given Credentials, sessionPolicies ...string) {
	r := a.role(role)
	if r == nil {
		panic("awssim: account " + a.id + " has no role " + role)
	}
	c := a.sim.newSession(a, r, sessionName, 0)
	c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires = given.AccessKeyID, given.SecretAccessKey, given.SessionToken, given.Expiration
	c.Policies = sessionPolicies
	for i, text := range sessionPolicies {
		c.session = append(c.session, mustCompile(iam.KindSession, c.Principal.ARN, fmt.Sprintf("session policy %d", i), text))
	}
	a.sim.addKey(c)
}

// SetRegionStatus overrides a region's opt status: ENABLED, ENABLING,
// DISABLING, DISABLED or ENABLED_BY_DEFAULT. Calls into a DISABLED region fail.
func (a *Account) SetRegionStatus(region, status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.optIn[region] = status
}

// Region returns what the account has in a region, and creates it on first use,
// which enables a region that is off by default.
func (a *Account) Region(name string) *Region {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.regions[name]
	if !ok {
		r = newRegion(a, name)
		a.regions[name] = r
		if _, set := a.optIn[name]; !set && regionStatus[name] == statusDisabled {
			a.optIn[name] = "ENABLED"
		}
	}
	return r
}

// regionIfAny returns the region if anything was put there, without enabling it.
func (a *Account) regionIfAny(name string) *Region {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.regions[name]
}

// reached returns the region for a call; ok is false where it is disabled.
func (a *Account) reached(name string) (r *Region, ok bool) {
	if a.optStatus(name) == statusDisabled {
		return nil, false
	}
	if r := a.regionIfAny(name); r != nil {
		return r, true
	}
	return a.Region(name), true
}

func (a *Account) optStatus(region string) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if s, ok := a.optIn[region]; ok {
		return s
	}
	return regionStatus[region]
}

// regionNames lists the regions that the account can know, sorted.
func (a *Account) regionNames() []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	names := maps.Clone(regionStatus)
	for n := range a.optIn {
		names[n] = ""
	}
	return slices.Sorted(maps.Keys(names))
}

func (a *Account) role(name string) *Role {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.roles[name]
}

func (a *Account) user(name string) *User {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.users[name]
}

// ARN is the role's ARN, set once it was added to an account.
func (r *Role) ARN() string { return r.arn }

// ARN is the user's ARN, set once it was added to an account.
func (u *User) ARN() string { return u.arn }

func cleanPath(p string) string {
	p = strings.Trim(p, "/")
	if p == "" {
		return "/"
	}
	return "/" + p + "/"
}
