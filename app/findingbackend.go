package app

import (
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
)

// judgedWebACLs are the web ACLs of a region, with the stages that have them.
func judgedWebACLs(r *estate.Region) []finding.WebACL {
	stages := map[string][]string{}
	for i := range r.APIs {
		a := &r.APIs[i]
		for j := range a.Stages {
			if arn := a.Stages[j].WebACL; arn != "" {
				stages[arn] = append(stages[arn], a.Stages[j].Name+" of "+a.ID)
			}
		}
	}
	out := make([]finding.WebACL, 0, len(r.WebACLs))
	for i := range r.WebACLs {
		w := &r.WebACLs[i]
		acl := finding.WebACL{
			ARN: w.ARN, Stages: stages[w.ARN], DefaultAction: w.DefaultAction, Logs: w.Logs, LogFilter: w.LogFilter, Unseen: judgedParts(w.Unseen),
		}
		for _, rule := range w.Rules {
			acl.Rules = append(acl.Rules, finding.WebACLRule{
				Name: rule.Name, Statement: rule.Statement, Action: rule.Action, Group: rule.Group, Overrides: rule.Overrides, Narrowed: rule.Narrowed,
			})
		}
		out = append(out, acl)
	}
	return out
}

// judgedFunctions are the Lambda functions that the APIs of a region call.
func judgedFunctions(r *estate.Region) []finding.Function {
	calls := map[string][]finding.FunctionCall{}
	for _, c := range r.FunctionCalls() {
		calls[c.Function] = append(calls[c.Function], finding.FunctionCall{API: c.API, Where: c.Where})
	}
	out := make([]finding.Function, 0, len(r.Functions))
	for i := range r.Functions {
		f := &r.Functions[i]
		function := finding.Function{ARN: f.ARN, Missing: f.Missing, Calls: calls[f.ARN], Unseen: judgedParts(f.Unseen)}
		for j := range f.Versions {
			v := &f.Versions[j]
			version := finding.FunctionVersion{Name: v.Name, Called: v.Called, Runtime: v.Runtime, Package: v.Package, Policy: v.Policy}
			if v.URL != nil {
				version.URL = &finding.FunctionURL{URL: v.URL.URL, AuthType: v.URL.AuthType}
				if c := v.URL.CORS; c != nil {
					version.URL.Origins, version.URL.Credentials = c.Origins, c.Credentials
				}
			}
			function.Versions = append(function.Versions, version)
		}
		out = append(out, function)
	}
	return out
}
