//go:build integration

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// client speaks to the API server without kubectl's delay.
func (k *kubeWorld) client() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(k.ca.pem)
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
}

// call asks the API server with a token and returns the status and what it answers.
func (k *kubeWorld) call(t *testing.T, c *http.Client, token, method, path, kind string, body any) (int, map[string]any) {
	t.Helper()
	var data []byte
	if body != nil {
		data = []byte(mustJSON(t, body))
	}
	r, err := http.NewRequestWithContext(t.Context(), method, k.url+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", kind)
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	var answer map[string]any
	text, _ := io.ReadAll(res.Body)
	_ = json.Unmarshal(text, &answer)
	return res.StatusCode, answer
}

// signed is the token that kubectl would send for a person.
func (k *kubeWorld) signed(t *testing.T, p *kubePerson) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "aws", "--region", region, "eks", "get-token", "--cluster-name", k.cluster, "--profile", "blue", "--output", "json")
	cmd.Env = append(k.network.env(), "PATH="+os.Getenv("PATH"), "HOME="+p.home)
	out, err := cmd.Output()
	var credential struct{ Status struct{ Token string } }
	if err == nil {
		err = json.Unmarshal(out, &credential)
	}
	if err != nil || credential.Status.Token == "" {
		t.Fatalf("aws eks get-token as %s: %v\n%s", p.name, err, out)
	}
	return credential.Status.Token
}

// pods asks for the pods of a namespace.
func (k *kubeWorld) pods(t *testing.T, c *http.Client, token, namespace string) bool {
	t.Helper()
	status, answer := k.call(t, c, token, http.MethodGet, "/api/v1/namespaces/"+namespace+"/pods", "", nil)
	if status != http.StatusOK && status != http.StatusForbidden {
		t.Fatalf("the API server answered %d: %v", status, answer)
	}
	return status == http.StatusOK
}
