package finding

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

var functionURLOpen = Rule{
	ID: "function-url-open", Title: "An address of the function itself is open to everybody", Severity: High, Area: Exposure, Of: OfFunction,
	Looks: "The function URLs of the Lambda functions that APIs call: how they authenticate, and whether the resource policy lets a stranger use them. A URL without authentication that no policy opens answers nobody.",
	Why:   "A function URL goes round the gateway: what the API asks of its callers, limits and logs, the address asks of nobody.",
	Mend: Mend{
		CLI:       "aws lambda delete-function-url-config --region {region} --function-name {name}   # --qualifier for an alias\n# or, to keep it for callers with credentials:\naws lambda update-function-url-config --region {region} --function-name {name} --auth-type AWS_IAM",
		Terraform: "resource \"aws_lambda_function_url\" \"this\" {\n  function_name      = \"{name}\"\n  authorization_type = \"AWS_IAM\"\n}",
	},
	Peers: Peers{Prowler: []string{"awslambda_function_url_public"}, Checkov: []string{"CKV_AWS_258"}},
	needs: []Part{PartFunctionPolicy, PartFunctionURLs},
	check: func(s *scene) Outcome {
		if !s.function.Missing && !s.function.hasURL() {
			return skipped("the function has no URL")
		}
		return s.judgeVersions(
			func(v *FunctionVersion) ([]invocation, error) {
				if v.URL == nil {
					return nil, nil
				}
				// Best evidence: a URL that was made since October 2025 needs
				// lambda:InvokeFunction too, and one from before does not; AWS does not
				// tell which one it is.
				return s.strangers("lambda:InvokeFunctionUrl", v.URL.AuthType == "NONE", iam.Context{"lambda:FunctionUrlAuthType": {v.URL.AuthType}})
			},
			func(v *FunctionVersion, _ *invocation, by []string) Evidence {
				return fact(v.URL.URL+" of "+v.Name, "authentication "+v.URL.AuthType+", opened by "+strings.Join(by, ", "))
			})
	},
}

// hasURL reports whether the function, or an alias of it, has a URL.
func (f *Function) hasURL() bool {
	for i := range f.Versions {
		if f.Versions[i].URL != nil {
			return true
		}
	}
	return false
}
