// Package eks lends access to Amazon EKS clusters. It has two provisioners:
//
//   - eks-rbac: people share one IAM role, each under a session name of their own,
//     and RBAC bindings give rights to the name. The binding is what is lent.
//   - eks-access-entry: a person has an IAM role of their own with an access entry,
//     and access policies of EKS are associated with it. The scope of an association
//     is what is lent.
//
// # Why the shared role has bindings alone
//
// A role has one access entry, or one line in aws-auth. An access policy or a group
// that stands there belongs to everybody who may assume the role. So nothing is ever
// lent by changing the shared role's entry: it is written once, when the cluster is
// connected, and aws-auth likewise.
//
// # Whose name it is
//
// Kubernetes knows a person by what the username template of the entry makes of the
// session name. Everything rests on the role's trust policy making sure that nobody
// names a session as somebody else, which Check therefore reads and judges; and on
// the template that is live in the cluster, which every Apply reads: a setting that
// says something else gives nobody access.
//
// The package speaks to the Kubernetes API with net/http and encoding/json. It needs
// five verbs on eight kinds; a typed client brings in every API group there is.
package eks
