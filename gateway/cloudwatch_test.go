package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/gateway"
)

const (
	logAccount = "111122223333"
	logRegion  = "us-east-1"
	logGroup   = "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"
)

// logWorld is a simulated AWS, reached over the wire, with a writer of its logs.
type logWorld struct {
	*testing.T
	sim    *awssim.Sim
	client *cloudwatchlogs.Client
	writer *gateway.CloudWatch
	told   *bytes.Buffer
}

// newLogWorld makes a world in which the role that writes logs may do what allow
// says.
func newLogWorld(t *testing.T, allow ...string) *logWorld {
	t.Helper()
	if allow == nil {
		allow = []string{"logs:*"}
	}
	w := &logWorld{T: t, sim: awssim.New(awssim.Options{Seed: 1}), told: &bytes.Buffer{}}
	w.sim.Account(logAccount).AddRole(awssim.Role{Name: "APIGatewayLogs", Allow: allow})
	server, err := w.sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	s := w.sim.Account(logAccount).Session("APIGatewayLogs", "apigateway", time.Hour)
	w.client = cloudwatchlogs.NewFromConfig(aws.Config{
		Region: logRegion, BaseEndpoint: aws.String(server.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, s.SessionToken),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			})
		},
	})
	w.writer = gateway.NewCloudWatch(func(account, region string) (gateway.LogsAPI, error) {
		if account != logAccount || region != logRegion {
			return nil, fmt.Errorf("no client for %s in %s", account, region)
		}
		return w.client, nil
	}, slog.New(slog.NewTextHandler(w.told, nil)))
	return w
}

// makeStream makes the group and the stream beforehand.
func (w *logWorld) makeStream() {
	w.Helper()
	w.sim.Account(logAccount).Region(logRegion).Logs().CreateGroup(logGroup)
	in := &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(logGroup), LogStreamName: aws.String("s1")}
	if _, err := w.client.CreateLogStream(w.Context(), in); err != nil {
		w.Fatal(err)
	}
}

func batchOf(events ...gateway.LogEvent) *gateway.LogBatch {
	return &gateway.LogBatch{Account: logAccount, Region: logRegion, Group: logGroup, Stream: "s1", Events: events}
}

// lines are n events, a millisecond apart, the last one now.
func lines(n int, text string) []gateway.LogEvent {
	now := time.Now().UnixMilli()
	out := make([]gateway.LogEvent, n)
	for i := range out {
		out[i] = gateway.LogEvent{Timestamp: now - int64(n-1-i), Message: fmt.Sprintf("%06d %s", i, text)}
	}
	return out
}

// stored are the messages in the group, read over the wire, in their order.
func (w *logWorld) stored() []string {
	w.Helper()
	var out []string
	p := cloudwatchlogs.NewFilterLogEventsPaginator(w.client, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(logGroup)})
	for p.HasMorePages() {
		page, err := p.NextPage(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		for i := range page.Events {
			out = append(out, *page.Events[i].Message)
		}
	}
	return out
}

func messages(events []gateway.LogEvent) []string {
	out := make([]string, len(events))
	for i := range events {
		out[i] = events[i].Message
	}
	return out
}

// wants compares what is stored with what was to be written, each event once.
func (w *logWorld) wants(events []gateway.LogEvent) {
	w.Helper()
	got, want := w.stored(), messages(events)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("%d events are stored, want %d", len(got), len(want))
	}
}

func TestCloudWatchMakesGroupsAndStreams(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t)
	events := lines(3, "first")
	if err := w.writer.WriteBatch(t.Context(), batchOf(events...)); err != nil {
		t.Fatal(err)
	}
	other := batchOf(lines(2, "other stream")...)
	other.Stream = "s2"
	if err := w.writer.WriteBatch(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	w.wants(append(events, other.Events...))
	out, err := w.client.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String(logGroup)})
	if err != nil || len(out.LogStreams) != 2 {
		t.Errorf("%v: %+v", err, out)
	}
	if n := w.sim.CallsOf("logs", "CreateLogGroup"); n != 1 {
		t.Errorf("CreateLogGroup was called %d times for one group", n)
	}
}

// Who writes into a group that others made need not have the right to make groups.
func TestCloudWatchWithoutTheRightToMakeGroups(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t, "logs:PutLogEvents", "logs:CreateLogStream", "logs:FilterLogEvents")
	events := lines(3, "event")
	err := w.writer.WriteBatch(t.Context(), batchOf(events...))
	var loss *gateway.LossError
	if !errors.As(err, &loss) || loss.Lost != 3 || !strings.Contains(err.Error(), "creating the log group "+logGroup) {
		t.Errorf("without a group: %v", err)
	}
	w.sim.Account(logAccount).Region(logRegion).Logs().CreateGroup(logGroup)
	if err := w.writer.WriteBatch(t.Context(), batchOf(events...)); err != nil {
		t.Error(err)
	}
	w.wants(events)
}

func TestCloudWatchKeepsTheLimitsOfARequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events   []gateway.LogEvent
		requests int
	}{
		"events": {lines(10_001, ""), 2},
		"bytes":  {lines(30, strings.Repeat("x", 100_000)), 3},
		"a whole request of one event": {
			[]gateway.LogEvent{{Timestamp: time.Now().UnixMilli(), Message: strings.Repeat("x", 1<<20-26)}, {Timestamp: time.Now().UnixMilli(), Message: "y"}}, 2,
		},
		"time": {[]gateway.LogEvent{
			{Timestamp: time.Now().Add(-25 * time.Hour).UnixMilli(), Message: "yesterday"}, {Timestamp: time.Now().UnixMilli(), Message: "today"},
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLogWorld(t)
			w.makeStream()
			// They come in no order.
			shuffled := slices.Clone(c.events)
			slices.Reverse(shuffled)
			if err := w.writer.WriteBatch(t.Context(), batchOf(shuffled...)); err != nil {
				t.Fatal(err)
			}
			w.wants(c.events)
			if n := w.sim.CallsOf("logs", "PutLogEvents"); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

func TestCloudWatchCutsAnEventThatNoRequestCanHold(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t)
	large := gateway.LogEvent{Timestamp: time.Now().UnixMilli(), Message: strings.Repeat("x", 1<<20)}
	b := batchOf(large)
	if err := w.writer.WriteBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := w.stored(); len(got) != 1 || len(got[0]) != 1<<20-26 {
		t.Errorf("%d events", len(got))
	}
	if len(b.Events[0].Message) != 1<<20 {
		t.Error("the batch was changed: a queue could not count it")
	}
}

// Events of one millisecond stay in the order in which a call wrote them.
func TestCloudWatchKeepsTheOrderOfAMillisecond(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t)
	events := lines(500, "event")
	for i := range events {
		events[i].Timestamp = events[0].Timestamp + int64(i/100)
	}
	if err := w.writer.WriteBatch(t.Context(), batchOf(events...)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.stored(), messages(events)) {
		t.Error("the order has changed")
	}
}

func TestCloudWatchTriesAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  awssim.Fault
		unsure bool // whether the first request may have been done
	}{
		"throttled":        {awssim.Fault{Kind: awssim.Throttle, Operation: "PutLogEvents", Times: 4}, false},
		"an answer of 500": {awssim.Fault{Kind: awssim.Status500, Operation: "PutLogEvents", Times: 4}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLogWorld(t)
			w.makeStream()
			w.sim.Inject(c.fault)
			events := lines(100, "event")
			if err := w.writer.WriteBatch(t.Context(), batchOf(events...)); err != nil {
				t.Fatal(err)
			}
			w.wants(events)
			if told := strings.Contains(w.told.String(), "may be there twice"); told != c.unsure {
				t.Errorf("it was told that events may be there twice: %t, want %t\n%s", told, c.unsure, w.told.String())
			}
		})
	}
}

// An answer that breaks off behind its status says that the events were taken:
// putting them again would double them.
func TestCloudWatchDoesNotDoubleWhatWasTaken(t *testing.T) {
	t.Parallel()
	for _, chunked := range []bool{false, true} {
		w := newLogWorld(t)
		w.makeStream()
		w.sim.Inject(awssim.Fault{Kind: awssim.CutConnection, Operation: "PutLogEvents", Times: 1, Chunked: chunked})
		events := lines(50, "event")
		if err := w.writer.WriteBatch(t.Context(), batchOf(events...)); err != nil {
			t.Fatal(err)
		}
		w.wants(events)
		if !strings.Contains(w.told.String(), "broke off") {
			t.Errorf("nothing was told: %s", w.told.String())
		}
	}
}

// Of a batch of several requests, those before one that failed are there, and what
// is lost is counted to the event.
func TestCloudWatchCountsWhatWasLost(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t)
	w.makeStream()
	w.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: "PutLogEvents", After: 1, Times: 1})
	q := gateway.NewLogQueue(w.writer, 0, slog.New(slog.NewTextHandler(w.told, nil)), nil)
	events := lines(10_400, "event")
	q.Writer(logAccount, logRegion).Put(logGroup, "s1", events)
	w.run(q)
	w.wants(events[:10_000])
	if q.Dropped() != 400 || !strings.Contains(w.told.String(), "events=400") {
		t.Errorf("%d events were counted as lost\n%s", q.Dropped(), w.told.String())
	}
}

// CloudWatch takes a request and refuses events in it; those are lost too.
func TestCloudWatchCountsWhatIsTooOld(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t)
	now := time.Now()
	event := func(age time.Duration, text string) gateway.LogEvent {
		return gateway.LogEvent{Timestamp: now.Add(-age).UnixMilli(), Message: text}
	}
	good := event(0, "now")
	err := w.writer.WriteBatch(t.Context(), batchOf(event(15*24*time.Hour, "old"), event(15*24*time.Hour-time.Minute, "old too"), good, event(-3*time.Hour, "of the future")))
	var loss *gateway.LossError
	if !errors.As(err, &loss) || loss.Lost != 3 {
		t.Errorf("%v", err)
	}
	w.wants([]gateway.LogEvent{good})
}

// run runs a queue until it has written all that it holds.
func (w *logWorld) run(q *gateway.LogQueue) {
	w.Helper()
	ctx, stop := context.WithCancel(w.Context())
	stop()
	if err := q.Run(ctx); err != nil {
		w.Error(err)
	}
}

// What a full buffer drops is counted, and the rest is written, while CloudWatch is
// slow.
func TestLogQueueCountsWhatItDropsOverTheWire(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t)
	q := gateway.NewLogQueue(w.writer, 100*126, slog.New(slog.NewTextHandler(w.told, nil)), nil)
	all := lines(130, strings.Repeat("x", 93))
	for i := range all {
		q.Writer(logAccount, logRegion).Put(logGroup, "s1", all[i:i+1])
	}
	w.run(q)
	if q.Dropped() != 30 {
		t.Errorf("%d events were dropped, want 30", q.Dropped())
	}
	w.wants(all[:100])
	// There is room again.
	more := lines(10, "more")
	q.Writer(logAccount, logRegion).Put(logGroup, "s1", more)
	w.run(q)
	w.wants(append(all[:100:100], more...))
}

// A stop does not break off what is being written.
func TestLogQueueWritesToTheEndOverTheWire(t *testing.T) {
	t.Parallel()
	w := newLogWorld(t)
	w.sim.Inject(awssim.Fault{Kind: awssim.Slow, Operation: "PutLogEvents", Delay: 300 * time.Millisecond})
	q := gateway.NewLogQueue(w.writer, 0, nil, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	first := lines(5, "first")
	q.Writer(logAccount, logRegion).Put(logGroup, "s1", first)
	eventually(t, func() bool {
		return slices.ContainsFunc(w.sim.Faults(), func(f awssim.FaultState) bool { return f.Acted > 0 })
	})
	second := lines(5, "second")
	q.Writer(logAccount, logRegion).Put(logGroup, "s1", second)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.sim.ClearFaults()
	w.wants(append(first, second...))
	if q.Dropped() != 0 {
		t.Errorf("%d events were dropped", q.Dropped())
	}
}
