package awssim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Put keeps an object as an administrator of the cluster would write it: by the path of
// the API ("/api/v1/namespaces/payments"), replacing one that is there.
func (k *Kubernetes) Put(path string, o Object) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(path, copyObject(o))
}

func (k *Kubernetes) put(path string, o Object) {
	meta := o.object("metadata")
	if meta == nil {
		meta = Object{}
		o["metadata"] = meta
	}
	place, _ := parseKubePath(path)
	meta["name"] = path[strings.LastIndexByte(path, '/')+1:]
	if place.namespace != "" && place.resource != "namespaces" {
		meta["namespace"] = place.namespace
	}
	o["kind"], o["apiVersion"] = kubeResources[place.api][place.resource], "v1"
	if place.group != "" {
		o["apiVersion"] = place.group + "/v1"
	}
	k.version++
	meta["resourceVersion"] = strconv.Itoa(k.version)
	if old := k.objects[path]; old != nil {
		meta["uid"], meta["creationTimestamp"] = old.object("metadata")["uid"], old.object("metadata")["creationTimestamp"]
	}
	if meta["uid"] == nil {
		meta["uid"] = fmt.Sprintf("00000000-0000-4000-8000-%012d", k.version)
		meta["creationTimestamp"] = k.region.account.sim.clock().UTC().Format(time.RFC3339)
	}
	k.objects[path] = o
}

// Get returns a copy of the object of a path; nil: there is none.
func (k *Kubernetes) Get(path string) Object {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.objects[path] == nil {
		return nil
	}
	return copyObject(k.objects[path])
}

// AddNamespace adds a namespace with labels.
func (k *Kubernetes) AddNamespace(name string, labels map[string]string) {
	all := Object{"kubernetes.io/metadata.name": name}
	for key, value := range labels {
		all[key] = value
	}
	k.Put(coreAPI+"/namespaces/"+name, Object{"metadata": Object{"labels": all}, "status": Object{"phase": "Active"}})
}

// AddPod adds a pod that seems to run.
func (k *Kubernetes) AddPod(namespace, name string) {
	k.Put(coreAPI+"/namespaces/"+namespace+"/pods/"+name, Object{
		"spec": Object{"containers": []any{}}, "status": Object{"phase": "Running"},
	})
}

// KubeRule is a rule of a role.
type KubeRule struct {
	Groups    []string // "" is the core group
	Resources []string
	Names     []string // none: all
	Verbs     []string
}

func (r KubeRule) object() Object {
	o := Object{"apiGroups": r.Groups, "resources": r.Resources, "verbs": r.Verbs}
	if len(r.Names) > 0 {
		o["resourceNames"] = r.Names
	}
	return o
}

// AddRole adds a role of a namespace, or without one a cluster role.
func (k *Kubernetes) AddRole(namespace, name string, rules ...KubeRule) {
	path := rbacAPI + "/clusterroles/" + name
	if namespace != "" {
		path = rbacAPI + "/namespaces/" + namespace + "/roles/" + name
	}
	list := make([]any, 0, len(rules))
	for _, r := range rules {
		list = append(list, map[string]any(r.object()))
	}
	k.Put(path, Object{"rules": list})
}

// BindGroup binds a group to a cluster role in the whole cluster.
func (k *Kubernetes) BindGroup(group, role string) {
	k.Put(rbacAPI+"/clusterrolebindings/"+strings.ReplaceAll(group, ":", "-"), Object{
		"subjects": []any{map[string]any{"kind": "Group", "apiGroup": rbacGroup, "name": group}},
		"roleRef":  map[string]any{"kind": "ClusterRole", "apiGroup": rbacGroup, "name": role},
	})
}

// furnish puts in what every cluster has.
func (k *Kubernetes) furnish() {
	for _, name := range []string{"default", "kube-system", "kube-public"} {
		k.AddNamespace(name, nil)
	}
	reads := []string{"get", "list", "watch"}
	writes := append(slices.Clone(reads), "create", "update", "patch", "delete")
	k.AddRole("", "view", KubeRule{Groups: []string{""}, Resources: []string{"pods", "configmaps", "namespaces"}, Verbs: reads})
	k.AddRole("", "edit",
		KubeRule{Groups: []string{""}, Resources: []string{"pods", "configmaps", "secrets"}, Verbs: writes},
		KubeRule{Groups: []string{""}, Resources: []string{"namespaces"}, Verbs: reads})
	k.AddRole("", "admin",
		KubeRule{Groups: []string{""}, Resources: []string{"pods", "configmaps", "secrets"}, Verbs: writes},
		KubeRule{Groups: []string{""}, Resources: []string{"namespaces"}, Verbs: reads},
		KubeRule{Groups: []string{rbacGroup}, Resources: []string{"roles", "rolebindings"}, Verbs: writes})
	k.AddRole("", "cluster-admin", KubeRule{Groups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}})
}

// serve does what a request that is allowed asks. The server is locked.
func (k *Kubernetes) serve(w http.ResponseWriter, r *http.Request, user *kubeUser, p kubePlace, body Object) {
	switch r.Method {
	case http.MethodGet:
		k.read(w, r, p)
	case http.MethodPost:
		k.create(w, user, p, body)
	case http.MethodPatch:
		k.patch(w, user, p, body)
	case http.MethodDelete:
		k.remove(w, p, body)
	default:
		refuseKube(w, http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method+" is not supported by the simulator")
	}
}

func notFoundKube(w http.ResponseWriter, p kubePlace, name string) {
	refuseKube(w, http.StatusNotFound, "NotFound", fmt.Sprintf("%s %q not found", p.resource, name))
}

func (k *Kubernetes) read(w http.ResponseWriter, r *http.Request, p kubePlace) {
	if p.name != "" {
		if o := k.objects[p.path]; o != nil {
			answerKube(w, http.StatusOK, o)
			return
		}
		notFoundKube(w, p, p.name)
		return
	}
	q := r.URL.Query()
	items := []any{}
	for _, path := range slices.Sorted(maps.Keys(k.objects)) {
		at, _ := parseKubePath(path)
		if at.api != p.api || at.resource != p.resource || p.namespace != "" && at.namespace != p.namespace || !selectedKube(k.objects[path], q.Get("labelSelector")) {
			continue
		}
		items = append(items, k.objects[path])
	}
	meta := Object{"resourceVersion": strconv.Itoa(k.version)}
	from, _ := strconv.Atoi(q.Get("continue"))
	items = items[min(max(from, 0), len(items)):]
	if limit, _ := strconv.Atoi(q.Get("limit")); limit > 0 && len(items) > limit {
		items = items[:limit]
		meta["continue"] = strconv.Itoa(from + limit)
	}
	version := "v1"
	if p.group != "" {
		version = p.group + "/v1"
	}
	answerKube(w, http.StatusOK, Object{"kind": kubeResources[p.api][p.resource] + "List", "apiVersion": version, "metadata": meta, "items": items})
}

func selectedKube(o Object, selector string) bool {
	if selector == "" {
		return true
	}
	labels := o.object("metadata").object("labels")
	for pair := range strings.SplitSeq(selector, ",") {
		key, value, _ := strings.Cut(pair, "=")
		if labels.text(key) != strings.TrimPrefix(value, "=") {
			return false
		}
	}
	return true
}

func (k *Kubernetes) create(w http.ResponseWriter, user *kubeUser, p kubePlace, body Object) {
	name := body.object("metadata").text("name")
	if name == "" || strings.ContainsAny(name, "/%") || p.name != "" {
		refuseKube(w, http.StatusUnprocessableEntity, "Invalid", "metadata.name is missing or not valid")
		return
	}
	if p.namespace != "" && k.objects[coreAPI+"/namespaces/"+p.namespace] == nil {
		refuseKube(w, http.StatusNotFound, "NotFound", fmt.Sprintf("namespaces %q not found", p.namespace))
		return
	}
	path := p.path + "/" + name
	if k.objects[path] != nil {
		refuseKube(w, http.StatusConflict, "AlreadyExists", fmt.Sprintf("%s %q already exists", p.resource, name))
		return
	}
	if len(k.objects) >= maxKubeObjects {
		refuseKube(w, http.StatusForbidden, "Forbidden", "exceeded quota of the simulator")
		return
	}
	if k.escalates(w, user, p, body) {
		return
	}
	k.put(path, body)
	answerKube(w, http.StatusCreated, k.objects[path])
}

func (k *Kubernetes) patch(w http.ResponseWriter, user *kubeUser, p kubePlace, body Object) {
	have := k.objects[p.path]
	if have == nil {
		notFoundKube(w, p, p.name)
		return
	}
	next := mergePatch(copyObject(have), body)
	if next.object("metadata").text("resourceVersion") != have.object("metadata").text("resourceVersion") {
		refuseKube(w, http.StatusConflict, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")
		return
	}
	if role := have.object("roleRef"); role != nil && (role.text("name") != next.object("roleRef").text("name") || role.text("kind") != next.object("roleRef").text("kind")) {
		refuseKube(w, http.StatusUnprocessableEntity, "Invalid", "roleRef: Invalid value: cannot change roleRef")
		return
	}
	if k.escalates(w, user, p, next) {
		return
	}
	k.put(p.path, next)
	answerKube(w, http.StatusOK, k.objects[p.path])
}

func (k *Kubernetes) remove(w http.ResponseWriter, p kubePlace, body Object) {
	have := k.objects[p.path]
	if have == nil {
		notFoundKube(w, p, p.name)
		return
	}
	if uid := body.object("preconditions").text("uid"); uid != "" && uid != have.object("metadata").text("uid") {
		refuseKube(w, http.StatusConflict, "Conflict", "the UID in the precondition does not match the UID in record")
		return
	}
	delete(k.objects, p.path)
	answerKube(w, http.StatusOK, Object{"kind": "Status", "apiVersion": "v1", "status": "Success"})
}

// mergePatch is an RFC 7386 merge patch.
func mergePatch(o, patch Object) Object {
	for key, value := range patch {
		switch v := value.(type) {
		case nil:
			delete(o, key)
		case map[string]any:
			inner := o.object(key)
			if inner == nil {
				inner = Object{}
			}
			o[key] = mergePatch(inner, v)
		default:
			o[key] = v
		}
	}
	return o
}

// copyObject copies an object of JSON as deep as it is changed.
func copyObject(o Object) Object {
	out := make(Object, len(o))
	for key, value := range o {
		switch v := value.(type) {
		case Object:
			out[key] = copyObject(v)
		case map[string]any:
			out[key] = copyObject(v)
		default:
			out[key] = v
		}
	}
	return out
}
