package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/gateway"
)

const loggedAPI = "      - {method: POST, path: /, integration: {type: HTTP_PROXY, uri: BACKEND/pets}}\n"

// How a stage logs is changed while it serves: what is switched on appears, what is
// switched off ends, and nothing else of the stage is touched.
func TestSetLogging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI(loggedAPI, "    stages: [{name: prod, throttle: {rate: 1, burst: 5}}]\n"))
	w.backend.answers("/pets", `{"id":7}`)
	const execution = "API-Gateway-Execution-Logs"
	id := "a1b2c3d4e5"
	set := func(l gateway.StageLogging) {
		t.Helper()
		if err := w.gateway.SetLogging(id, "prod", l); err != nil {
			t.Fatal(err)
		}
	}
	after := func(group string) string {
		t.Helper()
		before := len(w.logs.text(group))
		w.call("POST", "/prod/", `{"name":"Rex"}`).wants(t, 200, "", `{"id":7}`)
		return w.logs.text(group)[before:]
	}
	if got := after(""); got != "" {
		t.Errorf("a stage without logs wrote %s", got)
	}
	set(gateway.StageLogging{Level: "INFO", AccessLog: &gateway.AccessLog{Group: "/theirs/one", Format: "$context.requestId $context.status"}})
	if got := after(execution); !strings.Contains(got, "Method completed with status: 200") || strings.Contains(got, "Rex") {
		t.Errorf("INFO without data trace wrote\n%s", got)
	}
	if got := w.logs.text("/theirs/one"); strings.Count(got, " 200\n") != 1 {
		t.Errorf("access log %q", got)
	}
	set(gateway.StageLogging{Level: "INFO", DataTrace: true, AccessLog: &gateway.AccessLog{Group: "/theirs/two", Format: "$context.requestId:$context.httpMethod"}})
	if got := after(execution); !strings.Contains(got, `Method request body before transformations: {"name":"Rex"}`) {
		t.Errorf("data trace wrote\n%s", got)
	}
	if one, two := w.logs.text("/theirs/one"), w.logs.text("/theirs/two"); strings.Count(one, "\n") != 1 || !strings.HasSuffix(two, ":POST\n") {
		t.Errorf("access logs %q and %q", one, two)
	}
	set(gateway.StageLogging{Level: "ERROR"})
	if got := after(""); got != "" {
		t.Errorf("a call without errors wrote %s", got)
	}
	// What a stage has beside its logs stays: the burst is used up by now.
	w.call("POST", "/prod/", `{}`).wants(t, 200, "", `{"id":7}`)
	w.call("POST", "/prod/", `{}`).wants(t, 429, "TooManyRequestsException", `{"message":"Too Many Requests"}`)

	for name, err := range map[string]error{
		"no such API":   w.gateway.SetLogging("nothing", "prod", gateway.StageLogging{}),
		"no such stage": w.gateway.SetLogging(id, "beta", gateway.StageLogging{}),
		"level":         w.gateway.SetLogging(id, "prod", gateway.StageLogging{Level: "LOUD"}),
		"no id":         w.gateway.SetLogging(id, "prod", gateway.StageLogging{AccessLog: &gateway.AccessLog{Group: "g", Format: "$context.status"}}),
		"no group":      w.gateway.SetLogging(id, "prod", gateway.StageLogging{AccessLog: &gateway.AccessLog{Format: "$context.requestId"}}),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Delivered lines are whole where CloudWatch's own are cut, and the credentials in
// them are masked all the same.
func TestDeliveredLinesAreWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI(loggedAPI, stagesProd))
	w.backend.answers("/pets", `{"id":7}`)
	if err := w.gateway.SetLogging("a1b2c3d4e5", "prod", gateway.StageLogging{Level: "INFO", DataTrace: true, Deliveries: []string{"/aws/vendedlogs/one", "/aws/vendedlogs/two"}}); err != nil {
		t.Fatal(err)
	}
	body := `{"name":"` + strings.Repeat("Rex", 2000) + `"}`
	w.call("POST", "/prod/", body, "Authorization", "Bearer secret-token-of-the-caller").wants(t, 200, "", `{"id":7}`)
	if got := w.logs.text("API-Gateway-Execution-Logs"); strings.Contains(got, body) || !strings.Contains(got, " [TRUNCATED]\n") {
		t.Errorf("the group of the stage has\n%s", got)
	}
	for _, group := range []string{"/aws/vendedlogs/one", "/aws/vendedlogs/two"} {
		whole := false
		for _, e := range w.logs.all() {
			if e.group != group {
				continue
			}
			var record struct{ RequestID, APIID, Stage, Message string }
			if err := json.Unmarshal([]byte(e.Message), &record); err != nil || record.APIID != "a1b2c3d4e5" || record.Stage != "prod" || !strings.HasPrefix(record.Message, "("+record.RequestID+") ") {
				t.Errorf("%v: %s", err, e.Message)
			}
			whole = whole || strings.HasSuffix(record.Message, "Method request body before transformations: "+body)
			if strings.Contains(e.Message, "secret-token") {
				t.Errorf("a token is shown: %s", e.Message)
			}
		}
		if !whole {
			t.Errorf("%s has no whole body", group)
		}
	}
}
