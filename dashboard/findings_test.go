package dashboard_test

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// judgedWorld is a place where rules found things: an open REST API without logs, and
// an account that could not be read. Name is what the API is called.
func judgedWorld(t *testing.T, at time.Time, name string, apis int) (*finding.Book, *sqlite.Store) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	book := finding.NewBook(s, func() time.Time { return at })
	e := &finding.Estate{
		Time:     at,
		Places:   []finding.Place{{Account: apitest.Orders, AccountName: "orders", Region: "eu-west-1"}, {Account: apitest.Catalog, AccountName: "catalog", Region: "eu-west-1", APIs: []finding.API{{ID: "h7t8t9p0a1", Name: "catalog", Type: finding.HTTP}}}},
		Accounts: []finding.Account{judgedAccount(apitest.Orders, name), {ID: apitest.Catalog, Name: "catalog", Unseen: []finding.Part{finding.PartPrincipals}}},
		Unread:   []finding.Unread{{Account: apitest.Payments, AccountName: "payments", Why: "AccessDenied"}},
	}
	e.Places[0].Clusters = []finding.Cluster{judgedCluster(apitest.Orders, name)}
	for i := range apis {
		e.Places[0].APIs = append(e.Places[0].APIs, finding.API{
			ID: "a1b2c3d4e5"[:9] + string(rune('a'+i%26)) + strings.Repeat("x", i/26), Name: name, Type: finding.REST, EndpointType: "REGIONAL", Stages: []finding.Stage{{Name: "prod", LoggingLevel: "OFF"}},
			Routes: []finding.Route{{ID: "res1", Method: "GET", Path: "/pets", Authorization: "NONE"}},
		})
	}
	if _, err := book.Evaluate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return book, s
}

// judgedCluster is an EKS cluster about which most can be said.
func judgedCluster(account, name string) finding.Cluster {
	admin := []finding.AccessPolicy{{ARN: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", Scope: "cluster"}}
	entry := func(principal string, tags map[string]string) finding.AccessEntry {
		return finding.AccessEntry{Principal: principal, Policies: admin, Tags: tags}
	}
	return finding.Cluster{
		Name: name, Version: "1.28", Support: "EXTENDED", AuthenticationMode: "API_AND_CONFIG_MAP", PublicEndpoint: true, Logging: []string{"api"},
		AccessEntries: []finding.AccessEntry{
			entry("arn:aws:iam::"+account+":role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_AdministratorAccess_0123456789abcdef", nil),
			entry("arn:aws:iam::"+account+":role/break-glass", map[string]string{"purpose": "break-glass"}),
			entry("arn:aws:iam::999999999999:role/consultants", nil), entry("arn:aws:iam::"+account+":role/left-long-ago", nil),
		},
	}
}

// judgedAccount is an account with a role that everybody may assume, one for pods, and
// one that may do too much.
func judgedAccount(account, name string) finding.Account {
	const issuer = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
	role := "arn:aws:iam::" + account + ":role/"
	return finding.Account{ID: account, Name: name, Partition: "aws", Principals: []finding.Principal{
		{ARN: role + "break-glass", Trust: `{"Version":"2012-10-17","Statement":[{"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`},
		{ARN: role + "pods/orders-worker", Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + account + `:oidc-provider/` + issuer + `"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`},
		{ARN: role + "collector", Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"sts:AssumeRole"}]}`, Wide: []finding.Wide{
			{Action: finding.WideInvoke, Resource: "arn:aws:execute-api:eu-west-1:" + account + ":*/*/GET/*", By: "inline policy everything of role collector"},
			{Action: finding.WideSearchLog, Resource: "arn:aws:logs:eu-west-1:" + account + ":log-group:*:log-stream:", By: "managed policy arn:aws:iam::" + account + ":policy/collect (v3)"},
		}},
	}}
}

func openJudged(t *testing.T, role identity.Role, name string, apis int) (*site, *finding.Book) {
	t.Helper()
	book, history := judgedWorld(t, now, name, apis)
	srv := productOf(t, apitest.Rich(now), role, dashboard.Options{Findings: book, History: history, Clock: clock})
	c := srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &site{t: t, url: srv.URL, c: c}, book
}

// one is a finding of a rule.
func one(t *testing.T, b *finding.Book, rule string) *finding.Finding {
	t.Helper()
	page, err := b.List(context.Background(), finding.Query{Rule: rule})
	if err != nil || len(page.Findings) == 0 {
		t.Fatalf("%s: %d findings, %v", rule, page.Total, err)
	}
	f, err := b.Get(context.Background(), page.Findings[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPostureTellsWhatWasNotSeen(t *testing.T) {
	t.Parallel()
	s, book := openJudged(t, identity.Viewer, "pets", 1)
	s.says("/posture", "Checks passed", "◐ not seen", "payments", "to be mended", "never counts as passed")
	page := s.page("/posture")
	accounts := page[strings.Index(page, "h-accounts"):strings.Index(page, "h-rules")]
	orders, payments := strings.Index(accounts, `title="`+apitest.Orders+`"`), strings.Index(accounts, `title="`+apitest.Payments+`"`)
	if orders < 0 || payments < orders {
		t.Errorf("the account with failures is not before the one that was not seen (%d, %d)", orders, payments)
	}
	p, err := book.Posture(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Accounts {
		if a.Account == apitest.Payments && (a.Pass != 0 || a.Fail != 0 || a.NotSeen == 0) {
			t.Errorf("the account that could not be read stands at %+v", a)
		}
	}
	if without, _ := open(t, apitest.Rich(now)).get("/posture"); without.StatusCode != http.StatusNotFound {
		t.Errorf("without findings the page answers %d", without.StatusCode)
	}
}

func TestFindingsAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	s, book := openJudged(t, identity.Viewer, apitest.Hostile, 60)
	all, err := book.List(t.Context(), finding.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	rows := func(page string) int { return strings.Count(page, "<tr data-key=") }
	first := s.page("/findings")
	if rows(first) != 100 || strings.Contains(first, "<script>alert") {
		t.Errorf("the first page has %d rows", rows(first))
	}
	seen, next := 100, first
	for strings.Contains(next, `rel="next"`) {
		next = s.page(strings.ReplaceAll(between(t, next, `rel="next" href="`, `"`), "&amp;", "&"))
		seen += rows(next)
	}
	if seen != all.Total {
		t.Errorf("the pages have %d rows of %d", seen, all.Total)
	}
	one := s.page("/findings?rule=route-open&api=a1b2c3d4ea")
	if rows(one) != 1 || !strings.Contains(one, "/api/v1/findings.csv?api=a1b2c3d4ea&amp;rule=route-open&amp;state=open%2C") {
		t.Errorf("the filters leave %d rows", rows(one))
	}
	export := strings.ReplaceAll(between(t, one, `href="/api/v1/findings.csv`, `"`), "&amp;", "&")
	if _, text := s.get("/api/v1/findings.csv" + export); strings.Count(text, "route-open") != 1 {
		t.Errorf("the export is %s", text)
	}
	for path, want := range map[string]string{
		"/findings?severity=awful":    "No finding that waits for somebody matches.",
		"/findings?state=fixed":       "No finding that waits for somebody matches.",
		"/findings?state=all&api=no":  "No finding matches.",
		"/findings?account=000000000": "Account 000000000",
	} {
		s.says(path, want)
	}
	if res, _ := s.get("/findings?cursor=strange&rule=route-open"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/findings?rule=route-open" {
		t.Errorf("a strange cursor answers %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	if res, _ := s.get("/findings/0000"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a finding that is not there answers %d", res.StatusCode)
	}
	s.says("/estate", "Findings")
}

func TestFindingIsDecidedAboutByAdmins(t *testing.T) {
	t.Parallel()
	s, book := openJudged(t, identity.Viewer, "pets", 1)
	f := one(t, book, "route-open")
	path := "/findings/" + f.ID
	s.says(path, "Why it matters", "--resource-id res1 --http-method GET", "Terraform", "Security Hub", "Deciding needs the role admin.", "the rule found it")
	v := url.Values{"version": {"1"}, "state": {"accepted"}, "until": {"2026-04-01"}, "reason": {"an open beta"}}
	bearer := []string{"Content-Type", formEncoding, "Authorization", "Bearer " + token}
	post := func(v url.Values, headers ...string) (*http.Response, string) {
		return s.send(http.MethodPost, path, v.Encode(), headers...)
	}
	if res, _ := post(v, "Content-Type", formEncoding); res.StatusCode < 400 {
		t.Errorf("a viewer's decision answers %d", res.StatusCode)
	}
	if res, _ := post(v, append([]string{"Sec-Fetch-Site", "cross-site"}, bearer...)...); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", res.StatusCode)
	}
	change := func(key, value string) url.Values {
		c := url.Values{}
		for k := range v {
			c.Set(k, v.Get(k))
		}
		c.Set(key, value)
		return c
	}
	for name, c := range map[string]struct {
		v    url.Values
		want int
		says string
	}{
		"no version":     {change("version", ""), http.StatusBadRequest, "which version"},
		"any version":    {change("version", "0"), http.StatusBadRequest, "which version"},
		"an old version": {change("version", "9"), http.StatusConflict, "changed in the meantime"},
		"no reason":      {change("reason", " "), http.StatusUnprocessableEntity, "say why"},
		"no end":         {change("until", ""), http.StatusUnprocessableEntity, "needs a date"},
		"a strange end":  {change("until", "soon"), http.StatusUnprocessableEntity, "write the day like"},
		"too long":       {change("until", "2029-01-01"), http.StatusUnprocessableEntity, "a year at most"},
		"fixed by hand":  {change("state", "fixed"), http.StatusUnprocessableEntity, "Gatehouse sets itself"},
	} {
		if res, text := post(c.v, bearer...); res.StatusCode != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%s answers %d: %s", name, res.StatusCode, words(text))
		}
	}
	if got := one(t, book, "route-open"); got.Version != 1 || got.State != finding.Open {
		t.Fatalf("a refused decision left %s, version %d", got.State, got.Version)
	}
	if _, text := post(change("until", ""), bearer...); !strings.Contains(text, ">an open beta</textarea>") || !strings.Contains(text, `<option value="accepted" selected>`) {
		t.Error("a refused form loses what was typed")
	}
	res, _ := post(v, bearer...)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != path+"?done=1" {
		t.Fatalf("the decision answers %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	got := one(t, book, "route-open")
	if got.State != finding.Accepted || !got.Until.Equal(time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC)) || got.By != "admin token" {
		t.Errorf("it is %s until %s by %q", got.State, got.Until, got.By)
	}
	s.says(path+"?done=1", "Saved: it is accepted now", "an open beta", "admin token")
	if res, _ := post(v, bearer...); res.StatusCode != http.StatusConflict {
		t.Errorf("the second decision about one version answers %d", res.StatusCode)
	}
	if strings.Contains(s.page("/findings?rule=route-open"), path) || !strings.Contains(s.page("/findings?rule=route-open&state=accepted"), path) {
		t.Error("an accepted finding is listed among those that wait, or nowhere")
	}
}

// kept is a history of the estate.
type kept struct {
	changes []estate.Change
	err     error
	asked   estate.HistoryQuery
}

func (k *kept) EstateHistory(_ context.Context, q estate.HistoryQuery) (estate.HistoryPage, error) {
	k.asked = q
	return estate.HistoryPage{Changes: k.changes, Next: "older"}, k.err
}

func changesAt(at time.Time) []estate.Change {
	return []estate.Change{
		{ID: 2, Time: at, Account: apitest.Orders, Region: "eu-west-1", API: "a1b2c3d4e5", Type: estate.SubjectStage, Subject: "prod", Kind: estate.Changed, Field: "logging_level", Before: "OFF", After: "INFO"},
		{ID: 1, Time: at, Account: apitest.Orders, Region: "eu-west-1", API: "a1b2c3d4e5", Type: estate.SubjectRoute, Subject: apitest.Hostile, Kind: estate.Appeared},
	}
}

func TestEstateTellsLoggingFindingsAndWhatChanged(t *testing.T) {
	t.Parallel()
	book, _ := judgedWorld(t, now, "orders", 1)
	page, err := book.List(t.Context(), finding.Query{API: "a1b2c3d4ea", States: finding.Unsettled()})
	if err != nil {
		t.Fatal(err)
	}
	w := apitest.Rich(now)
	w.Estates.Accounts[1].Regions[0].APIs[0].ID = "a1b2c3d4ea"
	history := &kept{changes: changesAt(now)}
	srv := productOf(t, w, identity.Viewer, dashboard.Options{Findings: book, History: history, Clock: clock})
	s := &site{t: t, url: srv.URL, c: srv.Client()}
	for _, path := range []string{"/estate", "/estate?view=tree"} {
		s.says(path, "data trace", "What changed", "logging_level OFF → INFO", "appeared", "Older")
		if text := s.page(path); strings.Contains(text, "<script>alert") ||
			!strings.Contains(text, `href="/findings?account=222222222222&amp;api=a1b2c3d4ea&amp;region=eu-west-1" aria-label="Findings of orders">`+strconv.Itoa(page.Total)+`</a>`) {
			t.Errorf("%s does not lead to the %d findings of the API", path, page.Total)
		}
	}
	s.page("/estate?change=went&changes=older")
	if history.asked.Kind != estate.Went || history.asked.Cursor != "older" {
		t.Errorf("the history was asked for %+v", history.asked)
	}
	history.changes, history.err = nil, estate.ErrInvalidQuery
	s.says("/estate?changes=strange", "This address does not lead to a page of changes.")
}

// TestUnjudgedIsNotShownAsClean: that there is no finding of an API says something only
// where the rules looked at it.
func TestUnjudgedIsNotShownAsClean(t *testing.T) {
	t.Parallel()
	book, _ := judgedWorld(t, now, "orders", 1)
	w := apitest.Rich(now)
	w.Change(func(w *apitest.World) {
		for i := range w.Estates.Accounts {
			for j := range w.Estates.Accounts[i].Regions {
				for k := range w.Estates.Accounts[i].Regions[j].APIs {
					if api := &w.Estates.Accounts[i].Regions[j].APIs[k]; api.Name == "catalog" {
						api.Created = now.Add(time.Minute) // after the rules looked
					}
				}
			}
		}
	})
	page := func(f dashboard.Findings, q string) string {
		srv := productOf(t, w, identity.Viewer, dashboard.Options{Findings: f, Clock: clock})
		return words((&site{t: t, url: srv.URL, c: srv.Client()}).page("/estate?q=" + q))
	}
	if text := page(book, "orders"); strings.Contains(text, "not judged") {
		t.Errorf("what was judged is said not to be: %s", text)
	}
	if text := page(book, "h7t8t9p0a1"); !strings.Contains(text, "not judged") {
		t.Errorf("an API that came later: %s", text)
	}
	if text := page(book, "orders&view=tree"); strings.Contains(text, "not judged") {
		t.Error("the tree says something else")
	}
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if text := page(finding.NewBook(s, clock), "orders"); !strings.Contains(text, "not judged") {
		t.Errorf("before the first evaluation: %s", text)
	}
}

// What is of no region and of no API is told by account alone.
func TestFindingsOfClustersAndRoles(t *testing.T) {
	t.Parallel()
	s, book := openJudged(t, identity.Viewer, "shop", 1)
	s.says("/posture", "clusters", "roles", "rules found nothing, and could not look everywhere")
	s.says("/findings?area=clusters", "cluster shop", "The whole internet reaches", "EKS no longer supports")
	s.says("/findings?area=roles", "role/pods/orders-worker", "role/collector")
	row := between(t, s.page("/findings?rule=role-trust-anybody"), "<tr data-key=", "</tr>")
	if strings.Contains(row, "shop · ") || !strings.Contains(row, "account "+apitest.Orders) {
		t.Errorf("the row of a role says it is of a region:\n%s", row)
	}
	s.says("/findings/"+one(t, book, "cluster-admins").ID, "cluster shop", "arn:aws:iam::999999999999:role/consultants", "aws eks disassociate-access-policy --region eu-west-1 --cluster-name shop")
	s.says("/findings/"+one(t, book, "oidc-subject-open").ID, "role or user", "role/pods/orders-worker", "--role-name orders-worker")
	if _, text := s.get("/api/v1/findings.csv?area=roles"); !strings.Contains(text, "principal") || !strings.Contains(text, "role/pods/orders-worker") || strings.Contains(text, "cluster-admins") {
		t.Errorf("the export of the roles says:\n%s", text)
	}
}
