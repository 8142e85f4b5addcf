package app

import (
	"slices"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
)

// judgedAccount is what rules look at of an account beside its regions.
func judgedAccount(a *estate.Account) finding.Account {
	out := finding.Account{ID: a.ID, Name: a.Name, Partition: "aws", Unseen: judgedParts(a.Unseen)}
	if len(a.Regions) > 0 {
		out.Partition = account.PartitionOf(a.Regions[0].Name)
	}
	if !a.PrincipalsRead && !slices.Contains(out.Unseen, finding.PartPrincipals) {
		out.Unseen = append(out.Unseen, finding.PartPrincipals)
	}
	for i := range a.Principals {
		p := &a.Principals[i]
		judged := finding.Principal{ARN: p.ARN, Trust: p.Trust, Partial: p.Partial}
		for _, w := range p.Wide {
			judged.Wide = append(judged.Wide, finding.Wide{Action: w.Action, Resource: w.Resource, By: w.Policy})
		}
		out.Principals = append(out.Principals, judged)
	}
	return out
}

func judgedCluster(c *estate.Cluster) finding.Cluster {
	out := finding.Cluster{
		Name: c.Name, Version: c.Version, Support: c.SupportType, AuthenticationMode: c.AuthenticationMode,
		PublicEndpoint: c.PublicEndpoint, PublicCIDRs: c.PublicCIDRs, PrivateEndpoint: c.PrivateEndpoint,
		Logging: c.Logging, SecretsKey: c.SecretsKey, DeletionProtection: c.DeletionProtection, Unseen: judgedParts(c.Unseen),
	}
	for i := range c.AccessEntries {
		e := &c.AccessEntries[i]
		entry := finding.AccessEntry{Principal: e.Principal, Groups: e.Groups, Tags: e.Tags}
		for _, p := range e.Policies {
			entry.Policies = append(entry.Policies, finding.AccessPolicy{ARN: p.ARN, Scope: p.Scope, Namespaces: p.Namespaces})
		}
		out.AccessEntries = append(out.AccessEntries, entry)
	}
	return out
}
