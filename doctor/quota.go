package doctor

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-project/gatehouse/account"
)

// quotas compares the rates of the settings with what AWS documents, in every region
// that is read.
func (r *run) quotas(targets []account.Target) {
	configured := r.o.Accounts.Quota
	if len(configured) == 0 {
		r.add(Result{Status: OK, Check: checkQuota, What: "the rates that AWS documents are kept, less a margin for other programs"})
		return
	}
	var regions []string
	for i := range targets {
		regions = append(regions, targets[i].Regions...)
	}
	slices.Sort(regions)
	regions = slices.Compact(regions)
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		over := 0.0
		var where []string
		for _, region := range regions {
			if documented, ok := account.Quota(name, region); ok && configured[name] > documented {
				over, where = documented, append(where, region)
			}
		}
		if len(where) == 0 {
			r.add(Result{Status: OK, Check: checkQuota, Subject: name, What: fmt.Sprintf("%.3g calls a second are within what AWS documents", configured[name])})
			continue
		}
		r.add(Result{
			Status: Warn, Check: checkQuota, Subject: name,
			What: fmt.Sprintf("%.3g calls a second are set, and AWS documents %.3g in %s", configured[name], over, some(where)),
			Mend: "unless AWS raised the quota of the account, lower quota " + name + ": calls above it are throttled, and those of other programs with them",
		})
	}
}
