package logging_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

const (
	one  = "111122223333"
	two  = "222233334444"
	here = "eu-west-1"
)

// world is two simulated accounts, a journal, and the death that a process may meet.
type world struct {
	sim     *awssim.Sim
	store   *sqlite.Store
	regions []string
	creds   map[string]aws.CredentialsProvider

	mu    sync.Mutex
	lives int    // calls to AWS and commits until the process dies; below 0: it lives on
	late  bool   // the last call is still made, and its answer is lost
	stop  func() // called instead of dying
	left  int    // deeds until then
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{sim: awssim.New(awssim.Options{}), regions: []string{here}, creds: map[string]aws.CredentialsProvider{}, lives: -1}
	w.sim.Account("aws").AddPolicy("service-role/AmazonAPIGatewayPushToCloudWatchLogs",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:PutLogEvents"],"Resource":"*"}]}`)
	for _, id := range []string{one, two} {
		w.sim.Account(id).AddRole(awssim.Role{Name: "Switcher", Allow: []string{"*"}})
		c := w.sim.Account(id).Session("Switcher", "test", 12*time.Hour)
		w.creds[id] = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	}
	var err error
	if w.store, err = sqlite.Open(t.Context(), "sqlite::memory:", store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

func (w *world) region(id string) *awssim.Region { return w.sim.Account(id).Region(here) }

var (
	errDead = errors.New("the process died")
	errCut  = errors.New("the connection was cut")
)

// cut serves a request and reports whether the simulated AWS cut the connection.
func (w *world) cut(rec *httptest.ResponseRecorder, in *http.Request) (cut bool) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler:
			cut = true
		default:
			panic(r)
		}
	}()
	w.sim.Handler().ServeHTTP(rec, in)
	return false
}

// spend takes one of the process's last deeds: whether this one still reaches the
// world, and whether the process lives to hear of it.
func (w *world) spend() (reaches, hears bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		if w.left--; w.left <= 0 {
			w.stop()
		}
	}
	switch {
	case w.lives < 0:
		return true, true
	case w.lives == 0:
		return false, false
	}
	w.lives--
	if w.lives == 0 {
		return w.late, false
	}
	return true, true
}

func (w *world) die(after int, late bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lives, w.late = after, late
}

// cancelAfter has somebody press Ctrl-C after so many deeds; nil: nobody does.
func (w *world) cancelAfter(deeds int, stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left, w.stop = deeds, stop
}

// renew takes a new session in an account.
func (w *world) renew(id string) {
	c := w.sim.Account(id).Session("Switcher", "test", 12*time.Hour)
	w.creds[id] = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

func (w *world) Targets(context.Context) ([]account.Target, []account.Problem) {
	return []account.Target{{Account: one, Regions: w.regions}, {Account: two, Regions: w.regions}}, nil
}

func (w *world) Config(t account.Target, region string) aws.Config {
	return aws.Config{
		Region: region, Credentials: w.creds[t.Account], BaseEndpoint: aws.String("http://aws.test"),
		Retryer:    func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: &http.Client{Transport: w},
	}
}

// RoundTrip hands a request to the simulated AWS without a network.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	reaches, hears := w.spend()
	var rec *httptest.ResponseRecorder
	if reaches {
		rec = httptest.NewRecorder()
		in := r.Clone(r.Context())
		if in.Body == nil {
			in.Body = http.NoBody
		}
		in.RequestURI, in.Host = in.URL.RequestURI(), r.URL.Host
		if w.cut(rec, in) {
			return nil, errCut
		}
	}
	if !hears {
		return nil, errDead
	}
	return rec.Result(), nil
}

// mortal is the journal of a process that may die.
type mortal struct {
	logging.Journal
	w *world
}

func (m mortal) SaveLogging(ctx context.Context, c *logging.Changes) error {
	reaches, hears := m.w.spend()
	if reaches {
		if err := m.Journal.SaveLogging(ctx, c); err != nil {
			return err
		}
	}
	if !hears {
		return errDead
	}
	return nil
}

// open begins a new process: it discovers the estate and reads the journal.
func (w *world) open(ctx context.Context) (*logging.Switch, error) {
	d, err := estate.New(w, estate.Options{FullEvery: 1})
	if err != nil {
		return nil, err
	}
	s, err := d.Discover(ctx, nil)
	if err != nil {
		return nil, err
	}
	sw, err := logging.New(ctx, w, s, logging.Options{Journal: mortal{w.store, w}, Who: "somebody"})
	if err != nil {
		return nil, err
	}
	return sw, nil
}

func (w *world) snapshot(t *testing.T) *estate.Snapshot {
	t.Helper()
	d, err := estate.New(w, estate.Options{FullEvery: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Discover(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) mustOpen(t *testing.T) *logging.Switch {
	t.Helper()
	sw, err := w.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sw
}

func (w *world) enable(t *testing.T, o logging.EnableOptions) *logging.Plan {
	t.Helper()
	sw := w.mustOpen(t)
	p, err := sw.PlanEnable(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	if err := sw.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) undo(t *testing.T, c logging.Command, o logging.UndoOptions) *logging.Plan {
	t.Helper()
	sw := w.mustOpen(t)
	p, err := sw.PlanUndo(c, &o)
	if err != nil {
		t.Fatal(err)
	}
	if err := sw.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// fine fails the test if a change failed or was not tried.
func fine(t *testing.T, p *logging.Plan) {
	t.Helper()
	for _, c := range p.Changes {
		if c.State != logging.Done && c.State != logging.Unchanged {
			t.Errorf("%s %+v: %s, %s", p.Command, c.Key, c.State, c.Why)
		}
	}
	for _, f := range p.Failures {
		t.Errorf("%s: %+v", p.Command, f)
	}
}
