package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
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
	eventually(t, 60*time.Second, func() error {
		m := address.FindStringSubmatch(p.out.String())
		if m == nil {
			return fmt.Errorf("no address was printed\n%s\n%s", p.out.String(), tail(p.err.String()))
		}
		base = m[1]
		return nil
	})
	return p, base
}

// cpuTime is how long a process has been on a processor; false where the system does
// not tell.
func cpuTime(t *testing.T, p *process) (time.Duration, bool) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	// The fields after the name, which is in parentheses and may hold spaces; the
	// twelfth and thirteenth are hundredths of a second in the program and the kernel.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		t.Fatalf("%s", text)
	}
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, true
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
	eventually(t, 60*time.Second, func() error {
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
	// Ten seconds of a machine that has nothing else to do, which this one may have.
	if took, ok := cpuTime(t, p); ok && took > 10*time.Second {
		t.Errorf("all kinds of APIs were shown after %s of work", took)
	}
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
	eventually(t, 60*time.Second, func() error {
		if code, body := get(t, base+"/readyz"); code != 200 {
			return fmt.Errorf("/readyz answers %d: %s", code, body)
		}
		return nil
	})
	// The charts have a past.
	_, body := get(t, base+"/api/v1/traffic")
	var chart struct {
		Minutes []struct{ Calls int }
	}
	if err := json.Unmarshal([]byte(body), &chart); err != nil || len(chart.Minutes) < 4 || chart.Minutes[1].Calls < 500 {
		t.Errorf("%v: the traffic has no past: %s", err, body)
	}
	eventually(t, 60*time.Second, func() error { return demoCalls(t, base) })
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
	if code := p.exit(t, 3*time.Minute); code != 0 {
		t.Errorf("exit status %d after SIGTERM\n%s", code, tail(p.err.String()))
	}
}

// demoEndpoint is an endpoint with some of its calls, as the HTTP API tells it.
type demoEndpoint struct {
	APIName     string         `json:"api_name"`
	Stage       string         `json:"stage"`
	Method      string         `json:"method"`
	Route       string         `json:"route"`
	CallerKinds map[string]int `json:"caller_kinds"`
	TopCallers  []struct {
		Principal string `json:"principal"`
	} `json:"top_callers"`
	Statuses map[string]int `json:"statuses"`
	Samples  []struct {
		SourceIP     string `json:"source_ip"`
		UserAgent    string `json:"user_agent"`
		Visibility   string
		Complete     bool
		EventType    string `json:"event_type"`
		ConnectionID string `json:"connection_id"`
		Response     struct {
			Status int
			Body   string
		}
		Integration struct {
			URI    string
			Status int
		}
		Caller struct{ Kind, ARN string }
		Error  struct{ Type string }
	}
}

// demoCalls looks for what the demo's clients do: calls that are allowed and calls
// that are refused in each way, over all kinds of APIs.
func demoCalls(t *testing.T, base string) error {
	t.Helper()
	_, all := get(t, base+"/api/v1/endpoints?limit=500")
	seen := map[string]bool{}
	addresses := map[string]bool{}
	for _, id := range regexp.MustCompile(`"id":"([^"]+)"`).FindAllStringSubmatch(all, -1) {
		_, text := get(t, base+"/api/v1/endpoints/"+id[1])
		var e demoEndpoint
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		for kind := range e.CallerKinds {
			seen["caller "+kind] = true
		}
		for status := range e.Statuses {
			seen["status "+status] = true
		}
		for _, c := range e.TopCallers {
			if strings.HasPrefix(c.Principal, "arn:aws:sts::444455556666:assumed-role/") {
				seen["a role of the storefront"] = true
			}
		}
		for _, s := range e.Samples {
			addresses[s.SourceIP] = true
			if s.EventType != "" && s.ConnectionID != "" && s.Complete {
				seen[s.EventType] = true
			}
			if e.APIName != "orders" || e.Stage != "prod" || e.Method != http.MethodGet || e.Route != "/" {
				continue
			}
			switch {
			case s.Response.Status == http.StatusOK && s.Response.Body == `{"id":123,"category":"book"}` && s.Complete && s.Visibility == "full" &&
				s.Caller.Kind == "iam" && s.Integration.Status == http.StatusOK && strings.HasSuffix(s.Integration.URI, ":function:orders/invocations") && s.UserAgent != "":
				seen["the book, whole"] = true
			case s.Response.Status == http.StatusForbidden && s.Error.Type == "MISSING_AUTHENTICATION_TOKEN" && s.Complete:
				seen["Missing Authentication Token"] = true
			}
		}
	}
	for _, want := range []string{
		"the book, whole", "Missing Authentication Token", "a role of the storefront",
		"caller iam", "caller jwt", "caller lambda", "CONNECT", "MESSAGE", "DISCONNECT",
		"status 200", "status 201", "status 401", "status 403", "status 404", "status 409", "status 504",
	} {
		if !seen[want] {
			return fmt.Errorf("there is no call with: %s", want)
		}
	}
	if addresses["127.0.0.1"] || len(addresses) < 8 {
		return fmt.Errorf("clients call from %v", addresses)
	}
	return nil
}

func TestDemoEndsWithASummary(t *testing.T) {
	t.Parallel()
	p, _ := startDemo(t, "--for", "8s", "--rate", "100")
	if code := p.exit(t, 3*time.Minute); code != 0 {
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
	// What was called is what was delivered, but for what is still open.
	c := regexp.MustCompile(`calls made: (\d+), calls delivered: (\d+), still open: (\d+)`).FindStringSubmatch(out)
	if c == nil {
		t.Fatalf("the summary does not count the calls:\n%s", out)
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(c[i+1])
	}
	if n[0] < 1000 || n[0] != n[1]+n[2] {
		t.Errorf("%d calls were made, %d delivered, %d are open", n[0], n[1], n[2])
	}
}
