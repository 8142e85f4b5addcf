package invoke

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func (w *world) api() *estate.API { return &w.estate.Accounts[0].Regions[0].APIs[0] }

func (w *world) checks() map[string]access.Check {
	w.t.Helper()
	all, err := w.lender.Check(w.t.Context(), w.i)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]access.Check{}
	for _, c := range all {
		out[c.Name] = c
	}
	return out
}

func TestCheck(t *testing.T) {
	t.Parallel()
	invoker := awssim.Role{Name: "api-invoker", Inline: map[string]string{"InvokeApi": invokes}, TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend", PermissionsBoundary: boundary}
	for _, c := range []struct {
		name   string
		change func(w *world)
		check  string
		result string
		detail string // part of it
		mend   string
	}{
		{"all is well", func(*world) {}, checkAssume, resultOK, "assumes " + invokerARN, ""},
		{"clocks agree", func(*world) {}, checkClock, resultOK, "less than", ""},
		{"the API is known", func(*world) {}, checkAPI, resultOK, "REST API a1b2c3d4e5 (orders) with 2 stages", ""},
		{"a route that is open", func(*world) {}, checkAuth, resultWarning, "GET /health (NONE)", "AWS_IAM"},
		{"only gatehouse is trusted", func(*world) {}, checkTrust, resultOK, "gatehouse alone", ""},
		{"the boundary", func(*world) {}, checkBoundary, resultOK, "bounded by", ""},
		{"all routes", func(*world) {}, checkAllows, resultOK, "all 10 routes", ""},
		{"sessions can be taken back", func(*world) {}, checkRevocation, resultOK, "", ""},
		{"not trusted", func(w *world) {
			r := invoker
			r.TrustedPrincipals = []string{"arn:aws:iam::111111111111:role/Other"}
			w.sim.Account(owner).AddRole(r)
		}, checkAssume, resultFailed, "AccessDenied", `"AWS":"` + hubARN + `"`},
		{"another external id", func(w *world) { w.i.Config[keyExternalID] = "other" }, checkAssume, resultFailed, "AccessDenied", "sts:ExternalId"},
		{"no such role", func(w *world) { w.sim.Account(owner).RemoveRole("api-invoker") }, checkTrust, resultFailed, "does not exist", "api-lending"},
		{"others are trusted", func(w *world) {
			r := invoker
			r.TrustedPrincipals = []string{hubARN, "arn:aws:iam::111111111111:role/Other"}
			w.sim.Account(owner).AddRole(r)
		}, checkTrust, resultWarning, "arn:aws:iam::111111111111:role/Other", ""},
		{"everybody is trusted", func(w *world) {
			r := invoker
			r.TrustedPrincipals, r.ExternalID = nil, ""
			r.TrustPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`
			w.sim.Account(owner).AddRole(r)
		}, checkTrust, resultFailed, "everybody", ""},
		{"no boundary", func(w *world) {
			r := invoker
			r.PermissionsBoundary = ""
			w.sim.Account(owner).AddRole(r)
		}, checkBoundary, resultWarning, "no permissions boundary", "api-lending"},
		{"the role may do nothing", func(w *world) {
			r := invoker
			r.Inline = nil
			w.sim.Account(owner).AddRole(r)
		}, checkAllows, resultFailed, "none of the 10 routes", "execute-api:Invoke"},
		{"the role may do a part", func(w *world) {
			r := invoker
			r.Inline = map[string]string{"InvokeApi": strings.Replace(invokes, "a1b2c3d4e5/*", "a1b2c3d4e5/prod/*", 1)}
			w.sim.Account(owner).AddRole(r)
		}, checkAllows, resultWarning, "5 of 10 routes", ""},
		{"the resource policy denies", func(w *world) {
			w.api().Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`
		}, checkAllows, resultFailed, "none of the 10 routes", "resource policy"},
		{"no permission to take back", func(w *world) {
			w.sim.Account(owner).AddRole(awssim.Role{Name: "GatehouseLender", TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend", Allow: []string{"iam:Get*", "iam:List*"}})
		}, checkRevocation, resultFailed, "iam:PutRolePolicy", `"iam:PutRolePolicy"`},
		{"no permission to read", func(w *world) {
			w.sim.Account(owner).AddRole(awssim.Role{Name: "GatehouseLender", TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend"})
		}, checkTrust, resultUnseen, "iam:GetRole", `"iam:GetRole"`},
		{"an API that is not there", func(w *world) { w.i.Config[keyAPI] = "zzzzzzzzzz" }, checkAPI, resultFailed, "not among those discovered", ""},
		{"a stage that is not there", func(w *world) { w.i.Config[keyStages] = "prod,test" }, checkAPI, resultWarning, "has no stage test", ""},
		{"no estate", func(w *world) { w.estate = nil }, checkAPI, resultUnseen, "not discovered yet", ""},
		{"a private API", func(w *world) { w.api().EndpointType = "PRIVATE" }, checkAPI, resultWarning, "is private", ""},
		{"no route with IAM", func(w *world) { w.api().Routes = []estate.Route{{Method: "GET", Path: "/", Authorization: "JWT"}} }, checkAuth, resultFailed, "no route of API", "AWS_IAM"},
		{"settings that cannot be right", func(w *world) { delete(w.i.Config, keyAccount) }, checkAssume, resultFailed, "config.account", ""},
		{"a role for each person", func(w *world) {
			delete(w.i.Config, keyRole)
			w.i.Config[keyPersonPath] = "/people/"
		}, checkRevocation, resultUnseen, "a role of their own", "role/people/*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, transaction.REST, orders)
			c.change(w)
			got, ok := w.checks()[c.check]
			if !ok || got.Result != c.result || !strings.Contains(got.Detail, c.detail) || !strings.Contains(got.Mend, c.mend) {
				t.Errorf("the check %s is %+v\nwant %s, %q, %q", c.check, got, c.result, c.detail, c.mend)
			}
			for _, one := range w.checks() {
				if one.Result == resultFailed && one.Mend == "" {
					t.Errorf("the check %s failed and does not say how to mend it: %s", one.Name, one.Detail)
				}
				if strings.Contains(one.Detail, "IQoJb3JpZ2lu") {
					t.Errorf("the check %s shows a session token", one.Name)
				}
			}
		})
	}
}

func TestCheckClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	w.lender.opts.Clock = func() time.Time { return w.clock.Now().Add(3 * time.Minute) }
	if c := w.checks()[checkClock]; c.Result != resultFailed || !strings.Contains(c.Detail, "2m59s apart") {
		t.Errorf("three minutes apart: %+v", c)
	}
}

func TestCheckLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	before, _ := w.sim.Account(owner).Role("api-invoker")
	w.checks()
	after, _ := w.sim.Account(owner).Role("api-invoker")
	if diff := cmp.Diff(before.Inline, after.Inline); diff != "" {
		t.Errorf("checking changed the role's policies (-before +after):\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, key, value, want string }{
		{"right", "", "", ""},
		{"several APIs and stages", keyAPI, "a1b2c3d4e5, f6g7h8i9j0", ""},
		{"an unknown key", "apiid", "x", "config.apiid: it is no setting"},
		{"no account", keyAccount, "12", "config.account"},
		{"no region", keyRegion, "Frankfurt", "config.region"},
		{"no API", keyAPI, " ", "config.api_id: it is missing"},
		{"a wildcard for an API", keyAPI, "*", `config.api_id: "*"`},
		{"a wildcard for a stage", keyStages, "*", `config.stages: "*"`},
		{"$default", keyStages, "$default", ""},
		{"a session for a role", keyRole, "arn:aws:sts::222222222222:assumed-role/x/y", "config.role_arn"},
		{"a role of another account", keyRole, "arn:aws:iam::333333333333:role/x", "account 333333333333"},
		{"no role", keyRole, "", "config.role_arn: it is missing"},
		{"two kinds of roles", keyPersonPath, "/people/", "config.role_per_person_path"},
		{"a bad flag", keySource, "maybe", "config.source_identity"},
		{"a bad external id", keyExternalID, "has blanks", "config.external_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := &access.Integration{Name: "orders", Type: Type, Config: map[string]string{keyAccount: owner, keyRegion: region, keyAPI: apiOne, keyRole: invokerARN}}
			if c.key != "" {
				i.Config[c.key] = c.value
			}
			err := (&Lender{}).Validate(i)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "has blanks") {
				t.Error("the external id is repeated")
			}
		})
	}
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	w.i.Config[keyStages] = "prod"
	w.api().Stages[0].Tags = map[string]string{"owner": "ann@example.com"}
	got, err := w.lender.Discover(t.Context(), w.i)
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/prod/"
	want := map[string]string{
		"stage/a1b2c3d4e5/prod": arn + "*", "route/a1b2c3d4e5/prod/GET/orders": arn + "GET/orders", "route/a1b2c3d4e5/prod/POST/orders": arn + "POST/orders",
		"route/a1b2c3d4e5/prod/GET/orders/{id}": arn + "GET/orders/*", "route/a1b2c3d4e5/prod/GET/orders/mine": arn + "GET/orders/mine",
		"route/a1b2c3d4e5/prod/GET/orders/{id}/items": arn + "GET/orders/*/items",
	}
	found := map[string]string{}
	for _, r := range got {
		found[r.ID] = r.Tags[tagARN]
		if r.Tags["team"] != "shop" || r.Tags["owner"] != "ann@example.com" || len(r.Permissions) == 0 || r.Name == "" || !strings.HasPrefix(r.Path, "orders / prod") || r.Integration != "orders" {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	w.api().Type, w.api().Routes = transaction.WebSocket, []estate.Route{{Path: routeConnect, Authorization: authIAM}, {Path: "send", Authorization: "NONE"}}
	delete(w.i.Config, keyStages)
	got, err = w.lender.Discover(t.Context(), w.i)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range got {
		ids = append(ids, r.ID+" "+strings.Join(r.Permissions, ","))
	}
	if diff := cmp.Diff([]string{
		"api/a1b2c3d4e5 invoke,manage", "stage/a1b2c3d4e5/prod invoke,manage", "route/a1b2c3d4e5/prod/$connect invoke", "route/a1b2c3d4e5/prod/@connections manage",
		"stage/a1b2c3d4e5/dev invoke,manage", "route/a1b2c3d4e5/dev/$connect invoke", "route/a1b2c3d4e5/dev/@connections manage",
	}, ids); diff != "" {
		t.Errorf("resources of a WebSocket API (-want +got):\n%s", diff)
	}
	w.estate = nil
	if _, err := w.lender.Discover(t.Context(), w.i); err == nil {
		t.Error("without an estate nothing is discovered, and that is no error")
	}
}

func TestDetails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transaction.REST, orders)
	h := w.lend("g1", person("alice"), routeID(apiOne, "prod", "POST/orders/{id}"), time.Hour)
	d, err := w.lender.Details(w.i, &access.Grant{ID: "g1", Person: h.Person, Items: []access.GrantItem{{Item: h.Item}}})
	if err != nil {
		t.Fatal(err)
	}
	text := d.Text
	for _, s := range d.Snippets {
		text += "\n" + s.Text
	}
	for _, want := range []string{
		"[profile gatehouse-orders]\ncredential_process = gatehouse access creds orders\nregion = eu-west-1\n",
		"gatehouse invoke -X POST --profile gatehouse-orders 'https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/prod/orders/ID'",
		`--aws-sigv4 "aws:amz:eu-west-1:execute-api"`, "x-amz-security-token", "session is named alice@example.com", "service execute-api",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the details lack %q:\n%s", want, text)
		}
	}
}
