package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	accountapi "github.com/aws/aws-sdk-go-v2/service/account"
	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// targetsAtOnce bounds how many accounts are asked at the same time.
const targetsAtOnce = 16

// maxPages bounds a listing whose service never ends it.
const maxPages = 10_000

// Target is one account that can be read, with the role and the regions to read
// it with. Its credentials were had when it was returned.
type Target struct {
	Account string
	Name    string // as the organization knows it; empty otherwise
	Status  string // ACTIVE, …; empty where no organization was asked
	// RoleARN is the role that is assumed; empty for the account of the base (or
	// hub) credentials themselves.
	RoleARN string
	Regions []string
}

// Problem is an account that is not read, or not read as asked.
type Problem struct {
	Account string // empty where no account could be found out
	Name    string
	Status  string
	RoleARN string
	Region  string
	// What is short and complete; Mend says what to change, if anything.
	What string
	Mend string
	Err  error // nil for a note
	// Note means that nothing failed: an account was left out on purpose, or is
	// read in another way than was asked.
	Note bool
}

func problemOf(t Target, err error) Problem {
	p := Problem{Account: t.Account, Name: t.Name, Status: t.Status, RoleARN: t.RoleARN, What: Text(err), Err: err}
	if chain, ok := errors.AsType[*ChainError](err); ok {
		p.Mend = chain.Mend()
		if p.Account == "" {
			p.Account = chain.Account
		}
	}
	return p
}

// Targets finds the accounts to read, in a stable order, and fetches the
// credentials of each. One that fails is told in the problems and hides no
// other.
//
// With roles, these are exactly the roles' accounts. A role that is given twice
// is one target with the regions of both; of two roles of one account the first
// reads its regions and the second only those that the first does not, so that
// no log is read twice. With Organization, they are the organization's active
// accounts; the account that lists them is read with its own credentials where
// the role does not exist in it. Otherwise it is the account of the base (or
// hub) credentials.
func (a *Accounts) Targets(ctx context.Context) ([]Target, []Problem) {
	candidates, problems := a.candidates(ctx)
	type found struct {
		target   Target
		problems []Problem
		ok       bool
	}
	results := make([]found, len(candidates))
	slots := make(chan struct{}, targetsAtOnce)
	var wg sync.WaitGroup
	for i := range candidates {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r := &results[i]
			r.target, r.problems, r.ok = a.resolve(ctx, candidates[i])
		})
	}
	wg.Wait()

	var targets []Target
	readBy := map[[2]string]string{} // role by account and region
	for i := range results {
		problems = append(problems, results[i].problems...)
		if !results[i].ok {
			continue
		}
		t := results[i].target
		var taken string
		t.Regions = slices.DeleteFunc(slices.Clone(t.Regions), func(region string) bool {
			key := [2]string{t.Account, region}
			if first, ok := readBy[key]; ok {
				taken = first
				return true
			}
			readBy[key] = t.RoleARN
			return false
		})
		if len(t.Regions) == 0 {
			problems = append(problems, Problem{
				Account: t.Account, Name: t.Name, Status: t.Status, RoleARN: t.RoleARN, Note: true,
				What: fmt.Sprintf("role %s is not used: %s already reads its regions", t.RoleARN, taken),
			})
			continue
		}
		targets = append(targets, t)
	}
	return targets, problems
}

// candidate is a target whose credentials and regions are not yet known.
type candidate struct {
	Target
	// own marks the account whose credentials the listing was made with.
	own bool
}

func (a *Accounts) candidates(ctx context.Context) ([]candidate, []Problem) {
	switch {
	case len(a.cfg.Roles) > 0:
		list := make([]candidate, 0, len(a.cfg.Roles))
		for _, role := range a.cfg.Roles {
			parsed, _ := parseRoleARN(role.ARN) // New has checked it
			list = append(list, candidate{Target: Target{Account: parsed.account, RoleARN: role.ARN}})
		}
		return list, nil
	case a.cfg.Organization:
		return a.organization(ctx)
	default:
		id, err := a.identity(ctx)
		if err != nil {
			return nil, []Problem{problemOf(Target{}, err)}
		}
		return []candidate{{Target: Target{Account: id}, own: true}}, nil
	}
}

// identity returns the account of the credentials that roles are assumed from.
func (a *Accounts) identity(ctx context.Context) (string, error) {
	region := a.base.Region
	out, err := sts.NewFromConfig(a.configOf(a.entry.session, a.entry.caller, region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", a.chainError(ChainError{Link: a.entry.link, Region: region, Err: err})
	}
	return aws.ToString(out.Account), nil
}

// chainError keeps the link that really failed if err already names one.
func (a *Accounts) chainError(e ChainError) error {
	if deeper, ok := errors.AsType[*ChainError](e.Err); ok {
		return deeper
	}
	if e.Link == LinkHub && a.cfg.Hub != nil {
		e.ARN = a.cfg.Hub.ARN
	}
	e.profile, e.now = a.cfg.Profile, a.clock()
	return &e
}

func (a *Accounts) organization(ctx context.Context) ([]candidate, []Problem) {
	own, err := a.identity(ctx)
	if err != nil {
		return nil, []Problem{problemOf(Target{}, err)}
	}
	client := organizations.NewFromConfig(a.configOf(a.entry.session, own, a.base.Region))
	var list []candidate
	var problems []Problem
	pages := organizations.NewListAccountsPaginator(client, &organizations.ListAccountsInput{}, func(o *organizations.ListAccountsPaginatorOptions) {
		o.StopOnDuplicateToken = true
	})
	for n := 0; pages.HasMorePages() && n < maxPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return list, append(problems, problemOf(Target{Account: own}, a.chainError(ChainError{
				Link: LinkOrganization, Account: own, Region: a.base.Region, Err: err,
			})))
		}
		for i := range page.Accounts {
			c, note := a.member(&page.Accounts[i], own)
			if note != nil {
				problems = append(problems, *note)
				continue
			}
			list = append(list, c)
		}
	}
	if len(list) == 0 && len(problems) == 0 {
		problems = append(problems, Problem{
			Account: own,
			What:    "the organization lists no accounts",
			Mend:    "list them from the organization's management account or a delegated administrator: name a hub role there",
			Err:     errors.New("organizations:ListAccounts answered without accounts"),
		})
	}
	return list, problems
}

// member makes a candidate of an account of the organization, or a note of one
// that AWS lets nobody into.
func (a *Accounts) member(m *orgtypes.Account, own string) (candidate, *Problem) {
	// State replaces Status, and older endpoints send only Status.
	status := string(m.State)
	if status == "" {
		status = string(m.Status)
	}
	t := Target{Account: aws.ToString(m.Id), Name: aws.ToString(m.Name), Status: status}
	if status != string(orgtypes.AccountStateActive) {
		return candidate{}, &Problem{
			Account: t.Account, Name: t.Name, Status: status, Note: true,
			What: "the account is " + status + " and is not read",
		}
	}
	partition := partitionOfRegion(a.base.Region).id
	if fields := strings.SplitN(aws.ToString(m.Arn), ":", 3); len(fields) == 3 {
		if p, ok := partitionByID(fields[1]); ok {
			partition = p.id
		}
	}
	t.RoleARN = "arn:" + partition + ":iam::" + t.Account + ":role/" + a.cfg.RoleName
	return candidate{Target: t, own: t.Account == own}, nil
}

// resolve fetches the credentials of a candidate and finds its regions.
func (a *Accounts) resolve(ctx context.Context, c candidate) (Target, []Problem, bool) {
	t := c.Target
	_, err := a.linkOf(t.RoleARN).Retrieve(ctx)
	if err != nil && c.own && t.RoleARN != "" && Classify(err) == Denied {
		// StackSets leave the management account out, so the role is often
		// missing in the very account that lists the others.
		a.logger.DebugContext(ctx, "the role cannot be assumed in the listing account itself, reading it with the listing credentials",
			slog.String("account", t.Account), slog.String("error", Text(err)))
		t.RoleARN = ""
		_, err = a.linkOf("").Retrieve(ctx)
	}
	if err != nil {
		return t, []Problem{problemOf(t, a.chainError(ChainError{Link: LinkRole, ARN: t.RoleARN, Account: t.Account, Err: err}))}, false
	}
	regions := a.cfg.Regions
	if role, ok := a.roles[t.RoleARN]; ok && len(role.Regions) > 0 {
		regions = role.Regions
	}
	partition := a.partitionOf(t)
	switch {
	case len(regions) == 0:
		t.Regions = []string{a.base.Region}
		if PartitionOf(a.base.Region) != partition.id {
			t.Regions = []string{partition.home}
		}
		return t, nil, true
	case !slices.Equal(regions, []string{allRegions}):
		for _, region := range regions {
			if PartitionOf(region) == partition.id && !slices.Contains(t.Regions, region) {
				t.Regions = append(t.Regions, region)
			}
		}
		if len(t.Regions) == 0 {
			return t, []Problem{{
				Account: t.Account, Name: t.Name, Status: t.Status, RoleARN: t.RoleARN,
				What: fmt.Sprintf("none of the regions %s is of partition %s", strings.Join(regions, ", "), partition.id),
				Mend: "name regions of that partition for the role",
				Err:  errors.New("no region of the account's partition is configured"),
			}}, false
		}
		return t, nil, true
	}
	t.Regions, err = a.enabledRegions(ctx, t, partition)
	if err == nil {
		return t, nil, true
	}
	p := problemOf(t, err)
	p.Note = true
	p.What += "; the regions that are on by default are read instead"
	t.Regions = slices.Clone(partition.enabled)
	return t, []Problem{p}, true
}

func (a *Accounts) partitionOf(t Target) *partition {
	arn := t.RoleARN
	if arn == "" && a.cfg.Hub != nil {
		arn = a.cfg.Hub.ARN
	}
	if parsed, err := parseRoleARN(arn); err == nil {
		if p, ok := partitionByID(parsed.partition); ok {
			return p
		}
	}
	return partitionOfRegion(a.base.Region)
}

// enabledRegions asks the account which regions are on in it.
func (a *Accounts) enabledRegions(ctx context.Context, t Target, p *partition) ([]string, error) {
	region := p.home
	client := accountapi.NewFromConfig(a.configOf(a.linkOf(t.RoleARN).session, t.Account, region))
	pages := accountapi.NewListRegionsPaginator(client, &accountapi.ListRegionsInput{
		RegionOptStatusContains: []accounttypes.RegionOptStatus{
			accounttypes.RegionOptStatusEnabled, accounttypes.RegionOptStatusEnabledByDefault,
		},
	}, func(o *accountapi.ListRegionsPaginatorOptions) { o.StopOnDuplicateToken = true })
	var regions []string
	for n := 0; pages.HasMorePages() && n < maxPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, a.chainError(ChainError{Link: LinkRegions, Account: t.Account, Region: region, Err: err})
		}
		for _, r := range page.Regions {
			if name := aws.ToString(r.RegionName); name != "" {
				regions = append(regions, name)
			}
		}
	}
	if len(regions) == 0 {
		return nil, a.chainError(ChainError{
			Link: LinkRegions, Account: t.Account, Region: region, Err: errors.New("account:ListRegions answered without regions"),
		})
	}
	slices.Sort(regions)
	return slices.Compact(regions), nil
}
