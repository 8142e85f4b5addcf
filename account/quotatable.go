package account

import "slices"

// Quota returns the calls a second that AWS documents for an operation
// ("FilterLogEvents"), or for a quota that operations share ("apigateway"), in a
// region. It is false for a name that is not in the table, and where AWS publishes
// no figure.
func Quota(name, region string) (perSecond float64, ok bool) {
	i := slices.IndexFunc(quotas, func(q quota) bool { return q.name == name })
	if i < 0 || quotas[i].assumed {
		return 0, false
	}
	perSecond = quotas[i].perSecond
	if there, ok := quotas[i].regions[region]; ok {
		perSecond = there
	}
	return perSecond, true
}

// Rate returns the calls a second that are made of an operation in a region: what
// the configuration says, or else what AWS documents less a margin for other
// programs. It is 0 for a name that is not in the table.
func (a *Accounts) Rate(name, region string) float64 {
	i := slices.IndexFunc(quotas, func(q quota) bool { return q.name == name })
	if i < 0 {
		return 0
	}
	return quotas[i].rateIn(region, a.cfg.Quota).perSecond
}
