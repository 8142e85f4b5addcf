package deploy

import (
	"errors"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Parameters that say which API is meant.
var (
	apiAccount = account.as("api-account", "account that owns the API", "")
	apiRegion  = regionOf.as("api-region", "region of the API", "")
	apiID      = Parameter{Name: "api", Summary: "id of the API", Example: "a1b2c3d4e5", Required: true, check: checkAPI}
	apiStages  = Parameter{Name: "stages", Summary: "stages that may be called", Example: "prod", Required: true, List: true, check: checkStage}
	apiMethods = Parameter{Name: "methods", Summary: "HTTP methods that may be called (default: all)", Example: "GET", List: true, check: checkMethod}
	apiPaths   = Parameter{Name: "paths", Summary: "paths or templates that may be called (default: all)", Example: "/orders/{id}", List: true, check: checkPath}
)

// wide explains what a policy of an API leaves open.
func wide(in *input) string {
	var open []string
	for _, d := range []struct{ parameter, what string }{{"methods", "every method"}, {"paths", "every path"}} {
		if len(in.list(d.parameter)) == 0 {
			open = append(open, d.what)
		}
	}
	remark := ""
	if len(open) > 0 {
		remark = "A * stands for " + strings.Join(open, " and ") + " of the named stages, as none were named."
	}
	for _, p := range in.list("paths") {
		if strings.Contains(p, "{") {
			return strings.TrimSpace(remark + " In a path a * stands where the template has a parameter; it also matches further segments.")
		}
	}
	return remark
}

var apiClient = &Stack{
	Name:    "api-client",
	Summary: "a policy that lets its roles call one API, stage, method and path",
	About: "Deploy it in the account of the clients. For an API of another account the API's resource policy must let them in too: " +
		"stack protected-api. HTTP and WebSocket APIs of another account have no such policy: use api-invoker there.",
	Parameters: []Parameter{
		account, apiAccount, apiRegion, apiID, apiStages, apiMethods, apiPaths,
		flag("invalidate-cache", "also allow refreshing the API's cache", false),
		{Name: "roles", Summary: "names of roles of this account that get the policy", Example: "storefront", List: true, check: checkRole},
		{Name: "policy-name", Summary: "name of the policy", Example: "InvokeApi", Default: "GatehouseInvokeApi", check: checkPolicy},
		partition,
	},
	build: func(in *input) (*model, error) {
		d, err := iam.GenerateInvoke(iam.InvokePolicy{Scope: in.scope(), InvalidateCache: in.flag("invalidate-cache")})
		if err != nil {
			return nil, err
		}
		m := &model{account: in.text("account")}
		return m, m.clientPolicies(in, document{Document: d, remarks: map[string]string{"InvokeAPI": wide(in)}})
	},
}

// clientPolicies adds a managed policy, or several where one would be too long, and
// gives them to the roles.
func (m *model) clientPolicies(in *input, d document) error {
	parts, err := d.split(maxManagedPolicy)
	if err != nil {
		return err
	}
	if len(parts) > maxAttached {
		return in.tooLong("the policy has %d characters, which is more than the %d managed policies that IAM lets a role have", d.size(), maxAttached)
	}
	var roles list
	for _, r := range in.list("roles") {
		roles = append(roles, r)
	}
	for i, part := range parts {
		label, name, output := "invoke", in.text("policy-name"), "policy_arn"
		if len(parts) > 1 {
			name += "-" + strconv.Itoa(i+1)
		}
		if i > 0 {
			label, output = "more_"+strconv.Itoa(i), numbered(output, i)
		}
		if len(name) > maxPolicyName {
			return in.fail("policy-name", "shorten it", "with the number of the policy behind it it has %d characters, and IAM takes %d", len(name), maxPolicyName)
		}
		attrs := []attr{
			{tf: "name", cfn: "ManagedPolicyName", value: name},
			{tf: "description", cfn: "Description", value: "Calls one API"},
			{tf: "policy", cfn: "PolicyDocument", value: part},
		}
		if len(roles) > 0 {
			attrs = append(attrs, attr{cfn: "Roles", value: roles})
		}
		p := m.add(&resource{label: label, comment: "What its roles may call.", tf: "aws_iam_policy", cfn: "AWS::IAM::ManagedPolicy", attrs: attrs})
		for j, r := range in.list("roles") {
			m.add(&resource{label: numbered(label, j), tf: "aws_iam_role_policy_attachment", attrs: []attr{
				{tf: "role", value: r}, {tf: "policy_arn", value: ref{p, "arn", ""}},
			}})
		}
		m.output(output, "ARN of the policy.", ref{p, "arn", ""})
	}
	return nil
}

// scope is the part of an API that the parameters name.
func (in *input) scope() iam.Scope {
	return iam.Scope{
		Partition: in.text("partition"), Region: in.text("api-region"), Account: in.text("api-account"), API: in.text("api"),
		Stages: in.list("stages"), Methods: in.list("methods"), Paths: in.list("paths"),
	}
}

var apiInvoker = &Stack{
	Name:    "api-invoker",
	Summary: "a role in the API's account that others assume to call it",
	About:   "Deploy it in the account of the API. It is the way into HTTP and WebSocket APIs from other accounts, and one way into REST APIs.",
	Parameters: []Parameter{
		apiAccount, apiRegion, apiID,
		{Name: "api-type", Summary: "REST, HTTP or WEBSOCKET", Example: "REST", Default: "REST", check: oneOf("REST", "HTTP", "WEBSOCKET")},
		apiStages, apiMethods, apiPaths,
		callerAccounts, callerRoles, callerUsers, callerPrefixes, externalID.optional(),
		flag("invalidate-cache", "also allow refreshing the API's cache; REST alone", false),
		flag("manage-connections", "also allow posting to connections; WEBSOCKET alone", false),
		roleName("api-invoker"), partition,
	},
	build: buildInvoker,
}

func buildInvoker(in *input) (*model, error) {
	kind := in.text("api-type")
	switch {
	case in.flag("manage-connections") && kind != "WEBSOCKET":
		return nil, in.fail("manage-connections", "leave it out", "only a WebSocket API has connections, this one is of type %s", kind)
	case in.flag("invalidate-cache") && kind != "REST":
		return nil, in.fail("invalidate-cache", "leave it out", "only a REST API has a cache, this one is of type %s", kind)
	case kind == "WEBSOCKET" && len(in.list("methods"))+len(in.list("paths")) > 0:
		return nil, in.fail("methods", "leave out methods and paths", "a WebSocket API has neither methods nor paths")
	}
	trust, err := trusted(iam.TrustPolicy{Callers: in.callers(), ExternalID: in.text("external-id"), Partition: in.text("partition")}, map[string]string{
		"Callers":      "An account here lets in its roles and users as far as their own policies allow.",
		"RolePrefixes": "Principal cannot hold a part of a name, so the account stands there and the condition limits it.",
	})
	if err != nil {
		return nil, in.fail("", "name caller-accounts, caller-roles, caller-users or caller-role-prefixes", "%w", err)
	}
	invoke := iam.InvokePolicy{Scope: in.scope(), InvalidateCache: in.flag("invalidate-cache")}
	d, err := iam.GenerateInvoke(invoke)
	if err != nil {
		return nil, err
	}
	m := &model{account: in.text("api-account")}
	role := m.role("invoker", "The role that callers assume.", in.text("role-name"), "Callers of an API assume it", trust)
	m.policy(role, "invoker_invoke", "What the role may call.", "InvokeApi", document{Document: d, remarks: map[string]string{"InvokeAPI": wide(in)}})
	if in.flag("manage-connections") {
		d, err := iam.GenerateInvoke(iam.InvokePolicy{Scope: invoke.Scope, ManageConnections: true})
		if err != nil {
			return nil, err
		}
		m.policy(role, "invoker_connections", "Posting to those who are connected.", "ManageConnections",
			document{Document: d, remarks: map[string]string{"InvokeAPI": "Connections come and go, so their ids and the method stand as *."}})
	}
	m.output("role_arn", "ARN of the role: gatehouse invoke --role-arn.", ref{role, "arn", "Arn"})
	return m, nil
}

// shortForm turns the resource policy of an API into the form that names neither
// region, account nor id, which API Gateway fills in: the id is not known before
// the API is there, and no wildcard has to stand for it.
func shortForm(d *iam.Document, base string) (*iam.Document, error) {
	for i := range d.Statements {
		for j, r := range d.Statements[i].Resource {
			rest, ok := strings.CutPrefix(r, base)
			if !ok {
				return nil, errors.New("a statement is of another API")
			}
			d.Statements[i].Resource[j] = "execute-api:" + rest
		}
	}
	return iam.Parse(iam.KindResource, d.Pretty())
}
