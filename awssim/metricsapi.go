package awssim

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	metricsTarget = "GraniteServiceVersion20100801."
	metricsPath   = "/service/GraniteServiceVersion20100801/operation/"

	// maxMetricQueries and maxDatapoints bound one GetMetricData.
	maxMetricQueries = 500
	maxDatapoints    = 100_800
	// metricsKept is how many minutes of a metric are kept.
	metricsKept = 24 * 60
)

// The one metric that there is: how many events were put into a log group.
const (
	metricNamespace = "AWS/Logs"
	metricName      = "IncomingLogEvents"
	metricDimension = "LogGroupName"
)

// count adds to the group's metric. Events count in the minute in which they are
// put, whatever their timestamps are and whenever readers see them. The group is
// locked.
func (g *logGroup) count(now, n int64) {
	if g.incoming == nil {
		g.incoming = map[int64]int64{}
	}
	minute := now / 60_000
	g.incoming[minute] += n
	if len(g.incoming) > metricsKept {
		delete(g.incoming, slices.Min(minutesOf(g.incoming)))
	}
}

func minutesOf(m map[int64]int64) []int64 {
	list := make([]int64, 0, len(m))
	for minute := range m {
		list = append(list, minute)
	}
	return list
}

// CloudWatch speaks three protocols; which one a client chooses depends on its
// age. All of them name the same operations.
var metricsWires = map[wire]*service{
	wireCBOR:  {name: serviceMetrics, wire: wireCBOR, find: findMetrics},
	wireJSON:  {name: serviceMetrics, wire: wireJSON, find: findMetrics},
	wireQuery: {name: serviceMetrics, wire: wireQuery, find: findMetrics},
}

// metricsService is CloudWatch in the protocol of a request.
func metricsService(r *http.Request) *service {
	switch {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" || strings.HasPrefix(r.URL.Path, metricsPath):
		return metricsWires[wireCBOR]
	case r.Header.Get("X-Amz-Target") != "":
		return metricsWires[wireJSON]
	default:
		return metricsWires[wireQuery]
	}
}

func findMetrics(x *exchange) (operation, error) {
	var name string
	var err error
	switch x.svc.wire {
	case wireCBOR:
		name = strings.TrimPrefix(x.r.URL.Path, metricsPath)
	case wireJSON:
		name = strings.TrimPrefix(x.r.Header.Get("X-Amz-Target"), metricsTarget)
	default:
		if name, err = x.readForm(); err != nil {
			return operation{}, err
		}
	}
	if name != "GetMetricData" {
		return operation{}, unknownOperation("cloudwatch:" + name)
	}
	return operation{name: name, prepare: prepareGetMetricData, run: getMetricData}, nil
}

// getMetricDataInput is the input of GetMetricData in whatever protocol it came.
type getMetricDataInput struct {
	start, end int64 // milliseconds
	ascending  bool
	token      string
	most       int
	queries    []metricQuery
}

// metricQuery asks for one metric.
type metricQuery struct {
	id, label       string
	namespace, name string
	dimensions      map[string]string
	period          int64 // seconds
	stat            string
	hidden          bool
	expression      bool
}

func prepareGetMetricData(x *exchange) error {
	x.call.Action = "cloudwatch:GetMetricData" // the endpoint has another name than the actions
	var in *getMetricDataInput
	var err error
	switch x.svc.wire {
	case wireCBOR:
		in, err = cborMetricData(x.body)
	case wireJSON:
		in, err = jsonMetricData(x.body)
	default:
		in, err = formMetricData(x.form)
	}
	if err != nil {
		return err
	}
	x.input = in
	return nil
}

func metricsInvalid(format string, args ...any) *Error {
	return &Error{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

func (in *getMetricDataInput) check() error {
	if in.start >= in.end {
		return metricsInvalid("The parameter StartTime must be less than the parameter EndTime.")
	}
	if len(in.queries) == 0 || len(in.queries) > maxMetricQueries {
		return metricsInvalid("The collection MetricDataQueries must have a size between 1 and %d.", maxMetricQueries)
	}
	if in.most < 0 || in.most > maxDatapoints {
		return metricsInvalid("The value %d for parameter MaxDatapoints is not valid.", in.most)
	}
	seen := map[string]bool{}
	for i := range in.queries {
		q := &in.queries[i]
		switch {
		case !isQueryID(q.id):
			return metricsInvalid("The value %s for parameter MetricDataQueries.member.%d.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.", q.id, i+1)
		case seen[q.id]:
			return metricsInvalid("The values for parameter id in MetricDataQueries are not unique.")
		case q.expression || q.name == "" || q.namespace == "":
			return metricsInvalid("awssim knows metrics and no expressions.")
		case q.period <= 0 || q.period%60 != 0:
			return metricsInvalid("Period must be a multiple of 60.")
		case q.stat != "Sum" && q.stat != "SampleCount":
			return metricsInvalid("awssim knows the statistic Sum, not %s.", q.stat)
		}
		seen[q.id] = true
	}
	return nil
}

func isQueryID(id string) bool {
	if id == "" || len(id) > 255 || id[0] < 'a' || id[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	})
}

// metricResult is the answer to one metricQuery.
type metricResult struct {
	id, label string
	times     []int64 // seconds
	values    []float64
	partial   bool
}

func getMetricData(x *exchange) error {
	in := x.input.(*getMetricDataInput)
	if err := in.check(); err != nil {
		return err
	}
	region, err := x.reached()
	if err != nil {
		return err
	}
	most := in.most
	if most == 0 {
		most = maxDatapoints
	}
	kind := "GetMetricData/" + strconv.FormatInt(in.start, 10) + "/" + strconv.FormatInt(in.end, 10)
	skip := 0
	if in.token != "" {
		text, ok := readPageToken(kind, in.token)
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 0 {
			return metricsInvalid("The value for parameter NextToken is not valid.")
		}
		skip = n
	}
	var results []metricResult
	given, at := 0, 0
	next := ""
	for i := range in.queries {
		q := &in.queries[i]
		if q.hidden {
			continue
		}
		r := q.run(region, in)
		before := at
		at += len(r.times)
		if at <= skip && len(r.times) > 0 {
			continue // an earlier page had all of it
		}
		from := min(len(r.times), max(0, skip-before))
		to := min(len(r.times), from+most-given)
		r.partial = to < len(r.times)
		r.times, r.values = r.times[from:to], r.values[from:to]
		given += to - from
		results = append(results, r)
		if r.partial {
			next = pageToken(kind, strconv.Itoa(skip+given))
			break
		}
	}
	return x.answerMetricData(results, next)
}

// run looks the metric up. One that does not exist has no datapoints.
func (q *metricQuery) run(r *Region, in *getMetricDataInput) metricResult {
	out := metricResult{id: q.id, label: q.label}
	if out.label == "" {
		out.label = q.name
	}
	group, ok := q.dimensions[metricDimension]
	if q.namespace != metricNamespace || q.name != metricName || !ok || len(q.dimensions) != 1 {
		return out
	}
	g := r.logs.group(group)
	if g == nil {
		return out
	}
	sums := map[int64]float64{}
	g.mu.RLock()
	for minute, n := range g.incoming {
		at := minute * 60 / q.period * q.period
		if at*1000 >= in.start && at*1000 < in.end {
			sums[at] += float64(n)
		}
	}
	g.mu.RUnlock()
	for at := range sums {
		out.times = append(out.times, at)
	}
	slices.Sort(out.times)
	if !in.ascending {
		slices.Reverse(out.times)
	}
	for _, at := range out.times {
		out.values = append(out.values, sums[at])
	}
	return out
}

// milliseconds reads seconds since the epoch.
func milliseconds(seconds float64) int64 {
	if math.IsNaN(seconds) || math.Abs(seconds) > 1e12 {
		return 0
	}
	return int64(math.Round(seconds * 1000))
}
