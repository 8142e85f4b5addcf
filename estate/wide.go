package estate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// WideAction is an action that a principal's own policies allow on resources that
// nobody named, and so on every one of a kind. Service control policies may still take
// it away.
type WideAction struct {
	// Action is one of those that are asked for, or "*" for a principal that may do
	// everything; the others are left out then.
	Action string `json:"action"`
	// Resource is the pattern of what it is allowed on.
	Resource string `json:"resource"`
	// Policy is the title of the policy that allows it.
	Policy string `json:"policy"`
}

// wideProbe asks for an action on a resource that nobody named. REGION and ACCOUNT
// stand for those of the account, UNNAMED for what has a name that nobody gave.
type wideProbe struct{ action, resource string }

// wideUnnamed is the name of what nobody named. It has the form of an API's id.
const wideUnnamed = "0gatehouse"

// wideProbes are the actions of which it matters to the APIs and their logs that they
// are allowed on everything.
var wideProbes = []wideProbe{
	{"execute-api:Invoke", "arn:PARTITION:execute-api:REGION:ACCOUNT:UNNAMED/UNNAMED/GET/UNNAMED"},
	{"apigateway:PATCH", "arn:PARTITION:apigateway:REGION::/restapis/UNNAMED"},
	{"apigateway:DELETE", "arn:PARTITION:apigateway:REGION::/restapis/UNNAMED"},
	{"logs:GetLogEvents", "arn:PARTITION:logs:REGION:ACCOUNT:log-group:UNNAMED:log-stream:UNNAMED"},
	{"logs:FilterLogEvents", "arn:PARTITION:logs:REGION:ACCOUNT:log-group:UNNAMED:log-stream:"},
	{"logs:DeleteLogGroup", "arn:PARTITION:logs:REGION:ACCOUNT:log-group:UNNAMED:log-stream:"},
	{"logs:PutRetentionPolicy", "arn:PARTITION:logs:REGION:ACCOUNT:log-group:UNNAMED:log-stream:"},
	{"logs:PutSubscriptionFilter", "arn:PARTITION:logs:REGION:ACCOUNT:log-group:UNNAMED:log-stream:"},
}

// everythingProbes are of services that have nothing to do with each other: who may do
// all of that may do everything.
var everythingProbes = []wideProbe{
	{"iam:CreateUser", "arn:PARTITION:iam::ACCOUNT:user/UNNAMED"},
	{"s3:DeleteBucket", "arn:PARTITION:s3:::UNNAMED"},
	{"lambda:DeleteFunction", "arn:PARTITION:lambda:REGION:ACCOUNT:function:UNNAMED"},
	{"apigateway:DELETE", "arn:PARTITION:apigateway:REGION::/restapis/UNNAMED"},
}

// wideActions are what the principal's own policies allow on everything. Regions are
// told apart only as far as the policies do.
func wideActions(p *Principal, account, region string) []WideAction {
	who, err := iam.ParsePrincipal(p.ARN)
	if err != nil || strings.Contains(p.ARN, ":role/aws-service-role/") {
		return nil
	}
	policies := p.Policies()
	regions := p.regions(region)
	if all, by := allowedSomewhere(&policies, p, who, account, regions[:1], everythingProbes...); all != "" {
		return []WideAction{{Action: "*", Resource: "*", Policy: by}}
	}
	var out []WideAction
	for _, probe := range wideProbes {
		if resource, by := allowedSomewhere(&policies, p, who, account, regions, probe); resource != "" {
			out = append(out, WideAction{Action: probe.action, Resource: resource, Policy: by})
		}
	}
	return out
}

// allowedSomewhere returns the pattern of what all probes are allowed on in one of the
// regions, and the policy that allows the first; empty: nowhere.
func allowedSomewhere(policies *iam.Policies, p *Principal, who iam.Principal, account string, regions []string, probes ...wideProbe) (resource, by string) {
	var result iam.Result
	for _, region := range regions {
		allowed := 0
		for _, probe := range probes {
			context := iam.Context{
				"aws:SecureTransport": {"true"}, "aws:MultiFactorAuthPresent": {"true"}, "aws:SourceIp": {"198.51.100.1"}, "aws:RequestedRegion": {region},
			}
			for key, value := range p.Tags {
				context["aws:PrincipalTag/"+key] = []string{value}
			}
			arn := func(unnamed string) string {
				partition := cmp.Or(who.Partition, "aws")
				return strings.NewReplacer("PARTITION", partition, "REGION", region, "ACCOUNT", account, "UNNAMED", unnamed).Replace(probe.resource)
			}
			q, err := iam.Request{Principal: who, Action: probe.action, Resource: arn(wideUnnamed), ResourceAccount: account, Context: context}.Prepare()
			if err != nil {
				break // two tags whose keys differ in case alone: what they allow is not known
			}
			if policies.Evaluate(q, &result); result.Decision != iam.Allowed {
				break
			}
			if allowed++; allowed == 1 {
				resource, by = arn("*"), ""
				if len(result.Reasons) > 0 {
					by = result.Reasons[0].Policy
				}
			}
		}
		if allowed == len(probes) {
			return resource, by
		}
	}
	return "", ""
}

// regions are one region of the account, and those that the principal's policies name.
func (p *Principal) regions(first string) []string {
	out := []string{first}
	add := func(region string) {
		if region != "" && !strings.ContainsAny(region, "*?$") && !slices.Contains(out, region) {
			out = append(out, region)
		}
	}
	for i := range p.Identity {
		for _, s := range p.Identity[i].Document.Statements {
			for _, arn := range s.Resource {
				if part := strings.SplitN(arn, ":", 6); len(part) == 6 {
					add(part[3])
				}
			}
			for _, c := range s.Condition {
				if strings.EqualFold(c.Key, "aws:RequestedRegion") {
					for _, v := range c.Values {
						add(v)
					}
				}
			}
		}
	}
	return out
}
