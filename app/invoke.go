package app

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
)

// looking is how policies are read after a refusal: somebody waits for it, so a
// viewer that does not answer is soon given up.
var looking = account.Options{MaxAttempts: 2, MaxBackoff: time.Second, AttemptTimeout: 10 * time.Second}

// Policies reads the policies that have a say in a call, with the credentials of
// the call, those that it was assumed from, and the roles that the settings name.
func (*runtime) Policies(ctx context.Context, c, settings *config.Config, call estate.Call) (*estate.CallPolicies, error) {
	own, err := account.New(c.Accounts, looking)
	if err != nil {
		return nil, err
	}
	r := &estate.PolicyReader{Region: own.Region()}
	viewer := func(name string, a *account.Accounts, t account.Target) estate.Viewer {
		return estate.Viewer{Name: name, Account: t.Account, Config: func(region string) aws.Config { return a.Config(t, region) }}
	}
	role := func(a *account.Accounts, arn string) estate.Viewer {
		part := strings.SplitN(arn, ":", 6) // the settings have checked it
		return viewer("role "+arn, a, account.Target{Account: part[4], RoleARN: arn})
	}
	if len(c.Accounts.Roles) > 0 {
		r.Viewers = append(r.Viewers, role(own, c.Accounts.Roles[0].ARN), viewer("the credentials that assumed the role", own, account.Target{}))
	} else {
		r.Viewers = append(r.Viewers, viewer("the call's own credentials", own, account.Target{}))
	}
	if settings == nil {
		return r.Read(ctx, call)
	}
	if len(settings.Accounts.Regions) == 0 {
		settings.Accounts.Regions = []string{own.Region()}
	}
	reading, err := account.New(settings.Accounts, looking)
	if err != nil {
		return nil, err
	}
	if settings.Accounts.Hub != nil {
		hub := role(reading, settings.Accounts.Hub.ARN)
		hub.Config = func(region string) aws.Config { return reading.Config(account.Target{Account: hub.Account}, region) }
		r.Viewers = append(r.Viewers, hub)
	}
	for i := range settings.Accounts.Roles {
		r.Viewers = append(r.Viewers, role(reading, settings.Accounts.Roles[i].ARN))
	}
	if settings.Accounts.Organization {
		r.Open = func(id string) (estate.Viewer, bool) {
			return role(reading, "arn:"+account.PartitionOf(reading.Region())+":iam::"+id+":role/"+settings.Accounts.RoleName), true
		}
		r.Accounts = func(ctx context.Context, tail string) []string {
			return accountsEnding(ctx, reading.Config(account.Target{}, reading.Region()), tail)
		}
	}
	return r.Read(ctx, call)
}

// accountsEnding are the accounts of the organization whose ids end so. Where they
// cannot be listed there are none: the reader then says that the API's account is
// not known.
func accountsEnding(ctx context.Context, cfg aws.Config, tail string) []string {
	var out []string
	pages := organizations.NewListAccountsPaginator(organizations.NewFromConfig(cfg), &organizations.ListAccountsInput{},
		func(o *organizations.ListAccountsPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return out
		}
		for i := range page.Accounts {
			if id := aws.ToString(page.Accounts[i].Id); strings.HasSuffix(id, tail) {
				out = append(out, id)
			}
		}
	}
	return out
}
