package eks

import (
	"context"

	"github.com/gatehouse-project/gatehouse/access"
)

var _ access.Connector = (*RBAC)(nil)

// Onboard is Connect for those who know clusters and APIs alike.
func (p *RBAC) Onboard(ctx context.Context, i *access.Integration, apply bool) (*access.Connection, error) {
	mode := PlanOnly
	if apply {
		mode = Apply
	}
	plan, err := p.Connect(ctx, i, mode)
	if err != nil {
		return nil, err
	}
	target := "the ConfigMap aws-auth of " + plan.Cluster
	if plan.Mapping == mappingEntry {
		target = "the access entries of " + plan.Cluster
	}
	detail := map[string]string{"mapping": plan.Mapping, "role": plan.Role, "username_template": plan.Template}
	if text := p.others(ctx, i); text != "" {
		detail["other_installations"] = text
	}
	return &access.Connection{
		Integration: plan.Integration, Target: target, Steps: plan.Steps, Before: plan.Before, After: plan.After, Done: plan.Done,
		Detail: detail,
	}, nil
}

// others tells of other installations that lend in the cluster under the same name. What
// cannot be seen here the check says.
func (p *RBAC) others(ctx context.Context, i *access.Integration) string {
	c, err := p.connect(i)
	if err != nil {
		return ""
	}
	k, err := c.api(ctx)
	if err != nil {
		return ""
	}
	found, err := c.otherBindings(ctx, k)
	if err != nil {
		return ""
	}
	text, mend := found.text("bindings", i.Name, bindingsOfOthers)
	if text == "" {
		return ""
	}
	return text + "; " + mend
}
