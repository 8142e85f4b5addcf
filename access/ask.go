package access

import (
	"slices"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Ask is what a person asks for. Resources are named, not described: what they
// are is looked up in what was discovered, so nobody can claim a tag.
type Ask struct {
	// By is who is signed in.
	By flow.Person
	// For is the ID of whom it is for; empty: By.
	For string
	// Items or Bundle are what is asked for, not both.
	Items  []ItemRef
	Bundle string
	// Duration 0 is the flow's default.
	Duration      time.Duration
	Justification string
	BreakGlass    bool
	// Via is the face: "web", "cli", "api", "slack".
	Via string
	// Key, if it is not empty, is the same for the same ask sent again: whoever does not
	// know whether it arrived asks once more, and gets the request that there is.
	Key string
}

// ItemRef names one permission on one resource.
type ItemRef struct {
	Integration string `json:"integration"`
	Type        string `json:"type"`
	// Resource is the resource's ID, or its name where only one of the type has it.
	Resource   string `json:"resource"`
	Permission string `json:"permission"`
}

// CatalogQuery chooses what a person may ask for.
type CatalogQuery struct {
	ResourceQuery
	// For is the ID of whom it would be for; empty: the person who looks.
	For string
	// Permission restricts to one permission.
	Permission string
}

// CatalogPage is a page of what a person may ask for.
type CatalogPage struct {
	Entries []CatalogEntry `json:"entries"`
	Bundles []CatalogEntry `json:"bundles,omitempty"` // on the first page
	Next    string         `json:"next,omitempty"`
}

// CatalogEntry is something that a person may ask for, and on which terms.
type CatalogEntry struct {
	// Item is one permission on one resource; for a bundle Bundle and Items are set.
	Item   flow.Item   `json:"item,omitzero"`
	Bundle string      `json:"bundle,omitempty"`
	Items  []flow.Item `json:"items,omitempty"`
	// Terms is what the flows say to it now: who has to agree, how long at most.
	Terms flow.Decision `json:"terms"`
	// Held is the ID of a live grant of the person that gives it already.
	Held string `json:"held,omitempty"`
}

// Explanation is what would become of a request, and why.
type Explanation struct {
	Decision flow.Decision `json:"decision"`
	Items    []flow.Item   `json:"items"`
	// Standing says who could agree to it now.
	Standing flow.Standing `json:"standing"`
	// Trial is what each flow says, where that was asked for.
	Trial *flow.Trial `json:"trial,omitempty"`
	// Stopped says which panic stands over it; empty if none does.
	Stopped string `json:"stopped,omitempty"`
	// Warnings are what would not go well although it is given, such as an
	// integration with a failed check.
	Warnings []string `json:"warnings,omitempty"`
}

// Ballot is one person's word on a request.
type Ballot struct {
	// By is who is signed in.
	By      flow.Person
	Approve bool
	Reason  string
	Via     string
	// Version, if not 0, is the version of the request that the person saw.
	Version int64
}

// RequestView is a request as a person may see it.
type RequestView struct {
	Request
	// Standing is how far it is, and who can agree now, while it is pending.
	Standing flow.Standing `json:"standing,omitzero"`
	// MayVote is set if the person who looks may agree or refuse now; else WhyNot
	// says why not.
	MayVote   bool   `json:"may_vote"`
	WhyNot    string `json:"why_not,omitempty"`
	MayCancel bool   `json:"may_cancel"`
}

// RequestViews is a page of requests.
type RequestViews struct {
	Requests []*RequestView `json:"requests"`
	Next     string         `json:"next,omitempty"`
	Total    int            `json:"total"`
}

// GrantView is a grant as a person may see it.
type GrantView struct {
	Grant
	// Remaining is the time left; 0 while it does not run.
	Remaining time.Duration `json:"remaining,omitempty"`
	// Trouble says in plain words what stands in the way of what the grant waits
	// for, and what happens next; empty if all is well.
	Trouble string `json:"trouble,omitempty"`
	// Failing is set if the last try failed, and not set while the target only takes
	// its time.
	Failing bool      `json:"failing,omitempty"`
	NextTry time.Time `json:"next_try,omitzero"`
	// Late is how long ago it had to be there, or gone, and is not.
	Late      time.Duration `json:"late,omitempty"`
	MayReturn bool          `json:"may_return"`
	MayRevoke bool          `json:"may_revoke"`
	// MayExtend is how long the holder may extend it at most; 0: not at all.
	MayExtend time.Duration `json:"may_extend,omitempty"`
}

// GrantViews is a page of grants.
type GrantViews struct {
	Grants []*GrantView `json:"grants"`
	Next   string       `json:"next,omitempty"`
	Total  int          `json:"total"`
}

// IntegrationView is an integration with what is known of its resources.
type IntegrationView struct {
	Integration
	// ResourceTypesKnown are the types that it can discover and lend.
	ResourceTypesKnown []ResourceType `json:"resource_types_known,omitempty"`
	// Trouble says what keeps it from being lent from; empty if nothing does.
	Trouble string  `json:"trouble,omitempty"`
	Drift   []Drift `json:"drift,omitempty"`
	// Live counts its grants that are not ended.
	Live int `json:"live"`
}

// FlowProblem is something wrong with flows.
type FlowProblem struct {
	Flow   string `json:"flow,omitempty"`
	Bundle string `json:"bundle,omitempty"`
	// Line and Column begin at 1; 0 where the problem is not of the text.
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Warning problems do not keep flows from being applied.
	Warning bool `json:"warning,omitempty"`
}

// FlowPlan is what applying flows would do, or did.
type FlowPlan struct {
	Changes  []flow.Change `json:"changes"`
	Problems []FlowProblem `json:"problems,omitempty"`
	// Drift is what was changed elsewhere since flows were last applied from a file,
	// and would be undone.
	Drift []flow.Drifted `json:"drift,omitempty"`
	// Base is the version that the plan was made against, 0 if there was none.
	Base int `json:"base"`
	// Version is the version that was made; 0 for a dry run, or if nothing changed.
	Version int `json:"version,omitempty"`
	// Text is what the flows would be, or are.
	Text string `json:"text"`
}

// HasChanges reports whether applying the plan changes anything.
func (p *FlowPlan) HasChanges() bool {
	return slices.ContainsFunc(p.Changes, func(c flow.Change) bool { return c.Action != flow.Unchanged })
}

// HasErrors reports whether a problem keeps the flows from being applied.
func (p *FlowPlan) HasErrors() bool {
	return slices.ContainsFunc(p.Problems, func(f FlowProblem) bool { return !f.Warning })
}

// Flowing is a text of flows to be applied.
type Flowing struct {
	Text string
	// Prune deletes flows and bundles that are not in the text.
	Prune bool
	// By is who is signed in; Via the face; Source says where the text comes from:
	// "file", "page", "api".
	By     flow.Person
	Via    string
	Source string
	// Expect, if not nil, is the version that the person saw.
	Expect *int
	DryRun bool
}
