package deploy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/iam"
)

// model is a stack with its parameters filled in: what both languages write.
type model struct {
	account   string // whose stack it is
	region    string // empty: the stack knows none but the provider needs one
	resources []*resource
	outputs   []output
	// boundary says that there are roles, which a permissions boundary may be put on.
	boundary bool
	// notes are sections of the README: a heading and text.
	notes []note
	// files are further files of both languages' folders.
	files []File
	// policies are all documents of the stack.
	policies []Policy
	// cautions are what must be seen to before it can be deployed.
	cautions []string
}

type note struct{ heading, text string }

// Policy is a policy document of a stack, for those who prove it.
type Policy struct {
	// Name is the address of the resource that has it, such as "role.trust".
	Name     string
	Document *iam.Document
}

// resource is one resource under the names that it has in both languages. An
// empty name says that the language has no such resource.
type resource struct {
	label     string // lower case with _
	comment   string
	tf        string // aws_iam_role
	cfn       string // AWS::IAM::Role
	attrs     []attr
	dependsOn []*resource
	// retain says that CloudFormation keeps it when the stack is deleted.
	retain bool
	// of is the role that an inline policy belongs to.
	of *resource
	// replaceFirst makes Terraform create a new one before it destroys the old.
	replaceFirst bool
}

// id is the logical id in CloudFormation: letters and digits.
func (r *resource) id() string {
	var b strings.Builder
	for part := range strings.SplitSeq(r.label, "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

// attr is an attribute under the names that it has in both languages; an empty
// name leaves it out there. Values are string, int, bool, list, object, document,
// ref or expr.
type attr struct {
	tf, cfn string
	value   any
	block   bool // in Terraform a nested block
}

type (
	list   []any
	object []attr
	// document is a policy, with remarks for the statements of a Sid.
	document struct {
		*iam.Document
		remarks map[string]string
	}
	// apiDocument is an API's resource policy in the short form, as Terraform writes it:
	// with the API's ARN in place of execute-api:. API Gateway does the same when it saves
	// the policy, so the short form itself would show as changed in every plan.
	apiDocument struct {
		document
		api *resource
	}
	// ref is an attribute of another resource. An empty cfn is Ref itself.
	ref struct {
		to      *resource
		tf, cfn string
	}
	// expr is an expression that each language writes in its own way. A parameter's
	// value in it has passed a check that no sign of either language passes.
	expr struct {
		tf  string
		cfn *yaml.Node
	}
)

type output struct {
	name, description string // lower case with _
	value             any
}

func (m *model) add(r *resource) *resource {
	m.resources = append(m.resources, r)
	for _, a := range r.attrs {
		if d, ok := a.value.(document); ok {
			m.policies = append(m.policies, Policy{Name: r.label + "." + cmp.Or(a.tf, "policy"), Document: d.Document})
		}
	}
	return r
}

func (m *model) output(name, description string, value any) {
	m.outputs = append(m.outputs, output{name, description, value})
}

// role adds a role. Its policies are added by policy.
func (m *model) role(label, comment, name, description string, trust document) *resource {
	m.boundary = true
	return m.add(&resource{label: label, comment: comment, tf: "aws_iam_role", cfn: "AWS::IAM::Role", attrs: []attr{
		{tf: "name", cfn: "RoleName", value: name},
		{tf: "description", cfn: "Description", value: description},
		{tf: "assume_role_policy", cfn: "AssumeRolePolicyDocument", value: trust},
		{tf: "permissions_boundary", cfn: "PermissionsBoundary", value: expr{
			tf:  "var.permissions_boundary",
			cfn: tagged("!If", seq(scalar("HasPermissionsBoundary"), taggedText("!Ref", "PermissionsBoundary"), taggedText("!Ref", "AWS::NoValue"))),
		}},
	}})
}

// policy adds a policy to a role: an inline one, as long as fit finds room for it.
func (m *model) policy(role *resource, label, comment, name string, d document) *resource {
	return m.add(&resource{label: label, comment: comment, tf: "aws_iam_role_policy", cfn: "AWS::IAM::RolePolicy", of: role, attrs: []attr{
		{tf: "name", cfn: "PolicyName", value: name},
		{tf: "role", cfn: "RoleName", value: ref{role, "name", ""}},
		{tf: "policy", cfn: "PolicyDocument", value: d},
	}})
}

// logGroup adds a log group. CloudFormation keeps it: logs outlive a stack.
func (m *model) logGroup(label, comment, name string, days int, kms string) *resource {
	r := &resource{label: label, comment: comment, tf: "aws_cloudwatch_log_group", cfn: "AWS::Logs::LogGroup", attrs: []attr{
		{tf: "name", cfn: "LogGroupName", value: name},
		{tf: "retention_in_days", cfn: "RetentionInDays", value: days},
	}}
	if kms != "" {
		r.attrs = append(r.attrs, attr{tf: "kms_key_id", cfn: "KmsKeyId", value: kms})
	}
	return m.add(r)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
