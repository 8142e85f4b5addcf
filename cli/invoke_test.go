package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

const (
	invokeSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	invokeToken  = "IQoJb3JpZ2luX2VjEXAMPLE/token+that=="
	invokeHost   = "abc123.execute-api.eu-west-1.amazonaws.com"
)

// fixedCredentials hands out one session, and remembers what was asked for.
type fixedCredentials struct {
	mu     sync.Mutex
	asked  *config.Config
	region string
	secret string
	err    error
	reader *estate.PolicyReader // nil: nothing can be looked at
	call   *estate.Call         // the last whose policies were asked for
}

func (f *fixedCredentials) Policies(ctx context.Context, _, _ *config.Config, call estate.Call) (*estate.CallPolicies, error) {
	f.mu.Lock()
	f.call = &call
	f.mu.Unlock()
	if f.reader == nil {
		return nil, errors.New("there is no AWS to look into")
	}
	return f.reader.Read(ctx, call)
}

func (f *fixedCredentials) Credentials(_ context.Context, c *config.Config) (aws.CredentialsProvider, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = c
	secret := invokeSecret
	if f.secret != "" {
		secret = f.secret
	}
	return credentials.NewStaticCredentialsProvider("ASIAEXAMPLE", secret, invokeToken), f.region, f.err
}

// apiServer answers as API Gateway does: it verifies the signature and then says
// what the path stands for.
type apiServer struct {
	server   *httptest.Server
	verifier *sigv4.Verifier
	skew     time.Duration

	mu   sync.Mutex
	seen []*http.Request
	body string
}

// denials are the paths whose answer is a refusal by policy: the end of the text.
var denials = map[string]string{
	"/prod/deny/identity-explicit": "with an explicit deny in an identity-based policy",
	"/prod/deny/resource-explicit": "with an explicit deny in a resource-based policy",
	"/prod/deny/identity":          "because no identity-based policy allows the execute-api:Invoke action",
	"/prod/deny/resource":          "because no resource-based policy allows the execute-api:Invoke action",
	"/prod/deny/boundary":          "because no permissions boundary allows the execute-api:Invoke action",
	"/prod/deny/session":           "because no session policy allows the execute-api:Invoke action",
	"/prod/deny/endpoint":          "because no VPC endpoint policy allows the execute-api:Invoke action",
	"/prod/deny/scp":               "with an explicit deny in a service control policy",
	"/prod/deny/silent":            "",
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	a := &apiServer{verifier: &sigv4.Verifier{Service: "execute-api", Lookup: func(id string) (sigv4.Credentials, error) {
		if id != "ASIAEXAMPLE" {
			return sigv4.Credentials{}, sigv4.ErrUnknownAccessKey
		}
		return sigv4.Credentials{AccessKeyID: id, SecretAccessKey: invokeSecret, SessionToken: invokeToken}, nil
	}}}
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.server.Close)
	return a
}

func (a *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", "Sun, 01 Mar 2026 12:00:00 GMT")
	refuse := func(status int, kind, body string) {
		w.Header().Set("X-Amzn-Errortype", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	if kind, text, ok := plainRefusal(r.URL.Path); ok {
		refuse(map[bool]int{true: 403, false: 401}[kind != "UnauthorizedException"], kind, text)
		return
	}
	if r.URL.Path == "/prod/proxied" {
		r.Header.Set("Content-Type", "text/html")
		r.RequestURI = "/v1/other?x=1"
	}
	region, _ := scopeOfHost(r.Host)
	v := a.verifier
	if region != "" {
		v = &sigv4.Verifier{Service: "execute-api", Region: region, Lookup: a.verifier.Lookup}
	}
	if _, err := v.Verify(r, time.Now().Add(a.skew)); err != nil {
		e, ok := errors.AsType[*sigv4.Error](err)
		if !ok {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		refuse(http.StatusForbidden, e.Code, fmt.Sprintf(`{"message":%s}`, quoteJSON(e.Message)))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	a.mu.Lock()
	a.seen, a.body = append(a.seen, r), string(body)
	a.mu.Unlock()
	if why, ok := denials[strings.TrimPrefix(r.URL.Path, "/cross")]; ok {
		owner := "********2222"
		if strings.HasPrefix(r.URL.Path, "/cross") {
			owner = "********3333"
		}
		text := "User: arn:aws:sts::111122222222:assumed-role/app/session is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:" + owner + ":abc123/prod/GET/deny"
		if why != "" {
			text += " " + why
		}
		refuse(http.StatusForbidden, "AccessDeniedException", fmt.Sprintf(`{"Message":%q}`, text))
		return
	}
	switch r.URL.Path {
	case "/prod/":
		_, _ = io.WriteString(w, `{"id":123,"category":"book"}`)
	case "/prod/predict":
		_, _ = io.WriteString(w, `{"prediction":0.87,"of":`+string(body)+`}`)
	case "/prod/echo":
		_, _ = io.WriteString(w, r.Header.Get("X-Amz-Security-Token")+" "+r.Header.Get("Authorization"))
	case "/prod/long":
		_, _ = w.Write(make([]byte, maxAnswer+1))
	case "/prod/moved":
		http.Redirect(w, r, "/prod/", http.StatusFound)
	case "/prod/slow":
		<-r.Context().Done()
	case "/prod/v2":
		refuse(http.StatusNotFound, "NotFoundException", `{"message":"Not Found"}`)
	case "/prod/throttled":
		refuse(http.StatusTooManyRequests, "TooManyRequestsException", `{"message":"Too Many Requests"}`)
	case "/prod/quota":
		refuse(http.StatusTooManyRequests, "LimitExceededException", `{"message":"Limit Exceeded"}`)
	case "/prod/broken":
		refuse(http.StatusBadGateway, "InternalServerErrorException", `{"message": "Internal server error"}`)
	case "/prod/@connections/gone=":
		w.WriteHeader(http.StatusGone)
	case "/prod/@connections/L0SM9cOFvHcCIhw=", "/prod/cached":
		w.WriteHeader(http.StatusOK)
	default:
		refuse(http.StatusForbidden, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`)
	}
}

// plainRefusal are the answers that need no signature.
func plainRefusal(path string) (kind, body string, ok bool) {
	switch path {
	case "/prod/jwt":
		return "UnauthorizedException", `{"message":"Unauthorized"}`, true
	case "/prod/key":
		return "ForbiddenException", `{"message":"Forbidden"}`, true
	case "/prod/authorizer":
		return "AccessDeniedException", `{"message":"User is not authorized to access this resource"}`, true
	case "/prod/backend":
		return "", "no", true
	case "/prod/expired":
		return "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`, true
	case "/prod/unknown":
		return "UnrecognizedClientException", `{"message":"The security token included in the request is invalid."}`, true
	case "/prod/incomplete":
		return "IncompleteSignatureException", `{"message":"'x' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer x'."}`, true
	case "/prod/open":
		return "AccessDeniedException", `{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:********2222:abc123/prod/GET/open because no resource-based policy allows the execute-api:Invoke action"}`, true
	case "/prod/short":
		return "InvalidSignatureException", `{"message":"The request signature we calculated does not match the signature you provided."}`, true
	case "/prod/other":
		return "AccessDeniedException", `{"Message":"something else"}`, true
	}
	return "", "", false
}

func quoteJSON(s string) string {
	var b bytes.Buffer
	if err := printJSON(&b, s); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

func runInvoke(t *testing.T, rt invokeRuntime, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	s := Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs}
	cmd := newInvoke(rt, &s)
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// get calls a path with the host of an API in eu-west-1.
func (a *apiServer) get(t *testing.T, path string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return runInvoke(t, &fixedCredentials{}, "", append(args, "-H", "Host: "+invokeHost, a.server.URL+path)...)
}

func TestInvokeSignsAndPrints(t *testing.T) {
	t.Parallel()
	a := newAPIServer(t)
	stdout, stderr, err := a.get(t, "/prod/")
	if err != nil || stdout != `{"id":123,"category":"book"}` || stderr != "" {
		t.Errorf("%v: %q %q", err, stdout, stderr)
	}
	stdout, _, err = a.get(t, "/prod/", "-i")
	if want := "HTTP/1.1 200 OK\nContent-Length: 28\nContent-Type: application/json\nDate: Sun, 01 Mar 2026 12:00:00 GMT\n\n" + `{"id":123,"category":"book"}`; err != nil || stdout != want {
		t.Errorf("%v: %q, want %q", err, stdout, want)
	}
}

func TestInvokeBodies(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "payload.json")
	if err := os.WriteFile(file, []byte(`{"x":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name              string
		args              []string
		stdin             string
		method, body, typ string
	}{
		{"text", []string{"-d", "a=b"}, "", "POST", "a=b", "application/x-www-form-urlencoded"},
		{"JSON", []string{"-d", `{"a":1}`}, "", "POST", `{"a":1}`, "application/json"},
		{"file", []string{"-d", "@" + file}, "", "POST", `{"x":1}`, "application/json"},
		{"standard input", []string{"-d", "@-"}, "[1]", "POST", "[1]", "application/json"},
		{"method and type", []string{"-X", "PUT", "-H", "Content-Type: text/plain", "-d", "{}"}, "", "PUT", "{}", "text/plain"},
		{"none", nil, "", "GET", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newAPIServer(t)
			_, _, err := runInvoke(t, &fixedCredentials{region: "us-east-1"}, test.stdin, append(test.args, a.server.URL+"/prod/cached")...)
			if err != nil {
				t.Fatal(err)
			}
			r := a.seen[0]
			if r.Method != test.method || a.body != test.body || r.Header.Get("Content-Type") != test.typ {
				t.Errorf("the API got %s %q as %q", r.Method, a.body, r.Header.Get("Content-Type"))
			}
		})
	}
}

func TestInvokeCacheAndConnections(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--refresh-cache", "--max-age-0"} {
		a := newAPIServer(t)
		if _, _, err := a.get(t, "/prod/cached", flag); err != nil || a.seen[0].Header.Get("Cache-Control") != "max-age=0" {
			t.Errorf("%s: %v %v", flag, err, a.seen)
		}
	}
	a := newAPIServer(t)
	if _, _, err := a.get(t, "/prod/@connections/L0SM9cOFvHcCIhw=", "-d", "hello"); err != nil || a.body != "hello" {
		t.Errorf("posting to a connection: %v %q", err, a.body)
	}
	if _, _, err := a.get(t, "/prod/@connections/gone=", "-X", "DELETE"); err == nil || err.Error() != "the API answered 410 Gone: the connection is closed" {
		t.Errorf("a closed connection: %v", err)
	}
}

// The command's flags become the configuration that credentials are got with, and
// the roles of a settings file do not.
func TestInvokeCredentials(t *testing.T) {
	t.Parallel()
	a := newAPIServer(t)
	rt := &fixedCredentials{}
	_, _, err := runInvoke(t, rt, "", "--role-arn", "arn:aws:iam::111122223333:role/predict-api-invoker", "--session-name", "invoke-test", "--external-id", "x-1",
		"--profile", "client", "-H", "Host: "+invokeHost, a.server.URL+"/prod/")
	if err != nil {
		t.Fatal(err)
	}
	c := rt.asked.Accounts
	if len(c.Roles) != 1 || c.Roles[0].ARN != "arn:aws:iam::111122223333:role/predict-api-invoker" || c.SessionName != "invoke-test" || c.ExternalID != "x-1" || c.Profile != "client" || len(c.Regions) != 1 || c.Regions[0] != "eu-west-1" {
		t.Errorf("the configuration is %+v", c)
	}
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(file, []byte("role_arns: [\"arn:aws:iam::111122223333:role/Collector\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runInvoke(t, rt, "", "--config", file, "-H", "Host: "+invokeHost, a.server.URL+"/prod/"); err != nil || len(rt.asked.Accounts.Roles) != 0 {
		t.Errorf("%v: the call is made with the role that reads: %+v", err, rt.asked.Accounts.Roles)
	}
	failed := &fixedCredentials{err: errors.New("no credentials")}
	if _, _, err := runInvoke(t, failed, "", a.server.URL+"/prod/"); err == nil || err.Error() != "no credentials" {
		t.Errorf("without credentials: %v", err)
	}
}

func TestInvokeUsage(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no URL":            nil,
		"two URLs":          {"https://a", "https://b"},
		"no host":           {"/prod"},
		"no scheme":         {"abc.example.com/prod"},
		"user in the URL":   {"https://user:secret@example.com/"},
		"no TLS":            {"http://example.com/"},
		"header":            {"-H", "nothing", "https://example.com/"},
		"own authorization": {"-H", "Authorization: Bearer x", "https://example.com/"},
		"two roles":         {"--role-arn", "arn:aws:iam::111122223333:role/a", "--role-arn", "arn:aws:iam::111122223333:role/b", "https://example.com/"},
		"method":            {"-X", "GE T", "https://example.com/"},
		"no region":         {"https://example.com/"},
	} {
		_, _, err := runInvoke(t, &fixedCredentials{}, "", args...)
		if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
	}
	if _, _, err := runInvoke(t, &fixedCredentials{}, "", "-d", "@/does/not/exist", "https://example.com/"); err == nil {
		t.Error("a body that is not there was sent")
	}
	if _, _, err := runInvoke(t, &fixedCredentials{}, strings.Repeat("x", sigv4.MaxBody+1), "-d", "@-", "https://example.com/"); err == nil || !strings.Contains(err.Error(), "10 MB") {
		t.Errorf("a body that is too long: %v", err)
	}
}

// Whatever an API sends back, the session token and the signature do not reach
// the screen.
func TestInvokePrintsNoSecrets(t *testing.T) {
	t.Parallel()
	a := newAPIServer(t)
	for _, path := range []string{"/prod/echo", "/prod/proxied", "/prod/nothing"} {
		stdout, stderr, err := a.get(t, path, "-i")
		all := stdout + stderr
		if err != nil {
			all += err.Error() + hintOf(err)
		}
		for _, secret := range secretForms(invokeToken, invokeSecret) {
			if strings.Contains(all, secret) {
				t.Errorf("%s: %q is printed:\n%s", path, secret, all)
			}
		}
		if path == "/prod/echo" && (!strings.Contains(stdout, redacted) || regexp.MustCompile(`Signature=[0-9a-f]`).MatchString(stdout)) {
			t.Errorf("the signature is printed: %s", stdout)
		}
	}
}

func TestInvokeExplainsRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path string
		args []string
		what string // part of the error
		more string // part of what stands before it
		mend string // part of the hint
	}{
		{"/prod/", []string{"--unsigned"}, "the request is not signed", "", "leave out --unsigned"},
		{"/prod/nothing", nil, "the API has nothing at GET /prod/nothing", "", "check the stage, the path and the method"},
		{"/prod/", []string{"--region", "us-east-1"}, "Credential should be scoped to a valid region. The request was signed for region us-east-1", "", "give --region"},
		{"/prod/proxied", nil, "the request that arrived is not the one that was signed", "the path differs:", "proxy"},
		{"/prod/short", nil, "the signature does not match", "", "check the secret access key"},
		{"/prod/expired", nil, "the session has ended", "", "new credentials"},
		{"/prod/unknown", nil, "AWS does not know access key ASIAEXAMPLE", "", "AWS_SESSION_TOKEN"},
		{"/prod/incomplete", nil, "not a valid key=value pair", "", "proxy"},
		{"/prod/jwt", nil, "Unauthorized: the method wants a token", "", "--unsigned -H 'Authorization: Bearer"},
		{"/prod/key", nil, "Forbidden: of an HTTP API any failure of IAM", "", "x-api-key"},
		{"/prod/authorizer", nil, "the policy that the Lambda authorizer answered", "", "cached"},
		{"/prod/backend", nil, "does not come from API Gateway's own authorization", "", "web ACL"},
		{"/prod/other", nil, "something else", "", ""},
		{"/prod/open", []string{"--unsigned"}, "the API's resource policy does not allow it", "caller: anonymous", `"Principal": "*"`},
		{"/prod/v2", nil, "no route of the HTTP API matches GET /prod/v2", "", "estate list"},
		{"/prod/throttled", nil, "the call was throttled", "", "rate"},
		{"/prod/quota", nil, "the quota of the API key's usage plan is used up", "", "usage plan"},
		{"/prod/broken", nil, "the API answered 502 Bad Gateway: Internal server error", "", ""},
		{"/prod/moved", nil, "", "", ""},

		{"/prod/deny/identity-explicit", nil, "a statement of an identity-based policy denies it (explicit deny)", "caller: arn:aws:sts::111122222222:assumed-role/app/session", "identity-based policy of arn:aws:iam::111122222222:role/app"},
		{"/prod/deny/resource-explicit", nil, "a statement of a resource-based policy denies it", "", "API's resource policy"},
		{"/prod/deny/scp", nil, "a statement of a service control policy denies it", "", "of the organization"},
		{"/prod/deny/identity", nil, "neither side allows it (implicit deny)", "wanted: execute-api:Invoke on arn:aws:execute-api:eu-west-1:111122222222:abc123/prod/GET/deny", "attach a policy to arn:aws:iam::111122222222:role/app"},
		{"/prod/deny/resource", nil, "the API's resource policy does not allow it (implicit deny)", "", "deploy the stage again"},
		{"/prod/deny/boundary", nil, "no permissions boundary allows it", "", "permissions boundary of arn:aws:iam::111122222222:role/app"},
		{"/prod/deny/session", nil, "no session policy allows it", "", "session policy that was passed"},
		{"/prod/deny/endpoint", nil, "no VPC endpoint policy allows it", "", "VPC endpoint"},
		{"/prod/deny/silent", nil, "no policy allows it (implicit deny)", "", ", or let the API's resource policy"},
		{"/cross/prod/deny/identity", nil, "the caller's side does not allow it (implicit deny)", "across accounts both sides must allow", "attach a policy to arn:aws:iam::111122222222:role/app"},
		{"/cross/prod/deny/resource", nil, "the API's side does not allow it (implicit deny)", "one that ends in 3333", "; and attach a policy to"},
		{"/cross/prod/deny/silent", nil, "a side does not allow it", "", "; and let the API's resource policy"},
	} {
		t.Run(strings.Join(append(test.args, test.path), " "), func(t *testing.T) {
			t.Parallel()
			a := newAPIServer(t)
			_, stderr, err := a.get(t, test.path, test.args...)
			if test.what == "" {
				if test.path == "/prod/moved" && err != nil {
					t.Errorf("a redirect is no refusal: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.what) || !strings.Contains(stderr, test.more) || !strings.Contains(hintOf(err), test.mend) {
				t.Errorf("error %v\nbefore it %q\nhint %q", err, stderr, hintOf(err))
			}
			if _, ok := errors.AsType[*UsageError](err); ok {
				t.Error("a refusal is no mistake in the command's words")
			}
		})
	}
}

func TestInvokeExplainsKeyAndClock(t *testing.T) {
	t.Parallel()
	a := newAPIServer(t)
	_, _, err := runInvoke(t, &fixedCredentials{secret: "other"}, "", "-H", "Host: "+invokeHost, a.server.URL+"/prod/")
	if err == nil || !strings.Contains(err.Error(), "although both sides signed the same request") || !strings.Contains(hintOf(err), "the secret access key is not the one that belongs to access key ASIAEXAMPLE") {
		t.Errorf("a wrong secret: %v (%s)", err, hintOf(err))
	}
	for skew, want := range map[time.Duration]string{
		10 * time.Minute:  "behind AWS's clock",
		-10 * time.Minute: "ahead of AWS's clock",
	} {
		a := newAPIServer(t)
		a.skew = skew
		if _, _, err := a.get(t, "/prod/"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "the request's time is 10m") && !strings.Contains(err.Error(), "the request's time is 9m59s") {
			t.Errorf("%v: %v", skew, err)
		}
	}
}

func TestInvokeLimits(t *testing.T) {
	t.Parallel()
	a := newAPIServer(t)
	if _, _, err := a.get(t, "/prod/slow", "--timeout", "50ms"); err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("a slow API: %v", err)
	}
	if _, _, err := a.get(t, "/prod/long"); err == nil || err.Error() != "the answer is longer than 10 MB" {
		t.Errorf("a long answer: %v", err)
	}
	a.server.Close()
	if _, _, err := a.get(t, "/prod/?token=abc"); err == nil || strings.Contains(err.Error(), "abc") || !strings.Contains(err.Error(), "calling http://127.0.0.1:") {
		t.Errorf("an API that is not there: %v", err)
	}
}

func TestScopeOfHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"abc123.execute-api.eu-west-1.amazonaws.com":             "eu-west-1/execute-api",
		"ABC123.execute-api.eu-west-1.amazonaws.com:443":         "eu-west-1/execute-api",
		"abc123.execute-api.cn-north-1.amazonaws.com.cn":         "cn-north-1/execute-api",
		"abc123-vpce-0a1b.execute-api.eu-west-1.amazonaws.com":   "eu-west-1/execute-api",
		"vpce-0a1b-xyz.execute-api.eu-west-1.vpce.amazonaws.com": "eu-west-1/execute-api",
		"abc123.execute-api.eu-west-1.api.aws":                   "eu-west-1/execute-api",
		"api.example.com":                                        "/",
		"execute-api.eu-west-1.amazonaws.com.evil.example.com":   "/",
		"bucket.s3.eu-west-1.amazonaws.com":                      "/",
		"127.0.0.1:8080":                                         "/",
		"abc123.execute-api.amazonaws.com":                       "/",
	} {
		region, service := scopeOfHost(host)
		if got := region + "/" + service; got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// TestInvokeDocs runs the examples of docs/invoke.md against a local API: what a
// command shows is what it prints, on both streams.
func TestInvokeDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/invoke.md")
	if err != nil {
		t.Fatal(err)
	}
	a := newAPIServer(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "payload.json"), []byte(`{"age":42}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, step := range strings.Split("\n"+block[1], "\n$ gatehouse invoke ")[1:] {
			line, want, _ := strings.Cut(strings.ReplaceAll(step, "\\\n    ", ""), "\n")
			var args []string
			for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
				word = strings.Trim(word, "'")
				if host, path, ok := strings.Cut(strings.TrimPrefix(word, "https://"), "/"); ok && strings.HasPrefix(word, "https://") {
					args = append(args, "-H", "Host: "+host)
					word = a.server.URL + "/" + path
				}
				args = append(args, strings.Replace(word, "@payload.json", "@"+filepath.Join(dir, "payload.json"), 1))
			}
			stdout, stderr, err := runInvoke(t, &fixedCredentials{reader: newPolicyWorld(t).reader()}, "", args...)
			got := stdout + stderr
			if err != nil {
				got += "gatehouse: " + err.Error() + "\n  hint: " + hintOf(err) + "\n"
			}
			if d := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); d != "" {
				t.Errorf("%s (-docs +printed)\n%s", line, d)
			}
			ran++
		}
	}
	if ran < 6 {
		t.Errorf("only %d examples ran", ran)
	}
}
