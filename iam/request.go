package iam

import (
	"fmt"
	"strings"
)

// Auth is how an API Gateway method authorizes its callers.
type Auth string

// The ways of authorization. The empty Auth is IAM.
const (
	AuthIAM     Auth = "IAM"
	AuthNone    Auth = "NONE"
	AuthLambda  Auth = "LAMBDA"
	AuthCognito Auth = "COGNITO"
)

// API is the type of an API.
type API string

// The types of API. The empty API is REST.
const (
	REST      API = "REST"
	HTTP      API = "HTTP"
	WebSocket API = "WEBSOCKET"
)

// Context holds the condition keys of a request. Keys are compared without
// regard to case. A key with no values is absent, and none is derived for it.
type Context map[string][]string

// Request is a question: may this principal do this to that resource?
type Request struct {
	Principal Principal
	// Action is a service and a name, such as "execute-api:Invoke".
	Action string
	// Resource is an ARN, or "*" for an action that has none.
	Resource string
	// ResourceAccount owns the resource; empty: the account in its ARN.
	ResourceAccount string
	Context         Context

	// Auth, API and Private matter to execute-api alone.
	Auth    Auth
	API     API
	Private bool

	// ManagementAccount says that the resource's account manages the
	// organization: resource control policies do not reach it, nor service
	// control policies its own principals.
	ManagementAccount bool
	// ServiceLinkedRole says that the principal is one, which service and
	// resource control policies do not reach.
	ServiceLinkedRole bool
}

// Query is a request that has been checked and made ready. It is not changed by
// evaluation and may be used by several goroutines.
type Query struct {
	request  Request
	who      Principal
	action   string // lower case
	service  string // of the action, lower case
	resource string
	account  string
	context  map[string][]string

	executeAPI bool
	auth       Auth
	api        API
	// route is what follows the API's id in an execute-api ARN: "/prod/GET/pets".
	route string
}

// maxText bounds the texts of a request; AWS's own ARNs have at most 2,048
// characters.
const maxText = 8192

// Prepare checks the request and derives the context keys that AWS would give
// it, each only where Context does not name it: for a role session
// aws:PrincipalArn (the role's), aws:PrincipalAccount and aws:PrincipalType; for
// a user also aws:username; for the root user and a federated user also
// aws:userid. Nothing is derived for anonymous, services and providers, nor
// where API Gateway authorizes in another way than IAM. The errors are of type
// *Error, and their path is the field.
func (r Request) Prepare() (*Query, error) {
	q, err := r.prepare()
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (r Request) prepare() (*Query, *Error) {
	q := &Query{
		request: r, who: r.Principal, action: strings.ToLower(r.Action), resource: r.Resource,
		account: r.ResourceAccount, auth: r.Auth, api: r.API,
	}
	if q.who.Kind == PrincipalAnonymous {
		q.who = anonymous
	}
	if q.auth == "" {
		q.auth = AuthIAM
	}
	if q.api == "" {
		q.api = REST
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := q.readContext(r.Context); err != nil {
		return nil, err
	}
	return q, nil
}

// Request returns the request as it was given.
func (q *Query) Request() Request { return q.request }

// Value returns the values of a context key, derived ones included.
func (q *Query) Value(key string) []string { return q.context[strings.ToLower(key)] }

func (q *Query) check() *Error {
	at := func(field, format string, args ...any) *Error {
		e := mistake("", format, args...)
		e.Path = field
		return e
	}
	if err := checkAction(q.request.Action); err != nil || strings.ContainsAny(q.action, "*?") {
		return at("action", "%q is not one action, such as execute-api:Invoke", clip(q.request.Action))
	}
	q.service, _, _ = strings.Cut(q.action, ":")
	q.executeAPI = q.service == "execute-api"
	if len(q.resource) > maxText || len(q.action) > maxText {
		return at("resource", "it is longer than %d bytes", maxText)
	}
	a, isARN := cutARN(q.resource)
	switch {
	case !isARN && q.resource != "*":
		return at("resource", `%q is neither an ARN nor "*"`, clip(q.resource))
	case q.executeAPI && (!isARN || a.service != "execute-api"):
		return at("resource", "%q is not the ARN of an API: expected arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH", clip(q.resource))
	}
	if q.account == "" {
		q.account = a.account
	}
	if q.account != "" && !isAccountID(q.account) {
		return at("resource_account", "%q is not a 12-digit account", clip(q.account))
	}
	if _, route, ok := strings.Cut(a.resource, "/"); ok && q.executeAPI {
		q.route = a.resource[len(a.resource)-len(route)-1:]
	}
	switch q.auth {
	case AuthIAM, AuthNone, AuthLambda, AuthCognito:
	default:
		return at("auth", "%q is none of IAM, NONE, LAMBDA, COGNITO", clip(string(q.auth)))
	}
	switch q.api {
	case REST, HTTP, WebSocket:
	default:
		return at("api", "%q is none of REST, HTTP, WEBSOCKET", clip(string(q.api)))
	}
	if !q.executeAPI && q.auth != AuthIAM {
		return at("auth", "%s is a way of API Gateway alone; %s is authorized by IAM", q.auth, clip(q.request.Action))
	}
	return nil
}

func (q *Query) readContext(given Context) *Error {
	q.context = make(map[string][]string, len(given)+4)
	for k, values := range given {
		lower := strings.ToLower(k)
		if k == "" {
			e := mistake("", "a key is empty")
			e.Path = "context"
			return e
		}
		if _, twice := q.context[lower]; twice {
			e := mistake("", "the key %q is there twice, in two spellings", clip(lower))
			e.Path = "context"
			return e
		}
		q.context[lower] = values
	}
	if q.auth != AuthIAM {
		return nil
	}
	p := &q.who
	switch p.Kind {
	case PrincipalRoleSession:
		// The role's path is not in the session's ARN and cannot be known.
		q.derive("aws:principalarn", fmt.Sprintf("arn:%s:iam::%s:role/%s", p.Partition, p.Account, p.Name))
		q.derive("aws:principaltype", "AssumedRole")
	case PrincipalRole:
		q.derive("aws:principalarn", p.ARN)
		q.derive("aws:principaltype", "AssumedRole")
	case PrincipalUser:
		q.derive("aws:principalarn", p.ARN)
		q.derive("aws:principaltype", "User")
		q.derive("aws:username", p.Name)
	case PrincipalRoot:
		q.derive("aws:principalarn", p.ARN)
		q.derive("aws:principaltype", "Account")
		q.derive("aws:userid", p.Account)
	case PrincipalFederatedUser:
		q.derive("aws:principalarn", p.ARN)
		q.derive("aws:principaltype", "FederatedUser")
		q.derive("aws:userid", p.Account+":"+p.Name)
	default:
		return nil
	}
	q.derive("aws:principalaccount", p.Account)
	return nil
}

func (q *Query) derive(key, value string) {
	if _, given := q.context[key]; !given {
		q.context[key] = []string{value}
	}
}

// variable returns the value of a policy variable. A key with several values
// cannot be used as one, and a default stands in only for an absent key.
func (q *Query) variable(t *token) (string, bool) {
	values := q.context[t.text]
	switch {
	case len(values) == 1:
		return values[0], true
	case len(values) == 0 && t.hasFallback:
		return t.fallback, true
	default:
		return "", false
	}
}
