package file

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of one sink, whose name is a label of each.
type metrics struct {
	records      prometheus.Counter
	bytes        prometheus.Counter
	batches      prometheus.Counter
	failures     prometheus.Counter
	rotations    prometheus.Counter
	tidyFailures prometheus.Counter

	registerer prometheus.Registerer
	registered []prometheus.Collector
}

func newMetrics(r prometheus.Registerer, sink string) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "gatehouse", Subsystem: "file_sink", Name: name, Help: help,
			ConstLabels: prometheus.Labels{"sink": sink},
		})
	}
	m := &metrics{
		records:      counter("records_total", "Lines that were synced to disk."),
		bytes:        counter("bytes_total", "Size of those lines."),
		batches:      counter("batches_total", "Batches that were synced to disk."),
		failures:     counter("failures_total", "Deliveries that failed."),
		rotations:    counter("rotations_total", "Files that were rotated."),
		tidyFailures: counter("tidy_failures_total", "Failures to compress rotated files or to remove old ones."),
	}
	if r == nil {
		return m, nil
	}
	m.registerer = r
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			m.unregister()
			return nil, err
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.records, m.bytes, m.batches, m.failures, m.rotations, m.tidyFailures}
}

// unregister lets the same sink be opened again. It takes out only what this
// sink put in: a registry knows a collector by its name and labels, and those of
// a sink that was opened twice by mistake are those of the first one, too.
func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
	m.registered = nil
}
