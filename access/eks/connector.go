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
	return &access.Connection{
		Integration: plan.Integration, Target: target, Steps: plan.Steps, Before: plan.Before, After: plan.After, Done: plan.Done,
		Detail: map[string]string{"mapping": plan.Mapping, "role": plan.Role, "username_template": plan.Template},
	}, nil
}
