package gateway

import (
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Principal is who an access key belongs to, and what limits it.
type Principal struct {
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken is empty for a long-lived key.
	SessionToken string
	// Expires is when the session ends; never if zero.
	Expires   time.Time
	Principal iam.Principal
	// UserID is aws:userid; empty if not known.
	UserID string
	// Policies are those of the principal's side; Resource is not looked at.
	Policies iam.Policies
	// Context are condition keys that the principal brings, such as its tags.
	Context iam.Context
}

// CredentialStore finds who an access key belongs to. It is called for every
// signed call.
type CredentialStore interface {
	// Lookup returns nil without an error for a key that does not exist.
	Lookup(accessKeyID string) (*Principal, error)
}

// principals are the credentials of a configuration, and beside them those of
// another store, which may be nil.
type principals struct {
	own    map[string]*Principal
	others CredentialStore
}

var _ CredentialStore = principals{}

// Lookup returns the principal of a key.
func (p principals) Lookup(accessKeyID string) (*Principal, error) {
	if own := p.own[accessKeyID]; own != nil || p.others == nil {
		return own, nil
	}
	return p.others.Lookup(accessKeyID)
}

func (k *Credential) compile(path string) (*Principal, error) {
	p := &Principal{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken, Expires: k.Expires, UserID: k.UserID}
	if k.AccessKeyID == "" {
		return nil, at(path+".access_key_id", "is missing")
	}
	if k.SecretAccessKey == "" {
		return nil, at(path+".secret_access_key", "is missing")
	}
	who, err := iam.ParsePrincipal(k.Principal)
	if err != nil {
		return nil, at(path+".principal", "%w", err)
	}
	switch who.Kind {
	case iam.PrincipalUser, iam.PrincipalRoleSession, iam.PrincipalRoot, iam.PrincipalFederatedUser:
	default:
		return nil, at(path+".principal", "%q cannot sign: name a user or a role session", clip(k.Principal))
	}
	p.Principal = who
	list := func(path string, kind iam.Kind, texts []PolicyText) ([]iam.Attached, error) {
		out := make([]iam.Attached, 0, len(texts))
		for i := range texts {
			a, err := attach(indexed(path, i), kind, &texts[i])
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		}
		return out, nil
	}
	if p.Policies.Identity, err = list(path+".policies", iam.KindIdentity, k.Policies); err != nil {
		return nil, err
	}
	if p.Policies.Session, err = list(path+".session_policies", iam.KindSession, k.SessionPolicies); err != nil {
		return nil, err
	}
	for l, texts := range k.SCPs {
		level, err := list(indexed(path+".scps", l), iam.KindSCP, texts)
		if err != nil {
			return nil, err
		}
		p.Policies.SCPs = append(p.Policies.SCPs, level)
	}
	if k.Boundary != nil {
		if p.Policies.Boundary, err = attach(path+".permissions_boundary", iam.KindBoundary, k.Boundary); err != nil {
			return nil, err
		}
	}
	if len(k.Context) > 0 {
		p.Context = iam.Context{}
		for name, v := range k.Context {
			p.Context[name] = v
		}
	}
	return p, nil
}

func attach(path string, kind iam.Kind, text *PolicyText) (iam.Attached, error) {
	p, err := iam.ParseAndCompile(kind, text.JSON)
	if err != nil {
		return iam.Attached{}, at(path, "%w", err)
	}
	name := text.File
	if name == "" {
		name = path
	}
	return iam.Attached{Name: name, Policy: p}, nil
}
