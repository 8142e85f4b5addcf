package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// TestInvokeRefreshesTheCache calls an API of the local gateway whose stage has a
// cache: as a caller who may renew an entry, and as one who may not.
func TestInvokeRefreshesTheCache(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strconv.FormatInt(calls.Add(1), 10))
	}))
	t.Cleanup(backend.Close)
	start := func(actions, unauthorized string) string {
		t.Helper()
		c, err := gateway.Parse("gateway.yaml", []byte(strings.NewReplacer("BACKEND", backend.URL, "ACTIONS", actions, "UNAUTHORIZED", unauthorized, "SECRET", invokeSecret, "TOKEN", invokeToken).Replace(`
credentials:
  - access_key_id: ASIAEXAMPLE
    secret_access_key: "SECRET"
    session_token: "TOKEN"
    principal: arn:aws:sts::111122223333:assumed-role/app/session
    policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: ACTIONS, Resource: "*"}]}]
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: eu-west-1
    routes: [{method: GET, path: /pets, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/pets}}]
    stages: [{name: prod, cache: {unauthorized: UNAUTHORIZED}}]
`)), func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		g, err := gateway.New(c, gateway.Options{})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(g)
		t.Cleanup(server.Close)
		return server.URL + "/prod/pets"
	}
	call := func(url string, args ...string) (string, error) {
		t.Helper()
		out, errs, err := runInvoke(t, &fixedCredentials{region: "eu-west-1"}, "", append(args, url)...)
		return out + errs, err
	}
	url := start(`[execute-api:Invoke, execute-api:InvalidateCache]`, "FAIL_WITH_403")
	first, err := call(url)
	if again, failure := call(url); err != nil || failure != nil || again != first {
		t.Fatalf("%q %v, and then %q %v", first, err, again, failure)
	}
	renewed, err := call(url, "--refresh-cache")
	if err != nil || renewed == first {
		t.Errorf("%q %v", renewed, err)
	}
	if again, err := call(url); err != nil || again != renewed {
		t.Errorf("the entry is still %q, not %q: %v", again, renewed, err)
	}
	url = start("execute-api:Invoke", "FAIL_WITH_403")
	if out, err := call(url, "--refresh-cache"); err == nil || !strings.Contains(out, "execute-api:InvalidateCache") {
		t.Errorf("%q %v", out, err)
	}
	url = start("execute-api:Invoke", "SUCCEED_WITH_RESPONSE_HEADER")
	if out, err := call(url, "-i", "--refresh-cache"); err != nil || !strings.Contains(out, "Warning: 199 Cache-control headers were ignored") {
		t.Errorf("%q %v", out, err)
	}
}
