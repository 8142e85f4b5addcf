package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
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
	log    *slog.Logger
}

var _ BatchWriter = (*CloudWatch)(nil)

// NewCloudWatch makes a writer that asks client for the client of an account and
// region; the clients are expected to retry by themselves. log is told of events
// that may be there twice; it may be nil.
func NewCloudWatch(client func(account, region string) (LogsAPI, error), log *slog.Logger) *CloudWatch {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &CloudWatch{client, log}
}

// Limits of PutLogEvents. The time from the first event to the last is bounded too.
const (
	maxBatchEvents = 10_000
	maxBatchBytes  = 1 << 20
	maxBatchSpan   = int64(24 * time.Hour / time.Millisecond)
)

// putAttempts is how often a request is tried that CloudWatch throttles or fails.
// With the SDK's pauses that is up to half a minute, in which events wait in the
// LogQueue's buffer.
const putAttempts = 6

// LossError is the error of a batch of which only a part was written.
type LossError struct {
	// Lost is how many events of the batch were not written.
	Lost int
	// Err is why.
	Err error
}

// Error returns how many events were lost, and why.
func (e *LossError) Error() string { return fmt.Sprintf("%d events were lost: %v", e.Lost, e.Err) }

// Unwrap returns why the events were lost.
func (e *LossError) Unwrap() error { return e.Err }

// WriteBatch puts events, in as many requests as CloudWatch's limits ask for. What
// comes after a failed request is not tried. An error is a *LossError.
func (w *CloudWatch) WriteBatch(ctx context.Context, b *LogBatch) error {
	client, err := w.client(b.Account, b.Region)
	if err != nil {
		return &LossError{len(b.Events), fmt.Errorf("reaching CloudWatch Logs of account %s in %s: %w", b.Account, b.Region, err)}
	}
	// PutLogEvents wants events in the order of their time; those of one millisecond
	// stay as they came.
	events := b.Events
	sort.SliceStable(events, func(i, j int) bool { return events[i].Timestamp < events[j].Timestamp })
	refused := &LossError{}
	for len(events) > 0 {
		list := cutRequest(events)
		lost, err := w.put(ctx, client, b, list)
		if err != nil {
			return &LossError{refused.Lost + len(events), err}
		}
		if lost > 0 {
			refused.Lost += lost
			refused.Err = fmt.Errorf("putting events into %s: CloudWatch refused them as too old or too new", b.Group)
		}
		events = events[len(list):]
	}
	if refused.Err != nil {
		return refused
	}
	return nil
}

// cutRequest takes as many events as one request may have from the front of a
// sorted list. An event that is larger than a whole request is cut to its size.
func cutRequest(events []LogEvent) []types.InputLogEvent {
	size := 0
	list := make([]types.InputLogEvent, 0, min(len(events), maxBatchEvents))
	for i := range events {
		e := &events[i]
		message := &e.Message
		if len(*message)+eventOverhead > maxBatchBytes {
			message = new(strings.ToValidUTF8(e.Message[:maxBatchBytes-eventOverhead], ""))
		}
		size += len(*message) + eventOverhead
		if size > maxBatchBytes || i == maxBatchEvents || e.Timestamp-events[0].Timestamp > maxBatchSpan {
			break
		}
		list = append(list, types.InputLogEvent{Timestamp: &e.Timestamp, Message: message})
	}
	return list
}

// put makes one request and returns how many of its events CloudWatch refused.
func (w *CloudWatch) put(ctx context.Context, client LogsAPI, b *LogBatch, list []types.InputLogEvent) (lost int, err error) {
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &b.Group, LogStreamName: &b.Stream, LogEvents: list}
	attempts := func(o *cloudwatchlogs.Options) { o.RetryMaxAttempts = putAttempts }
	out, err := client.PutLogEvents(ctx, in, attempts)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		if err := create(ctx, client, b); err != nil {
			return 0, err
		}
		out, err = client.PutLogEvents(ctx, in, attempts)
	}
	if brokenOff(err) {
		// The events are there, only what was said of them was not heard.
		w.log.WarnContext(ctx, "the answer of CloudWatch Logs broke off; if it refused events as too old or too new, they are lost",
			"group", b.Group, "events", len(list), "error", err)
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("putting events into %s: %w", b.Group, err)
	}
	if unsure(out.ResultMetadata) {
		w.log.WarnContext(ctx, "log events may be there twice: a request was made again whose outcome was not heard",
			"group", b.Group, "events", len(list))
	}
	return refusedOf(out.RejectedLogEventsInfo, len(list)), nil
}

// refusedOf is how many of n events were refused: those before an index as too old
// or expired, and those from an index on as too new.
func refusedOf(r *types.RejectedLogEventsInfo, n int) int {
	if r == nil {
		return 0
	}
	from, to := int32(0), int32(n)
	for _, end := range []*int32{r.TooOldLogEventEndIndex, r.ExpiredLogEventEndIndex} {
		if end != nil {
			from = max(from, *end)
		}
	}
	if start := r.TooNewLogEventStartIndex; start != nil {
		to = min(to, *start)
	}
	return n - int(max(0, to-from))
}

// brokenOff reports whether an error is that of an answer that said 200, and then
// could not be read to its end.
func brokenOff(err error) bool {
	answered, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && answered.HTTPStatusCode() == http.StatusOK
}

// unsure reports whether an attempt before the one that succeeded may have
// succeeded too: it had no answer, or one of a server that failed. An answer that
// blames the client, throttling too, says that nothing was done.
func unsure(m middleware.Metadata) bool {
	results, _ := retry.GetAttemptResults(m)
	for _, r := range results.Results {
		if r.Err == nil {
			continue
		}
		answer, ok := errors.AsType[smithy.APIError](r.Err)
		if !ok || answer.ErrorFault() == smithy.FaultServer {
			return true
		}
		if status, ok := errors.AsType[*smithyhttp.ResponseError](r.Err); ok && status.HTTPStatusCode() >= http.StatusInternalServerError {
			return true
		}
	}
	return false
}

// create makes the stream, and the group if that is missing too; another writer may
// have made them since. Groups are mostly there, and whoever writes into one need
// not have the right to make others.
func create(ctx context.Context, client LogsAPI, b *LogBatch) error {
	stream := &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &b.Group, LogStreamName: &b.Stream}
	_, err := client.CreateLogStream(ctx, stream)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		if _, err := client.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &b.Group}); err != nil && !exists(err) {
			return fmt.Errorf("creating the log group %s: %w", b.Group, err)
		}
		_, err = client.CreateLogStream(ctx, stream)
	}
	if err != nil && !exists(err) {
		return fmt.Errorf("creating a log stream in %s: %w", b.Group, err)
	}
	return nil
}

func exists(err error) bool {
	_, ok := errors.AsType[*types.ResourceAlreadyExistsException](err)
	return ok
}
