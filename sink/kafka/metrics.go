package kafka

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of one sink. The sink's name is a label of each, so
// several sinks can share a registry.
type metrics struct {
	records  prometheus.Counter
	bytes    prometheus.Counter
	batches  prometheus.Counter
	failures *prometheus.CounterVec // by class
	skipped  *prometheus.CounterVec // by reason
	poisoned *prometheus.CounterVec // by what was done

	registerer prometheus.Registerer
	registered []prometheus.Collector
}

// What is done with a record that the brokers do not take.
const (
	actionShrunk     = "shrunk"      // sent with shorter bodies
	actionMetadata   = "metadata"    // sent without headers, query and bodies
	actionDeadLetter = "dead_letter" // not sent: even that was refused
)

func newMetrics(r prometheus.Registerer, sink string) (*metrics, error) {
	labels := prometheus.Labels{"sink": sink}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{
			Namespace: "gatehouse", Subsystem: "kafka_sink", Name: name, Help: help, ConstLabels: labels,
		}
	}
	m := &metrics{
		records:  prometheus.NewCounter(counter("records_total", "Records that all in-sync replicas have.")),
		bytes:    prometheus.NewCounter(counter("bytes_total", "Size of the keys and values of those records, before compression.")),
		batches:  prometheus.NewCounter(counter("batches_total", "Chunks of records that were answered.")),
		failures: prometheus.NewCounterVec(counter("failures_total", "Deliveries that failed, by what the failure asks for."), []string{"class"}),
		skipped:  prometheus.NewCounterVec(counter("skipped_total", "Transactions that have no form on this topic, by reason."), []string{"reason"}),
		poisoned: prometheus.NewCounterVec(counter("poisoned_total", "Records that the brokers refused for what they are, by what was done."), []string{"action"}),
	}
	for _, c := range classes {
		m.failures.WithLabelValues(string(c))
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
	return []prometheus.Collector{m.records, m.bytes, m.batches, m.failures, m.skipped, m.poisoned}
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
