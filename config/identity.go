package config

import (
	"net/url"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
)

// Identity is who may use the dashboard and the HTTP API: docs/identity.md.
type Identity struct {
	// PublicURL is the address by which people reach Gatehouse.
	PublicURL string
	// TLSCert and TLSKey are files in PEM; empty: plain HTTP.
	TLSCert, TLSKey string
	// AdminToken is the token of an admin; empty: a new random one at each start.
	// AdminTokenFile is a file with it.
	AdminToken, AdminTokenFile string

	Issuer           string
	ClientID         string
	ClientSecret     string
	ClientSecretFile string
	Scopes           []string
	GroupsClaim      string
	EmailClaim       string
	ManagerClaim     string
	Attributes       []string
	TrustEmail       bool

	// Admins, Approvers, Requesters and Viewers are lists of group:NAME, user:EMAIL
	// and *.
	Admins, Approvers, Requesters, Viewers []string

	PeopleFile  string
	SessionLife time.Duration
	SessionIdle time.Duration
}

func defaultIdentity() Identity {
	return Identity{
		GroupsClaim: "groups", EmailClaim: "email", ManagerClaim: "manager",
		SessionLife: 12 * time.Hour, SessionIdle: 2 * time.Hour,
	}
}

// OIDC reports whether people sign in with an identity provider.
func (i *Identity) OIDC() bool { return i.Issuer != "" }

// Secret is the client's secret, of the file if there is one; empty for a public
// client.
func (i *Identity) Secret() (string, error) {
	if i.ClientSecretFile == "" {
		return i.ClientSecret, nil
	}
	return secretFile("oidc_client_secret_file", i.ClientSecretFile)
}

// Token is the admin token, of the file if there is one; empty: none was set.
func (i *Identity) Token() (string, error) {
	if i.AdminTokenFile == "" {
		return i.AdminToken, nil
	}
	return secretFile("admin_token_file", i.AdminTokenFile)
}

// identitySettings are the settings of who may come in.
var identitySettings = []*Setting{
	text("public_url", "address by which people reach the dashboard, such as https://gatehouse.example.com; for sign-in, links in notices, and behind a proxy", func(c *Config) *string { return &c.Identity.PublicURL }),
	text("tls_cert", "file with the certificate of the dashboard and its chain, in PEM; read again when it changes", func(c *Config) *string { return &c.Identity.TLSCert }),
	text("tls_key", "file with the key of that certificate, in PEM", func(c *Config) *string { return &c.Identity.TLSKey }),
	secret(text("admin_token", "token of an admin, at least 20 characters; a random one at each start if empty. One that is set works from every address", func(c *Config) *string { return &c.Identity.AdminToken })),
	text("admin_token_file", "file with that token", func(c *Config) *string { return &c.Identity.AdminTokenFile }),
	text("oidc_issuer", "issuer of the OpenID provider that signs people in, such as https://id.example.com; the admin token alone if empty", func(c *Config) *string { return &c.Identity.Issuer }),
	text("oidc_client_id", "client id of Gatehouse there", func(c *Config) *string { return &c.Identity.ClientID }),
	secret(text("oidc_client_secret", "client secret for it; none for a public client", func(c *Config) *string { return &c.Identity.ClientSecret })),
	text("oidc_client_secret_file", "file with that secret, read for each use", func(c *Config) *string { return &c.Identity.ClientSecretFile }),
	list("oidc_scopes", "oidc-scope", "scopes to ask for; openid, profile, email and, where there is such a scope, offline_access if empty", func(c *Config) *[]string { return &c.Identity.Scopes }),
	text("oidc_groups_claim", "claim with a person's groups, an array or a text; a.b is b in the object a", func(c *Config) *string { return &c.Identity.GroupsClaim }),
	text("oidc_email_claim", "claim with the e-mail address; another than email needs oidc_trust_email", func(c *Config) *string { return &c.Identity.EmailClaim }),
	text("oidc_manager_claim", "claim with a person's manager", func(c *Config) *string { return &c.Identity.ManagerClaim }),
	list("oidc_attributes", "oidc-attribute", "further claims to keep of a person", func(c *Config) *[]string { return &c.Identity.Attributes }),
	toggle("oidc_trust_email", "take addresses that the provider does not call verified; only where nobody can choose their own there", func(c *Config) *bool { return &c.Identity.TrustEmail }),
	list("role_admins", "role-admin", "who is an admin: group:NAME, user:EMAIL, or * for everybody who is signed in", func(c *Config) *[]string { return &c.Identity.Admins }),
	list("role_approvers", "role-approver", "who may decide on requests for access, as above", func(c *Config) *[]string { return &c.Identity.Approvers }),
	list("role_requesters", "role-requester", "who may ask for access, as above", func(c *Config) *[]string { return &c.Identity.Requesters }),
	list("role_viewers", "role-viewer", "who may read, as above; nobody has a role that none of these give", func(c *Config) *[]string { return &c.Identity.Viewers }),
	text("people_file", "YAML file with people beside those who sign in, their groups and managers, and who is disabled (docs/identity.md); read again when it changes", func(c *Config) *string { return &c.Identity.PeopleFile }),
	duration("session_life", "how long a sign-in lasts", func(c *Config) *time.Duration { return &c.Identity.SessionLife }),
	duration("session_idle", "how long a browser's sign-in lasts without being used", func(c *Config) *time.Duration { return &c.Identity.SessionIdle }),
}

// validate checks how the settings go together.
func (i *Identity) validate(bad func(name, format string, args ...any)) {
	if i.PublicURL != "" {
		if _, err := identity.ParsePublicURL(i.PublicURL); err != nil {
			bad("public_url", "%w", err)
		}
	}
	if (i.TLSCert == "") != (i.TLSKey == "") {
		bad("tls_cert", "and tls_key go together")
	}
	if i.AdminToken != "" && i.AdminTokenFile != "" {
		bad("admin_token", "is set, and admin_token_file too: one is enough")
	}
	if i.AdminToken != "" && len(i.AdminToken) < 20 {
		bad("admin_token", "has fewer than 20 characters and could be guessed; leave it out to get a random one")
	}
	if i.ClientSecret != "" && i.ClientSecretFile != "" {
		bad("oidc_client_secret", "is set, and oidc_client_secret_file too: one is enough")
	}
	switch {
	case i.Issuer == "" && (i.ClientID != "" || i.ClientSecret != "" || i.ClientSecretFile != ""):
		bad("oidc_issuer", "is needed with oidc_client_id")
	case i.Issuer != "" && i.ClientID == "":
		bad("oidc_client_id", "is needed with oidc_issuer: the id of Gatehouse at the provider")
	}
	if i.Issuer != "" {
		u, err := url.Parse(i.Issuer)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname()+":0")) {
			bad("oidc_issuer", "%q is not an https address, exactly as the provider names itself", i.Issuer)
		}
	}
	if i.EmailClaim != "email" && !i.TrustEmail {
		bad("oidc_email_claim", "is not email, and the provider vouches for that claim alone; set oidc_trust_email if nobody can choose their own %s", i.EmailClaim)
	}
	for name, entries := range map[string][]string{"role_admins": i.Admins, "role_approvers": i.Approvers, "role_requesters": i.Requesters, "role_viewers": i.Viewers} {
		for _, e := range entries {
			if err := identity.CheckRoleEntry(e); err != nil {
				bad(name, "%w", err)
			}
		}
	}
	if i.SessionLife <= 0 {
		bad("session_life", "must be more than zero, not %s", i.SessionLife)
	}
	if i.SessionIdle <= 0 {
		bad("session_idle", "must be more than zero, not %s", i.SessionIdle)
	}
}
