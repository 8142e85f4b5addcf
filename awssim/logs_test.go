package awssim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestLogGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	client := w.logs(orders)
	const name = "API-Gateway-Execution-Logs_abc123/prod"
	create := &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name)}
	must[*cloudwatchlogs.CreateLogGroupOutput](t)(client.CreateLogGroup(ctx(t), create))
	_, err := client.CreateLogGroup(ctx(t), create)
	wantError[*cwtypes.ResourceAlreadyExistsException](t, err, "The specified log group already exists")
	_, err = client.CreateLogGroup(ctx(t), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("with space")})
	wantError[*cwtypes.InvalidParameterException](t, err, `1 validation error detected: Value 'with space' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`)

	must[*cloudwatchlogs.PutRetentionPolicyOutput](t)(client.PutRetentionPolicy(ctx(t), &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String(name), RetentionInDays: aws.Int32(30)}))
	if _, err = client.PutRetentionPolicy(ctx(t), &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String(name), RetentionInDays: aws.Int32(15)}); err == nil {
		t.Error("a retention of 15 days was taken")
	}
	w.sim.Account(orders).Region(region).Logs().Put(name, "s", awssim.LogEvent{Timestamp: w.clock.Millis(), Message: "four"})
	out := must[*cloudwatchlogs.DescribeLogGroupsOutput](t)(client.DescribeLogGroups(ctx(t), &cloudwatchlogs.DescribeLogGroupsInput{IncludeLinkedAccounts: aws.Bool(true)}))
	g := out.LogGroups[0]
	arn := "arn:aws:logs:eu-west-1:222222222222:log-group:" + name
	if *g.LogGroupName != name || *g.Arn != arn+":*" || *g.LogGroupArn != arn || *g.RetentionInDays != 30 ||
		*g.StoredBytes != 30 || *g.CreationTime != w.clock.Millis() || g.LogGroupClass != cwtypes.LogGroupClassStandard {
		t.Errorf("group is %s %s %s", *g.LogGroupName, *g.Arn, *g.LogGroupArn)
	}
	must[*cloudwatchlogs.DeleteLogGroupOutput](t)(client.DeleteLogGroup(ctx(t), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(name)}))
	_, err = client.DeleteLogGroup(ctx(t), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(name)})
	wantError[*cwtypes.ResourceNotFoundException](t, err, "The specified log group does not exist.")
}

func TestDescribeLogGroupsPaging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	logs := w.sim.Account(orders).Region(region).Logs()
	for i := range 120 {
		logs.CreateGroup(fmt.Sprintf("a/%03d", i))
	}
	logs.CreateGroup("b/007")
	w.sim.Account(orders).Region("us-east-1").Logs().CreateGroup("a/elsewhere")
	client := w.logs(orders)
	walk := func(in *cloudwatchlogs.DescribeLogGroupsInput) (names []string, pages int) {
		for p := cloudwatchlogs.NewDescribeLogGroupsPaginator(client, in); p.HasMorePages(); pages++ {
			for _, g := range must[*cloudwatchlogs.DescribeLogGroupsOutput](t)(p.NextPage(ctx(t))).LogGroups {
				names = append(names, *g.LogGroupName)
			}
		}
		return names, pages
	}
	if names, pages := walk(&cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("a/")}); len(names) != 120 || pages != 3 || !slices.IsSorted(names) {
		t.Errorf("%d groups on %d pages", len(names), pages)
	}
	if names, pages := walk(&cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("a/00"), Limit: aws.Int32(5)}); len(names) != 10 || pages != 2 {
		t.Errorf("%d groups on %d pages", len(names), pages)
	}
	if names, _ := walk(&cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePattern: aws.String("007")}); !slices.Equal(names, []string{"a/007", "b/007"}) {
		t.Errorf("groups are %v", names)
	}
	_, err := client.DescribeLogGroups(ctx(t), &cloudwatchlogs.DescribeLogGroupsInput{Limit: aws.Int32(51)})
	wantError[*cwtypes.InvalidParameterException](t, err, "1 validation error detected: Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50")
	_, err = client.DescribeLogGroups(ctx(t), &cloudwatchlogs.DescribeLogGroupsInput{NextToken: aws.String("junk")})
	wantError[*cwtypes.InvalidParameterException](t, err, "The specified nextToken is invalid.")
}

func TestDescribeLogStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	client := w.logs(orders)
	logs := w.sim.Account(orders).Region(region).Logs()
	for i := range 60 {
		logs.Put("g", fmt.Sprintf("%c%02d", 'a'+i%2, i), awssim.LogEvent{Timestamp: w.clock.Millis() - int64(i)*1000, Message: "x"})
	}
	walk := func(in cloudwatchlogs.DescribeLogStreamsInput) (names []string) {
		in.LogGroupIdentifier = aws.String("arn:aws:logs:eu-west-1:222222222222:log-group:g")
		for p := cloudwatchlogs.NewDescribeLogStreamsPaginator(client, &in); p.HasMorePages(); {
			for _, s := range must[*cloudwatchlogs.DescribeLogStreamsOutput](t)(p.NextPage(ctx(t))).LogStreams {
				names = append(names, *s.LogStreamName)
			}
		}
		return names
	}
	byName := walk(cloudwatchlogs.DescribeLogStreamsInput{})
	if len(byName) != 60 || !slices.IsSorted(byName) {
		t.Errorf("%d streams by name: %v", len(byName), byName)
	}
	slices.Reverse(byName)
	if got := walk(cloudwatchlogs.DescribeLogStreamsInput{Descending: aws.Bool(true), Limit: aws.Int32(7)}); !slices.Equal(got, byName) {
		t.Errorf("descending: %v", got)
	}
	if got := walk(cloudwatchlogs.DescribeLogStreamsInput{LogStreamNamePrefix: aws.String("b")}); len(got) != 30 || got[0] != "b01" {
		t.Errorf("with prefix: %v", got)
	}
	if got := walk(cloudwatchlogs.DescribeLogStreamsInput{OrderBy: cwtypes.OrderByLastEventTime, Descending: aws.Bool(true), Limit: aws.Int32(11)}); len(got) != 60 || got[0] != "a00" || got[1] != "b01" || got[59] != "b59" {
		t.Errorf("by time: %v", got)
	}
	_, err := client.DescribeLogStreams(ctx(t), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String("g"), OrderBy: cwtypes.OrderByLastEventTime, LogStreamNamePrefix: aws.String("a")})
	wantError[*cwtypes.InvalidParameterException](t, err, "Cannot order by LastEventTime with a logStreamNamePrefix.")
	_, err = client.CreateLogStream(ctx(t), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("a00")})
	wantError[*cwtypes.ResourceAlreadyExistsException](t, err, "The specified log stream already exists")
	_, err = client.CreateLogStream(ctx(t), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String("none"), LogStreamName: aws.String("a00")})
	wantError[*cwtypes.ResourceNotFoundException](t, err, "The specified log group does not exist.")
}

func putEvents(n, size int, at func(i int) int64) []cwtypes.InputLogEvent {
	events := make([]cwtypes.InputLogEvent, n)
	for i := range events {
		events[i] = cwtypes.InputLogEvent{Timestamp: aws.Int64(at(i)), Message: aws.String(strings.Repeat("m", size))}
	}
	return events
}

func TestPutLogEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	client := w.logs(orders)
	logs := w.sim.Account(orders).Region(region).Logs()
	logs.CreateGroup("g")
	now := w.clock.Millis()
	steady := func(int) int64 { return now }
	put := func(stream string, events []cwtypes.InputLogEvent) (*cloudwatchlogs.PutLogEventsOutput, error) {
		return client.PutLogEvents(ctx(t), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String(stream), LogEvents: events})
	}
	_, err := put("s", putEvents(1, 1, steady))
	wantError[*cwtypes.ResourceNotFoundException](t, err, "The specified log stream does not exist.")
	must[*cloudwatchlogs.CreateLogStreamOutput](t)(client.CreateLogStream(ctx(t), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s")}))

	for _, test := range []struct {
		name    string
		events  []cwtypes.InputLogEvent
		message string
	}{
		{"unsorted", putEvents(2, 1, func(i int) int64 { return now - int64(i) }), "Log events in a single PutLogEvents request must be in chronological order."},
		{"too many", putEvents(10_001, 1, steady), "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to 10000"},
		{"too large a batch", putEvents(4, 1<<18-25, steady), "Upload too large: 1048580 bytes exceeds limit of 1048576"},
		{"too large an event", putEvents(1, 1<<20, steady), "Log event too large: 1048602 bytes exceeds limit of 1048576"},
		{"too long a span", putEvents(2, 1, func(i int) int64 { return now - 25*3600_000*int64(1-i) }), "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."},
		{"none", []cwtypes.InputLogEvent{}, "1 validation error detected: Value '[]' at 'logEvents' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := put("s", test.events)
			wantError[*cwtypes.InvalidParameterException](t, err, test.message)
		})
	}
	if n := logs.Count("g"); n != 0 {
		t.Fatalf("%d events of refused batches were kept", n)
	}
	must[*cloudwatchlogs.PutLogEventsOutput](t)(put("s", putEvents(4, 1<<18-26, steady)))
	if n := logs.Count("g"); n != 4 {
		t.Errorf("a batch of exactly 1 MiB left %d events, want 4", n)
	}

	out := must[*cloudwatchlogs.PutLogEventsOutput](t)(put("s", putEvents(3, 1, func(i int) int64 {
		return w.clock.Now().Add(-14*24*time.Hour).UnixMilli() - 1 + int64(i)
	})))
	if r := out.RejectedLogEventsInfo; r == nil || aws.ToInt32(r.TooOldLogEventEndIndex) != 1 || r.TooNewLogEventStartIndex != nil {
		t.Errorf("rejected too old: %+v", r)
	}
	out = must[*cloudwatchlogs.PutLogEventsOutput](t)(put("s", putEvents(4, 1, func(i int) int64 {
		return w.clock.Now().Add(2*time.Hour).UnixMilli() - 1 + int64(i)
	})))
	if r := out.RejectedLogEventsInfo; r == nil || aws.ToInt32(r.TooNewLogEventStartIndex) != 2 || r.TooOldLogEventEndIndex != nil {
		t.Errorf("rejected too new: %+v", r)
	}
	logs.SetRetention("g", 1)
	out = must[*cloudwatchlogs.PutLogEventsOutput](t)(put("s", putEvents(2, 1, func(i int) int64 {
		return w.clock.Now().Add(-24*time.Hour).UnixMilli() - 1 + int64(i)
	})))
	if r := out.RejectedLogEventsInfo; r == nil || aws.ToInt32(r.ExpiredLogEventEndIndex) != 1 {
		t.Errorf("rejected expired: %+v", r)
	}
}

func TestGetLogEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	client := w.logs(orders)
	logs := w.sim.Account(orders).Region(region).Logs()
	start := w.clock.Millis()
	for i := range 25 {
		logs.Put("g", "s", awssim.LogEvent{Timestamp: start + int64(i), Message: fmt.Sprint(i)})
		logs.Put("g", "noise", awssim.LogEvent{Timestamp: start + int64(i), Message: "noise"})
	}
	get := func(in cloudwatchlogs.GetLogEventsInput) (string, *cloudwatchlogs.GetLogEventsOutput) {
		in.LogGroupName, in.LogStreamName = aws.String("g"), aws.String("s")
		out := must[*cloudwatchlogs.GetLogEventsOutput](t)(client.GetLogEvents(ctx(t), &in))
		var text []string
		for _, e := range out.Events {
			text = append(text, *e.Message)
			if *e.IngestionTime != start {
				t.Errorf("ingestion time is %d", *e.IngestionTime)
			}
		}
		return strings.Join(text, " "), out
	}
	all := "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24"
	var got []string
	in := cloudwatchlogs.GetLogEventsInput{StartFromHead: aws.Bool(true), Limit: aws.Int32(10)}
	for {
		text, out := get(in)
		if in.NextToken != nil && *in.NextToken == *out.NextForwardToken {
			break
		}
		got, in.NextToken = append(got, text), out.NextForwardToken
	}
	if strings.Join(got, " ") != all {
		t.Errorf("forward walk is %v", got)
	}
	// At the end the token stays, and picks up what comes.
	logs.Put("g", "s", awssim.LogEvent{Timestamp: start + 100, Message: "new"})
	if text, _ := get(in); text != "new" {
		t.Errorf("after the end came %q", text)
	}
	// Without startFromHead the latest come, oldest first, and walking backward
	// gives the ones before.
	text, out := get(cloudwatchlogs.GetLogEventsInput{Limit: aws.Int32(3)})
	if text != "23 24 new" {
		t.Errorf("the latest are %q", text)
	}
	text, back := get(cloudwatchlogs.GetLogEventsInput{Limit: aws.Int32(3), NextToken: out.NextBackwardToken})
	if text != "20 21 22" {
		t.Errorf("before them are %q", text)
	}
	if text, _ = get(cloudwatchlogs.GetLogEventsInput{Limit: aws.Int32(3), NextToken: back.NextForwardToken}); text != "23 24 new" {
		t.Errorf("forward again are %q", text)
	}
	if text, _ = get(cloudwatchlogs.GetLogEventsInput{StartTime: aws.Int64(start + 5), EndTime: aws.Int64(start + 7)}); text != "5 6" {
		t.Errorf("the window, whose end is exclusive, has %q", text)
	}
	_, err := client.GetLogEvents(ctx(t), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s"), NextToken: aws.String("f/1/s")})
	wantError[*cwtypes.InvalidParameterException](t, err, "The specified nextToken is invalid.")
	_, err = client.GetLogEvents(ctx(t), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("none")})
	wantError[*cwtypes.ResourceNotFoundException](t, err, "The specified log stream does not exist.")
}

func TestRetentionBoundsMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{Retention: time.Minute})
	logs := w.sim.Account(orders).Region(region).Logs()
	for range 600 {
		for s := range 3 {
			logs.Put("g", fmt.Sprint(s), awssim.LogEvent{Timestamp: w.clock.Millis(), Message: "x"})
		}
		w.clock.Advance(time.Second)
	}
	if n := logs.Count("g"); n != 61*3 {
		t.Errorf("%d events are kept, want those of the last minute: %d", n, 61*3)
	}
	w.clock.Advance(30 * time.Second)
	events := w.walk(orders, cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")})
	if len(events) != 30*3 {
		t.Errorf("%d events are read, want %d", len(events), 30*3)
	}
}
