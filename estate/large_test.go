package estate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// largeRegions are those that AWS enables in every account.
var largeRegions = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
	"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

// direct carries calls to a handler without a network, each after a time on the
// way, so that a test can run on a clock that is not real.
type direct struct {
	handler http.Handler
	latency time.Duration
}

func (d direct) Do(r *http.Request) (*http.Response, error) {
	timer := time.NewTimer(d.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	in := r.Clone(r.Context())
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.ContentLength > 0 {
		in.Header.Set("Content-Length", strconv.FormatInt(in.ContentLength, 10))
	}
	out := httptest.NewRecorder()
	d.handler.ServeHTTP(out, in)
	return out.Result(), nil
}

// largeWorld is an organization with 1,000 accounts, 17 regions each, and 3,000 APIs
// in all, divided by scale.
func largeWorld(tb testing.TB, scale int, latency time.Duration, opts Options) (*awssim.Sim, *Discoverer) {
	tb.Helper()
	sim := awssim.New(awssim.Options{EnforceQuotas: true})
	security := sim.Account(securityID).SetName("security")
	hub := security.AddRole(awssim.Role{Name: "Hub", Allow: []string{"sts:*", "organizations:*", "apigateway:*", "logs:*", "eks:*"}})
	sim.AddLargeEstate(awssim.LargeEstate{
		Accounts: 1000 / scale, APIs: 3000 / scale, Regions: largeRegions, Management: securityID,
		Role: awssim.Role{Name: "Collector", TrustedPrincipals: []string{hub}, Allow: readRights},
	})
	base := security.Session("Hub", "test", time.Hour)
	accounts, err := account.New(account.Config{Organization: true, RoleName: "Collector", Regions: largeRegions}, account.Options{
		HTTPClient: direct{sim.Handler(), latency},
		BaseConfig: &aws.Config{
			Region: region, BaseEndpoint: aws.String("http://awssim.invalid"),
			Credentials: credentials.NewStaticCredentialsProvider(base.AccessKeyID, base.SecretAccessKey, base.SessionToken),
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	d, err := New(accounts, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return sim, d
}

func calls(sim *awssim.Sim) (all, throttled int) {
	for _, c := range sim.Calls() {
		all += c.Calls
		throttled += c.Throttled
	}
	return all, throttled
}

func throttledCalls(sim *awssim.Sim) map[string]int {
	by := map[string]int{}
	for _, c := range sim.Calls() {
		if c.Throttled > 0 {
			by[c.Service+":"+c.Operation] += c.Throttled
		}
	}
	return by
}

// TestDiscoverLargeEstate discovers a large estate within AWS's quotas, twice, on a
// clock that is not real. A fortieth of the organization is read with a fortieth of
// the concurrency, which takes as long; GATEHOUSE_LARGE_ESTATE=1 reads all of it.
func TestDiscoverLargeEstate(t *testing.T) { //nolint:paralleltest // synctest tests cannot be parallel
	scale := 40
	if os.Getenv("GATEHOUSE_LARGE_ESTATE") != "" {
		scale = 1
	}
	const latency = 200 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		sim, d := largeWorld(t, scale, latency, Options{Concurrency: max(1, defaultConcurrency/scale)})
		var snapshots []*Snapshot
		for _, run := range []struct {
			name   string
			within time.Duration
		}{{"first", 3 * time.Minute}, {"second", time.Minute}} {
			sim.ResetCalls()
			start := time.Now()
			s := mustDiscover(t, d)
			took := time.Since(start)
			n, throttled := calls(sim)
			t.Logf("%s discovery: %v, %d calls of %v each, %d throttled", run.name, took.Round(time.Millisecond), n, latency, throttled)
			if took > run.within {
				t.Errorf("the %s discovery took %v, want less than %v", run.name, took, run.within)
			}
			if throttled > n/1000 {
				t.Errorf("%d of %d calls were throttled: %+v", throttled, n, throttledCalls(sim))
			}
			totals := s.Totals()
			if totals.APIs != 3000/scale || totals.AccountsUnread != 0 || totals.RegionsUnread != 0 {
				t.Errorf("%+v", totals)
			}
			snapshots = append(snapshots, s)
		}
		if changes := Diff(snapshots[0], snapshots[1]); len(changes) != 0 {
			t.Errorf("%d changes where nothing changed, the first %+v", len(changes), changes[0])
		}
	})
}

func mustDiscover(tb testing.TB, d *Discoverer) *Snapshot {
	tb.Helper()
	s, err := d.Discover(context.WithoutCancel(tb.Context()), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// BenchmarkDiscoverLargeEstate discovers 1,000 accounts with 17 regions each and
// 3,000 APIs in real time, within AWS's quotas and with no time on the way: what it
// shows is the work of the client, of the simulator beside it, and the quotas.
func BenchmarkDiscoverLargeEstate(b *testing.B) {
	if testing.Short() {
		b.Skip("takes minutes")
	}
	for b.Loop() {
		_, d := largeWorld(b, 1, 0, Options{})
		start := time.Now()
		mustDiscover(b, d)
		first := time.Since(start)
		start = time.Now()
		s := mustDiscover(b, d)
		second := time.Since(start)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(first.Seconds(), "first-s")
		b.ReportMetric(second.Seconds(), "second-s")
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MB")
		b.ReportMetric(float64(s.Totals().APIs), "APIs")
	}
}
