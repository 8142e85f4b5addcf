package finding

import (
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// services are the confusable services that the policy names, in order.
func (t *trust) services() []string {
	found := map[string]bool{}
	for i := range t.doc.Statements {
		p := t.doc.Statements[i].Principal
		if p == nil {
			continue
		}
		for _, name := range p.Service {
			if serviceOf(name) != "" {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// serviceOf is the confusable service of a service's name, which may name a region:
// "logs.eu-west-1.amazonaws.com". Empty: it is none of them.
func serviceOf(name string) string {
	for _, s := range confusable {
		rest, ok := strings.CutPrefix(name, s+".")
		if ok && (strings.HasPrefix(rest, "amazonaws.") || strings.Contains(rest, ".amazonaws.") && strings.Count(rest, ".") <= 3) {
			return s
		}
	}
	return ""
}

// letsService asks whether a service gets in for a resource of a stranger's account.
func (t *trust) letsService(who iam.Principal) (bool, string, error) {
	account := t.stranger()
	service := serviceOf(who.ARN)
	arn := "arn:aws:" + strings.TrimPrefix(service, "delivery.") + ":eu-west-1:" + account + ":stranger"
	if service == "apigateway" {
		arn = "arn:aws:execute-api:eu-west-1:" + account + ":str4nger01/prod/GET/stranger"
	}
	return t.lets(who, assumeRole, iam.Context{
		"aws:sourceaccount": {account}, "aws:sourcearn": {arn}, "aws:sourceorgid": {"o-strangers0"},
		"aws:principalisawsservice": {"true"}, "aws:principalservicename": {who.ARN},
	})
}
