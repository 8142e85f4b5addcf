package finding

import (
	"cmp"
	"slices"
)

// ordered is the estate with its lists in a fixed order, so that what rules say, and
// in which words, depends on what exists and not on the order in which AWS listed it.
func (e *Estate) ordered() *Estate {
	out := *e
	out.Unread = sorted(e.Unread, func(u *Unread) string { return u.Account + "\x00" + u.Region })
	out.Places = sorted(e.Places, func(p *Place) string { return p.Account + "\x00" + p.Region })
	out.Accounts = sorted(e.Accounts, func(a *Account) string { return a.ID })
	for i := range out.Accounts {
		a := &out.Accounts[i]
		a.Principals = sorted(a.Principals, func(p *Principal) string { return p.ARN })
	}
	for i := range out.Places {
		p := &out.Places[i]
		p.APIs = sorted(p.APIs, func(a *API) string { return a.ID })
		p.Domains = sorted(p.Domains, func(d *Domain) string { return d.Name })
		p.LogGroups = sorted(p.LogGroups, func(g *LogGroup) string { return g.Name })
		p.UsagePlans = sorted(p.UsagePlans, func(u *UsagePlan) string { return u.ID })
		p.Certificates = sorted(p.Certificates, func(c *Certificate) string { return c.ID })
		p.Clusters = sorted(p.Clusters, func(c *Cluster) string { return c.Name })
		p.LogPolicies = sorted(p.LogPolicies, func(l *LogPolicy) string { return l.Name + "\x00" + l.Document })
		p.WebACLs = sorted(p.WebACLs, func(w *WebACL) string { return w.ARN })
		p.Functions = sorted(p.Functions, func(x *Function) string { return x.ARN })
		for j := range p.APIs {
			a := &p.APIs[j]
			a.Stages = sorted(a.Stages, func(s *Stage) string { return s.Name })
			a.Routes = sorted(a.Routes, func(r *Route) string { return r.Path + "\x00" + r.Method })
			a.Authorizers = sorted(a.Authorizers, func(x *Authorizer) string { return x.ID })
			a.Deployments = sorted(a.Deployments, func(d *Deployment) string { return d.ID })
		}
	}
	return &out
}

// sorted is a copy in the order of a key.
func sorted[T any](list []T, key func(*T) string) []T {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b T) int { return cmp.Compare(key(&a), key(&b)) })
	return out
}
