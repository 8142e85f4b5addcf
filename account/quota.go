package account

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// The SDK's names of the services that are called.
const (
	serviceLogs          = "CloudWatch Logs"
	serviceMetrics       = "CloudWatch"
	serviceAPIGateway    = "API Gateway"
	serviceAPIGatewayV2  = "ApiGatewayV2"
	serviceSTS           = "STS"
	serviceOrganizations = "Organizations"
	serviceAccount       = "Account"
	serviceLambda        = "Lambda"
	serviceWAFV2         = "WAFV2"
)

// margin is the part of a documented quota that is used when nothing else is
// said: other programs call with the same quota.
const margin = 0.85

// quota is one limit that AWS sets on calls of one account in one region.
type quota struct {
	// name is the operation, or for a quota that operations share the service as
	// IAM writes it.
	name string
	// services and operations say which calls count against it. No operations:
	// all of the services'.
	services   []string
	operations []string
	perSecond  float64
	burst      int                // as AWS documents it; 0 if it does not
	regions    map[string]float64 // calls a second where a region differs
	assumed    bool               // AWS publishes no figure for this quota
}

func ofLogs(operation string, perSecond float64) quota {
	return quota{name: operation, services: []string{serviceLogs}, operations: []string{operation}, perSecond: perSecond}
}

func controlPlane(operation string, perSecond float64, burst int) quota {
	return quota{
		name: operation, services: []string{serviceAPIGateway}, operations: []string{operation},
		perSecond: perSecond, burst: burst,
	}
}

func inRegions(q quota, regions map[string]float64) quota {
	q.regions = regions
	return q
}

// quotas is what AWS documents in "CloudWatch Logs quotas", "Amazon API Gateway
// quotas", "Lambda quotas" and "AWS WAF quotas", in calls a second. A call passes
// every quota that it counts against.
var quotas = []quota{
	inRegions(ofLogs("FilterLogEvents", 10), map[string]float64{
		"us-east-1":      25,
		"ap-northeast-3": 5,
		"ap-southeast-3": 5,
		"ca-west-1":      5,
		"eu-central-1":   5,
		"il-central-1":   5,
	}),
	inRegions(ofLogs("GetLogEvents", 25), map[string]float64{
		"eu-west-3":      30,
		"us-west-2":      10,
		"ap-northeast-3": 10,
		"ap-southeast-3": 10,
		"ca-west-1":      10,
		"eu-central-1":   10,
		"eu-west-1":      10,
		"il-central-1":   10,
	}),
	ofLogs("DescribeLogGroups", 10),
	ofLogs("DescribeLogStreams", 25),
	ofLogs("DescribeSubscriptionFilters", 5),
	ofLogs("PutSubscriptionFilter", 5),
	ofLogs("PutRetentionPolicy", 5),
	ofLogs("AssociateKmsKey", 5),
	ofLogs("ListTagsForResource", 5),
	ofLogs("TagResource", 5),
	ofLogs("CreateLogGroup", 10),
	ofLogs("CreateLogStream", 50),
	ofLogs("StartQuery", 10),
	ofLogs("GetQueryResults", 10),

	// AWS allows more calls, but counts the datapoints too: five calls for an hour
	// of 500 metrics are what it gives in a second.
	{name: "GetMetricData", services: []string{serviceMetrics}, operations: []string{"GetMetricData"}, perSecond: 5, assumed: true},

	{name: "apigateway", services: []string{serviceAPIGateway, serviceAPIGatewayV2}, perSecond: 10, burst: 40},
	controlPlane("GetResources", 2.5, 5),
	controlPlane("UpdateAccount", 0.05, 1),
	controlPlane("CreateDeployment", 0.2, 1),
	controlPlane("ImportRestApi", 0.33, 1),
	controlPlane("CreateRestApi", 0.33, 1),
	controlPlane("PutRestApi", 1, 1),
	controlPlane("CreateResource", 5, 1),
	controlPlane("DeleteResource", 5, 1),
	controlPlane("CreateApiKey", 5, 1),
	controlPlane("DeleteApiKey", 5, 1),
	controlPlane("DeleteRestApi", 0.033, 1),
	controlPlane("CreateDomainName", 0.033, 1),
	controlPlane("UpdateDomainName", 0.033, 1),
	controlPlane("DeleteDomainName", 0.033, 1),
	controlPlane("UpdateUsagePlan", 0.05, 1),

	{name: "GetPolicy", services: []string{serviceLambda}, operations: []string{"GetPolicy"}, perSecond: 15},
	// One quota for all of the control plane but GetPolicy and GetFunction.
	{name: "lambda", services: []string{serviceLambda}, operations: []string{"GetFunctionConfiguration", "ListFunctionUrlConfigs"}, perSecond: 15},
	{name: "GetWebACL", services: []string{serviceWAFV2}, operations: []string{"GetWebACL"}, perSecond: 5},
	{name: "GetLoggingConfiguration", services: []string{serviceWAFV2}, operations: []string{"GetLoggingConfiguration"}, perSecond: 5},

	{name: "organizations", services: []string{serviceOrganizations}, perSecond: 4, burst: 4, assumed: true},
	{name: "sts", services: []string{serviceSTS}, perSecond: 50, burst: 50, assumed: true},
	{name: "account", services: []string{serviceAccount}, perSecond: 2, burst: 4, assumed: true},
}

// otherQuota is for calls that no quota names, each operation for itself.
var otherQuota = quota{perSecond: 5, assumed: true}

// pace is how fast a bucket may be emptied.
type pace struct {
	perSecond float64
	burst     int
}

// rateIn returns the rate to keep in a region: the documented quota less the
// margin, or exactly the override.
func (q *quota) rateIn(region string, overrides map[string]float64) pace {
	if perSecond, ok := overrides[q.name]; ok {
		return pace{perSecond: perSecond, burst: burstOf(perSecond, q.burst)}
	}
	perSecond := q.perSecond
	if there, ok := q.regions[region]; ok {
		perSecond = there
	}
	return pace{perSecond: perSecond * margin, burst: burstOf(perSecond*margin, int(float64(q.burst)*margin))}
}

// burstOf keeps rate + burst near what AWS allows in any one second where it
// documents no burst of its own: a fifth of a second's calls at once.
func burstOf(perSecond float64, documented int) int {
	if documented > 0 {
		return documented
	}
	return max(1, int(perSecond/5))
}

func (q *quota) covers(service, operation string) bool {
	return slices.Contains(q.services, service) &&
		(len(q.operations) == 0 || slices.Contains(q.operations, operation))
}

// quotasOf returns the quotas that a call counts against, an operation's own
// before one that operations share: whoever waits for a narrow quota must not
// hold a place in the shared one.
func quotasOf(service, operation string) []*quota {
	var found []*quota
	for i := range quotas {
		if quotas[i].covers(service, operation) {
			found = append(found, &quotas[i])
		}
	}
	slices.SortStableFunc(found, func(a, b *quota) int {
		return cmp.Compare(len(b.operations), len(a.operations))
	})
	if len(found) == 0 {
		other := otherQuota
		other.name = service + ":" + operation
		found = append(found, &other)
	}
	return found
}

// checkOverrides refuses names that would never be looked up and rates that
// would stop every call.
func checkOverrides(overrides map[string]float64) error {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		known := slices.ContainsFunc(quotas, func(q quota) bool { return q.name == name })
		if !known {
			return fmt.Errorf("quota %q is unknown: use one of %s", name, strings.Join(quotaNames(), ", "))
		}
		perSecond := overrides[name]
		if !(perSecond > 0) || math.IsInf(perSecond, 0) {
			return fmt.Errorf("quota %q is %v: it must be more than 0 calls a second", name, perSecond)
		}
	}
	return nil
}

func quotaNames() []string {
	names := make([]string, len(quotas))
	for i := range quotas {
		names[i] = quotas[i].name
	}
	return names
}
