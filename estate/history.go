package estate

import (
	"context"
	"errors"
	"time"
)

// ChangeKind says what happened to a subject.
type ChangeKind string

// What can happen.
const (
	Appeared ChangeKind = "appeared"
	Changed  ChangeKind = "changed"
	Went     ChangeKind = "went"
)

// SubjectType is the kind of thing that a Change is about.
type SubjectType string

// The kinds of things that have a history.
const (
	SubjectAccount           SubjectType = "account"
	SubjectRegion            SubjectType = "region" // what API Gateway has one of in each
	SubjectAPI               SubjectType = "api"
	SubjectStage             SubjectType = "stage"
	SubjectRoute             SubjectType = "route"
	SubjectAuthorizer        SubjectType = "authorizer"
	SubjectUsagePlan         SubjectType = "usage-plan"
	SubjectDomain            SubjectType = "domain"
	SubjectVPCLink           SubjectType = "vpc-link"
	SubjectClientCertificate SubjectType = "client-certificate"
	SubjectLogGroup          SubjectType = "log-group"
	SubjectLogPolicy         SubjectType = "log-policy"
	SubjectCluster           SubjectType = "cluster"
	SubjectAccessEntry       SubjectType = "access-entry"
	SubjectPrincipal         SubjectType = "principal"
	SubjectWebACL            SubjectType = "web-acl"
	SubjectFunction          SubjectType = "function"
)

// SubjectTypes are all kinds of things that have a history.
func SubjectTypes() []SubjectType {
	return []SubjectType{
		SubjectAccount, SubjectRegion, SubjectAPI, SubjectStage, SubjectRoute, SubjectAuthorizer, SubjectUsagePlan, SubjectDomain,
		SubjectVPCLink, SubjectClientCertificate, SubjectLogGroup, SubjectLogPolicy, SubjectCluster, SubjectAccessEntry, SubjectPrincipal,
		SubjectWebACL, SubjectFunction,
	}
}

// Change is one thing that two discoveries tell differently.
type Change struct {
	// ID is given by the store that keeps the history; later changes have higher ones.
	ID int64 `json:"id,omitempty"`
	// Time is when the later discovery ended: it happened at some time before.
	Time    time.Time   `json:"time"`
	Account string      `json:"account"`
	Region  string      `json:"region,omitempty"`
	API     string      `json:"api,omitempty"` // the id, of what is part of an API
	Type    SubjectType `json:"type"`
	// Subject names it as AWS does: an id, a name, or method and path of a route.
	Subject string     `json:"subject"`
	Name    string     `json:"name,omitempty"` // for people, where Subject is an id
	Kind    ChangeKind `json:"kind"`
	// Field, Before and After say what changed; empty where the subject itself
	// appeared or went. Values that are no text are JSON, and long ones are cut.
	Field  string `json:"field,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// HistoryQuery chooses changes. Empty fields choose all.
type HistoryQuery struct {
	Account, Region, API string
	Type                 SubjectType
	Kind                 ChangeKind
	Since, Until         time.Time // Until is exclusive
	Limit                int       // 0: 100; at most 1,000
	Cursor               string    // of the page before
}

// HistoryPage is a page of changes, the newest first. Next is empty on the last
// one.
type HistoryPage struct {
	Changes []Change `json:"changes"`
	Next    string   `json:"next,omitempty"`
}

// ErrInvalidQuery is returned for a query that no page can answer, such as a cursor
// that no page gave.
var ErrInvalidQuery = errors.New("invalid query")

// History is what the estate looked like earlier. A store that keeps it notes the
// Diff of each snapshot that it saves to the one before, in the same commit.
type History interface {
	EstateHistory(ctx context.Context, q HistoryQuery) (HistoryPage, error)
}
