package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/logfile"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// TestRunWritesItsLogs holds that the log of a gateway that was stopped has all of
// its calls, those that ended while it stopped too.
func TestRunWritesItsLogs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "calls.ndjson")
	c, err := gateway.Parse("x", []byte("listen: 127.0.0.1:0\nlogs: {file: "+file+"}\n"+
		restAPI("      - {method: GET, path: \"/a/{id}\", integration: {type: MOCK}}\n", "    stages: [{name: prod, logging_level: INFO, data_trace: true}]\n")), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		done <- gateway.Run(ctx, c, gateway.RunOptions{Ready: func(a net.Addr) { ready <- a }})
	}()
	address := (<-ready).String()
	for range 3 {
		resp, err := http.Get("http://" + address + "/prod/a/7")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := logfile.NewReader(f, transaction.Group{})
	a := transaction.NewAssembler(transaction.Options{})
	for {
		group, event, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if group.Account != "111122223333" || group.Region != "us-east-1" {
			t.Errorf("%+v", group)
		}
		a.Feed(group).Add(&event)
	}
	a.Flush()
	calls := a.Take(nil)
	if len(calls) != 3 {
		t.Fatalf("%d calls are in the log, want 3", len(calls))
	}
	for _, call := range calls {
		if x := call.Transaction; !x.Complete || x.Response.Status != 200 || x.Route != "/a/{id}" || x.Path != "/a/7" || x.Stage != "prod" || x.APIID != "a1b2c3d4e5" {
			t.Errorf("%+v", x)
		}
	}
}
