package awssim

import "sync"

// Region is what one account has in one region.
type Region struct {
	account *Account
	name    string
	logs    *Logs

	mu      sync.RWMutex
	rest    map[string]*restAPI
	apis    map[string]*routeAPI
	logRole string
	// objects are what the region has beside APIs, by the path that lists them.
	objects map[string][]Object
	// policies are the resource policies of CloudWatch Logs.
	policies []Object
	clusters []*cluster
	// functions are Lambda functions by name, and webACLs those of AWS WAF by ARN.
	functions map[string]*function
	webACLs   map[string]*webACL
	// clusterDelays are how long EKS takes.
	clusterDelays ClusterDelays
}

// The statuses that decide: of a region, and of an account.
const (
	statusDisabled = "DISABLED"
	statusActive   = "ACTIVE"
)

// regionStatus is AWS's own regions with their opt status before an account
// changes it.
var regionStatus = map[string]string{
	"af-south-1":     statusDisabled,
	"ap-east-1":      statusDisabled,
	"ap-east-2":      statusDisabled,
	"ap-northeast-1": "ENABLED_BY_DEFAULT",
	"ap-northeast-2": "ENABLED_BY_DEFAULT",
	"ap-northeast-3": "ENABLED_BY_DEFAULT",
	"ap-south-1":     "ENABLED_BY_DEFAULT",
	"ap-south-2":     statusDisabled,
	"ap-southeast-1": "ENABLED_BY_DEFAULT",
	"ap-southeast-2": "ENABLED_BY_DEFAULT",
	"ap-southeast-3": statusDisabled,
	"ap-southeast-4": statusDisabled,
	"ap-southeast-5": statusDisabled,
	"ap-southeast-7": statusDisabled,
	"ca-central-1":   "ENABLED_BY_DEFAULT",
	"ca-west-1":      statusDisabled,
	"eu-central-1":   "ENABLED_BY_DEFAULT",
	"eu-central-2":   statusDisabled,
	"eu-north-1":     "ENABLED_BY_DEFAULT",
	"eu-south-1":     statusDisabled,
	"eu-south-2":     statusDisabled,
	"eu-west-1":      "ENABLED_BY_DEFAULT",
	"eu-west-2":      "ENABLED_BY_DEFAULT",
	"eu-west-3":      "ENABLED_BY_DEFAULT",
	"il-central-1":   statusDisabled,
	"me-central-1":   statusDisabled,
	"me-south-1":     statusDisabled,
	"mx-central-1":   statusDisabled,
	"sa-east-1":      "ENABLED_BY_DEFAULT",
	"us-east-1":      "ENABLED_BY_DEFAULT",
	"us-east-2":      "ENABLED_BY_DEFAULT",
	"us-west-1":      "ENABLED_BY_DEFAULT",
	"us-west-2":      "ENABLED_BY_DEFAULT",
}

func newRegion(a *Account, name string) *Region {
	r := &Region{
		account: a,
		name:    name,
		rest:    map[string]*restAPI{},
		apis:    map[string]*routeAPI{},

		functions: map[string]*function{},
	}
	r.logs = newLogs(r)
	return r
}

// Name is the region's name.
func (r *Region) Name() string { return r.name }

// Logs is the region's CloudWatch Logs.
func (r *Region) Logs() *Logs { return r.logs }

// SetLogRole sets API Gateway's CloudWatch role of this account and region, as
// GetAccount shows it.
func (r *Region) SetLogRole(arn string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logRole = arn
}

// arn makes an ARN of the region: arn("logs", "log-group:x").
func (r *Region) arn(service, rest string) string {
	return "arn:" + r.account.sim.partition + ":" + service + ":" + r.name + ":" + r.account.id + ":" + rest
}
