package estate

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	restGroupPrefix = "API-Gateway-Execution-Logs"
	v2GroupPrefix   = "/aws/apigateway/"
	// welcomeGroup is where API Gateway notes that it may write logs; no call is
	// ever in it.
	welcomeGroup = "/aws/apigateway/welcome"

	// groupPage is the largest page of DescribeLogGroups.
	groupPage = 50
)

// groupListing are the log groups of a region. Known is false where a listing
// failed, so that a group that is not among them may exist all the same.
type groupListing struct {
	groups []LogGroup
	known  bool
}

// ownGroups lists the log groups that API Gateway itself names.
func (r *regionReader) ownGroups(ctx context.Context) groupListing {
	listing := groupListing{known: true}
	for _, prefix := range []string{restGroupPrefix, v2GroupPrefix} {
		found, err := r.describe(ctx, prefix)
		if err != nil {
			listing.known = false
			r.unsaw(PartLogGroups)
			r.failed(readLogGroups, "", err)
		}
		listing.groups = append(listing.groups, found...)
	}
	listing.groups = slices.DeleteFunc(listing.groups, func(g LogGroup) bool { return g.Name == welcomeGroup })
	return listing
}

// namedGroups adds the groups that the stages name.
func (r *regionReader) namedGroups(ctx context.Context, apis []API, listing *groupListing) {
	for _, name := range r.groupNames(apis) {
		if name == welcomeGroup || slices.ContainsFunc(listing.groups, func(g LogGroup) bool { return g.Name == name }) {
			continue
		}
		group, err := r.lookup(ctx, name)
		switch {
		case err != nil:
			listing.known = false
			r.unsaw(PartLogGroups)
			r.failed(readLogGroups, "", err)
		case group != nil:
			listing.groups = append(listing.groups, *group)
		}
	}
}

// groupNames returns the access-log groups of this account and region that the
// stages name, each once.
func (r *regionReader) groupNames(apis []API) []string {
	var names []string
	for i := range apis {
		for j := range apis[i].Stages {
			account, region, name, ok := parseGroupARN(apis[i].Stages[j].AccessLogARN)
			if ok && account == r.target.Account && region == r.region {
				names = append(names, name)
				if apis[i].Stages[j].Canary != nil {
					names = append(names, name+transaction.CanarySuffix)
				}
			}
			for _, d := range apis[i].Stages[j].Deliveries {
				account, region, name, ok := parseGroupARN(d.Destination)
				if ok && account == r.target.Account && region == r.region {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *regionReader) describe(ctx context.Context, prefix string) ([]LogGroup, error) {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.LogGroup, *string, error) {
		out, err := r.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{
			LogGroupNamePrefix: aws.String(prefix), Limit: aws.Int32(groupPage), NextToken: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.LogGroups, out.NextToken, nil
	})
	groups := make([]LogGroup, 0, len(items))
	for i := range items {
		groups = append(groups, logGroup(&items[i]))
	}
	return groups, err
}

// lookup finds one group by its exact name, or nil. The listing is in the order
// of the names, and a name comes before all longer names that it begins: the
// first page is enough.
func (r *regionReader) lookup(ctx context.Context, name string) (*LogGroup, error) {
	out, err := r.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{
		LogGroupNamePrefix: aws.String(name), Limit: aws.Int32(groupPage),
	})
	if err != nil {
		return nil, err
	}
	for i := range out.LogGroups {
		if aws.ToString(out.LogGroups[i].LogGroupName) == name {
			group := logGroup(&out.LogGroups[i])
			return &group, nil
		}
	}
	return nil, nil //nolint:nilnil // a group that does not exist is no error
}

func logGroup(g *types.LogGroup) LogGroup {
	group := LogGroup{
		Name:          aws.ToString(g.LogGroupName),
		ARN:           strings.TrimSuffix(aws.ToString(g.Arn), ":*"),
		RetentionDays: aws.ToInt32(g.RetentionInDays),
		KMSKey:        aws.ToString(g.KmsKeyId),
		Class:         string(g.LogGroupClass),
		Bytes:         aws.ToInt64(g.StoredBytes),

		DataProtection:     string(g.DataProtectionStatus),
		DeletionProtection: aws.ToBool(g.DeletionProtectionEnabled),
	}
	if aws.ToInt32(g.MetricFilterCount) > 0 {
		// Filled in by groupDetails.
		group.Unseen = []Part{PartMetricFilters}
	}
	if g.CreationTime != nil {
		group.Created = time.UnixMilli(*g.CreationTime).UTC()
	}
	return group
}

// setAccessLog sets where the stage writes access logs. A Firehose stream has
// an ARN but no log group.
func (s *Stage) setAccessLog(arn, format string) {
	s.AccessLogARN = strings.TrimSuffix(arn, ":*")
	s.AccessFormat = format
	if _, _, name, ok := parseGroupARN(arn); ok {
		s.AccessGroup = name
	}
}

// parseGroupARN splits the ARN of a log group, with or without the ":*" that
// CloudWatch adds to some.
func parseGroupARN(arn string) (account, region, name string, ok bool) {
	fields := strings.SplitN(arn, ":", 7)
	if len(fields) != 7 || fields[0] != "arn" || fields[2] != "logs" || fields[5] != "log-group" {
		return "", "", "", false
	}
	name, _, _ = strings.Cut(fields[6], ":")
	return fields[4], fields[3], name, name != ""
}
