package awssim

import "slices"

type childInput struct {
	ChildID    string `json:"ChildId"`
	NextToken  string
	MaxResults *int
}

type targetInput struct {
	TargetID   string `json:"TargetId"`
	Filter     string
	NextToken  string
	MaxResults *int
}

type policyInput struct {
	PolicyID string `json:"PolicyId"`
}

// managed returns the organization if the caller is its management account, which
// alone may read its tree and its policies (there are no delegated administrators
// here).
func (x *exchange) managed() (*Organization, error) {
	org := x.sim.organizationOf(x.account.id)
	if org == nil {
		return nil, notInUse()
	}
	if org.management != x.account.id {
		return nil, &Error{Code: "AccessDeniedException", Message: "You don't have permissions to access this resource."}
	}
	return org, nil
}

func listParents(x *exchange) error {
	org, err := x.managed()
	if err != nil {
		return err
	}
	org.mu.RLock()
	defer org.mu.RUnlock()
	u := org.units[input[childInput](x).ChildID]
	if u == nil || u.parent == "" {
		return &Error{Code: "ChildNotFoundException", Message: "You specified an account or OU that doesn't exist in this organization."}
	}
	type parent struct {
		ID   string `json:"Id"`
		Type string
	}
	kind := "ORGANIZATIONAL_UNIT"
	if u.parent == org.root {
		kind = "ROOT"
	}
	return x.answerJSON(map[string]any{"Parents": []parent{{u.parent, kind}}})
}

// policySummary is a policy of an organization without its text.
type policySummary struct {
	ID          string `json:"Id"`
	Arn         string
	Name        string
	Description string
	Type        string
	AwsManaged  bool
}

func (o *Organization) summary(p *scp) policySummary {
	arn := "arn:" + o.sim.partition + ":organizations::" + o.management + ":policy/" + o.id + "/service_control_policy/" + p.id
	if p.id == fullAccess {
		arn = "arn:" + o.sim.partition + ":organizations::aws:policy/service_control_policy/" + p.id
	}
	return policySummary{ID: p.id, Arn: arn, Name: p.name, Type: "SERVICE_CONTROL_POLICY", AwsManaged: p.id == fullAccess}
}

func listPoliciesForTarget(x *exchange) error {
	in := input[targetInput](x)
	org, err := x.managed()
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY", "TAG_POLICY", "BACKUP_POLICY"}, in.Filter) {
		return &Error{Code: "InvalidInputException", Message: "You specified an invalid value: Filter."}
	}
	org.mu.RLock()
	u := org.units[in.TargetID]
	list := []policySummary{}
	if u != nil && in.Filter == "SERVICE_CONTROL_POLICY" {
		for _, id := range u.policies {
			list = append(list, org.summary(org.scps[id]))
		}
	}
	org.mu.RUnlock()
	if u == nil {
		return &Error{Code: "TargetNotFoundException", Message: "You specified a target that doesn't exist."}
	}
	limit := 20
	if in.MaxResults != nil {
		if *in.MaxResults < 1 || *in.MaxResults > 20 {
			return &Error{Code: "InvalidInputException", Message: "You specified an invalid value: MaxResults must be between 1 and 20."}
		}
		limit = *in.MaxResults
	}
	part, next, ok := page("ListPoliciesForTarget/"+in.TargetID, in.NextToken, limit, list)
	if !ok {
		return &Error{Code: "InvalidInputException", Message: "You specified an invalid value: NextToken."}
	}
	return x.answerJSON(struct {
		Policies  []policySummary
		NextToken string `json:",omitempty"`
	}{part, next})
}

func describePolicy(x *exchange) error {
	org, err := x.managed()
	if err != nil {
		return err
	}
	org.mu.RLock()
	defer org.mu.RUnlock()
	p := org.scps[input[policyInput](x).PolicyID]
	if p == nil {
		return &Error{Code: "PolicyNotFoundException", Message: "You specified a policy that doesn't exist."}
	}
	return x.answerJSON(map[string]any{"Policy": map[string]any{"PolicySummary": org.summary(p), "Content": p.text}})
}
