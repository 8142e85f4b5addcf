package deadletter

import "github.com/prometheus/client_golang/prometheus"

// metrics are the meters of a Keeper; nil fields measure nothing.
type metrics struct {
	refusals *prometheus.CounterVec
	replays  *prometheus.CounterVec
	letters  *prometheus.GaugeVec
	bytes    *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{}
	if r == nil {
		return m, nil
	}
	const namespace, subsystem = "gatehouse", "dead_letters"
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "refused_total", Help: "Calls that a sink's place refused for good, by reason.",
	}, []string{"sink", "reason"})
	m.replays = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "replayed_total", Help: "Dead letters that were delivered again and taken.",
	}, []string{"sink"})
	m.letters = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "kept", Help: "Dead letters that wait for a person.",
	}, []string{"sink"})
	m.bytes = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "kept_bytes", Help: "Size of the transactions in them.",
	}, []string{"sink"})
	for _, c := range []prometheus.Collector{m.refusals, m.replays, m.letters, m.bytes} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) on() bool { return m.letters != nil }

func (m *metrics) refused(sink string, reason Reason) {
	if m.refusals != nil {
		m.refusals.WithLabelValues(sink, string(reason)).Inc()
	}
}

func (m *metrics) replayed(sink string, n int) {
	if m.replays != nil {
		m.replays.WithLabelValues(sink).Add(float64(n))
	}
}

// set forgets sinks that have no letters left.
func (m *metrics) set(counts []Count) {
	m.letters.Reset()
	m.bytes.Reset()
	for _, c := range counts {
		m.letters.WithLabelValues(c.Sink).Set(float64(c.Letters))
		m.bytes.WithLabelValues(c.Sink).Set(float64(c.Bytes))
	}
}
