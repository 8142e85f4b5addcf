package estate

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/iam"
)

// IAMPrincipal is a role or user of an account, with what it is allowed by name. What
// the policies say is read by ReadPermissions when it is needed.
type IAMPrincipal struct {
	ARN string `json:"arn"`
	// Kind is role or user.
	Kind string `json:"kind"`
	// Trust is the trust policy of a role as JSON; empty for a user.
	Trust string `json:"trust,omitempty"`
	// Boundary is the ARN of the permissions boundary; empty: none.
	Boundary string `json:"boundary,omitempty"`
	// Managed are the ARNs of managed policies, and Inline the titles of inline ones,
	// those of a user's groups among them.
	Managed []string          `json:"managed,omitempty"`
	Inline  []string          `json:"inline,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
	// Wide is what its policies and its boundary allow on everything.
	Wide []WideAction `json:"wide,omitempty"`
	// Partial is set where a policy could not be understood or found, so that one
	// that is absent here may be there.
	Partial bool `json:"partial,omitempty"`
}

// The kinds of an IAMPrincipal.
const (
	kindRole = "role"
	kindUser = "user"
)

// principals reads the roles and users of each account that can be read, or takes
// them from before, and puts them into the snapshot. They change rarely and are
// many, so only a discovery that reads everything reads them.
func (d *Discoverer) principals(ctx context.Context, s, before *Snapshot, targets []account.Target) {
	readable := map[string]account.Target{}
	for _, t := range targets {
		if _, ok := readable[t.Account]; !ok {
			readable[t.Account] = t
		}
	}
	known := map[string]*Account{}
	if before != nil {
		for i := range before.Accounts {
			known[before.Accounts[i].ID] = &before.Accounts[i]
		}
	}
	slots := make(chan struct{}, d.concurrency)
	var wg sync.WaitGroup
	for i := range s.Accounts {
		a := &s.Accounts[i]
		t, ok := readable[a.ID]
		if !ok || len(t.Regions) == 0 || ctx.Err() != nil {
			continue
		}
		if was := known[a.ID]; was != nil && was.PrincipalsRead && was.Seen(PartPrincipals) {
			a.Principals, a.PrincipalsRead = was.Principals, true
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			a.readPrincipals(ctx, d.accounts.Config(t, t.Regions[0]), t)
		})
	}
	wg.Wait()
}

func (a *Account) readPrincipals(ctx context.Context, cfg aws.Config, t account.Target) {
	a.PrincipalsRead = true
	found := ReadPermissions(ctx, cfg, a.ID)
	for i := range found.Unseen {
		u := &found.Unseen[i]
		f := Fault{What: "iam:GetAccountAuthorizationDetails", Error: u.Why, Class: account.Transient, Action: "iam:GetAccountAuthorizationDetails", Resource: "*"}
		f.Mend = "the next full discovery tries again"
		if len(u.Actions) > 0 {
			f.Class, f.Mend = account.Denied, "allow "+f.Action+" on * to "+t.RoleARN
			if t.RoleARN == "" {
				f.Mend = "allow " + f.Action + " on * to the credentials of account " + t.Account
			}
		}
		a.Unseen = mark(a.Unseen, PartPrincipals)
		a.Notes = addFault(a.Notes, f)
	}
	for i := range found.Principals {
		p := iamPrincipal(&found.Principals[i])
		p.Wide = wideActions(&found.Principals[i], a.ID, t.Regions[0])
		a.Principals = append(a.Principals, p)
	}
}

func iamPrincipal(p *Principal) IAMPrincipal {
	out := IAMPrincipal{ARN: p.ARN, Kind: kindUser, Tags: p.Tags, Partial: len(p.Unseen) > 0}
	if p.Kind == iam.PrincipalRole {
		out.Kind = kindRole
	}
	if p.Trust != nil {
		out.Trust = string(p.Trust.Document.JSON())
	}
	if p.Boundary != nil {
		out.Boundary = p.Boundary.ARN
	}
	for i := range p.Identity {
		if arn := p.Identity[i].ARN; arn != "" {
			out.Managed = append(out.Managed, arn)
		} else {
			out.Inline = append(out.Inline, p.Identity[i].Title)
		}
	}
	slices.Sort(out.Managed)
	slices.Sort(out.Inline)
	return out
}

// Seen reports whether a part of the account was read whole.
func (a *Account) Seen(p Part) bool { return !slices.Contains(a.Unseen, p) }
