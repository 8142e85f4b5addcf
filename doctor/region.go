package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	actionGateway = "apigateway:GET"
	actionGroups  = "logs:DescribeLogGroups"
	actionEvents  = "logs:FilterLogEvents"
	actionMetrics = "cloudwatch:GetMetricData"

	// The names that API Gateway itself gives to log groups begin so.
	executionPrefix = "API-Gateway-Execution-Logs"
	gatewayPrefix   = "/aws/apigateway/"

	// triedOfAKind is how many log groups of a kind are read from: of those that are
	// encrypted, and of those that somebody named.
	triedOfAKind = 3
)

// regionCheck is one region of one account under check.
type regionCheck struct {
	*run
	target account.Target
	region *estate.Region
	config aws.Config
	// logGroups are those that collecting would read.
	logGroups []estate.LogGroup
}

// regions checks what was discovered, and tries what discovery does not.
func (r *run) regions(ctx context.Context, accounts *account.Accounts, targets []account.Target, s *estate.Snapshot) {
	var checks []*regionCheck
	for _, t := range targets {
		i := slices.IndexFunc(s.Accounts, func(a estate.Account) bool { return a.ID == t.Account })
		if i < 0 {
			continue
		}
		for j := range s.Accounts[i].Regions {
			region := &s.Accounts[i].Regions[j]
			if slices.Contains(t.Regions, region.Name) {
				checks = append(checks, &regionCheck{run: r, target: t, region: region, config: accounts.Config(t, region.Name)})
			}
		}
	}
	r.each(len(checks), func(i int) {
		c := checks[i]
		defer r.done(c.target.Account + " " + c.region.Name)
		if c.off() {
			return
		}
		c.permissions()
		c.choose(ctx)
		c.events(ctx)
		c.metrics(ctx)
		c.groups()
		c.stages()
		c.logRole()
		c.capacity(accounts)
	})
}

// result is a Result of this region.
func (c *regionCheck) result(status Status, check, what string) Result {
	return Result{Status: status, Check: check, Account: c.target.Account, Region: c.region.Name, What: what}
}

// who is what statements are added to.
func (c *regionCheck) who() string {
	if c.target.RoleARN != "" {
		return c.target.RoleARN
	}
	return "the credentials of account " + c.target.Account
}

// off tells of a region in which AWS does not know credentials that are good
// elsewhere: it is not enabled in the account.
func (c *regionCheck) off() bool {
	for _, f := range c.region.Errors {
		if strings.HasPrefix(f.Error, "UnrecognizedClientException") || strings.HasPrefix(f.Error, "InvalidClientTokenId") {
			c.add(disabled(c.target.Account, c.region.Name, f.Error))
			return true
		}
	}
	return false
}

// failed makes a result of a call that failed. A permission that lacks comes with
// the statement to add.
func (c *regionCheck) failed(class account.Class, check, what, why, resource string, actions ...string) Result {
	result := c.result(Fail, check, what)
	result.Why = why
	switch class {
	case account.Denied:
		result.Statement = estate.AllowStatement(strings.Split(resource, " "), actions...)
		result.Mend = "add the statement to " + c.who() + "; where it is there, a service control policy or a boundary forbids it"
	case account.Throttled:
		result.Status, result.Mend = Warn, "AWS throttles: other programs use the quota of the account; try again later"
	case account.Expired:
		result.Mend = "the session ended in the middle, or the clock is wrong: run it again"
	case account.Transient, account.Cut:
		result.Status, result.Mend = Warn, "try again; if it stays, check the network, AWS_ENDPOINT_URL and AWS's health dashboard"
	case account.ClassNone, account.Gone, account.Invalid, account.Canceled:
	}
	return result
}

// permissions tells what reading the estate showed of each permission.
func (c *regionCheck) permissions() {
	bad := map[string]bool{}
	for _, f := range c.region.Errors {
		check := f.Action
		if check == "" {
			check = f.What
		}
		bad[check] = true
		resource := f.Resource
		switch check {
		case actionGateway:
			// One statement for all of API Gateway's reads is what collecting needs.
			resource = fmt.Sprintf("arn:%s:apigateway:%s::/*", account.PartitionOf(c.region.Name), c.region.Name)
		case actionGroups:
			resource = "*" // it cannot be limited to some groups
		}
		result := c.failed(f.Class, check, f.What+" failed", f.Error, resource, f.Action)
		result.Subject = f.What
		if check != actionGateway && check != actionGroups && result.Status == Fail {
			result.Status = Warn // everything else is read all the same
		}
		if result.Mend == "" {
			result.Mend = f.Mend
		}
		c.add(result)
	}
	for _, f := range c.region.Notes {
		// Reads that collecting can do without. One that a partition does not know at
		// all is nothing to mend.
		if f.Class != account.Denied {
			continue
		}
		result := c.failed(f.Class, f.Action, f.What+" is not allowed; collecting goes on without", f.Error, f.Resource, f.Action)
		result.Status, result.Subject = Warn, f.What
		c.add(result)
	}
	if !bad[actionGateway] {
		stages, routes := 0, 0
		for i := range c.region.APIs {
			stages += len(c.region.APIs[i].Stages)
			routes += len(c.region.APIs[i].Routes)
		}
		c.add(c.result(OK, actionGateway, fmt.Sprintf("%d APIs, %d stages, %d routes", len(c.region.APIs), stages, routes)))
	}
	if !bad[actionGroups] {
		c.add(c.result(OK, actionGroups, fmt.Sprintf("%d log groups of API Gateway", len(c.region.LogGroups))))
	}
}

// namedBy is how the name of a log group begins that API Gateway named, or logging
// enable; empty: somebody else did.
func namedBy(group string) string {
	for _, prefix := range logging.GroupPrefixes() {
		if strings.HasPrefix(group, prefix) {
			return prefix
		}
	}
	return ""
}

// eventsResource is what a role that reads logs must be allowed to read: all groups
// whose names begin as this one's does, or the one group.
func (c *regionCheck) eventsResource(group string) string {
	arn := fmt.Sprintf("arn:%s:logs:*:%s:log-group:", account.PartitionOf(c.region.Name), c.target.Account)
	if prefix := namedBy(group); prefix != "" {
		return arn + prefix + "*"
	}
	return arn + group + ":*"
}

// choose finds the log groups that collecting would read here.
func (c *regionCheck) choose(ctx context.Context) {
	if len(c.o.Groups) > 0 {
		for _, g := range c.o.Groups {
			if g.Account != c.target.Account || g.Region != c.region.Name {
				continue
			}
			chosen := estate.LogGroup{Name: g.Name}
			if i := slices.IndexFunc(c.region.LogGroups, func(known estate.LogGroup) bool { return known.Name == g.Name }); i >= 0 {
				chosen = c.region.LogGroups[i]
			}
			c.logGroups = append(c.logGroups, chosen)
		}
		return
	}
	prefix := c.o.Prefix
	for _, g := range c.region.LogGroups {
		if !c.o.PrefixOnly || strings.HasPrefix(g.Name, prefix) {
			c.logGroups = append(c.logGroups, g)
		}
	}
	if prefix == "" || strings.HasPrefix(prefix, executionPrefix) || strings.HasPrefix(prefix, gatewayPrefix) {
		return // all of them are known
	}
	out, err := cloudwatchlogs.NewFromConfig(c.config).DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(prefix)})
	if err != nil {
		return // listing groups was refused before, and told
	}
	for i := range out.LogGroups {
		g := &out.LogGroups[i]
		c.logGroups = append(c.logGroups, estate.LogGroup{Name: aws.ToString(g.LogGroupName), KMSKey: aws.ToString(g.KmsKeyId), Class: string(g.LogGroupClass)})
	}
}

// samples are the log groups to read one event of: one of each name that API
// Gateway gives, and some of those that are encrypted or that somebody named.
func (c *regionCheck) samples() []estate.LogGroup {
	var out []estate.LogGroup
	count := map[string]int{}
	for _, g := range c.logGroups {
		if isInfrequent(&g) {
			continue
		}
		kind, most := "named", triedOfAKind
		switch {
		case g.KMSKey != "":
			kind = "encrypted"
		case namedBy(g.Name) != "":
			kind, most = namedBy(g.Name), 1
		}
		if count[kind] < most {
			count[kind]++
			out = append(out, g)
		}
	}
	return out
}

// events tries to read log events.
func (c *regionCheck) events(ctx context.Context) {
	client := cloudwatchlogs.NewFromConfig(c.config)
	samples := c.samples()
	if len(samples) == 0 {
		c.add(c.result(OK, actionEvents, "not tried: there is no log group to try it on"))
		return
	}
	var read []string
	for _, g := range samples {
		_, err := client.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String(g.Name), Limit: aws.Int32(1), StartTime: aws.Int64(c.clock().Add(-time.Minute).UnixMilli()),
		})
		if err == nil {
			read = append(read, g.Name)
			continue
		}
		class := account.Classify(err)
		if class == account.Gone && len(c.o.Groups) == 0 {
			continue // deleted since it was listed
		}
		result := c.failed(class, actionEvents, "the log group cannot be read", account.Text(err), c.eventsResource(g.Name), actionEvents)
		result.Subject = g.Name
		if g.KMSKey != "" && class != account.Throttled {
			// Whether AWS says access denied of a disabled key, or something else, is
			// best evidence: both are told.
			result.What = "the log group is encrypted and cannot be read"
			result.Mend = "check that the KMS key " + g.KMSKey + " is enabled and that its policy lets logs." + c.region.Name + ".amazonaws.com use it; " + result.Mend
		}
		c.add(result)
	}
	if len(read) > 0 {
		result := c.result(OK, actionEvents, fmt.Sprintf("%d of %d log groups tried", len(read), len(c.logGroups)))
		c.add(result)
	}
}

// metrics tries to read CloudWatch's own count of events, against which what was
// read is checked.
func (c *regionCheck) metrics(ctx context.Context) {
	if len(c.logGroups) == 0 {
		return
	}
	now := c.clock()
	_, err := cloudwatch.NewFromConfig(c.config).GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(now.Add(-5 * time.Minute)), EndTime: aws.Time(now),
		MetricDataQueries: []cwtypes.MetricDataQuery{{Id: aws.String("m0"), MetricStat: &cwtypes.MetricStat{
			Metric: &cwtypes.Metric{
				Namespace: aws.String("AWS/Logs"), MetricName: aws.String("IncomingLogEvents"),
				Dimensions: []cwtypes.Dimension{{Name: aws.String("LogGroupName"), Value: aws.String(c.logGroups[0].Name)}},
			},
			Period: aws.Int32(60), Stat: aws.String("Sum"),
		}}},
	})
	if err == nil {
		c.add(c.result(OK, actionMetrics, "CloudWatch's own count can be read"))
		return
	}
	result := c.failed(account.Classify(err), actionMetrics, "what was read cannot be checked against CloudWatch's own count", account.Text(err), "*", actionMetrics)
	result.Status = Warn // collecting goes on without
	c.add(result)
}

func isInfrequent(g *estate.LogGroup) bool { return g.Class == "INFREQUENT_ACCESS" }

// groups tells of log groups that can never be read.
func (c *regionCheck) groups() {
	for i := range c.logGroups {
		g := &c.logGroups[i]
		if !isInfrequent(g) {
			continue
		}
		result := c.result(Fail, "log group", "its class is Infrequent Access, of which FilterLogEvents reads nothing")
		result.Subject = g.Name
		result.Mend = "the class of a group cannot be changed: let the stage log to a group of class STANDARD"
		c.add(result)
	}
}

// capacity tells where there are more log groups than the quota can read in time.
func (c *regionCheck) capacity(accounts *account.Accounts) {
	n, perSecond := len(c.logGroups), accounts.Rate("FilterLogEvents", c.region.Name)
	if n == 0 || perSecond <= 0 || c.o.PollInterval <= 0 {
		return
	}
	round := time.Duration(float64(n) / perSecond * float64(time.Second))
	if round <= c.o.PollInterval {
		return
	}
	result := c.result(Warn, checkQuota, fmt.Sprintf("%d log groups at %.3g calls of FilterLogEvents a second take %v a round, longer than poll_interval (%v)",
		n, perSecond, round.Round(time.Second), c.o.PollInterval))
	result.Subject = "FilterLogEvents"
	result.Mend = "raise poll_interval, or let CloudWatch push: a subscription filter has no such quota"
	c.add(result)
}

// logRole checks the role with which API Gateway writes execution logs.
func (c *regionCheck) logRole() {
	logging, able := 0, 0
	for i := range c.region.APIs {
		api := &c.region.APIs[i]
		if api.Type == transaction.HTTP {
			continue // has no execution logs
		}
		able++
		for j := range api.Stages {
			if s := &api.Stages[j]; s.LoggingLevel == "INFO" || s.LoggingLevel == "ERROR" {
				logging++
			}
		}
	}
	if able == 0 || slices.ContainsFunc(c.region.Errors, func(f estate.Fault) bool { return strings.HasPrefix(f.What, "apigateway:GetAccount") }) {
		return
	}
	const check = "CloudWatch role"
	if c.region.LogRole != "" {
		result := c.result(OK, check, "API Gateway writes its logs with it")
		result.Subject = c.region.LogRole
		c.add(result)
		return
	}
	result := c.result(Warn, check, "API Gateway has no CloudWatch role in this region, so it cannot write execution logs")
	if logging > 0 {
		result.Status = Fail
		result.What += fmt.Sprintf(", which %d stages are told to", logging)
	}
	result.Mend = "make a role with the managed policy AmazonAPIGatewayPushToCloudWatchLogs that apigateway.amazonaws.com may assume, and set it in API Gateway's settings (apigateway:UpdateAccount)"
	c.add(result)
}
