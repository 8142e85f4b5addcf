package estate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestPrincipals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d, err := New(w.accounts, Options{Principals: true})
	if err != nil {
		t.Fatal(err)
	}
	w.disc = d
	a := w.sim.Account(ordersID)
	rights := append([]string{"iam:GetAccountAuthorizationDetails"}, readRights...)
	hub := "arn:aws:iam::" + securityID + ":role/Hub"
	a.AddRole(awssim.Role{Name: "Collector", TrustedPrincipals: []string{hub}, Allow: rights})
	a.AddRole(awssim.Role{Name: "Partner", TrustedPrincipals: []string{"arn:aws:iam::999999999999:root"}, Inline: map[string]string{
		"call": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}`,
	}})
	first := discover(t, w)
	orders := accountOf(t, first, ordersID)
	if !orders.PrincipalsRead || !orders.Seen(PartPrincipals) || len(orders.Principals) != 2 {
		t.Fatalf("%+v", orders)
	}
	partner := orders.Principals[1]
	if partner.ARN != "arn:aws:iam::222222222222:role/Partner" || partner.Kind != kindRole || !strings.Contains(partner.Trust, "999999999999") ||
		cmp.Diff([]string{"inline policy call of role Partner"}, partner.Inline) != "" {
		t.Errorf("%+v", partner)
	}
	// The catalog account does not allow it: that is said, and hides nothing.
	catalog := accountOf(t, first, catalogID)
	if catalog.Seen(PartPrincipals) || len(catalog.Notes) != 1 || len(catalog.Regions) != 1 || len(catalog.Errors) != 0 ||
		!strings.Contains(catalog.Notes[0].Mend, "allow iam:GetAccountAuthorizationDetails on * to arn:aws:iam::333333333333:role/Collector") {
		t.Errorf("%+v", catalog)
	}

	w.sim.ResetCalls()
	a.AddRole(awssim.Role{Name: "New"})
	second := discover(t, w)
	if got := len(accountOf(t, second, ordersID).Principals); got != 2 {
		t.Errorf("%d principals between two full discoveries", got)
	}
	w.disc.Resume(nil)
	third := discover(t, w)
	changes := Diff(second, third)
	if len(changes) != 1 || changes[0].Type != SubjectPrincipal || changes[0].Kind != Appeared || changes[0].Subject != "arn:aws:iam::222222222222:role/New" {
		t.Errorf("%+v", changes)
	}
}
