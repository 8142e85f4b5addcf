package awssim_test

import (
	"net/http"
	"testing"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// Who may create SubjectAccessReviews learns what others may by RBAC; nobody else does.
func TestKubernetesSubjectAccessReview(t *testing.T) {
	t.Parallel()
	s := newKubeStand(t, "API", awssim.Object{"principalArn": role("people/shared"), "username": "people:{{SessionNameRaw}}"})
	const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
	ask := func(token, user string, groups []string, verb, namespace string) (int, bool) {
		status, answer := s.do(token, http.MethodPost, path, map[string]any{"spec": map[string]any{
			"user": user, "groups": groups, "resourceAttributes": map[string]any{"verb": verb, "resource": "pods", "namespace": namespace},
		}})
		said, _ := answer["status"].(map[string]any)
		allowed, _ := said["allowed"].(bool)
		return status, allowed
	}
	person := s.token("shared", "alice@example.com", "prod")
	if status, _ := ask(person, "bob", nil, "get", "default"); status != http.StatusForbidden {
		t.Errorf("somebody without the right is answered %d", status)
	}
	s.kube.AddRole("", "reviewer", awssim.KubeRule{Groups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}})
	s.kube.BindGroup("system:authenticated", "reviewer")
	s.kube.BindGroup("readers", "view")
	for _, c := range []struct {
		groups    []string
		verb      string
		namespace string
		want      bool
	}{
		{[]string{"readers"}, "get", "default", true},
		{[]string{"readers"}, "delete", "default", false},
		{nil, "get", "default", false},
	} {
		if status, got := ask(person, "bob", c.groups, c.verb, c.namespace); status != http.StatusCreated || got != c.want {
			t.Errorf("%+v: %d, %v", c, status, got)
		}
	}
}
