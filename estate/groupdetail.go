package estate

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// groupsAtMost is of how many log groups of a region the details are read in one
// discovery. CloudWatch Logs allows five such calls a second, so more would hold a
// discovery up for minutes; the others' turn comes with the next ones.
const groupsAtMost = 400

// groupDetails reads where the groups' events go, what is counted in them, and what
// protects the data in them. AWS tells no time at which that changed: between two
// full discoveries it is read of new groups alone.
func (r *regionReader) groupDetails(ctx context.Context, groups []LogGroup) {
	if r.refused == nil {
		r.refused = map[Part]bool{}
	}
	for i := range groups {
		g := &groups[i]
		was := r.groupBefore(g)
		if was != nil && len(was.Unseen) == 0 {
			g.Subscriptions, g.Metrics, g.DataProtectionPolicy, g.Unseen = was.Subscriptions, was.Metrics, was.DataProtectionPolicy, nil
			continue
		}
		counted := slices.Contains(g.Unseen, PartMetricFilters)
		g.Unseen = nil
		if r.asked >= groupsAtMost {
			g.Unseen = unreadParts(g, counted)
			continue
		}
		r.asked++
		r.one(g, PartSubscriptions, readSubscriptions, func() error { return r.subscriptions(ctx, g) })
		if counted {
			r.one(g, PartMetricFilters, readMetricFilters, func() error { return r.metricFilters(ctx, g) })
		}
		if g.DataProtection != "" {
			r.one(g, PartDataProtection, readProtection, func() error { return r.dataProtection(ctx, g) })
		}
	}
}

// unreadParts are what is not known of a group before its details are read.
func unreadParts(g *LogGroup, counted bool) []Part {
	parts := []Part{PartSubscriptions}
	if counted {
		parts = append(parts, PartMetricFilters)
	}
	if g.DataProtection != "" {
		parts = append(parts, PartDataProtection)
	}
	return parts
}

// groupBefore returns the group as it was at the last discovery, or nil if it has
// changed in anything that its listing shows.
func (r *regionReader) groupBefore(g *LogGroup) *LogGroup {
	if r.before == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(r.before.LogGroups, g.Name, func(o LogGroup, name string) int { return cmp.Compare(o.Name, name) })
	if !ok {
		return nil
	}
	was := &r.before.LogGroups[i]
	counted := slices.Contains(g.Unseen, PartMetricFilters)
	if !was.Created.Equal(g.Created) || was.DataProtection != g.DataProtection || counted != (len(was.Metrics) > 0) {
		return nil
	}
	return was
}

// one reads one part of a group. Once it is refused, a right is missing, or AWS
// throttles, and it would be refused for all groups.
func (r *regionReader) one(g *LogGroup, p Part, what read, do func() error) {
	if !r.refused[p] {
		err := do()
		if err == nil {
			return
		}
		r.refused[p] = true
		r.missed(what, err, "")
	}
	g.Unseen = mark(g.Unseen, p)
}

func (r *regionReader) subscriptions(ctx context.Context, g *LogGroup) error {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.SubscriptionFilter, *string, error) {
		out, err := r.logs.DescribeSubscriptionFilters(ctx, &cloudwatchlogs.DescribeSubscriptionFiltersInput{
			LogGroupName: aws.String(g.Name), Limit: aws.Int32(groupPage), NextToken: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.SubscriptionFilters, out.NextToken, nil
	})
	for i := range items {
		g.Subscriptions = append(g.Subscriptions, Subscription{
			Name: aws.ToString(items[i].FilterName), Pattern: aws.ToString(items[i].FilterPattern),
			Destination: aws.ToString(items[i].DestinationArn), Role: aws.ToString(items[i].RoleArn),
		})
	}
	slices.SortFunc(g.Subscriptions, func(a, b Subscription) int { return cmp.Compare(a.Name, b.Name) })
	return err
}

func (r *regionReader) metricFilters(ctx context.Context, g *LogGroup) error {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.MetricFilter, *string, error) {
		out, err := r.logs.DescribeMetricFilters(ctx, &cloudwatchlogs.DescribeMetricFiltersInput{
			LogGroupName: aws.String(g.Name), Limit: aws.Int32(groupPage), NextToken: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.MetricFilters, out.NextToken, nil
	})
	for i := range items {
		f := MetricFilter{Name: aws.ToString(items[i].FilterName), Pattern: aws.ToString(items[i].FilterPattern)}
		for _, m := range items[i].MetricTransformations {
			f.Metrics = append(f.Metrics, aws.ToString(m.MetricNamespace)+"/"+aws.ToString(m.MetricName))
		}
		g.Metrics = append(g.Metrics, f)
	}
	slices.SortFunc(g.Metrics, func(a, b MetricFilter) int { return cmp.Compare(a.Name, b.Name) })
	return err
}

func (r *regionReader) dataProtection(ctx context.Context, g *LogGroup) error {
	out, err := r.logs.GetDataProtectionPolicy(ctx, &cloudwatchlogs.GetDataProtectionPolicyInput{LogGroupIdentifier: aws.String(g.Name)})
	if err != nil {
		return err
	}
	g.DataProtectionPolicy = aws.ToString(out.PolicyDocument)
	return nil
}

// logPolicies reads the resource policies of CloudWatch Logs.
func (r *regionReader) logPolicies(ctx context.Context) []LogPolicy {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.ResourcePolicy, *string, error) {
		out, err := r.logs.DescribeResourcePolicies(ctx, &cloudwatchlogs.DescribeResourcePoliciesInput{Limit: aws.Int32(groupPage), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.ResourcePolicies, out.NextToken, nil
	})
	if err != nil {
		r.missed(readLogPolicies, err, PartLogPolicies)
	}
	policies := make([]LogPolicy, 0, len(items))
	for i := range items {
		policies = append(policies, LogPolicy{
			Name: aws.ToString(items[i].PolicyName), Document: aws.ToString(items[i].PolicyDocument), Resource: aws.ToString(items[i].ResourceArn),
		})
	}
	slices.SortFunc(policies, func(a, b LogPolicy) int { return cmp.Compare(a.Name, b.Name) })
	return policies
}
