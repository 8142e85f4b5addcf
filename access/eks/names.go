package eks

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// The names that hold where nobody says otherwise. Package deploy writes the same ones
// into its stacks.
const (
	// DefaultAccessRole is the IAM role that people share.
	DefaultAccessRole = "gatehouse-k8s-access"
	// DefaultTemplate is the username template of its mapping.
	DefaultTemplate = "gatehouse:{{SessionNameRaw}}"
	// LenderClusterRole is the ClusterRole that Gatehouse needs in a cluster.
	LenderClusterRole = "gatehouse-lender"
	// LenderUser and LenderGroup are what the role that Gatehouse assumes is mapped to in
	// a cluster; the group has LenderClusterRole. Neither has the colon that all names of people
	// have, so no session of theirs can be named so.
	LenderUser  = "gatehouse-lender"
	LenderGroup = "gatehouse-lenders"
	// TagManaged is the tag of access entries that Gatehouse made; its value is ManagedBy.
	// TagPrefix is what the keys of all its tags begin with.
	TagManaged = TagPrefix + "managed-by"
	ManagedBy  = "gatehouse"
	TagPrefix  = "gatehouse.dev/"
	// PowerPolicy is the access policy that is not lent unless an integration allows it
	// by name: it gives every right in a cluster.
	PowerPolicy = "AmazonEKSClusterAdminPolicy"
)

// Gatehouse's marks on what it makes.
const (
	labelManaged     = "app.kubernetes.io/managed-by"
	labelIntegration = "gatehouse.dev/integration"
	managedBy        = ManagedBy

	annotationIntegration = "gatehouse.dev/integration"
	annotationObject      = "gatehouse.dev/object"
	annotationGrants      = "gatehouse.dev/grants"
	annotationExpires     = "gatehouse.dev/expires-at"
	annotationPerson      = "gatehouse.dev/person"
)

var (
	nameShape  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	labelShape = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z_.-]{0,61}[0-9A-Za-z])?$`)
)

// objectName reports whether a text can be the name of a namespace, secret or the like.
func objectName(s string) bool { return nameShape.MatchString(s) }

// roleObjectName reports whether a text can be the name of a Role or ClusterRole: of
// those a path of the API can hold any.
func roleObjectName(s string) bool {
	return s != "" && len(s) <= 253 && s != "." && s != ".." && !strings.ContainsAny(s, "/%\x00\r\n\t ")
}

// integrationLabel is an integration's name as a label can hold it.
func integrationLabel(name string) string {
	if labelShape.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256-" + hex.EncodeToString(sum[:16])
}

// The kinds of bindings and of roles.
const (
	kindClusterRoleBinding = "ClusterRoleBinding"
	kindRoleBinding        = "RoleBinding"
	kindClusterRole        = "ClusterRole"
	kindRole               = "Role"
)

// bindingKey names a binding for ever: what it binds, where, and for whom. Two items
// that come to the same binding, such as a role on a namespace and a namespace for a
// role, have one key, and share it.
type bindingKey struct {
	namespace string // empty: a ClusterRoleBinding
	roleKind  string
	role      string
	person    string
}

func (k bindingKey) kind() string {
	if k.namespace == "" {
		return kindClusterRoleBinding
	}
	return kindRoleBinding
}

// String is the key as it is kept: "rbac/NAMESPACE/ClusterRole/NAME/PERSON", with a
// star for no namespace. Only the person may hold a slash, and comes last.
func (k bindingKey) String() string {
	namespace := k.namespace
	if namespace == "" {
		namespace = "*"
	}
	return "rbac/" + namespace + "/" + k.roleKind + "/" + k.role + "/" + k.person
}

func parseBindingKey(text string) (bindingKey, error) {
	part := strings.SplitN(text, "/", 5)
	if len(part) != 5 || part[0] != "rbac" || part[4] == "" ||
		part[2] != kindRole && part[2] != kindClusterRole || !roleObjectName(part[3]) {
		return bindingKey{}, fmt.Errorf("%q is not the key of a binding", text)
	}
	k := bindingKey{namespace: part[1], roleKind: part[2], role: part[3], person: part[4]}
	if k.namespace == "*" {
		k.namespace = ""
	}
	if k.namespace != "" && !objectName(k.namespace) || k.namespace == "" && k.roleKind == kindRole {
		return bindingKey{}, fmt.Errorf("%q is not the key of a binding", text)
	}
	return k, nil
}

// name is the binding's name in the cluster. The installation and the integration are
// part of it, for two of either may know one cluster. Bindings from before installations
// had ids have the name that goes with an empty one.
func (k bindingKey) name(installation, integration string) string {
	text := integration + "\x00" + k.String()
	if installation != "" {
		text = installation + "\x00" + text
	}
	sum := sha256.Sum256([]byte(text))
	return "gatehouse-" + hex.EncodeToString(sum[:16])
}

// path is where bindings of this kind are in the API.
func (k bindingKey) path() string {
	if k.namespace == "" {
		return rbacAPI + "/clusterrolebindings"
	}
	return rbacAPI + "/namespaces/" + k.namespace + "/rolebindings"
}

// rolePath is where the role is in the API.
func (k bindingKey) rolePath() string {
	if k.roleKind == kindClusterRole {
		return rbacAPI + "/clusterroles/" + k.role
	}
	return rbacAPI + "/namespaces/" + k.namespace + "/roles/" + k.role
}
