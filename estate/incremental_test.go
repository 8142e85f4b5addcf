package estate

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// detailReads are the operations that a discovery after the first one need not call
// where nothing changed.
var detailReads = []string{
	"GetResources", "GetRoutes", "GetIntegrations", "GetAuthorizers", "GetModels", "GetRequestValidators", "GetGatewayResponses", "GetDeployments",
	"GetUsagePlanKeys", "GetApiMappings", "GetBasePathMappings", "DescribeAccessEntry", "ListAssociatedAccessPolicies",
	"DescribeSubscriptionFilters", "DescribeMetricFilters", "GetDataProtectionPolicy",
	"GetWebACL", "GetLoggingConfiguration", "GetFunctionConfiguration", "GetPolicy", "ListFunctionUrlConfigs",
}

func detailCalls(sim *awssim.Sim) map[string]int {
	made := map[string]int{}
	for _, service := range []string{"apigateway", "logs", "eks", "wafv2", "lambda"} {
		for _, operation := range detailReads {
			if n := sim.CallsOf(service, operation); n > 0 {
				made[operation] += n
			}
		}
	}
	return made
}

// petsAPI is an API with the routes given, as a deployment has it.
func petsAPI(deployment string, paths ...string) awssim.RESTAPI {
	api := awssim.RESTAPI{ID: "petsapi001", Name: "pets", Created: made, Stages: []awssim.Stage{{Name: "prod", DeploymentID: deployment, Created: made}}}
	for _, p := range paths {
		api.Resources = append(api.Resources, awssim.Resource{ID: "r" + p[1:], Path: p, Methods: []awssim.Method{{HTTPMethod: "GET", Authorization: "AWS_IAM"}}})
	}
	return api
}

func TestSecondDiscoveryReadsWhatChanged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addDetails(w)
	addCatalog(w)
	r := w.sim.Account(ordersID).Region(region)
	r.AddRESTAPI(petsAPI("dep010", "/pets"))
	first := discover(t, w)
	if first.SinceFull != 0 {
		t.Errorf("the first discovery says %d", first.SinceFull)
	}

	w.sim.ResetCalls()
	second := discover(t, w)
	if got := detailCalls(w.sim); len(got) != 0 {
		t.Errorf("read again without need: %v", got)
	}
	if second.SinceFull != 1 {
		t.Errorf("the second discovery says %d", second.SinceFull)
	}
	ignore := cmp.Options{cmpopts.EquateEmpty()}
	if diff := cmp.Diff(first.Accounts, second.Accounts, ignore); diff != "" {
		t.Errorf("nothing changed, but (-first +second):\n%s", diff)
	}
	if changes := Diff(first, second); len(changes) != 0 {
		t.Errorf("%+v", changes)
	}

	// Edits that are not deployed do nothing yet, and need not be seen.
	r.AddRESTAPI(petsAPI("dep010", "/pets", "/owners"))
	w.sim.ResetCalls()
	if got := apiOf(t, &accountOf(t, discover(t, w), ordersID).Regions[0], "petsapi001"); len(got.Routes) != 1 || len(detailCalls(w.sim)) != 0 {
		t.Errorf("%d routes, calls %v", len(got.Routes), detailCalls(w.sim))
	}

	// A deployment shows them, and only that API is read.
	r.AddRESTAPI(petsAPI("dep011", "/pets", "/owners"))
	w.sim.ResetCalls()
	deployed := discover(t, w)
	if diff := cmp.Diff(map[string]int{"GetResources": 1, "GetAuthorizers": 1, "GetGatewayResponses": 1, "GetDeployments": 1}, detailCalls(w.sim)); diff != "" {
		t.Error(diff)
	}
	common := Change{Account: ordersID, Region: region, API: "petsapi001", Name: "pets", Time: deployed.Finished.UTC()}
	route, stage := common, common
	route.Type, route.Subject, route.Kind = SubjectRoute, "GET /owners", Appeared
	stage.Type, stage.Subject, stage.Name, stage.Kind, stage.Field, stage.Before, stage.After = SubjectStage, "prod", "pets", Changed, "deployment_id", "dep010", "dep011"
	if diff := cmp.Diff([]Change{route, stage}, Diff(second, deployed)); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.sim.Account(ordersID).Region(region)
	api := petsAPI("dep010", "/pets")
	r.AddRESTAPI(api)
	before := discover(t, w)
	api.Stages[0].LoggingLevel, api.Stages[0].DataTrace = "INFO", true
	api.Tags = map[string]string{"owner": "shop"}
	r.AddRESTAPI(api)
	w.sim.ResetCalls()
	after := discover(t, w)
	if got := detailCalls(w.sim); len(got) != 0 {
		t.Errorf("read again without need: %v", got)
	}
	if s := apiOf(t, &accountOf(t, after, ordersID).Regions[0], "petsapi001").Stages[0]; s.Coverage() != CoverageFull || s.ExecutionGroup == "" {
		t.Errorf("%+v", s)
	}
	fields := map[string]string{}
	for _, c := range Diff(before, after) {
		fields[string(c.Type)+" "+c.Field] = c.Before + "→" + c.After
	}
	if fields["api tags.owner"] != "→shop" || fields["stage settings.[* *].logging_level"] != "→INFO" {
		t.Errorf("%v", fields)
	}
}

func TestFullDiscoveryComesAround(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d, err := New(w.accounts, Options{FullEvery: 3})
	if err != nil {
		t.Fatal(err)
	}
	w.disc = d
	r := w.sim.Account(ordersID).Region(region)
	r.AddRESTAPI(petsAPI("dep010", "/pets"))
	var since, routes []int
	for i := range 5 {
		if i == 1 {
			r.AddRESTAPI(petsAPI("dep010", "/pets", "/owners")) // not deployed
		}
		s := discover(t, w)
		since = append(since, s.SinceFull)
		routes = append(routes, len(accountOf(t, s, ordersID).Regions[0].APIs[0].Routes))
	}
	if diff := cmp.Diff([]int{0, 1, 2, 0, 1}, since); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 1, 1, 2, 2}, routes); diff != "" {
		t.Error(diff)
	}
}

// TestDiscoveryGoesOnFromTheStore saves and loads the snapshot in between, as a new
// process does.
func TestDiscoveryGoesOnFromTheStore(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addDetails(w)
	text, err := json.Marshal(discover(t, w))
	if err != nil {
		t.Fatal(err)
	}
	loaded := new(Snapshot)
	if err := json.Unmarshal(text, loaded); err != nil {
		t.Fatal(err)
	}
	again, err := New(w.accounts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.disc = again
	again.Resume(loaded)
	w.sim.ResetCalls()
	s := discover(t, w)
	if n := w.sim.CallsOf("apigateway", "GetResources"); n != 0 || s.SinceFull != 1 {
		t.Errorf("%d calls of GetResources, %d since the full one", n, s.SinceFull)
	}
	if changes := Diff(loaded, s); len(changes) != 0 {
		t.Errorf("%+v", changes)
	}
	// What an older version found lacks what this one reads.
	loaded.Form = 0
	again.Resume(loaded)
	w.sim.ResetCalls()
	if s := discover(t, w); w.sim.CallsOf("apigateway", "GetResources") == 0 || s.SinceFull != 0 || len(Diff(loaded, s)) != 0 {
		t.Errorf("an older form was taken for a full discovery")
	}
}

func TestAPIsAppearAndGo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addOrders(w)
	r := w.sim.Account(ordersID).Region(region)
	before := discover(t, w)
	r.AddRESTAPI(petsAPI("dep010", "/pets"))
	r.AddCluster(awssim.Object{"name": "green", "createdAt": float64(made.Unix())})
	r.RemoveAPI("ordersapi1")
	after := discover(t, w)
	got := map[string]ChangeKind{}
	for _, c := range Diff(before, after) {
		if c.Time.IsZero() || c.Account != ordersID || c.Region != region {
			t.Errorf("%+v", c)
		}
		got[string(c.Type)+" "+c.Subject] = c.Kind
	}
	if diff := cmp.Diff(map[string]ChangeKind{"api petsapi001": Appeared, "api ordersapi1": Went, "cluster green": Appeared}, got); diff != "" {
		t.Error(diff)
	}

	// An account that cannot be read keeps what it has.
	w.sim.Account(ordersID).RemoveRole("Collector")
	w.sim.ExpireSessions(ordersID, "Collector")
	unread := discover(t, w)
	if accountOf(t, unread, ordersID).Error == "" && len(accountOf(t, unread, ordersID).Regions[0].Errors) == 0 {
		t.Fatal("the account was read")
	}
	for _, c := range Diff(after, unread) {
		t.Errorf("an account that cannot be read looks like a change: %+v", c)
	}
}

// TestManyLogGroups has more log groups than one discovery reads the details of.
func TestManyLogGroups(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.sim.Account(ordersID).Region(region)
	const groups = groupsAtMost + 30
	for i := range groups {
		r.Logs().AddSubscriptionFilter(fmt.Sprintf("API-Gateway-Execution-Logs_gone%04d/prod", i), awssim.Object{"filterName": "ship", "destinationArn": "arn:aws:lambda:x"})
	}
	unseen := func(s *Snapshot) int {
		list := accountOf(t, s, ordersID).Regions[0].LogGroups
		n := 0
		for i := range list {
			switch {
			case !list[i].Seen(PartSubscriptions):
				n++
			case len(list[i].Subscriptions) != 1:
				t.Errorf("%+v", list[i])
			}
		}
		if len(list) != groups {
			t.Errorf("%d groups", len(list))
		}
		return n
	}
	first := discover(t, w)
	if got := unseen(first); got != groups-groupsAtMost {
		t.Errorf("%d groups are not seen after the first discovery", got)
	}
	second := discover(t, w)
	if got := unseen(second); got != 0 {
		t.Errorf("%d groups are not seen after the second discovery", got)
	}
	if changes := Diff(first, second); len(changes) != 0 {
		t.Errorf("%+v", changes[0])
	}
}
