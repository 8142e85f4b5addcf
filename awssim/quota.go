package awssim

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// quotas holds AWS's documented rates as token buckets. Its lock is a leaf.
type quotas struct {
	mu      sync.Mutex
	own     map[string]float64
	buckets map[callKey]*rate.Limiter
}

// perSecond are calls a second of an account in a region, where AWS has one
// figure for all regions.
var perSecond = map[string]float64{
	"DescribeLogGroups":  10,
	"DescribeLogStreams": 25,
	"PutRetentionPolicy": 5,
	"CreateLogGroup":     10,
	"CreateLogStream":    50,
	"PutLogEvents":       5000,
	"GetResources":       2.5,
	"UpdateAccount":      0.05,
}

// burst are the calls that may come at once where AWS counts in more than a second:
// five calls of GetResources every two seconds.
var burst = map[string]int{"GetResources": 5}

var filterLogEvents = map[string]float64{
	"us-east-1": 25, "ap-northeast-3": 5, "ap-southeast-3": 5, "ca-west-1": 5,
	"eu-central-1": 5, "il-central-1": 5,
}

var getLogEvents = map[string]float64{
	"us-west-2": 10, "ap-northeast-3": 10, "ap-southeast-3": 10, "ca-west-1": 10,
	"eu-central-1": 10, "eu-west-1": 10, "il-central-1": 10, "eu-west-3": 30,
}

// apiGatewayTotal and apiGatewayBurst bound all of API Gateway's control plane
// in an account and region together.
const (
	apiGatewayTotal = 10
	apiGatewayBurst = 40
)

// lambdaControlPlane and wafEachRead are calls a second of Lambda's control plane, and
// of each operation of AWS WAF that reads.
const (
	lambdaControlPlane = 15
	wafEachRead        = 5
)

func (q *quotas) init(own map[string]float64) {
	q.own = maps.Clone(own)
	q.buckets = map[callKey]*rate.Limiter{}
}

// limit is the rate of an operation in a region; 0: none is known.
func (q *quotas) limit(operation, region string) float64 {
	if own, ok := q.own[operation]; ok {
		return own
	}
	switch operation {
	case "FilterLogEvents":
		return orRate(filterLogEvents[region], 10)
	case "GetLogEvents":
		return orRate(getLogEvents[region], 25)
	}
	return perSecond[operation]
}

func orRate(v, otherwise float64) float64 {
	if v > 0 {
		return v
	}
	return otherwise
}

// allow takes one call from its buckets and reports whether there was one left.
func (q *quotas) allow(k callKey, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k.service == serviceAPIGateway {
		all := k
		all.operation = ""
		if !q.bucket(all, apiGatewayTotal, apiGatewayBurst).AllowN(now, 1) {
			return false
		}
	}
	switch k.service {
	case serviceLambda:
		// GetPolicy counts for itself, and all other operations together.
		if k.operation != "GetPolicy" {
			k.operation = ""
		}
		return q.bucket(k, lambdaControlPlane, lambdaControlPlane).AllowN(now, 1)
	case serviceWAFV2:
		return q.bucket(k, wafEachRead, wafEachRead).AllowN(now, 1)
	}
	limit := q.limit(k.operation, k.region)
	if limit <= 0 {
		return true
	}
	return q.bucket(k, limit, max(1, int(limit), burst[k.operation])).AllowN(now, 1)
}

func (q *quotas) bucket(k callKey, limit float64, burst int) *rate.Limiter {
	b := q.buckets[k]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(limit), burst)
		q.buckets[k] = b
	}
	return b
}
