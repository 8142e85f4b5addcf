package gateway

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// LogsAPI is what CloudWatch needs of the CloudWatch Logs client.
type LogsAPI interface {
	PutLogEvents(context.Context, *cloudwatchlogs.PutLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutLogEventsOutput, error)
	CreateLogGroup(context.Context, *cloudwatchlogs.CreateLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error)
	CreateLogStream(context.Context, *cloudwatchlogs.CreateLogStreamInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogStreamOutput, error)
}

var _ LogsAPI = (*cloudwatchlogs.Client)(nil)

// CloudWatch writes log events to CloudWatch Logs. It makes log groups and streams
// that do not exist.
type CloudWatch struct {
	client func(account, region string) (LogsAPI, error)
}

var _ BatchWriter = (*CloudWatch)(nil)

// NewCloudWatch makes a writer that asks client for the client of an account and
// region; the clients are expected to retry by themselves.
func NewCloudWatch(client func(account, region string) (LogsAPI, error)) *CloudWatch {
	return &CloudWatch{client}
}

// Limits of PutLogEvents.
const (
	maxBatchEvents = 10_000
	maxBatchBytes  = 1 << 20
)

// WriteBatch puts events, in as many requests as CloudWatch's limits ask for. What
// comes after a failed request is not tried.
func (w *CloudWatch) WriteBatch(ctx context.Context, b *LogBatch) error {
	client, err := w.client(b.Account, b.Region)
	if err != nil {
		return fmt.Errorf("reaching CloudWatch Logs of account %s in %s: %w", b.Account, b.Region, err)
	}
	// PutLogEvents wants events in the order of their time; those of one millisecond
	// stay as they came.
	events := b.Events
	sort.SliceStable(events, func(i, j int) bool { return events[i].Timestamp < events[j].Timestamp })
	for len(events) > 0 {
		n, size := 0, 0
		list := make([]types.InputLogEvent, 0, min(len(events), maxBatchEvents))
		for n < len(events) && n < maxBatchEvents {
			size += len(events[n].Message) + eventOverhead
			if size > maxBatchBytes && n > 0 {
				break
			}
			list = append(list, types.InputLogEvent{Timestamp: &events[n].Timestamp, Message: &events[n].Message})
			n++
		}
		if err := put(ctx, client, b, list); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

func put(ctx context.Context, client LogsAPI, b *LogBatch, list []types.InputLogEvent) error {
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &b.Group, LogStreamName: &b.Stream, LogEvents: list}
	_, err := client.PutLogEvents(ctx, in)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		if err := create(ctx, client, b); err != nil {
			return err
		}
		_, err = client.PutLogEvents(ctx, in)
	}
	if err != nil {
		return fmt.Errorf("putting events into %s: %w", b.Group, err)
	}
	return nil
}

// create makes the group and the stream; another writer may have made them since.
func create(ctx context.Context, client LogsAPI, b *LogBatch) error {
	var there *types.ResourceAlreadyExistsException
	if _, err := client.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &b.Group}); err != nil && !errors.As(err, &there) {
		return fmt.Errorf("creating the log group %s: %w", b.Group, err)
	}
	if _, err := client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &b.Group, LogStreamName: &b.Stream}); err != nil && !errors.As(err, &there) {
		return fmt.Errorf("creating a log stream in %s: %w", b.Group, err)
	}
	return nil
}
