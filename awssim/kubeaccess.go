package awssim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kubeUser is who sends a request to a cluster.
type kubeUser struct {
	name     string
	groups   []string
	policies []Object // access policies of the access entry
}

const (
	kubeTokenPrefix = "k8s-aws-v1."
	kubeTokenMost   = 4096
)

// identify finds out who sends a request, as the authenticator of EKS does: the token is
// a presigned GetCallerIdentity for this cluster, which STS is asked with, and the
// principal that it answers is looked for among the access entries, then in aws-auth.
func (k *Kubernetes) identify(r *http.Request) (*kubeUser, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !strings.HasPrefix(token, kubeTokenPrefix) || len(token) > kubeTokenMost {
		return nil, errors.New("the token is not one of EKS")
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, kubeTokenPrefix))
	if err != nil {
		return nil, errors.New("the token cannot be decoded")
	}
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "https" || u.Path != "/" || !strings.HasPrefix(u.Host, "sts.") || !strings.HasSuffix(u.Host, ".amazonaws.com") {
		return nil, errors.New("the token does not lead to STS")
	}
	q := u.Query()
	if q.Get("Action") != "GetCallerIdentity" || !slices.Contains(strings.Split(strings.ToLower(q.Get("X-Amz-SignedHeaders")), ";"), "x-k8s-aws-id") {
		return nil, errors.New("the token was not made for a cluster")
	}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, u.String(), http.NoBody) //nolint:gosec // nothing is sent: the simulator answers in the process
	if err != nil {
		return nil, errors.New("the token does not lead to STS")
	}
	ask.Header.Set("X-K8s-Aws-Id", k.cluster)
	ask.Header.Set("Accept", "application/json")
	answer := &memoryAnswer{header: http.Header{}, status: http.StatusOK}
	k.region.account.sim.Handler().ServeHTTP(answer, ask)
	var said struct {
		Response struct {
			Result struct {
				Account, Arn, UserId string //nolint:revive // AWS's names on the wire
			} `json:"GetCallerIdentityResult"`
		} `json:"GetCallerIdentityResponse"`
	}
	if answer.status != http.StatusOK || json.Unmarshal(answer.body.Bytes(), &said) != nil {
		return nil, errors.New("STS does not take the token")
	}
	who := said.Response.Result
	user := k.mapped(who.Account, who.Arn, who.UserId)
	if user == nil {
		return nil, fmt.Errorf("no access entry and no line of aws-auth is for %s", who.Arn)
	}
	user.groups = append(slices.Clone(user.groups), "system:authenticated")
	return user, nil
}

// memoryAnswer keeps an answer.
type memoryAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the answer's headers.
func (m *memoryAnswer) Header() http.Header { return m.header }

// WriteHeader keeps the status.
func (m *memoryAnswer) WriteHeader(status int) { m.status = status }

// Write keeps a part of the body.
func (m *memoryAnswer) Write(b []byte) (int, error) { return m.body.Write(b) }

// mapped is the user that a principal is in the cluster; nil: nobody.
func (k *Kubernetes) mapped(account, arn, id string) *kubeUser {
	principal, session, _ := strings.Cut(id, ":")
	render := strings.NewReplacer("{{AccountID}}", account, "{{SessionName}}", strings.ReplaceAll(session, "@", "-"), "{{SessionNameRaw}}", session)
	mode := k.region.AuthenticationMode(k.cluster)
	for _, e := range k.region.AccessEntries(k.cluster) {
		if e["principalId"] == principal {
			policies, _ := e["policies"].([]Object)
			return &kubeUser{name: render.Replace(e.text("username")), groups: e.texts("kubernetesGroups"), policies: policies}
		}
	}
	if mode == modeAPI {
		return nil
	}
	// The ARN of a session does not show the role's path, and neither may aws-auth.
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 {
		return nil
	}
	role := ""
	if kind, rest, _ := strings.Cut(part[5], "/"); kind == "assumed-role" {
		name, _, _ := strings.Cut(rest, "/")
		role = "arn:" + part[1] + ":iam::" + part[4] + ":role/" + name
	}
	var lines []struct {
		RoleARN  string   `yaml:"rolearn"`
		Username string   `yaml:"username"`
		Groups   []string `yaml:"groups"`
	}
	k.mu.Lock()
	text := k.objects[coreAPI+"/namespaces/kube-system/configmaps/aws-auth"].object("data").text("mapRoles")
	k.mu.Unlock()
	if yaml.Unmarshal([]byte(text), &lines) != nil {
		return nil
	}
	for _, l := range slices.Backward(lines) {
		if role != "" && strings.EqualFold(l.RoleARN, role) {
			return &kubeUser{name: render.Replace(l.Username), groups: l.Groups}
		}
	}
	return nil
}

// kubeQuestion is what somebody wants to do.
type kubeQuestion struct{ verb, group, resource, sub, namespace, name string }

// review answers whether somebody may do something: who asks, or with others set anybody,
// which needs a right of its own. What is no resource nobody may.
func (k *Kubernetes) review(w http.ResponseWriter, user *kubeUser, others bool, spec Object) {
	kind := "SelfSubjectAccessReview"
	k.mu.Lock()
	defer k.mu.Unlock()
	if others {
		kind = "SubjectAccessReview"
		if !k.allows(user, kubeQuestion{verb: "create", group: "authorization.k8s.io", resource: "subjectaccessreviews"}) {
			refuseKube(w, http.StatusForbidden, "Forbidden", fmt.Sprintf(
				"subjectaccessreviews.authorization.k8s.io is forbidden: User %q cannot create resource %q in API group %q at the cluster scope", user.name, "subjectaccessreviews", "authorization.k8s.io"))
			return
		}
		user = &kubeUser{name: spec.text("user"), groups: spec.texts("groups")}
	}
	asked := spec.object("resourceAttributes")
	allowed := asked != nil && k.allows(user, kubeQuestion{
		verb: asked.text("verb"), group: asked.text("group"), resource: asked.text("resource"), sub: asked.text("subresource"),
		namespace: asked.text("namespace"), name: asked.text("name"),
	})
	answerKube(w, http.StatusCreated, Object{"kind": kind, "apiVersion": "authorization.k8s.io/v1", "status": Object{"allowed": allowed}})
}

// allows decides by RBAC and by the access policies of EKS; without either nobody may
// anything. The server is locked.
func (k *Kubernetes) allows(u *kubeUser, q kubeQuestion) bool {
	if slices.Contains(u.groups, "system:masters") {
		return true
	}
	for _, p := range u.policies {
		if policyInScope(p.object("accessScope"), q.namespace) && policyAllows(p.text("policyArn"), q) {
			return true
		}
	}
	for at, b := range k.objects {
		place, _ := parseKubePath(at)
		inCluster := place.resource == "clusterrolebindings"
		if !inCluster && (place.resource != "rolebindings" || place.namespace != q.namespace || q.namespace == "") {
			continue
		}
		if !slices.ContainsFunc(b.list("subjects"), u.is) {
			continue
		}
		ref := b.object("roleRef")
		role := rbacAPI + "/clusterroles/" + ref.text("name")
		if ref.text("kind") == "Role" {
			role = rbacAPI + "/namespaces/" + place.namespace + "/roles/" + ref.text("name")
		}
		if slices.ContainsFunc(k.objects[role].list("rules"), q.within) {
			return true
		}
	}
	return false
}

func (u *kubeUser) is(subject Object) bool {
	switch subject.text("kind") {
	case "User":
		return subject.text("name") == u.name
	case "Group":
		return slices.Contains(u.groups, subject.text("name"))
	default:
		return false
	}
}

// within reports whether a rule of RBAC allows what is asked.
func (q kubeQuestion) within(rule Object) bool {
	has := func(key, value string) bool {
		list := rule.texts(key)
		return slices.Contains(list, "*") || slices.Contains(list, value)
	}
	resource := q.resource
	if q.sub != "" {
		resource += "/" + q.sub
	}
	names := rule.texts("resourceNames")
	return has("verbs", q.verb) && has("apiGroups", q.group) && has("resources", resource) &&
		(len(names) == 0 || q.name != "" && slices.Contains(names, q.name))
}

func policyInScope(scope Object, namespace string) bool {
	if scope.text("type") == "cluster" {
		return true
	}
	return namespace != "" && slices.ContainsFunc(scope.texts("namespaces"), func(pattern string) bool {
		ok, err := path.Match(pattern, namespace)
		return err == nil && ok
	})
}

// policyAllows is what AWS's access policies allow, in rough.
func policyAllows(arn string, q kubeQuestion) bool {
	reads := slices.Contains([]string{"get", "list", "watch"}, q.verb)
	writes := reads || slices.Contains([]string{"create", "update", "patch", "delete"}, q.verb)
	rights := q.group == rbacGroup
	switch arn[strings.LastIndexByte(arn, '/')+1:] {
	case "AmazonEKSClusterAdminPolicy":
		return true
	case "AmazonEKSAdminPolicy":
		return writes && (!rights || q.resource == "roles" || q.resource == "rolebindings")
	case "AmazonEKSEditPolicy":
		return writes && !rights
	case "AmazonEKSViewPolicy":
		return reads && !rights && q.resource != "secrets"
	case "AmazonEKSAdminViewPolicy":
		return reads
	default:
		return false
	}
}

// escalates refuses a binding of a role that its author may not bind: Kubernetes lets
// nobody give rights that they do not have, unless they have the verb bind on the role.
// Best evidence where somebody has every right of the role: the simulator asks for bind
// even then. The server is locked.
func (k *Kubernetes) escalates(w http.ResponseWriter, u *kubeUser, p kubePlace, o Object) bool {
	if p.resource != "rolebindings" && p.resource != "clusterrolebindings" {
		return false
	}
	ref := o.object("roleRef")
	q := kubeQuestion{verb: "bind", group: rbacGroup, resource: "clusterroles", namespace: p.namespace, name: ref.text("name")}
	if ref.text("kind") == "Role" {
		q.resource = "roles"
	}
	if k.allows(u, q) {
		return false
	}
	refuseKube(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("%s %q is forbidden: user %q is attempting to grant RBAC permissions not currently held",
		p.resource, o.object("metadata").text("name"), u.name))
	return true
}
