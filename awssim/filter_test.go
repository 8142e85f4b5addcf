package awssim_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// walk reads all pages of FilterLogEvents.
func (w *world) walk(accountID string, in cloudwatchlogs.FilterLogEventsInput) []cwtypes.FilteredLogEvent {
	w.t.Helper()
	events, _ := w.walkPages(w.logs(accountID), in)
	return events
}

func (w *world) walkPages(client *cloudwatchlogs.Client, in cloudwatchlogs.FilterLogEventsInput) (events []cwtypes.FilteredLogEvent, sizes []int) {
	w.t.Helper()
	for {
		out, err := client.FilterLogEvents(ctx(w.t), &in)
		if err != nil {
			w.t.Fatal(err)
		}
		events, sizes = append(events, out.Events...), append(sizes, len(out.Events))
		if len(sizes) > 100_000 {
			w.t.Fatal("the walk does not end")
		}
		if out.NextToken == nil {
			return events, sizes
		}
		in.NextToken = out.NextToken
	}
}

func messages(events []cwtypes.FilteredLogEvent) string {
	var text []string
	for _, e := range events {
		text = append(text, *e.Message)
	}
	return strings.Join(text, " ")
}

// TestFilterWalkGivesEachEventOnce: whatever the streams, timestamps, window,
// page limit, scan window, empty pages and doubles, a walk gives each event of
// the window, exactly once by eventId, in the order of timestamp and eventId.
func TestFilterWalkGivesEachEventOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newClock()
		sim := awssim.New(awssim.Options{
			Clock: c.Now, Seed: rapid.Uint64().Draw(rt, "seed"),
			ScanWindow: rapid.IntRange(1, 40).Draw(rt, "scan window"),
		})
		logs := sim.Account(orders).Region(region).Logs()
		logs.CreateGroup("g")
		start := c.Millis()
		type put struct {
			ts     int64
			stream string
		}
		puts := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) put {
			return put{start + rapid.Int64Range(-20, 20).Draw(rt, "ts"), fmt.Sprint("s", rapid.IntRange(0, 3).Draw(rt, "stream"))}
		}), 0, 120).Draw(rt, "puts")
		from, to := start+rapid.Int64Range(-25, 25).Draw(rt, "from"), start+rapid.Int64Range(-25, 25).Draw(rt, "to")
		stream := rapid.SampledFrom([]string{"", "s1"}).Draw(rt, "stream")
		descending := rapid.Bool().Draw(rt, "descending")
		var want []string
		type numbered struct {
			put
			n int
		}
		var list []numbered
		for i, p := range puts {
			logs.Put("g", p.stream, awssim.LogEvent{Timestamp: p.ts, Message: fmt.Sprint(i)})
			if p.ts >= from && p.ts <= to && strings.HasPrefix(p.stream, stream) {
				list = append(list, numbered{p, i})
			}
		}
		slices.SortStableFunc(list, func(a, b numbered) int { return cmp.Compare(a.ts, b.ts) })
		for _, n := range list {
			want = append(want, fmt.Sprint(n.n))
		}
		if descending {
			slices.Reverse(want)
		}
		if every := rapid.IntRange(0, 3).Draw(rt, "empty pages"); every > 0 {
			sim.Inject(awssim.Fault{Kind: awssim.EmptyPage, Every: every})
		}
		if kind := rapid.SampledFrom([]awssim.FaultKind{"", awssim.Double, awssim.PageTwice}).Draw(rt, "doubles"); kind != "" {
			sim.Inject(awssim.Fault{Kind: kind, Across: rapid.Bool().Draw(rt, "across"), Probability: 0.5})
		}
		w := &world{t: t, sim: sim, clock: c}
		client := w.direct(orders)
		in := cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("g"), StartTime: aws.Int64(from), EndTime: aws.Int64(to),
			Limit: aws.Int32(rapid.Int32Range(1, 30).Draw(rt, "limit")),
		}
		if stream != "" {
			in.LogStreamNamePrefix = aws.String(stream)
		}
		if descending {
			in.StartFromHead = aws.Bool(false)
		}
		events, sizes := w.walkPages(client, in)
		var got, ids []string
		for _, e := range events {
			if !slices.Contains(ids, *e.EventId) { // the doubles were asked for
				got, ids = append(got, *e.Message), append(ids, *e.EventId)
			}
		}
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("the walk (want -, got +):\n%s", diff)
		}
		if descending {
			slices.Reverse(ids)
		}
		if !slices.IsSorted(ids) || slices.ContainsFunc(ids, func(id string) bool { return len(id) != 56 }) {
			rt.Fatalf("event ids are not 56 digits in order: %v", ids)
		}
		if slices.Max(sizes) > int(*in.Limit) {
			rt.Fatalf("a page has %d events, the limit is %d", slices.Max(sizes), *in.Limit)
		}
	})
}

func TestFilterLogEventsAcrossStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	logs := w.sim.Account(orders).Region(region).Logs()
	now := w.clock.Millis()
	logs.Put("g", "web-1", awssim.LogEvent{Timestamp: now, Message: "a"}, awssim.LogEvent{Timestamp: now + 2, Message: "c"})
	logs.Put("g", "web-2", awssim.LogEvent{Timestamp: now + 1, Message: "b"}, awssim.LogEvent{Timestamp: now + 2, Message: "d"})
	logs.Put("g", "job", awssim.LogEvent{Timestamp: now + 2, Message: "e"})
	client := w.logs(orders)
	for _, test := range []struct {
		name string
		in   cloudwatchlogs.FilterLogEventsInput
		want string
	}{
		{"all", cloudwatchlogs.FilterLogEventsInput{}, "a b c d e"},
		{"both ends included", cloudwatchlogs.FilterLogEventsInput{StartTime: aws.Int64(now + 1), EndTime: aws.Int64(now + 1)}, "b"},
		{"names", cloudwatchlogs.FilterLogEventsInput{LogStreamNames: []string{"web-1", "job"}}, "a c e"},
		{"prefix", cloudwatchlogs.FilterLogEventsInput{LogStreamNamePrefix: aws.String("web-")}, "a b c d"},
		{"pattern", cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String(`?"b" ?e`)}, "b e"},
		{"window before all", cloudwatchlogs.FilterLogEventsInput{EndTime: aws.Int64(now - 1)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.in.LogGroupIdentifier = aws.String("arn:aws:logs:eu-west-1:222222222222:log-group:g")
			events, _ := w.walkPages(client, test.in)
			if got := messages(events); got != test.want {
				t.Errorf("events are %q, want %q", got, test.want)
			}
			for _, e := range events {
				if *e.IngestionTime != now || *e.LogStreamName == "" {
					t.Errorf("event is %+v", e)
				}
			}
		})
	}
}

func TestFilterLogEventsRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	logs := w.sim.Account(orders).Region(region).Logs()
	logs.Put("g", "s", awssim.LogEvent{Timestamp: 1, Message: "a"}, awssim.LogEvent{Timestamp: 2, Message: "b"})
	logs.CreateGroup("other")
	client := w.logs(orders)
	first := must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), Limit: aws.Int32(1)}))
	garbled := []byte(*first.NextToken)
	garbled[10] ^= 1
	const badToken = "The specified nextToken is invalid."
	for _, test := range []struct {
		name    string
		in      cloudwatchlogs.FilterLogEventsInput
		message string
	}{
		{"junk token", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), NextToken: aws.String("junk")}, badToken},
		{"garbled token", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), NextToken: aws.String(string(garbled))}, badToken},
		{"token of another group", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("other"), NextToken: first.NextToken}, badToken},
		{"token of another window", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), StartTime: aws.Int64(1), NextToken: first.NextToken}, badToken},
		{"limit", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), Limit: aws.Int32(10_001)}, "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"},
		{"names and prefix", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), LogStreamNames: []string{"s"}, LogStreamNamePrefix: aws.String("s")}, "logStreamNames and logStreamNamePrefix are mutually exclusive parameters."},
		{"name and identifier", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), LogGroupIdentifier: aws.String("g")}, "LogGroup name and LogGroup ARN are mutually exclusive parameters."},
		{"JSON pattern", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), FilterPattern: aws.String("{ $.x = 1 }")}, "Invalid filter pattern: awssim matches terms and quoted phrases only"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.FilterLogEvents(ctx(t), &test.in)
			wantError[*cwtypes.InvalidParameterException](t, err, test.message)
		})
	}
	_, err := client.FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("none")})
	wantError[*cwtypes.ResourceNotFoundException](t, err, "The specified log group does not exist.")
	_, err = client.FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupIdentifier: aws.String("arn:aws:logs:eu-west-1:111111111111:log-group:g")})
	wantError[*cwtypes.ResourceNotFoundException](t, err, "The specified log group does not exist.")
	_, err = client.FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), LogStreamNames: []string{"none"}})
	wantError[*cwtypes.ResourceNotFoundException](t, err, "The specified log stream does not exist.")

	w.clock.Advance(24*time.Hour + time.Millisecond)
	_, err = client.FilterLogEvents(ctx(t), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), Limit: aws.Int32(1), NextToken: first.NextToken})
	wantError[*cwtypes.InvalidParameterException](t, err, badToken)
}

func TestFilterLogEventsPageSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	logs := w.sim.Account(orders).Region(region).Logs()
	now := w.clock.Millis()
	for i := range 25 {
		logs.Put("large", "s", awssim.LogEvent{Timestamp: now + int64(i), Message: strings.Repeat("x", 100_000)})
	}
	small := make([]awssim.LogEvent, 25_000)
	for i := range small {
		small[i] = awssim.LogEvent{Timestamp: now + int64(i/3), Message: "x"}
	}
	logs.Put("small", "s", small...)
	client := w.logs(orders)
	if _, sizes := w.walkPages(client, cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("large")}); !slices.Equal(sizes, []int{10, 10, 5}) {
		t.Errorf("pages of at most 1 MB have %v events", sizes)
	}
	if _, sizes := w.walkPages(client, cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("small")}); !slices.Equal(sizes, []int{10_000, 10_000, 5_000}) {
		t.Errorf("pages have %v events", sizes)
	}
}

func TestMessagesSurviveTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	client := w.logs(orders)
	logs := w.sim.Account(orders).Region(region).Logs()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Custom(func(rt *rapid.T) string {
			return string(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"))
		})).Draw(rt, "message")
		logs.DeleteGroup("g")
		logs.Put("g", text, awssim.LogEvent{Timestamp: 5, Message: text})
		events, _ := w.walkPages(client, cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")})
		want := text
		if !utf8.ValidString(text) {
			want = string([]rune(text))
		}
		if len(events) != 1 || *events[0].Message != want || *events[0].LogStreamName != want {
			rt.Fatalf("%q came back as %+v", text, events)
		}
	})
}

func TestEventsPutLaterAreReadInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	logs := w.sim.Account(orders).Region(region).Logs()
	now := w.clock.Millis()
	logs.PutWith(awssim.PutOptions{VisibleAfter: 90 * time.Second}, "g", "s", awssim.LogEvent{Timestamp: now, Message: "late"})
	logs.Put("g", "s", awssim.LogEvent{Timestamp: now + 1, Message: "soon"})
	in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")}
	if got := messages(w.walk(orders, in)); got != "soon" {
		t.Errorf("at first events are %q", got)
	}
	w.clock.Advance(89 * time.Second)
	if got := messages(w.walk(orders, in)); got != "soon" {
		t.Errorf("after 89 s events are %q", got)
	}
	w.clock.Advance(time.Second)
	if got := messages(w.walk(orders, in)); got != "late soon" {
		t.Errorf("after 90 s events are %q", got)
	}
}

// TestReadersSeeWholeBatches reads while several writers put: every walk up to
// what had been put before it began is complete, and none gives an event twice.
func TestReadersSeeWholeBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{ScanWindow: 50})
	logs := w.sim.Account(orders).Region(region).Logs()
	logs.CreateGroup("g")
	var put atomic.Int64
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for i := range 200 {
				logs.Put("g", fmt.Sprint("s", writer), awssim.LogEvent{Timestamp: int64(i), Message: "x"}, awssim.LogEvent{Timestamp: int64(i), Message: "y"})
				put.Add(2)
			}
		})
	}
	client := w.logs(orders)
	for {
		least := int(put.Load())
		events, _ := w.walkPages(client, group(97))
		ids := map[string]bool{}
		for _, e := range events {
			ids[*e.EventId] = true
		}
		if len(ids) != len(events) || len(events) < least {
			t.Errorf("%d events, %d distinct, at least %d had been put", len(events), len(ids), least)
		}
		if least == 4*200*2 {
			break
		}
	}
	writers.Wait()
}
