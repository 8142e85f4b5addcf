package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
)

// sharedTable makes the table of what belongs to a region and to no single API.
func sharedTable(kind string, s *estate.Snapshot) (header []string, rows [][]string) {
	switch kind {
	case "domains":
		header = []string{"ACCOUNT", "REGION", "TLS", "MUTUAL TLS", "ENDPOINT", "MAPPINGS", "DOMAIN"}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.Domains {
				d := &r.Domains[i]
				rows = append(rows, []string{
					a.ID, r.Name, orDash(d.TLSPolicy), onOff(d.MutualTLS != nil), orDash(strings.Join(d.EndpointTypes, ",")), mappingsText(d), d.Name,
				})
			}
		})
	case "usage-plans":
		header = []string{"ACCOUNT", "REGION", "ID", "STAGES", "KEYS", "RATE", "BURST", "QUOTA", "NAME"}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.UsagePlans {
				p := &r.UsagePlans[i]
				rate, burst, quota, keys := "-", "-", "-", strconv.Itoa(len(p.Keys))
				if p.Throttle != nil {
					rate, burst = strconv.FormatFloat(p.Throttle.Rate, 'f', -1, 64), strconv.Itoa(int(p.Throttle.Burst))
				}
				if p.Quota != nil {
					quota = fmt.Sprintf("%d a %s", p.Quota.Limit, strings.ToLower(p.Quota.Period))
				}
				if len(p.Unseen) > 0 {
					keys = notSeen
				}
				rows = append(rows, []string{a.ID, r.Name, p.ID, strconv.Itoa(len(p.Stages)), keys, rate, burst, quota, orDash(p.Name)})
			}
		})
	case "web-acls":
		header = []string{"ACCOUNT", "REGION", "DEFAULT", "RULES", "BLOCK", "COUNT", "LOGS", "WEB ACL"}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.WebACLs {
				rows = append(rows, append([]string{a.ID, r.Name}, webACLCells(&r.WebACLs[i])...))
			}
		})
	case "functions":
		header = []string{"ACCOUNT", "REGION", "VERSION", "CALLED", "RUNTIME", "POLICY", "URL", "FUNCTION"}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.Functions {
				rows = append(rows, functionRows(a, r, &r.Functions[i])...)
			}
		})
	case "clusters":
		header = []string{"ACCOUNT", "REGION", "VERSION", "AUTHENTICATION", "PUBLIC", "PRIVATE", "ENTRIES", "CLUSTER"}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.Clusters {
				rows = append(rows, append([]string{a.ID, r.Name}, clusterCells(&r.Clusters[i])...))
			}
		})
	}
	return header, rows
}

// notSeen stands where something could not be read, which is not the same as none.
const notSeen = "not seen"

func mappingsText(d *estate.Domain) string {
	if len(d.Unseen) > 0 {
		return notSeen
	}
	return strconv.Itoa(len(d.Mappings))
}

func clusterCells(c *estate.Cluster) []string {
	if !c.Seen(estate.PartCluster) {
		return []string{notSeen, notSeen, notSeen, notSeen, notSeen, c.Name}
	}
	public := yesNo(c.PublicEndpoint)
	if c.PublicEndpoint && len(c.PublicCIDRs) > 0 {
		public = strings.Join(c.PublicCIDRs, ",")
	}
	entries := strconv.Itoa(len(c.AccessEntries))
	if !c.Seen(estate.PartAccessEntries) {
		entries = notSeen
	}
	return []string{orDash(c.Version), orDash(c.AuthenticationMode), public, yesNo(c.PrivateEndpoint), entries, c.Name}
}

// webACLCells are the cells of a web ACL. Of a group of rules that is not overridden to
// count, the rules block or count for themselves.
func webACLCells(w *estate.WebACL) []string {
	name := cmp.Or(w.Name, w.ARN)
	logs := onOff(len(w.Logs) > 0)
	if !w.Seen(estate.PartWebACLLogging) {
		logs = notSeen
	}
	if !w.Seen(estate.PartWebACL) {
		return []string{notSeen, notSeen, notSeen, notSeen, logs, name}
	}
	block, count := 0, 0
	for i := range w.Rules {
		switch w.Rules[i].Action {
		case "COUNT":
			count++
		case "ALLOW":
		default:
			block++
		}
	}
	return []string{orDash(w.DefaultAction), strconv.Itoa(len(w.Rules)), strconv.Itoa(block), strconv.Itoa(count), logs, name}
}

// functionRows are a row for each version of a function.
func functionRows(a *estate.Account, r *estate.Region, f *estate.Function) [][]string {
	seen := func(p estate.Part, text string) string {
		if !f.Seen(p) {
			return notSeen
		}
		return text
	}
	rows := make([][]string, 0, len(f.Versions))
	for i := range f.Versions {
		v := &f.Versions[i]
		runtime, url, policy := cmp.Or(v.Runtime, v.Package), "-", "-"
		if f.Missing {
			runtime = "missing"
		}
		if v.Called {
			runtime = seen(estate.PartFunctionConfiguration, runtime)
		}
		if v.URL != nil {
			url = v.URL.AuthType
		}
		if v.Policy != "" {
			policy = yesNo(true)
		}
		rows = append(rows, []string{
			a.ID, r.Name, v.Name, yesNo(v.Called), orDash(runtime), seen(estate.PartFunctionPolicy, policy), seen(estate.PartFunctionURLs, url), f.ARN,
		})
	}
	return rows
}

// placed lists what regions have, each with its place; it is never null. How the two are
// one entry is the caller's to say, since a type parameter cannot be embedded.
func placed[T any](s *estate.Snapshot, of func(*estate.Region) []T, entry func(estatePlace, T) any) []any {
	list := []any{}
	eachRegion(s, func(a *estate.Account, r *estate.Region) {
		for _, x := range of(r) {
			list = append(list, entry(estatePlace{a.ID, r.Name}, x))
		}
	})
	return list
}

// sharedList makes the flat list for JSON; it is never null.
func sharedList(kind string, s *estate.Snapshot) any {
	switch kind {
	case "domains":
		return placed(s, func(r *estate.Region) []estate.Domain { return r.Domains }, func(p estatePlace, x estate.Domain) any {
			return struct {
				estatePlace
				estate.Domain
			}{p, x}
		})
	case "usage-plans":
		return placed(s, func(r *estate.Region) []estate.UsagePlan { return r.UsagePlans }, func(p estatePlace, x estate.UsagePlan) any {
			return struct {
				estatePlace
				estate.UsagePlan
			}{p, x}
		})
	case "web-acls":
		return placed(s, func(r *estate.Region) []estate.WebACL { return r.WebACLs }, func(p estatePlace, x estate.WebACL) any {
			return struct {
				estatePlace
				estate.WebACL
			}{p, x}
		})
	case "functions":
		return placed(s, func(r *estate.Region) []estate.Function { return r.Functions }, func(p estatePlace, x estate.Function) any {
			return struct {
				estatePlace
				estate.Function
			}{p, x}
		})
	default:
		return placed(s, func(r *estate.Region) []estate.Cluster { return r.Clusters }, func(p estatePlace, x estate.Cluster) any {
			return struct {
				estatePlace
				estate.Cluster
			}{p, x}
		})
	}
}
