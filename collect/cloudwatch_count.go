package collect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// metricsAtOnce is how many metrics one GetMetricData may ask for.
const metricsAtOnce = 500

// Counts asks for the metric IncomingLogEvents of the groups, one request for
// each 500 of them. AWS documents it as the number of events uploaded to the
// group and does not say by which time it counts; best evidence is that an event
// counts in the minute of its ingestionTime.
func (s *CloudWatch) Counts(ctx context.Context, groups []transaction.Group, from, to int64) ([][]MinuteCount, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	target, ok := s.target(groups[0].Account, groups[0].Region)
	if !ok {
		return nil, fmt.Errorf("account %s is not among those that can be read", groups[0].Account)
	}
	client := s.metrics(target, groups[0].Region)
	counts := make([][]MinuteCount, 0, len(groups))
	for len(groups) > 0 {
		n := min(len(groups), metricsAtOnce)
		some, err := countOf(ctx, client, groups[:n], from, to)
		if err != nil {
			return nil, fmt.Errorf("asking for CloudWatch's count of log events: %w", err)
		}
		counts = append(counts, some...)
		groups = groups[n:]
	}
	return counts, nil
}

var errCountRefused = errors.New("CloudWatch does not give the metric IncomingLogEvents of a log group")

func countOf(ctx context.Context, client *cloudwatch.Client, groups []transaction.Group, from, to int64) ([][]MinuteCount, error) {
	in := &cloudwatch.GetMetricDataInput{
		StartTime:         aws.Time(time.UnixMilli(from).UTC()),
		EndTime:           aws.Time(time.UnixMilli(to).UTC()),
		MetricDataQueries: make([]types.MetricDataQuery, len(groups)),
	}
	for i := range groups {
		in.MetricDataQueries[i] = types.MetricDataQuery{
			Id: aws.String("g" + strconv.Itoa(i)),
			MetricStat: &types.MetricStat{
				Metric: &types.Metric{
					Namespace:  aws.String("AWS/Logs"),
					MetricName: aws.String("IncomingLogEvents"),
					Dimensions: []types.Dimension{{Name: aws.String("LogGroupName"), Value: aws.String(groups[i].Name)}},
				},
				Period: aws.Int32(minute / 1000),
				Stat:   aws.String("Sum"),
			},
		}
	}
	counts := make([][]MinuteCount, len(groups))
	pages := cloudwatch.NewGetMetricDataPaginator(client, in, func(o *cloudwatch.GetMetricDataPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.MetricDataResults {
			r := &page.MetricDataResults[i]
			if r.StatusCode == types.StatusCodeInternalError || r.StatusCode == types.StatusCodeForbidden {
				return nil, errCountRefused
			}
			n, err := strconv.Atoi(aws.ToString(r.Id)[min(1, len(aws.ToString(r.Id))):])
			if err != nil || n < 0 || n >= len(groups) || len(r.Timestamps) != len(r.Values) {
				return nil, errCounts
			}
			for k, at := range r.Timestamps {
				counts[n] = append(counts[n], MinuteCount{Minute: at.UnixMilli(), Events: int64(r.Values[k])})
			}
		}
	}
	return counts, nil
}

// metrics is the client of CloudWatch's metrics in one region of a target.
func (s *CloudWatch) metrics(t account.Target, region string) *cloudwatch.Client {
	key := t.Account + "/" + t.RoleARN + "/" + region
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counters[key]
	if c == nil {
		c = cloudwatch.NewFromConfig(s.clients.Config(t, region))
		s.counters[key] = c
	}
	return c
}
