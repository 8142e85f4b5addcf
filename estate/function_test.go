package estate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestParseFunction(t *testing.T) {
	t.Parallel()
	const orders = "arn:aws:lambda:eu-west-1:222222222222:function:orders"
	for _, c := range []struct {
		uri, arn, version string
	}{
		{"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/" + orders + "/invocations", orders, "$LATEST"},
		{"arn:aws:apigateway:eu-west-1:lambda:path/2021-11-15/functions/" + orders + ":live/response-streaming-invocations", orders, "live"},
		{orders, orders, "$LATEST"},
		{orders + ":$LATEST", orders, "$LATEST"},
		{"arn:aws-us-gov:lambda:us-gov-west-1:222222222222:function:f:7", "arn:aws-us-gov:lambda:us-gov-west-1:222222222222:function:f", "7"},
		{"https://backend.example/functions/x", "", ""},
		{"arn:aws:lambda:eu-west-1:222222222222:layer:orders", "", ""},
		{"arn:aws:lambda:evil.example/:222222222222:function:orders", "", ""},
		{"arn:aws:lambda:eu-west-1:2222:function:orders", "", ""},
		{orders + ":", "", ""},
		{orders + "\n", "", ""},
		{"", "", ""},
	} {
		arn, version, ok := parseFunction(c.uri)
		if arn != c.arn || version != c.version || ok != (c.arn != "") {
			t.Errorf("%q is the function %q, version %q, %t", c.uri, arn, version, ok)
		}
	}
}

func FuzzParseFunction(f *testing.F) {
	f.Add("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:222222222222:function:orders:live/invocations")
	f.Fuzz(func(t *testing.T, uri string) {
		arn, version, ok := parseFunction(uri)
		if !ok {
			return
		}
		again, of, ok := parseFunction(strings.TrimSuffix(arn+":"+version, ":"))
		if !ok || again != arn || of != version {
			t.Errorf("%q is %q %q, and that is %q %q", uri, arn, version, again, of)
		}
		fn := Function{ARN: arn}
		if account, region := fn.place(); account == "" || region == "" || strings.ContainsAny(region, "./:@") {
			t.Errorf("%q is in %q %q", uri, account, region)
		}
	})
}

// TestFunctionCallsByStageVariable has a route whose function each stage names for
// itself: a stage that names none cannot call it.
func TestFunctionCallsByStageVariable(t *testing.T) {
	t.Parallel()
	const f = "arn:aws:lambda:eu-west-1:222222222222:function:"
	r := &Region{APIs: []API{{
		ID: "a", Stages: []Stage{
			{Name: "dev", Variables: map[string]string{"fn": "orders", "v": "dev"}},
			{Name: "prod", Variables: map[string]string{"fn": "orders", "v": "live"}},
			{Name: "again", Variables: map[string]string{"fn": "orders", "v": "live"}},
			{Name: "none", Variables: map[string]string{"fn": "orders"}},
		},
		Routes:      []Route{{Method: "GET", Path: "/x", Backend: &Integration{URI: "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/" + f + "${stageVariables.fn}:${stageVariables.v}/invocations"}}},
		Authorizers: []Authorizer{{ID: "au", Name: "tokens", URI: f + "auth"}},
	}}}
	want := []FunctionCall{
		{"a", "route GET /x", f + "orders", "dev"}, {"a", "route GET /x", f + "orders", "live"}, {"a", "authorizer tokens", f + "auth", latest},
	}
	if diff := cmp.Diff(want, r.FunctionCalls()); diff != "" {
		t.Error(diff)
	}
}

// callsFunction is an API whose one route calls a function.
func callsFunction(id, arn string) awssim.API {
	return awssim.API{ID: id, Name: id, Created: made, Routes: []awssim.Route{
		{ID: "r1", Key: "GET /x", Authorization: "AWS_IAM", Integration: &awssim.Integration{ID: "i1", Type: "AWS_PROXY", URI: arn}},
	}, Stages: []awssim.Stage{{Name: "$default", DeploymentID: "d1", Created: made}}}
}

// TestFunctionsOfOtherPlaces has APIs that call functions of another region, of
// another account that is read, and of one that is not.
func TestFunctionsOfOtherPlaces(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.sim.Account(ordersID).Region(region)
	away := "arn:aws:lambda:us-east-1:" + ordersID + ":function:away"
	theirs := "arn:aws:lambda:eu-west-1:" + catalogID + ":function:theirs"
	strange := "arn:aws:lambda:eu-west-1:999999999999:function:strange"
	r.AddHTTPAPI(callsFunction("awayapi001", away))
	r.AddHTTPAPI(callsFunction("theirsapi1", theirs))
	r.AddHTTPAPI(callsFunction("strangeapi", strange))
	w.sim.Account(ordersID).Region("us-east-1").AddFunction("away", awssim.Object{"Runtime": "nodejs22.x", "PackageType": "Zip"})
	inCatalog := w.sim.Account(catalogID).Region(region)
	inCatalog.AddFunction("theirs", awssim.Object{"PackageType": "Image"})
	inCatalog.SetFunctionPolicy("theirs", cartsPolicy)

	first := discover(t, w)
	got := &accountOf(t, first, ordersID).Regions[0]
	want := []Function{
		{ARN: theirs, Versions: []FunctionVersion{{Name: latest, Called: true, Package: "Image", Policy: inCatalog.FunctionPolicy("theirs")}}},
		{ARN: strange, Versions: []FunctionVersion{{Name: latest, Called: true}}, Unseen: functionParts},
		{ARN: away, Versions: []FunctionVersion{{Name: latest, Called: true, Runtime: "nodejs22.x", Package: "Zip"}}},
	}
	if diff := cmp.Diff(want, got.Functions, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if len(got.Errors) != 0 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0].Error, "999999999999") || !strings.Contains(got.Notes[0].Mend, "999999999999") {
		t.Errorf("errors %+v, notes %+v", got.Errors, got.Notes)
	}

	w.sim.ResetCalls()
	second := discover(t, w)
	if n := w.sim.CallsOf("lambda", "GetPolicy"); n != 0 {
		t.Errorf("functions that nothing says changed were read again: %d calls", n)
	}
	if changes := Diff(first, second); len(changes) != 0 {
		t.Errorf("%+v", changes)
	}

	// A full discovery sees the policy that was taken away.
	inCatalog.SetFunctionPolicy("theirs", "")
	fresh, err := New(w.accounts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.disc = fresh
	changes := Diff(second, discover(t, w))
	if len(changes) != 1 || changes[0].Type != SubjectFunction || changes[0].Subject != theirs || changes[0].Kind != Changed || changes[0].Field != "versions.[$LATEST].policy" {
		t.Errorf("%+v", changes)
	}
}

func TestFunctionThatIsMissing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	arn := "arn:aws:lambda:eu-west-1:" + ordersID + ":function:gone"
	w.sim.Account(ordersID).Region(region).AddHTTPAPI(callsFunction("missingapi", arn))
	r := &accountOf(t, discover(t, w), ordersID).Regions[0]
	if diff := cmp.Diff([]Function{{ARN: arn, Missing: true, Versions: []FunctionVersion{{Name: latest, Called: true}}}}, r.Functions); diff != "" {
		t.Error(diff)
	}
	if len(r.Errors)+len(r.Notes) != 0 {
		t.Errorf("errors %+v, notes %+v", r.Errors, r.Notes)
	}
}

// TestManyFunctions has more functions than one discovery reads, in a region where the
// right to read policies is missing.
func TestManyFunctions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.sim.Account(ordersID).Region(region)
	const functions = functionsAtMost + 20
	api := awssim.API{ID: "manyapi001", Name: "many", Created: made, Stages: []awssim.Stage{{Name: "$default", DeploymentID: "d1", Created: made}}}
	for i := range functions {
		name := fmt.Sprintf("f%04d", i)
		r.AddFunction(name, awssim.Object{"Runtime": "python3.13"})
		api.Routes = append(api.Routes, awssim.Route{Key: "GET /" + name, Authorization: "AWS_IAM", Integration: &awssim.Integration{
			ID: "i" + name, Type: "AWS_PROXY", URI: "arn:aws:lambda:eu-west-1:" + ordersID + ":function:" + name,
		}})
	}
	r.AddHTTPAPI(api)
	w.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: "GetPolicy", Account: ordersID})
	count := func(s *Snapshot, p Part) (unseen int) {
		list := accountOf(t, s, ordersID).Regions[0].Functions
		if len(list) != functions {
			t.Fatalf("%d functions", len(list))
		}
		for i := range list {
			if !list[i].Seen(p) {
				unseen++
			}
		}
		return unseen
	}
	first := discover(t, w)
	if got := count(first, PartFunctionConfiguration); got != functions-functionsAtMost {
		t.Errorf("%d configurations are not seen", got)
	}
	if got := count(first, PartFunctionPolicy); got != functions {
		t.Errorf("%d policies are not seen", got)
	}
	// Calls that run side by side may all be asked before the last of them is refused.
	if n := w.sim.CallsOf("lambda", "GetPolicy"); n < functionsTried || n > functionsTried+functionsAtOnce {
		t.Errorf("a right that is missing was asked for %d times", n)
	}
	w.sim.ClearFaults()
	discover(t, w)
	if got := discover(t, w); count(got, PartFunctionPolicy)+count(got, PartFunctionConfiguration) != 0 {
		t.Errorf("%d policies are still not seen", count(got, PartFunctionPolicy))
	}
}

func TestWebACLOfWAFClassic(t *testing.T) {
	t.Parallel()
	w := setup(t)
	arn := "arn:aws:waf-regional:eu-west-1:" + ordersID + ":webacl/11111111-2222-4333-8444-555555555555"
	api := petsAPI("dep010", "/pets")
	api.Stages[0].WebACL = arn
	w.sim.Account(ordersID).Region(region).AddRESTAPI(api)
	r := &accountOf(t, discover(t, w), ordersID).Regions[0]
	if len(r.WebACLs) != 1 || r.WebACLs[0].ARN != arn || r.WebACLs[0].Seen(PartWebACL) || r.WebACLs[0].Seen(PartWebACLLogging) {
		t.Errorf("%+v", r.WebACLs)
	}
	if len(r.Errors) != 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Error, "WAF Classic") {
		t.Errorf("errors %+v, notes %+v", r.Errors, r.Notes)
	}
}
