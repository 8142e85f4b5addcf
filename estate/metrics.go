package estate

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// metrics tell what the last discovery found. A nil *metrics tells nothing.
type metrics struct {
	apis     *prometheus.GaugeVec
	faults   prometheus.Gauge
	duration prometheus.Gauge
	finished prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // nil is the metrics that tell nothing
	}
	m := &metrics{
		apis: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gatehouse_estate_apis",
			Help: "APIs that the last discovery found, by type.",
		}, []string{"type"}),
		faults: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_estate_faults",
			Help: "Accounts, regions and reads that failed in the last discovery.",
		}),
		duration: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_estate_discovery_seconds",
			Help: "How long the last discovery took.",
		}),
		finished: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_estate_discovery_timestamp_seconds",
			Help: "When the last discovery ended, in seconds since the epoch.",
		}),
	}
	for _, c := range []prometheus.Collector{m.apis, m.faults, m.duration, m.finished} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the estate: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) discovered(s *Snapshot) {
	if m == nil {
		return
	}
	count := map[transaction.APIType]int{transaction.REST: 0, transaction.HTTP: 0, transaction.WebSocket: 0}
	for i := range s.Accounts {
		for j := range s.Accounts[i].Regions {
			for _, api := range s.Accounts[i].Regions[j].APIs {
				count[api.Type]++
			}
		}
	}
	for kind, n := range count {
		m.apis.WithLabelValues(string(kind)).Set(float64(n))
	}
	m.faults.Set(float64(countFaults(s)))
	m.duration.Set(s.Finished.Sub(s.Started).Seconds())
	m.finished.Set(float64(s.Finished.Unix()))
}
