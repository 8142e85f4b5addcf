package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// serve runs 'gatehouse serve' with a settings file and returns a client that
// has signed in by the link that it prints. More are further lines of settings, first of
// all further roles.
func serve(t *testing.T, w *world, state string, more ...string) (*process, *http.Client, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	settings := fmt.Sprintf(`state: sqlite:%s/gatehouse.db
listen: 127.0.0.1:0
external_id: %s
poll_interval: 200ms
settle: 200ms
grace: 200ms
overlap: 30s
idle: 5s
start_from: 30m
quota: {FilterLogEvents: 500}
roles:
  - arn: %s
    regions: [%s]
`, state, externalID, w.readerARN(), region) + strings.Join(more, "")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, w.env(), "serve", "--config", file)
	link := regexp.MustCompile(`sign in at (http://\S+)`)
	var address string
	eventually(t, 20*time.Second, func() error {
		m := link.FindStringSubmatch(p.err.String())
		if m == nil {
			return fmt.Errorf("no link was printed\n%s", tail(p.err.String()))
		}
		address = m[1]
		return nil
	})
	base := address[:strings.Index(address, "/login")]
	if code, body := get(t, base+"/api/v1/endpoints"); code != http.StatusUnauthorized || !strings.Contains(body, `"status":401`) {
		t.Errorf("without a sign-in the API answers %d %s", code, body)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if strings.Contains(resp.Request.URL.String(), "token") {
		t.Error("the token stays in the address after the sign-in")
	}
	return p, client, base
}

func fetch(t *testing.T, c *http.Client, url string, into any) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d %s (%v)", url, resp.StatusCode, b, err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}

// The inventory counts every call exactly once, through kills.
func TestServeCountsEachCallOnceThroughKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	w.sim.Account(apiAccount).Region(region).AddRESTAPI(awssim.RESTAPI{
		ID: "a1b2c3d4e0", Name: "items",
		Resources: []awssim.Resource{{Path: "/items/{id}", Methods: []awssim.Method{{HTTPMethod: "POST", Authorization: "NONE"}}}},
		Stages:    []awssim.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}},
	})
	end := time.Now().Add(-20 * time.Second)
	ids := w.fill(10_000, 1, end.Add(-15*time.Minute), end, 21)
	state := t.TempDir()
	var p *process
	var client *http.Client
	var base string
	for range 4 {
		p, client, base = serve(t, w, state)
		time.Sleep(700 * time.Millisecond)
		p.signal(t, syscall.SIGKILL)
		p.exit(t, 10*time.Second)
	}
	p, client, base = serve(t, w, state)
	type endpoints struct {
		Endpoints []struct {
			ID      string `json:"id"`
			Method  string `json:"method"`
			Route   string `json:"route"`
			APIName string `json:"api_name"`
			Calls   int    `json:"calls"`
		}
	}
	var page endpoints
	eventually(t, 90*time.Second, func() error {
		page = endpoints{}
		fetch(t, client, base+"/api/v1/endpoints", &page)
		if len(page.Endpoints) != 1 || page.Endpoints[0].Calls < len(ids) {
			return fmt.Errorf("%+v\n%s", page.Endpoints, tail(p.err.String()))
		}
		return nil
	})
	time.Sleep(time.Second)
	page = endpoints{}
	fetch(t, client, base+"/api/v1/endpoints", &page)
	e := page.Endpoints[0]
	if e.Calls != len(ids) || e.Route != "/items/{id}" || e.Method != http.MethodPost || e.APIName != "items" {
		t.Errorf("the inventory shows %+v for %d calls of POST /items/{id} of items", e, len(ids))
	}
	var sources struct {
		Totals struct {
			Read, Assembled, Unparsed, Filtered, Open int
			Balanced                                  bool
		}
	}
	fetch(t, client, base+"/api/v1/sources", &sources)
	if b := sources.Totals; !b.Balanced || b.Read != 12*len(ids) {
		t.Errorf("the books after the kills: %+v, want %d events read", b, 12*len(ids))
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t, 30*time.Second); code != 0 {
		t.Errorf("exit status %d\n%s", code, tail(p.err.String()))
	}
}

func TestServeRefusesToListenForEveryone(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "serve", "--listen", "0.0.0.0:0", "--state", t.TempDir()+"/s.db")
	if code := p.exit(t, 20*time.Second); code == 0 {
		t.Error("it serves")
	}
	if !strings.Contains(p.err.String(), "0.0.0.0") || !strings.Contains(p.err.String(), "127.0.0.1") {
		t.Errorf("stderr: %s", p.err.String())
	}
}
