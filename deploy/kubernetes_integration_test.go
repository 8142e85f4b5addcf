//go:build integration

package deploy

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// apiServer is a real Kubernetes API server with its etcd.
type apiServer struct {
	url    string
	client *http.Client
}

const adminToken = "admin-of-the-test"

// program finds a program on PATH, where scripts/components puts it.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+": scripts/components installs it")
	}
	return path
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// background runs a program until the test ends, and shows its end if the test fails.
func background(t *testing.T, name string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text := log.String()
			t.Logf("%s:\n%s", filepath.Base(name), text[max(0, len(text)-2000):])
		}
	})
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	etcd, server := program(t, "etcd"), program(t, "kube-apiserver")
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"sa.key":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"tokens.csv": []byte(adminToken + ",admin,1,system:masters\n"),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, peer, port := freePort(t), freePort(t), freePort(t)
	background(t, etcd, "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", "http://127.0.0.1:"+client, "--advertise-client-urls", "http://127.0.0.1:"+client,
		"--listen-peer-urls", "http://127.0.0.1:"+peer, "--initial-advertise-peer-urls", "http://127.0.0.1:"+peer, "--initial-cluster", "default=http://127.0.0.1:"+peer)
	background(t, server, "--etcd-servers=http://127.0.0.1:"+client, "--service-account-key-file="+filepath.Join(dir, "sa.key"),
		"--service-account-signing-key-file="+filepath.Join(dir, "sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--token-auth-file="+filepath.Join(dir, "tokens.csv"), "--authorization-mode=RBAC", "--cert-dir="+filepath.Join(dir, "certs"),
		"--secure-port="+port, "--bind-address=127.0.0.1", "--service-cluster-ip-range=10.0.0.0/24")
	s := &apiServer{"https://127.0.0.1:" + port, &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // its own certificate, on this machine
	}}
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
		if status, _, _ := s.call(t.Context(), http.MethodGet, "/readyz", ""); status == http.StatusOK {
			return s
		}
		if time.Now().After(until) {
			t.Fatal("the API server does not get ready")
		}
	}
}

// call sends YAML and returns the status, the warnings and the answer.
func (s *apiServer) call(ctx context.Context, method, path, text string) (status int, warnings []string, answer string) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(text))
	if err != nil {
		return 0, nil, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/yaml")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return res.StatusCode, res.Header.Values("Warning"), string(body)
}

// places are the resources of the kinds that are written.
var places = map[string]string{
	"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/namespaces/NS/serviceaccounts", "ConfigMap": "/api/v1/namespaces/NS/configmaps",
	"PersistentVolumeClaim": "/api/v1/namespaces/NS/persistentvolumeclaims", "Service": "/api/v1/namespaces/NS/services", "Pod": "/api/v1/namespaces/NS/pods",
	"Deployment": "/apis/apps/v1/namespaces/NS/deployments", "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
	"PodDisruptionBudget": "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
	"ClusterRole":         "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}

// apply applies a manifest with server-side apply; unknown fields are refused.
func (s *apiServer) apply(t *testing.T, text, query string) (status int, warnings []string, answer string) {
	t.Helper()
	o := readObject(t, text)
	kind, _ := o["kind"].(string)
	place, ok := places[kind]
	if !ok {
		t.Fatalf("no place for the kind %q", kind)
	}
	meta := o["metadata"].(map[string]any)
	namespace, _ := meta["namespace"].(string)
	path := strings.Replace(place, "NS", namespace, 1) + "/" + meta["name"].(string)
	return s.call(t.Context(), http.MethodPatch, path+"?fieldManager=test&fieldValidation=Strict"+query, text)
}

// A real API server takes every manifest, by dry run and for good, without a
// warning: under the label restricted it warns of pods that it would refuse.
func TestIntegrationKubernetesAPIServerAcceptsTheManifests(t *testing.T) {
	s := newAPIServer(t)
	for name, v := range pods(t) {
		out, err := kubernetes.Render(Kubernetes, v)
		if err != nil {
			t.Fatal(err)
		}
		if fileOf(out, "00-namespace.yaml") == nil {
			s.namespace(t, v["namespace"][0])
		}
		for _, f := range out.Files {
			if !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			text := string(f.Text)
			if status, warnings, answer := s.apply(t, text, "&dryRun=All"); status/100 != 2 || len(warnings) > 0 {
				t.Errorf("%s: %s: %d %v\n%s", name, f.Name, status, warnings, answer)
			}
			if status, warnings, answer := s.apply(t, text, ""); status/100 != 2 || len(warnings) > 0 {
				t.Errorf("%s: %s for good: %d %v\n%s", name, f.Name, status, warnings, answer)
			}
			if f.Name != "40-deployment.yaml" {
				continue
			}
			s.pods(t, name, text)
			for _, c := range []struct{ what, part, broken, answer string }{
				{"a field that is none", "replicas: 1", "replicsa: 1", "field not declared in schema"},
				{"labels that do not fit", "matchLabels:\n", "matchLabels:\n      other: label\n", "`selector` does not match template `labels`"},
				{"a bad quantity", `memory: "1Gi"`, `memory: "1 Gi"`, "quantities must match"},
			} {
				broken := strings.Replace(text, c.part, c.broken, 1)
				if broken == text {
					t.Fatalf("%s: nothing to break", c.what)
				}
				if status, _, answer := s.apply(t, broken, "&dryRun=All"); status < 400 || !strings.Contains(answer, c.answer) {
					t.Errorf("%s: %d\n%s", c.what, status, answer)
				}
			}
		}
	}
}

// namespace makes one that is there before, held to the standard restricted.
func (s *apiServer) namespace(t *testing.T, name string) {
	t.Helper()
	out, err := kubernetes.Render(Kubernetes, one("image", podImage, "namespace", name))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, answer := s.apply(t, string(fileOf(out, "00-namespace.yaml")), ""); status/100 != 2 {
		t.Fatalf("making the namespace %s: %d\n%s", name, status, answer)
	}
}

// pods creates the deployment's pod as the controller would, which is where Pod
// Security is enforced, and sees that one with more rights is refused.
func (s *apiServer) pods(t *testing.T, name, deployment string) {
	t.Helper()
	o := readObject(t, deployment)
	namespace := at(t, o, "metadata.namespace").(string)
	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": at(t, o, "spec.template.spec"),
		"metadata": map[string]any{"name": "try", "namespace": namespace},
	}
	text, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/namespaces/" + namespace + "/pods?dryRun=All"
	if status, warnings, answer := s.call(t.Context(), http.MethodPost, path, string(text)); status != http.StatusCreated || len(warnings) > 0 {
		t.Errorf("%s: the pod: %d %v\n%s", name, status, warnings, answer)
	}
	for _, change := range [][2]string{{"runAsNonRoot: true", "runAsNonRoot: false"}, {"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"}, {"type: RuntimeDefault", "type: Unconfined"}} {
		weak := strings.Replace(string(text), change[0], change[1], 1)
		status, _, answer := s.call(t.Context(), http.MethodPost, path, weak)
		if status != http.StatusForbidden || !strings.Contains(answer, "violates PodSecurity") {
			t.Errorf("%s: a pod with %s: %d\n%s", name, change[1], status, answer)
		}
	}
}

// Helm finds nothing in the chart, and renders it to the manifests.
func TestIntegrationKubernetesHelmChartIsTheManifests(t *testing.T) {
	helm := program(t, "helm")
	for name, v := range pods(t) {
		dir := t.TempDir()
		out, err := kubernetes.Render(Helm, v)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Write(dir, false); err != nil {
			t.Fatal(err)
		}
		if text, err := run(t, dir, nil, helm, "lint", "--strict", "."); err != nil {
			t.Errorf("%s: lint: %v\n%s", name, err, text)
		}
		in, err := kubernetes.resolve(v)
		if err != nil {
			t.Fatal(err)
		}
		text, err := run(t, dir, nil, helm, "template", in.text("name"), ".", "--namespace", in.text("namespace"), "--set", fmt.Sprintf("createNamespace=%v", in.flag("create-namespace")), "--kube-version", "1.34.0")
		if err != nil {
			t.Fatalf("%s: template: %v\n%s", name, err, text)
		}
		want := map[string]any{}
		for file, manifest := range renderPod(t, Kubernetes, v) {
			if strings.HasSuffix(file, ".yaml") {
				collectObject(t, want, readObject(t, manifest))
			}
		}
		got := map[string]any{}
		for d := yaml.NewDecoder(strings.NewReader(text)); ; {
			var o map[string]any
			if err := d.Decode(&o); err != nil {
				if errors.Is(err, io.EOF) {
					break
				}
				t.Fatalf("%v\n%s", err, text)
			}
			if o != nil {
				collectObject(t, got, o)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (- manifests, + chart):\n%s", name, diff)
		}
		if text, err := run(t, dir, nil, helm, "template", ".", "--kube-version", "1.34.0", "--set", "replicas=3"); err == nil || !strings.Contains(text, "replicas") {
			t.Errorf("%s: a value that is none: %v\n%s", name, err, text)
		}
	}
}

// collectObject keeps an object by its kind, with the text of the configuration read,
// since Helm writes lists in another style.
func collectObject(t *testing.T, all map[string]any, o map[string]any) {
	t.Helper()
	kind := fmt.Sprint(o["kind"])
	if data, ok := o["data"].(map[string]any); ok && kind == "ConfigMap" {
		data["gatehouse.yaml"] = readObject(t, data["gatehouse.yaml"].(string))
	}
	if all[kind] != nil {
		t.Fatalf("%s is there twice", kind)
	}
	all[kind] = o
}
