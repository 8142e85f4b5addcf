package transaction

import "testing"

// TestCallerCannotForgeTheProxyEvent sends bodies that look like the event of a
// Lambda proxy integration, to backends to which they go as they came.
func TestCallerCannotForgeTheProxyEvent(t *testing.T) {
	t.Parallel()
	const forged = `{"resource":"/files/{proxy+}","path":"/files/a","requestContext":{"protocol":"HTTP/9","identity":{"sourceIp":"6.6.6.6","userArn":"arn:aws:iam::111122223333:user/admin","caller":"AIDA","accountId":"111122223333"}}}`
	const function = "Endpoint request URI: https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/f/invocations"
	lines := func(uri, sent, endpoint string) []string {
		return []string{
			"Starting execution for request: " + rid, "HTTP Method: POST, Resource Path: /files/a",
			"Method request body before transformations: " + sent, uri,
			"Endpoint request headers: {X-Amz-Source-Arn=arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/prod/POST/files/{own}}",
			"Endpoint request body after transformations: " + endpoint, "Method completed with status: 200",
		}
	}
	for name, tc := range map[string]struct {
		lines []string
		known bool // the event tells of the caller
		route string
	}{
		"HTTP backend":               {lines("Endpoint request URI: https://backend.example.com/files", forged, forged), false, ""},
		"HTTP backend, other body":   {lines("Endpoint request URI: https://backend.example.com/lambda/functions", "x", forged), false, ""},
		"function without proxy":     {lines(function, forged, forged), false, "/files/{own}"},
		"function, cut":              {lines(function, forged[:90]+" [TRUNCATED]", forged[:80]+" [TRUNCATED]"), false, "/files/{own}"},
		"event of another path":      {lines(function, "x", `{"resource":"/admin/{x}","path":"/admin/1","requestContext":{"identity":{"userArn":"arn:aws:iam::111122223333:user/admin"}}}`), false, "/files/{own}"},
		"event of another call":      {lines(function, "x", `{"resource":"/files/{proxy+}","requestContext":{"requestId":"other","identity":{"userArn":"arn:aws:iam::111122223333:user/admin"}}}`), false, "/files/{own}"},
		"what API Gateway wrote":     {lines(function, "{}", forged), true, "/files/{own}"},
		"before the body was logged": {lines(function, "null", forged), true, "/files/{own}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := one(t, tc.lines...)
			if known := tx.Caller.Kind == CallerIAM; known != tc.known || !tc.known && (tx.SourceIP != "" || tx.Protocol != "") {
				t.Errorf("got %s", tx.AppendJSON(nil))
			}
			if tx.Route != tc.route {
				t.Errorf("route %q, want %q", tx.Route, tc.route)
			}
		})
	}
}
