package spool

import "github.com/prometheus/client_golang/prometheus"

// metrics count what goes into the spool.
type metrics struct {
	events, doubles, refused, rejected prometheus.Counter
}

// newMetrics registers the metrics of s; with a nil reg they are only counted.
func newMetrics(s *Spool, reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "spool", Name: name, Help: help})
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "gatehouse", Subsystem: "spool", Name: name, Help: help}, value)
	}
	m := &metrics{
		events:   counter("events_total", "Pushed events written to the spool."),
		doubles:  counter("doubles_total", "Pushed events left out because they had just been written."),
		refused:  counter("refused_total", "Appends refused because the spool was full."),
		rejected: counter("unparsed_total", "Pushed records that hold no log events."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.events, m.doubles, m.refused, m.rejected,
		gauge("bytes", "Bytes of events in the spool.", func() float64 { _, bytes, _ := s.Size(); return float64(bytes) }),
		gauge("blobs", "Blobs of events in the spool.", func() float64 { blobs, _, _ := s.Size(); return float64(blobs) }),
		gauge("oldest_seconds", "Age of the oldest events in the spool.", func() float64 { _, _, oldest := s.Size(); return oldest.Seconds() }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
