package eks

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are nil-safe: without a Registerer nothing is counted.
type metrics struct {
	applies *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // nil counts nothing
	}
	m := &metrics{applies: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "gatehouse_eks_apply_seconds", Help: "Time that changes of objects in EKS clusters took.",
		Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
	}, []string{"type", "result"})}
	if err := r.Register(m.applies); err != nil {
		return nil, fmt.Errorf("registering metrics of EKS: %w", err)
	}
	return m, nil
}

func (m *metrics) applied(kind string, since, now time.Time, pending bool, err error) {
	if m == nil {
		return
	}
	result := "done"
	switch {
	case err != nil:
		result = "failed"
	case pending:
		result = "pending"
	}
	m.applies.WithLabelValues(kind, result).Observe(now.Sub(since).Seconds())
}
