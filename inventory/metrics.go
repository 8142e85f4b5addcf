package inventory

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	endpoints prometheus.Gauge
	observed  [4]prometheus.Counter // by rank of visibility
	probes    prometheus.Counter
	unrouted  prometheus.Counter
	overflow  prometheus.Counter
	merged    prometheus.Counter
}

// newMetrics registers nothing if r is nil.
func newMetrics(r prometheus.Registerer) *metrics {
	with := promauto.With(r)
	observed := with.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_inventory_calls_total",
		Help: "Calls observed, by what the logs showed of them.",
	}, []string{"visibility"})
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		endpoints: with.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_inventory_endpoints",
			Help: "Endpoints in the inventory.",
		}),
		probes: counter("gatehouse_inventory_probes_total",
			"Calls answered 403 or 404 that no route is known for; they make no endpoints."),
		unrouted: counter("gatehouse_inventory_unrouted_calls_total",
			"Calls that no endpoint could be told for, such as throttled ones without a path."),
		overflow: counter("gatehouse_inventory_overflow_calls_total",
			"Calls to endpoints that were not taken in because the inventory is full."),
		merged: counter("gatehouse_inventory_merged_endpoints_total",
			"Endpoints whose paths turned out to be values of one route template."),
	}
	for rank := range m.observed {
		name := "unknown"
		if v := visibilityOf(rank); v != "" {
			name = string(v)
		}
		m.observed[rank] = observed.WithLabelValues(name)
	}
	return m
}
