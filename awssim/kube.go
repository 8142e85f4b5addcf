package awssim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Kubernetes is the API server of a simulated EKS cluster, as far as lending and a
// kubectl that looks around meet one: namespaces, ConfigMaps, pods and the objects of
// RBAC, kept with resource versions and UIDs. It knows people by EKS tokens, whose
// signature the Sim checks, through the cluster's access entries and its aws-auth, and
// lets them do what RBAC and their access policies say. Nothing runs in it. It is safe
// for concurrent use.
type Kubernetes struct {
	region   *Region
	cluster  string
	ca       []byte // PEM
	server   *http.Server
	listener net.Listener
	done     chan struct{}
	err      error

	mu      sync.Mutex
	objects map[string]Object // by path
	version int
}

const (
	coreAPI           = "/api/v1"
	rbacAPI           = "/apis/rbac.authorization.k8s.io/v1"
	authenticationAPI = "/apis/authentication.k8s.io/v1"
	authorizationAPI  = "/apis/authorization.k8s.io/v1"
	rbacGroup         = "rbac.authorization.k8s.io"

	maxKubeBody    = 1 << 20
	maxKubeObjects = 50_000
)

// ListenKubernetes serves the API of a cluster on a TCP address; port 0 picks a free
// one. DescribeCluster answers its address and certificate from then on. The cluster
// has to be there, and the caller closes the server.
func (r *Region) ListenKubernetes(cluster, addr string) (*Kubernetes, error) {
	cert, ca, err := kubeCertificate()
	if err != nil {
		return nil, fmt.Errorf("making the certificate of cluster %s: %w", cluster, err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for cluster %s on %s: %w", cluster, addr, err)
	}
	k := &Kubernetes{region: r, cluster: cluster, ca: ca, listener: l, done: make(chan struct{}), objects: map[string]Object{}, version: 1}
	k.server = &http.Server{Handler: k, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	if !k.announce() {
		return nil, errors.Join(fmt.Errorf("there is no cluster %s in %s", cluster, r.name), l.Close())
	}
	k.furnish()
	go func() {
		defer close(k.done)
		tlsListener := tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}})
		if err := k.server.Serve(tlsListener); !errors.Is(err, http.ErrServerClosed) {
			k.err = err
		}
	}()
	return k, nil
}

// announce has DescribeCluster answer where the API is.
func (k *Kubernetes) announce() bool {
	k.region.mu.Lock()
	defer k.region.mu.Unlock()
	c := k.region.cluster(k.cluster)
	if c == nil {
		return false
	}
	fields := maps.Clone(c.fields)
	fields["endpoint"] = k.URL()
	fields["certificateAuthority"] = Object{"data": base64.StdEncoding.EncodeToString(k.ca)}
	if fields["status"] == nil {
		fields["status"] = "ACTIVE"
	}
	c.fields = fields
	return true
}

// URL is the address of the API: "https://127.0.0.1:PORT".
func (k *Kubernetes) URL() string { return "https://" + k.listener.Addr().String() }

// CertificateAuthority is what signed the server's certificate, in PEM.
func (k *Kubernetes) CertificateAuthority() []byte { return k.ca }

// Close stops the server at once and waits until it no longer serves.
func (k *Kubernetes) Close() error {
	err := k.server.Close()
	<-k.done
	return errors.Join(k.err, err)
}

// kubeCertificate makes a certificate for loopback addresses that signs itself.
func kubeCertificate() (cert tls.Certificate, ca []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "kubernetes"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return cert, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// ServeHTTP answers the API.
func (k *Kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, err := k.identify(r)
	if err != nil {
		refuseKube(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized: "+err.Error())
		return
	}
	var body Object
	if r.Method != http.MethodGet {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxKubeBody))
		if err == nil && len(data) > 0 {
			err = json.Unmarshal(data, &body)
		}
		if err != nil {
			refuseKube(w, http.StatusBadRequest, "BadRequest", "the body is not a JSON object of at most 1 MiB")
			return
		}
	}
	if answer, ok := kubeDiscovery[r.URL.Path]; ok && r.Method == http.MethodGet {
		answerKube(w, http.StatusOK, answer)
		return
	}
	switch r.URL.Path {
	case authenticationAPI + "/selfsubjectreviews":
		answerKube(w, http.StatusCreated, Object{"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "status": Object{
			"userInfo": Object{"username": user.name, "groups": user.groups},
		}})
		return
	case authorizationAPI + "/selfsubjectaccessreviews", authorizationAPI + "/subjectaccessreviews":
		k.review(w, user, strings.HasSuffix(r.URL.Path, "/subjectaccessreviews"), body.object("spec"))
		return
	}
	place, ok := parseKubePath(r.URL.Path)
	if !ok {
		refuseKube(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	q := place.kubeQuestion
	if q.verb = kubeVerb(r.Method, place.name); q.verb == "create" {
		q.name = ""
	}
	if !k.allows(user, q) {
		where := "at the cluster scope"
		if q.namespace != "" {
			where = fmt.Sprintf("in the namespace %q", q.namespace)
		}
		refuseKube(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("%s is forbidden: User %q cannot %s resource %q in API group %q %s",
			q.resource, user.name, q.verb, q.resource, q.group, where))
		return
	}
	k.serve(w, r, user, place, body)
}

// kubeVerb is the verb by which RBAC knows a request.
func kubeVerb(method, name string) string {
	switch method {
	case http.MethodGet:
		if name == "" {
			return "list"
		}
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPatch:
		return "patch"
	case http.MethodPut:
		return "update"
	case http.MethodDelete:
		return "delete"
	default:
		return strings.ToLower(method)
	}
}

// kubePlace is what a path names.
type kubePlace struct {
	kubeQuestion
	api  string // coreAPI or rbacAPI
	path string
}

// kubeResources are the resources that are kept, by API.
var kubeResources = map[string]map[string]string{
	coreAPI: {"namespaces": "Namespace", "configmaps": "ConfigMap", "pods": "Pod", "secrets": "Secret"},
	rbacAPI: {"clusterroles": "ClusterRole", "roles": "Role", "clusterrolebindings": "ClusterRoleBinding", "rolebindings": "RoleBinding"},
}

// parseKubePath reads /api/v1/namespaces/NS/pods/NAME and the like.
func parseKubePath(path string) (p kubePlace, ok bool) {
	p.path, p.api = path, coreAPI
	rest, ok := strings.CutPrefix(path, coreAPI+"/")
	if !ok {
		if rest, ok = strings.CutPrefix(path, rbacAPI+"/"); !ok {
			return p, false
		}
		p.api, p.group = rbacAPI, rbacGroup
	}
	part := strings.Split(rest, "/")
	if part[0] == "namespaces" && len(part) > 2 {
		p.namespace, part = part[1], part[2:]
	}
	p.resource = part[0]
	if len(part) > 1 {
		p.name = part[1]
	}
	if p.resource == "namespaces" {
		p.namespace = p.name
	}
	return p, len(part) <= 2 && kubeResources[p.api][p.resource] != "" && (len(part) == 1 || p.name != "")
}

// object is the object under a key; nil, which has nothing, if there is none.
func (o Object) object(key string) Object {
	switch v := o[key].(type) {
	case Object:
		return v
	case map[string]any:
		return v
	default:
		return nil
	}
}

func (o Object) text(key string) string {
	s, _ := o[key].(string)
	return s
}

// texts are the strings of a list.
func (o Object) texts(key string) []string {
	switch v := o[key].(type) {
	case []string:
		return v
	case []any:
		var out []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				out = append(out, s)
			}
		}
		return out
	default:
		return nil
	}
}

// list are the objects of a list.
func (o Object) list(key string) []Object {
	var out []Object
	switch v := o[key].(type) {
	case []Object:
		return v
	case []any:
		for _, one := range v {
			if m, ok := one.(map[string]any); ok {
				out = append(out, m)
			}
		}
	}
	return out
}

func refuseKube(w http.ResponseWriter, code int, reason, message string) {
	answerKube(w, code, Object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})
}

func answerKube(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// kubeDiscovery is what a client asks first, which anybody may who is known.
var kubeDiscovery = map[string]Object{
	"/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.4-eks-simulated"},
	"/api":     {"kind": "APIVersions", "versions": []string{"v1"}},
	"/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []Object{
		{"name": rbacGroup, "versions": []Object{{"groupVersion": rbacGroup + "/v1", "version": "v1"}}, "preferredVersion": Object{"groupVersion": rbacGroup + "/v1", "version": "v1"}},
	}},
	coreAPI: {"kind": "APIResourceList", "groupVersion": "v1", "resources": []Object{
		{"name": "namespaces", "singularName": "namespace", "namespaced": false, "kind": "Namespace", "verbs": []string{"get", "list"}, "shortNames": []string{"ns"}},
		{"name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap", "verbs": []string{"get", "list", "create", "patch", "delete"}, "shortNames": []string{"cm"}},
		{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []string{"get", "list", "create", "patch", "delete"}, "shortNames": []string{"po"}},
		{"name": "secrets", "singularName": "secret", "namespaced": true, "kind": "Secret", "verbs": []string{"get", "list"}},
	}},
	rbacAPI: {"kind": "APIResourceList", "groupVersion": rbacGroup + "/v1", "resources": []Object{
		{"name": "clusterroles", "singularName": "clusterrole", "namespaced": false, "kind": "ClusterRole", "verbs": []string{"get", "list"}},
		{"name": "roles", "singularName": "role", "namespaced": true, "kind": "Role", "verbs": []string{"get", "list"}},
		{"name": "clusterrolebindings", "singularName": "clusterrolebinding", "namespaced": false, "kind": "ClusterRoleBinding", "verbs": []string{"get", "list", "create", "patch", "delete"}},
		{"name": "rolebindings", "singularName": "rolebinding", "namespaced": true, "kind": "RoleBinding", "verbs": []string{"get", "list", "create", "patch", "delete"}},
	}},
}
