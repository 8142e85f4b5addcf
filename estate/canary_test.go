package estate

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Calls to a stage's canary are logged to groups of their own; they are the stage's.
func TestGroupsOfACanary(t *testing.T) {
	t.Parallel()
	w := setup(t)
	region := w.sim.Account(ordersID).Region("eu-west-1")
	region.AddRESTAPI(awssim.RESTAPI{ID: "canaryapi1", Name: "canary", Stages: []awssim.Stage{{
		Name: "prod", LoggingLevel: "INFO", AccessLogARN: "arn:aws:logs:eu-west-1:" + ordersID + ":log-group:/canary/access", AccessFormat: "$context.requestId",
		More: awssim.Object{"canarySettings": awssim.Object{"deploymentId": "dep001", "percentTraffic": 10.0}},
	}}})
	const execution = "API-Gateway-Execution-Logs_canaryapi1/prod"
	for _, name := range []string{execution, execution + "/Canary", "/canary/access", "/canary/access/Canary"} {
		region.Logs().CreateGroup(name)
	}
	got := map[string]string{}
	for _, g := range NewResolver(discover(t, w)).Groups() {
		if g.APIID == "canaryapi1" {
			got[g.Name] = g.Stage + " " + g.AccessFormat
		}
	}
	want := map[string]string{
		execution: "prod ", execution + "/Canary": "prod ",
		"/canary/access": "prod $context.requestId", "/canary/access/Canary": "prod $context.requestId",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	// The name says so too, where nothing is known of the estate.
	g := transaction.Group{Name: execution + "/Canary"}
	if api, stage, kind := g.API(); api != "canaryapi1" || stage != "prod" || kind != transaction.REST {
		t.Errorf("%s is of %s/%s, %s", g.Name, api, stage, kind)
	}
}
