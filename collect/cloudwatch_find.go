package collect

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// listingsAtOnce bounds how many regions are listed at the same time.
const listingsAtOnce = 16

// Groups lists the groups.
func (s *CloudWatch) Groups(ctx context.Context) ([]transaction.Group, []Problem) {
	found, problems := s.Find(ctx)
	groups := make([]transaction.Group, len(found))
	for i := range found {
		groups[i] = found[i].Group
	}
	return groups, problems
}

// Find lists the groups, with the time of their creation where it is known.
func (s *CloudWatch) Find(ctx context.Context) ([]Found, []Problem) {
	targets, notReached := s.clients.Targets(ctx)
	var problems []Problem
	for i := range notReached {
		p := &notReached[i]
		if p.Note {
			s.note(ctx, p)
			continue
		}
		problems = append(problems, Problem{Account: p.Account, Region: p.Region, What: p.What, Mend: p.Mend})
	}
	s.learn(targets)

	stages := s.stages()
	places := placesOf(targets)
	results := make([]listing, len(places))
	slots := make(chan struct{}, listingsAtOnce)
	var wg sync.WaitGroup
	for i, p := range places {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i] = s.list(ctx, p, stages)
		})
	}
	wg.Wait()

	var found []Found
	known := make(map[string]bool)
	for _, r := range results {
		for _, f := range r.found {
			known[f.Key()] = true
			found = append(found, f)
		}
		if r.problem != nil {
			problems = append(problems, *r.problem)
		}
	}
	for _, a := range s.arns {
		if known[a.group.Key()] {
			continue
		}
		known[a.group.Key()] = true
		if _, ok := s.target(a.group.Account, a.group.Region); ok {
			found = append(found, Found{Group: a.group})
		} else if !covers(problems, a.group.Account) {
			problems = append(problems, Problem{
				Account: a.group.Account, Region: a.group.Region, Group: a.group.Name,
				What: "log group " + a.arn + " is in an account for which there is no role",
				Mend: "add a role in account " + a.group.Account + " (CROSS_ACCOUNT_ROLE_ARN or --role-arn), or remove the ARN",
			})
		}
	}
	found = slices.DeleteFunc(found, func(f Found) bool { return !s.cfg.Restriction.Reads(&f.Group) })
	return found, problems
}

// place is a region of a target.
type place struct {
	target account.Target
	region string
}

func placesOf(targets []account.Target) []place {
	var places []place
	for _, t := range targets {
		for _, region := range t.Regions {
			places = append(places, place{t, region})
		}
	}
	return places
}

// stages returns the groups of the estate's stages by Key. Of a group that
// several stages write to, only that is said which is true of all of them: every
// record must then tell its own stage.
func (s *CloudWatch) stages() map[string]transaction.Group {
	if s.cfg.Stages == nil {
		return nil
	}
	return s.linger(groupsOf(s.cfg.Stages()))
}

// lingers is how long a group is read on after no stage writes to it any more. Logging
// is switched off, or its group changed, while calls are in the group that neither
// reading has passed over yet, and more come: CloudWatch shows events up to an hour
// late.
const lingers = time.Hour

// named is a group as a stage last named it, and when that was.
type named struct {
	group transaction.Group
	at    time.Time
}

// linger adds to the groups that stages write to those that they wrote to not long ago.
func (s *CloudWatch) linger(groups map[string]transaction.Group) map[string]transaction.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for key, g := range groups {
		s.named[key] = named{g, now}
	}
	for key, n := range s.named {
		if _, ok := groups[key]; ok {
			continue
		}
		// Whoever switched logging off may have deleted the group: it is looked for anew.
		delete(s.exist, key)
		if now.Sub(n.at) > lingers {
			delete(s.named, key)
			continue
		}
		groups[key] = n.group
	}
	return groups
}

// groupsOf joins what stages tell of the same group, by Key.
func groupsOf(stages []transaction.Group) map[string]transaction.Group {
	groups := make(map[string]transaction.Group)
	for _, g := range stages {
		o, ok := groups[g.Key()]
		if ok {
			if o.APIID != g.APIID || o.Stage != g.Stage {
				g.APIID, g.Stage = "", ""
			}
			if o.APIType != g.APIType {
				g.APIType = ""
			}
			if o.AccessFormat != g.AccessFormat {
				g.AccessFormat = ""
			}
		}
		groups[g.Key()] = g
	}
	return groups
}

// listing is what one region gave.
type listing struct {
	found   []Found
	problem *Problem
}

// list finds the groups of one region: those with the prefix, and those that
// stages name, as far as they exist.
func (s *CloudWatch) list(ctx context.Context, p place, stages map[string]transaction.Group) listing {
	var l listing
	listed := make(map[string]bool)
	complete := s.cfg.Prefix != ""
	if s.cfg.Prefix != "" {
		groups, err := s.describe(ctx, p, s.cfg.Prefix)
		if err != nil {
			complete = false
			l.problem = listingProblem(p, err)
		}
		for _, f := range groups {
			if g, ok := stages[f.Key()]; ok {
				f.Group = g
			}
			listed[f.Key()] = true
			l.found = append(l.found, f)
		}
	}
	for key, g := range stages {
		if g.Account != p.target.Account || g.Region != p.region || listed[key] {
			continue
		}
		if complete && strings.HasPrefix(g.Name, s.cfg.Prefix) {
			continue // it would have been listed
		}
		created, ok := s.confirm(ctx, p, g)
		if ok {
			l.found = append(l.found, Found{Group: g, Created: created})
		}
	}
	slices.SortFunc(l.found, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	return l
}

// confirm reports whether a group that a stage names exists. If that cannot be
// found out, reading it will tell.
func (s *CloudWatch) confirm(ctx context.Context, p place, g transaction.Group) (created time.Time, ok bool) {
	s.mu.Lock()
	created, ok = s.exist[g.Key()]
	s.mu.Unlock()
	if ok {
		return created, true
	}
	groups, err := s.describe(ctx, p, g.Name)
	if err != nil {
		return time.Time{}, true
	}
	for _, f := range groups {
		if f.Name == g.Name {
			s.mu.Lock()
			s.exist[g.Key()] = f.Created
			s.mu.Unlock()
			return f.Created, true
		}
	}
	return time.Time{}, false
}

// describe lists the groups of a region by prefix. What was found before an
// error is returned with it.
func (s *CloudWatch) describe(ctx context.Context, p place, prefix string) ([]Found, error) {
	var found []Found
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(s.client(p.target, p.region), &cloudwatchlogs.DescribeLogGroupsInput{
		LogGroupNamePrefix: aws.String(prefix),
	}, func(o *cloudwatchlogs.DescribeLogGroupsPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for i := range page.LogGroups {
			g := &page.LogGroups[i]
			if g.LogGroupName == nil || g.LogGroupClass == types.LogGroupClassDelivery {
				continue // a DELIVERY group keeps no events that could be read
			}
			f := Found{Group: transaction.Group{Account: p.target.Account, Region: p.region, Name: *g.LogGroupName}}
			if g.CreationTime != nil {
				f.Created = time.UnixMilli(*g.CreationTime)
			}
			found = append(found, f)
		}
	}
	return found, nil
}

func listingProblem(at place, err error) *Problem {
	p := &Problem{Account: at.target.Account, Region: at.region, What: "listing log groups: " + account.Text(err)}
	var mender interface{ Mend() string }
	switch {
	case errors.As(err, &mender):
		p.Mend = mender.Mend()
	case account.Classify(err) == account.Denied:
		p.Mend = "allow logs:DescribeLogGroups in " + at.region + " to the role that reads account " + at.target.Account
	}
	return p
}

// note logs once what is no failure, as a role that is not needed.
func (s *CloudWatch) note(ctx context.Context, p *account.Problem) {
	s.mu.Lock()
	seen := s.noted[p.Account+p.Region+p.What]
	s.noted[p.Account+p.Region+p.What] = true
	s.mu.Unlock()
	if !seen {
		s.log.InfoContext(ctx, "an account is read in another way than asked, or not at all",
			slog.String("account", p.Account), slog.String("note", p.What), slog.String("mend", p.Mend))
	}
}

// covers reports whether a problem already tells of the account.
func covers(problems []Problem, accountID string) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool {
		return p.Group == "" && (p.Account == "" || p.Account == accountID)
	})
}
