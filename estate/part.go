package estate

import "slices"

// Part names a part of the estate that can be read, or not, apart from the rest.
type Part string

// The parts. What holds a part lists it among its Unseen where it was not read, or
// not whole: of such a part, nothing that is absent is known to be absent.
const (
	// PartREST and PartV2 are the listings of a region's APIs.
	PartREST               Part = "rest_apis"
	PartV2                 Part = "http_and_websocket_apis"
	PartAccount            Part = "api_gateway_account" // LogRole and Throttle
	PartUsagePlans         Part = "usage_plans"
	PartKeys               Part = "api_keys"
	PartDomains            Part = "domains"
	PartMappings           Part = "mappings"
	PartVPCLinks           Part = "vpc_links"
	PartClientCertificates Part = "client_certificates"

	PartStages           Part = "stages"
	PartRoutes           Part = "routes"
	PartIntegrations     Part = "integrations"
	PartAuthorizers      Part = "authorizers"
	PartValidators       Part = "validators"
	PartModels           Part = "models"
	PartGatewayResponses Part = "gateway_responses"
	PartDeployments      Part = "deployments"

	PartLogGroups      Part = "log_groups"
	PartDeliveries     Part = "deliveries"
	PartLogPolicies    Part = "log_policies"
	PartSubscriptions  Part = "subscriptions"
	PartMetricFilters  Part = "metric_filters"
	PartDataProtection Part = "data_protection"

	PartPrincipals    Part = "principals"
	PartClusters      Part = "clusters"
	PartCluster       Part = "cluster"
	PartAccessEntries Part = "access_entries"

	PartWebACL                Part = "web_acl"
	PartWebACLLogging         Part = "web_acl_logging"
	PartFunctionConfiguration Part = "function_configuration"
	PartFunctionPolicy        Part = "function_policy"
	PartFunctionURLs          Part = "function_urls"
)

// Seen reports whether a part of the region was read whole.
func (r *Region) Seen(p Part) bool { return !slices.Contains(r.Unseen, p) }

// Seen reports whether a part of the API was read whole.
func (a *API) Seen(p Part) bool { return !slices.Contains(a.Unseen, p) }

// Seen reports whether a part of the log group was read whole.
func (g *LogGroup) Seen(p Part) bool { return !slices.Contains(g.Unseen, p) }

// Seen reports whether a part of the cluster was read whole.
func (c *Cluster) Seen(p Part) bool { return !slices.Contains(c.Unseen, p) }

// mark adds a part to what was not seen, once.
func mark(unseen []Part, p Part) []Part {
	if slices.Contains(unseen, p) {
		return unseen
	}
	return append(unseen, p)
}
