package deploy

import (
	"go.yaml.in/yaml/v3"
)

// cloudFormation writes the template of a stack.
func (m *model) cloudFormation(s *Stack) ([]byte, error) {
	root := mapping()
	put(root, "AWSTemplateFormatVersion", "", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "2010-09-09", Style: yaml.DoubleQuotedStyle})
	put(root, "Description", "", scalar("Gatehouse "+s.Name+": "+s.Summary))
	if m.boundary {
		put(root, "Parameters", "", mapping(scalar("PermissionsBoundary"), mapping(
			scalar("Type"), scalar("String"),
			scalar("Default"), scalar(""),
			scalar("Description"), scalar("ARN of the permissions boundary of every role of this stack; empty for none."),
		)))
		put(root, "Conditions", "", mapping(scalar("HasPermissionsBoundary"),
			tagged("!Not", seq(tagged("!Equals", seq(taggedText("!Ref", "PermissionsBoundary"), scalar("")))))))
	}
	if m.account != anyAccount {
		put(root, "Rules", "The names in this template are those of one account and region; it refuses to be deployed elsewhere.", m.rules())
	}
	resources := mapping()
	for _, r := range m.resources {
		if r.cfn == "" {
			continue
		}
		body := mapping(scalar("Type"), scalar(r.cfn))
		if r.retain {
			body.Content = append(body.Content, scalar("DeletionPolicy"), scalar("Retain"), scalar("UpdateReplacePolicy"), scalar("Retain"))
		}
		depends := seq()
		for _, d := range r.dependsOn {
			if d.cfn != "" {
				depends.Content = append(depends.Content, scalar(d.id()))
			}
		}
		if len(depends.Content) > 0 {
			body.Content = append(body.Content, scalar("DependsOn"), depends)
		}
		if properties := node(object(r.attrs)); len(properties.Content) > 0 {
			body.Content = append(body.Content, scalar("Properties"), properties)
		}
		put(resources, r.id(), r.comment, body)
	}
	if m.account == anyAccount {
		anyAccountNodes(resources)
	}
	put(root, "Resources", "", resources)
	outputs := mapping()
	for _, o := range m.outputs {
		put(outputs, (&resource{label: o.name}).id(), "", mapping(
			scalar("Description"), scalar(o.description), scalar("Value"), node(o.value)))
	}
	if len(outputs.Content) > 0 {
		put(root, "Outputs", "", outputs)
	}
	return encodeYAML(root)
}

// rules are what CloudFormation checks before it makes anything.
func (m *model) rules() *yaml.Node {
	equal := func(parameter, value, says string) *yaml.Node {
		return mapping(
			scalar("Assert"), tagged("!Equals", seq(taggedText("!Ref", parameter), scalar(value))),
			scalar("AssertDescription"), scalar(says))
	}
	asserts := seq(equal("AWS::AccountId", m.account, "this template is for the account "+m.account))
	if m.region != "" {
		asserts.Content = append(asserts.Content, equal("AWS::Region", m.region, "this template is for the region "+m.region))
	}
	return mapping(scalar("RightPlace"), mapping(scalar("Assertions"), asserts))
}
