package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// What stands before and behind APIs reaches the rules with the stages and routes that
// have it, and with what was not read of it.
func TestJudgedBackends(t *testing.T) {
	t.Parallel()
	const function, acl = "arn:aws:lambda:eu-west-1:222222222222:function:pets", "arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/shop/1"
	p := judgedPlace(&estate.Account{ID: "222222222222"}, &estate.Region{
		Name: "eu-west-1",
		APIs: []estate.API{{
			ID: "a", Type: transaction.REST, Stages: []estate.Stage{{Name: "prod", WebACL: acl, DocumentationVersion: "v3"}, {Name: "test"}},
			Routes: []estate.Route{{
				Method: "GET", Path: "/pets", Backend: &estate.Integration{URI: function + ":live"},
				CORSTemplates: []estate.CORSTemplate{{Where: "t", Guards: [][]string{{"x"}}, Opaque: true}},
			}},
		}},
		WebACLs: []estate.WebACL{{
			ARN: acl, DefaultAction: "ALLOW", Logs: []string{"arn:group"}, LogFilter: "DROP", Unseen: []estate.Part{estate.PartWebACLLogging},
			Rules: []estate.WebACLRule{{Name: "r", Statement: "managed_rule_group", Action: "NONE", Group: "AWS/x", Overrides: map[string]string{"y": "COUNT"}, Narrowed: true}},
		}},
		Functions: []estate.Function{{
			ARN: function, Missing: true, Unseen: []estate.Part{estate.PartFunctionURLs},
			Versions: []estate.FunctionVersion{{
				Name: "live", Called: true, Runtime: "python3.13", Package: "Zip", Policy: "{}",
				URL: &estate.FunctionURL{URL: "https://x/", AuthType: "NONE", CORS: &estate.CORS{Origins: []string{"*"}, Credentials: true}},
			}},
		}},
	})
	wantACLs := []finding.WebACL{{
		ARN: acl, Stages: []string{"prod of a"}, DefaultAction: "ALLOW", Logs: []string{"arn:group"}, LogFilter: "DROP", Unseen: []finding.Part{finding.PartWebACLLogging},
		Rules: []finding.WebACLRule{{Name: "r", Statement: "managed_rule_group", Action: "NONE", Group: "AWS/x", Overrides: map[string]string{"y": "COUNT"}, Narrowed: true}},
	}}
	wantFunctions := []finding.Function{{
		ARN: function, Missing: true, Calls: []finding.FunctionCall{{API: "a", Where: "route GET /pets"}}, Unseen: []finding.Part{finding.PartFunctionURLs},
		Versions: []finding.FunctionVersion{{
			Name: "live", Called: true, Runtime: "python3.13", Package: "Zip", Policy: "{}",
			URL: &finding.FunctionURL{URL: "https://x/", AuthType: "NONE", Origins: []string{"*"}, Credentials: true},
		}},
	}}
	if diff := cmp.Diff(wantACLs, p.WebACLs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantFunctions, p.Functions, cmpopts.IgnoreUnexported(finding.Function{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]finding.CORSTemplate{{Where: "t", Guards: [][]string{{"x"}}, Opaque: true}}, p.APIs[0].Routes[0].CORSTemplates); diff != "" || p.APIs[0].Stages[0].Documentation != "v3" {
		t.Error(diff, p.APIs[0].Stages[0])
	}
}
