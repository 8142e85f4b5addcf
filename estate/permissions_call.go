package estate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Call is a call to an API whose policies are to be read: what the one who made it
// knows of it.
type Call struct {
	// Caller is the ARN of who called; empty: whoever the first Viewer is.
	Caller string
	// Anonymous says that API Gateway knows no caller, as of every method whose
	// authorization is not AWS_IAM.
	Anonymous bool
	Action    string // execute-api:Invoke, …
	Partition string
	Region    string
	API       string // its id
	// Owner is the API's account, or as much as AWS shows of it: its last four
	// digits. Empty: not known.
	Owner string
	// Stage, Method and Path as in the ARN that was asked for; the path without its
	// first slash. With Split unset the stage is not known, and is the first segment
	// of Path unless the API has a $default stage alone.
	Stage, Method, Path string
	Split               bool
	// OwnSession says that the session was made for this call, without session
	// policies and tags.
	OwnSession bool
	// Context are condition keys of the call that are known. A key without values is
	// known to be absent.
	Context iam.Context
}

// Viewer is a set of credentials to look with.
type Viewer struct {
	Name string // for people: "the call's own credentials"
	// Account is the account that it looks into; empty: it is asked.
	Account string
	Config  func(region string) aws.Config
}

// PolicyReader reads the policies that have a say in a call, with whatever
// credentials can see them.
type PolicyReader struct {
	// Viewers are tried in this order. The first are the call's own credentials.
	Viewers []Viewer
	// Open returns a further viewer of an account, if there is one; may be nil.
	Open func(accountID string) (Viewer, bool)
	// Accounts lists the accounts that end in those digits; may be nil.
	Accounts func(ctx context.Context, tail string) []string
	// Region is for services that have no regions, where a call names none.
	Region string
}

// CallPolicies are the policies that have a say in a call, as far as they could be
// read.
type CallPolicies struct {
	Call         Call
	Who          iam.Principal
	Principal    *Principal // nil for a caller without policies of its own
	Organization *Organization
	API          *APIAccess // nil: not seen
	Unseen       []Unseen
}

// Read reads the policies of a call. It reads only, and what it cannot is in the
// result.
func (r *PolicyReader) Read(ctx context.Context, c Call) (*CallPolicies, error) {
	if c.Region == "" {
		c.Region = r.Region
	}
	viewers, faults := r.identify(ctx, &c)
	p := &CallPolicies{Call: c, Unseen: faults, Organization: &Organization{}}
	if c.Caller == "" && !c.Anonymous {
		return nil, fmt.Errorf("finding out who called: %s", unseenText(faults))
	}
	if !c.Anonymous {
		who, err := iam.ParsePrincipal(c.Caller)
		if err != nil {
			return nil, fmt.Errorf("finding out who called: %w", err)
		}
		p.Who = who
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.API = r.api(ctx, viewers, p) })
	principal, organization := &Principal{}, &Organization{}
	if !c.Anonymous {
		wg.Go(func() { principal = r.principal(ctx, viewers, p.Who, c.Region) })
		wg.Go(func() { organization = r.organization(ctx, viewers, p.Who.Account, c.Region) })
	}
	wg.Wait()
	if !c.Anonymous {
		p.Principal, p.Organization = principal, organization
		p.Unseen = append(p.Unseen, principal.Unseen...)
		p.Unseen = append(p.Unseen, organization.Unseen...)
		if p.Who.Kind == iam.PrincipalRoleSession && !c.OwnSession {
			p.Unseen = append(p.Unseen, Unseen{
				What: "session policies that were passed when " + p.Who.ARN + " was assumed", Layers: []iam.Layer{iam.LayerSession},
				Why: "AWS shows them to no one; with --role-arn invoke makes the session itself, without any",
			})
		}
	}
	return p, nil
}

func unseenText(unseen []Unseen) string {
	if len(unseen) == 0 {
		return "no credentials to ask with"
	}
	return unseen[0].What + ": " + unseen[0].Why
}

// identify finds out whose the viewers are, and leaves out those that cannot look
// at all.
func (r *PolicyReader) identify(ctx context.Context, c *Call) ([]Viewer, []Unseen) {
	viewers := make([]Viewer, 0, len(r.Viewers))
	var faults []Unseen
	for i, v := range r.Viewers {
		asked := i == 0 && c.Caller == "" && !c.Anonymous
		if v.Account == "" || asked {
			out, err := sts.NewFromConfig(v.Config(c.Region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			if err != nil {
				faults = append(faults, Unseen{What: "what " + v.Name + " could show", Why: account.Text(err)})
				continue
			}
			v.Account = aws.ToString(out.Account)
			if asked {
				c.Caller = aws.ToString(out.Arn)
			}
		}
		viewers = append(viewers, v)
	}
	return viewers, faults
}

// of are the viewers of an account.
func (r *PolicyReader) of(viewers []Viewer, accountID string) []Viewer {
	var out []Viewer
	for _, v := range viewers {
		if v.Account == accountID {
			out = append(out, v)
		}
	}
	if r.Open != nil {
		if v, ok := r.Open(accountID); ok {
			out = append(out, v)
		}
	}
	return out
}

// blind is what is told of an account that nobody can look into.
func blind(accountID string) string {
	return "there are no credentials of account " + accountID + " to look with: name a role of it in the settings (role_arns), or call as an administrator of it"
}

// principal reads the caller with the first viewer that sees all of it, or else with
// the one that sees most.
func (r *PolicyReader) principal(ctx context.Context, viewers []Viewer, who iam.Principal, region string) *Principal {
	if who.Kind == iam.PrincipalRoot {
		return ReadPrincipal(ctx, aws.Config{}, who)
	}
	var best *Principal
	for _, v := range r.of(viewers, who.Account) {
		p := ReadPrincipal(ctx, v.Config(region), who)
		if best == nil || len(p.Unseen) < len(best.Unseen) || len(p.Unseen) == len(best.Unseen) && len(p.Identity) > len(best.Identity) {
			best = p
		}
		if len(best.Unseen) == 0 {
			break
		}
	}
	if best == nil {
		best = &Principal{ARN: who.ARN, Kind: who.Kind, Name: who.Name, Unseen: []Unseen{{
			What: "the policies of " + principalText(who), Layers: []iam.Layer{iam.LayerIdentity, iam.LayerBoundary}, Why: blind(who.Account),
			Actions: roleActions, Resources: []string{"arn:" + who.Partition + ":iam::" + who.Account + ":role/*", "arn:" + who.Partition + ":iam::" + who.Account + ":policy/*"},
		}}}
		if who.Kind == iam.PrincipalRoleSession {
			best.Kind, best.ARN = iam.PrincipalRole, "arn:"+who.Partition+":iam::"+who.Account+":role/"+who.Name
		}
		if who.Kind == iam.PrincipalUser {
			u := &best.Unseen[0]
			u.Actions, u.Resources = userActions, []string{"*"}
		}
	}
	return best
}

// principalText names a principal, and of a session its role.
func principalText(who iam.Principal) string {
	if who.Kind == iam.PrincipalRoleSession {
		return "role " + who.Name + " in account " + who.Account
	}
	return who.String()
}

// organization reads what limits the caller's account, with the first viewer that
// may: the management account and its delegates alone do.
func (r *PolicyReader) organization(ctx context.Context, viewers []Viewer, accountID, region string) *Organization {
	var best *Organization
	asked := slices.Clone(viewers)
	// Its own account can at least tell that there is no organization.
	slices.SortStableFunc(asked, func(a, b Viewer) int { return boolOrder(a.Account == accountID, b.Account == accountID) })
	for _, v := range asked {
		o := ReadOrganization(ctx, v.Config(region), accountID)
		if len(o.Unseen) > 0 && v.Account != accountID {
			o.ID, o.Management = "", "" // it may be another organization
		}
		if best == nil || o.ID != "" && best.ID == "" || len(o.Unseen) < len(best.Unseen) {
			if o.ID == "" && len(o.Unseen) == 0 && v.Account != accountID {
				continue // in no organization: that says nothing of another account
			}
			best = o
		}
		if len(best.Unseen) == 0 {
			return best
		}
	}
	if best == nil {
		best = &Organization{Unseen: []Unseen{{
			What: "the service control policies of account " + accountID, Layers: []iam.Layer{iam.LayerSCP},
			Why:     "there are no credentials of its organization's management account to look with",
			Actions: organizationActions, Resources: []string{"*"},
		}}}
	}
	return best
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// api finds the API among the accounts that may own it and reads it.
func (r *PolicyReader) api(ctx context.Context, viewers []Viewer, p *CallPolicies) *APIAccess {
	c := &p.Call
	what := "the resource policy of API " + c.API + " and the authorization of its method"
	var unseen []Unseen
	if c.API == "" {
		p.noteAPI(Unseen{What: "which API is behind the host", Layers: []iam.Layer{iam.LayerResource}, Why: "its name does not tell, and neither does the answer"})
		return nil
	}
	candidates := r.owners(ctx, viewers, c.Owner)
	for _, id := range candidates {
		for _, v := range r.of(viewers, id) {
			a, err := ReadAPIAccess(ctx, v.Config(c.Region), id, c.Region, c.API)
			if failed, ok := errors.AsType[*ReadError](err); ok {
				unseen = append(unseen, failed.Unread)
				continue
			}
			if a == nil {
				break // this account does not have it
			}
			c.split(a)
			p.noteAPI(a.Unseen...)
			return a
		}
	}
	if len(unseen) == 0 {
		u := Unseen{What: what, Layers: []iam.Layer{iam.LayerResource}}
		switch {
		case len(c.Owner) == 12:
			u.Why = blind(c.Owner)
		case c.Owner != "":
			u.Why = "there are no credentials to look with of the account, whose id ends in " + c.Owner + ": name a role of it in the settings (role_arns)"
		default:
			u.Why = "no account that can be looked into has it: name a role of the API's account in the settings (role_arns)"
		}
		u.Actions = []string{"apigateway:GET"}
		base := "arn:" + c.Partition + ":apigateway:" + c.Region + "::"
		u.Resources = []string{base + "/restapis/" + c.API + "*", base + "/apis/" + c.API + "*"}
		unseen = append(unseen, u)
	}
	p.noteAPI(unseen...)
	return nil
}

// noteAPI adds what was not seen of the API. It is called by the reader of the API
// alone while the readers run at once.
func (p *CallPolicies) noteAPI(u ...Unseen) { p.Unseen = append(p.Unseen, u...) }

// owners are the accounts that may own the API, the likeliest first.
func (r *PolicyReader) owners(ctx context.Context, viewers []Viewer, owner string) []string {
	if len(owner) == 12 {
		return []string{owner}
	}
	var out []string
	add := func(id string) {
		if strings.HasSuffix(id, owner) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, v := range viewers {
		add(v.Account)
	}
	if r.Accounts != nil && owner != "" {
		for _, id := range r.Accounts(ctx, owner) {
			add(id)
		}
	}
	return out
}

// split finds the stage of a call whose path came from a URL.
func (c *Call) split(a *APIAccess) {
	c.Owner = a.Account
	if c.Split {
		return
	}
	first, rest, _ := strings.Cut(c.Path, "/")
	isStage := func(name string) bool {
		return slices.ContainsFunc(a.API.Stages, func(s Stage) bool { return s.Name == name })
	}
	c.Split = true
	if a.API.Type == transaction.HTTP && !isStage(first) && (isStage("$default") || len(a.API.Stages) == 0) {
		c.Stage = "$default"
		return
	}
	c.Stage, c.Path = first, rest
}

// resource is the ARN that the call asks for. An account that is not known is what
// the given text stands for.
func (c *Call) resource(owner string) string {
	if strings.HasPrefix(c.Method, "$") { // a WebSocket API's $connect
		return fmt.Sprintf("arn:%s:execute-api:%s:%s:%s/%s/%s", c.Partition, c.Region, owner, c.API, c.Stage, c.Method)
	}
	return fmt.Sprintf("arn:%s:execute-api:%s:%s:%s/%s/%s/%s", c.Partition, c.Region, owner, c.API, c.Stage, c.Method, c.Path)
}
