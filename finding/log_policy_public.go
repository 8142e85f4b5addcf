package finding

import (
	"github.com/gatehouse-project/gatehouse/iam"
)

var logPolicyPublic = Rule{
	ID: "log-policy-public", Title: "A resource policy opens the account's logs to everybody", Severity: High, Area: Logging, Of: OfRegion,
	Looks: "The resource policies of CloudWatch Logs, asked whether a stranger of another account may read, write or delete.",
	Why:   "Who may write can forge records and run up costs, and who may read or delete takes the evidence away.",
	Mend: Mend{
		CLI:       "aws logs put-resource-policy --region {region} --policy-name POLICY --policy-document file://policy.json   # name the services and accounts that need it",
		Terraform: "resource \"aws_cloudwatch_log_resource_policy\" \"this\" {\n  policy_name     = \"POLICY\"\n  policy_document = data.aws_iam_policy_document.logs.json # with named principals\n}",
	},
	Peers: Peers{Prowler: []string{"cloudwatch_log_group_not_publicly_accessible"}},
	needs: []Part{PartLogPolicies},
	check: func(s *scene) Outcome {
		if len(s.place.LogPolicies) == 0 {
			return skipped("there is no resource policy")
		}
		var open []Evidence
		for i := range s.place.LogPolicies {
			p := &s.place.LogPolicies[i]
			action, err := openLogAction(s.place, p)
			if err != nil {
				return unseen("the policy " + p.Name + " cannot be understood: " + err.Error())
			}
			if action != "" {
				open = append(open, fact("policy "+p.Name, "lets a stranger do "+action))
			}
		}
		return failed(open...)
	},
}

// openLogAction is an action that a stranger of another account may do, or "".
func openLogAction(place *Place, p *LogPolicy) (string, error) {
	doc, err := iam.Parse(iam.KindResource, []byte(p.Document))
	if err != nil {
		return "", err
	}
	policy, err := doc.Compile()
	if err != nil {
		return "", err
	}
	partition := place.Partition
	if partition == "" {
		partition = "aws"
	}
	who, err := iam.ParsePrincipal("arn:" + partition + ":iam::" + strangerAccounts[0] + ":role/stranger")
	if err != nil {
		return "", err
	}
	policies := iam.Policies{Identity: []iam.Attached{{Name: "the stranger's own", Policy: everything}}, Resource: iam.Attached{Name: p.Name, Policy: policy}}
	for _, resource := range logTargets(place, doc) {
		for _, action := range []string{"logs:GetLogEvents", "logs:FilterLogEvents", "logs:DeleteLogGroup", "logs:PutSubscriptionFilter", "logs:PutLogEvents", "logs:CreateLogStream"} {
			q, err := iam.Request{Principal: who, Action: action, Resource: resource, ResourceAccount: place.Account, Context: iam.Context{"aws:PrincipalOrgID": {"o-strangers0"}, "aws:SourceIp": {strangerAddresses[0]}}}.Prepare()
			if err != nil {
				return "", err
			}
			if policies.Decide(q) == iam.Allowed {
				return action, nil
			}
		}
	}
	return "", nil
}

// logTargets are log groups to ask for: those that are known, and those that the
// policy speaks of.
func logTargets(place *Place, doc *iam.Document) []string {
	partition := place.Partition
	if partition == "" {
		partition = "aws"
	}
	stem := "arn:" + partition + ":logs:" + place.Region + ":" + place.Account + ":log-group:"
	out := []string{stem + "any-group:log-stream:any"}
	for i := range place.LogGroups {
		if len(out) < logTargetsAtMost {
			out = append(out, stem+place.LogGroups[i].Name+":log-stream:any")
		}
	}
	for _, s := range doc.Statements {
		for _, r := range s.Resource {
			if len(out) < 2*logTargetsAtMost {
				if concrete := concreteLogARN(r); concrete != "" {
					out = append(out, concrete)
				}
			}
		}
	}
	return out
}

// logTargetsAtMost bounds the log groups that are asked for.
const logTargetsAtMost = 50
