package access

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Provisioner puts lent access into one kind of target and takes it away. It
// decides nothing about who may have what: it makes objects match. Every method
// may be called again after a crash at any point, and by two processes at once.
type Provisioner interface {
	// Type is the integrations' type that it serves.
	Type() string
	// ResourceTypes are the types of resources that it can discover and lend,
	// each with its permissions where they are fixed.
	ResourceTypes() []ResourceType
	// Validate returns an error that says where, why and how to mend for an
	// integration whose settings cannot be right. It does no I/O.
	Validate(i *Integration) error
	// Check connects to the target and looks at everything that lending rests on.
	// What could not be looked at is a check with the result "not seen" or
	// "failed", never missing. It returns an error only if ctx is done.
	Check(ctx context.Context, i *Integration) ([]Check, error)
	// Discover lists the target's resources.
	Discover(ctx context.Context, i *Integration) ([]flow.Resource, error)
	// Object returns the key, within the integration, of the object that would
	// carry an item for a person. It does no I/O, and the same question has the
	// same answer for ever, for keys are kept.
	Object(i *Integration, p flow.Person, item flow.Item) (string, error)
	// Apply makes the object carry exactly what it is wanted for; without a
	// holding it makes it gone. It has then read the target back. It is
	// level-triggered: it looks at what is there, changes the difference, and
	// never touches what Gatehouse did not make.
	Apply(ctx context.Context, i *Integration, w Wanted) (Applied, error)
	// List returns every object in the target that carries Gatehouse's mark.
	List(ctx context.Context, i *Integration) ([]Found, error)
	// Details tell the person how to use the access.
	Details(i *Integration, g *Grant) (Details, error)
}

// ResourceType is a kind of resource that can be lent.
type ResourceType struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Permissions []string `json:"permissions,omitempty"` // nil: each resource has its own
}

// Wanted is what an object has to carry from now on.
type Wanted struct {
	Key        string // within the integration, as Object gave it
	Generation int64
	Holdings   []Holding // empty: the object has to be gone
	Kept       []byte    // what the last Apply kept
}

// Expires is when the last of the holdings ends.
func (w Wanted) Expires() (t time.Time) {
	for _, h := range w.Holdings {
		if h.Expires.After(t) {
			t = h.Expires
		}
	}
	return t
}

// Applied is what an Apply made of an object.
type Applied struct {
	// Kept replaces the provisioner's memory of the object.
	Kept []byte
	// Pending is set while the target took the change and does not show it yet:
	// the caller asks again after Pending. What is pending is neither there nor
	// gone.
	Pending time.Duration
	// Note is for people: "other grants keep the binding".
	Note string
}

// Found is an object in a target with Gatehouse's mark.
type Found struct {
	Key     string            `json:"key"` // within the integration; empty if it cannot be known
	Name    string            `json:"name"`
	Grants  []string          `json:"grants,omitempty"`
	Expires time.Time         `json:"expires,omitzero"`
	Detail  map[string]string `json:"detail,omitempty"`
	// Drift says how it differs from what Gatehouse wrote; empty if it does not
	// as far as the object itself can tell.
	Drift string `json:"drift,omitempty"`
}

// Details tell a person how to use what they were lent.
type Details struct {
	// Text is the integration's own text first, then what always holds.
	Text string `json:"text"`
	// Snippets are commands and files to copy, each with a title.
	Snippets []Snippet `json:"snippets,omitempty"`
}

// Snippet is a command or a file to copy.
type Snippet struct {
	Title    string `json:"title"`
	Language string `json:"language"` // "sh", "ini", "yaml", "json"
	Text     string `json:"text"`
}

// Revealer is a Provisioner whose access is used with credentials that Gatehouse
// vends: an API behind IAM.
type Revealer interface {
	// Credentials returns temporary credentials that allow what the live grants of
	// the person allow on the integration and no more, ending with the last of
	// them at the latest.
	Credentials(ctx context.Context, i *Integration, p flow.Person, holdings []Holding) (Credentials, error)
}

// Credentials are temporary AWS credentials, as the credential_process protocol
// writes them.
type Credentials struct {
	Version         int       `json:"Version"` // always 1
	AccessKeyID     string    `json:"AccessKeyId"`
	SecretAccessKey string    `json:"SecretAccessKey"`
	SessionToken    string    `json:"SessionToken"`
	Expiration      time.Time `json:"Expiration"`
	// Detail is for the audit log: which role and session they are of. It never holds
	// a secret.
	Detail map[string]string `json:"-"`
}

// Cleaner is a Provisioner that keeps something of a person in the target beyond
// grants, and removes it some days after the last of them.
type Cleaner interface {
	Clean(ctx context.Context, i *Integration, p flow.Person) error
}

// Rotator is a Provisioner whose own credentials can be replaced.
type Rotator interface {
	Rotate(ctx context.Context, i *Integration) error
}

// Errors of targets that the engine treats alike, whatever the target.
var (
	// ErrForeign is wrapped by the error for an object that stands where ours
	// should and that Gatehouse did not make. It is never overwritten.
	ErrForeign = errors.New("it was not made by gatehouse")
	// ErrRefused is wrapped where the target refused Gatehouse's own credentials.
	ErrRefused = errors.New("the target refused the credentials of gatehouse")
)

// Sparse is a Provisioner whose objects need not stand in the target while access
// is lent: what its List does not return is not missing.
type Sparse interface {
	Sparse() bool
}
