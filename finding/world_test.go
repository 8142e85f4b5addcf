package finding

import (
	"testing"
	"time"
)

var testTime = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// world is an estate of one API in which all is well, for tests to change.
type world struct {
	estate *Estate
	place  *Place
	api    *API
	stage  *Stage
	route  *Route
}

func newWorld(t APIType) *world {
	w := &world{estate: &Estate{Time: testTime, Places: []Place{{
		Account: "111122223333", AccountName: "shop", Region: "eu-west-1", Partition: "aws", LogRole: "arn:aws:iam::111122223333:role/logs",
		Throttle: &Throttle{10_000, 5_000},
	}}, Accounts: []Account{{ID: "111122223333", Name: "shop", Partition: "aws"}}}}
	w.place = &w.estate.Places[0]
	if t == "" {
		return w
	}
	route := Route{ID: "r1", Method: "GET", Path: "/pets", Authorization: "AWS_IAM", Backend: &Backend{Type: "AWS_PROXY", URI: "arn:aws:lambda:…", TimeoutMillis: 5_000}}
	if t == WebSocket {
		route.Method, route.Path = "", "$connect"
	}
	w.place.APIs = []API{{
		ID: "api1", Name: "Pets", Type: t, EndpointType: "REGIONAL", APIKeySource: "HEADER", Tags: map[string]string{"team": "pets"},
		Stages: []Stage{{Name: "prod", LoggingLevel: "INFO", ExecutionGroup: "exec", DeploymentID: "d1", Updated: testTime.Add(-time.Hour)}},
		Routes: []Route{route},
	}}
	w.api = &w.place.APIs[0]
	w.stage, w.route = &w.api.Stages[0], &w.api.Routes[0]
	w.stage.Settings = []Settings{{Path: "*", LoggingLevel: "INFO"}}
	if t == REST {
		w.stage.Settings[0].Method = "*"
	}
	return w
}

// verdict is the worst that a rule says of the world.
func (w *world) verdict(id string) (Verdict, []Evidence) {
	rank := map[Verdict]int{NotApplicable: 0, Pass: 1, NotSeen: 2, Fail: 3}
	worst, told := NotApplicable, []Evidence(nil)
	Judge(w.estate, func(r *Rule, _ Subject, o Outcome) {
		if r.ID == id && rank[o.Verdict] >= rank[worst] {
			worst, told = o.Verdict, o.Evidence
		}
	})
	return worst, told
}

// unsee marks a part as not read wherever it can stand.
func (w *world) unsee(p Part) {
	w.place.Unseen = append(w.place.Unseen, p)
	for i := range w.place.APIs {
		w.place.APIs[i].Unseen = append(w.place.APIs[i].Unseen, p)
	}
	for i := range w.place.LogGroups {
		w.place.LogGroups[i].Unseen = append(w.place.LogGroups[i].Unseen, p)
	}
	for i := range w.place.Clusters {
		w.place.Clusters[i].Unseen = append(w.place.Clusters[i].Unseen, p)
	}
	for i := range w.estate.Accounts {
		w.estate.Accounts[i].Unseen = append(w.estate.Accounts[i].Unseen, p)
	}
	for i := range w.place.WebACLs {
		w.place.WebACLs[i].Unseen = append(w.place.WebACLs[i].Unseen, p)
	}
	for i := range w.place.Functions {
		w.place.Functions[i].Unseen = append(w.place.Functions[i].Unseen, p)
	}
	for i := range w.place.Domains {
		w.place.Domains[i].Unseen = append(w.place.Domains[i].Unseen, p)
	}
}

func (w *world) check(t *testing.T, rule string, want Verdict) {
	t.Helper()
	if got, told := w.verdict(rule); got != want {
		t.Errorf("%s says %s, not %s: %v", rule, got, want, told)
	}
}
