package collect

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// metrics are the meters of a collector. Labels are accounts, regions, sinks and
// words of small fixed sets; never a log group, of which there may be thousands.
type metrics struct {
	events        *prometheus.CounterVec
	doubles       *prometheus.CounterVec
	onWire        *prometheus.CounterVec
	pages         *prometheus.CounterVec
	bytes         *prometheus.CounterVec
	assembled     *prometheus.CounterVec
	unparsed      *prometheus.CounterVec
	filtered      *prometheus.CounterVec
	late          *prometheus.CounterVec
	calls         *prometheus.CounterVec
	incomplete    *prometheus.CounterVec
	evicted       *prometheus.CounterVec
	callsFiltered *prometheus.CounterVec
	checked       *prometheus.CounterVec
	checkFailures *prometheus.CounterVec
	checkFound    *prometheus.CounterVec
	reread        *prometheus.CounterVec
	readFailures  *prometheus.CounterVec
	sent          *prometheus.CounterVec
	sinkFailures  *prometheus.CounterVec
	sinkSeconds   *prometheus.HistogramVec
	commitSeconds prometheus.Histogram
	commitErrors  prometheus.Counter
	backPressure  prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	lane := []string{"account", "region"}
	var all []prometheus.Collector
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "collect", Name: name, Help: help}, labels)
		all = append(all, v)
		return v
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "collect", Name: name, Help: help})
		all = append(all, c)
		return c
	}
	m := &metrics{
		events:        vec("events_total", "Distinct log events read.", lane...),
		doubles:       vec("events_doubled_total", "Log events that had been read before.", lane...),
		onWire:        vec("events_on_wire_total", "Log events as CloudWatch sent them, doubles too; divided by events_total this is the read amplification.", lane...),
		pages:         vec("pages_total", "Pages read.", lane...),
		bytes:         vec("bytes_total", "Bytes of the messages read, doubles too.", lane...),
		assembled:     vec("events_assembled_total", "Log events that became part of a call.", lane...),
		unparsed:      vec("events_unparsed_total", "Log events that belong to no call, by kind.", "account", "region", "kind"),
		filtered:      vec("events_filtered_total", "Log events of calls that are not handed on, and late lines.", lane...),
		late:          vec("late_lines_total", "Log events that came after their call was sent.", lane...),
		calls:         vec("calls_total", "Calls handed on.", lane...),
		incomplete:    vec("calls_incomplete_total", "Calls handed on without a sign that they ended.", lane...),
		evicted:       vec("calls_evicted_total", "Calls handed on early to make room for others.", lane...),
		callsFiltered: vec("calls_filtered_total", "Calls that are not handed on, by the rule of the filter.", "account", "region", "rule"),
		checked:       vec("check_minutes_total", "Minutes of a log group that were compared with CloudWatch's own count: checked, short (at first), repaired, unrepaired, spared (not read a second time).", "account", "region", "result"),
		checkFailures: vec("check_failures_total", "Requests for CloudWatch's own count that failed, by the class of the error.", "account", "region", "class"),
		checkFound:    vec("check_events_found_total", "Log events that only the comparison with CloudWatch's own count found.", lane...),
		reread:        vec("check_events_reread_total", "Log events that came over the wire because a minute did not add up; events_on_wire_total has them too.", lane...),
		readFailures:  vec("read_failures_total", "Reads that failed, by the class of the error.", "account", "region", "class"),
		sent:          vec("sink_transactions_total", "Transactions that a sink took.", "sink"),
		sinkFailures:  vec("sink_failures_total", "Deliveries that a sink did not take.", "sink"),
		sinkSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gatehouse", Subsystem: "collect", Name: "sink_delivery_seconds",
			Help:    "How long a sink took for a batch.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"sink"}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "gatehouse", Subsystem: "collect", Name: "commit_seconds",
			Help:    "How long the State took to save a checkpoint.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		commitErrors: counter("commit_failures_total", "Checkpoints that the State did not save."),
		backPressure: counter("back_pressure_total", "How often reading had to wait because too much waits for the sinks."),
	}
	if r == nil {
		return m, nil
	}
	all = append(all, m.sinkSeconds, m.commitSeconds)
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) committed(d time.Duration) { m.commitSeconds.Observe(d.Seconds()) }
func (m *metrics) commitFailed()             { m.commitErrors.Inc() }
func (m *metrics) held()                     { m.backPressure.Inc() }

// laneMeters are the meters of one account and region.
type laneMeters struct {
	events, doubles, onWire, pages, bytes prometheus.Counter
	assembled, filtered, late             prometheus.Counter
	calls, incomplete, evicted            prometheus.Counter
	found, reread                         prometheus.Counter
	unparsedKinds, failures               *prometheus.CounterVec
	callsFiltered, checked, checkFailures *prometheus.CounterVec
}

func (m *metrics) lane(accountID, region string) laneMeters {
	labels := prometheus.Labels{"account": accountID, "region": region}
	return laneMeters{
		events:        m.events.With(labels),
		doubles:       m.doubles.With(labels),
		onWire:        m.onWire.With(labels),
		pages:         m.pages.With(labels),
		bytes:         m.bytes.With(labels),
		assembled:     m.assembled.With(labels),
		filtered:      m.filtered.With(labels),
		late:          m.late.With(labels),
		calls:         m.calls.With(labels),
		incomplete:    m.incomplete.With(labels),
		evicted:       m.evicted.With(labels),
		unparsedKinds: m.unparsed.MustCurryWith(labels),
		failures:      m.readFailures.MustCurryWith(labels),
		found:         m.checkFound.With(labels),
		reread:        m.reread.With(labels),
		callsFiltered: m.callsFiltered.MustCurryWith(labels),
		checked:       m.checked.MustCurryWith(labels),
		checkFailures: m.checkFailures.MustCurryWith(labels),
	}
}

// add counts what came to the books of a group.
func (m *laneMeters) add(before, after Books) {
	count := func(c prometheus.Counter, before, after int64) {
		if after > before {
			c.Add(float64(after - before))
		}
	}
	count(m.events, before.Read, after.Read)
	count(m.doubles, before.Doubles, after.Doubles)
	count(m.onWire, before.EventsOnWire, after.EventsOnWire)
	count(m.pages, before.Pages, after.Pages)
	count(m.bytes, before.Bytes, after.Bytes)
	count(m.assembled, before.Assembled, after.Assembled)
	count(m.filtered, before.Filtered, after.Filtered)
	count(m.late, before.Late, after.Late)
	count(m.calls, before.Calls, after.Calls)
	count(m.incomplete, before.Incomplete, after.Incomplete)
	count(m.evicted, before.Evicted, after.Evicted)
}

func (m *laneMeters) unparsed(kind transaction.Kind) {
	m.unparsedKinds.WithLabelValues(kind.String()).Inc()
}

func (m *laneMeters) dropped(rule string) { m.callsFiltered.WithLabelValues(rule).Inc() }

// minutes counts what became of minutes that the check looked at.
func (m *laneMeters) minutes(result string, n int64) {
	if n > 0 {
		m.checked.WithLabelValues(result).Add(float64(n))
	}
}

func (m *laneMeters) checkFailed(class account.Class) {
	m.checkFailures.WithLabelValues(string(class)).Inc()
}

func (m *laneMeters) failed(class account.Class) {
	m.failures.WithLabelValues(string(class)).Inc()
}

// sinkMeters are the meters of one sink.
type sinkMeters struct {
	transactions prometheus.Counter
	failures     prometheus.Counter
	seconds      prometheus.Observer
}

func (m *metrics) sink(name string) sinkMeters {
	return sinkMeters{
		transactions: m.sent.WithLabelValues(name),
		failures:     m.sinkFailures.WithLabelValues(name),
		seconds:      m.sinkSeconds.WithLabelValues(name),
	}
}

func (m *sinkMeters) delivered(n int, d time.Duration) {
	m.transactions.Add(float64(n))
	m.seconds.Observe(d.Seconds())
}

func (m *sinkMeters) failed() { m.failures.Inc() }

// gauges tell of the state of a collector at the moment when they are asked.
type gauges struct {
	c *Collector

	lag, open, digests, amplification, pending *prometheus.Desc
}

func newGauges(c *Collector) *gauges {
	name := func(s string) string { return prometheus.BuildFQName("gatehouse", "collect", s) }
	lane := []string{"account", "region"}
	return &gauges{
		c:             c,
		lag:           prometheus.NewDesc(name("lag_seconds"), "How far the cursor that is furthest behind is behind the clock.", lane, nil),
		open:          prometheus.NewDesc(name("open_calls"), "Calls that wait for more of their events.", lane, nil),
		digests:       prometheus.NewDesc(name("digests"), "Event ids that are remembered to tell doubles.", lane, nil),
		amplification: prometheus.NewDesc(name("read_amplification"), "Log events that came over the wire for each distinct one, since the groups were first read.", lane, nil),
		pending:       prometheus.NewDesc(name("pending_transactions"), "Transactions that wait for a sink.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.lag
	ch <- g.open
	ch <- g.digests
	ch <- g.amplification
	ch <- g.pending
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	now := g.c.now()
	for _, l := range g.c.allLanes() {
		lag, digests, amplification := l.gauge(now)
		ch <- prometheus.MustNewConstMetric(g.lag, prometheus.GaugeValue, lag.Seconds(), l.account, l.region)
		ch <- prometheus.MustNewConstMetric(g.open, prometheus.GaugeValue, float64(l.open.Load()), l.account, l.region)
		ch <- prometheus.MustNewConstMetric(g.digests, prometheus.GaugeValue, float64(digests), l.account, l.region)
		ch <- prometheus.MustNewConstMetric(g.amplification, prometheus.GaugeValue, amplification, l.account, l.region)
	}
	g.c.pipeline.mu.Lock()
	waiting := g.c.pipeline.waiting
	g.c.pipeline.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(g.pending, prometheus.GaugeValue, float64(waiting))
}

// register adds the gauges; without a registerer they are nobody's.
func (g *gauges) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	err := r.Register(g)
	if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); again {
		return errors.New("a collector is already registered with these metrics")
	}
	return err
}
