package awssim

import (
	"maps"
	"slices"
)

// logObjects are what a log group has beside its events.
type logObjects struct {
	subscriptions []Object
	metrics       []Object
	protection    string
}

func (o *logObjects) status() string {
	if o.protection == "" {
		return ""
	}
	return "ACTIVATED"
}

// logObjectOperations are the operations of CloudWatch Logs that read them.
var logObjectOperations = map[string]operation{
	"DescribeSubscriptionFilters": {prepare: logsInput[logObjectsInput], run: describeSubscriptionFilters},
	"DescribeMetricFilters":       {prepare: logsInput[logObjectsInput], run: describeMetricFilters},
	"GetDataProtectionPolicy":     {prepare: logsInput[dataProtectionInput], run: getDataProtectionPolicy},
	"DescribeResourcePolicies":    {prepare: decodeInto[logObjectsInput], run: describeResourcePolicies},
}

// change changes the objects of a group, which is created if it does not exist.
func (l *Logs) change(group string, do func(*logObjects)) {
	l.CreateGroup(group)
	g := l.group(group)
	g.mu.Lock()
	defer g.mu.Unlock()
	do(&g.objects)
}

// AddSubscriptionFilter adds a subscription filter to a group: filterName,
// filterPattern, destinationArn, roleArn.
func (l *Logs) AddSubscriptionFilter(group string, o Object) {
	o = maps.Clone(o)
	o["logGroupName"] = group
	l.change(group, func(g *logObjects) { g.subscriptions = append(g.subscriptions, o) })
}

// AddMetricFilter adds a metric filter to a group: filterName, filterPattern,
// metricTransformations.
func (l *Logs) AddMetricFilter(group string, o Object) {
	o = maps.Clone(o)
	o["logGroupName"] = group
	l.change(group, func(g *logObjects) { g.metrics = append(g.metrics, o) })
}

// SetDataProtection sets the data protection policy of a group; empty: none.
func (l *Logs) SetDataProtection(group, policy string) {
	l.change(group, func(g *logObjects) { g.protection = policy })
}

// AddResourcePolicy adds a resource policy of CloudWatch Logs: policyName,
// policyDocument.
func (l *Logs) AddResourcePolicy(o Object) {
	r := l.region
	r.mu.Lock()
	defer r.mu.Unlock()
	r.policies = append(r.policies, maps.Clone(o))
}

type logObjectsInput struct {
	LogGroupName string `json:"logGroupName"`
	NextToken    string `json:"nextToken"`
	Limit        *int   `json:"limit"`
}

func (in *logObjectsInput) groupRef() (name, identifier string) { return in.LogGroupName, "" }

func describeSubscriptionFilters(x *exchange) error {
	return describeLogObjects(x, "subscriptionFilters", func(o *logObjects) []Object { return o.subscriptions })
}

func describeMetricFilters(x *exchange) error {
	return describeLogObjects(x, "metricFilters", func(o *logObjects) []Object { return o.metrics })
}

func describeLogObjects(x *exchange, field string, which func(*logObjects) []Object) error {
	in := input[logObjectsInput](x)
	_, g, err := x.logGroupOf(in.LogGroupName, "")
	if err != nil {
		return err
	}
	g.mu.RLock()
	list := slices.Clone(which(&g.objects))
	g.mu.RUnlock()
	return answerLogObjects(x, field, list)
}

func answerLogObjects(x *exchange, field string, list []Object) error {
	in := input[logObjectsInput](x)
	limit, err := describeLimit(in.Limit)
	if err != nil {
		return err
	}
	part, next, ok := page(field+"/"+in.LogGroupName, in.NextToken, limit, list)
	if !ok {
		return invalid("The specified nextToken is invalid.")
	}
	if part == nil {
		part = []Object{}
	}
	return x.answerJSON(item{field: part}.set("nextToken", next))
}

type dataProtectionInput struct {
	Identifier string `json:"logGroupIdentifier"`
}

func (in *dataProtectionInput) groupRef() (name, identifier string) { return "", in.Identifier }

func getDataProtectionPolicy(x *exchange) error {
	in := input[dataProtectionInput](x)
	_, g, err := x.logGroupOf("", in.Identifier)
	if err != nil {
		return err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return x.answerJSON(item{"logGroupIdentifier": in.Identifier}.set("policyDocument", g.objects.protection))
}

func describeResourcePolicies(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	list := slices.Clone(r.policies)
	r.mu.RUnlock()
	return answerLogObjects(x, "resourcePolicies", list)
}
