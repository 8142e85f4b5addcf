package iam

// Decision is the answer to a request. Its zero value is a denial, so that what
// was never decided is never allowed.
type Decision uint8

// The decisions.
const (
	// ImplicitDeny means that something that must allow the request does not.
	ImplicitDeny Decision = iota
	// ExplicitDeny means that a statement denies it.
	ExplicitDeny
	// Allowed means that everything that must allow it does, and nothing denies.
	Allowed
)

// String returns "implicit_deny", "explicit_deny" or "allow".
func (d Decision) String() string {
	return [...]string{"implicit_deny", "explicit_deny", "allow"}[d]
}

// MarshalText returns the decision's name.
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Layer is a kind of policy that has a say in a decision.
type Layer uint8

// The layers, in the order in which reasons are listed.
const (
	LayerSCP Layer = iota
	LayerRCP
	LayerVPCEndpoint
	LayerBoundary
	LayerSession
	LayerIdentity
	LayerResource

	layerCount
)

// String returns the layer's name, such as "identity".
func (l Layer) String() string {
	return [...]string{"scp", "rcp", "vpc_endpoint", "permissions_boundary", "session", "identity", "resource"}[l]
}

// MarshalText returns the layer's name.
func (l Layer) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Reason is a statement that speaks of the request. On an explicit denial the
// reasons are the statements that deny it, otherwise those that allow it, which
// on an implicit denial were not enough.
type Reason struct {
	Layer  Layer  `json:"layer"`
	Effect Effect `json:"effect"`
	// Policy is the name that the policy was attached under.
	Policy string `json:"policy"`
	// Statement counts from 0.
	Statement int    `json:"statement"`
	Sid       string `json:"sid"`
}

// Result is a decision with its reasons. A Result may be used again for another
// evaluation, which then does not allocate.
type Result struct {
	Decision Decision
	// Reasons are ordered by layer, policy and statement. They are never nil
	// after an evaluation.
	Reasons []Reason
	// Missing are the layers that must allow the request, and do not, so that it
	// would be allowed; the fewest where there is a choice. Empty unless the
	// decision is ImplicitDeny.
	Missing []Layer

	query *Query
	// lack is a bit for each layer of Missing, denied one for each layer with a
	// statement that denies.
	lack, denied layerSet
	// grants is how the resource policy allows the request, 0 if it does not.
	grants grant
	// stop is a rule beside the policies that decided.
	stop  stop
	trust bool // the resource policy is a trust policy
	cross bool // principal and resource are in different accounts
}

// layerSet is a set of layers as bits.
type layerSet uint8

func (s layerSet) has(l Layer) bool { return s&(1<<l) != 0 }

// stop is a rule of AWS that denies whatever the policies say.
type stop uint8

const (
	stopNone      stop = iota
	stopUnsigned       // IAM authorization, and no credentials
	stopRoot           // the root user cannot assume roles
	stopElsewhere      // an API without a resource policy, called from another account
)
