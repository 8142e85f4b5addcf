package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// The profile's role and session name reach STS, whatever keys the environment holds.
func TestCallerIdentityIsTheProfiles(t *testing.T) {
	sim := awssim.New(awssim.Options{})
	srv, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	a := sim.Account("111122223333")
	a.AddRole(awssim.Role{Name: "me", Allow: []string{"sts:AssumeRole"}})
	role := a.AddRole(awssim.Role{Name: "blue-access", TrustedAccounts: []string{"111122223333"}})
	key := a.Session("me", "me", time.Hour)
	dir := t.TempDir()
	profiles := "[profile base]\naws_access_key_id = " + key.AccessKeyID + "\naws_secret_access_key = " + key.SecretAccessKey + "\naws_session_token = " + key.SessionToken +
		"\n[profile access]\nrole_arn = " + role + "\nrole_session_name = Rosa.Diaz@example.com\nsource_profile = base\n"
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(profiles), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "none"),
		"AWS_ENDPOINT_URL": srv.URL(), "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1", "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "ASIAWRONG", "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_SESSION_TOKEN": "wrong",
	} {
		t.Setenv(name, value)
	}
	got, err := (&runtime{}).CallerIdentity(t.Context(), "access")
	if want := "arn:aws:sts::111122223333:assumed-role/blue-access/Rosa.Diaz@example.com"; err != nil || got != want {
		t.Errorf("the caller is %q, %v, want %q", got, err, want)
	}
	if _, err := (&runtime{}).CallerIdentity(t.Context(), "none"); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a profile that is not there: %v", err)
	}
}
