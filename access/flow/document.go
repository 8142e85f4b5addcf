package flow

import "time"

// Flow says who may ask for what, who has to agree, and for how long.
type Flow struct {
	// Name is unique among flows.
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Active is false for a flow that is kept and answers nothing.
	Active bool `json:"active"`
	// Priority puts flows in order where several give what was asked for: the
	// highest answers. Between equals a flow that grants at once comes before one
	// that asks somebody, and then the name decides.
	Priority int      `json:"priority,omitempty"`
	Labels   []string `json:"labels,omitempty"`
	// Requestors are those who may ask.
	Requestors ApproverGroup `json:"requestors"`
	RequestFor RequestFor    `json:"request_for"`
	Targets    []Target      `json:"targets"`
	// Approval is nil where nobody can agree: only AutoApprove or BreakGlass give
	// anything then.
	Approval *Approval `json:"approval,omitempty"`
	// AutoApprove is nil where the flow never grants by itself.
	AutoApprove   *AutoApprove  `json:"auto_approve,omitempty"`
	Duration      Duration      `json:"duration"`
	Extensions    Extensions    `json:"extensions,omitzero"`
	Timeframe     *Timeframe    `json:"timeframe,omitempty"`
	Justification Justification `json:"justification"`
	// ApproverReason demands a reason of those who agree.
	ApproverReason bool `json:"approver_reason,omitempty"`
	// SelfApproval lets those who ask agree to it themselves, if they are approvers.
	SelfApproval bool        `json:"self_approval,omitempty"`
	BreakGlass   *BreakGlass `json:"break_glass,omitempty"`
	// LapseAfter is how long a request waits for an answer.
	LapseAfter time.Duration `json:"lapse_after"`
}

// Bundle is a name for targets that are asked for together.
type Bundle struct {
	// Name is unique among bundles.
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Targets     []Target `json:"targets"` // of integrations alone
}

// For whom access may be asked.
const (
	ForSelf          = "self"
	ForOthers        = "others"
	ForDirectReports = "direct_reports"
)

// RequestFor says for whom the requestors may ask.
type RequestFor struct {
	// Scopes are ForSelf, ForOthers and ForDirectReports.
	Scopes []string `json:"scopes"`
	// Grantees are the others; set with ForOthers and only then.
	Grantees *ApproverGroup `json:"grantees,omitempty"`
}

// Target is what a flow or a bundle lends: permissions on resources of one type of
// one integration, or a bundle.
type Target struct {
	Bundle       string   `json:"bundle,omitempty"` // then nothing else is set
	Integration  string   `json:"integration,omitempty"`
	ResourceType string   `json:"resource_type,omitempty"`
	Permissions  []string `json:"permissions,omitempty"`
	// Include chooses resources: one filter has to match. Empty: all of the type.
	Include []Filter `json:"include,omitempty"`
	// Exclude takes resources out, whatever Include says.
	Exclude []Filter `json:"exclude,omitempty"`
}

// What a filter looks at.
const (
	FilterName = "name"
	FilterID   = "id"
	FilterTag  = "tag"
)

// Filter matches resources by name, id or the value of a tag. A "*" in a value
// stands for any text.
type Filter struct {
	Type   string   `json:"type"`
	Key    string   `json:"key,omitempty"` // of the tag
	Values []string `json:"values"`
}

// AutoApprove says what a flow grants without asking anybody. All that is set has
// to hold.
type AutoApprove struct {
	// Always grants all that the flow matches; nothing else is set then, and the
	// flow has no approvers.
	Always bool `json:"always,omitempty"`
	// When tests both who asks and whom it is for.
	When *ApproverGroup `json:"when,omitempty"`
	// Tags are carried by every resource that is asked for.
	Tags []Filter `json:"tags,omitempty"`
	// DurationAtMost is the longest time that is granted; 0: the flow's.
	DurationAtMost time.Duration `json:"duration_at_most,omitempty"`
	Timeframe      *Timeframe    `json:"timeframe,omitempty"`
}

// Duration bounds how long access is lent.
type Duration struct {
	Max     time.Duration `json:"max"`
	Default time.Duration `json:"default,omitempty"` // where nothing was asked; 0: Max
}

// Extensions say how often, and by how much, a grant may be made longer.
type Extensions struct {
	Max      int           `json:"max,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
}

// Justification says what those who ask have to tell.
type Justification struct {
	Required bool `json:"required"`
	// Pattern is a regular expression (RE2) that a part of the text has to match.
	Pattern string `json:"pattern,omitempty"`
}

// BreakGlass lets some people take what a flow lends at once, for themselves, at
// any hour and without anybody agreeing, and tells others loudly.
type BreakGlass struct {
	// Who may do so; they need not be requestors of the flow.
	Who ApproverGroup `json:"who"`
	// MaxDuration is at most the flow's.
	MaxDuration time.Duration `json:"max_duration"`
	// Notify are users and groups, at least one.
	Notify []Principal `json:"notify"`
}

// Bounds of flows.
const (
	// MaxText is the longest text of flows that is read, in bytes.
	MaxText = 16 << 20
	// MaxEscalation is how many steps an escalation has at most.
	MaxEscalation = 5
	// MaxDuration is the longest time that any flow may lend.
	MaxDuration = 366 * 24 * time.Hour
	// DefaultLapseAfter is how long a request waits where the flow does not say.
	DefaultLapseAfter = 24 * time.Hour
)

// newFlow returns a flow with the values that hold where nothing is said.
func newFlow() Flow {
	return Flow{
		Active:        true,
		RequestFor:    RequestFor{Scopes: []string{ForSelf}},
		Justification: Justification{Required: true},
		LapseAfter:    DefaultLapseAfter,
	}
}
