package logging

import (
	"context"
	_ "embed" // for prices.json
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed prices.json
var pricesJSON []byte

// priceList is what CloudWatch Logs asks for a GB of logs that it takes.
type priceList struct {
	Source  string             `json:"source"`
	AsOf    string             `json:"as_of"`
	Unknown float64            `json:"unknown"` // for regions that are not listed
	Regions map[string]float64 `json:"usd_per_gb"`
}

var prices = sync.OnceValue(func() (p priceList) {
	if err := json.Unmarshal(pricesJSON, &p); err != nil {
		panic("logging: prices.json: " + err.Error()) // it is part of the program, and tested
	}
	return p
})

// What a call writes, in bytes, when nothing better is known. With data trace a call
// has about twelve lines of at most 1 KB.
const (
	executionBytes = 4000 // INFO with data trace
	skeletonBytes  = 1200 // INFO without it
	accessBytes    = 1200
	deliveryBytes  = 12_000 // whole bodies
	monthSeconds   = 30 * 24 * 3600
)

// Estimate is what the logs that a plan switches on are likely to cost in a month,
// for taking them in.
type Estimate struct {
	// USDMonth is of the stages whose rate of calls is known; Known of Stages are.
	USDMonth float64 `json:"usd_month"`
	GBMonth  float64 `json:"gb_month"`
	Known    int     `json:"known_stages"`
	Stages   int     `json:"stages"`
	// CallsPerSecond is the sum of the known rates.
	CallsPerSecond float64 `json:"calls_per_second"`
	// USDPerMillion is the price of a million calls to the dearest stage of the plan.
	USDPerMillion float64  `json:"usd_per_million_calls"`
	Assumptions   []string `json:"assumptions"`
}

// estimate is of what the plan turns on anew; nil where that is nothing.
func (s *Switch) estimate(ctx context.Context, p *Plan, o *EnableOptions) *Estimate {
	bytes := map[Key]float64{} // a call, by stage
	change := map[Key]*Change{}
	for _, c := range p.Changes {
		more := 0.0
		switch {
		case c.Kind == KindExecution && (c.Part == defaultREST || c.Part == defaultV2):
			level, trace := splitExecution(c.Now)
			if more = skeletonBytes; o.DataTrace {
				more = executionBytes
			}
			if level == "INFO" && !trace {
				more -= skeletonBytes
			}
		case c.Kind == KindAccess && c.Now == "":
			more = accessBytes
		case c.Kind == KindDelivery:
			more = deliveryBytes
		}
		if more > 0 && !same(c.Kind, c.Now, c.Then) {
			k := Key{Account: c.Account, Region: c.Region, Subject: c.Subject}
			bytes[k] += more
			change[k] = c
		}
	}
	if len(bytes) == 0 {
		return nil
	}
	list := prices()
	e := &Estimate{Stages: len(bytes)}
	var unlisted []string
	for k, b := range bytes {
		price, ok := list.Regions[k.Region]
		if !ok {
			price = list.Unknown
			unlisted = append(unlisted, k.Region)
		}
		e.USDPerMillion = max(e.USDPerMillion, b*1e6/1e9*price)
		if s.callRate == nil {
			continue
		}
		rate, ok := s.callRate(ctx, k.Account, k.Region, change[k].API, change[k].Stage)
		if !ok {
			continue
		}
		e.Known++
		e.CallsPerSecond += rate
		gb := rate * monthSeconds * b / 1e9
		e.GBMonth += gb
		e.USDMonth += gb * price
	}
	e.Assumptions = []string{
		fmt.Sprintf("a call writes %d bytes of execution logs (%d without data trace), %d of access logs and %d where 1 MB lines are delivered", executionBytes, skeletonBytes, accessBytes, deliveryBytes),
		fmt.Sprintf("taking in a GB costs what %s says as of %s; storage, which depends on retention, and free tiers are left out", list.Source, list.AsOf),
		"the calls of the last 24 hours that the inventory saw go on as they were",
	}
	if len(unlisted) > 0 {
		slices.Sort(unlisted)
		e.Assumptions = append(e.Assumptions, fmt.Sprintf("no price is known for %s: $%.2f is assumed", strings.Join(slices.Compact(unlisted), ", "), list.Unknown))
	}
	return e
}
