//go:build integration

package deploy

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// missing skips a test, or fails it where all components must be there. Terraform
// and its provider are never installed by a script; where it was told that they
// are not there, the test says so by name.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_NO_TERRAFORM") != "" && strings.HasPrefix(t.Name(), "TestIntegrationTerraform") {
		t.Skip("missing " + what)
	}
	if os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") != "" {
		t.Fatal("missing " + what)
	}
	t.Skip("missing " + what)
}

// moto starts moto and returns its address. It is without AWS's own managed policies:
// what attaches one is applied elsewhere, and each account would load a thousand of them.
func moto(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		missing(t, "moto_server: scripts/components installs it")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.CommandContext(t.Context(), program, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION="+place)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	endpoint := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+"/moto-api/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			return endpoint
		}
		if time.Now().After(deadline) {
			t.Fatal("moto did not start within a minute")
		}
	}
}

func run(t *testing.T, dir string, env []string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
