package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	accountapi "github.com/aws/aws-sdk-go-v2/service/account"
	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/iam"
)

// roles checks the role of each account and returns the accounts that can be read,
// in the regions that are enabled in them.
func (r *run) roles(ctx context.Context, accounts *account.Accounts, base identity) []account.Target {
	targets, problems := accounts.Targets(ctx)
	r.total(len(targets) + len(problems))
	from := base.config
	if r.o.Accounts.Hub != nil {
		from = accounts.Config(account.Target{}, accounts.Region())
	}
	// A hub that may not assume anything meets every account: its policies are read
	// once.
	who := sync.OnceValue(func() *assumer { return readAssumer(ctx, from) })
	r.each(len(problems), func(i int) {
		defer r.done(problems[i].Account)
		r.problem(ctx, &problems[i], who)
	})
	if r.o.Accounts.Organization && !slices.ContainsFunc(problems, isListing) {
		r.add(Result{Status: OK, Check: checkOrganization, What: fmt.Sprintf("lists the organization; %d accounts can be read", len(targets))})
	}
	r.each(len(targets), func(i int) {
		t := &targets[i]
		defer r.done(t.Account)
		if t.RoleARN != "" {
			creds, err := accounts.Config(*t, t.Regions[0]).Credentials.Retrieve(ctx)
			if err != nil {
				r.add(Result{Status: Fail, Check: checkRole, Account: t.Account, Subject: t.RoleARN, What: "its session ended and cannot be renewed", Why: account.Text(err), Mend: mendOf(err)})
				return
			}
			r.add(Result{Status: OK, Check: checkRole, Account: t.Account, Subject: t.RoleARN, What: "is assumed; " + r.sessionText(creds)})
		}
		t.Regions = r.enabled(ctx, accounts, t)
	})
	return slices.DeleteFunc(targets, func(t account.Target) bool { return len(t.Regions) == 0 })
}

// each does n things, some at once, and waits for them.
func (r *run) each(n int, do func(i int)) {
	slots := make(chan struct{}, r.o.Concurrency)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}

func isListing(p account.Problem) bool {
	chain, ok := errors.AsType[*account.ChainError](p.Err)
	return ok && chain.Link == account.LinkOrganization
}

// problem tells of an account that is not read, or not as asked.
func (r *run) problem(ctx context.Context, p *account.Problem, who func() *assumer) {
	result := Result{Status: Fail, Check: checkRole, Account: p.Account, Subject: p.RoleARN, What: p.What, Mend: p.Mend}
	if p.Err != nil {
		result.Why = account.Text(p.Err)
	}
	class := account.Classify(p.Err)
	switch {
	case p.Note && p.Err == nil:
		// Left out on purpose.
		result.Status = OK
	case p.Note:
		result.Check, result.Status = "account:ListRegions", Warn
		result.Statement = estate.AllowStatement([]string{"*"}, "account:ListRegions")
	case isListing(*p):
		result.Check, result.What = checkOrganization, "the organization's accounts cannot be listed"
		if class == account.Denied {
			result.Statement = estate.AllowStatement([]string{"*"}, "organizations:ListAccounts")
		}
	case class == account.Throttled:
		result.Status, result.What = Warn, "AWS throttles, so it could not be checked"
	case p.RoleARN == "":
		result.What = "the account cannot be reached"
	default:
		result.What = "the role cannot be assumed"
		var external string
		for i := range r.o.Accounts.Roles {
			if r.o.Accounts.Roles[i].ARN == p.RoleARN {
				external = r.o.Accounts.Roles[i].ExternalID
			}
		}
		if external == "" {
			external = r.o.Accounts.ExternalID
		}
		if class == account.Denied {
			result = r.whichSide(ctx, result, who(), p.RoleARN, external)
		}
	}
	r.add(result)
}

// assumer is who assumes roles, with its policies as far as it may read them.
type assumer struct {
	config    aws.Config
	who       iam.Principal
	principal *estate.Principal
}

// readAssumer reads the policies behind credentials; nil where nothing can be told
// of them.
func readAssumer(ctx context.Context, cfg aws.Config) *assumer {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil
	}
	who, err := iam.ParsePrincipal(aws.ToString(out.Arn))
	if err != nil || who.Kind == iam.PrincipalRoot {
		return nil
	}
	return &assumer{cfg, who, estate.ReadPrincipal(ctx, cfg, who)}
}

// whichSide finds out which side refuses sts:AssumeRole, which AWS does not say: it
// reads the policies of who assumes, if it may, and those of the role where it is of
// the same account. Where it cannot, the result stays as it was.
func (r *run) whichSide(ctx context.Context, result Result, from *assumer, roleARN, externalID string) Result {
	role, err := iam.ParsePrincipal(roleARN)
	if err != nil || from == nil {
		return result
	}
	who, caller := from.who, from.principal
	statement := estate.AllowStatement([]string{roleARN}, "sts:AssumeRole")
	ask := func(trust iam.Attached, id string) (iam.Decision, bool) {
		policies := caller.Policies()
		policies.Resource = trust
		request := iam.Request{Principal: who, Action: "sts:AssumeRole", Resource: roleARN, ResourceAccount: role.Account, Context: iam.Context{
			"aws:PrincipalArn": {caller.ARN}, "sts:RoleSessionName": {r.o.Accounts.SessionName},
		}}
		if id != "" {
			request.Context["sts:ExternalId"] = []string{id}
		}
		query, err := request.Prepare()
		if err != nil {
			return iam.ImplicitDeny, false
		}
		return policies.Decide(query), true
	}
	var target *estate.Principal
	if role.Account == who.Account {
		target = estate.ReadPrincipal(ctx, from.config, role)
		if target.Deleted {
			result.What = "the role does not exist in account " + role.Account
			result.Mend = "make the role (docs/permissions.md), or correct its ARN in the settings"
			return result
		}
	}
	if len(caller.Unseen) == 0 {
		open, ok := ask(trustOf(who), externalID)
		switch {
		case ok && open != iam.Allowed:
			result.What = "the role cannot be assumed: the policies of " + caller.ARN + " do not allow sts:AssumeRole on it"
			result.Mend = "add the statement to " + caller.ARN + " in account " + who.Account
			result.Statement = statement
			return result
		case ok:
			result.What = fmt.Sprintf("the role cannot be assumed, although the policies of %s allow it: it does not exist, or its trust policy refuses", caller.ARN)
		}
	}
	if target == nil || target.Trust == nil {
		return result
	}
	trust := target.Trust.Attached()
	if now, ok := ask(trust, externalID); !ok || now == iam.Allowed {
		return result
	}
	for _, id := range append(externalIDs(target.Trust), "") {
		if other, ok := ask(trust, id); ok && other == iam.Allowed && id != externalID {
			result.What = "the role cannot be assumed: its trust policy asks for another external id than the one that is configured"
			result.Mend = "set external_id to what the trust policy of " + roleARN + " asks for, or change it there"
			return result
		}
	}
	result.What = "the role cannot be assumed: its trust policy does not let " + caller.ARN + " in"
	return result
}

// trustOf is a trust policy that leaves it to the caller's own policies, if it is
// of another account, and names it, if it is not.
func trustOf(who iam.Principal) iam.Attached {
	d := iam.Document{Kind: iam.KindTrust, Version: iam.Version2012, Statements: []iam.Statement{{
		Effect: iam.Allow, Principal: &iam.Principals{AWS: iam.Strings{"arn:" + who.Partition + ":iam::" + who.Account + ":root"}}, Action: iam.Strings{"sts:AssumeRole"},
	}}}
	p, err := d.Compile()
	if err != nil {
		return iam.Attached{}
	}
	return iam.Attached{Name: "a trust policy", Policy: p}
}

// externalIDs are the external ids that a trust policy names.
func externalIDs(trust *estate.Policy) []string {
	var ids []string
	for _, s := range trust.Document.Statements {
		for _, c := range s.Condition {
			if strings.EqualFold(c.Key, "sts:ExternalId") {
				ids = append(ids, c.Values...)
			}
		}
	}
	return ids
}

// enabled leaves out the regions of a target that are not enabled in its account,
// as far as the account may be asked. Where it may not, the first call into such a
// region tells.
func (r *run) enabled(ctx context.Context, accounts *account.Accounts, t *account.Target) []string {
	client := accountapi.NewFromConfig(accounts.Config(*t, t.Regions[0]), func(o *accountapi.Options) {
		if p := account.PartitionOf(t.Regions[0]); p == "aws" {
			o.Region = "us-east-1" // where the service is
		}
	})
	off := map[string]bool{}
	pages := accountapi.NewListRegionsPaginator(client, &accountapi.ListRegionsInput{
		RegionOptStatusContains: []accounttypes.RegionOptStatus{accounttypes.RegionOptStatusDisabled, accounttypes.RegionOptStatusDisabling},
	}, func(o *accountapi.ListRegionsPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return t.Regions
		}
		for i := range page.Regions {
			off[aws.ToString(page.Regions[i].RegionName)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(t.Regions), func(region string) bool {
		if off[region] {
			r.add(disabled(t.Account, region, ""))
		}
		return off[region]
	})
}

func disabled(accountID, region, why string) Result {
	return Result{
		Status: Fail, Check: checkRegion, Account: accountID, Region: region, What: "the region is not enabled in the account", Why: why,
		Mend: "enable it (account settings, or account:EnableRegion), or leave it out of the regions in the settings",
	}
}
