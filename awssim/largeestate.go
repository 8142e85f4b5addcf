package awssim

import (
	"fmt"
	"strconv"
)

// LargeEstate describes an estate that is made up: many accounts, most of whose
// regions are empty, and a few that have most of the APIs, as organizations are.
type LargeEstate struct {
	// Accounts and APIs are how many there are in all.
	Accounts, APIs int
	// Regions are where the APIs are.
	Regions []string
	// Management is the id of the account that lists the others.
	Management string
	// Role is added to every account as it stands.
	Role Role
}

// firstLargeAccount is the id of the first account that is made up, as a number.
const firstLargeAccount = 300_000_000_000

// AddLargeEstate makes an organization and fills it. It returns the ids of the
// accounts that are made up; the same description always makes the same ones.
func (s *Sim) AddLargeEstate(e LargeEstate) []string {
	ids := make([]string, e.Accounts)
	org := s.Organization(e.Management)
	for i := range ids {
		ids[i] = strconv.FormatInt(firstLargeAccount+int64(i), 10)
		s.Account(ids[i]).SetName(fmt.Sprintf("team-%04d", i)).AddRole(e.Role)
	}
	org.Add(ids...)
	for n := range e.APIs {
		a := s.Account(ids[largeOwner(n, e.Accounts)])
		// An account has its APIs in two regions.
		r := a.Region(e.Regions[(largeOwner(n, e.Accounts)+n%2*5)%len(e.Regions)])
		r.SetLogRole("arn:" + s.partition + ":iam::" + a.id + ":role/ApiGatewayLogs")
		r.addLargeAPI(n)
	}
	return ids
}

// largeOwner says which account has the n-th API: every fourth is in one of a
// twentieth of the accounts, and the others are spread.
func largeOwner(n, accounts int) int {
	if n%4 == 0 {
		return n / 4 % max(1, accounts/20)
	}
	return n % accounts
}

func (r *Region) addLargeAPI(n int) {
	id := fmt.Sprintf("api%07d", n)
	backend := func(name string) *Integration {
		arn := r.AddFunction(id+"-"+name, Object{"Runtime": "python3.13", "PackageType": "Zip"})
		r.SetFunctionPolicy(id+"-"+name, `{"Statement":[{"Sid":"api","Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"lambda:InvokeFunction",`+
			`"Resource":"`+arn+`","Condition":{"ArnLike":{"AWS:SourceArn":"`+r.arn("execute-api", id+"/*")+`"}}}]}`)
		return &Integration{
			Type: "AWS_PROXY", Method: "POST",
			URI: "arn:aws:apigateway:" + r.name + ":lambda:path/2015-03-31/functions/" + arn + "/invocations",
		}
	}
	access := r.arn("logs", "log-group:"+id+"-access")
	stage := func(name string) Stage {
		return Stage{
			Name: name, DeploymentID: fmt.Sprintf("d%05d", n), LoggingLevel: "INFO", AccessLogARN: access,
			AccessFormat: `{"requestId":"$context.requestId"}`, Variables: map[string]string{"table": id},
		}
	}
	tags := map[string]string{"team": fmt.Sprint("team-", n%97)}
	r.logs.CreateGroup(id + "-access")
	switch n % 10 {
	case 0: // WebSocket
		r.AddWebSocketAPI(API{
			ID: id, Name: "socket-" + strconv.Itoa(n), Tags: tags,
			Routes: []Route{{Key: "$connect", Authorization: "AWS_IAM"}, {Key: "$disconnect"}, {Key: "$default", Integration: backend("default")}, {Key: "send", Integration: backend("send")}},
			Stages: []Stage{stage("live")},
		})
		r.logs.CreateGroup("/aws/apigateway/" + id + "/live")
	case 1, 2, 3: // HTTP
		routes := make([]Route, 0, 10)
		routes = append(routes, Route{Key: "$default", Integration: backend("default")})
		for i := range 9 {
			routes = append(routes, Route{Key: fmt.Sprintf("GET /things%d/{id}", i), Authorization: "JWT", AuthorizerID: "users", Integration: backend(fmt.Sprint("things", i))})
		}
		r.AddHTTPAPI(API{
			ID: id, Name: "http-" + strconv.Itoa(n), Tags: tags, Routes: routes,
			Authorizers: []Authorizer{{ID: "users", Name: "users", Type: "JWT", Issuer: "https://id.example/", Audience: []string{id}, IdentitySource: "$request.header.Authorization"}},
			Stages:      []Stage{stage("$default")},
		})
	default:
		resources := make([]Resource, 0, 10)
		for i := range 10 {
			resources = append(resources, Resource{Path: fmt.Sprintf("/things%d/{id}", i), Methods: []Method{
				{HTTPMethod: "GET", Authorization: "AWS_IAM", Integration: backend(fmt.Sprint("get", i))},
				{HTTPMethod: "POST", Authorization: "CUSTOM", AuthorizerID: "tokens", Integration: backend(fmt.Sprint("post", i))},
			}})
		}
		prod := stage("prod")
		prod.WebACL = r.AddWebACL(Object{"Name": "common", "Rules": []Object{{
			"Name": "common", "Priority": 0, "OverrideAction": Object{"None": Object{}},
			"Statement": Object{"ManagedRuleGroupStatement": Object{"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}},
		}}})
		r.AddRESTAPI(RESTAPI{
			ID: id, Name: "rest-" + strconv.Itoa(n), Tags: tags, Resources: resources,
			Authorizers: []Authorizer{{ID: "tokens", Name: "tokens", Type: "TOKEN", IdentitySource: "method.request.header.Authorization"}},
			Stages:      []Stage{prod, stage("test")},
		})
		r.logs.CreateGroup("API-Gateway-Execution-Logs_" + id + "/prod")
		r.logs.CreateGroup("API-Gateway-Execution-Logs_" + id + "/test")
	}
}
