// Package estate knows what exists: accounts, regions, APIs, stages, routes and
// the log groups that the stages write to. It finds all of it through assumed
// roles, in parallel within AWS's quotas, and one account that cannot be read
// never hides another.
package estate

import (
	"context"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Snapshot is the whole estate as one discovery found it.
type Snapshot struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Accounts []Account `json:"accounts"`
}

// Account is an AWS account. Error and Mend are set where it could not be read.
type Account struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Status  string   `json:"status,omitempty"` // ACTIVE, SUSPENDED, …
	Regions []Region `json:"regions,omitempty"`
	Error   string   `json:"error,omitempty"`
	Mend    string   `json:"mend,omitempty"`
	// Note says why an account was left out on purpose, or is read in another
	// way than was asked; nothing failed.
	Note string `json:"note,omitempty"`
	// Errors are reads of the account itself that failed without hiding it.
	Errors []Fault `json:"errors,omitempty"`
}

// Region is one region of an account. Errors are what could not be read in it.
type Region struct {
	Name      string     `json:"name"`
	APIs      []API      `json:"apis,omitempty"`
	LogGroups []LogGroup `json:"log_groups,omitempty"` // API Gateway's own, and those that stages name
	// LogRole is the account's API Gateway CloudWatch role in this region.
	LogRole string  `json:"log_role,omitempty"`
	Errors  []Fault `json:"errors,omitempty"`
}

// Fault is one read that failed.
type Fault struct {
	What  string `json:"what"` // for example "apigateway:GetRestApis"
	Error string `json:"error"`
	Mend  string `json:"mend,omitempty"`
}

// API is a REST, HTTP or WebSocket API.
type API struct {
	ID              string              `json:"id"`
	Name            string              `json:"name,omitempty"`
	Type            transaction.APIType `json:"type"`
	Endpoint        string              `json:"endpoint,omitempty"`      // the default execute-api host
	EndpointType    string              `json:"endpoint_type,omitempty"` // EDGE, REGIONAL, PRIVATE
	DefaultDisabled bool                `json:"default_endpoint_disabled,omitempty"`
	Created         time.Time           `json:"created,omitzero"`
	Tags            map[string]string   `json:"tags,omitempty"`
	Stages          []Stage             `json:"stages,omitempty"`
	Routes          []Route             `json:"routes,omitempty"`
	Authorizers     []Authorizer        `json:"authorizers,omitempty"`
	// RoutesPartial is set where not all routes could be read, so that a call
	// that matches none of them, or only a greedy one, proves nothing.
	RoutesPartial bool `json:"routes_partial,omitempty"`
}

// Stage is a deployed stage and its logging settings.
type Stage struct {
	Name string `json:"name"`
	// LoggingLevel is OFF, ERROR or INFO; empty for HTTP APIs, which have no
	// execution logs. DataTrace and Metrics are of the stage's default (/*/*).
	LoggingLevel string            `json:"logging_level,omitempty"`
	DataTrace    bool              `json:"data_trace,omitempty"`
	AccessLogARN string            `json:"access_log_arn,omitempty"`
	AccessFormat string            `json:"access_format,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	// ExecutionGroup and AccessGroup are log group names; empty if there is none.
	ExecutionGroup string `json:"execution_group,omitempty"`
	AccessGroup    string `json:"access_group,omitempty"`
	// Overrides are methods (or WebSocket routes) with settings of their own.
	Overrides []MethodLogging `json:"overrides,omitempty"`
}

// MethodLogging is the logging of one method where it differs from the stage's
// default.
type MethodLogging struct {
	Method       string `json:"method,omitempty"` // empty for WebSocket
	Path         string `json:"path"`             // the template, or the route key
	LoggingLevel string `json:"logging_level"`
	DataTrace    bool   `json:"data_trace,omitempty"`
}

// Route is a method of a REST resource, or a route of an HTTP or WebSocket API.
type Route struct {
	Method string `json:"method"` // ANY for all; empty for WebSocket
	Path   string `json:"path"`   // the template: "/pets/{id}", "$default", "sendMessage"
	// Authorization is NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS or JWT.
	Authorization  string `json:"authorization,omitempty"`
	AuthorizerID   string `json:"authorizer_id,omitempty"`
	APIKeyRequired bool   `json:"api_key_required,omitempty"`
	Integration    string `json:"integration,omitempty"` // type and URI, for people
}

// Authorizer is an authorizer of an API.
type Authorizer struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Type string `json:"type"` // TOKEN, REQUEST, COGNITO_USER_POOLS, JWT
}

// LogGroup is a CloudWatch log group that holds API Gateway's logs.
type LogGroup struct {
	Name          string    `json:"name"`
	ARN           string    `json:"arn,omitempty"`
	Created       time.Time `json:"created,omitzero"`
	RetentionDays int32     `json:"retention_days,omitempty"` // 0: for ever
	KMSKey        string    `json:"kms_key,omitempty"`
	Class         string    `json:"class,omitempty"`
	Bytes         int64     `json:"bytes,omitempty"`
}

// Store keeps the last snapshot.
type Store interface {
	SaveEstate(ctx context.Context, s *Snapshot) error
	// LoadEstate returns the last saved snapshot, or nil if there is none.
	LoadEstate(ctx context.Context) (*Snapshot, error)
}
