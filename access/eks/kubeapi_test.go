package eks

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kubeAPI is a Kubernetes API server as far as lending meets one: it keeps objects with
// resource versions and UIDs, refuses what a real one refuses, and can be told to
// misbehave.
type kubeAPI struct {
	server *httptest.Server

	mu      sync.Mutex
	objects map[string]map[string]any // by path
	version int
	token   string            // that it takes; empty: any
	users   map[string]string // by other tokens that it takes
	may     func(verb, resource string) bool
	// reviewer tells the user of a token to a SelfSubjectReview; nil: users do.
	reviewer func(token string) string
	skew     time.Duration
	// before runs ahead of each change, unlocked, once; it plays somebody faster.
	before func(method, path string)
	// fault is taken by the next change that it is asked about.
	fault    *fault
	escalate bool // refuse to bind
	// unasked refuses SubjectAccessReviews; lag is how many of them are answered as if the
	// authorizer had heard of nothing, or after a removal of everything, and denies has
	// all of them denied.
	unasked, denies bool
	lag             int
	// always is a user whom something else allows everything.
	always string
	// busy is how many requests are answered with 429, and asked what was reviewed.
	busy  int
	asked []string
	page  int // of lists; 0: the client's limit
	calls []string
}

// fault is a change that fails: with applied set after it was made.
type fault struct {
	code    int
	applied bool
	delay   time.Duration
}

func newKubeAPI(tb testing.TB) *kubeAPI {
	tb.Helper()
	k := &kubeAPI{objects: map[string]map[string]any{}, version: 100, users: map[string]string{}}
	k.server = httptest.NewUnstartedServer(k)
	k.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	k.server.StartTLS()
	tb.Cleanup(k.server.Close)
	for _, name := range []string{"default", "kube-system", "payments", "orders"} {
		k.put(coreAPI+"/namespaces/"+name, map[string]any{"metadata": map[string]any{"name": name, "labels": map[string]any{"team": "team-" + name}}})
	}
	for _, name := range []string{"view", "edit", "admin", "cluster-admin", "system:node", "gatehouse-lender"} {
		k.put(rbacAPI+"/clusterroles/"+name, map[string]any{"metadata": map[string]any{"name": name}})
	}
	k.put(rbacAPI+"/namespaces/payments/roles/deployer", map[string]any{"metadata": map[string]any{"name": "deployer", "namespace": "payments"}})
	return k
}

func (k *kubeAPI) authority() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.server.Certificate().Raw}))
}

// put stores an object as somebody else would.
func (k *kubeAPI) put(path string, o map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stamp(o)
	k.objects[path] = o
}

func (k *kubeAPI) drop(path string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.objects, path)
}

func (k *kubeAPI) stamp(o map[string]any) {
	k.version++
	meta, _ := o["metadata"].(map[string]any)
	meta["resourceVersion"] = strconv.Itoa(k.version)
	if meta["uid"] == nil {
		meta["uid"] = fmt.Sprintf("uid-%d", k.version)
	}
}

// get returns a copy of an object; nil: there is none.
func (k *kubeAPI) get(path string) map[string]any {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.objects[path] == nil {
		return nil
	}
	return copied(k.objects[path])
}

// edit changes an object as somebody else would.
func (k *kubeAPI) edit(path string, change func(o map[string]any)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(k.objects[path])
	k.stamp(k.objects[path])
}

// bindings are the paths of all bindings.
func (k *kubeAPI) bindings() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []string
	for path := range k.objects {
		if strings.Contains(path, "rolebindings/") {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}

// binds reports whether a user has a role in a namespace (empty: the cluster).
func (k *kubeAPI) binds(t *testing.T, user, namespace, roleKind, role string) bool {
	t.Helper()
	for _, path := range k.bindings() {
		var b binding
		data, err := json.Marshal(k.get(path))
		if err != nil || json.Unmarshal(data, &b) != nil {
			t.Fatalf("%s is no binding", path)
		}
		if b.Metadata.Namespace != namespace || b.RoleRef.Kind != roleKind || b.RoleRef.Name != role {
			continue
		}
		if slices.ContainsFunc(b.Subjects, func(s subject) bool { return s.Kind == "User" && s.APIGroup == rbacGroup && s.Name == user }) {
			return true
		}
	}
	return false
}

func copied(o map[string]any) map[string]any {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	var c map[string]any
	if err := json.Unmarshal(data, &c); err != nil {
		panic(err)
	}
	return c
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})
}

func answerOK(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func (k *kubeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.calls = append(k.calls, r.Method+" "+r.URL.Path)
	w.Header().Set("Date", time.Now().Add(k.skew).UTC().Format(http.TimeFormat))
	given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	user := k.users[given]
	known := user != "" || k.token == "" || given == k.token
	before := k.before
	k.mu.Unlock()
	if !known {
		refuse(w, 401, "Unauthorized", "Unauthorized")
		return
	}
	var body map[string]any
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			refuse(w, 400, "BadRequest", err.Error())
			return
		}
	}
	path := r.URL.Path
	k.mu.Lock()
	busy := k.busy > 0
	if busy {
		k.busy--
	}
	k.mu.Unlock()
	if busy {
		w.Header().Set("Retry-After", "1")
		refuse(w, 429, "TooManyRequests", "the server is busy")
		return
	}
	switch path {
	case authorizationAPI + "/subjectaccessreviews":
		k.review(w, body)
		return
	case "/version":
		answerOK(w, 200, map[string]string{"gitVersion": "v1.34.4-eks-1"})
		return
	case authenticationAPI + "/selfsubjectreviews":
		if k.reviewer != nil {
			user = k.reviewer(given)
		}
		answerOK(w, 201, map[string]any{"status": map[string]any{"userInfo": map[string]any{"username": user}}})
		return
	case authorizationAPI + "/selfsubjectaccessreviews":
		spec, _ := body["spec"].(map[string]any)
		attributes, _ := spec["resourceAttributes"].(map[string]any)
		verb, _ := attributes["verb"].(string)
		resource, _ := attributes["resource"].(string)
		answerOK(w, 201, map[string]any{"status": map[string]any{"allowed": k.may == nil || k.may(verb, resource)}})
		return
	}
	if r.Method != http.MethodGet && before != nil {
		k.mu.Lock()
		k.before = nil
		k.mu.Unlock()
		before(r.Method, path)
	}
	if r.Method == http.MethodGet {
		k.read(w, r)
		return
	}
	k.mu.Lock()
	f := k.fault
	k.fault = nil
	k.mu.Unlock()
	if f != nil && f.delay > 0 {
		time.Sleep(f.delay)
	}
	if f != nil && !f.applied && f.code != 0 {
		refuse(w, f.code, http.StatusText(f.code), "it was told to fail")
		return
	}
	answer := httptest.NewRecorder()
	k.change(answer, r.Method, path, body)
	if f != nil && f.applied {
		refuse(w, f.code, http.StatusText(f.code), "it was told to fail after the change")
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// review answers a SubjectAccessReview by the bindings and the rules of roles.
func (k *kubeAPI) review(w http.ResponseWriter, body map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unasked {
		refuse(w, 403, "Forbidden", "subjectaccessreviews.authorization.k8s.io is forbidden")
		return
	}
	var q struct {
		Spec struct {
			User               string
			Groups             []string
			ResourceAttributes struct{ Namespace, Verb, Group, Resource, Subresource, Name string }
		}
	}
	data, _ := json.Marshal(body)
	_ = json.Unmarshal(data, &q)
	a := q.Spec.ResourceAttributes
	k.asked = append(k.asked, fmt.Sprint(q.Spec.User, " ", q.Spec.Groups, " ", a.Verb, " ", a.Group, "/", a.Resource, "/", a.Subresource, " ", a.Name, " in ", a.Namespace))
	allowed := false
	for path, o := range k.objects {
		var b binding
		data, _ := json.Marshal(o)
		if !strings.Contains(path, "rolebindings/") || json.Unmarshal(data, &b) != nil || b.Metadata.Namespace != "" && b.Metadata.Namespace != a.Namespace ||
			!slices.ContainsFunc(b.Subjects, func(s subject) bool { return s.Kind == "User" && s.Name == q.Spec.User }) {
			continue
		}
		var role struct{ Rules []policyRule }
		at := bindingKey{namespace: b.Metadata.Namespace, roleKind: b.RoleRef.Kind, role: b.RoleRef.Name}.rolePath()
		data, _ = json.Marshal(k.objects[at])
		_ = json.Unmarshal(data, &role)
		for _, r := range role.Rules {
			resource := a.Resource
			if a.Subresource != "" {
				resource += "/" + a.Subresource
			}
			allowed = allowed || slices.Contains(r.Verbs, a.Verb) && slices.Contains(r.Resources, resource) && slices.Contains(r.APIGroups, a.Group)
		}
	}
	if k.lag > 0 {
		k.lag--
		allowed = !allowed
	}
	allowed = (allowed || k.always == q.Spec.User) && !k.denies
	answerOK(w, 201, map[string]any{"status": map[string]any{"allowed": allowed}})
}

func (k *kubeAPI) change(w http.ResponseWriter, method, path string, body map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch method {
	case http.MethodPost:
		meta, _ := body["metadata"].(map[string]any)
		name, _ = meta["name"].(string)
		path += "/" + name
		if namespace, _ := meta["namespace"].(string); namespace != "" && k.objects[coreAPI+"/namespaces/"+namespace] == nil {
			refuse(w, 404, "NotFound", `namespaces "`+namespace+`" not found`)
			return
		}
		if k.objects[path] != nil {
			refuse(w, 409, "AlreadyExists", name+" already exists")
			return
		}
		if k.escalate && strings.Contains(path, "rolebindings/") {
			refuse(w, 403, "Forbidden", `clusterrolebindings is forbidden: user "gatehouse" is attempting to grant RBAC permissions not currently held`)
			return
		}
		k.stamp(body)
		k.objects[path] = body
		answerOK(w, 201, body)
	case http.MethodPatch:
		have := k.objects[path]
		if have == nil {
			refuse(w, 404, "NotFound", name+" not found")
			return
		}
		next := merged(copied(have), body)
		meta, _ := next["metadata"].(map[string]any)
		old, _ := have["metadata"].(map[string]any)
		if meta["resourceVersion"] != old["resourceVersion"] {
			refuse(w, 409, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")
			return
		}
		k.stamp(next)
		k.objects[path] = next
		answerOK(w, 200, next)
	case http.MethodDelete:
		have := k.objects[path]
		if have == nil {
			refuse(w, 404, "NotFound", name+" not found")
			return
		}
		meta, _ := have["metadata"].(map[string]any)
		preconditions, _ := body["preconditions"].(map[string]any)
		if uid := preconditions["uid"]; uid != nil && uid != meta["uid"] {
			refuse(w, 409, "Conflict", "the UID in the precondition does not match")
			return
		}
		if finalizers, _ := meta["finalizers"].([]any); len(finalizers) > 0 {
			meta["deletionTimestamp"] = time.Now().UTC().Format(time.RFC3339)
			k.stamp(have)
			answerOK(w, 200, have)
			return
		}
		delete(k.objects, path)
		answerOK(w, 200, map[string]string{"kind": "Status", "status": "Success"})
	default:
		refuse(w, 405, "MethodNotAllowed", method)
	}
}

// merged is an RFC 7386 merge patch.
func merged(o, patch map[string]any) map[string]any {
	for key, value := range patch {
		switch v := value.(type) {
		case nil:
			delete(o, key)
		case map[string]any:
			inner, _ := o[key].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
			}
			o[key] = merged(inner, v)
		default:
			o[key] = v
		}
	}
	return o
}

func (k *kubeAPI) read(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if o := k.get(path); o != nil {
		answerOK(w, 200, o)
		return
	}
	kind := path[strings.LastIndexByte(path, '/')+1:]
	if !slices.Contains([]string{"namespaces", "clusterroles", "roles", "clusterrolebindings", "rolebindings"}, kind) {
		refuse(w, 404, "NotFound", kind+" not found")
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var items []any
	for _, at := range slices.Sorted(maps.Keys(k.objects)) {
		of := strings.Split(at, "/")
		if of[len(of)-2] != kind || !selected(k.objects[at], r.URL.Query().Get("labelSelector")) {
			continue
		}
		items = append(items, copied(k.objects[at]))
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if k.page > 0 {
		limit = k.page
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	list := map[string]any{}
	rest := items[min(from, len(items)):]
	if limit > 0 && len(rest) > limit {
		rest = rest[:limit]
		list["continue"] = strconv.Itoa(from + limit)
	}
	answerOK(w, 200, map[string]any{"kind": "List", "metadata": list, "items": rest})
}

func selected(o map[string]any, selector string) bool {
	if selector == "" {
		return true
	}
	meta, _ := o["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	for pair := range strings.SplitSeq(selector, ",") {
		key, value, _ := strings.Cut(pair, "=")
		if labels[key] != value {
			return false
		}
	}
	return true
}

// setAuth writes aws-auth as an administrator would.
func (k *kubeAPI) setAuth(data map[string]string) {
	m := map[string]any{}
	for key, value := range data {
		m[key] = value
	}
	k.put(configMapPath+"/"+configMapName, map[string]any{"metadata": map[string]any{"name": configMapName, "namespace": "kube-system"}, "data": m})
}

func (k *kubeAPI) auth(t *testing.T) map[string]string {
	t.Helper()
	o := k.get(configMapPath + "/" + configMapName)
	data, _ := o["data"].(map[string]any)
	all := map[string]string{}
	for key, value := range data {
		all[key], _ = value.(string)
	}
	return all
}
