package estate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Outcome is what the policies that were seen say of a call.
type Outcome string

// The outcomes.
const (
	// OutcomeDenied means that the call is denied whatever was not seen says.
	OutcomeDenied Outcome = "denied"
	// OutcomeAllowed means that what was seen allows the call. Complete says whether
	// that is all.
	OutcomeAllowed Outcome = "allowed"
	// OutcomeOpen means that it depends on what was not seen.
	OutcomeOpen Outcome = "open"
)

// Verdict explains a call by the policies that were seen.
type Verdict struct {
	Outcome Outcome
	// Complete says that everything that has a say was seen.
	Complete bool
	// Auth is how the method authorizes, and Route its template; empty if unseen.
	Auth  iam.Auth
	Route string
	// Resource is the ARN that was asked for, with a star for an account that is not
	// known.
	Resource string
	// Denials are the statements that deny the call, Grants those that allow it.
	Denials []Mention
	Grants  []Mention
	// Lacks are the sides that must allow the call and do not. MayLack are those that
	// do not in what was seen, while something unseen might.
	Lacks   []Lack
	MayLack []Lack
	// Conditions are those on keys whose values for this call are not known.
	Conditions []Condition
	Unseen     []Unseen
}

// Mention is a statement that has a say.
type Mention struct {
	Layer     iam.Layer
	Policy    string // its title
	Statement int    // from 0
	Sid       string
	JSON      string
}

// Lack is a side that does not allow a call, and what to add to it.
type Lack struct {
	Layer iam.Layer
	// Where to add: "role arn:… in account 111122223333".
	Where string
	// Statement to add, as JSON; empty where no statement would do.
	Statement string
	// Note says what else there is to do: deploy the stage again.
	Note string
	// Or is another place that would do as well; nil: none.
	Or *Lack
}

// Condition is a condition of a statement that could decide the call, on a key
// whose value is not known here.
type Condition struct {
	Policy string
	Sid    string
	Key    string
}

// authOf turns the authorization of a route into the way in which iam decides.
func authOf(route *Route) iam.Auth {
	switch route.Authorization {
	case "AWS_IAM":
		return iam.AuthIAM
	case "CUSTOM":
		return iam.AuthLambda
	case "COGNITO_USER_POOLS", "JWT":
		return iam.AuthCognito
	default:
		return iam.AuthNone
	}
}

// allowingAll allows all of every kind of policy that names no principals.
var allowingAll = []iam.Statement{{Effect: iam.Allow, Action: iam.Strings{"*"}, Resource: iam.Strings{"*"}}}

// Explain decides the call twice, once as if what is not known were in its favour
// and once as if it were not. What both say is certain.
func (p *CallPolicies) Explain() (*Verdict, error) {
	v := &Verdict{Unseen: p.Unseen}
	owner := p.Call.Owner
	if len(owner) != 12 {
		owner = "*"
	}
	v.Resource = p.Call.resource(owner)
	e := &verdict{p: p, v: v, api: iam.REST, auth: iam.AuthIAM}
	if p.Call.Anonymous {
		e.auth = iam.AuthNone
	}
	if p.API != nil {
		e.api = iam.API(p.API.API.Type)
		if e.route = p.API.route(p.Call.Stage, p.Call.Method, p.Call.Path); e.route != nil {
			e.auth = authOf(e.route)
			v.Auth, v.Route = e.auth, e.route.Path
		}
	}
	e.context()
	best := e.policies(true)
	var kind *iam.Result
	var query *iam.Query
	for _, owner := range e.owners() {
		var err error
		if query, err = e.query(owner); err != nil {
			return nil, fmt.Errorf("explaining the call: %w", err)
		}
		if kind = iam.Evaluate(&best, query); kind.Decision == iam.Allowed {
			break
		}
	}
	worst := e.policies(false)
	unkind := iam.Evaluate(&worst, query)
	switch {
	case kind.Decision != iam.Allowed:
		v.Outcome = OutcomeDenied
		v.Lacks = e.lacks(kind)
		v.Denials = e.mentions(kind, iam.Deny)
		for _, l := range e.lacks(unkind) {
			if !slices.ContainsFunc(v.Lacks, func(m Lack) bool { return m.Layer == l.Layer }) {
				v.MayLack = append(v.MayLack, l)
			}
		}
	case unkind.Decision == iam.Allowed:
		v.Outcome = OutcomeAllowed
	default:
		v.Outcome = OutcomeOpen
		v.MayLack = e.lacks(unkind)
		v.Denials = e.mentions(unkind, iam.Deny)
	}
	v.Grants, v.Complete = e.mentions(unkind, iam.Allow), e.complete()
	return v, nil
}

// verdict is one explanation under way.
type verdict struct {
	p      *CallPolicies
	v      *Verdict
	api    iam.API
	auth   iam.Auth
	route  *Route
	ctx    iam.Context
	titles map[string]*Policy
}

// complete reports whether everything that has a say was seen.
func (e *verdict) complete() bool {
	for i := range e.p.Unseen {
		if len(e.p.Unseen[i].Layers) > 0 {
			return false
		}
	}
	return e.p.API != nil
}

// context adds to the condition keys of the call what was read of its caller.
func (e *verdict) context() {
	e.ctx = maps.Clone(e.p.Call.Context)
	if e.ctx == nil {
		e.ctx = iam.Context{}
	}
	if p := e.p.API; p != nil && !p.private() {
		for _, key := range []string{"aws:SourceVpc", "aws:SourceVpce", "aws:VpcSourceIp"} {
			e.ctx[key] = nil
		}
	}
	principal := e.p.Principal
	if e.auth != iam.AuthIAM || principal == nil {
		return
	}
	who := &e.p.Who
	if who.Kind == iam.PrincipalRoleSession {
		e.ctx["aws:PrincipalArn"] = []string{principal.ARN}
		e.ctx["aws:username"] = nil
	}
	if principal.ID != "" {
		e.ctx["aws:userid"] = []string{principal.ID}
		if who.Session != "" {
			e.ctx["aws:userid"] = []string{principal.ID + ":" + who.Session}
		}
	}
	if o := e.p.Organization; o.ID != "" {
		e.ctx["aws:PrincipalOrgID"] = []string{o.ID}
	} else if len(o.Unseen) == 0 {
		e.ctx["aws:PrincipalOrgID"], e.ctx["aws:PrincipalOrgPaths"] = nil, nil
	}
	if e.tagsKnown() {
		for key, value := range principal.Tags {
			e.ctx["aws:PrincipalTag/"+key] = []string{value}
		}
	}
}

// tagsKnown reports whether the principal's tags in the call are those of the role
// or user: session tags of a session that was made elsewhere are seen by no one.
func (e *verdict) tagsKnown() bool {
	p := e.p.Principal
	return p != nil && p.ID != "" && (e.p.Who.Kind == iam.PrincipalUser || e.p.Call.OwnSession)
}

// known reports whether the value of a condition key in this call is known, be it
// that there is none.
func (e *verdict) known(key string) bool {
	key = strings.ToLower(key)
	for k := range e.ctx {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	switch key {
	case "aws:principalarn", "aws:principaltype", "aws:principalaccount", "aws:username":
		return true
	}
	return e.auth != iam.AuthIAM && strings.HasPrefix(key, "aws:principal") ||
		e.tagsKnown() && strings.HasPrefix(key, "aws:principaltag/")
}

// owners are the accounts that the API may belong to: the one that is known, or one
// that stands for all others, and those that the caller's policies name.
func (e *verdict) owners() []string {
	tail := e.p.Call.Owner
	if len(tail) == 12 {
		return []string{tail}
	}
	out := []string{unknownAccount[:12-len(tail)] + tail}
	add := func(id string) {
		if len(id) == 12 && strings.HasSuffix(id, tail) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	add(e.p.Who.Account)
	if e.p.Principal == nil {
		return out
	}
	for i := range e.p.Principal.Identity {
		for _, s := range e.p.Principal.Identity[i].Document.Statements {
			for _, arn := range slices.Concat(s.Resource, s.NotResource) {
				if part := strings.SplitN(arn, ":", 6); len(part) == 6 {
					add(part[4])
				}
			}
		}
	}
	return out
}

func (e *verdict) query(owner string) (*iam.Query, error) {
	c := &e.p.Call
	who := e.p.Who
	if c.Anonymous {
		who = iam.Principal{}
	}
	return iam.Request{
		Principal: who, Action: c.Action, Resource: c.resource(owner), ResourceAccount: owner, Context: e.ctx,
		Auth: e.auth, API: e.api, Private: e.p.API != nil && e.p.API.private(),
		ManagementAccount: e.p.Organization.Management != "" && e.p.Organization.Management == owner,
	}.Prepare()
}

// policies puts the layers together, in favour of the call or against it where
// something is not known.
func (e *verdict) policies(favour bool) iam.Policies {
	e.titles = map[string]*Policy{}
	var out iam.Policies
	add := func(p *Policy) iam.Attached {
		e.titles[p.Title] = p
		return iam.Attached{Name: p.Title, Policy: e.variant(p, favour)}
	}
	allowAll := func(kind iam.Kind, s []iam.Statement) iam.Attached {
		d := iam.Document{Kind: kind, Version: iam.Version2012, Statements: s}
		compiled, err := d.Compile()
		if err != nil {
			return iam.Attached{} // not of a policy that this file wrote
		}
		return iam.Attached{Name: "what was not seen", Policy: compiled}
	}
	if principal := e.p.Principal; principal != nil && e.auth == iam.AuthIAM {
		for i := range principal.Identity {
			out.Identity = append(out.Identity, add(&principal.Identity[i]))
		}
		if favour && !sees(principal.Unseen, iam.LayerIdentity) {
			out.Identity = append(out.Identity, allowAll(iam.KindIdentity, allowingAll))
		}
		if principal.Boundary != nil {
			out.Boundary = add(principal.Boundary)
		}
	}
	if e.auth == iam.AuthLambda && favour {
		// What the authorizer answers only the authorizer knows.
		out.Identity = append(out.Identity, allowAll(iam.KindIdentity, allowingAll))
	}
	for _, level := range e.p.Organization.Levels {
		var attached []iam.Attached
		for i := range level.Policies {
			attached = append(attached, add(&level.Policies[i]))
		}
		out.SCPs = append(out.SCPs, attached)
	}
	switch {
	case e.p.API != nil && e.p.API.Policy != nil:
		out.Resource = add(e.p.API.Policy)
	case favour && (e.p.API == nil || !sees(e.p.API.Unseen, iam.LayerResource)):
		open := allowingAll[0]
		open.Principal = &iam.Principals{Everyone: true}
		out.Resource = allowAll(iam.KindResource, []iam.Statement{open})
	}
	return out
}

// nothing is an action that no request has, for statements that are left out while
// the others keep their places.
var nothing = iam.Strings{"gatehouse:None"}

// variant compiles a policy with the conditions that cannot be decided here taken
// for met or for not met, whichever favours the call or does not.
func (e *verdict) variant(p *Policy, favour bool) *iam.Policy {
	d := iam.Document{Kind: p.Document.Kind, Version: p.Document.Version, Statements: slices.Clone(p.Document.Statements)}
	changed := false
	for i := range d.Statements {
		s := &d.Statements[i]
		open := e.openKeys(d.Version, s)
		if len(open) == 0 || !mentions(s, e.p.Call.Action) {
			continue
		}
		changed = true
		for _, key := range open {
			found := Condition{Policy: p.Title, Sid: s.Sid, Key: key}
			if !slices.Contains(e.v.Conditions, found) {
				e.v.Conditions = append(e.v.Conditions, found)
			}
		}
		if (s.Effect == iam.Allow) != favour {
			s.Action, s.NotAction = nothing, nil
			continue
		}
		s.Condition = slices.DeleteFunc(slices.Clone(s.Condition), func(c iam.Condition) bool {
			return !e.known(c.Key) || len(e.openVariables(d.Version, c.Values)) > 0
		})
		if len(e.openVariables(d.Version, s.Resource, s.NotResource)) > 0 {
			s.Resource, s.NotResource = iam.Strings{"*"}, nil
		}
	}
	if !changed {
		return p.Compiled
	}
	compiled, err := d.Compile()
	if err != nil {
		return p.Compiled
	}
	return compiled
}

// openKeys are the condition keys of a statement, as conditions and as variables,
// whose values for this call are not known.
func (e *verdict) openKeys(version string, s *iam.Statement) []string {
	open := e.openVariables(version, s.Resource, s.NotResource)
	for _, c := range s.Condition {
		if !e.known(c.Key) {
			open = append(open, c.Key)
		}
		open = append(open, e.openVariables(version, c.Values)...)
	}
	return open
}

// openVariables are the policy variables in texts, such as ${aws:PrincipalTag/team},
// whose values are not known. Documents of the older version have none.
func (e *verdict) openVariables(version string, lists ...iam.Strings) []string {
	if version != iam.Version2012 {
		return nil
	}
	var open []string
	for _, list := range lists {
		for _, text := range list {
			for {
				_, rest, ok := strings.Cut(text, "${")
				if !ok {
					break
				}
				var name string
				name, text, _ = strings.Cut(rest, "}")
				name, _, _ = strings.Cut(name, ",") // what follows is a default
				if name = strings.TrimSpace(name); strings.Contains(name, ":") && !e.known(name) {
					open = append(open, name)
				}
			}
		}
	}
	return open
}

// mentions reports whether a statement can be about an action of API Gateway.
func mentions(s *iam.Statement, action string) bool {
	if s.NotAction != nil {
		return true
	}
	service, _, _ := strings.Cut(action, ":")
	return slices.ContainsFunc(s.Action, func(a string) bool {
		return a == "*" || len(a) > len(service) && strings.EqualFold(a[:len(service)+1], service+":")
	})
}

// mentions are the statements behind a decision.
func (e *verdict) mentions(r *iam.Result, effect iam.Effect) []Mention {
	var out []Mention
	for _, reason := range r.Reasons {
		p := e.titles[reason.Policy]
		if reason.Effect == effect && p != nil {
			out = append(out, Mention{reason.Layer, reason.Policy, reason.Statement, reason.Sid, p.StatementJSON(reason.Statement)})
		}
	}
	return out
}

// elsewhere reports an HTTP or WebSocket API of another account, which no policy
// can open to the caller.
func (e *verdict) elsewhere() bool {
	return e.auth == iam.AuthIAM && e.api != iam.REST && !e.p.Call.Anonymous && len(e.p.Call.Owner) == 12 && e.p.Who.Account != e.p.Call.Owner
}

// typeName is the type of the API for people.
func (e *verdict) typeName() string {
	if e.api == iam.WebSocket {
		return "WebSocket"
	}
	return "HTTP"
}

// isWebSocket says that an ARN's parts after the stage are no method and path.
func (e *verdict) isWebSocket() bool {
	return e.p.API != nil && e.p.API.API.Type == transaction.WebSocket
}
