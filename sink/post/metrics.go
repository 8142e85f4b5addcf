package post

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of one sink. Its name is a label of each, so several
// sinks share a registry.
type metrics struct {
	requests *prometheus.CounterVec // by class
	accepted prometheus.Counter
	bytes    prometheus.Counter
	skipped  *prometheus.CounterVec // by reason
	refused  prometheus.Counter
	tokens   prometheus.Counter

	registerer prometheus.Registerer
	registered []prometheus.Collector
}

func newMetrics(r prometheus.Registerer, sink string) (*metrics, error) {
	labels := prometheus.Labels{"sink": sink}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "http_sink", Name: name, Help: help, ConstLabels: labels}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(counter("requests_total", "Requests with a batch, by what the answer asks for."), []string{"class"}),
		accepted: prometheus.NewCounter(counter("accepted_total", "Transactions that the endpoint accepted.")),
		bytes:    prometheus.NewCounter(counter("bytes_total", "Size of the bodies of all requests, as sent.")),
		skipped:  prometheus.NewCounterVec(counter("skipped_total", "Transactions that have no place in this form, by reason."), []string{"reason"}),
		refused:  prometheus.NewCounter(counter("refused_total", "Transactions that became dead letters.")),
		tokens:   prometheus.NewCounter(counter("token_requests_total", "Requests for an access token.")),
	}
	for _, c := range classes {
		m.requests.WithLabelValues(string(c))
	}
	if r == nil {
		return m, nil
	}
	m.registerer = r
	for _, c := range []prometheus.Collector{m.requests, m.accepted, m.bytes, m.skipped, m.refused, m.tokens} {
		if err := r.Register(c); err != nil {
			m.unregister()
			return nil, err
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

// unregister lets the same sink be opened again.
func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
	m.registered = nil
}
