package demo

import (
	_ "embed" // of the texts below

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/iam"
)

// Names of what the demo lends.
const (
	// LenderRole is the role in the orders account by which Gatehouse lends.
	LenderRole = "GatehouseLender"
	// AccessRole is the role that people share to reach the cluster.
	AccessRole = "orders-eks-access"
	// Cluster is the EKS cluster in the orders account.
	Cluster = "orders-prod"
	// InvokerRole is the role in the orders account whose sessions are lent to call the
	// orders API.
	InvokerRole = "orders-api-invoker"
	// OrdersAPI is the name of the integration that lends it.
	OrdersAPI = "orders-api"
	// lenders is the group that Gatehouse is in the cluster.
	lenders = "gatehouse-lenders"
)

// Integrations and Flows are what the demo lends, and by which rules, as YAML.
var (
	//go:embed lending/integrations.yaml
	Integrations []byte
	//go:embed lending/flows.yaml
	Flows []byte
)

// lenderActions are what lending access to a cluster needs of AWS, and nothing else.
var lenderActions = []string{
	"eks:DescribeCluster", "eks:DescribeAccessEntry", "eks:CreateAccessEntry", "eks:UpdateAccessEntry", "eks:TagResource",
	"eks:ListAssociatedAccessPolicies",
	"iam:GetRole", "sts:GetCallerIdentity",
}

// invokerPolicy is what lending an API needs of AWS beyond its role: to read the invoker
// role, and to deny sessions of it.
func invokerPolicy() string {
	d := iam.Document{Version: iam.Version2012, Statements: []iam.Statement{{
		Effect: iam.Allow, Resource: iam.Strings{roleARN(Orders, InvokerRole)},
		Action: iam.Strings{"iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:PutRolePolicy", "iam:DeleteRolePolicy"},
	}, {
		Effect: iam.Allow, Resource: iam.Strings{"arn:aws:iam::" + Orders + ":policy/*"}, Action: iam.Strings{"iam:GetPolicy", "iam:GetPolicyVersion"},
	}}}
	return string(d.JSON())
}

// sharedTrust lets in people of IAM Identity Center, each under their own name alone.
const sharedTrust = `{"Version":"2012-10-17","Statement":[{"Sid":"People","Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole",` +
	`"Condition":{"StringEqualsIgnoreCase":{"sts:RoleSessionName":"${SAML:sub}"},` +
	`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::` + Orders + `:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_*"}}}]}`

// OpenCluster adds an EKS cluster whose Kubernetes API is served on a loopback address.
// It knows Gatehouse, as far as lending needs, and nobody else. The caller closes it.
func (w *World) OpenCluster() (*awssim.Kubernetes, error) {
	account := w.Sim.Account(Orders)
	lender := account.AddRole(awssim.Role{
		Name: LenderRole, TrustedPrincipals: []string{roleARN(Security, HubRole)}, ExternalID: ExternalID, Allow: lenderActions,
		Policies: []string{invokerPolicy()},
	})
	account.AddRole(awssim.Role{
		Name: InvokerRole, TrustedPrincipals: []string{roleARN(Security, HubRole)}, ExternalID: ExternalID,
		PermissionsBoundary: allow("execute-api:Invoke", "*"),
		Inline:              map[string]string{"InvokeOrders": allow("execute-api:Invoke", "arn:aws:execute-api:eu-west-1:"+Orders+":"+ordersID+"/*")},
	})
	account.AddRole(awssim.Role{
		Name: AccessRole, TrustPolicy: sharedTrust, Policies: []string{allow("eks:DescribeCluster", "arn:aws:eks:eu-west-1:"+Orders+":cluster/"+Cluster)},
	})
	region := account.Region("eu-west-1")
	region.AddCluster(
		awssim.Object{
			"name": Cluster, "status": "ACTIVE", "version": "1.34", "tags": awssim.Object{"owner": "orders-owners", "env": "prod"},
			"accessConfig": awssim.Object{"authenticationMode": "API_AND_CONFIG_MAP"},
		},
		awssim.Object{"principalArn": lender, "username": "gatehouse", "kubernetesGroups": []string{lenders}, "type": "STANDARD"},
	)
	k, err := region.ListenKubernetes(Cluster, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	furnish(k)
	return k, nil
}

// furnish puts the orders team's things into the cluster.
func furnish(k *awssim.Kubernetes) {
	const rbac = "rbac.authorization.k8s.io"
	k.AddRole("", "gatehouse-lender",
		awssim.KubeRule{Groups: []string{rbac}, Resources: []string{"clusterrolebindings", "rolebindings"}, Verbs: []string{"get", "list", "create", "patch", "delete"}},
		awssim.KubeRule{Groups: []string{rbac}, Resources: []string{"clusterroles", "roles"}, Verbs: []string{"get", "list", "bind"}},
		awssim.KubeRule{Groups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		awssim.KubeRule{Groups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list"}},
		awssim.KubeRule{Groups: []string{""}, Resources: []string{"configmaps"}, Names: []string{"aws-auth"}, Verbs: []string{"get", "patch"}},
	)
	k.BindGroup(lenders, "gatehouse-lender")
	for name, labels := range map[string]map[string]string{
		"checkout": {"owner": "orders-owners", "env": "prod", "team": "storefront"},
		"orders":   {"owner": "orders-owners", "env": "prod", "team": "orders"},
		"payments": {"owner": "platform-security", "env": "prod", "team": "payments", "tier": "vault"},
		"sandbox":  {"owner": "orders-owners", "env": "test"},
	} {
		k.AddNamespace(name, labels)
		for _, pod := range []string{"-api-7c9f4d-x2k8q", "-worker-5b8d6f-9hjlw"} {
			k.AddPod(name, name+pod)
		}
	}
	k.AddRole("orders", "deployer", awssim.KubeRule{Groups: []string{""}, Resources: []string{"pods", "configmaps"}, Verbs: []string{"get", "list", "create", "patch"}})
}
