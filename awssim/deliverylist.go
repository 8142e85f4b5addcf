package awssim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Deliveries returns the deliveries of stages' logs as they are now, by API, stage and
// destination. Those of other resources are not among them.
func (l *Logs) Deliveries() []Delivery {
	b := &l.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	targets := map[string]string{}
	for d := range maps.Values(b.destinations) {
		targets[d.Arn] = d.Configuration.DestinationResourceArn
	}
	var out []Delivery
	for d := range maps.Values(b.deliveries) {
		source := b.sources[d.SourceName]
		if source == nil {
			continue
		}
		for _, resource := range source.ResourceArns {
			_, path, ok := strings.Cut(resource, "::/restapis/")
			api, stage, named := strings.Cut(path, "/stages/")
			if !ok || !named {
				continue
			}
			one := Delivery{API: api, Stage: stage, LogType: source.LogType, Destination: targets[d.DestinationArn]}
			if _, group, ok := strings.Cut(one.Destination, ":log-group:"); ok {
				one.Group, one.Destination = strings.TrimSuffix(group, ":*"), ""
			}
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(p, q Delivery) int {
		return cmp.Or(cmp.Compare(p.API, q.API), cmp.Compare(p.Stage, q.Stage), cmp.Compare(p.Group+p.Destination, q.Group+q.Destination))
	})
	return out
}
