package awssim_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// kubeStand is a cluster with an operator, who may do everything, and a role that people
// share, whose sessions are users of their own.
type kubeStand struct {
	*testing.T
	sim    *awssim.Sim
	region *awssim.Region
	kube   *awssim.Kubernetes
	client *http.Client
}

const kubeAccount = "222233334444"

func newKubeStand(t *testing.T, mode string, entries ...awssim.Object) *kubeStand {
	t.Helper()
	s := &kubeStand{T: t, sim: awssim.New(awssim.Options{})}
	a := s.sim.Account(kubeAccount)
	a.AddRole(awssim.Role{Name: "operator"})
	a.AddRole(awssim.Role{Name: "shared", Path: "/people/"})
	s.region = a.Region("eu-west-1")
	s.region.AddCluster(awssim.Object{"name": "prod", "accessConfig": awssim.Object{"authenticationMode": mode}}, entries...)
	var err error
	if s.kube, err = s.region.ListenKubernetes("prod", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.kube.Close(); err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.kube.CertificateAuthority())
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.kube.AddNamespace("payments", map[string]string{"team": "payments"})
	s.kube.AddNamespace("orders", nil)
	s.kube.AddPod("payments", "api-0")
	return s
}

// token is an EKS token of a session for a cluster.
func (s *kubeStand) token(role, session, cluster string) string {
	s.Helper()
	c := s.sim.Account(kubeAccount).Session(role, session, time.Hour)
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("X-K8s-Aws-Id", cluster)
	signer := sigv4.Signer{
		Credentials: sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken},
		Service:     "sts", Region: "eu-west-1",
	}
	if _, err := signer.Presign(r, time.Now(), 15*time.Minute); err != nil {
		s.Fatal(err)
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(r.URL.String()))
}

func (s *kubeStand) do(token, method, path string, body any) (int, awssim.Object) {
	s.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			s.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.kube.URL()+path, bytes.NewReader(text))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := s.client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	var o awssim.Object
	if err := json.Unmarshal(answer, &o); err != nil {
		s.Fatalf("%s %s answers %d: %s", method, path, res.StatusCode, answer)
	}
	return res.StatusCode, o
}

const rbacPath = "/apis/rbac.authorization.k8s.io/v1"

func bindingOf(name, user, role string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"name": name, "labels": map[string]any{"by": "test"}},
		"subjects": []any{map[string]any{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}},
		"roleRef":  map[string]any{"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": role},
	}
}

func role(name string) string { return "arn:aws:iam::" + kubeAccount + ":role/" + name }

func clusterAdmin(name string) awssim.Object {
	return awssim.Object{"principalArn": role(name), "username": "operator", "policies": []awssim.Object{{
		"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", "accessScope": awssim.Object{"type": "cluster"},
	}}}
}

// A binding lets the session of that very name do what the role says in that namespace
// and nowhere else, until it is gone.
func TestKubernetesLetsInByRBAC(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]string{"access entries": "API", "both": "API_AND_CONFIG_MAP", "aws-auth": "CONFIG_MAP"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries := []awssim.Object{clusterAdmin("operator"), {"principalArn": role("people/shared"), "username": "people:{{SessionNameRaw}}"}}
			s := newKubeStand(t, mode, entries...)
			if mode == "CONFIG_MAP" {
				s.kube.Put("/api/v1/namespaces/kube-system/configmaps/aws-auth", awssim.Object{"data": awssim.Object{"mapRoles": `
- rolearn: ` + role("operator") + `
  username: operator
  groups: [system:masters]
- rolearn: ` + role("shared") + `
  username: people:{{SessionNameRaw}}
`}})
			}
			admin, rosa, ravi := s.token("operator", "i-1", "prod"), s.token("shared", "Rosa@example.com", "prod"), s.token("shared", "ravi@example.com", "prod")
			pods := "/api/v1/namespaces/payments/pods"
			if status, o := s.do(rosa, "GET", pods, nil); status != http.StatusForbidden || !strings.Contains(o["message"].(string), "people:Rosa@example.com") {
				t.Fatalf("before: %d %v", status, o)
			}
			bindings := rbacPath + "/namespaces/payments/rolebindings"
			if status, o := s.do(rosa, "POST", bindings, bindingOf("own", "people:Rosa@example.com", "edit")); status != http.StatusForbidden {
				t.Errorf("somebody binds themselves: %d %v", status, o)
			}
			if status, o := s.do(admin, "POST", bindings, bindingOf("b", "people:Rosa@example.com", "view")); status != http.StatusCreated {
				t.Fatalf("binding answers %d: %v", status, o)
			}
			if status, o := s.do(rosa, "GET", pods, nil); status != http.StatusOK || len(o["items"].([]any)) != 1 {
				t.Errorf("after: %d %v", status, o)
			}
			for what, status := range map[string]int{
				"another namespace":  first(s.do(rosa, "GET", "/api/v1/namespaces/orders/pods", nil)),
				"the whole cluster":  first(s.do(rosa, "GET", "/api/v1/pods", nil)),
				"what is not viewed": first(s.do(rosa, "GET", "/api/v1/namespaces/payments/secrets", nil)),
				"writing":            first(s.do(rosa, "DELETE", pods+"/api-0", nil)),
				"somebody else":      first(s.do(ravi, "GET", pods, nil)),
				"another spelling":   first(s.do(s.token("shared", "rosa@example.com", "prod"), "GET", pods, nil)),
			} {
				if status != http.StatusForbidden {
					t.Errorf("%s answers %d", what, status)
				}
			}
			if status, o := s.do(admin, "DELETE", bindings+"/b", map[string]any{"preconditions": map[string]any{"uid": "another"}}); status != http.StatusConflict {
				t.Errorf("deleting another object of the name answers %d: %v", status, o)
			}
			if status, _ := s.do(admin, "DELETE", bindings+"/b", nil); status != http.StatusOK {
				t.Errorf("deleting answers %d", status)
			}
			if status, _ := s.do(rosa, "GET", pods, nil); status != http.StatusForbidden {
				t.Errorf("when it is gone: %d", status)
			}
		})
	}
}

func first(status int, _ awssim.Object) int { return status }

func TestKubernetesKnowsNobodyElse(t *testing.T) {
	t.Parallel()
	s := newKubeStand(t, "API", clusterAdmin("operator"))
	good := s.token("operator", "i-1", "prod")
	if status, o := s.do(good, "GET", "/api/v1/namespaces", nil); status != http.StatusOK {
		t.Fatalf("the operator gets %d: %v", status, o)
	}
	lead := func(url string) string {
		return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(url))
	}
	for what, token := range map[string]string{
		"nothing":                 "",
		"another kind":            "ey.x.y",
		"no base64":               "k8s-aws-v1.%%%",
		"another cluster's":       s.token("operator", "i-1", "test"),
		"one without an entry":    s.token("shared", "rosa@example.com", "prod"),
		"another place":           lead("https://sts.evil.example/?Action=GetCallerIdentity&X-Amz-SignedHeaders=host;x-k8s-aws-id"),
		"another operation":       lead("https://sts.eu-west-1.amazonaws.com/?Action=AssumeRole&X-Amz-SignedHeaders=host;x-k8s-aws-id"),
		"one without a signature": lead("https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-SignedHeaders=host;x-k8s-aws-id"),
		"one that was changed":    good[:len(good)-3] + "AAA",
	} {
		if status, o := s.do(token, "GET", "/api/v1/namespaces", nil); status != http.StatusUnauthorized {
			t.Errorf("%s answers %d: %v", what, status, o)
		}
	}
	// A role that was deleted and made anew is another.
	s.sim.Account(kubeAccount).RemoveRole("operator")
	s.sim.Account(kubeAccount).AddRole(awssim.Role{Name: "operator"})
	if status, _ := s.do(s.token("operator", "i-1", "prod"), "GET", "/api/v1/namespaces", nil); status != http.StatusUnauthorized {
		t.Errorf("a role of the same name gets %d", status)
	}
}

// An access policy counts in its scope, and DescribeCluster says where the API is.
func TestKubernetesAccessPolicies(t *testing.T) {
	t.Parallel()
	s := newKubeStand(t, "API", awssim.Object{"principalArn": role("operator"), "username": "ops", "policies": []awssim.Object{{
		"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", "accessScope": awssim.Object{"type": "namespace", "namespaces": []string{"pay*"}},
	}}})
	token := s.token("operator", "i-1", "prod")
	for path, want := range map[string]int{
		"/api/v1/namespaces/payments/pods": 200, "/api/v1/namespaces/payments/secrets": 403, "/api/v1/namespaces/orders/pods": 403,
		"/api/v1/nodes": 404, rbacPath + "/namespaces/payments/rolebindings": 403, "/api": 200,
	} {
		if status, o := s.do(token, "GET", path, nil); status != want {
			t.Errorf("%s answers %d, want %d: %v", path, status, want, o)
		}
	}
	if _, err := s.region.ListenKubernetes("none", "127.0.0.1:0"); err == nil {
		t.Error("a cluster that is not there has an API")
	}
}
