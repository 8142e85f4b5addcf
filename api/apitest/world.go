package apitest

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/tail"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// The accounts of the world.
const (
	Security   = "111111111111"
	Orders     = "222222222222"
	Catalog    = "333333333333"
	Storefront = "444444444444"
	Payments   = "555555555555"
)

// Empty is a world on its first second: nothing found, nothing read.
func Empty(now time.Time) *World {
	return &World{Status: collect.Health{Started: now}, Tail: tail.New(tail.Options{})}
}

type route struct {
	account, region, api, name, stage string
	kind                              transaction.APIType
	method, path                      string
	auth                              string
	source                            transaction.RouteSource
	visibility                        transaction.Visibility
	perMinute                         float64
	errors4xx, errors5xx              float64
	p50                               float64
	caller                            transaction.CallerKind
}

var routes = []route{
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "prod", transaction.REST, "GET", "/", "AWS_IAM", transaction.RouteFromAccessLog, transaction.Full, 62, .004, .001, 12, transaction.CallerIAM},
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "prod", transaction.REST, "GET", "/orders", "AWS_IAM", transaction.RouteFromAccessLog, transaction.Full, 184, .01, .0005, 23, transaction.CallerIAM},
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "prod", transaction.REST, "POST", "/orders", "AWS_IAM", transaction.RouteFromAccessLog, transaction.Truncated, 41, .06, .012, 87, transaction.CallerIAM},
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "prod", transaction.REST, "GET", "/orders/{orderId}", "AWS_IAM", transaction.RouteFromAccessLog, transaction.Full, 240, .03, .0004, 18, transaction.CallerIAM},
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "prod", transaction.REST, "PUT", "/orders/{orderId}", "AWS_IAM", transaction.RouteFromAccessLog, transaction.Full, 12, .08, .002, 64, transaction.CallerIAM},
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "prod", transaction.REST, "DELETE", "/orders/{orderId}", "AWS_IAM", transaction.RouteFromAccessLog, transaction.Full, 1.2, .3, 0, 41, transaction.CallerIAM},
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "prod", transaction.REST, "GET", "/orders/{orderId}/items/{itemId}", "AWS_IAM", transaction.RouteFromSourceARN, transaction.Full, 75, .02, 0, 21, transaction.CallerIAM},
	{Orders, "eu-west-1", "a1b2c3d4e5", "orders", "dev", transaction.REST, "GET", "/orders", "AWS_IAM", transaction.RouteFromEstate, transaction.Metadata, .4, .1, .1, 30, transaction.CallerIAM},
	{Orders, "us-east-1", "u9v8w7x6y5", "orders-reports", "prod", transaction.REST, "GET", "/reports/{year}/{month}", "CUSTOM", transaction.RouteFromAPIKeyLine, transaction.Full, 3, 0, .15, 2350, transaction.CallerAPIKey},
	{Catalog, "eu-west-1", "h7t8t9p0a1", "catalog", "$default", transaction.HTTP, "GET", "/products", "JWT", transaction.RouteFromAccessLog, transaction.Metadata, 510, .002, .0002, 9, transaction.CallerJWT},
	{Catalog, "eu-west-1", "h7t8t9p0a1", "catalog", "$default", transaction.HTTP, "GET", "/products/{sku}", "JWT", transaction.RouteFromAccessLog, transaction.Metadata, 820, .04, .0002, 7, transaction.CallerJWT},
	{Catalog, "eu-west-1", "h7t8t9p0a1", "catalog", "$default", transaction.HTTP, "ANY", "$default", "NONE", transaction.RouteFromAccessLog, transaction.Metadata, 6, .9, 0, 3, transaction.CallerAnonymous},
	{Catalog, "eu-west-1", "w5s6c7h8t9", "chat", "live", transaction.WebSocket, "", "$connect", "CUSTOM", transaction.RouteFromAccessLog, transaction.Full, 22, .07, 0, 31, transaction.CallerLambda},
	{Catalog, "eu-west-1", "w5s6c7h8t9", "chat", "live", transaction.WebSocket, "", "sendMessage", "NONE", transaction.RouteFromAccessLog, transaction.Full, 340, 0, .003, 15, transaction.CallerUnknown},
	{Catalog, "eu-west-1", "w5s6c7h8t9", "chat", "live", transaction.WebSocket, "", "$disconnect", "NONE", transaction.RouteFromAccessLog, transaction.Full, 21, 0, 0, 6, transaction.CallerUnknown},
	{Catalog, "eu-west-1", "f0r6o7t8n9", "customers-old", "v1", transaction.REST, "GET", "/customers/{id}", "NONE", transaction.RouteLearned, transaction.Full, 4, .2, 0, 140, transaction.CallerAnonymous},
	{Catalog, "eu-west-1", "f0r6o7t8n9", "customers-old", "v1", transaction.REST, "GET", "/customers/{id}/addresses", "NONE", transaction.RouteLearned, transaction.Full, 1.5, .2, 0, 155, transaction.CallerAnonymous},
	{Catalog, "eu-west-1", "f0r6o7t8n9", "customers-old", "v1", transaction.REST, "PATCH", "/customers/{id}/preferences/notifications/{channel}/digest", "NONE", transaction.RouteLearned, transaction.Truncated, .6, .4, .01, 310, transaction.CallerAnonymous},
	{Catalog, "eu-central-1", "s1e2a3r4c5", "search", "prod", transaction.HTTP, "POST", "/search", "NONE", transaction.RouteFromAccessLog, transaction.Metadata, 130, .01, .02, 95, transaction.CallerUnknown},
	{Catalog, "eu-central-1", "s1e2a3r4c5", "search", "prod", transaction.HTTP, "OPTIONS", "/search", "NONE", transaction.RouteFromAccessLog, transaction.Metadata, 60, 0, 0, 2, transaction.CallerAnonymous},
}

func digest(parts ...any) string {
	h := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return base64.RawURLEncoding.EncodeToString(h[:12])
}

// Rich is a world in which everything is there to be seen: three kinds of API,
// four accounts that can be read and one that cannot, gaps in the traffic,
// stages without logs, a sink that is down. It is the same for the same now.
func Rich(now time.Time) *World {
	now = now.UTC()
	rnd := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // Data to look at, not a secret.
	w := &World{Estates: snapshot(now), Tail: tail.New(tail.Options{})}
	var calls []*transaction.Transaction
	for i, r := range routes {
		w.Details = append(w.Details, detail(now, rnd, i, r))
		calls = append(calls, w.Details[i].Samples...)
	}
	slices.SortStableFunc(calls, func(a, b *transaction.Transaction) int { return cmp.Compare(a.Time, b.Time) })
	w.Tail.Observe(calls)
	w.Minutes = traffic(now, rnd)
	w.Status = health(now)
	return w
}

func detail(now time.Time, rnd *rand.Rand, i int, r route) *inventory.Detail {
	days := 1 + (i*37)%29
	calls := int64(r.perMinute * 60 * 24 * float64(days))
	e4, e5 := int64(float64(calls)*r.errors4xx), int64(float64(calls)*r.errors5xx)
	first := now.Add(-time.Duration(days) * 24 * time.Hour)
	if i%6 == 5 {
		first = now.Add(-time.Duration(90+i*7) * time.Second)
	}
	e := inventory.Endpoint{
		ID:      digest(r.account, r.region, r.api, r.stage, r.method, r.path),
		Key:     inventory.Key{APIType: r.kind, Account: r.account, Region: r.region, APIID: r.api, Stage: r.stage, Method: r.method, Route: r.path},
		APIName: r.name, RouteSource: r.source, Visibility: r.visibility,
		FirstSeen: first, LastSeen: now.Add(-time.Duration(float64(time.Second) * (1 + 60/r.perMinute))),
		Calls: calls, Errors4xx: e4, Errors5xx: e5, Callers: int64(2 + (i*7)%40),
		LatencyP50: r.p50, LatencyP95: r.p50 * 3.4, LatencyP99: r.p50 * 9.1,
	}
	for m := range 60 {
		wave := 1 + .5*math.Sin(float64(m+i*9)/7)
		e.Recent = append(e.Recent, uint32(r.perMinute*wave*(.7+.6*rnd.Float64())))
	}
	d := &inventory.Detail{
		Endpoint:     e,
		Statuses:     map[int]int64{200: calls - e4 - e5},
		Kinds:        map[transaction.CallerKind]int64{r.caller: calls},
		Visibilities: map[transaction.Visibility]int64{r.visibility: calls},
	}
	if r.visibility == transaction.Truncated {
		d.Visibilities = map[transaction.Visibility]int64{transaction.Full: calls * 8 / 10, transaction.Truncated: calls - calls*8/10}
	}
	for status, share := range map[int]float64{403: .5, 404: .3, 429: .2} {
		if n := int64(float64(e4) * share); n > 0 {
			d.Statuses[status] = n
		}
	}
	if e5 > 0 {
		d.Statuses[502], d.Statuses[504] = e5*2/3, e5-e5*2/3
	}
	left := calls
	for _, up := range []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 29000} {
		share := math.Exp(-math.Pow(math.Log(up/r.p50), 2) / 1.2)
		n := min(left, int64(float64(calls)*share*.42))
		left -= n
		d.LatencyBuckets = append(d.LatencyBuckets, inventory.LatencyBucket{UpToMS: up, Calls: n})
	}
	d.TopCallers = callers(now, r, calls)
	for s := range 3 {
		d.Samples = append(d.Samples, sample(now, r, s))
	}
	return d
}

func callers(now time.Time, r route, calls int64) []inventory.CallerCount {
	switch r.caller {
	case transaction.CallerIAM:
		return []inventory.CallerCount{
			{Kind: r.caller, Principal: "arn:aws:iam::" + Storefront + ":role/storefront-web", Account: Storefront, Calls: calls * 7 / 10, LastSeen: now.Add(-2 * time.Second)},
			{Kind: r.caller, Principal: "arn:aws:iam::" + Storefront + ":role/fulfilment/nightly-export-of-every-open-order", Account: Storefront, Calls: calls * 2 / 10, LastSeen: now.Add(-41 * time.Minute)},
			{Kind: transaction.CallerUnknown, Principal: "unknown", Calls: calls / 10, LastSeen: now.Add(-3 * time.Hour)},
		}
	case transaction.CallerJWT:
		return []inventory.CallerCount{
			{Kind: r.caller, Principal: "sub 5f1c…e2", Calls: calls / 2, LastSeen: now.Add(-time.Second)},
			{Kind: r.caller, Principal: "sub 90aa…17", Calls: calls / 3, LastSeen: now.Add(-9 * time.Second)},
		}
	default:
		return []inventory.CallerCount{{Kind: r.caller, Principal: string(r.caller), Calls: calls, LastSeen: now.Add(-7 * time.Second)}}
	}
}

func sample(now time.Time, r route, n int) *transaction.Transaction {
	latency, backend := int64(r.p50)+int64(n*11), int64(r.p50*.7)
	status := 200
	if n == 2 {
		status = 403
	}
	t := &transaction.Transaction{
		ID: digest("t", r.api, r.stage, r.method, r.path, n), Account: r.account, Region: r.region, APIID: r.api, APIType: r.kind, Stage: r.stage,
		RequestID: fmt.Sprintf("6f9c1d2e-7a3b-4c5d-8e9f-00000000000%d", n), ExtendedRequestID: "Zk9xYH5aDoEFhJw=",
		Time: transaction.Time(now.Add(-time.Duration(3+n*40) * time.Second).UnixMilli()), Method: r.method,
		Path: "/orders/8812", Route: r.path, RouteSource: r.source, Host: r.api + ".execute-api." + r.region + ".amazonaws.com",
		Protocol: "HTTP/1.1", SourceIP: "198.51.100.23", UserAgent: "aws-sdk-go-v2/1.47.7 ua/2.1 os/linux lang/go#1.26.8",
		Response: &transaction.Response{Status: status}, LatencyMS: &latency,
		Caller:     &transaction.Caller{Kind: r.caller},
		Visibility: r.visibility, Complete: n != 1, Sources: []transaction.Source{transaction.SourceAccess},
		Log: &transaction.Log{Group: "API-Gateway-Execution-Logs_" + r.api + "/" + r.stage, FirstEventID: "38194710274", Events: 14},
	}
	if r.caller == transaction.CallerIAM {
		t.Caller.ARN, t.Caller.Account = "arn:aws:sts::"+Storefront+":assumed-role/storefront-web/i-0a1b2c", Storefront
	}
	if status == 403 {
		t.Error = &transaction.Error{Type: "ACCESS_DENIED", Message: "User is not authorized to access this resource with an explicit deny"}
		t.Authorizer = &transaction.Authorizer{ID: "auth1", Outcome: "deny"}
	} else {
		t.Integration = &transaction.Integration{URI: "arn:aws:lambda:" + r.region + ":" + r.account + ":function:" + r.name, Status: 200, LatencyMS: &backend}
	}
	if r.visibility == transaction.Metadata {
		return t
	}
	t.Sources = append(t.Sources, transaction.SourceExecution)
	t.Query = map[string][]string{"expand": {"items"}, "token": {transaction.Redacted}}
	t.Request = &transaction.Request{Headers: map[string][]string{
		"accept": {"application/json"}, "authorization": {transaction.Redacted}, "x-forwarded-for": {"198.51.100.23", "10.0.0.7"},
		"x-amz-security-token": {transaction.Redacted}, "user-agent": {t.UserAgent},
	}, Body: `{"customer":{"name":"Ada Byron","email":"[redacted]"},"items":[{"sku":"BK-1843","quantity":2}],"note":"leave at the door"}`}
	t.Response.Headers = map[string][]string{"content-type": {"application/json"}, "x-amzn-requestid": {t.RequestID}}
	t.Response.Body = `{"id":123,"category":"book","price":12.5,"in_stock":true,"tags":["gift",null]}`
	if r.visibility == transaction.Truncated && n != 0 {
		t.Request.Truncated = true
		t.Request.Body = t.Request.Body[:60]
	}
	return t
}

func traffic(now time.Time, rnd *rand.Rand) []inventory.Minute {
	var out []inventory.Minute
	end := now.Truncate(time.Minute)
	for at := end.Add(-31 * 24 * time.Hour); !at.After(end); at = at.Add(time.Minute) {
		ago := end.Sub(at)
		if (ago > 21*time.Minute && ago < 27*time.Minute) || (ago > 9*time.Hour && ago < 11*time.Hour) || (ago > 52*time.Hour && ago < 70*time.Hour) {
			continue // not observed
		}
		day := 1 + .45*math.Sin(float64(at.Unix()%86400)/86400*2*math.Pi-2)
		calls := int64(2500 * day * (.9 + .2*rnd.Float64()))
		if at.Equal(end) {
			calls = calls * int64(now.Second()) / 60
		}
		e5 := int64(float64(calls) * .004 * rnd.Float64())
		if ago > 6*time.Minute && ago < 10*time.Minute {
			e5 = calls / 6
		}
		full, cut := calls*4/10, calls/20
		out = append(out, inventory.Minute{
			Time: at, Calls: calls, Errors4xx: int64(float64(calls) * .03), Errors5xx: e5,
			Full: full, Truncated: cut, Metadata: calls - full - cut,
		})
	}
	return out
}

func health(now time.Time) collect.Health {
	h := collect.Health{
		Started:        now.Add(-26 * time.Hour),
		CallsPerSecond: map[transaction.Visibility]float64{transaction.Full: 16.35, transaction.Truncated: .72, transaction.Metadata: 25.4},
	}
	type g struct {
		account, region, name, api, stage string
		kind                              transaction.APIType
		state                             string
		calls                             int64
		lag                               time.Duration
	}
	for i, x := range []g{
		{Orders, "eu-west-1", "API-Gateway-Execution-Logs_a1b2c3d4e5/prod", "a1b2c3d4e5", "prod", transaction.REST, "reading", 812_113, 12 * time.Second},
		{Orders, "eu-west-1", "API-Gateway-Execution-Logs_a1b2c3d4e5/dev", "a1b2c3d4e5", "dev", transaction.REST, "waiting", 318, 14 * time.Second},
		{Orders, "us-east-1", "API-Gateway-Execution-Logs_u9v8w7x6y5/prod", "u9v8w7x6y5", "prod", transaction.REST, "catching up", 4_512, 7*time.Minute + 12*time.Second},
		{Catalog, "eu-west-1", "/aws/apigateway/catalog-access", "h7t8t9p0a1", "$default", transaction.HTTP, "reading", 1_902_440, 11 * time.Second},
		{Catalog, "eu-west-1", "/aws/apigateway/w5s6c7h8t9/live", "w5s6c7h8t9", "live", transaction.WebSocket, "reading", 540_207, 13 * time.Second},
		{Catalog, "eu-west-1", "API-Gateway-Execution-Logs_f0r6o7t8n9/v1", "f0r6o7t8n9", "v1", transaction.REST, "reading", 9_017, 12 * time.Second},
		{Catalog, "eu-central-1", "/aws/vendedlogs/search", "s1e2a3r4c5", "prod", transaction.HTTP, "denied", 0, 3*time.Hour + 4*time.Minute},
		{Storefront, "eu-west-1", "API-Gateway-Execution-Logs_z9y8x7w6v5/prod", "", "", transaction.REST, "gone", 77, 26 * time.Minute},
	} {
		per := int64(1)
		if x.kind == transaction.REST {
			per = 13
		}
		b := collect.Books{
			Calls: x.calls, Assembled: x.calls * per, Unparsed: int64(i * 3), Filtered: int64(i * 11), Open: int64((i * 5) % 17),
			Doubles: x.calls / 50, Late: int64(i % 3), Incomplete: int64(i * 2), Pages: x.calls / 400, Bytes: x.calls * per * 180,
		}
		b.Read = b.Assembled + b.Unparsed + b.Filtered + b.Open
		b.EventsOnWire = b.Read + b.Doubles
		gh := collect.GroupHealth{
			Group: transaction.Group{Account: x.account, Region: x.region, Name: x.name, APIID: x.api, APIType: x.kind, Stage: x.stage},
			Books: b, Cursor: now.Add(-x.lag), Frontier: now.Add(-10 * time.Second), Lag: x.lag, OpenCalls: (i * 5) % 17, State: x.state,
			LastRead: now.Add(-3 * time.Second), LastEvent: now.Add(-x.lag), Amplification: 1 + float64(i)*.13,
			Check: collect.Check{State: collect.CheckComplete, Through: now.Add(-4 * time.Minute).Truncate(time.Minute), Minutes: 1560, Spared: 1500},
		}
		if i == 2 {
			gh.Check = collect.Check{State: collect.CheckRereading, Through: now.Add(-9 * time.Minute).Truncate(time.Minute), Minutes: 1551, Short: 3, Repaired: 2, Found: 41, Reread: 1230, Missing: 17}
		}
		switch x.state {
		case "denied":
			gh.Error = "AccessDeniedException: User: arn:aws:sts::333333333333:assumed-role/GatehouseCollector/gatehouse is not authorized to perform: logs:FilterLogEvents"
			gh.Mend = "allow logs:FilterLogEvents on arn:aws:logs:eu-central-1:333333333333:log-group:/aws/vendedlogs/search:* to GatehouseCollector"
			gh.ErrorSince, gh.Frontier, gh.LastEvent = now.Add(-3*time.Hour), time.Time{}, time.Time{}
			gh.Check = collect.Check{State: collect.CheckWaiting}
		case "gone":
			gh.Error = "ResourceNotFoundException: The specified log group does not exist."
			gh.Mend = "nothing to do if the stage was deleted; its open calls were closed"
			gh.ErrorSince = now.Add(-26 * time.Minute)
		}
		h.Groups = append(h.Groups, gh)
		h.Totals.Add(b)
		h.OpenCalls += gh.OpenCalls
		h.Lag = max(h.Lag, gh.Lag)
	}
	h.Sinks = []collect.SinkHealth{
		{Name: "file:/var/lib/gatehouse/transactions", Delivered: h.Totals.Calls, Batches: 4812, LastOK: now.Add(-2 * time.Second)},
		{
			Name: "kafka://broker-1:9092/akto.api.logs", Delivered: h.Totals.Calls - 1312, Batches: 4790, Failures: 14, Waiting: 1312, LastOK: now.Add(-95 * time.Second),
			Error: "dial tcp 10.0.3.4:9092: connect: connection refused", ErrorSince: now.Add(-93 * time.Second),
		},
	}
	h.Check = collect.Check{State: collect.CheckRereading, Through: now.Add(-9 * time.Minute).Truncate(time.Minute), Minutes: 12_471, Short: 3, Repaired: 2, Found: 41, Reread: 1230, Missing: 17, Spared: 10_500}
	h.Filters = []collect.FilterHealth{{Rule: "filter_static_extensions", Calls: 41_822}, {Rule: "filter_status", Calls: 0}}
	h.Problems = []collect.Problem{
		{Account: Payments, What: "sts:AssumeRole on arn:aws:iam::555555555555:role/GatehouseCollector: AccessDenied", Mend: "let the hub role assume it: check the trust policy's principal and the external id", Since: now.Add(-26 * time.Hour)},
		{Account: Catalog, Region: "eu-central-1", Group: "/aws/vendedlogs/search", What: "logs:FilterLogEvents is denied", Mend: "allow logs:FilterLogEvents on the group to GatehouseCollector", Since: now.Add(-3 * time.Hour)},
	}
	return h
}

func snapshot(now time.Time) *estate.Snapshot {
	s := &estate.Snapshot{Started: now.Add(-3 * time.Minute), Finished: now.Add(-3*time.Minute + 4200*time.Millisecond)}
	names := map[string]string{Security: "security", Orders: "orders", Catalog: "catalog", Storefront: "storefront"}
	for _, id := range []string{Security, Orders, Catalog, Storefront} {
		a := estate.Account{ID: id, Name: names[id], Status: "ACTIVE"}
		for _, r := range routes {
			if r.account == id {
				addRoute(&a, r, now)
			}
		}
		if id == Storefront {
			a.Regions = []estate.Region{{Name: "eu-west-1"}}
		}
		s.Accounts = append(s.Accounts, a)
	}
	s.Accounts[0].Note = "holds no API; it is where Gatehouse runs"
	s.Accounts[1].Regions[0].APIs[0].Stages[0].Overrides = []estate.MethodLogging{{Method: "GET", Path: "/health", LoggingLevel: "OFF"}}
	s.Accounts[2].Regions[1].APIs[0].RoutesPartial = true
	s.Accounts[2].Regions[1].Errors = []estate.Fault{{What: "apigateway:GetAuthorizers", Error: "TooManyRequestsException: rate exceeded", Mend: "lower the quota of GetAuthorizers, or wait for the next discovery"}}
	s.Accounts = append(s.Accounts, estate.Account{
		ID: Payments, Name: "payments", Status: "ACTIVE",
		Error: "assuming arn:aws:iam::555555555555:role/GatehouseCollector: AccessDenied",
		Mend:  "let the hub role assume it: check the trust policy's principal and the external id",
	})
	return s
}

func addRoute(a *estate.Account, r route, now time.Time) {
	var region *estate.Region
	for i := range a.Regions {
		if a.Regions[i].Name == r.region {
			region = &a.Regions[i]
		}
	}
	if region == nil {
		a.Regions = append(a.Regions, estate.Region{Name: r.region, LogRole: "arn:aws:iam::" + a.ID + ":role/apigateway-cloudwatch"})
		region = &a.Regions[len(a.Regions)-1]
	}
	var api *estate.API
	for i := range region.APIs {
		if region.APIs[i].ID == r.api {
			api = &region.APIs[i]
		}
	}
	if api == nil {
		region.APIs = append(region.APIs, estate.API{
			ID: r.api, Name: r.name, Type: r.kind, Endpoint: r.api + ".execute-api." + r.region + ".amazonaws.com",
			EndpointType: "REGIONAL", Created: now.Add(-400 * 24 * time.Hour),
		})
		api = &region.APIs[len(region.APIs)-1]
	}
	api.Routes = append(api.Routes, estate.Route{Method: r.method, Path: r.path, Authorization: r.auth})
	for i := range api.Stages {
		if api.Stages[i].Name == r.stage {
			return
		}
	}
	st := estate.Stage{Name: r.stage}
	switch {
	case r.kind == transaction.HTTP && r.region == "eu-west-1":
		st.AccessGroup, st.AccessLogARN = "/aws/apigateway/catalog-access", "arn:aws:logs:eu-west-1:333333333333:log-group:/aws/apigateway/catalog-access"
	case r.kind == transaction.HTTP:
	case r.stage == "dev":
		st.LoggingLevel, st.ExecutionGroup = "ERROR", "API-Gateway-Execution-Logs_"+r.api+"/"+r.stage
	default:
		st.LoggingLevel, st.DataTrace, st.ExecutionGroup = "INFO", true, "API-Gateway-Execution-Logs_"+r.api+"/"+r.stage
	}
	api.Stages = append(api.Stages, st)
}

// Hostile is a value that callers of an API may send to attack who reads it:
// markup, a script address, a formula and text that runs backwards.
const Hostile = "=cmd|'/C calc'!A0<script>alert(1)</script>\"'><img src=x onerror=alert(2)>javascript:alert(3)\u202etxt.exe\u200b"

// Attacked is a Rich world in which every text that comes from outside is
// Hostile.
func Attacked(now time.Time) *World {
	w := Rich(now)
	d := w.Details[2]
	d.Route, d.APIName, d.Stage, d.APIID, d.Account, d.Region, d.Method = "/"+Hostile, Hostile, Hostile, Hostile, Hostile, Hostile, Hostile
	d.TopCallers[0].Principal, d.TopCallers[0].Account = Hostile, Hostile
	for _, s := range d.Samples {
		s.Path, s.Host, s.UserAgent, s.SourceIP, s.RequestID, s.Method = Hostile, Hostile, Hostile, Hostile, Hostile, Hostile
		s.Query = map[string][]string{Hostile: {Hostile}}
		s.Request = &transaction.Request{Headers: map[string][]string{Hostile: {Hostile}}, Body: Hostile}
		s.Response.Headers, s.Response.Body = map[string][]string{Hostile: {Hostile}}, `{"a":"`+"\u202e"+`</pre><script>alert(4)</script>"}`
		s.Integration = &transaction.Integration{URI: "javascript:alert(5)", Error: Hostile}
		s.Error = &transaction.Error{Type: Hostile, Message: Hostile}
		s.Caller = &transaction.Caller{ARN: Hostile, Principal: Hostile, Account: Hostile}
	}
	g := &w.Status.Groups[6]
	g.Group.Name, g.Group.Account, g.Group.Region, g.Error, g.Mend, g.State = Hostile, Hostile, Hostile, Hostile, Hostile, Hostile
	g.Check.State, g.Check.Error, g.Check.Mend = Hostile, Hostile, Hostile
	w.Status.Check.State, w.Status.Check.Error, w.Status.Check.Mend = Hostile, Hostile, Hostile
	w.Status.Filters[0].Rule = Hostile
	w.Status.Sinks[1].Name, w.Status.Sinks[1].Error = Hostile, Hostile
	w.Status.Problems[0] = collect.Problem{Account: Hostile, Region: Hostile, Group: Hostile, What: Hostile, Mend: Hostile}
	a := &w.Estates.Accounts[1]
	a.Name, a.Error, a.Mend, a.Status = Hostile, Hostile, Hostile, Hostile
	a.Regions[0].Name = Hostile
	a.Regions[0].APIs[0].Name, a.Regions[0].APIs[0].ID, a.Regions[0].APIs[0].Stages[0].Name = Hostile, Hostile, Hostile
	a.Regions[0].Errors = []estate.Fault{{What: Hostile, Error: Hostile, Mend: Hostile}}
	return w
}
