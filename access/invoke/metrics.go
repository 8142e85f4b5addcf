package invoke

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are nil-safe: without a Registerer nothing is counted.
type metrics struct {
	vended  *prometheus.CounterVec
	denials *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // nil counts nothing
	}
	m := &metrics{
		vended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_invoke_credentials_total", Help: "Credentials for lent APIs that were asked for, by what came of it.",
		}, []string{"result"}),
		denials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_invoke_denials_total", Help: "Early ends of access to lent APIs, by what came of denying older sessions.",
		}, []string{"result"}),
	}
	for _, c := range []prometheus.Collector{m.vended, m.denials} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of lent APIs: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) vend(result string) {
	if m != nil {
		m.vended.WithLabelValues(result).Inc()
	}
}

func (m *metrics) deny(result string) {
	if m != nil {
		m.denials.WithLabelValues(result).Inc()
	}
}
