//go:build integration

package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// accessReview is a SubjectAccessReview as far as the authorizer reads it.
type accessReview struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Extra    map[string][]string `json:"extra"`
		Resource *struct {
			Namespace, Verb, Group, Resource, Subresource string
		} `json:"resourceAttributes"`
	} `json:"spec,omitzero"`
	Status struct {
		Allowed bool   `json:"allowed"`
		Reason  string `json:"reason,omitempty"`
	} `json:"status"`
}

// authorizer puts access policies into effect, as the authorizer of EKS does: the API
// server asks it beside RBAC, and it goes by the unique id of the principal that the
// authenticator has found. What the policies allow is AWS's definition in rough: View
// reads all but secrets and rights, Edit also writes that and secrets, Admin also
// rights in namespaces, ClusterAdmin everything.
func (k *kubeWorld) authorizer(t *testing.T) (port int) {
	t.Helper()
	certPEM, keyPEM, err := k.ca.issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var review accessReview
			if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			review.Status.Allowed, review.Status.Reason = k.policyAllows(&review)
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(review)
		}),
	}
	var done sync.WaitGroup
	done.Go(func() {
		_ = server.Serve(tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}))
	})
	t.Cleanup(func() { _ = server.Close(); done.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

// policyAllows reports whether a policy of the principal's entry allows a request, and
// which. Without one RBAC decides alone.
func (k *kubeWorld) policyAllows(review *accessReview) (allowed bool, reason string) {
	ids := review.Spec.Extra["principalId"]
	if len(ids) == 0 {
		return false, ""
	}
	for _, e := range k.eksRegion().AccessEntries(k.cluster) {
		if e["principalId"] != ids[0] {
			continue
		}
		policies, _ := e["policies"].([]awssim.Object)
		for _, p := range policies {
			name := fmt.Sprint(p["policyArn"])
			name = name[strings.LastIndexByte(name, '/')+1:]
			scope, _ := p["accessScope"].(awssim.Object)
			if review.inScope(scope) && review.within(name) {
				return true, "EKS access policy " + name
			}
		}
	}
	return false, ""
}

func (r *accessReview) inScope(scope awssim.Object) bool {
	if scope["type"] == "cluster" {
		return true
	}
	namespaces, _ := scope["namespaces"].([]string)
	return r.Spec.Resource != nil && r.Spec.Resource.Namespace != "" && slices.ContainsFunc(namespaces, func(pattern string) bool {
		matches, err := path.Match(pattern, r.Spec.Resource.Namespace)
		return err == nil && matches
	})
}

func (r *accessReview) within(policy string) bool {
	if policy == "AmazonEKSClusterAdminPolicy" {
		return true
	}
	asked := r.Spec.Resource
	if asked == nil {
		return false
	}
	reads := slices.Contains([]string{"get", "list", "watch"}, asked.Verb)
	writes := reads || slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, asked.Verb)
	rights := asked.Group == "rbac.authorization.k8s.io"
	switch policy {
	case "AmazonEKSViewPolicy":
		return reads && !rights && asked.Resource != "secrets" && asked.Subresource != "exec"
	case "AmazonEKSEditPolicy":
		return writes && !rights
	case "AmazonEKSAdminPolicy":
		return writes && (!rights || asked.Resource == "roles" || asked.Resource == "rolebindings")
	}
	return false
}
