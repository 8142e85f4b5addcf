package deploy

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

var apiLending = &Stack{
	Name:    "api-lending",
	Summary: "the roles with which Gatehouse lends an API: one that people get sessions of, one that ends them early",
	About: "Deploy it in the account of the API. Gatehouse vends sessions of the invoker role that are limited to what was lent, and nobody else may assume it. " +
		"To end sessions before their time Gatehouse writes a policy on that role that denies older ones. A permissions boundary sees to it that whatever is written there never gives more than calling this API.",
	Parameters: []Parameter{
		apiAccount, apiRegion, apiID,
		{Name: "api-type", Summary: "REST, HTTP or WEBSOCKET", Example: "REST", Default: "REST", check: oneOf("REST", "HTTP", "WEBSOCKET")},
		apiStages, apiMethods, apiPaths,
		hubRoles, externalID,
		flag("manage-connections", "also allow posting to connections; WEBSOCKET alone", false),
		roleName("gatehouse-api-invoker"),
		{Name: "control-role-name", Summary: "name of the role that reads the invoker role and ends its sessions", Example: "GatehouseLender", Default: "GatehouseLender", check: checkRole},
		partition,
	},
	build: buildLending,
}

func buildLending(in *input) (*model, error) {
	kind := in.text("api-type")
	switch {
	case in.flag("manage-connections") && kind != "WEBSOCKET":
		return nil, in.fail("manage-connections", "leave it out", "only a WebSocket API has connections, this one is of type %s", kind)
	case kind == "WEBSOCKET" && len(in.list("methods"))+len(in.list("paths")) > 0:
		return nil, in.fail("methods", "leave out methods and paths", "a WebSocket API has neither methods nor paths")
	case strings.EqualFold(in.text("role-name"), in.text("control-role-name")):
		return nil, in.fail("control-role-name", "give it another name", "the role that people get sessions of has this name, and IAM does not tell names apart by case")
	}
	account := in.text("api-account")
	trust, err := trusted(iam.TrustPolicy{Callers: iam.Callers{Roles: in.list("hub-role")}, ExternalID: in.text("external-id"), Partition: in.text("partition")},
		map[string]string{"Callers": "Gatehouse alone. Whoever else is let in is not limited to what was lent."})
	if err != nil {
		return nil, in.fail("hub-role", "name the ARN of gatehouse's own role", "%w", err)
	}
	invoke, err := iam.GenerateInvoke(iam.InvokePolicy{Scope: in.scope()})
	if err != nil {
		return nil, err
	}
	if in.flag("manage-connections") {
		manage, err := iam.GenerateInvoke(iam.InvokePolicy{Scope: in.scope(), ManageConnections: true})
		if err != nil {
			return nil, err
		}
		manage.Statements[0].Sid = "ManageConnections"
		invoke.Statements = append(invoke.Statements, manage.Statements...)
		if invoke, err = iam.Parse(iam.KindIdentity, invoke.Pretty()); err != nil {
			return nil, err
		}
	}
	calls := document{Document: invoke, remarks: map[string]string{"InvokeAPI": wide(in), "ManageConnections": "Connections come and go, so their ids and the method stand as *."}}

	if n := calls.size(); n > maxManagedPolicy {
		return nil, in.tooLong("what can be lent has %d characters as a policy, and IAM takes %d for a permissions boundary", n, maxManagedPolicy)
	}
	m := &model{account: account}
	bounds := m.add(&resource{label: "bounds", comment: "The most that the invoker role can ever do, whatever policies are written on it.", tf: "aws_iam_policy", cfn: "AWS::IAM::ManagedPolicy", attrs: []attr{
		{tf: "name", cfn: "ManagedPolicyName", value: in.text("role-name") + "-bounds"},
		{tf: "description", cfn: "Description", value: "Bounds a role whose sessions Gatehouse vends"},
		{tf: "policy", cfn: "PolicyDocument", value: calls},
	}})
	invoker := m.add(&resource{label: "invoker", comment: "The role that people get sessions of, each limited to what was lent. Its boundary is always the one above.", tf: "aws_iam_role", cfn: "AWS::IAM::Role", attrs: []attr{
		{tf: "name", cfn: "RoleName", value: in.text("role-name")},
		{tf: "description", cfn: "Description", value: "Gatehouse vends sessions of it to people who were lent an API"},
		{tf: "assume_role_policy", cfn: "AssumeRolePolicyDocument", value: trust},
		{tf: "max_session_duration", cfn: "MaxSessionDuration", value: 3600},
		{tf: "permissions_boundary", cfn: "PermissionsBoundary", value: ref{bounds, "arn", ""}},
	}})
	m.policy(invoker, "invoker_invoke", "What can be lent.", "InvokeApi", calls)

	role := in.arn("iam", "", account, "role/"+in.text("role-name"))
	boundary := in.arn("iam", "", account, "policy/"+in.text("role-name")+"-bounds")
	w := &writer{}
	w.allow("ReadRole", "What is checked when the API is connected.",
		[]string{"iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies"}, []string{role})
	w.allow("ReadBounds", "The boundary has a say in what the role may do.", []string{"iam:GetPolicy", "iam:GetPolicyVersion"}, []string{boundary})
	w.allow("EndSessions", "A policy that denies older sessions ends them early. The condition keeps it to a role that is bounded.",
		[]string{"iam:PutRolePolicy", "iam:DeleteRolePolicy"}, []string{role},
		iam.Condition{Operator: "StringEquals", Key: "iam:PermissionsBoundary", Values: iam.Strings{boundary}})
	d, err := w.document()
	if err != nil {
		return nil, err
	}
	control := m.role("control", "The role that ends sessions early.", in.text("control-role-name"), "Gatehouse ends sessions of an invoker role with it", trust)
	m.policy(control, "control_switch", "The one role, as long as it is bounded.", "EndSessions", d)

	assume, err := iam.GenerateAssume(iam.AssumePolicy{Roles: []string{role, in.arn("iam", "", account, "role/"+in.text("control-role-name"))}})
	if err != nil {
		return nil, err
	}
	m.notes = append(m.notes,
		note{"Gatehouse's own role", "Allow it to assume both roles:\n\n    " + string(assume.JSON()) + "\n"},
		note{"The integration", "In the file of integrations, or on the page of integrations:\n\n    name: orders\n    type: api-gateway\n    config:\n      account: \"" + account + "\"\n      region: " + in.text("api-region") +
			"\n      api_id: " + bare(in.text("api")) + "\n      role_arn: " + role + "\n      control_role_arn: " +
			in.arn("iam", "", account, "role/"+in.text("control-role-name")) + "\n      external_id: the parameter external-id\n"})
	m.output("role_arn", "ARN of the invoker role: role_arn of the integration.", ref{invoker, "arn", "Arn"})
	m.output("control_role_arn", "ARN of the other role: control_role_arn of the integration.", ref{control, "arn", "Arn"})
	return m, nil
}
