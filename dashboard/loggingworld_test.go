package dashboard_test

import (
	"context"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

const (
	loggedAccount = "111122223333"
	otherAccount  = "222233334444"
	loggedRegion  = "eu-west-1"
	ordersProd    = loggedAccount + "/" + loggedRegion + "/rest1/prod"
)

// switching is a site whose desk switches logging in a simulated AWS of two accounts.
type switching struct {
	*site
	sim   *awssim.Sim
	desk  *logging.Desk
	store *sqlite.Store
	world *apitest.World
	creds map[string]aws.CredentialsProvider
}

// openSwitching opens the site to a person of the role; called is an API's name.
func openSwitching(t *testing.T, role identity.Role, called string) *switching {
	t.Helper()
	w := &switching{sim: awssim.New(awssim.Options{}), creds: map[string]aws.CredentialsProvider{}, world: apitest.Empty(time.Now())}
	w.sim.Account("aws").AddPolicy("service-role/AmazonAPIGatewayPushToCloudWatchLogs",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:PutLogEvents"],"Resource":"*"}]}`)
	for _, id := range []string{loggedAccount, otherAccount} {
		w.sim.Account(id).AddRole(awssim.Role{Name: "Switcher", Allow: []string{"*"}})
		c := w.sim.Account(id).Session("Switcher", "test", 12*time.Hour)
		w.creds[id] = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	}
	r := w.region(loggedAccount)
	r.AddRESTAPI(awssim.RESTAPI{
		ID: "rest1", Name: called, Resources: []awssim.Resource{{Path: "/pets", Methods: []awssim.Method{{HTTPMethod: "GET"}}}},
		Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "ERROR", MethodSettings: map[string]awssim.MethodSetting{"~1pets/GET": {LoggingLevel: "OFF"}}}, {Name: "dev"}},
	})
	r.AddHTTPAPI(awssim.API{ID: "http1", Name: "catalog", Stages: []awssim.Stage{{Name: "$default"}}})
	r.AddHTTPAPI(awssim.API{ID: "theirs1", Name: "theirs", Stages: []awssim.Stage{
		{Name: "prod", AccessLogARN: "arn:aws:logs:" + loggedRegion + ":" + loggedAccount + ":log-group:theirs", AccessFormat: "$context.requestId theirs"},
	}})
	r.Logs().CreateGroup("theirs")
	w.region(otherAccount).AddWebSocketAPI(awssim.API{ID: "chat1", Name: "chat", Stages: []awssim.Stage{{Name: "live", LoggingLevel: "OFF"}}})

	var err error
	if w.store, err = sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.desk = logging.NewDesk(logging.DeskOptions{
		Accounts: w, Journal: w.store, Known: w.world.Estate, Discover: w.discover,
		Alone: func(ctx context.Context, run func(context.Context) error) error { return run(ctx) },
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.desk.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	w.find(t)
	srv := productOf(t, w.world, role, dashboard.Options{Logging: w.desk, Clock: time.Now, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	c := srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.site = &site{t: t, url: srv.URL, c: c}
	return w
}

func (w *switching) region(id string) *awssim.Region { return w.sim.Account(id).Region(loggedRegion) }

func (w *switching) discover(ctx context.Context, progress func(estate.Progress)) (*estate.Snapshot, error) {
	d, err := estate.New(w, estate.Options{FullEvery: 1})
	if err != nil {
		return nil, err
	}
	s, err := d.Discover(ctx, progress)
	if err == nil {
		w.world.Change(func(world *apitest.World) { world.Estates = s })
	}
	return s, err
}

func (w *switching) find(t *testing.T) {
	t.Helper()
	if _, err := w.discover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func (w *switching) Targets(context.Context) ([]account.Target, []account.Problem) {
	regions := []string{loggedRegion}
	return []account.Target{{Account: loggedAccount, Regions: regions}, {Account: otherAccount, Regions: regions}}, nil
}

func (w *switching) Config(t account.Target, region string) aws.Config {
	return aws.Config{
		Region: region, Credentials: w.creds[t.Account], BaseEndpoint: aws.String("http://aws.test"),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} }, HTTPClient: &http.Client{Transport: w},
	}
}

// RoundTrip hands a request to the simulated AWS without a network.
func (w *switching) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI, in.Host = in.URL.RequestURI(), r.URL.Host
	rec := httptest.NewRecorder()
	w.sim.Handler().ServeHTTP(rec, in)
	return rec.Result(), nil
}

// text is what a page says, as people read it.
func (w *switching) text(path string) string {
	w.t.Helper()
	return html.UnescapeString(words(w.page(path)))
}

func (w *switching) says(path string, want ...string) {
	w.t.Helper()
	text := w.text(path)
	for _, part := range want {
		if !strings.Contains(text, part) {
			w.t.Errorf("%s does not say %q: %s", path, part, text)
		}
	}
}

// post sends a form.
func (w *switching) post(path string, v url.Values, headers ...string) (*http.Response, string) {
	w.t.Helper()
	return w.send(http.MethodPost, path, v.Encode(), append([]string{"Content-Type", formEncoding}, headers...)...)
}

// plan sends the form of the logging page and returns where the plan is.
func (w *switching) plan(v url.Values) string {
	w.t.Helper()
	res, text := w.post("/logging/plan", v)
	if res.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("%v answers %d: %s", v, res.StatusCode, words(text))
	}
	return res.Header.Get("Location")
}

// carryOut starts the plan of a page and waits until the run has ended; it returns the
// page of the run.
func (w *switching) carryOut(plan string, more ...string) string {
	w.t.Helper()
	v := url.Values{"digest": {between(w.t, w.page(plan), `name="digest" value="`, `"`)}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	res, text := w.post("/logging/runs", v)
	if res.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("starting answers %d: %s", res.StatusCode, words(text))
	}
	run := res.Header.Get("Location")
	w.ended(run[len("/logging/runs/"):])
	return run
}

func (w *switching) ended(id string) {
	w.t.Helper()
	for {
		run, changed, err := w.desk.Follow(id)
		if err != nil {
			w.t.Fatal(err)
		}
		if run.State.Over() {
			return
		}
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			w.t.Fatalf("the run stays %+v", run)
		}
	}
}

// enabling is the form of the logging page as a browser sends it.
func enabling(of ...string) url.Values {
	return url.Values{"command": {"enable"}, "data_trace": {"1"}, "retention": {"14"}, "role": {logging.DefaultRole}, "of": of}
}
