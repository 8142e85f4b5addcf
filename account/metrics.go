package account

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the clients of all accounts do. A nil *metrics counts
// nothing. Labels are the service's and operation's names, never an account:
// an organization would make too many series.
type metrics struct {
	requests  *prometheus.CounterVec
	waits     *prometheus.CounterVec
	waitTime  *prometheus.CounterVec
	throttles *prometheus.CounterVec
	buckets   prometheus.Gauge
	refreshes *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // nil is the metrics that count nothing
	}
	byOperation := []string{"service", "operation"}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_aws_requests_total",
			Help: "Requests sent to AWS, each retry for itself, by outcome (ok or the class of the error).",
		}, append(byOperation[:2:2], "outcome")),
		waits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_aws_limiter_waits_total",
			Help: "Requests that waited for the rate limit.",
		}, byOperation),
		waitTime: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_aws_limiter_wait_seconds_total",
			Help: "Seconds that requests waited for the rate limit.",
		}, byOperation),
		throttles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_aws_throttles_total",
			Help: "Requests that AWS throttled.",
		}, byOperation),
		buckets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_aws_limiter_buckets",
			Help: "Rate limits in memory, one for each account, region and quota in use.",
		}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_aws_credential_refreshes_total",
			Help: "Refreshes of temporary credentials by link of the chain and outcome (ok or failed).",
		}, []string{"link", "outcome"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.waits, m.waitTime, m.throttles, m.buckets, m.refreshes} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the AWS clients: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) request(c call, class Class) {
	if m == nil {
		return
	}
	outcome := string(class)
	if class == ClassNone {
		outcome = "ok"
	}
	m.requests.WithLabelValues(c.service, c.operation, outcome).Inc()
}

func (m *metrics) waited(c call, d time.Duration) {
	if m == nil {
		return
	}
	m.waits.WithLabelValues(c.service, c.operation).Inc()
	m.waitTime.WithLabelValues(c.service, c.operation).Add(d.Seconds())
}

func (m *metrics) throttled(c call) {
	if m == nil {
		return
	}
	m.throttles.WithLabelValues(c.service, c.operation).Inc()
}

func (m *metrics) bucketCount(n int) {
	if m == nil {
		return
	}
	m.buckets.Set(float64(n))
}

func (m *metrics) refreshed(link Link, err error) {
	if m == nil {
		return
	}
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	m.refreshes.WithLabelValues(string(link), outcome).Inc()
}
