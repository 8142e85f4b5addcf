package account

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	accountapi "github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func filterIn(region string) call {
	return call{account: ordersID, region: region, service: serviceLogs, operation: "FilterLogEvents"}
}

// elapsed runs n calls at once and returns how long all of them waited.
func elapsed(t *testing.T, l *limiter, c call, n int) time.Duration {
	t.Helper()
	start := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := l.wait(t.Context(), c); err != nil {
				t.Errorf("wait: %v", err)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func TestLimiterStaysBelowTheQuota(t *testing.T) {
	t.Parallel()
	for region, perSecond := range map[string]float64{"us-east-1": 25, "eu-west-1": 10, "eu-central-1": 5} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(time.Now, nil, nil)
				const n = 200
				got := n / elapsed(t, l, filterIn(region), n).Seconds()
				if got > perSecond*0.9 || got < perSecond*0.8 {
					t.Errorf("%.2f calls a second of %v", got, perSecond)
				}
			})
		})
	}
}

func TestLimiterOverride(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(time.Now, map[string]float64{"FilterLogEvents": 2}, nil)
		if got := elapsed(t, l, filterIn("us-east-1"), 21); got != 10*time.Second {
			t.Errorf("20 calls at 2 a second after the first took %v", got)
		}
	})
}

func TestLimiterSharesTheControlPlane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(time.Now, nil, nil)
		stages := call{account: ordersID, region: region, service: serviceAPIGateway, operation: "GetStages"}
		apis := call{account: ordersID, region: region, service: serviceAPIGatewayV2, operation: "GetApis"}
		if got := elapsed(t, l, stages, 34); got != 0 {
			t.Errorf("a burst of 34 waited %v", got)
		}
		if got := elapsed(t, l, apis, 85); got < 9*time.Second || got > 11*time.Second {
			t.Errorf("85 calls at 8.5 a second took %v: the two services do not share their quota", got)
		}
		time.Sleep(time.Minute)
		resources := stages
		resources.operation = "GetResources"
		if got := elapsed(t, l, resources, 4+17); got < 7*time.Second || got > 9*time.Second {
			t.Errorf("GetResources has 5 calls every 2 s; 17 after the burst took %v", got)
		}
	})
}

func TestLimiterSlowsDownAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(time.Now, map[string]float64{"FilterLogEvents": 10}, nil)
		c := filterIn(region)
		current := func() float64 {
			if err := l.wait(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			return l.buckets[bucketKey{c.account, c.region, "FilterLogEvents"}].current
		}
		if got := current(); got != 10 {
			t.Fatalf("begins at %v", got)
		}
		for range 20 { // the calls that were already under way
			l.throttled(c)
		}
		if got := current(); got != 7 {
			t.Errorf("after one throttle: %v", got)
		}
		time.Sleep(30 * time.Second)
		if got := current(); math.Abs(got-10) > 0.01 {
			t.Errorf("30 s later: %v", got)
		}
		for range 50 {
			l.throttled(c)
			time.Sleep(2 * time.Second)
		}
		if got := current(); got < 1 || got > 1.6 {
			t.Errorf("under constant throttling: %v, want the floor", got)
		}
		time.Sleep(2 * time.Minute)
		if got := current(); got != 10 {
			t.Errorf("2 minutes later: %v", got)
		}
	})
}

func TestLimiterGivesBackWhatACanceledCallTook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(time.Now, map[string]float64{"FilterLogEvents": 1}, nil)
		elapsed(t, l, filterIn(region), 1)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := l.wait(ctx, filterIn(region)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("wait: %v", err)
				}
			})
		}
		wg.Wait()
		if got := elapsed(t, l, filterIn(region), 1); got > 5*time.Second {
			t.Errorf("the next call waited %v for calls that were never made", got)
		}
	})
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(time.Now, nil, nil)
		l.max = 100
		for i := range 1000 {
			c := filterIn(region)
			c.account = fmt.Sprint(i)
			if err := l.wait(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if len(l.buckets) > 100 {
			t.Errorf("%d buckets", len(l.buckets))
		}
		if _, ok := l.buckets[bucketKey{"999", region, "FilterLogEvents"}]; !ok {
			t.Error("the newest was evicted")
		}
	})
}

func TestEveryQuotaIsReached(t *testing.T) {
	t.Parallel()
	for _, q := range quotas {
		for _, service := range q.services {
			operations := q.operations
			if len(operations) == 0 {
				operations = []string{"ListThings"}
			}
			for _, operation := range operations {
				found := false
				for _, hit := range quotasOf(service, operation) {
					found = found || hit.name == q.name
				}
				if !found {
					t.Errorf("%s %s does not count against %s", service, operation, q.name)
				}
			}
		}
	}
	// The names must be those that the SDK gives, or the table is never asked.
	for name, id := range map[string]string{
		serviceLogs: cloudwatchlogs.ServiceID, serviceMetrics: cloudwatch.ServiceID, serviceAPIGateway: apigateway.ServiceID, serviceAPIGatewayV2: apigatewayv2.ServiceID,
		serviceSTS: sts.ServiceID, serviceOrganizations: organizations.ServiceID, serviceAccount: accountapi.ServiceID,
		serviceLambda: lambda.ServiceID, serviceWAFV2: wafv2.ServiceID,
	} {
		if name != id {
			t.Errorf("the SDK calls %q %q", name, id)
		}
	}
}

// TestClientsAndRetriesShareTheLimit lets two clients of the SDK read while AWS
// throttles: every attempt of both must have waited its turn.
func TestClientsAndRetriesShareTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		cfg := viaHub()
		cfg.Quota = map[string]float64{"FilterLogEvents": 2}
		w := setup(t, cfg, func(o *Options) { o.Registerer = registry })
		w.sim.Account(ordersID).Region(region).Logs().CreateGroup("g")
		targets, _ := w.Targets(t.Context())
		w.sim.Inject(awssim.Fault{Kind: awssim.Throttle, Operation: "FilterLogEvents", Times: 3})
		before := w.wire.count()

		var wg sync.WaitGroup
		for range 2 {
			client := cloudwatchlogs.NewFromConfig(w.Config(targets[0], region))
			wg.Go(func() {
				for range 5 {
					_, err := client.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")})
					if err != nil {
						t.Errorf("FilterLogEvents: %v", err)
					}
				}
			})
		}
		wg.Wait()
		sent := w.wire.requests[before:]
		if len(sent) != 13 {
			t.Errorf("%d requests for 10 calls, 3 of them throttled", len(sent))
		}
		for i := 1; i < len(sent); i++ {
			if gap := sent[i].at.Sub(sent[i-1].at); gap < 499*time.Millisecond {
				t.Errorf("request %d came %v after the one before: it passed the limit by", i, gap)
			}
		}
		if got := counterOf(t, registry, "gatehouse_aws_throttles_total"); got != 3 {
			t.Errorf("the metric counts %v throttles", got)
		}
	})
}

func TestACutReadIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t, viaHub())
		logs := w.sim.Account(ordersID).Region(region).Logs()
		logs.CreateGroup("g")
		logs.Put("g", "s", awssim.LogEvent{Timestamp: time.Now().UnixMilli(), Message: strings.Repeat("x", 2000)})
		targets, _ := w.Targets(t.Context())
		client := cloudwatchlogs.NewFromConfig(w.Config(targets[0], region))
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")}

		w.sim.Inject(awssim.Fault{Kind: awssim.CutConnection, Operation: "FilterLogEvents", Times: 2})
		out, err := client.FilterLogEvents(t.Context(), in)
		if err != nil || len(out.Events) != 1 {
			t.Fatalf("after two cut answers: %v", err)
		}
		w.sim.Inject(awssim.Fault{Kind: awssim.CutConnection, Operation: "FilterLogEvents"})
		if _, err := client.FilterLogEvents(t.Context(), in); Classify(err) != Cut {
			t.Errorf("an answer that is always cut is %q: %v", Classify(err), err)
		}
	})
}

func TestASessionThatAWSEndsIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t, viaHub())
		targets, _ := w.Targets(t.Context())
		client := cloudwatchlogs.NewFromConfig(w.Config(targets[0], region))
		time.Sleep(time.Minute)
		w.sim.ExpireSessions(ordersID, "Collector")
		if _, err := client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{}); err != nil {
			t.Errorf("after the session was ended: %v", err)
		}
	})
}

func TestAnAttemptThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		hang := clientFunc(func(r *http.Request) (*http.Response, error) {
			calls++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		a, err := New(Config{}, Options{
			HTTPClient: hang, MaxAttempts: 3, AttemptTimeout: 10 * time.Second,
			BaseConfig: baseConfig(credentials.NewStaticCredentialsProvider("ASIA", "s", "t")),
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = cloudwatchlogs.NewFromConfig(a.Config(Target{Account: ordersID}, region)).
			DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
		if Classify(err) != Transient || calls != 3 || time.Since(start) > 2*time.Minute {
			t.Errorf("%d attempts in %v: %q %v", calls, time.Since(start), Classify(err), err)
		}
	})
}

// counterOf sums a counter over its labels.
func counterOf(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

// clientFunc is an HTTP client made of a function.
type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }
