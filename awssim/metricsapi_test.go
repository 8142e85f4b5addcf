package awssim_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// incoming asks for the metric of groups.
func incoming(from, to time.Time, groups ...string) *cloudwatch.GetMetricDataInput {
	in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to}
	for i, g := range groups {
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{
			Id: aws.String(fmt.Sprint("g", i)),
			MetricStat: &types.MetricStat{
				Metric: &types.Metric{
					Namespace: aws.String("AWS/Logs"), MetricName: aws.String("IncomingLogEvents"),
					Dimensions: []types.Dimension{{Name: aws.String("LogGroupName"), Value: aws.String(g)}},
				},
				Period: aws.Int32(60), Stat: aws.String("Sum"),
			},
		})
	}
	return in
}

// putMinutes puts events in three minutes, late ones and ones that readers do
// not see yet too.
func putMinutes(w *world) {
	logs := w.sim.Account(orders).Region(region).Logs()
	event := awssim.LogEvent{Timestamp: w.clock.Millis(), Message: "m"}
	logs.Put("a", "s", event, event)
	w.clock.Advance(time.Minute)
	logs.PutWith(awssim.PutOptions{VisibleAfter: time.Hour}, "a", "s", event) // of the minute before by its timestamp
	w.clock.Advance(2 * time.Minute)
	logs.Put("a", "s", event, event, event)
	logs.Put("b", "s", event)
}

func TestGetMetricDataCountsByTheMinuteOfPutting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	start := w.clock.Now()
	putMinutes(w)
	client := cloudwatch.NewFromConfig(w.admin(orders))
	out := must[*cloudwatch.GetMetricDataOutput](t)(client.GetMetricData(ctx(t), incoming(start, start.Add(time.Hour), "a", "none", "b")))
	got := map[string]string{}
	for _, r := range out.MetricDataResults {
		var text []string
		for i := range r.Timestamps {
			text = append(text, fmt.Sprintf("%v %v", r.Timestamps[i].Sub(start), r.Values[i]))
		}
		got[*r.Id] = string(r.StatusCode) + " " + strings.Join(text, ", ")
	}
	want := map[string]string{"g0": "Complete 3m0s 3, 1m0s 1, 0s 2", "g1": "Complete ", "g2": "Complete 3m0s 1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	out = must[*cloudwatch.GetMetricDataOutput](t)(client.GetMetricData(ctx(t), incoming(start.Add(time.Minute), start.Add(3*time.Minute), "a")))
	if r := out.MetricDataResults[0]; len(r.Values) != 1 || r.Values[0] != 1 {
		t.Errorf("from is in it and to is not: %v", r.Values)
	}
}

func TestGetMetricDataPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	start := w.clock.Now()
	putMinutes(w)
	in := incoming(start, start.Add(time.Hour), "a", "b", "none", "a")
	in.MetricDataQueries[3].Id = aws.String("again")
	in.MaxDatapoints = aws.Int32(2)
	in.ScanBy = types.ScanByTimestampAscending
	sums := map[string]float64{}
	pages := cloudwatch.NewGetMetricDataPaginator(cloudwatch.NewFromConfig(w.admin(orders)), in)
	n := 0
	for pages.HasMorePages() {
		page := must[*cloudwatch.GetMetricDataOutput](t)(pages.NextPage(ctx(t)))
		n++
		points := 0
		for _, r := range page.MetricDataResults {
			points += len(r.Values)
			for _, v := range r.Values {
				sums[*r.Id] += v
			}
		}
		if points > 2 {
			t.Errorf("page %d has %d datapoints", n, points)
		}
	}
	if d := cmp.Diff(map[string]float64{"g0": 6, "g1": 1, "again": 6}, sums); d != "" || n != 4 {
		t.Errorf("%d pages, -want +got:\n%s", n, d)
	}
}

func TestGetMetricDataErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	now := w.clock.Now()
	client := cloudwatch.NewFromConfig(w.admin(orders))
	for name, change := range map[string]func(*cloudwatch.GetMetricDataInput){
		"no time":         func(in *cloudwatch.GetMetricDataInput) { in.EndTime = in.StartTime },
		"no query":        func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries = []types.MetricDataQuery{} },
		"same id":         func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[1].Id = in.MetricDataQueries[0].Id },
		"bad id":          func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[1].Id = aws.String("G") },
		"bad period":      func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[1].MetricStat.Period = aws.Int32(7) },
		"bad token":       func(in *cloudwatch.GetMetricDataInput) { in.NextToken = aws.String("x") },
		"too many points": func(in *cloudwatch.GetMetricDataInput) { in.MaxDatapoints = aws.Int32(1 << 20) },
	} {
		in := incoming(now, now.Add(time.Hour), "a", "b")
		change(in)
		if _, err := client.GetMetricData(ctx(t), in); err == nil || !strings.Contains(err.Error(), "ValidationError") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Neither a role without the permission nor a throttled one gets an answer.
	o := w.sim.Account(orders)
	o.AddRole(awssim.Role{Name: "Reader", TrustedAccounts: []string{orders}, Allow: []string{"logs:*"}})
	reader := cloudwatch.NewFromConfig(w.config(o.Session("Reader", "s", time.Hour)))
	_, err := reader.GetMetricData(ctx(t), incoming(now, now.Add(time.Hour), "a"))
	wantCode(t, err, "AccessDeniedException", "User: arn:aws:sts::222222222222:assumed-role/Reader/s is not authorized to perform: cloudwatch:GetMetricData on resource: * because no identity-based policy allows the cloudwatch:GetMetricData action")
	w.sim.Inject(awssim.Fault{Kind: awssim.Throttle, Operation: "GetMetricData", Times: 1})
	_, err = client.GetMetricData(ctx(t), incoming(now, now.Add(time.Hour), "a"))
	wantCode(t, err, "ThrottlingException", "Rate exceeded")
}

// The protocols of older SDKs: the AWS CLI and boto3 choose among them.
func TestGetMetricDataSpeaksTheOlderProtocols(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	start := w.clock.Now()
	putMinutes(w)
	key := w.sim.Account(orders).AddAccessKey("admin")
	ask := func(body string, header map[string]string) string {
		t.Helper()
		r := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), http.MethodPost, w.url+"/", strings.NewReader(body)))
		for k, v := range header {
			r.Header.Set(k, v)
		}
		sign(t, r, key, "monitoring", region)
		res := must[*http.Response](t)(http.DefaultClient.Do(r))
		defer closeBody(t, res.Body)
		return fmt.Sprint(res.StatusCode, " ", string(must[[]byte](t)(io.ReadAll(res.Body))))
	}
	form := "Action=GetMetricData&Version=2010-08-01&StartTime=" + start.Format(time.RFC3339) + "&EndTime=" + start.Add(time.Hour).Format(time.RFC3339) +
		"&ScanBy=TimestampAscending&MetricDataQueries.member.1.Id=g&MetricDataQueries.member.1.MetricStat.Stat=Sum&MetricDataQueries.member.1.MetricStat.Period=60" +
		"&MetricDataQueries.member.1.MetricStat.Metric.Namespace=AWS%2FLogs&MetricDataQueries.member.1.MetricStat.Metric.MetricName=IncomingLogEvents" +
		"&MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Name=LogGroupName&MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Value=a"
	got := ask(form, map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	for _, want := range []string{"200 <GetMetricDataResponse", "<Id>g</Id>", "<member>2026-03-01T12:01:00Z</member>", "<Values><member>2</member><member>1</member><member>3</member></Values>"} {
		if !strings.Contains(got, want) {
			t.Errorf("the query protocol answers %s, want %s in it", got, want)
		}
	}
	body := fmt.Sprintf(`{"StartTime":%d,"EndTime":%d,"MetricDataQueries":[{"Id":"g","MetricStat":{"Metric":{"Namespace":"AWS/Logs","MetricName":"IncomingLogEvents","Dimensions":[{"Name":"LogGroupName","Value":"b"}]},"Period":60,"Stat":"Sum"}}]}`,
		start.Unix(), start.Add(time.Hour).Unix())
	target := map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData"}
	want := fmt.Sprintf(`200 {"MetricDataResults":[{"Id":"g","Label":"IncomingLogEvents","StatusCode":"Complete","Timestamps":[%d],"Values":[1]}],"Messages":[]}`, start.Add(3*time.Minute).Unix())
	if got := ask(body, target); got != want {
		t.Errorf("JSON answers\n%s, want\n%s", got, want)
	}
	for _, hostile := range []string{"", "{", `{"MetricDataQueries":7}`} {
		if got := ask(hostile, target); !strings.HasPrefix(got, "400 ") {
			t.Errorf("%q is answered with %s", hostile, got)
		}
	}
	cbor := map[string]string{"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}
	for _, hostile := range []string{"", "\xff", "\x9f\x9f\x9f", "\xa1\x61a", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if got := ask(hostile, cbor); strings.HasPrefix(got, "200 ") {
			t.Errorf("%q is answered with %q", hostile, got)
		}
	}
}
