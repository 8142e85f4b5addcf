package transaction

import (
	"slices"
	"strings"
	"testing"
)

// TestNoSecretSurvives plants a secret in each place of a call, and looks for
// all of them in what would be stored and sent.
func TestNoSecretSurvives(t *testing.T) {
	t.Parallel()
	const jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJlLXBsYW50ZWQ"
	texts := append(slices.Clip(authorizerPhase),
		"Starting execution for request: "+rid,
		"HTTP Method: POST, Resource Path: /reset/"+jwt+"/now",
		"Method request query string: {access_token=planted01, X-Amz-Signature=planted02, X-Amz-Credential=planted03, q=1, api_key=planted04, code=planted05, state="+jwt+", next=https://u:planted06@h/?sig=planted07}",
		"Method request headers: {Authorization=Bearer planted08, Cookie=sid=planted09; b=planted10, X-Api-Key=planted11, X-Amz-Security-Token=planted12, X-Amzn-Oidc-Data=planted13, X-Shop-Token=planted14, Proxy-Authorization=Basic planted15, X-Client-Secret=planted16, X-Other=see Bearer planted17abc, Referer=https://h/?password=planted18, X-Amzn-Trace-Id=Root=1-a, Ocp-Apim-Subscription-Key=planted19}",
		`Method request body before transformations: {"password":"planted20","nested":{"client_secret":"planted21","list":[{"apiKey":"planted22"}]},"pin":48151623,"escaped":"{\"refresh_token\":\"planted23\",\"x\":1}","name":"token","value":"planted24","jwt":"`+jwt+`","aws":"AKIAIOSFODNN7PLANTED wJalrXUtnFEMI/K7MDENG/bPxRfiCYPLANTEDKEY","credentials":{"user":"u","x":"planted25"},"text":"user:password=planted26 ok","pass\u0077ord":"planted27","Authorization" : "planted28`,
		"Endpoint request URI: https://backend.example.com/x?token=planted29&ok=1#access_token=planted30",
		"Method response body after transformations: grant_type=password&password=planted31&user=u <x:password>planted32</x:password> <token><![CDATA[planted33]]></token>\nContent-Disposition: form-data; name=\"secret\"\r\n\r\nplanted34\r\n--b "+
			"-----BEGIN RSA PRIVATE KEY-----\nplanted35\n-----END RSA PRIVATE KEY----- ghp_abcdefghijklmnopqrstuvwxyzPLANTED36 xoxb-123456789012-PLANTED37abc sk_live_PLANTED38abcdefgh AIzaSyPLANTED39abcdefghijklmnopqrstuvwxyz",
		"Method response headers: {Set-Cookie=a=planted40; Path=/,b=planted41; Path=/, Location=https://h/cb?code=planted42&id_token="+jwt+"}",
		"Execution failed due to configuration error: bad token=planted43",
		"Method completed with status: 500")
	calls, _ := assemble(restGroup(), Options{}, append(lines(rid, texts...),
		`{"requestId":"`+rid+`","httpMethod":"POST","identity.apiKey":"planted50abc","userAgent":"x token=planted51","integrationErrorMessage":"secret=planted52","authorizer.principalId":"`+jwt+`","path":"/p?api_key=planted53","status":"500"}`,
		`{"requestId":"5d1c2b3a-0a0b-4c0d-8e0f-001122334455","httpMethod":"POST","identity.apiKey":"planted54abc","headers":{"Authorization":"Bearer planted55","x":["a","Bearer planted56xyz"]},"requestPayload":"{\"password\":\"planted57\"}","responsePayload":{"token":"planted58"},"path":"/p?api_key=planted59","status":"500"}`)...)
	if len(calls) != 2 {
		t.Fatalf("%d calls", len(calls))
	}
	got := joined(calls)
	for _, secret := range []string{"planted", "PLANTED", "unmasked", "48151623", "c2lnbmF0dXJl", "eyJzdWIi"} {
		if i := strings.Index(got, secret); i >= 0 {
			t.Errorf("%s survived: …%s…", secret, got[max(0, i-60):min(len(got), i+40)])
		}
	}
	for _, kept := range []string{`"q":["1"]`, `"x-amzn-trace-id":["Root=1-a"]`, `"authorization":["[redacted]"]`, `user=u`, "ok=1"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s was lost: %s", kept, got)
		}
	}
}

func TestRedactionKeepsTheRest(t *testing.T) {
	t.Parallel()
	var d redaction
	r, err := NewRedactor(RedactionRules{Headers: []string{"X-Internal-Id"}})
	if err != nil {
		t.Fatal(err)
	}
	d.init(r)
	for _, text := range []string{
		`{"tokenType":"bearer","nextToken":"abc","max_tokens":5,"author":"x","monkey":1,"error":{"code":"E1"},"hasPassword":true,"password":null}`,
		`{"id":"6f1ed002ab5595859014ebf0951522d9","arn":"arn:aws:iam::111122223333:user/AKI","path":"/a/b-c_d/eyJ"}`,
		"plain text: nothing = to see, user=bob&sort=key",
		`<a key="1"><b>2</b></a>`, "", "x", "eyJub3QiOiJhIHRva2VuIn0",
	} {
		if got := d.body(text, false); got != text {
			t.Errorf("%s\nbecame %s", text, got)
		}
	}
	for _, h := range [][2]string{
		{"authorization", "*************************************a8f3c1"},
		{"x-api-key", "******bMZHBg"},
		{"idempotency-key", "abc"},
		{"x-amzn-trace-id", "Root=1-65920080-aaaaaaaaaaaaaaaaaaaaaaaa"},
		{"host", "example.com"},
	} {
		if got := d.header(h[0], h[1], false); got != h[1] {
			t.Errorf("%s: %s became %s", h[0], h[1], got)
		}
	}
	if got := d.header("x-internal-id", "v", false); got != Redacted {
		t.Errorf("a name that was given was not redacted: %s", got)
	}
	if got := d.header("authorization", "***a8f3c1x", false); got != Redacted {
		t.Errorf("more than six characters after the stars are no mask: %s", got)
	}
}
