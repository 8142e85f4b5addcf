package estate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func sampleSnapshot() *Snapshot {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const shared = "arn:aws:logs:eu-west-1:222222222222:log-group:shared-access"
	return &Snapshot{Accounts: []Account{{ID: "222222222222", Regions: []Region{{
		Name: "eu-west-1",
		APIs: []API{
			{
				ID: "rest", Name: "orders", Type: transaction.REST,
				Routes: []Route{
					{Method: "GET", Path: "/open", Authorization: "NONE"},
					{Method: "GET", Path: "/keyed", Authorization: "NONE", APIKeyRequired: true},
					{Method: "GET", Path: "/orders/{id}", Authorization: "AWS_IAM"},
				},
				Stages: []Stage{
					{Name: "prod", ExecutionGroup: "API-Gateway-Execution-Logs_rest/prod", AccessGroup: "shared-access", AccessLogARN: shared, AccessFormat: "F"},
					{Name: "dev", ExecutionGroup: "API-Gateway-Execution-Logs_rest/dev"},
				},
			},
			{
				ID: "http", Name: "catalog", Type: transaction.HTTP,
				Routes: []Route{{Method: "ANY", Path: "$default", Authorization: "JWT"}},
				Stages: []Stage{{Name: "$default", AccessGroup: "shared-access", AccessLogARN: shared, AccessFormat: "F"}},
			},
			{
				ID: "ws", Name: "chat", Type: transaction.WebSocket,
				Routes: []Route{{Path: "$connect", Authorization: "NONE"}, {Path: "send", Authorization: "NONE"}},
				Stages: []Stage{{Name: "live", ExecutionGroup: "/aws/apigateway/ws/live", AccessGroup: "/aws/apigateway/ws/live", AccessFormat: "W", AccessLogARN: "arn:aws:logs:eu-west-1:222222222222:log-group:/aws/apigateway/ws/live:*"}},
			},
			{ID: "half", Type: transaction.REST, RoutesPartial: true, Routes: []Route{{Method: "ANY", Path: "/{proxy+}", Authorization: "NONE"}}},
		},
		LogGroups: []LogGroup{
			{Name: "API-Gateway-Execution-Logs_rest/prod", Created: created},
			{Name: "API-Gateway-Execution-Logs_gone/prod", Created: created},
			{Name: "/aws/apigateway/ws/live", Created: created},
			{Name: "shared-access", Created: created},
		},
	}}}}}
}

func TestEnrich(t *testing.T) {
	t.Parallel()
	type T = transaction.Transaction
	anonymous := &transaction.Caller{Kind: transaction.CallerAnonymous}
	for name, tc := range map[string]struct{ in, want T }{
		"route and type": {
			T{APIID: "rest", Method: "GET", Path: "/orders/7"},
			T{APIID: "rest", Method: "GET", Path: "/orders/7", APIType: transaction.REST, Route: "/orders/{id}", RouteSource: transaction.RouteFromEstate},
		},
		"what the logs gave stays": {
			T{APIID: "rest", Method: "GET", Path: "/orders/7", Route: "/x", RouteSource: transaction.RouteFromAccessLog, APIType: transaction.HTTP},
			T{APIID: "rest", Method: "GET", Path: "/orders/7", Route: "/x", RouteSource: transaction.RouteFromAccessLog, APIType: transaction.HTTP},
		},
		"nobody on an open method": {
			T{APIID: "rest", Method: "GET", Path: "/open"},
			T{APIID: "rest", Method: "GET", Path: "/open", APIType: transaction.REST, Route: "/open", RouteSource: transaction.RouteFromEstate, Caller: anonymous},
		},
		"an unknown caller of an open method, route known": {
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Route: "/open", Caller: &transaction.Caller{Kind: transaction.CallerUnknown}},
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Route: "/open", Caller: anonymous},
		},
		"a caller that was seen": {
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Route: "/open", Caller: &transaction.Caller{Kind: transaction.CallerIAM, ARN: "arn"}},
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Route: "/open", Caller: &transaction.Caller{Kind: transaction.CallerIAM, ARN: "arn"}},
		},
		"an unknown kind with a principal": {
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Route: "/open", Caller: &transaction.Caller{Kind: transaction.CallerUnknown, Principal: "x"}},
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Route: "/open", Caller: &transaction.Caller{Kind: transaction.CallerUnknown, Principal: "x"}},
		},
		"a method with an API key": {
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Path: "/keyed"},
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Path: "/keyed", Route: "/keyed", RouteSource: transaction.RouteFromEstate},
		},
		"a probe": {
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Path: "/wp-admin"},
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Path: "/wp-admin"},
		},
		"no route by API Gateway's own word": {
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Path: "/open", Error: &transaction.Error{Type: "MISSING_AUTHENTICATION_TOKEN"}},
			T{APIID: "rest", APIType: transaction.REST, Method: "GET", Path: "/open", Error: &transaction.Error{Type: "MISSING_AUTHENTICATION_TOKEN"}},
		},
		"the default route": {
			T{APIID: "http", APIType: transaction.HTTP, Method: "PUT", Path: "/a/b"},
			T{APIID: "http", APIType: transaction.HTTP, Method: "PUT", Path: "/a/b", Route: "$default", RouteSource: transaction.RouteFromEstate},
		},
		"a message of an open connection": {
			T{APIID: "ws", Method: "MESSAGE", Route: "send"},
			T{APIID: "ws", Method: "MESSAGE", Route: "send", APIType: transaction.WebSocket, Caller: anonymous},
		},
		"an API of which routes are missing": {
			T{APIID: "half", APIType: transaction.REST, Method: "GET", Path: "/secret"},
			T{APIID: "half", APIType: transaction.REST, Method: "GET", Path: "/secret"},
		},
		"another account's API": {
			T{Account: "333333333333", APIID: "rest", Method: "GET", Path: "/open"},
			T{Account: "333333333333", APIID: "rest", Method: "GET", Path: "/open"},
		},
		"an unknown API": {T{APIID: "?", Path: "/"}, T{APIID: "?", Path: "/"}},
	} {
		got := tc.in
		NewResolver(sampleSnapshot()).Enrich(&got)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	empty := transaction.Transaction{APIID: "rest", Method: "GET", Path: "/open"}
	NewResolver(nil).Enrich(&empty)
	if empty.Route != "" {
		t.Error("a resolver of nothing knows a route")
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	s := sampleSnapshot()
	r := NewResolver(s)
	group := func(g transaction.Group) transaction.Group {
		g.Account, g.Region = "222222222222", "eu-west-1"
		return g
	}
	prod := group(transaction.Group{Name: "API-Gateway-Execution-Logs_rest/prod", APIID: "rest", APIType: transaction.REST, Stage: "prod"})
	dev := group(transaction.Group{Name: "API-Gateway-Execution-Logs_rest/dev", APIID: "rest", APIType: transaction.REST, Stage: "dev"})
	ws := group(transaction.Group{Name: "/aws/apigateway/ws/live", APIID: "ws", APIType: transaction.WebSocket, Stage: "live", AccessFormat: "W"})
	shared := group(transaction.Group{Name: "shared-access", AccessFormat: "F"})
	if diff := cmp.Diff([]transaction.Group{ws, prod, shared}, r.Groups()); diff != "" {
		t.Error(diff)
	}
	if at, ok := r.GroupCreated(prod.Key()); !ok || at.Year() != 2026 {
		t.Errorf("created %v %v", at, ok)
	}
	gone := group(transaction.Group{Name: "API-Gateway-Execution-Logs_gone/prod"})
	if _, ok := r.GroupCreated(gone.Key()); ok {
		t.Error("a group that no stage writes to is known")
	}

	// Where the log groups could not be listed, dev's may exist.
	s.Accounts[0].Regions[0].Errors = []Fault{{What: "logs:DescribeLogGroups", Error: "denied"}}
	s.Accounts[0].Regions[0].APIs[1].Stages[0].AccessFormat = "G"
	shared.AccessFormat = ""
	if diff := cmp.Diff([]transaction.Group{ws, dev, prod, shared}, NewResolver(s).Groups()); diff != "" {
		t.Error(diff)
	}
	if name := r.APIName("222222222222", "eu-west-1", "http"); name != "catalog" {
		t.Errorf("the name is %q", name)
	}
}
