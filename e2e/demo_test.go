package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startDemo runs the demo on a free port and returns the dashboard's address.
func startDemo(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	p := start(t, nil, append([]string{"demo", "--listen", "127.0.0.1:0"}, args...)...)
	address := regexp.MustCompile(`dashboard: (http://\S+?)/?\n`)
	var base string
	eventually(t, 20*time.Second, func() error {
		m := address.FindStringSubmatch(p.out.String())
		if m == nil {
			return fmt.Errorf("no address was printed\n%s\n%s", p.out.String(), tail(p.err.String()))
		}
		base = m[1]
		return nil
	})
	return p, base
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestDemoShowsAllKindsOfAPIWithinTenSeconds(t *testing.T) {
	p, base := startDemo(t)
	eventually(t, 10*time.Second, func() error {
		_, body := get(t, base+"/api/v1/endpoints?limit=500")
		var page struct {
			Endpoints []struct {
				APIType    string `json:"api_type"`
				Visibility string `json:"visibility"`
			}
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			return fmt.Errorf("%w: %s", err, body)
		}
		types := map[string]int{}
		for _, e := range page.Endpoints {
			types[e.APIType]++
		}
		if types["REST"] == 0 || types["HTTP"] == 0 || types["WEBSOCKET"] == 0 {
			return fmt.Errorf("endpoints by type: %v\n%s", types, tail(p.err.String()))
		}
		return nil
	})
	for _, page := range []string{"/", "/inventory", "/estate", "/sources"} {
		code, body := get(t, base+page)
		if code != http.StatusOK || !strings.Contains(body, "<html") {
			t.Errorf("%s answers %d", page, code)
		}
	}
	if code, body := get(t, base+"/sources"); code != 200 || !strings.Contains(body, "API-Gateway-Execution-Logs_o7rd3rs9ab/prod") {
		t.Error("the sources page does not show the orders API's log group")
	}
	if code, body := get(t, base+"/metrics"); code != 200 || !strings.Contains(body, "gatehouse_") {
		t.Errorf("/metrics answers %d without a metric of ours", code)
	}
	eventually(t, 20*time.Second, func() error {
		if code, body := get(t, base+"/readyz"); code != 200 {
			return fmt.Errorf("/readyz answers %d: %s", code, body)
		}
		return nil
	})
	// The planted values of the demo's traffic are secrets: none is shown.
	_, all := get(t, base+"/api/v1/endpoints?limit=500")
	for _, e := range regexp.MustCompile(`"id":"([^"]+)"`).FindAllStringSubmatch(all, -1) {
		_, detail := get(t, base+"/api/v1/endpoints/"+e[1])
		for _, secret := range []string{"Bearer demo-", "IQoJb3JpZ2lu"} {
			if strings.Contains(detail, secret) {
				t.Errorf("endpoint %s shows %q", e[1], secret)
			}
		}
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t, 30*time.Second); code != 0 {
		t.Errorf("exit status %d after SIGTERM\n%s", code, tail(p.err.String()))
	}
}

func TestDemoEndsWithASummary(t *testing.T) {
	t.Parallel()
	p, _ := startDemo(t, "--for", "8s", "--rate", "100")
	if code := p.exit(t, 60*time.Second); code != 0 {
		t.Fatalf("exit status %d\n%s", code, tail(p.err.String()))
	}
	out := p.out.String()
	m := regexp.MustCompile(`endpoints: (\d+) \(REST (\d+), HTTP (\d+), WEBSOCKET (\d+)\)`).FindStringSubmatch(out)
	if m == nil || m[2] == "0" || m[3] == "0" || m[4] == "0" {
		t.Errorf("the summary does not show endpoints of all three kinds:\n%s", out)
	}
	if !strings.Contains(out, "the books balance") {
		t.Errorf("the books do not balance:\n%s", out)
	}
}
