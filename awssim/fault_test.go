package awssim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	gwtypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// tenEvents is a world whose group "g" holds the events "0" to "9".
func tenEvents(t *testing.T, o awssim.Options) (*world, *cloudwatchlogs.Client) {
	t.Helper()
	w := newWorld(t, o)
	for i := range 10 {
		w.sim.Account(orders).Region(region).Logs().Put("g", fmt.Sprint("s", i%3), awssim.LogEvent{Timestamp: w.clock.Millis() + int64(i/2), Message: fmt.Sprint(i)})
	}
	return w, w.logs(orders)
}

func group(limit int32) cloudwatchlogs.FilterLogEventsInput {
	return cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), Limit: aws.Int32(limit)}
}

func TestPageFaults(t *testing.T) {
	t.Parallel()
	const all = "0 1 2 3 4 5 6 7 8 9"
	for _, test := range []struct {
		name  string
		fault awssim.Fault
		want  string
		sizes []int
	}{
		{"none", awssim.Fault{Kind: awssim.EmptyPage, Group: "other"}, all, []int{4, 4, 2}},
		{"empty page before each", awssim.Fault{Kind: awssim.EmptyPage}, all, []int{0, 4, 0, 4, 0, 2}},
		{"three empty pages in a row", awssim.Fault{Kind: awssim.EmptyPage, Times: 3, After: 1}, all, []int{4, 0, 0, 0, 4, 2}},
		{"each page twice", awssim.Fault{Kind: awssim.PageTwice}, "0 1 2 3 0 1 2 3 4 5 6 7 4 5 6 7 8 9 8 9", []int{4, 4, 4, 4, 2, 2}},
		{"second page twice", awssim.Fault{Kind: awssim.PageTwice, After: 1, Times: 1}, "0 1 2 3 4 5 6 7 4 5 6 7 8 9", []int{4, 4, 4, 2}},
		{"double over two pages", awssim.Fault{Kind: awssim.Double, Across: true, Times: 1}, "0 1 2 3 3 4 5 6 7 8 9", []int{4, 4, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w, client := tenEvents(t, awssim.Options{})
			w.sim.Inject(test.fault)
			events, sizes := w.walkPages(client, group(4))
			if got := messages(events); got != test.want || !slices.Equal(sizes, test.sizes) {
				t.Errorf("walk is %q on pages of %v, want %q on %v", got, sizes, test.want, test.sizes)
			}
		})
	}
}

func TestDoubleOnAPage(t *testing.T) {
	t.Parallel()
	for _, limit := range []int32{1, 2, 4, 100} {
		w, client := tenEvents(t, awssim.Options{Seed: uint64(limit)})
		w.sim.Inject(awssim.Fault{Kind: awssim.Double})
		events, sizes := w.walkPages(client, group(limit))
		seen := map[string]string{}
		doubles := 0
		for _, e := range events {
			if m, ok := seen[*e.EventId]; ok {
				doubles++
				if m != *e.Message {
					t.Errorf("event id %s names %s and %s", *e.EventId, m, *e.Message)
				}
			}
			seen[*e.EventId] = *e.Message
		}
		if len(seen) != 10 || doubles == 0 || slices.Max(sizes) > int(limit) {
			t.Errorf("limit %d: %d distinct events, %d doubles, pages of %v", limit, len(seen), doubles, sizes)
		}
	}
}

func TestFaultsAnswerTheServicesOwnErrors(t *testing.T) {
	t.Parallel()
	w, client := tenEvents(t, awssim.Options{})
	w.sim.Organization(orders)
	w.sim.Inject(awssim.Fault{Kind: awssim.Throttle, Times: 1, Service: "logs", Operation: "FilterLogEvents", Account: orders, Region: region, Group: "g"})
	_, err := client.DescribeLogGroups(ctx(t), nil)
	if err != nil {
		t.Errorf("the fault acted on another operation: %v", err)
	}
	in := group(4)
	_, err = client.FilterLogEvents(ctx(t), &in)
	wantError[*cwtypes.ThrottlingException](t, err, "Rate exceeded")
	must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &in))

	w.sim.Inject(awssim.Fault{Kind: awssim.Throttle, Every: 2})
	gateway := w.gateway(orders)
	must[*apigateway.GetRestApisOutput](t)(gateway.GetRestApis(ctx(t), nil))
	_, err = gateway.GetRestApis(ctx(t), nil)
	wantError[*gwtypes.TooManyRequestsException](t, err, "Too Many Requests")
	must[*apigateway.GetRestApisOutput](t)(gateway.GetRestApis(ctx(t), nil))
	_, err = w.organizations(orders).ListAccounts(ctx(t), &organizations.ListAccountsInput{})
	wantError[*orgtypes.TooManyRequestsException](t, err, "AWS Organizations can't complete your request because it was throttled. Try again later.")
	w.sim.ClearFaults()

	w.sim.Inject(awssim.Fault{Kind: awssim.Throttle, Service: "sts", Times: 1})
	_, err = w.sts(orders).GetCallerIdentity(ctx(t), nil)
	wantCode(t, err, "Throttling", "Rate exceeded")

	id := w.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: "FilterLogEvents"})
	_, err = client.FilterLogEvents(ctx(t), &in)
	wantCode(t, err, "AccessDeniedException", "User: arn:aws:iam::222222222222:user/admin is not authorized to perform: logs:FilterLogEvents on resource: arn:aws:logs:eu-west-1:222222222222:log-group:g:log-stream: because no identity-based policy allows the logs:FilterLogEvents action")
	if !w.sim.RemoveFault(id) || w.sim.RemoveFault(id) {
		t.Error("the fault could not be removed once")
	}
	w.sim.Inject(awssim.Fault{Kind: awssim.Status500, Times: 1})
	_, err = client.FilterLogEvents(ctx(t), &in)
	wantCode(t, err, "InternalFailure", "We encountered an internal error. Please try again.")

	first := must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &in))
	w.sim.Inject(awssim.Fault{Kind: awssim.TokenInvalid, Times: 1})
	next := group(4)
	next.NextToken = first.NextToken
	_, err = client.FilterLogEvents(ctx(t), &next)
	wantError[*cwtypes.InvalidParameterException](t, err, "The specified nextToken is invalid.")
}

func TestExpireCredentials(t *testing.T) {
	t.Parallel()
	w, _ := tenEvents(t, awssim.Options{})
	a := w.sim.Account(orders)
	a.AddRole(awssim.Role{Name: "R", Allow: []string{"logs:*"}})
	client := cloudwatchlogs.NewFromConfig(w.config(a.Session("R", "one", time.Hour)))
	w.sim.Inject(awssim.Fault{Kind: awssim.ExpireCredentials, After: 2, Times: 1})
	in := group(4)
	for range 2 {
		must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &in))
	}
	for range 2 { // dead for good, though the fault acts once
		_, err := client.FilterLogEvents(ctx(t), &in)
		wantCode(t, err, "ExpiredTokenException", "The security token included in the request is expired")
	}
	client = cloudwatchlogs.NewFromConfig(w.config(a.Session("R", "two", time.Hour)))
	must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &in))
	if n := w.sim.ExpireSessions(orders, "R"); n != 1 {
		t.Errorf("%d sessions ended, want 1", n)
	}
	_, err := sts.NewFromConfig(w.config(a.Session("R", "three", -time.Second))).GetCallerIdentity(ctx(t), nil)
	wantCode(t, err, "ExpiredToken", "The security token included in the request is expired")
}

func TestCutConnection(t *testing.T) {
	t.Parallel()
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked=%t", chunked), func(t *testing.T) {
			t.Parallel()
			w, client := tenEvents(t, awssim.Options{})
			w.sim.Inject(awssim.Fault{Kind: awssim.CutConnection, Times: 2, Chunked: chunked})
			in := group(10)
			if out, err := client.FilterLogEvents(ctx(t), &in); err == nil {
				t.Errorf("a cut answer was taken for whole: %d events", len(out.Events))
			}
			// Beside the SDK: the answer begins well and ends in the middle.
			key := w.sim.Account(orders).AddAccessKey("raw")
			req := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), http.MethodPost, w.url, strings.NewReader(`{"logGroupName":"g"}`)))
			req.Header.Set("X-Amz-Target", "Logs_20140328.FilterLogEvents")
			sign(t, req, key, "logs", region)
			res := must[*http.Response](t)(http.DefaultClient.Do(req))
			defer closeBody(t, res.Body)
			body, err := io.ReadAll(res.Body)
			if err == nil || !strings.HasPrefix(string(body), `{"events":[{"eventId":`) || json.Valid(body) {
				t.Errorf("the body ended with %v: %s", err, body)
			}
			if chunked != (res.ContentLength < 0) {
				t.Errorf("declared length is %d", res.ContentLength)
			}
			in = group(10)
			must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &in))
		})
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	w, client := tenEvents(t, awssim.Options{})
	w.sim.Inject(awssim.Fault{Kind: awssim.Slow, Delay: 50 * time.Millisecond, Times: 1})
	start := time.Now()
	in := group(10)
	must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &in))
	if d := time.Since(start); d < 50*time.Millisecond {
		t.Errorf("the call took %s, want at least 50 ms", d)
	}
}

func TestLateByProbability(t *testing.T) {
	t.Parallel()
	counts := func(seed uint64) (early int) {
		w := newWorld(t, awssim.Options{Seed: seed})
		w.sim.Inject(awssim.Fault{Kind: awssim.Late, Probability: 0.25, Delay: time.Minute, Group: "g"})
		logs := w.sim.Account(orders).Region(region).Logs()
		for i := range 1000 {
			logs.Put("g", "s", awssim.LogEvent{Timestamp: w.clock.Millis(), Message: fmt.Sprint(i)})
		}
		in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")}
		early = len(w.walk(orders, in))
		w.clock.Advance(time.Minute)
		if n := len(w.walk(orders, in)); n != 1000 {
			t.Errorf("after a minute there are %d events, want 1000", n)
		}
		return early
	}
	a, b, c := counts(1), counts(1), counts(2)
	if a != b || a < 650 || a > 850 {
		t.Errorf("%d and %d of 1000 events came at once with one seed, want the same and about 750", a, b)
	}
	if a == c {
		t.Logf("another seed gave the same %d", c)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	call := func(url, method, path, body string) (int, string) {
		req := must[*http.Request](t)(http.NewRequestWithContext(ctx(t), method, url+path, bytes.NewBufferString(body)))
		res := must[*http.Response](t)(http.DefaultClient.Do(req))
		defer closeBody(t, res.Body)
		return res.StatusCode, must[string](t)(readAll(res.Body))
	}
	w, client := tenEvents(t, awssim.Options{Control: true})
	if status, body := call(w.url, "POST", "/_awssim/faults", `{"kind":"slow","delay":"1ms","times":2,"service":"logs"}`); status != 201 || strings.TrimSpace(body) != `{"id":1}` {
		t.Errorf("answer is %d %s", status, body)
	}
	in := group(10)
	must[*cloudwatchlogs.FilterLogEventsOutput](t)(client.FilterLogEvents(ctx(t), &in))
	_, body := call(w.url, "GET", "/_awssim/faults", "")
	var list []awssim.FaultState
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != 1 || list[0].Acted != 1 || list[0].Fault.Delay != time.Millisecond || list[0].Fault.Kind != awssim.Slow {
		t.Errorf("faults are %s (%v)", body, err)
	}
	_, body = call(w.url, "GET", "/_awssim/calls", "")
	var counts []awssim.CallCount
	if err := json.Unmarshal([]byte(body), &counts); err != nil || len(counts) != 1 || counts[0] != (awssim.CallCount{Service: "logs", Operation: "FilterLogEvents", Account: orders, Region: region, Calls: 1}) {
		t.Errorf("calls are %s (%v)", body, err)
	}
	for _, bad := range []string{`{"kind":"flood"}`, `{`, `{"kind":"slow","delay":"soon"}`} {
		if status, body := call(w.url, "POST", "/_awssim/faults", bad); status != 400 {
			t.Errorf("%s was answered %d %s", bad, status, body)
		}
	}
	if status, _ := call(w.url, "DELETE", "/_awssim/faults/7", ""); status != 404 {
		t.Errorf("removing an unknown fault is answered %d", status)
	}
	if call(w.url, "DELETE", "/_awssim/faults", ""); len(w.sim.Faults()) != 0 {
		t.Error("the faults were not cleared")
	}
	off, _ := tenEvents(t, awssim.Options{})
	if status, _ := call(off.url, "POST", "/_awssim/faults", `{"kind":"slow"}`); status != 404 || len(off.sim.Faults()) != 0 {
		t.Errorf("control is served though it is off: %d", status)
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	w, client := tenEvents(t, awssim.Options{EnforceQuotas: true, Quotas: map[string]float64{"DescribeLogStreams": 2}})
	w.sim.Account(hub).Region(region).Logs().CreateGroup("g")
	burst := func(call func() error) (passed int) {
		for range 60 {
			if err := call(); err == nil {
				passed++
			}
		}
		return passed
	}
	in := group(1)
	filter := func(c *cloudwatchlogs.Client) func() error {
		return func() error { _, err := c.FilterLogEvents(ctx(t), &in); return err }
	}
	if n := burst(filter(client)); n != 10 { // eu-west-1
		t.Errorf("%d FilterLogEvents passed in no time, want 10", n)
	}
	_, err := client.FilterLogEvents(ctx(t), &in)
	wantError[*cwtypes.ThrottlingException](t, err, "Rate exceeded")
	if n := burst(filter(w.logs(hub))); n != 10 {
		t.Errorf("%d calls of another account passed, want 10", n)
	}
	w.clock.Advance(300 * time.Millisecond)
	if n := burst(filter(client)); n != 3 {
		t.Errorf("%d passed after 300 ms, want 3", n)
	}
	if n := burst(func() error {
		_, err := client.DescribeLogStreams(ctx(t), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String("g")})
		return err
	}); n != 2 {
		t.Errorf("%d DescribeLogStreams passed, want the 2 of the override", n)
	}
	if n := burst(func() error {
		_, err := w.gateway(orders).GetRestApis(ctx(t), nil)
		return err
	}); n != 40 {
		t.Errorf("%d API Gateway calls passed, want its burst of 40", n)
	}
	sum := 0
	for _, c := range w.sim.Calls() {
		if c.Operation == "FilterLogEvents" && c.Account == orders {
			sum = c.Calls
			if c.Throttled != c.Failed || c.Calls-c.Failed != 13 {
				t.Errorf("counted %+v", c)
			}
		}
	}
	if sum != 121 || w.sim.CallsOf("logs", "FilterLogEvents") != 181 {
		t.Errorf("counted %d calls of the account and %d of all", sum, w.sim.CallsOf("logs", "FilterLogEvents"))
	}
	w.sim.ResetCalls()
	if len(w.sim.Calls()) != 0 {
		t.Error("the counters were not reset")
	}
}
