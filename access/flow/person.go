// Package flow decides who may ask for what, who has to agree, and for how long:
// access flows as text, checked, and asked as pure functions. It reads nothing
// and knows no clock; what it needs to know comes in with the question.
package flow

import "time"

// Person is somebody who asks for access, agrees to it or holds it, as the
// identity provider knows them.
type Person struct {
	// ID is the e-mail address in the identity provider's own spelling: the name
	// of the person in every request, grant and binding. Kubernetes compares it
	// with case.
	ID         string              `json:"id"`
	Name       string              `json:"name,omitempty"`
	Groups     []string            `json:"groups,omitempty"`
	Attributes map[string][]string `json:"attributes,omitempty"`
	// Manager is the ID of the person's manager; empty if unknown.
	Manager string `json:"manager,omitempty"`
	// Admin is set for those who administer Gatehouse. It lets them revoke, never
	// approve.
	Admin bool `json:"admin,omitempty"`
	// Disabled is set once the identity provider has shut the person out. Somebody
	// who is disabled asks for nothing, gets nothing and agrees to nothing.
	Disabled bool `json:"disabled,omitempty"`
}

// Resource is what access is lent to: a cluster, a namespace, a role, a policy,
// an API, a stage or a route, as an integration discovered it.
type Resource struct {
	Integration string `json:"integration"`
	// Type is one of the integration's resource types, such as "eks-namespace".
	Type string `json:"type"`
	// ID is unique within the integration and stays the same as long as the
	// resource is: "namespace/payments".
	ID   string `json:"id"`
	Name string `json:"name"`
	// Path leads from the integration to the resource, for people:
	// "prod-1 / payments".
	Path string            `json:"path,omitempty"`
	Tags map[string]string `json:"tags,omitempty"`
	// Permissions are what can be asked for on it.
	Permissions []string `json:"permissions"`
	// Owners are who answers for the resource: people's IDs or group names, from
	// the tag that the integration names, else the integration's owners.
	Owners []Principal `json:"owners,omitempty"`
}

// Principal names a person or a group.
type Principal struct {
	// Kind is "user", "group", or the name of an attribute.
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// Item is one permission on one resource.
type Item struct {
	Resource   Resource `json:"resource"`
	Permission string   `json:"permission"`
}

// Ask is a question: may By get these items for For, for this long?
type Ask struct {
	By            Person        `json:"by"`
	For           Person        `json:"for"`
	Items         []Item        `json:"items"`
	Bundle        string        `json:"bundle,omitempty"` // the bundle that the items come from
	Duration      time.Duration `json:"duration"`         // 0: the flow's default
	Justification string        `json:"justification,omitempty"`
	BreakGlass    bool          `json:"break_glass,omitempty"`
	At            time.Time     `json:"at"`
}

// Facts answers what a decision needs beyond the question. Each method is total:
// what is not known is false or empty, which never lets anybody in.
type Facts interface {
	// OnCall reports whether the person is on call in the named schedule now.
	OnCall(schedule, person string) bool
	// Person returns the person of an ID, if the directory has them.
	Person(id string) (Person, bool)
	// Members returns the IDs of a group's known members.
	Members(group string) []string
}
