package dashboard_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/iam"
)

const (
	webApp       = "arn:aws:sts::444455556666:assumed-role/web-app/i-0"
	ordersCall   = "arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/prod/GET/orders/17"
	mayInvoke    = `{"Version":"2012-10-17","Statement":[{"Sid":"Invoke","Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}`
	letsIn       = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"execute-api:Invoke","Resource":"execute-api:/*"}]}`
	deniesPath   = `{"Version":"2012-10-17","Statement":[{"Sid":"NoOrders","Effect":"Deny","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:*/*/GET/orders/*"}]}`
	formEncoding = "application/x-www-form-urlencoded"
)

// form is the lab's form with a call that policies decide.
func form(policies ...string) url.Values {
	v := url.Values{
		"by": {"api"}, "principal": {webApp}, "operation": {"Invoke"}, "region": {"eu-west-1"}, "account": {"111122223333"}, "api": {"a1b2c3d4e5"},
		"stage": {"prod"}, "method": {"GET"}, "path": {"/orders/17"}, "auth": {"IAM"}, "type": {"REST"}, "endpoint": {""}, "context": {""},
	}
	for i, p := range policies {
		n := string(rune('0' + i))
		layer, text, _ := strings.Cut(p, " ")
		v.Set("layer."+n, layer)
		v.Set("level."+n, "1")
		v.Set("policy."+n, text)
	}
	return v
}

// lab opens the lab with a form and follows to the address that keeps it.
func (s *site) lab(v url.Values) (page, link string) {
	s.t.Helper()
	res, _ := s.get("/policies/lab?" + v.Encode())
	link, _, _ = strings.Cut(res.Header.Get("Location"), "#")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(link, "/policies/lab?s=") {
		s.t.Fatalf("the form answers %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	return s.page(link), link
}

func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, from)
	out, _, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("there is no %q … %q", from, to)
	}
	return out
}

func TestLabDecidesAndSaysWhy(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	page, _ := s.lab(form("identity "+mayInvoke, "resource "+letsIn))
	text := words(page)
	for _, want := range []string{"● Allowed", webApp + " may perform execute-api:Invoke on " + ordersCall, "Statement 0 Invoke allows this request", "naming the account leaves it to the account's own policies"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}
	if strings.Count(page, `<mark class="allows">`) < 2 {
		t.Error("the matching statements are not marked")
	}

	page, _ = s.lab(form("resource " + letsIn))
	text = words(page)
	for _, want := range []string{
		"◐ Implicit deny", "Across accounts both sides must allow. Attach an identity-based policy to " + webApp,
		"is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:********3333:", "absent, but it must allow",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}

	page, _ = s.lab(form("identity "+mayInvoke, "identity "+deniesPath, "resource "+letsIn))
	if text = words(page); !strings.Contains(text, "■ Explicit deny") || !strings.Contains(text, "Take out or narrow statement 0 (NoOrders) of the identity-based policy identity_policies[1]") {
		t.Errorf("the denial is not told: %s", text)
	}
	if got := between(t, page, `<mark class="denies">`, `</mark>`); !strings.Contains(got, "NoOrders") {
		t.Errorf("marked as denying is %q", got)
	}
}

func TestLabTakesEveryPartOfARequest(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	v := form("resource " + `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"},"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"}}}]}`)
	v.Set("auth", "NONE")
	v.Set("endpoint", "private")
	v.Set("principal", "anonymous")
	v.Set("context", "aws:SourceVpce = vpce-1\r\naws:VpcSourceIp=10.1.2.3\r\naws:Referer =")
	v.Set("management", "1")
	v.Set("service_linked", "1")
	v.Set("resource_account", "111122223333")
	page, _ := s.lab(v)
	text := words(page)
	if !strings.Contains(text, "● Allowed") || !strings.Contains(text, "● given aws:SourceVpce = vpce-1") {
		t.Errorf("the request is not taken whole: %s", text)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(html.UnescapeString(between(t, page, "JSON</summary><pre tabindex=\"0\"><code>", "</code>"))), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"principal": "anonymous", "action": "execute-api:Invoke", "resource": ordersCall, "resource_account": "111122223333", "auth": "NONE", "api": "REST",
		"endpoint": "private", "resource_owner_is_management_account": true, "service_linked_role": true,
		"context": map[string]any{"aws:SourceVpce": []any{"vpce-1"}, "aws:VpcSourceIp": []any{"10.1.2.3"}, "aws:Referer": []any{}},
	}
	if d := cmp.Diff(want, got["request"]); d != "" {
		t.Errorf("the case's request differs: %s", d)
	}

	v = form()
	v.Set("type", "WEBSOCKET")
	v.Set("path", "$connect")
	if page, _ := s.lab(v); !strings.Contains(words(page), ":a1b2c3d4e5/prod/$connect ") {
		t.Error("a WebSocket route is not named by its key")
	}
	v = form()
	v.Set("region", "us-gov-west-1")
	v.Set("stage", "")
	if page, _ := s.lab(v); !strings.Contains(words(page), "arn:aws-us-gov:execute-api:us-gov-west-1:111122223333:a1b2c3d4e5/$default/GET/orders/17") {
		t.Error("partition or default stage are not as AWS writes them")
	}
}

func TestLabLinkKeepsItAll(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	v := form("scp "+mayInvoke, "identity "+mayInvoke, "resource {\n  <b>half a \"policy\"\n")
	v.Set("context", "aws:SourceIp = 203.0.113.9")
	_, link := s.lab(v)
	page := s.page(link)
	for _, want := range []string{`value="` + webApp + `"`, "{\n  &lt;b&gt;half a &#34;policy&#34;\n", "aws:SourceIp = 203.0.113.9", `<option value="scp" selected>`, `value="/orders/17"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the link lost %q", want)
		}
	}
	if again := html.UnescapeString(between(t, page, `<a href="/policies/lab?s=`, `"`)); "/policies/lab?s="+again != link {
		t.Errorf("the page's own link is %q, want %q", again, link)
	}
	if len(link) > 800 {
		t.Errorf("the link has %d characters", len(link))
	}
	res, text := s.get("/policies/lab?s=" + strings.Repeat("A", 50))
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(text, "This link is damaged") {
		t.Errorf("a damaged link answers %d", res.StatusCode)
	}
}

func TestLabSaysWhenNoLinkCanHoldIt(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Statement":[`)
	for i := range 600 {
		if i > 0 {
			b.WriteByte(',')
		}
		digest := sha256.Sum256([]byte{byte(i), byte(i >> 8)}) // what does not pack
		b.WriteString(`{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:s3:::` + hex.EncodeToString(digest[:]) + `"}`)
	}
	b.WriteString(`]}`)
	v := form("identity " + b.String())
	res, text := s.send(http.MethodPost, "/policies/lab", v.Encode(), "Content-Type", formEncoding)
	if res.StatusCode != http.StatusOK || !strings.Contains(words(text), "Too large for a link: it would have") || !strings.Contains(words(text), "Implicit deny") {
		t.Errorf("a large case answers %d: %.300s", res.StatusCode, words(text))
	}
	v.Set("policy.0", strings.Repeat("x", 600<<10))
	if res, _ := s.send(http.MethodPost, "/policies/lab", v.Encode(), "Content-Type", formEncoding); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("600 kB answer %d", res.StatusCode)
	}
	if res, _ := s.send(http.MethodPost, "/policies/lab", form("identity "+mayInvoke).Encode(), "Content-Type", formEncoding); res.StatusCode != http.StatusSeeOther {
		t.Errorf("a small one answers %d, not with its link", res.StatusCode)
	}
}

func TestLabShowsMistakesAtTheirPlace(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	page, _ := s.lab(form("identity {\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Efect\": \"Allow\"}]\n}", "resource "+letsIn))
	text := words(page)
	for _, want := range []string{"○ Not decided yet 1 policy cannot be read", "Statement[0].Efect (line 3, column 18)", `unknown element "Efect"`, "Statement 0 Allow"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}
	mark := regexp.MustCompile(`(?s)<pre tabindex="0"><code>(.*?)\n( *)\^</code>`).FindStringSubmatch(page)
	if mark == nil || html.UnescapeString(mark[1])[len(mark[2]):][:7] != `"Efect"` {
		t.Errorf("the caret is under %q", mark)
	}
	for change, want := range map[string][2]string{
		"principal": {"alice", "is not a principal"}, "api": {"", "which API?"}, "context": {"no key here", "line 1: write key = value"},
		"resource_account": {"12", "is not a 12-digit account"}, "auth": {"STRANGE", "is none of IAM, NONE, LAMBDA, COGNITO"}, "account": {"x", "is not a 12-digit account"},
	} {
		v := form()
		v.Set(change, want[0])
		id := change
		if change == "account" {
			id = "api"
		}
		page, _ := s.lab(v)
		if got := between(t, page, `id="e-`+id+`" data-part>`, `</p>`); !strings.Contains(html.UnescapeString(got), want[1]) {
			t.Errorf("beside %s stands %q, want %q", change, got, want[1])
		}
	}
	page, _ = s.lab(form("resource "+letsIn, "resource "+letsIn))
	if !strings.Contains(words(page), "there is one already of this kind") {
		t.Error("two resource policies are taken")
	}
}

func TestLabShowsFindingsOfEachPolicy(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	page, _ := s.lab(form("resource {\"Version\":\"2012-10-17\",\"Statement\":[\n{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::444455556666:role/web-*\"},\n\"Action\":\"execute-api:Invoke\",\"Resource\":\"execute-api:/prod/ANY/*\"}]}"))
	text := words(page)
	for _, want := range []string{"line 2 principal-wildcard", "■ error 2:38 principal-wildcard a wildcard in a principal matches no one", "To mend: name the account here", "ANY matches nothing"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}
}

func TestLabReadsPoliciesAsAWSGivesThem(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	escaped, err := json.Marshal(letsIn)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"escaped": strings.Trim(string(escaped), `"`), "quoted": string(escaped), "URL-encoded": url.QueryEscape(letsIn), "with a byte order mark": "\ufeff" + letsIn,
	} {
		page, _ := s.lab(form("identity "+mayInvoke, "resource "+text))
		if !strings.Contains(words(page), "● Allowed") {
			t.Errorf("%s: not allowed", name)
		}
	}
}

func TestLabButtonsWorkWithoutScript(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	press := func(do string, more ...string) string {
		v := form("identity "+mayInvoke, "resource "+letsIn)
		v.Set("do", do)
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		page, _ := s.lab(v)
		return page
	}
	if page := press("add.scp"); strings.Count(page, `class="panel slot"`) != 3 || !strings.Contains(page, `name="policy.2"`) {
		t.Error("no policy was added")
	}
	if page := press("remove.0"); strings.Count(page, `class="panel slot"`) != 1 || !strings.Contains(page, `<option value="resource" selected>`) {
		t.Error("the wrong policy was removed")
	}
	if page := press("format"); !strings.Contains(page, "{\n  &#34;Version&#34;: &#34;2012-10-17&#34;,") {
		t.Error("the JSON is not laid out")
	}
	if page := press("key.aws:SourceIp"); !strings.Contains(page, `>aws:SourceIp = </textarea>`) {
		t.Error("the key is not added")
	}
	page := press("", "pick", apitest.Catalog+"/eu-west-1/h7t8t9p0a1", "picked", "")
	for _, want := range []string{`name="api" value="h7t8t9p0a1"`, `name="account" value="` + apitest.Catalog + `"`, `<option selected>HTTP</option>`, `value="COGNITO" selected`, `value="/products"`} {
		if !strings.Contains(page, want) {
			t.Errorf("an API of the estate is not filled in: %q is missing", want)
		}
	}
	w := apitest.Rich(now)
	w.Estates.Accounts[1].Regions[0].APIs[0].Policy = letsIn
	s = open(t, w)
	if page := press("", "pick", apitest.Orders+"/eu-west-1/a1b2c3d4e5", "picked", ""); strings.Count(page, `class="panel slot"`) != 2 || !strings.Contains(page, "&#34;AWS&#34;: &#34;444455556666&#34;") {
		t.Error("the API's own resource policy is not filled in")
	}
	link := html.UnescapeString(between(t, s.page("/inventory/"+w.Details[2].ID), `href="/policies/lab?s=`, `"`))
	if page := s.page("/policies/lab?s=" + link); !strings.Contains(page, `<option selected>POST</option>`) || !strings.Contains(page, "&#34;AWS&#34;: &#34;444455556666&#34;") {
		t.Error("the endpoint's page does not lead to its request and policy")
	}
	for _, do := range []string{"remove.7", "remove.-1", "remove.x", "add.strange", "strange"} {
		press(do)
	}
}

func TestLabTakesACaseAndGivesIt(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	given := `{"request":{"principal":"` + webApp + `","action":"execute-api:Invoke","resource":"` + ordersCall + `","auth":"IAM","api":"REST","context":{"aws:SourceIp":"203.0.113.9","aws:MultiFactorAuthAge":[300],"aws:Referer":[],"aws:TagKeys":["a","b"]}},` +
		`"identity_policies":[` + mayInvoke + `,` + deniesPath + `],"resource_policy":` + letsIn + `,"session_policies":[` + mayInvoke + `],"scps":[[` + mayInvoke + `],[` + mayInvoke + `,` + mayInvoke + `]],"rcps":[[]],"permissions_boundary":null,"vpc_endpoint_policy":` + strings.Replace(letsIn, "execute-api:/*", "*", 1) + `}`
	v := form()
	v.Set("do", "import")
	v.Set("case", given)
	res, text := s.send(http.MethodPost, "/policies/lab", v.Encode(), "Content-Type", formEncoding)
	if res.Header.Get("Location") == "" {
		t.Fatal(words(text))
	}
	page := s.page(res.Header.Get("Location"))
	if !strings.Contains(page, `value="a1b2c3d4e5"`) || !strings.Contains(page, `value="/orders/17"`) {
		t.Error("the ARN is not taken apart")
	}
	command := html.UnescapeString(between(t, page, `data-copy="gatehouse policy eval`, `" hidden`))
	out := between(t, command, "<<'CASE'\n", "\nCASE")
	want, err := iam.ParseCase([]byte(given))
	if err != nil {
		t.Fatal(err)
	}
	got, err := iam.ParseCase([]byte(out))
	if err != nil {
		t.Fatalf("the command's case cannot be read: %v: %s", err, out)
	}
	// An empty level is shown as a policy without statements, which says the same.
	if d := cmp.Diff(want.Query.Request(), got.Query.Request()); d != "" {
		t.Errorf("the request differs: %s", d)
	}
	wx, gx := want.Explain(), got.Explain()
	if d := cmp.Diff(wx.Traces, gx.Traces); d != "" || wx.Decision != gx.Decision {
		t.Errorf("the case decides otherwise: %s", d)
	}
	answer := html.UnescapeString(between(t, page, `Its answer</summary><pre tabindex="0"><code>`, `</code>`))
	var r iam.Result
	got.Evaluate(&r)
	if answer != string(r.AppendJSON(nil)) {
		t.Errorf("the answer is %s", answer)
	}

	v.Set("case", "{\n \"request\": {}}")
	_, text = s.send(http.MethodPost, "/policies/lab", v.Encode(), "Content-Type", formEncoding)
	if !strings.Contains(words(text), "The case cannot be read.") || !strings.Contains(words(text), "request (line 2, column 13) : request needs principal") {
		t.Errorf("a broken case is told so: %s", words(text))
	}
}

func TestLabAnswersTheScript(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	res, text := s.send(http.MethodPost, "/policies/lab/decide", form("identity "+mayInvoke).Encode(), "Content-Type", formEncoding)
	if res.StatusCode != http.StatusOK || strings.Contains(text, "<html") || !strings.Contains(text, `id="lab-banner"`) || !strings.Contains(text, `data-link="/policies/lab?s=`) {
		t.Errorf("answers %d: %s", res.StatusCode, text)
	}
	page, _ := s.lab(form("identity " + mayInvoke))
	for _, m := range regexp.MustCompile(`id="([^"]+)" data-part`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(page, `id="`+m[1]+`" data-part`) && !strings.Contains(page, `id="`+m[1]+`"`) {
			t.Errorf("the part %s has no place on the page", m[1])
		}
	}
	if res, _ := s.send(http.MethodPost, "/policies/lab/decide", "a=b", "Content-Type", formEncoding, "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's request answers %d", res.StatusCode)
	}
}

func TestLabExamplesAreWhatTheySay(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	for name, want := range map[string]string{
		"": "● Allowed", "cross-account": "● Allowed", "one-side": "◐ Implicit deny", "deny-by-address": "■ Explicit deny", "private-api": "● Allowed",
		"lambda-authorizer": "◐ Implicit deny", "assume-role": "● Allowed", "scp": "■ Explicit deny", "empty": "○ Not decided yet",
	} {
		path := "/policies/lab"
		if name != "" {
			path += "?example=" + name
		}
		page := s.page(path)
		if !strings.Contains(words(page), want) {
			t.Errorf("the example %q is not %q", name, want)
		}
		if strings.Contains(page, `class="found bad"`) {
			t.Errorf("the example %q has an error: %s", name, words(page))
		}
	}
}

func TestHostilePoliciesAreShownNotRun(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	v := form("identity "+apitest.Hostile, `resource {"Statement":[{"Sid":"</pre><script>alert(1)</script>","Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`)
	v.Set("principal", apitest.Hostile)
	v.Set("context", apitest.Hostile+" = "+apitest.Hostile)
	page, _ := s.lab(v)
	for _, bad := range []string{"<script>alert", "<img src=x", "\u202e", "</pre><script"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}
