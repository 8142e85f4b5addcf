// Package access lends access: people ask, owners agree, Gatehouse puts the
// access in place, tells that it is there, and takes it back on time. Its own
// tables hold what was lent; a sweeper makes every target match them, for ever,
// and a grant has ended only after the target was read back and shows it gone.
package access

import (
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// RequestState is where a request stands.
type RequestState string

// The states of a request. Only Pending can change.
const (
	Pending   RequestState = "pending"
	Approved  RequestState = "approved"
	Denied    RequestState = "denied"
	Cancelled RequestState = "cancelled" // by who asked
	Lapsed    RequestState = "lapsed"    // nobody answered in time
)

// Request is somebody's wish for access, with the rule that it is decided by.
type Request struct {
	ID      string `json:"id"`
	Version int64  `json:"version"` // grows by one with each change; compare-and-set
	// Extends is the grant that is to last longer; empty for new access.
	Extends       string        `json:"extends,omitempty"`
	By            flow.Person   `json:"by"`
	For           flow.Person   `json:"for"`
	Items         []flow.Item   `json:"items"`
	Bundle        string        `json:"bundle,omitempty"`
	Duration      time.Duration `json:"duration"`
	Justification string        `json:"justification,omitempty"`
	BreakGlass    bool          `json:"break_glass,omitempty"`
	State         RequestState  `json:"state"`
	// Rule is the flow's answer at the time of asking: which flow and version,
	// who has to agree, how escalation goes. A later version of the flow does not
	// change what a running request is decided by.
	Rule      flow.Decision `json:"rule"`
	Votes     []flow.Vote   `json:"votes,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	DecidedAt time.Time     `json:"decided_at,omitzero"`
	// LapsesAt is when an unanswered request ends.
	LapsesAt time.Time `json:"lapses_at"`
	// Escalated counts the escalation steps that have been told.
	Escalated int    `json:"escalated,omitempty"`
	Grant     string `json:"grant,omitempty"` // of an approved request
	// DecidedBy is the ID of who decided; empty where Gatehouse did.
	DecidedBy string `json:"decided_by,omitempty"`
	// Via is the face where it was asked.
	Via string `json:"via,omitempty"`
	// Asked is a digest of what was asked with a key, to know it again.
	Asked string `json:"asked,omitempty"`
}

// GrantState is where a grant stands.
type GrantState string

// The states of a grant, in their order. A grant only moves forward.
const (
	// Provisioning: the target is being changed; the time does not run yet.
	Provisioning GrantState = "provisioning"
	// Active: the target was read back and has the access; the time runs.
	Active GrantState = "active"
	// Revoking: the access has to go and is not yet known to be gone.
	Revoking GrantState = "revoking"
	// Ended: the target was read back and does not give this access for this
	// grant any more.
	Ended GrantState = "ended"
)

// EndReason says why a grant ends.
type EndReason string

// Why grants end.
const (
	Expired  EndReason = "expired"
	Returned EndReason = "returned" // by who held it
	Revoked  EndReason = "revoked"  // by somebody else
	Panic    EndReason = "panic"    // everything of a person, a resource or all
	Left     EndReason = "left"     // the person was disabled
	Failed   EndReason = "failed"   // it could not be put in place in time
)

// Grant is access lent to one person until a time.
type Grant struct {
	ID      string      `json:"id"`
	Version int64       `json:"version"`
	Request string      `json:"request"`
	Flow    string      `json:"flow"`
	Person  flow.Person `json:"person"`
	Items   []GrantItem `json:"items"`
	State   GrantState  `json:"state"`
	// Duration is the time lent, extensions included.
	Duration   time.Duration `json:"duration"`
	CreatedAt  time.Time     `json:"created_at"`
	ReadyAt    time.Time     `json:"ready_at,omitzero"`   // when the target confirmed; the clock starts
	ExpiresAt  time.Time     `json:"expires_at,omitzero"` // ReadyAt + Duration; while provisioning the time to give up
	EndReason  EndReason     `json:"end_reason,omitempty"`
	EndedBy    string        `json:"ended_by,omitempty"`
	EndingAt   time.Time     `json:"ending_at,omitzero"` // when it had to go
	EndedAt    time.Time     `json:"ended_at,omitzero"`  // when it was known to be gone
	Extensions int           `json:"extensions,omitempty"`
	BreakGlass bool          `json:"break_glass,omitempty"`
	// Justification is the request's, so that lists need no second look.
	Justification string `json:"justification,omitempty"`
	// TellAt is when the holder is told that the end is near; zero: never, or it is
	// done.
	TellAt time.Time `json:"tell_at,omitzero"`
}

// GrantItem is one permission of a grant and the object that carries it.
type GrantItem struct {
	flow.Item
	// Object is the key of the object in the target, unique over integrations.
	Object string `json:"object"`
	// Confirmed is set while the target was read back with the access there, and
	// after the end once it was read back without it.
	Confirmed bool `json:"confirmed"`
}

// Holding is one live grant's share of an object.
type Holding struct {
	Grant   string      `json:"grant"`
	Person  flow.Person `json:"person"`
	Item    flow.Item   `json:"item"`
	Expires time.Time   `json:"expires"`
}

// Object is one thing in a target: a binding, an access entry's policy, the
// session rights of one person on one API. Overlapping grants share it, so it is
// what gets changed, locked and read back.
type Object struct {
	// Key is unique: INTEGRATION + "/" + the provisioner's own key.
	Key         string `json:"key"`
	Integration string `json:"integration"`
	// Generation grows with each change of what is wanted. What was applied for
	// an older generation is not what is wanted now.
	Generation int64 `json:"generation"`
	Applied    int64 `json:"applied"` // the generation that was applied and read back
	// Attempts since the last success, the error of the last one, and when the
	// next one comes.
	Attempts  int       `json:"attempts,omitempty"`
	LastError string    `json:"last_error,omitempty"`
	NextTry   time.Time `json:"next_try,omitzero"`
	// AppliedAt is when that was.
	AppliedAt time.Time `json:"applied_at,omitzero"`
	// DueAt is when what is wanted had to be there; lateness counts from it.
	DueAt time.Time `json:"due_at,omitzero"`
	// Recheck is when to look at it once more although it was applied, for a write of
	// a process that lost its lease may have come after; zero: not at all.
	Recheck time.Time `json:"recheck,omitzero"`
	// Unseen is the generation of a change that the target took and does not show yet.
	// What is read back for another generation before UnseenUntil may be older than
	// that change, so it proves nothing.
	Unseen      int64     `json:"unseen,omitempty"`
	UnseenUntil time.Time `json:"unseen_until,omitzero"`
	// Note is what the provisioner said of the last success.
	Note string `json:"note,omitempty"`
	// Kept is the provisioner's own memory of the object (what it made and what
	// stood there before), at most 16 KiB of JSON.
	Kept []byte `json:"kept,omitempty"`
}

// Integration is a cluster or an API that can be lent.
type Integration struct {
	Name    string `json:"name" yaml:"name"`
	Version int64  `json:"version" yaml:"-"`
	// Type is a provisioner's name: "eks-rbac", "eks-access-entry" or
	// "api-gateway".
	Type string `json:"type" yaml:"type"`
	// ResourceTypes are those that are discovered and lent; empty: all of the type.
	ResourceTypes []string `json:"resource_types,omitempty" yaml:"resource_types,omitempty"`
	// Config is what the provisioner needs, in its own keys: for EKS server_url,
	// certificate_authority, cluster_name, aws_role_name, region.
	Config map[string]string `json:"config,omitempty" yaml:"config,omitempty"`
	// Secret says where the target's credentials are; never what they are.
	Secret *SecretRef `json:"secret,omitempty" yaml:"secret_store,omitempty"`
	// AccessDetails is shown to people who get access, at most 400 characters.
	AccessDetails string `json:"custom_access_details,omitempty" yaml:"custom_access_details,omitempty"`
	// Owner answers for resources without an owner of their own. OwnerTag needs it.
	Owner []flow.Principal `json:"owner,omitempty" yaml:"owner,omitempty"`
	// OwnerTag is the tag key whose value names a resource's owner, read as the
	// attribute OwnerKind ("group", "user" or an attribute's name).
	OwnerTag  string `json:"owner_tag,omitempty" yaml:"owner_tag,omitempty"`
	OwnerKind string `json:"owner_kind,omitempty" yaml:"owner_kind,omitempty"`
	// RotationDays and CleanupDays are the source's credential rotation and user
	// clean-up; 0: off.
	RotationDays int `json:"credentials_rotation_period_in_days,omitempty" yaml:"credentials_rotation_period_in_days,omitempty"`
	CleanupDays  int `json:"credentials_cleanup_period_in_days,omitempty" yaml:"credentials_cleanup_period_in_days,omitempty"`
	// DeleteOrphans lets the reconciler delete marked objects that no grant
	// explains. Off: they are reported.
	DeleteOrphans bool   `json:"delete_orphans,omitempty" yaml:"delete_orphans,omitempty"`
	Health        Health `json:"health" yaml:"-"`
}

// SecretRef says where a target's credentials are kept; exactly one is set.
type SecretRef struct {
	Kubernetes *KubernetesSecret `json:"kubernetes,omitempty" yaml:"kubernetes,omitempty"`
	AWS        *AWSSecret        `json:"aws,omitempty" yaml:"aws,omitempty"`
	// Environment is the prefix of the variables PREFIX_TOKEN and so on.
	Environment string `json:"environment,omitempty" yaml:"environment,omitempty"`
}

// KubernetesSecret names a secret in the cluster where Gatehouse runs.
type KubernetesSecret struct {
	Namespace string `json:"namespace" yaml:"namespace"`
	Name      string `json:"name" yaml:"name"`
}

// AWSSecret names a secret in AWS Secrets Manager.
type AWSSecret struct {
	Region   string `json:"region" yaml:"region"`
	SecretID string `json:"secret_id" yaml:"secret_id"`
}

// Health is what the last check and the last discovery of an integration found.
type Health struct {
	CheckedAt    time.Time `json:"checked_at,omitzero"`
	DiscoveredAt time.Time `json:"discovered_at,omitzero"`
	Resources    int       `json:"resources"`
	Checks       []Check   `json:"checks,omitempty"`
	// Error is why the last discovery failed; empty if it did not.
	Error string `json:"error,omitempty"`
	// ReconciledAt is when the target was last compared with the ledger.
	ReconciledAt time.Time `json:"reconciled_at,omitzero"`
	// ReconcileError is why that failed last; empty if it did not.
	ReconcileError string `json:"reconcile_error,omitempty"`
	// RotatedAt is when the target's credentials were last replaced, or first seen.
	RotatedAt time.Time `json:"rotated_at,omitzero"`
	// RotateError is why that failed last; empty if it did not.
	RotateError string `json:"rotate_error,omitempty"`
	// Runs are what people had the target asked last, the oldest first.
	Runs []TargetRun `json:"runs,omitempty"`
}

// Check is one thing that was looked at when an integration was connected.
type Check struct {
	// Name is stable: "trust-policy-session-name", "authentication-mode",
	// "username-template", "permissions", "clock", …
	Name string `json:"name"`
	// Result is "ok", "warning", "failed" or "not seen". An integration with a
	// failed check is not lent from.
	Result string `json:"result"`
	Detail string `json:"detail"`
	// Mend says what to do; a command or a policy statement where there is one.
	Mend string `json:"mend,omitempty"`
}

// OK reports whether access may be lent from the integration: it was checked and
// nothing failed.
func (h Health) OK() bool {
	if h.CheckedAt.IsZero() {
		return false
	}
	for _, c := range h.Checks {
		if c.Result == "failed" {
			return false
		}
	}
	return true
}
