package flow

import "time"

// Outcome is what the flows say to a question.
type Outcome string

// The outcomes.
const (
	// Refused: no flow lets the person ask for this.
	Refused Outcome = "refused"
	// NeedsApproval: somebody has to agree first.
	NeedsApproval Outcome = "needs_approval"
	// AutoApproved: the flow grants without anybody being asked.
	AutoApproved Outcome = "auto_approved"
)

// Decision is the flows' answer to a question, with all that is needed to carry
// it on later without the flow: it is kept with the request.
type Decision struct {
	Outcome     Outcome `json:"outcome"`
	Flow        string  `json:"flow,omitempty"`
	FlowVersion int     `json:"flow_version,omitempty"`
	// Reasons are for people, in order: why this flow, why not the others, what is
	// missing.
	Reasons  []string      `json:"reasons,omitempty"`
	Approval Approval      `json:"approval,omitzero"`
	Duration time.Duration `json:"duration,omitempty"` // what was asked, or the default
	// MaxDuration is always set where the outcome is not Refused.
	MaxDuration       time.Duration `json:"max_duration,omitempty"`
	MaxExtensions     int           `json:"max_extensions,omitempty"`
	ExtensionDuration time.Duration `json:"extension_duration,omitempty"`
	// ApproverReason demands a reason of those who agree.
	ApproverReason bool          `json:"approver_reason,omitempty"`
	SelfApproval   bool          `json:"self_approval,omitempty"`
	BreakGlass     bool          `json:"break_glass,omitempty"`
	LapseAfter     time.Duration `json:"lapse_after,omitempty"` // unanswered requests end after this
	// Justification is what the flow wants to be told.
	Justification Justification `json:"justification,omitzero"`
	// Notify are those who are told at once that the glass was broken.
	Notify []Principal `json:"notify,omitempty"`
}

// Mode joins groups of approvers.
type Mode string

// The modes.
const (
	AnyOf Mode = "any_of"
	AllOf Mode = "all_of"
)

// Approval says who has to agree.
type Approval struct {
	Mode       Mode             `json:"mode"`
	Groups     []ApproverGroup  `json:"groups"`
	Escalation []EscalationStep `json:"escalation,omitempty"`
}

// ApproverGroup is one requirement: conditions joined by "and" or "or". A person
// meets it alone.
type ApproverGroup struct {
	Operator   string      `json:"operator"` // "and" or "or"
	Conditions []Condition `json:"conditions"`
}

// EscalationStep adds approvers when nobody has decided for a time; those before
// may still decide.
type EscalationStep struct {
	After  time.Duration   `json:"after"` // from the time of asking
	Groups []ApproverGroup `json:"groups"`
}

// Condition is a test of a person.
type Condition struct {
	// Type is "user", "group", "attribute", "schedule" (on call), "owner" or
	// "manager"; the last two take no values.
	Type string `json:"type"`
	// Name is the attribute's name.
	Name string `json:"name,omitempty"`
	// Match is "is", "is_not", "contains", "does_not_contain" or "starts_with".
	Match  string   `json:"match,omitempty"`
	Values []string `json:"values,omitempty"`
}

// Vote is what one person said to a request.
type Vote struct {
	By      Person    `json:"by"`
	Approve bool      `json:"approve"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
	Via     string    `json:"via,omitempty"` // "web", "cli", "api", "slack"
}

// Standing is how far a request is.
type Standing struct {
	Approved bool `json:"approved"`
	Denied   bool `json:"denied"`
	// Waiting are the groups that have not agreed yet.
	Waiting []ApproverGroup `json:"waiting,omitempty"`
	// People are the IDs of those known who can agree now, for notices.
	People []string `json:"people,omitempty"`
}
