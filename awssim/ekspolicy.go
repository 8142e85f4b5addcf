package awssim

import (
	"maps"
	"slices"
	"strings"
)

// accessPolicies are the names of the access policies that people can be given.
// Those that AWS keeps for its own roles are not among them.
var accessPolicies = []string{
	"AmazonAIOpsAssistantPolicy", "AmazonARCRegionSwitchScalingPolicy", "AmazonEKSACKPolicy", "AmazonEKSAdminPolicy",
	"AmazonEKSAdminViewPolicy", "AmazonEKSArgoCDClusterPolicy", "AmazonEKSArgoCDPolicy", "AmazonEKSAutoNodePolicy",
	"AmazonEKSClusterAdminPolicy", "AmazonEKSEditPolicy", "AmazonEKSKROPolicy", "AmazonEKSSecretReaderPolicy", "AmazonEKSViewPolicy",
	"AmazonEMRJobPolicy", "AmazonSagemakerHyperpodClusterPolicy", "AmazonSagemakerHyperpodControllerPolicy",
}

func (x *exchange) accessPolicyPrefix() string {
	return "arn:" + x.sim.partition + ":eks::aws:cluster-access-policy/"
}

func listAccessPolicies(x *exchange) error {
	all := make([]item, 0, len(accessPolicies))
	for _, name := range accessPolicies {
		all = append(all, item{"name": name, "arn": x.accessPolicyPrefix() + name})
	}
	return answerEKS(x, "accessPolicies", all)
}

func associationOf(policies []Object, arn string) int {
	return slices.IndexFunc(policies, func(p Object) bool { return p["policyArn"] == arn })
}

func listAssociatedPolicies(x *exchange) error {
	e, err := x.theEntry()
	if err != nil {
		return err
	}
	return answerEKS(x, "associatedAccessPolicies", e.policies)
}

type associationInput struct {
	PolicyArn   string `json:"policyArn"`
	AccessScope struct {
		Type       string   `json:"type"`
		Namespaces []string `json:"namespaces"`
	} `json:"accessScope"`
}

func aboutAssociation(x *exchange) error {
	if err := aboutEntry(x); err != nil {
		return err
	}
	in, err := eksInput[associationInput](x)
	if err != nil {
		return err
	}
	x.condition("eks:policyArn", in.PolicyArn)
	x.condition("eks:accessScope", in.AccessScope.Type)
	x.condition("eks:namespaces", in.AccessScope.Namespaces...)
	return nil
}

func aboutEndOfAssociation(x *exchange) error {
	if err := aboutEntry(x); err != nil {
		return err
	}
	x.condition("eks:policyArn", x.args["policy"])
	return nil
}

// check refuses what is no access policy or no scope. The texts are assumptions, the
// codes are those that the operation documents.
func (in *associationInput) check(prefix string) error {
	name, found := strings.CutPrefix(in.PolicyArn, prefix)
	if !found {
		return invalid("The policyArn parameter format is not valid")
	}
	if !slices.Contains(accessPolicies, name) {
		return eksNotFound("The specified policyArn could not be found. You can view your available access policies with 'list-access-policies'.")
	}
	scope := &in.AccessScope
	switch {
	case scope.Type != "cluster" && scope.Type != "namespace":
		return invalid("The accessScope type must be one of [cluster, namespace]")
	case scope.Type == "cluster" && len(scope.Namespaces) > 0:
		return invalid("The accessScope of type cluster cannot have namespaces")
	case scope.Type == "namespace" && (len(scope.Namespaces) == 0 || slices.Contains(scope.Namespaces, "")):
		return invalid("The accessScope of type namespace must have namespaces")
	}
	return nil
}

// associateAccessPolicy gives an entry a policy. An entry has a policy at most once,
// so that the scope of one that it has already is replaced.
func associateAccessPolicy(x *exchange) error {
	in := input[associationInput](x)
	if err := in.check(x.accessPolicyPrefix()); err != nil {
		return err
	}
	now := float64(x.sim.clock().UnixMilli()) / 1000
	scope := Object{"type": in.AccessScope.Type, "namespaces": append([]string{}, in.AccessScope.Namespaces...)}
	association := Object{"policyArn": in.PolicyArn, "accessScope": scope, "associatedAt": now, "modifiedAt": now}
	err := x.changeEntry(func(e *accessEntry) (*accessEntry, error) {
		if e.fields["type"] != nil && e.fields["type"] != "STANDARD" {
			return nil, &Error{Code: "InvalidRequestException", Message: "An access policy cannot be associated with an access entry of this type."}
		}
		i := associationOf(e.policies, in.PolicyArn)
		if i < 0 {
			e.policies = append(e.policies, association)
			return e, nil
		}
		changed := maps.Clone(association)
		if since, ok := e.policies[i]["associatedAt"]; ok {
			changed["associatedAt"] = since
		}
		e.policies[i], association = changed, changed
		return e, nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{"clusterName": x.args["cluster"], "principalArn": x.args["entry"], "associatedAccessPolicy": association})
}

func disassociateAccessPolicy(x *exchange) error {
	err := x.changeEntry(func(e *accessEntry) (*accessEntry, error) {
		i := associationOf(e.policies, x.args["policy"])
		if i < 0 {
			return nil, eksNotFound("The specified policyArn is not associated with the specified principalArn.")
		}
		e.policies = slices.Delete(e.policies, i, i+1)
		return e, nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{})
}
