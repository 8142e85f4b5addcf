package estate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/account"
)

// read names one kind of read: the operation, for people, and the IAM action
// and resource that allow it. API Gateway's control plane has no action per
// operation: every read is apigateway:GET on a path.
type read struct {
	operation string
	action    string
	resource  string // an ARN with %[1]s partition, %[2]s region, %[3]s account
}

var (
	readRestAPIs      = read{"apigateway:GetRestApis", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis"}
	readStages        = read{"apigateway:GetStages", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis/*/stages"}
	readResources     = read{"apigateway:GetResources", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis/*/resources"}
	readAuthorizers   = read{"apigateway:GetAuthorizers", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis/*/authorizers"}
	readAccount       = read{"apigateway:GetAccount", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/account"}
	readAPIs          = read{"apigatewayv2:GetApis", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/apis"}
	readV2Stages      = read{"apigatewayv2:GetStages", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/apis/*/stages"}
	readV2Routes      = read{"apigatewayv2:GetRoutes", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/apis/*/routes"}
	readV2Integration = read{"apigatewayv2:GetIntegrations", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/apis/*/integrations"}
	readV2Authorizers = read{"apigatewayv2:GetAuthorizers", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/apis/*/authorizers"}
	readDeliveries    = read{"logs:DescribeDeliveries", "logs:DescribeDeliver*", "arn:%[1]s:logs:%[2]s:%[3]s:delivery*"}
	readValidators    = read{"apigateway:GetRequestValidators", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis/*/requestvalidators"}
	readModels        = read{"apigateway:GetModels", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis/*/models"}
	readResponses     = read{"apigateway:GetGatewayResponses", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis/*/gatewayresponses"}
	readDeployments   = read{"apigateway:GetDeployments", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/restapis/*/deployments*"}
	readUsagePlans    = read{"apigateway:GetUsagePlans", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/usageplans"}
	readUsagePlanKeys = read{"apigateway:GetUsagePlanKeys", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/usageplans/*/keys"}
	readDomainNames   = read{"apigateway:GetDomainNames", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/domainnames"}
	readBasePaths     = read{"apigateway:GetBasePathMappings", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/domainnames/*/basepathmappings"}
	readAPIMappings   = read{"apigatewayv2:GetApiMappings", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/domainnames/*/apimappings"}
	readVPCLinks      = read{"apigateway:GetVpcLinks", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/vpclinks"}
	readV2VPCLinks    = read{"apigatewayv2:GetVpcLinks", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/vpclinks"}
	readCertificates  = read{"apigateway:GetClientCertificates", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/clientcertificates"}
	readV2Models      = read{"apigatewayv2:GetModels", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/apis/*/models"}
	readV2Deployments = read{"apigatewayv2:GetDeployments", "apigateway:GET", "arn:%[1]s:apigateway:%[2]s::/apis/*/deployments"}
	readSubscriptions = read{"logs:DescribeSubscriptionFilters", "logs:DescribeSubscriptionFilters", "arn:%[1]s:logs:%[2]s:%[3]s:log-group:*"}
	readMetricFilters = read{"logs:DescribeMetricFilters", "logs:DescribeMetricFilters", "arn:%[1]s:logs:%[2]s:%[3]s:log-group:*"}
	readProtection    = read{"logs:GetDataProtectionPolicy", "logs:GetDataProtectionPolicy", "arn:%[1]s:logs:%[2]s:%[3]s:log-group:*"}
	readLogPolicies   = read{"logs:DescribeResourcePolicies", "logs:DescribeResourcePolicies", "*"}
	readClusterList   = read{"eks:ListClusters", "eks:ListClusters", "*"}
	readCluster       = read{"eks:DescribeCluster", "eks:DescribeCluster", "arn:%[1]s:eks:%[2]s:%[3]s:cluster/*"}
	readAccessEntries = read{"eks:ListAccessEntries", "eks:ListAccessEntries", "arn:%[1]s:eks:%[2]s:%[3]s:cluster/*"}
	readAccessEntry   = read{"eks:DescribeAccessEntry", "eks:DescribeAccessEntry", "arn:%[1]s:eks:%[2]s:%[3]s:access-entry/*"}
	readEntryPolicies = read{"eks:ListAssociatedAccessPolicies", "eks:ListAssociatedAccessPolicies", "arn:%[1]s:eks:%[2]s:%[3]s:access-entry/*"}
	readWebACL        = read{"wafv2:GetWebACL", "wafv2:GetWebACL", "arn:%[1]s:wafv2:%[2]s:%[3]s:regional/webacl/*"}
	readWebACLLogging = read{"wafv2:GetLoggingConfiguration", "wafv2:GetLoggingConfiguration", "arn:%[1]s:wafv2:%[2]s:%[3]s:regional/webacl/*"}
	readLogGroups     = read{"logs:DescribeLogGroups", "logs:DescribeLogGroups", "arn:%[1]s:logs:%[2]s:%[3]s:log-group:*"}
)

// The reads of Lambda functions.
var (
	readFunctionConfiguration = read{"lambda:GetFunctionConfiguration", "lambda:GetFunctionConfiguration", "arn:%[1]s:lambda:%[2]s:%[3]s:function:*"}
	readFunctionPolicy        = read{"lambda:GetPolicy", "lambda:GetPolicy", "arn:%[1]s:lambda:%[2]s:%[3]s:function:*"}
	readFunctionURLs          = read{"lambda:ListFunctionUrlConfigs", "lambda:ListFunctionUrlConfigs", "arn:%[1]s:lambda:%[2]s:%[3]s:function:*"}
)

// place is where reads are made.
type place struct {
	target account.Target
	region string
}

// fault tells what a read that failed means; subject says of what it was, and
// may be empty.
func (p place) fault(r read, subject string, err error) Fault {
	f := Fault{
		What: r.operation, Error: account.Text(err), Mend: p.mend(r, err), Class: account.Classify(err),
		Action: r.action, Resource: p.resource(r),
	}
	if subject != "" {
		f.What += " of " + subject
	}
	return f
}

// resource is the ARN that a read asks for here.
func (p place) resource(r read) string {
	// A resource without a place for the account, as API Gateway's, leaves it out.
	return strings.NewReplacer("%[1]s", account.PartitionOf(p.region), "%[2]s", p.region, "%[3]s", p.target.Account).Replace(r.resource)
}

func (p place) mend(r read, err error) string {
	var mender interface{ Mend() string }
	if errors.As(err, &mender) {
		return mender.Mend()
	}
	who := "the credentials of account " + p.target.Account
	if p.target.RoleARN != "" {
		who = p.target.RoleARN
	}
	switch account.Classify(err) {
	case account.Denied:
		return fmt.Sprintf("allow %s on %s to %s; where the policy allows it already, a service control policy forbids it, "+
			"or the region %s is not enabled in the account", r.action, p.resource(r), who, p.region)
	case account.Throttled:
		return "AWS throttles the calls: the next discovery tries again; if it stays, other programs use the quota of the account"
	case account.Expired:
		return "the credentials ended in the middle or the clock is wrong: the next discovery renews them; if it stays, check the clock"
	case account.Transient, account.Cut:
		return "the next discovery tries again; if it stays, check the network, AWS_ENDPOINT_URL and AWS's health dashboard"
	case account.Gone:
		return "it was deleted in the middle of the discovery; the next one will not find it"
	case account.ClassNone, account.Invalid, account.Canceled:
	}
	return ""
}

// addFault adds f once: reads of the same kind that are mended alike are one,
// though each has a request id of its own.
func addFault(faults []Fault, f Fault) []Fault {
	if slices.ContainsFunc(faults, func(g Fault) bool { return g.What == f.What && g.Mend == f.Mend }) {
		return faults
	}
	return append(faults, f)
}

// sortFaults puts faults in the order of the operations.
func sortFaults(faults []Fault) {
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.What, b.What) })
}

// maxPages bounds a listing that its service never ends.
const maxPages = 10_000

// all reads every page of a listing. What was read before an error is returned
// with it. A token that comes twice in a row would be followed for ever and is
// an error.
func all[T any](ctx context.Context, page func(ctx context.Context, token *string) ([]T, *string, error)) ([]T, error) {
	var items []T
	var token *string
	for range maxPages {
		got, next, err := page(ctx, token)
		if err != nil {
			return items, err
		}
		items = append(items, got...)
		if next == nil || *next == "" {
			return items, nil
		}
		if token != nil && *token == *next {
			return items, fmt.Errorf("the listing gives the same token %q again and does not end", clip(*next))
		}
		token = next
	}
	return items, fmt.Errorf("the listing does not end after %d pages", maxPages)
}

func clip(s string) string {
	if len(s) > 20 {
		return s[:20] + "…"
	}
	return s
}
