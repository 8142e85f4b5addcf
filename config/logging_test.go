package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the integration's variables mean to the logging commands.
func TestLoggingVariables(t *testing.T) {
	t.Parallel()
	type said struct {
		Off      []string
		Group    string
		Exists   bool
		Approved bool
	}
	for name, test := range map[string]struct {
		env  []string
		want said
	}{
		"nothing":   {nil, said{}},
		"rest off":  {[]string{"cequence_rest_api_enabled", "false"}, said{Off: []string{"REST"}}},
		"http off":  {[]string{"cequence_http_api_enabled", "false", "cequence_rest_api_enabled", "true"}, said{Off: []string{"HTTP"}}},
		"both off":  {[]string{"cequence_http_api_enabled", "false", "cequence_rest_api_enabled", "false"}, said{Off: []string{"REST", "HTTP", "WEBSOCKET"}}},
		"new group": {[]string{"is_existing_http_log_group", "false"}, said{Group: "cequence-http-api-access-logs"}},
		"its group": {[]string{"is_existing_http_log_group", "true", "cequence_http_log_group_name", "mine"}, said{Group: "mine", Exists: true}},
		"approved":  {[]string{"cequence_tf_auto_approve", "true"}, said{Approved: true}},
		"asked":     {[]string{"cequence_tf_auto_approve", "false"}, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Load("", env(test.env...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, said{c.LoggingOff, c.LoggingHTTPGroup, c.LoggingHTTPGroupExists, c.Approved}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
