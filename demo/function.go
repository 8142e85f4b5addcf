package demo

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/gateway"
)

// addBackends adds the functions that an API calls, each with the permission that lets
// the API call it, and the web ACL that one of the stages has.
func (w *World) addBackends(a *gateway.API, stages []awssim.Stage) {
	region := w.Sim.Account(a.Account).Region(a.Region)
	urls := make([]string, 0, len(a.Routes)+len(a.Authorizers))
	for i := range a.Routes {
		urls = append(urls, a.Routes[i].Integration.URI)
	}
	for _, z := range a.Authorizers {
		urls = append(urls, z.URL)
	}
	for _, url := range urls {
		_, name, ok := strings.Cut(functionURI(a, url), ":function:")
		if !ok {
			continue
		}
		name = strings.TrimSuffix(name, "/invocations")
		arn := region.AddFunction(name, awssim.Object{"Runtime": "python3.13", "PackageType": "Zip"})
		region.SetFunctionPolicy(name, `{"Statement":[{"Sid":"`+a.Name+`","Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},`+
			`"Action":"lambda:InvokeFunction","Resource":"`+arn+`","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:execute-api:`+a.Region+`:`+a.Account+`:`+a.ID+`/*"}}}]}`)
	}
	switch a.ID {
	case customersID:
		// The forgotten API's function has an address of its own, which somebody opened to
		// try it out, and a runtime that gets no fixes any more.
		arn := region.AddFunction("customers-v1", awssim.Object{"Runtime": "python3.8", "PackageType": "Zip"})
		region.SetFunctionPolicy("customers-v1", `{"Statement":[{"Sid":"FunctionURLAllowPublicAccess","Effect":"Allow","Principal":"*",`+
			`"Action":"lambda:InvokeFunctionUrl","Resource":"`+arn+`","Condition":{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}},`+
			`{"Sid":"api","Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"`+arn+`"}]}`)
		region.AddFunctionURL("customers-v1", "", "NONE", nil)
	case paymentsID:
		// The payments' web ACL was never taken out of count mode.
		acl := region.AddWebACL(awssim.Object{"Name": "payments", "Rules": []awssim.Object{{
			"Name": "common", "Priority": 0, "OverrideAction": awssim.Object{"Count": awssim.Object{}},
			"Statement": awssim.Object{"ManagedRuleGroupStatement": awssim.Object{"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}},
		}}})
		for i := range stages {
			if stages[i].Name == "prod" {
				stages[i].WebACL = acl
			}
		}
	}
}
