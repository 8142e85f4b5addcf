package app

import (
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// readBehind is how far the reading of a log group may be behind and still know of all
// of its calls.
const readBehind = time.Hour

// seenTraffic is what this process knows of traffic at one time.
type seenTraffic struct {
	read  map[[3]string]time.Time // by account, region and log group
	calls map[inventory.APIKey]inventory.LastCalls
}

var _ finding.Traffic = (*seenTraffic)(nil)

// seenTraffic tells what is known of traffic; nil where this process keeps no
// inventory, or reads no logs: nothing is known then.
func (p *product) seenTraffic() *seenTraffic {
	if p.inventory == nil || p.collector == nil {
		return nil
	}
	return newSeenTraffic(p.collector.Health(), p.inventory.LastCalls())
}

func newSeenTraffic(h collect.Health, calls map[inventory.APIKey]inventory.LastCalls) *seenTraffic {
	t := &seenTraffic{read: map[[3]string]time.Time{}, calls: calls}
	if len(h.Filters) > 0 {
		return t // what a filter drops the inventory does not see
	}
	for i := range h.Groups {
		g := &h.Groups[i]
		if g.Error == "" && g.Lag <= readBehind && !g.From.IsZero() {
			t.read[[3]string{g.Group.Account, g.Group.Region, g.Group.Name}] = g.From
		}
	}
	return t
}

// Read returns since when every event of a log group was read; see finding.Traffic.
func (t *seenTraffic) Read(account, region, group string) time.Time {
	return t.read[[3]string{account, region, group}]
}

// Calls returns when the routes of an API were called last; see finding.Traffic.
func (t *seenTraffic) Calls(account, region, api string) (calls []finding.Call, whole bool) {
	seen := t.calls[inventory.APIKey{Account: account, Region: region, ID: api}]
	calls = make([]finding.Call, 0, len(seen.Routes))
	for _, r := range seen.Routes {
		c := finding.Call{Method: r.Method, Route: r.Route, Last: r.Time}
		if seen.Type == transaction.WebSocket || r.Method == "ANY" {
			c.Method = "" // what happened on the connection, or not told by the logs
		}
		calls = append(calls, c)
	}
	return calls, !seen.Partial
}
