package finding

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Cluster is an EKS cluster.
type Cluster struct {
	Name, Version string // of Kubernetes: "1.34"
	// Support is what happens at the end of standard support: STANDARD upgrades the
	// cluster, EXTENDED pays for a year more.
	Support            string
	AuthenticationMode string // CONFIG_MAP, API, API_AND_CONFIG_MAP
	PublicEndpoint     bool
	PublicCIDRs        []string
	PrivateEndpoint    bool
	Logging            []string // the types of control-plane logs that are on
	SecretsKey         string   // ARN of a KMS key; empty: a key of AWS's own
	DeletionProtection bool
	AccessEntries      []AccessEntry
	Unseen             []Part
}

// logs reports whether a type of control-plane log is on.
func (c *Cluster) logs(kind string) bool {
	for _, on := range c.Logging {
		if strings.EqualFold(on, kind) {
			return true
		}
	}
	return false
}

// AccessEntry lets an IAM principal into a cluster.
type AccessEntry struct {
	Principal string // ARN
	Groups    []string
	Policies  []AccessPolicy
	Tags      map[string]string
}

// AccessPolicy is an access policy of EKS that an entry has.
type AccessPolicy struct {
	ARN        string
	Scope      string // cluster, namespace
	Namespaces []string
}

// clusterAdminPolicy is the name of EKS's access policy that allows everything.
const clusterAdminPolicy = "/AmazonEKSClusterAdminPolicy"

// admin says by what the entry administers the whole cluster; empty: it does not, as
// far as EKS tells. What the cluster itself binds to the entry's groups is not known
// here.
func (e *AccessEntry) admin() string {
	for _, p := range e.Policies {
		if strings.HasSuffix(p.ARN, clusterAdminPolicy) && p.Scope != "namespace" {
			return "AmazonEKSClusterAdminPolicy on the whole cluster"
		}
	}
	if slices.Contains(e.Groups, "system:masters") {
		return "the group system:masters"
	}
	return ""
}

// lentTags begins the tags with which Gatehouse marks what it lends.
const lentTags = "gatehouse.dev/lent/"

// documented says why an entry is meant to administer the cluster: it is for
// emergencies, or it is lent until a time. Empty: nobody says so.
func (e *AccessEntry) documented() string {
	why := ""
	for key, value := range e.Tags {
		if strings.HasPrefix(key, lentTags) && value != "" && value != "none" {
			return "lent by Gatehouse, which takes it back"
		}
		if emergency(key) && !isNo(value) || emergency(value) {
			why = "for emergencies, as its tag " + key + " says"
		}
	}
	return why
}

// emergency reports whether a text speaks of access for emergencies.
func emergency(s string) bool {
	s = strings.NewReplacer("-", "", "_", "", " ", "", "/", "", ":", "", ".", "").Replace(strings.ToLower(s))
	return strings.Contains(s, "breakglass") || strings.Contains(s, "emergency")
}

func isNo(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "no", "false", "0", "off", "none":
		return true
	}
	return false
}

// openToAll reports whether networks let in addresses from all over the internet. An
// empty list does: EKS takes it for 0.0.0.0/0.
func openToAll(networks []string) (bool, error) {
	if len(networks) == 0 {
		return true, nil
	}
	open := false
	for _, text := range networks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return false, fmt.Errorf("the network %q cannot be understood", clip(text))
		}
		for _, a := range strangerAddresses {
			open = open || network.Contains(netip.MustParseAddr(a))
		}
	}
	return open, nil
}

// networks are a cluster's public networks as text.
func (c *Cluster) networks() string {
	if len(c.PublicCIDRs) == 0 {
		return "0.0.0.0/0"
	}
	return strings.Join(c.PublicCIDRs, ", ")
}
