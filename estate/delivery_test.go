package estate

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// addDeliveries delivers logs of the orders API: of one stage to a log group and a
// bucket, of another to a group that does not exist, and those of a stage that is
// not there.
func addDeliveries(w *world) {
	l := w.sim.Account(ordersID).Region(region).Logs()
	l.CreateGroup("vended/orders")
	for _, d := range []awssim.Delivery{
		{API: "ordersapi1", Stage: "prod", LogType: "EXECUTION_LOGS", Group: "vended/orders"},
		{API: "ordersapi1", Stage: "prod", LogType: "ACCESS_LOGS", Destination: "arn:aws:s3:::archive"},
		{API: "ordersapi1", Stage: "quiet", LogType: "EXECUTION_LOGS", Group: "not-there-yet"},
		{API: "otherapi01", Stage: "prod", LogType: "EXECUTION_LOGS", Group: "vended/others"},
	} {
		l.AddDelivery(d)
	}
}

func TestDeliveriesAreFound(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addOrders(w)
	addDeliveries(w)
	s := discover(t, w)
	orders := accountOf(t, s, ordersID).Regions[0]
	if len(orders.Notes) > 0 || len(orders.Errors) > 0 {
		t.Errorf("notes %+v, errors %+v", orders.Notes, orders.Errors)
	}
	found := map[string][]string{}
	for _, stage := range orders.APIs[0].Stages {
		for _, d := range stage.Deliveries {
			found[stage.Name] = append(found[stage.Name], d.LogType+" "+d.Destination)
		}
		slices.Sort(found[stage.Name])
	}
	arn := func(name string) string { return "arn:aws:logs:" + region + ":" + ordersID + ":log-group:" + name }
	want := map[string][]string{
		"prod":  {"ACCESS_LOGS arn:aws:s3:::archive", "EXECUTION_LOGS " + arn("vended/orders")},
		"quiet": {"EXECUTION_LOGS " + arn("not-there-yet")},
	}
	for _, name := range []string{"firehose", "was-on"} {
		if found[name] == nil {
			delete(found, name)
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	var groups []transaction.Group
	for _, g := range NewResolver(s).Groups() {
		if g.Name == "vended/orders" || g.Name == "not-there-yet" {
			groups = append(groups, g)
		}
	}
	if diff := cmp.Diff([]transaction.Group{{
		Account: ordersID, Region: region, Name: "vended/orders", APIID: "ordersapi1", APIType: transaction.REST, Stage: "prod",
	}}, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestDeliveriesMayBeRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	addOrders(w)
	addDeliveries(w)
	w.sim.Account(ordersID).AddRole(awssim.Role{
		Name: "Collector", TrustedPrincipals: []string{"arn:aws:iam::" + securityID + ":role/Hub"},
		Allow: slices.DeleteFunc(slices.Clone(readRights), func(action string) bool { return action == "logs:DescribeDeliver*" }),
	})
	s := discover(t, w)
	orders := accountOf(t, s, ordersID).Regions[0]
	if len(orders.Errors) != 0 || len(orders.Notes) != 1 || orders.Notes[0].Class != account.Denied || orders.Notes[0].Mend == "" {
		t.Errorf("errors %+v, notes %+v", orders.Errors, orders.Notes)
	}
	if s.Totals().RegionsUnread != 0 {
		t.Error("a region counts as unread, though it lacks only what Gatehouse can do without")
	}
}
