package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/gateway"
)

const usageKey = "abcdefghijklmnopqrstuvwxyz"

// countingGateway runs a gateway with a state file until stop.
func countingGateway(t *testing.T, file string, at *clock) (call func() int, stop func() error) {
	t.Helper()
	c, err := gateway.Parse("x", []byte("listen: 127.0.0.1:0\nstate: "+file+"\n"+
		restAPI("      - {method: GET, path: /a, api_key_required: true, integration: {type: MOCK}}\n", stagesProd)+
		"usage_plans: [{id: plan, stages: [a1b2c3d4e5/prod], throttle: {rate: 1, burst: 3}, quota: {limit: 4, period: MONTH}, keys: [{id: key, value: "+usageKey+"}]}]\n"), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		done <- gateway.Run(ctx, c, gateway.RunOptions{Options: gateway.Options{Now: at.now}, Ready: func(a net.Addr) { ready <- a }})
	}()
	t.Cleanup(cancel)
	var address net.Addr
	select {
	case address = <-ready:
	case err := <-done:
		return nil, func() error { return err }
	}
	call = func() int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+"/prod/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Api-Key", usageKey)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	return call, func() error {
		cancel()
		return <-done
	}
}

// TestCountsOutliveARestart: neither a month's quota nor an empty bucket begins
// anew because the gateway does.
func TestCountsOutliveARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "usage.json")
	at := &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for n, want := range [][]int{{200, 200}, {200, 429}, {429}, {200, 429}} {
		call, stop := countingGateway(t, file, at)
		if n == 3 {
			at.advance(time.Minute) // the bucket is full again; of the quota there is one left
		}
		for i, status := range want {
			if got := call(); got != status {
				t.Errorf("start %d, call %d: %d, want %d", n, i, got, status)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), `"plan":"plan","key":"key","used":4`) || strings.Contains(string(text), usageKey) {
		t.Errorf("%s %v", text, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
	at.advance(31 * 24 * time.Hour)
	call, stop := countingGateway(t, file, at)
	if got := call(); got != 200 {
		t.Errorf("the next month: %d", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestCountsAreSavedWhileItRuns(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "usage.json")
	call, stop := countingGateway(t, file, &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	call()
	eventually(t, func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), `"used":1`)
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestUnknownCountsAreAnError: a quota that cannot be read is not one that is
// unused.
func TestUnknownCountsAreAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"version":2,"usage":[]}`, `{"version":1,"other":[]}`} {
		file := filepath.Join(t.TempDir(), "usage.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		call, stop := countingGateway(t, file, &clock{at: time.Now()})
		var mistake *gateway.ConfigError
		if err := stop(); call != nil || !errors.As(err, &mistake) || mistake.Mend() == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, keys := range []string{"[{value: " + usageKey + "}]", "[{id: a, value: " + usageKey + "}, {id: a, value: " + usageKey + "x}]"} {
		_, err := gateway.Parse("x", []byte("state: usage.json\n"+restAPI("      - {method: GET, path: /a, integration: {type: MOCK}}\n", stagesProd)+
			"usage_plans: [{id: plan, keys: "+keys+"}]\n"), func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), "needs an id of its own") {
			t.Errorf("%s: %v", keys, err)
		}
	}
}
