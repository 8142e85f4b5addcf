package account

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// emptyEnvironment hides the machine's own AWS configuration. Tests that use it
// cannot run in parallel.
func emptyEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ENDPOINT_URL", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS",
	} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestEndpointsAndKeysOfTheEnvironment(t *testing.T) {
	emptyEnvironment(t)
	sim := awssim.New(awssim.Options{})
	key := sim.Account(securityID)
	key.AddRole(awssim.Role{Name: "Base", Allow: []string{"*"}})
	creds := key.Session("Base", "test", time.Hour)
	var mu sync.Mutex
	seen := map[string]int{}
	counting := func(name string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen[name]++
			mu.Unlock()
			sim.Handler().ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return s
	}
	t.Setenv("AWS_ENDPOINT_URL", counting("all").URL)
	t.Setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", counting("logs").URL)
	t.Setenv("AWS_REGION", "eu-north-1")
	t.Setenv("AWS_ACCESS_KEY_ID", creds.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", creds.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", creds.SessionToken)

	a, err := New(Config{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	targets, problems := a.Targets(t.Context())
	if len(targets) != 1 || targets[0].Regions[0] != "eu-north-1" {
		t.Fatalf("targets %+v, problems %+v", targets, problems)
	}
	client := cloudwatchlogs.NewFromConfig(a.Config(targets[0], "eu-north-1"))
	if _, err := client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{}); err != nil {
		t.Fatal(err)
	}
	if seen["all"] != 1 || seen["logs"] != 1 {
		t.Errorf("requests by endpoint: %v", seen)
	}
}

func TestWebIdentityOfTheEnvironment(t *testing.T) {
	emptyEnvironment(t)
	sim := awssim.New(awssim.Options{})
	sim.Account(securityID).AddRole(awssim.Role{Name: "Irsa", Allow: []string{"*"}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			sim.Handler().ServeHTTP(w, r)
			return
		}
		if err := r.ParseForm(); err != nil || r.PostForm.Get("WebIdentityToken") != "the-token" {
			http.Error(w, "no token", http.StatusForbidden)
			return
		}
		c := sim.Account(securityID).Session("Irsa", "pod", time.Hour)
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expiration.Format(time.RFC3339))
	}))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("the-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_REGION", region)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/Irsa")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	a, err := New(Config{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	targets, problems := a.Targets(t.Context())
	if len(targets) != 1 || targets[0].Account != securityID {
		t.Errorf("targets %+v, problems %+v", targets, problems)
	}
}

func TestNothingInTheEnvironment(t *testing.T) {
	emptyEnvironment(t)
	if _, err := New(Config{}, Options{}); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
	a, err := New(Config{Regions: []string{region}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, problems := a.Targets(t.Context())
	if len(problems) != 1 || Classify(problems[0].Err) != Denied || !strings.Contains(problems[0].Mend, "give base credentials") {
		t.Errorf("problems %+v", problems)
	}
	_, err = New(Config{Profile: "missing", Regions: []string{region}}, Options{})
	var chain *ChainError
	if !errors.As(err, &chain) || !strings.Contains(chain.Mend(), "profile") {
		t.Errorf("a profile that does not exist: %v", err)
	}
}

func TestAProfileThatHidesALongLivedKey(t *testing.T) {
	emptyEnvironment(t)
	sim := awssim.New(awssim.Options{})
	security := sim.Account(securityID)
	key := security.AddAccessKey("admin")
	arn := security.AddRole(awssim.Role{Name: "Ops", TrustedAccounts: []string{securityID}, Allow: []string{"*"}})
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(server.Close)
	shared := fmt.Sprintf("[profile ops]\nrole_arn = %s\nsource_profile = keys\nregion = %s\n\n[profile keys]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		arn, region, key.AccessKeyID, key.SecretAccessKey)
	if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte(shared), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	for allowed, want := range map[bool]int{false: 0, true: 1} {
		a, err := New(Config{Profile: "ops", AllowLongLivedKeys: allowed}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if targets, problems := a.Targets(t.Context()); len(targets) != want {
			t.Errorf("allowed %v: targets %+v, problems %+v", allowed, targets, problems)
		}
	}
}
