package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/transaction/plant"
)

// Secrets are planted in every place in which logs can hold one. None of them
// comes out anywhere: not in a sink, the store, the log, a page or the HTTP API.
func TestNoPlantedSecretGetsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	account := w.sim.Account(plant.Account)
	account.AddRole(awssim.Role{
		Name: "PlantReader", TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"}, ExternalID: externalID,
		Allow: []string{"logs:*", "apigateway:GET", "cloudwatch:GetMetricData"},
	})
	// A stage for each access-log format, as the first of them has the execution log.
	api := awssim.RESTAPI{ID: plant.API, Name: "planted", Stages: []awssim.Stage{{Name: plant.Stage, LoggingLevel: "INFO", DataTrace: true}}}
	events := 0
	for _, b := range plant.Batches(time.Now().Add(-time.Minute).UnixMilli()) {
		if f := b.Group.AccessFormat; f != "" {
			api.Stages = append(api.Stages, awssim.Stage{
				Name: fmt.Sprintf("s%d", len(api.Stages)), AccessFormat: f,
				AccessLogARN: "arn:aws:logs:" + plant.Region + ":" + plant.Account + ":log-group:" + b.Group.Name,
			})
		}
		for _, e := range b.Events {
			account.Region(plant.Region).Logs().Put(b.Group.Name, "s", awssim.LogEvent{Timestamp: e.Timestamp, Message: e.Message})
			events++
		}
	}
	if events == 0 {
		t.Fatal("nothing was planted")
	}
	account.Region(plant.Region).AddRESTAPI(api)
	state, out := t.TempDir(), t.TempDir()
	p, client, base := serve(t, w, state, fmt.Sprintf(`  - arn: arn:aws:iam::%s:role/PlantReader
    regions: [%s]
log_level: trace
sinks: ["file:%s", "stdout:"]
access_log_groups: [planted-delivery]
`, plant.Account, plant.Region, out))
	var calls int
	eventually(t, 60*time.Second, func() error {
		var health struct {
			Totals struct {
				Read  int `json:"read"`
				Calls int `json:"calls"`
				Open  int `json:"open"`
			} `json:"totals"`
		}
		fetch(t, client, base+"/api/v1/sources", &health)
		calls = health.Totals.Calls
		if health.Totals.Read < events || health.Totals.Open > 0 {
			return fmt.Errorf("of %d events %d are read and %d open\n%s", events, health.Totals.Read, health.Totals.Open, tail(p.err.String()))
		}
		return nil
	})
	if calls == 0 {
		t.Fatal("no call was made of the planted events")
	}
	marks := plant.Marks()
	search := func(where, text string) {
		t.Helper()
		for _, m := range marks {
			if i := strings.Index(text, m); i >= 0 {
				t.Errorf("%s has %q: …%s…", where, m, text[max(0, i-120):min(len(text), i+len(m)+40)])
			}
		}
	}
	pages := crawl(t, client, base, search)
	if pages < 10 {
		t.Errorf("only %d pages and answers were looked at", pages)
	}
	p.signal(t, os.Interrupt)
	if code := p.exit(t, 30*time.Second); code != 0 {
		t.Errorf("exit %d\n%s", code, tail(p.err.String()))
	}
	search("the log", p.err.String())
	search("standard output", p.out.String())
	if !strings.Contains(p.out.String(), "[redacted]") {
		t.Error("nothing was redacted: the planted calls did not reach the sinks")
	}
	for _, dir := range []string{state, out} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			search(filepath.Base(path), string(b))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// crawl follows every link of the dashboard and of the HTTP API's answers, and
// the first bytes of its streams.
func crawl(t *testing.T, client *http.Client, base string, search func(where, text string)) (pages int) {
	t.Helper()
	link := regexp.MustCompile(`(?:href|src|data-[a-z-]+)="(/[^"#]*)`)
	endpoint := regexp.MustCompile(`"id":"([^"]+)"`)
	queue, seen := []string{"/", "/api/v1/endpoints", "/api/v1/sources", "/api/v1/estate", "/api/openapi.json", "/metrics"}, map[string]bool{}
	for len(queue) > 0 && pages < 300 {
		path := strings.ReplaceAll(queue[0], "&amp;", "&")
		queue = queue[1:]
		if seen[path] || strings.Contains(path, "logout") {
			continue
		}
		seen[path] = true
		resp, err := client.Get(base + path)
		if err != nil {
			t.Errorf("GET %s: %v", path, err)
			continue
		}
		var text string
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			text = firstEvents(resp.Body)
		} else {
			b, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
			text = string(b)
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= 500 {
			t.Errorf("GET %s: %d", path, resp.StatusCode)
		}
		pages++
		search(path, text)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			queue = append(queue, m[1])
		}
		if path == "/api/v1/endpoints" {
			for _, m := range endpoint.FindAllStringSubmatch(text, -1) {
				queue = append(queue, "/api/v1/endpoints/"+m[1], "/api/v1/endpoints/"+m[1]+"/samples")
			}
		}
	}
	return pages
}

// firstEvents reads a stream for a moment.
func firstEvents(body io.ReadCloser) string {
	stop := time.AfterFunc(500*time.Millisecond, func() { _ = body.Close() })
	defer stop.Stop()
	var b strings.Builder
	for s := bufio.NewScanner(body); s.Scan(); {
		b.WriteString(s.Text() + "\n")
	}
	return b.String()
}
