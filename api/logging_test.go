package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

const (
	switchedAccount = "111122223333"
	switchedRegion  = "eu-west-1"
	adminToken      = "a-token-that-is-long-enough-for-tests"
)

// switchedWorld is an account whose stages the API switches.
type switchedWorld struct {
	t     *testing.T
	sim   *awssim.Sim
	world *apitest.World
	desk  *logging.Desk
	creds aws.CredentialsProvider
	url   string
}

func newSwitchedWorld(t *testing.T) *switchedWorld {
	t.Helper()
	w := &switchedWorld{t: t, sim: awssim.New(awssim.Options{}), world: apitest.Empty(now)}
	w.sim.Account("aws").AddPolicy("service-role/AmazonAPIGatewayPushToCloudWatchLogs",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:PutLogEvents"],"Resource":"*"}]}`)
	w.sim.Account(switchedAccount).AddRole(awssim.Role{Name: "Switcher", Allow: []string{"*"}})
	c := w.sim.Account(switchedAccount).Session("Switcher", "test", 12*time.Hour)
	w.creds = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	w.region().AddRESTAPI(awssim.RESTAPI{ID: "rest1", Name: "orders", Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "ERROR"}, {Name: "dev"}}})
	w.region().AddHTTPAPI(awssim.API{ID: "http1", Name: "catalog", Stages: []awssim.Stage{{Name: "$default"}}})
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.desk = logging.NewDesk(logging.DeskOptions{
		Accounts: w, Journal: s, Known: w.world.Estate,
		Discover: func(ctx context.Context, progress func(estate.Progress)) (*estate.Snapshot, error) {
			d, err := estate.New(w, estate.Options{FullEvery: 1})
			if err != nil {
				return nil, err
			}
			found, err := d.Discover(ctx, progress)
			if err != nil {
				return nil, err
			}
			w.world.Change(func(world *apitest.World) { world.Estates = found })
			return found, s.SaveEstate(ctx, found)
		},
		Alone: func(ctx context.Context, run func(context.Context) error) error { return run(ctx) },
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.desk.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	if _, err := w.desk.Discover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	guard, err := identity.New(identity.Options{Token: adminToken, Anonymous: identity.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(guard.Handler(api.New(api.Options{Inventory: w.world, Estate: w.world.Estate, Logging: w.desk, History: s, Version: "1.2.3"})))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func (w *switchedWorld) region() *awssim.Region {
	return w.sim.Account(switchedAccount).Region(switchedRegion)
}

func (*switchedWorld) Targets(context.Context) ([]account.Target, []account.Problem) {
	return []account.Target{{Account: switchedAccount, Regions: []string{switchedRegion}}}, nil
}

func (w *switchedWorld) Config(_ account.Target, region string) aws.Config {
	return aws.Config{
		Region: region, Credentials: w.creds, BaseEndpoint: aws.String("http://aws.test"),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} }, HTTPClient: &http.Client{Transport: w},
	}
}

// RoundTrip hands a request to the simulated AWS without a network.
func (w *switchedWorld) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI, in.Host = in.URL.RequestURI(), r.URL.Host
	rec := httptest.NewRecorder()
	w.sim.Handler().ServeHTTP(rec, in)
	return rec.Result(), nil
}

// call sends a request and reads its answer; admin says in whose name.
func (w *switchedWorld) call(method, path, body string, admin bool, into any) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if admin {
		req.Header.Set("Authorization", "Bearer "+adminToken)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if into != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(text, into); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return res, string(text)
}

type switchRun struct {
	ID, State, Who string
	Summary        struct{ Done, Failed int }
	Stale          []struct{ Was, Is *struct{ Now string } }
	Journal        struct{ Outcome, Who string }
	Lines          []struct{ Outcome string }
}

func (w *switchedWorld) ended(path string) (r switchRun) {
	w.t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		r = switchRun{}
		if res, text := w.call(http.MethodGet, path, "", false, &r); res.StatusCode != http.StatusOK {
			w.t.Fatalf("%s answers %d: %s", path, res.StatusCode, text)
		}
		if logging.RunState(r.State).Over() {
			return r
		}
	}
	w.t.Fatalf("the run stays %+v", r)
	return r
}

func TestLoggingIsPlannedAndRun(t *testing.T) {
	t.Parallel()
	w := newSwitchedWorld(t)
	var status struct {
		Stages []struct {
			Stage, Execution, Coverage string
		}
	}
	w.call(http.MethodGet, "/api/v1/logging/stages?place="+switchedAccount+"/"+switchedRegion+"/rest1&place=999988887777", "", false, &status)
	if len(status.Stages) != 2 || status.Stages[1].Execution != "ERROR" {
		t.Errorf("stages: %+v", status)
	}

	var plan struct {
		Digest  string
		Stages  int
		Changes []struct{ Now, Then, State, Kind string }
		Request struct {
			Places    []string
			DataTrace bool `json:"data_trace"`
		}
		Pace struct{ Seconds float64 }
	}
	res, text := w.call(http.MethodPost, "/api/v1/logging/plans", `{"command":"enable","places":["`+switchedAccount+`/`+switchedRegion+`/rest1/prod"],"retention_days":14}`, false, &plan)
	if res.StatusCode != http.StatusCreated || len(plan.Digest) != 64 || plan.Stages != 1 || len(plan.Changes) < 4 || !plan.Request.DataTrace || plan.Pace.Seconds == 0 ||
		res.Header.Get("Location") != "/api/v1/logging/plans/"+plan.Digest {
		t.Fatalf("a plan: %d %s", res.StatusCode, text)
	}
	if again, same := w.call(http.MethodGet, "/api/v1/logging/plans/"+plan.Digest, "", false, nil); again.StatusCode != http.StatusOK || same != text {
		t.Errorf("the plan later: %d %s", again.StatusCode, same)
	}
	start := `{"digest":"` + plan.Digest + `"}`
	if res, text := w.call(http.MethodPost, "/api/v1/logging/runs", start, false, nil); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer's run: %d %s", res.StatusCode, text)
	}
	res, text = w.call(http.MethodPost, "/api/v1/logging/runs", start, true, nil)
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("a run: %d %s", res.StatusCode, text)
	}
	at := res.Header.Get("Location")
	run := w.ended(at)
	if run.State != "done" || run.Summary.Done != len(plan.Changes) || run.Who != "admin token" || run.Journal.Outcome != "done" || len(run.Lines) < 2*len(plan.Changes) {
		t.Errorf("the run: %+v", run)
	}
	if st, _ := w.region().Stage("rest1", "prod"); st.LoggingLevel != "INFO" || !st.DataTrace {
		t.Errorf("rest1/prod: %+v", st)
	}
	var runs []struct{ ID, Command, Who, Outcome string }
	if w.call(http.MethodGet, "/api/v1/logging/runs", "", false, &runs); len(runs) != 1 || "/api/v1/logging/runs/"+runs[0].ID != at || runs[0].Command != "enable" {
		t.Errorf("runs: %+v", runs)
	}
	var changes struct {
		Changes []struct{ Type, Field, Before, After string }
		Next    string
	}
	w.call(http.MethodGet, "/api/v1/estate/changes?type=stage&kind=changed&limit=1", "", false, &changes)
	if len(changes.Changes) != 1 || changes.Next == "" {
		t.Fatalf("changes of the estate: %+v", changes)
	}
	first := changes.Changes[0]
	w.call(http.MethodGet, "/api/v1/estate/changes?type=stage&kind=changed&limit=1&cursor="+changes.Next, "", false, &changes)
	if len(changes.Changes) != 1 || changes.Changes[0] == first {
		t.Errorf("the next page: %+v", changes)
	}

	// Somebody changes what the next plan shows: it is refused with what is different.
	w.call(http.MethodPost, "/api/v1/logging/plans", `{"command":"disable"}`, false, &plan)
	w.region().ChangeStage("rest1", "prod", func(st *awssim.Stage) { st.LoggingLevel, st.DataTrace = "ERROR", false })
	start = `{"digest":"` + plan.Digest + `"}`
	res, _ = w.call(http.MethodPost, "/api/v1/logging/runs", start, true, nil)
	if refused := w.ended(res.Header.Get("Location")); refused.State != "refused" || len(refused.Stale) == 0 {
		t.Errorf("a stale plan ran as %+v", refused)
	}
	if res, text := w.call(http.MethodPost, "/api/v1/logging/runs", start, true, nil); res.StatusCode != http.StatusConflict || !strings.Contains(text, "shown: ") {
		t.Errorf("a plan known to be stale: %d %s", res.StatusCode, text)
	}
}

func TestLoggingRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	w := newSwitchedWorld(t)
	for name, c := range map[string]struct {
		method, path, body string
		want               int
	}{
		"no command":     {http.MethodPost, "/api/v1/logging/plans", `{}`, http.StatusUnprocessableEntity},
		"strange":        {http.MethodPost, "/api/v1/logging/plans", `{"command":"explode"}`, http.StatusUnprocessableEntity},
		"retention":      {http.MethodPost, "/api/v1/logging/plans", `{"command":"enable","retention_days":8}`, http.StatusUnprocessableEntity},
		"unknown field":  {http.MethodPost, "/api/v1/logging/plans", `{"command":"enable","retain":8}`, http.StatusUnprocessableEntity},
		"pattern":        {http.MethodPost, "/api/v1/logging/plans", `{"command":"disable","names":["[a"]}`, http.StatusUnprocessableEntity},
		"unknown plan":   {http.MethodGet, "/api/v1/logging/plans/" + strings.Repeat("0", 64), "", http.StatusNotFound},
		"unknown digest": {http.MethodPost, "/api/v1/logging/runs", `{"digest":"` + strings.Repeat("0", 64) + `"}`, http.StatusNotFound},
		"no digest":      {http.MethodPost, "/api/v1/logging/runs", `{"digest":"0"}`, http.StatusUnprocessableEntity},
		"unknown run":    {http.MethodGet, "/api/v1/logging/runs/none", "", http.StatusNotFound},
		"strange type":   {http.MethodGet, "/api/v1/estate/changes?type=moon", "", http.StatusUnprocessableEntity},
		"strange cursor": {http.MethodGet, "/api/v1/estate/changes?cursor=x", "", http.StatusUnprocessableEntity},
	} {
		if res, text := w.call(c.method, c.path, c.body, true, nil); res.StatusCode != c.want {
			t.Errorf("%s answers %d, want %d: %s", name, res.StatusCode, c.want, text)
		}
	}
	var nothing struct{ Digest string }
	w.call(http.MethodPost, "/api/v1/logging/plans", `{"command":"disable"}`, true, &nothing)
	if res, text := w.call(http.MethodPost, "/api/v1/logging/runs", `{"digest":"`+nothing.Digest+`"}`, true, nil); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a plan that changes nothing: %d %s", res.StatusCode, text)
	}
	for _, path := range []string{"/api/v1/logging/plans", "/api/v1/logging/runs/{id}", "/api/v1/estate/changes"} {
		if _, text := w.call(http.MethodGet, "/api/openapi.json", "", false, nil); !strings.Contains(text, `"`+path+`"`) {
			t.Errorf("OpenAPI does not know %s", path)
		}
	}
}
