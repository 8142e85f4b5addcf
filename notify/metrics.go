package notify

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of a Router.
type metrics struct {
	sent   *prometheus.CounterVec   // by channel
	failed *prometheus.CounterVec   // by channel and class
	lag    *prometheus.HistogramVec // by channel
	open   *prometheus.GaugeVec     // by channel
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "gatehouse", "notify"
	m := &metrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "sent_total",
			Help: "Notices that a channel took.",
		}, []string{"channel"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "failed_total",
			Help: "Attempts that failed, by what the failure asks for.",
		}, []string{"channel", "class"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "lag_seconds",
			Help:    "Time from what a notice tells of until a channel took it.",
			Buckets: []float64{.1, .5, 1, 5, 15, 60, 300, 1800, 7200, 86400},
		}, []string{"channel"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "breaker_open",
			Help: "1 while a channel is left alone because it failed.",
		}, []string{"channel"}),
	}
	if r == nil {
		return m, nil
	}
	var done []prometheus.Collector
	for _, c := range []prometheus.Collector{m.sent, m.failed, m.lag, m.open} {
		if err := r.Register(c); err != nil {
			for _, d := range done {
				r.Unregister(d)
			}
			return nil, err
		}
		done = append(done, c)
	}
	return m, nil
}

// channel makes the series of a channel, so that they begin at zero.
func (m *metrics) channel(name string) {
	m.sent.WithLabelValues(name)
	for _, c := range []Class{Temporary, Misconfigured, Permanent} {
		m.failed.WithLabelValues(name, string(c))
	}
	m.open.WithLabelValues(name).Set(0)
}
