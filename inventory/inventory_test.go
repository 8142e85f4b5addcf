package inventory

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

var _ collect.Observer = (*Inventory)(nil)

// routed is a call whose route the logs name.
func routedCall(id, method, route string, source transaction.RouteSource) *transaction.Transaction {
	t := ok("/some/path")
	t.ID, t.Method, t.Route, t.RouteSource = id, method, route, source
	return t
}

func observe(inv *Inventory, calls ...*transaction.Transaction) { inv.Observe(calls) }

func changes(t *testing.T, inv *Inventory) *Changes {
	t.Helper()
	c, ok := inv.Changes().(*Changes)
	if !ok {
		t.Fatal("no changes after calls were observed")
	}
	return c
}

func TestProbesMakeNoEndpoints(t *testing.T) {
	t.Parallel()
	with := func(change func(*transaction.Transaction)) *transaction.Transaction {
		c := ok("/wp-login.php")
		change(c)
		return c
	}
	status := func(n int) func(*transaction.Transaction) {
		return func(c *transaction.Transaction) { c.Response.Status = n }
	}
	failed := func(kind string, n int) func(*transaction.Transaction) {
		return func(c *transaction.Transaction) {
			c.Error = &transaction.Error{Type: kind}
			c.Response.Status = n
		}
	}
	for name, c := range map[string]struct {
		call     *transaction.Transaction
		endpoint bool
		probe    bool
	}{
		"200":                               {with(status(200)), true, false},
		"302":                               {with(status(302)), true, false},
		"400":                               {with(status(400)), true, false},
		"401":                               {with(status(401)), true, false},
		"403":                               {with(status(403)), false, true},
		"404":                               {with(status(404)), false, true},
		"429":                               {with(status(429)), false, false},
		"500":                               {with(status(500)), false, false},
		"no status":                         {with(func(c *transaction.Transaction) { c.Response = nil }), false, false},
		"missing authentication token":      {with(failed("MISSING_AUTHENTICATION_TOKEN", 403)), false, true},
		"resource not found":                {with(failed("RESOURCE_NOT_FOUND", 200)), false, true},
		"blocked by WAF":                    {with(failed("WAF_FILTERED", 403)), false, true},
		"throttled without a path":          {with(func(c *transaction.Transaction) { c.Path, c.Response.Status = "", 429 }), false, false},
		"403 of a route from the log":       {routedCall("a", "GET", "/a", transaction.RouteFromAccessLog), true, false},
		"WebSocket message without a route": {with(func(c *transaction.Transaction) { c.APIType = transaction.WebSocket }), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.call.Route != "" {
				c.call.Response.Status = 403
				c.call.Error = &transaction.Error{Type: "MISSING_AUTHENTICATION_TOKEN"}
			}
			inv := newTest()
			observe(inv, c.call)
			live := inv.Live()
			if (live.Endpoints == 1) != c.endpoint || (live.Probes == 1) != c.probe {
				t.Errorf("%d endpoints and %d probes; want an endpoint: %v, a probe: %v", live.Endpoints, live.Probes, c.endpoint, c.probe)
			}
			got := changes(t, inv)
			if len(got.Minutes) != 2 || got.Minutes[0].Calls != 1 {
				t.Errorf("the call is missing in the traffic: %+v", got.Minutes)
			}
			if !c.endpoint && (len(got.Stages) != 1 || got.Stages[0].Probes+got.Stages[0].Unrouted != 1) {
				t.Errorf("the call is not counted for its stage: %+v", got.Stages)
			}
		})
	}
}

// What fails counts for an endpoint that is known from calls that did not.
func TestFailuresOfKnownPaths(t *testing.T) {
	t.Parallel()
	inv := newTest()
	observe(inv, ok("/users/1"))
	for _, status := range []int{404, 403, 500, 429} {
		c := ok("/users/2")
		c.Response.Status = status
		observe(inv, c)
	}
	if d := cmp.Diff([]string{"GET /users/{userId} 5"}, routes(inv)); d != "" {
		t.Errorf("routes (-want +got):\n%s", d)
	}
	e := changes(t, inv).Endpoints[0]
	if e.Errors4xx != 3 || e.Errors5xx != 1 {
		t.Errorf("errors %d and %d; want 3 and 1", e.Errors4xx, e.Errors5xx)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	inv := newTest()
	for _, method := range []string{"GET", "HEAD", "", "FOO", "BAR", "get"} {
		observe(inv, routedCall(method, method, "$default", transaction.RouteFromAccessLog))
	}
	socket := func(route, event string) {
		c := routedCall(route+event, "", route, transaction.RouteFromAccessLog)
		c.APIType, c.APIID, c.EventType = transaction.WebSocket, "ws", event
		observe(inv, c)
	}
	socket("$connect", "CONNECT")
	socket("$connect", "")
	socket("$disconnect", "")
	socket("sendMessage", "MESSAGE")
	socket("sendMessage", "")
	want := []string{
		"ANY $default 1", "CONNECT $connect 2", "DISCONNECT $disconnect 1", "GET $default 1", "HEAD $default 1",
		"MESSAGE sendMessage 2", "OTHER $default 3",
	}
	if d := cmp.Diff(want, routes(inv)); d != "" {
		t.Errorf("routes (-want +got):\n%s", d)
	}
}

func TestBetterSourceTakesOver(t *testing.T) {
	t.Parallel()
	inv := newTest()
	observe(inv, ok("/users/1"), ok("/users/2"), ok("/pets/1"))
	// The same template: one endpoint, with the better source from now on.
	observe(inv, routedCall("a", "GET", "/users/{userId}", transaction.RouteFromEstate))
	observe(inv, routedCall("b", "GET", "/users/{userId}", transaction.RouteFromAccessLog))
	observe(inv, routedCall("c", "GET", "/users/{userId}", transaction.RouteFromEstate))
	// Another name for it: the learned one keeps what it has.
	observe(inv, routedCall("d", "GET", "/pets/{name}", transaction.RouteFromEstate))
	observe(inv, ok("/users/3"))
	want := []string{"GET /pets/{name} 1", "GET /pets/{petId} 1", "GET /users/{userId} 6"}
	if d := cmp.Diff(want, routes(inv)); d != "" {
		t.Errorf("routes (-want +got):\n%s", d)
	}
	for _, e := range changes(t, inv).Endpoints {
		want := map[string]transaction.RouteSource{
			"/pets/{name}": transaction.RouteFromEstate, "/pets/{petId}": transaction.RouteLearned,
			"/users/{userId}": transaction.RouteFromAccessLog,
		}[e.Route]
		if e.RouteSource != want {
			t.Errorf("%s has source %s; want %s", e.Route, e.RouteSource, want)
		}
	}
}

// A path that a better source names as it is never becomes part of a template.
func TestNamedSiblingsStay(t *testing.T) {
	t.Parallel()
	inv := newTest()
	observe(inv, ok("/users/export-all/orders"), routedCall("x", "GET", "/users/export-all/orders", transaction.RouteFromEstate))
	for _, w := range words(8) {
		observe(inv, ok("/users/"+w+"/orders"))
	}
	want := []string{"GET /users/export-all/orders 2", "GET /users/{userId}/orders 8"}
	if d := cmp.Diff(want, routes(inv)); d != "" {
		t.Errorf("routes (-want +got):\n%s", d)
	}
}

func TestEndpointKnowsItsCalls(t *testing.T) {
	t.Parallel()
	inv := newTest()
	for i, status := range []int{200, 200, 201, 404, 503} {
		c := routedCall(fmt.Sprint("t", i), "GET", "/a", transaction.RouteFromAccessLog)
		c.Response.Status = status
		c.Time = transaction.Time(now.Add(-time.Duration(i) * time.Minute).UnixMilli())
		latency := int64(10 * (i + 1))
		c.LatencyMS = &latency
		c.Visibility = []transaction.Visibility{transaction.Metadata, transaction.Truncated, transaction.Metadata}[i%3]
		if i > 0 {
			c.Caller = &transaction.Caller{Kind: transaction.CallerIAM, ARN: fmt.Sprintf("arn:aws:iam::1:user/u%d", i%2), Account: "1"}
		}
		observe(inv, c)
	}
	c := changes(t, inv)
	saved := c.Endpoints[0]
	d, keys, err := NewDetail(saved.Endpoint, saved.State)
	if err != nil {
		t.Fatalf("NewDetail: %v", err)
	}
	if d.Calls != 5 || d.Errors4xx != 1 || d.Errors5xx != 1 || d.Callers != 2 || d.Visibility != transaction.Truncated {
		t.Errorf("endpoint: %+v", d.Endpoint)
	}
	if !d.FirstSeen.Equal(now.Add(-4*time.Minute).Truncate(time.Millisecond)) || !d.LastSeen.Equal(now) {
		t.Errorf("seen from %s to %s", d.FirstSeen, d.LastSeen)
	}
	if diff := cmp.Diff(map[int]int64{200: 2, 201: 1, 404: 1, 503: 1}, d.Statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[transaction.CallerKind]int64{transaction.CallerUnknown: 1, transaction.CallerIAM: 4}, d.Kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[transaction.Visibility]int64{transaction.Truncated: 2, transaction.Metadata: 3}, d.Visibilities); diff != "" {
		t.Errorf("visibilities (-want +got):\n%s", diff)
	}
	if len(d.TopCallers) != 2 || d.TopCallers[0].Calls != 2 {
		t.Errorf("top callers: %+v", d.TopCallers)
	}
	// One of each class of status, the fuller one of those with the same.
	if diff := cmp.Diff([]string{"t1", "t3", "t4"}, keys); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
	if len(c.Samples) != 3 {
		t.Errorf("%d samples to save; want 3", len(c.Samples))
	}
	recent, err := DecodeRecent(saved.Minutes, now)
	if err != nil || !slices.Equal(recent[55:], []uint32{1, 1, 1, 1, 1}) {
		t.Errorf("recent minutes: %v, %v", recent, err)
	}
}

func TestChangesAreWholeAndOnce(t *testing.T) {
	t.Parallel()
	inv := newTest()
	if c := inv.Changes(); c != nil {
		t.Errorf("changes of a new inventory: %+v; want nil", c)
	}
	observe(inv, routedCall("a", "GET", "/a", transaction.RouteFromAccessLog), routedCall("b", "GET", "/b", transaction.RouteFromAccessLog))
	first := changes(t, inv)
	if c := inv.Changes(); c != nil {
		t.Errorf("changes when nothing was observed: %+v; want nil", c)
	}
	kept := fmt.Sprintf("%+v", first)
	observe(inv, routedCall("a2", "GET", "/a", transaction.RouteFromAccessLog))
	second := changes(t, inv)
	if fmt.Sprintf("%+v", first) != kept {
		t.Error("changes that were handed out changed")
	}
	if len(first.Endpoints) != 2 || len(second.Endpoints) != 1 || second.Endpoints[0].Calls != 2 || second.Sequence != first.Sequence+1 {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if second.Minutes[0].Calls != 1 {
		t.Errorf("minutes are not differences: %+v", second.Minutes)
	}
}

// A busy endpoint does not write a sample for every call, and a younger one
// takes the place of one that has grown old.
func TestSamplesAreRefreshed(t *testing.T) {
	t.Parallel()
	inv := newTest()
	samples := 0
	for i := range 600 { // ten minutes
		c := routedCall(fmt.Sprint("t", i), "GET", "/a", transaction.RouteFromAccessLog)
		c.Time = transaction.Time(now.Add(time.Duration(i-600) * time.Second).UnixMilli())
		observe(inv, c)
		samples += len(changes(t, inv).Samples)
	}
	if samples < 8 || samples > 12 {
		t.Errorf("%d samples were written in ten minutes; want about one a minute", samples)
	}
	observe(inv, routedCall("last", "GET", "/a", transaction.RouteFromAccessLog))
	_, keys, err := NewDetail(Endpoint{}, changes(t, inv).Endpoints[0].State)
	if err != nil || len(keys) != maxSamples {
		t.Fatalf("samples %v, %v; want %d", keys, err, maxSamples)
	}
	var at int
	if _, err := fmt.Sscanf(strings.TrimPrefix(keys[0], "t"), "%d", &at); keys[0] != "last" && (err != nil || at < 530) {
		t.Errorf("youngest sample is %s", keys[0])
	}
}

func TestSamplesAreBounded(t *testing.T) {
	t.Parallel()
	inv := newTest()
	c := routedCall("big", "GET", "/a", transaction.RouteFromAccessLog)
	headers := map[string][]string{"long": {strings.Repeat("ü", 50_000)}, "many": make([]string, 5000)}
	for i := range 500 {
		headers[fmt.Sprint("h", i)] = []string{"v"}
	}
	c.Request = &transaction.Request{Headers: headers, Body: strings.Repeat("ü", 500_000)}
	c.Response.Body = strings.Repeat("x", 500_000)
	observe(inv, c)
	got := changes(t, inv).Samples
	if len(got) != 1 || len(got[0].JSON) > 64<<10 || !strings.Contains(string(got[0].JSON), `"truncated":true`) {
		t.Errorf("%d samples, the first of %d bytes", len(got), len(got[0].JSON))
	}
	if len(c.Request.Body) != 1_000_000 || len(c.Request.Headers) != 502 || c.Request.Truncated {
		t.Error("the transaction itself was cut")
	}
}

func TestFullInventory(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	inv := New(Options{Clock: func() time.Time { return now }, MaxEndpoints: 10, Registerer: r})
	for i := range 50 {
		observe(inv, routedCall("a", "GET", fmt.Sprintf("/r%d", i), transaction.RouteFromAccessLog), ok("/l/"+words(100)[i]))
	}
	live := inv.Live()
	c := changes(t, inv)
	if live.Endpoints != 10 || !live.Full || c.Stages[0].Overflow != 90 {
		t.Errorf("%d endpoints, full: %v, %d calls to others; want 10, true, 90", live.Endpoints, live.Full, c.Stages[0].Overflow)
	}
	families, err := r.Gather()
	if err != nil || len(families) == 0 {
		t.Errorf("metrics: %v, %v", families, err)
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	clock := now
	inv := New(Options{Clock: func() time.Time { return clock }})
	for i := range 120 {
		c := routedCall(fmt.Sprint(i), "GET", fmt.Sprintf("/r%d", i%15), transaction.RouteFromAccessLog)
		c.Time = transaction.Time(now.Add(time.Duration(i-120) * time.Second).UnixMilli())
		if i%2 == 0 {
			c.Visibility = transaction.Full
		}
		observe(inv, c)
	}
	future := routedCall("f", "GET", "/r0", transaction.RouteFromAccessLog)
	future.Time = transaction.Time(now.Add(24 * time.Hour).UnixMilli()) // counted as of now
	observe(inv, future)

	live := inv.Live()
	if live.Endpoints != 15 || len(live.Newest) != 10 || live.Newest[0].Route != "/r14" {
		t.Errorf("%d endpoints, newest %+v", live.Endpoints, live.Newest)
	}
	if got := live.CallsPerSecond[transaction.Full]; got < 0.45 || got > 0.55 {
		t.Errorf("%g full calls a second; want 0.5", got)
	}
	if !live.Until.Equal(now.Truncate(time.Second)) || live.Coverage[transaction.Full] != 15 {
		t.Errorf("until %s, coverage %v", live.Until, live.Coverage)
	}
	clock = clock.Add(10 * time.Minute)
	if got := inv.Live().CallsPerSecond[transaction.Full]; got != 0 {
		t.Errorf("%g calls a second after ten silent minutes; want 0", got)
	}
}

// wideBody has more fields than an endpoint keeps.
var wideBody = func() string {
	var fields []string
	for i := range 60 {
		fields = append(fields, fmt.Sprintf(`"field_%c%c":"WORD"`, 'a'+i%26, 'a'+i/26))
	}
	return "{" + strings.Join(fields, ",") + "}"
}()

// busy makes calls that fill every part of an endpoint: many callers, a wide
// spread of latencies, many statuses, three samples.
func busy(n, round int) []*transaction.Transaction {
	out := make([]*transaction.Transaction, n)
	for i := range out {
		c := routedCall(fmt.Sprintf("%032x", i*100_003+round), "GET", fmt.Sprintf("/resources/%d/{resourceId}/items/{itemId}", i), transaction.RouteFromAccessLog)
		latency := int64(1) << (round % 20)
		c.LatencyMS = &latency
		c.Response.Status = 200 + 20*(round%16)
		c.Caller = &transaction.Caller{
			Kind:    transaction.CallerIAM,
			ARN:     fmt.Sprintf("arn:aws:sts::123456789012:assumed-role/some-service-role-with-a-name-%d/session", round),
			Account: "123456789012",
		}
		c.Response.Body = `{"data":"` + strings.Repeat("x", 2000) + `"}`
		out[i] = c
	}
	return out
}

// Memory: at most 8 KB an endpoint, however it is called.
func TestMemoryOfEndpoints(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("observes a million calls, and the race detector keeps memory of its own")
	}
	const endpoints, bound = 10_000, 8 << 10
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	inv := newTest()
	batch := busy(endpoints, 0)
	for round := range 140 { // more callers than are counted exactly
		// Samples that wait keep their transaction, so it is another each time.
		c := busy(1, round)[0]
		c.Response.Body = ""
		if round%20 == 0 {
			c.Response.Body, c.Request = wideBody, &transaction.Request{Body: wideBody}
			c.Query = map[string][]string{"page": {"1"}, "size": {"10"}, "sort": {"name"}, "order": {"asc"}}
		}
		for i, t := range batch {
			next := *t
			next.ID = fmt.Sprintf("%d-%d", i, round)
			next.LatencyMS, next.Response, next.Caller, next.Request, next.Query = c.LatencyMS, c.Response, c.Caller, c.Request, c.Query
			batch[i] = &next
		}
		inv.Observe(batch)
		if round%50 == 0 {
			_ = inv.Changes()
		}
	}
	_ = inv.Changes()
	each := (heap() - before) / endpoints
	t.Logf("%d bytes an endpoint", each)
	if each > bound {
		t.Errorf("%d bytes an endpoint; want at most %d", each, bound)
	}
	runtime.KeepAlive(inv)
}

// Calls to endpoints that are known, by callers that are known, allocate
// nothing but now and then a sample.
func TestObserveAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	inv := newTest()
	batch := append(busy(200, 1), busy(200, 2)...)
	for i := range 100 {
		batch = append(batch, ok(fmt.Sprintf("/users/%d/orders", i)))
	}
	inv.Observe(batch)
	if n := testing.AllocsPerRun(20, func() { inv.Observe(batch) }); n > 5 {
		t.Errorf("%g allocations for %d calls; want none", n, len(batch))
	}
}

func BenchmarkObserve(b *testing.B) {
	inv := newTest()
	var batch []*transaction.Transaction
	for round := range 8 {
		batch = append(batch, busy(500, round)...)
	}
	inv.Observe(batch)
	b.ReportAllocs()
	for b.Loop() {
		inv.Observe(batch)
	}
	b.ReportMetric(float64(len(batch))*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkChanges(b *testing.B) {
	inv := newTest()
	for round := range 40 {
		inv.Observe(busy(1000, round))
	}
	batch := busy(1000, 41)
	b.ReportAllocs()
	for b.Loop() {
		inv.Observe(batch)
		_ = inv.Changes()
	}
}
