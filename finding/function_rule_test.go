package finding

import (
	"strconv"
	"strings"
	"testing"
)

const testFunction = "arn:aws:lambda:eu-west-1:111122223333:function:pets"

// function gives the API's route a function.
func function(change ...func(*Function)) func(*world) {
	return func(w *world) {
		f := Function{
			ARN: testFunction, Calls: []FunctionCall{{"api1", "route GET /pets"}},
			Versions: []FunctionVersion{{Name: "$LATEST", Called: true, Runtime: "python3.13", Package: "Zip"}},
		}
		for _, c := range change {
			c(&f)
		}
		w.place.Functions = append(w.place.Functions, f)
	}
}

func gone(f *Function) { f.Missing = true }

func functionUnseen(p Part) func(*Function) { return func(f *Function) { f.Unseen = []Part{p} } }

func runtimeOf(runtime, packaged string) func(*Function) {
	return func(f *Function) { f.Versions[0].Runtime, f.Versions[0].Package = runtime, packaged }
}

// permits is a resource policy of a function with one statement.
func permits(action, principal, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return `{"Version":"2012-10-17","Statement":[{"Sid":"S1","Effect":"Allow","Principal":` + principal + `,"Action":"` + action + `","Resource":"` + testFunction + `*"` + condition + `}]}`
}

func permitted(action, principal, condition string) func(*Function) {
	return func(f *Function) { f.Versions[0].Policy = permits(action, principal, condition) }
}

// alias gives the function an alias with a policy and an address.
func alias(policy string, url *FunctionURL) func(*Function) {
	return func(f *Function) {
		f.Versions = append(f.Versions, FunctionVersion{Name: "live", Policy: policy, URL: url})
	}
}

func address(auth string, origins ...string) func(*Function) {
	return func(f *Function) {
		f.Versions[0].URL = &FunctionURL{URL: "https://x.lambda-url.eu-west-1.on.aws/", AuthType: auth, Origins: origins}
	}
}

const (
	invokeFunction = "lambda:InvokeFunction"
	invokeURL      = "lambda:InvokeFunctionUrl"
	gatewayService = `{"Service":"apigateway.amazonaws.com"}`
)

func fromSource(arn string) string { return `{"ArnLike":{"AWS:SourceArn":"` + arn + `"}}` }

var functionRuleCases = []ruleCase{
	{"function-public", HTTP, "no policy", function(), Pass},
	{"function-public", HTTP, "everybody", function(permitted(invokeFunction, `"*"`, "")), Fail},
	{"function-public", HTTP, "every action", function(permitted("lambda:*", `{"AWS":"*"}`, "")), Fail},
	{"function-public", HTTP, "everybody by an alias", function(alias(permits(invokeFunction, `"*"`, ""), nil)), Fail},
	{"function-public", HTTP, "the URL's permission alone", function(permitted(invokeURL, `"*"`, `{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}`)), Pass},
	{"function-public", HTTP, "one account", function(permitted(invokeFunction, `{"AWS":"arn:aws:iam::444455556666:root"}`, "")), Pass},
	{"function-public", HTTP, "API Gateway", function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:111122223333:api1/*"))), Pass},
	// Others take every condition for a limit, and every star for an open door.
	{"function-public", HTTP, "everybody of the organization", function(permitted(invokeFunction, `"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-mine000000"}}`)), Pass},
	{"function-public", HTTP, "everybody, for an API of the account", function(permitted(invokeFunction, `"*"`, `{"StringEquals":{"aws:SourceAccount":"111122223333"}}`)), Pass},
	{"function-public", HTTP, "everybody with TLS", function(permitted(invokeFunction, `"*"`, `{"Bool":{"aws:SecureTransport":"true"}}`)), Fail},
	{"function-public", HTTP, "everybody from half of the internet", function(permitted(invokeFunction, `"*"`, `{"IpAddress":{"aws:SourceIp":["0.0.0.0/1"]}}`)), Fail},
	{"function-public", HTTP, "everybody but others", function(permitted(invokeFunction, `"*"`, `{"StringNotEquals":{"aws:PrincipalOrgID":"o-mine000000"}}`)), Fail},
	{"function-public", HTTP, "does not exist", function(gone), NotApplicable},
	{"function-public", HTTP, "the policy is none", function(func(f *Function) { f.Versions[0].Policy = "{" }), NotSeen},
	{"function-public", HTTP, "not seen", function(functionUnseen(PartFunctionPolicy)), NotSeen},
	{"function-public", HTTP, "of an account that is not read", function(func(f *Function) {
		f.ARN, f.Unseen = "arn:aws:lambda:eu-west-1:999999999999:function:theirs", []Part{PartFunctionPolicy, PartFunctionURLs, PartFunctionConfiguration}
	}), NotSeen},

	{"function-url-open", REST, "no URL", function(permitted(invokeURL, `"*"`, "")), NotApplicable},
	{"function-url-open", REST, "open", function(address("NONE"), permitted(invokeURL, `"*"`, `{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}`)), Fail},
	// Others take the setting for the fact: without a permission, the address answers 403.
	{"function-url-open", REST, "no authentication, and nobody is let in", function(address("NONE")), Pass},
	{"function-url-open", REST, "no authentication, few addresses", function(address("NONE"), permitted(invokeURL, `"*"`, `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`)), Pass},
	{"function-url-open", REST, "IAM, one account", function(address("AWS_IAM"), permitted(invokeURL, `{"AWS":"444455556666"}`, "")), Pass},
	{"function-url-open", REST, "IAM, and every account is let in", function(address("AWS_IAM"), permitted(invokeURL, `"*"`, "")), Fail},
	{"function-url-open", REST, "IAM, and the permission is for none", function(address("AWS_IAM"), permitted(invokeURL, `"*"`, `{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}`)), Pass},
	{"function-url-open", REST, "of an alias", function(alias(permits(invokeURL, `"*"`, ""), &FunctionURL{URL: "https://y/", AuthType: "NONE"})), Fail},
	{"function-url-open", REST, "of an alias, and the permission is the function's", function(permitted(invokeURL, `"*"`, ""), alias("", &FunctionURL{URL: "https://y/", AuthType: "NONE"})), Pass},
	{"function-url-open", REST, "URLs not seen", function(functionUnseen(PartFunctionURLs)), NotSeen},

	{"function-url-any-origin", REST, "every origin", function(address("AWS_IAM", "*")), Fail},
	{"function-url-any-origin", REST, "one", function(address("AWS_IAM", "https://app.example.com")), Pass},
	{"function-url-any-origin", REST, "none", function(address("AWS_IAM")), NotApplicable},
	{"function-url-any-origin", REST, "no URL", function(), NotApplicable},

	{"function-any-gateway", REST, "no source", function(permitted(invokeFunction, gatewayService, "")), Fail},
	{"function-any-gateway", REST, "this API", function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:111122223333:api1/*/GET/pets"))), Pass},
	{"function-any-gateway", REST, "a source of every account", function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:*:*/*/GET/pets/secret"))), Fail},
	{"function-any-gateway", REST, "a star alone", function(permitted(invokeFunction, gatewayService, `{"StringLike":{"aws:SourceArn":"*"}}`)), Fail},
	{"function-any-gateway", REST, "the account", function(permitted(invokeFunction, gatewayService, `{"StringEquals":{"aws:SourceAccount":"111122223333"}}`)), Pass},
	{"function-any-gateway", REST, "an API of another account, by its name", function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:444455556666:abc/*"))), Pass},
	{"function-any-gateway", REST, "the organization", function(permitted(invokeFunction, gatewayService, `{"StringEquals":{"aws:SourceOrgID":"o-mine000000"}}`)), Pass},
	{"function-any-gateway", REST, "another service", function(permitted(invokeFunction, `{"Service":"s3.amazonaws.com"}`, "")), Pass},
	{"function-any-gateway", REST, "everybody anyway", function(permitted(invokeFunction, `"*"`, "")), NotApplicable},

	{"function-other-api", HTTP, "the account", function(permitted(invokeFunction, gatewayService, `{"StringEquals":{"aws:SourceAccount":"111122223333"}}`)), Fail},
	{"function-other-api", HTTP, "every API of the account", function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:111122223333:*/*/POST/pets/food"))), Fail},
	{"function-other-api", HTTP, "this API", function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:111122223333:api1/*/*"))), Pass},
	{"function-other-api", HTTP, "its authorizers", function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:111122223333:api1/authorizers/*"))), Pass},
	{"function-other-api", HTTP, "no permission, but a role", function(), Pass},
	{"function-other-api", HTTP, "every account", function(permitted(invokeFunction, gatewayService, "")), NotApplicable},

	{"function-runtime-ended", WebSocket, "new", function(), Pass},
	{"function-runtime-ended", WebSocket, "ended", function(runtimeOf("python3.8", "Zip")), Fail},
	{"function-runtime-ended", WebSocket, "ends later", function(runtimeOf("nodejs20.x", "Zip")), Pass},
	{"function-runtime-ended", WebSocket, "newer than the table", function(runtimeOf("python3.99", "Zip")), NotSeen},
	{"function-runtime-ended", WebSocket, "an image", function(runtimeOf("", "Image")), NotApplicable},
	{"function-runtime-ended", WebSocket, "ended, and is not called", function(func(f *Function) {
		f.Versions = append(f.Versions, FunctionVersion{Name: "old", Runtime: "python2.7", Package: "Zip"})
	}), Pass},
	{"function-runtime-ended", WebSocket, "not seen", function(functionUnseen(PartFunctionConfiguration)), NotSeen},

	{"description-missing", HTTP, "none", nothing, Fail},
	{"description-missing", REST, "one", func(w *world) { w.api.Description = "sells pets" }, Pass},
	{"documentation-missing", REST, "none", nothing, Fail},
	{"documentation-missing", REST, "one", func(w *world) { w.stage.Documentation = "v3" }, Pass},
}

// corsFrom gives the route's template conditions on the origin that it reflects.
func corsFrom(guards ...[]string) func(*world) {
	return func(w *world) { w.route.CORSTemplates = []CORSTemplate{{Where: "t", Guards: guards}} }
}

var corsRuleCases = []ruleCase{
	{"cors-reflected", REST, "no CORS", nothing, NotApplicable},
	{"cors-reflected", REST, "fixed", func(w *world) {
		w.route.CORSHeaders = map[string]string{"access-control-allow-origin": "'https://app.example.com'"}
	}, Pass},
	{"cors-reflected", REST, "a gateway response reflects", func(w *world) {
		w.api.Responses = []GatewayResponse{{Type: "DEFAULT_4XX", Headers: map[string]string{"access-control-allow-origin": "method.request.header.Origin"}}}
	}, Fail},
	{"cors-reflected", REST, "a template reflects", corsFrom(), Fail},
	{"cors-reflected", REST, "every origin that is one", corsFrom([]string{".+"}), Fail},
	{"cors-reflected", REST, "one of two", corsFrom([]string{`https://a\.example`, `https://b\.example`}), Pass},
	{"cors-reflected", REST, "a domain and what is below it", corsFrom([]string{`https://.*\.example\.com`}), Pass},
	{"cors-reflected", REST, "a domain, and its namesakes", corsFrom([]string{`https://.*example\.com`}), Fail},
	{"cors-reflected", REST, "an end, and its namesakes", corsFrom([]string{`.*example\.com`}), Fail},
	{"cors-reflected", REST, "a beginning", corsFrom([]string{`https://app\.example\.com.*`}), Fail},
	{"cors-reflected", REST, "a text somewhere", corsFrom([]string{`.*example\.com.*`}), Fail},
	{"cors-reflected", REST, "two that exclude strangers", corsFrom([]string{".+"}, []string{`https://a\.example`}), Pass},
	{"cors-reflected", REST, "what Go cannot read", corsFrom([]string{`(?<!x)y`}), NotSeen},
	{"cors-reflected", REST, "what nobody understood", func(w *world) { w.route.CORSTemplates = []CORSTemplate{{Where: "t", Opaque: true}} }, NotSeen},
	{"cors-reflected", REST, "what nobody understood, and a name", func(w *world) {
		w.route.CORSTemplates = []CORSTemplate{{Where: "t", Opaque: true, Guards: [][]string{{`https://a\.example`}}}}
	}, Pass},
}

// forgetBackend takes away what was not read of web ACLs and functions.
func (w *world) forgetBackend(p Part) {
	for i := range w.place.WebACLs {
		switch a := &w.place.WebACLs[i]; p {
		case PartWebACL:
			a.Rules, a.DefaultAction = nil, ""
		case PartWebACLLogging:
			a.Logs, a.LogFilter = nil, ""
		}
	}
	for i := range w.place.Functions {
		f := &w.place.Functions[i]
		for j := range f.Versions {
			switch v := &f.Versions[j]; p {
			case PartFunctionConfiguration:
				v.Runtime, v.Package, f.Missing = "", "", false
			case PartFunctionPolicy:
				v.Policy = ""
			case PartFunctionURLs:
				v.URL = nil
			}
		}
	}
}

// A finding about a function is kept while the routes of an API cannot be read: the
// function may still be called there.
func TestFunctionsOfUnreadRoutesAreNotFixed(t *testing.T) {
	t.Parallel()
	l := newLife()
	open := newWorld(REST)
	function(permitted(invokeFunction, `"*"`, ""))(open)
	unread := newWorld(REST)
	unread.api.Routes, unread.api.Unseen = nil, []Part{PartIntegrations}
	closed := newWorld(REST)
	id := IDOf("function-public", Subject{Kind: OfFunction, Account: "111122223333", Region: "eu-west-1", Name: "pets"})
	for _, step := range []struct {
		w       *world
		state   State
		notSeen bool
	}{{open, Open, false}, {unread, Open, true}, {closed, Fixed, false}} {
		if _, err := l.book.Evaluate(t.Context(), step.w.estate); err != nil {
			t.Fatal(err)
		}
		if f := l.store.findings[id]; f.State != step.state || f.NotSeen != step.notSeen {
			t.Errorf("the finding is %q, not seen %t; want %q, %t", f.State, f.NotSeen, step.state, step.notSeen)
		}
	}
}

// Evidence says who calls the function and by which statement who else may.
func TestFunctionEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(REST)
	function(permitted(invokeFunction, gatewayService, ""))(w)
	verdict, evidence := w.verdict("function-any-gateway")
	var text strings.Builder
	for _, e := range evidence {
		text.WriteString(e.What + ": " + e.Value + "\n")
	}
	for _, want := range []string{"called by API api1: route GET /pets", "resource policy of $LATEST: lets in arn:aws:execute-api:eu-west-1:999999999999:", "by S1"} {
		if verdict != Fail || !strings.Contains(text.String(), want) {
			t.Errorf("%s without %q:\n%s", verdict, want, text.String())
		}
	}
}

// BenchmarkEvaluateFunctions judges 2,000 functions, each with the permission that one
// API's call needs.
func BenchmarkEvaluateFunctions(b *testing.B) {
	w := newWorld(HTTP)
	for i := range 2000 {
		function(permitted(invokeFunction, gatewayService, fromSource("arn:aws:execute-api:eu-west-1:111122223333:api1/*")))(w)
		w.place.Functions[i].ARN += strconv.Itoa(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(w.estate)
	}
}
