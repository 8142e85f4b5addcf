package cli

import (
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

// sharedList makes the flat list for JSON; it is never null.
func sharedList(kind string, s *estate.Snapshot) any {
	switch kind {
	case "domains":
		type entry struct {
			estatePlace
			estate.Domain
		}
		list := []entry{}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.Domains {
				list = append(list, entry{estatePlace{a.ID, r.Name}, r.Domains[i]})
			}
		})
		return list
	case "usage-plans":
		type entry struct {
			estatePlace
			estate.UsagePlan
		}
		list := []entry{}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.UsagePlans {
				list = append(list, entry{estatePlace{a.ID, r.Name}, r.UsagePlans[i]})
			}
		})
		return list
	default:
		type entry struct {
			estatePlace
			estate.Cluster
		}
		list := []entry{}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.Clusters {
				list = append(list, entry{estatePlace{a.ID, r.Name}, r.Clusters[i]})
			}
		})
		return list
	}
}
