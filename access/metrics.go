package access

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what operators watch. Late is the one to alarm on.
type metrics struct {
	ends        *prometheus.CounterVec // reason
	requests    *prometheus.CounterVec // state
	applies     *prometheus.CounterVec // integration, result
	applySecond *prometheus.HistogramVec
	lateness    prometheus.Histogram
	late        *prometheus.GaugeVec // integration
	conflicts   prometheus.Counter
	clockJumps  prometheus.Counter
	clockBehind prometheus.Gauge
	drift       *prometheus.GaugeVec // integration, kind
	letters     *prometheus.CounterVec
	steps       *prometheus.CounterVec // step, result
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "access", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "gatehouse", Subsystem: "access", Name: name, Help: help}, labels)
	}
	m := &metrics{
		ends:     counter("grants_ended_total", "Grants that were read back as gone, by why they ended.", "reason"),
		requests: counter("requests_total", "Requests that were decided, by how.", "state"),
		applies:  counter("applies_total", "Changes of objects in targets, by result.", "integration", "result"),
		applySecond: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gatehouse", Subsystem: "access", Name: "apply_seconds", Help: "How long changes of objects take.",
			Buckets: []float64{.005, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"integration"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "gatehouse", Subsystem: "access", Name: "lateness_seconds", Help: "How long after its time what was wanted was read back from the target.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 3600},
		}),
		late:        gauge("late", "Objects that are past the objective: access that should be there or gone and is not.", "integration"),
		conflicts:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "access", Name: "conflicts_total", Help: "Changes that had to be decided again because somebody else was first."}),
		clockJumps:  prometheus.NewCounter(prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "access", Name: "clock_jumps_total", Help: "Jumps of the wall clock ahead that nothing explains."}),
		clockBehind: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "gatehouse", Subsystem: "access", Name: "clock_behind_seconds", Help: "How far the wall clock is behind the time that lending goes by; 0 if slewing explains it."}),
		drift:       gauge("drift", "Differences between targets and the ledger that stand.", "integration", "kind"),
		letters:     counter("letters_total", "Letters of notices, by result: sent, failed (tried again) or refused.", "result"),
		steps:       counter("steps_total", "Runs of the parts of the desk, by result.", "step", "result"),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.ends, m.requests, m.applies, m.applySecond, m.lateness, m.late, m.conflicts, m.clockJumps, m.clockBehind, m.drift, m.letters, m.steps} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// clockOff notes that the wall clock jumped ahead (off above 0), is behind the time
// of lending (below 0), or is right again.
func (m *metrics) clockOff(off time.Duration) {
	if off > 0 {
		m.clockJumps.Inc()
		return
	}
	m.clockBehind.Set(-off.Seconds())
}
