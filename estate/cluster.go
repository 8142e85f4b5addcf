package estate

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// Cluster is an EKS cluster.
type Cluster struct {
	Name            string    `json:"name"`
	ARN             string    `json:"arn,omitempty"`
	Version         string    `json:"version,omitempty"` // of Kubernetes
	PlatformVersion string    `json:"platform_version,omitempty"`
	Status          string    `json:"status,omitempty"`
	Created         time.Time `json:"created,omitzero"`
	// AuthenticationMode is CONFIG_MAP, API or API_AND_CONFIG_MAP.
	AuthenticationMode string `json:"authentication_mode,omitempty"`
	Role               string `json:"role,omitempty"`
	Endpoint           string `json:"endpoint,omitempty"`
	// PublicEndpoint is reached from PublicCIDRs, PrivateEndpoint from the VPC.
	PublicEndpoint  bool     `json:"public_endpoint,omitempty"`
	PrivateEndpoint bool     `json:"private_endpoint,omitempty"`
	PublicCIDRs     []string `json:"public_cidrs,omitempty"`
	VPC             string   `json:"vpc,omitempty"`
	Subnets         []string `json:"subnets,omitempty"`
	SecurityGroups  []string `json:"security_groups,omitempty"`
	// Logging are the kinds of control-plane logs that are on: api, audit,
	// authenticator, controllerManager, scheduler.
	Logging []string `json:"logging,omitempty"`
	// SecretsKey is the ARN of the KMS key that secrets are encrypted with; empty: a
	// key of AWS's own.
	SecretsKey         string            `json:"secrets_key,omitempty"`
	OIDCIssuer         string            `json:"oidc_issuer,omitempty"`
	DeletionProtection bool              `json:"deletion_protection,omitempty"`
	SupportType        string            `json:"support_type,omitempty"` // STANDARD, EXTENDED
	AccessEntries      []AccessEntry     `json:"access_entries,omitempty"`
	Tags               map[string]string `json:"tags,omitempty"`
	// Unseen are the parts of the cluster that were not read: PartCluster for all but
	// the name, PartAccessEntries.
	Unseen []Part `json:"unseen,omitempty"`
}

// AccessEntry lets an IAM principal into a cluster.
type AccessEntry struct {
	Principal string            `json:"principal"` // ARN
	Type      string            `json:"type,omitempty"`
	Username  string            `json:"username,omitempty"`
	Groups    []string          `json:"groups,omitempty"`
	Created   time.Time         `json:"created,omitzero"`
	Policies  []AccessPolicy    `json:"policies,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
}

// AccessPolicy is an access policy of EKS that is associated with an access entry.
type AccessPolicy struct {
	ARN string `json:"arn"`
	// Scope is cluster or namespace.
	Scope      string   `json:"scope,omitempty"`
	Namespaces []string `json:"namespaces,omitempty"`
}

// eksPage is the largest page of EKS's listings.
const eksPage = 100

// readClusters reads the region's EKS clusters and who they let in.
func (r *regionReader) readClusters(ctx context.Context) []Cluster {
	names, err := all(ctx, func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := r.eks.ListClusters(ctx, &eks.ListClustersInput{MaxResults: aws.Int32(eksPage), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Clusters, out.NextToken, nil
	})
	if err != nil {
		r.missed(readClusterList, err, PartClusters)
	}
	slices.Sort(names)
	clusters := make([]Cluster, 0, len(names))
	for _, name := range names {
		out, err := r.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String(name)})
		if err != nil {
			r.missed(readCluster, err, "")
			clusters = append(clusters, Cluster{Name: name, Unseen: []Part{PartCluster, PartAccessEntries}})
			continue
		}
		c := Cluster{Name: name}
		if out.Cluster != nil {
			c = cluster(out.Cluster)
		}
		// A cluster that knows the ConfigMap alone refuses to list entries.
		if c.AuthenticationMode != string(types.AuthenticationModeConfigMap) {
			r.accessEntries(ctx, &c)
		}
		clusters = append(clusters, c)
	}
	return clusters
}

func cluster(in *types.Cluster) Cluster {
	c := Cluster{
		Name: aws.ToString(in.Name), ARN: aws.ToString(in.Arn), Version: aws.ToString(in.Version),
		PlatformVersion: aws.ToString(in.PlatformVersion), Status: string(in.Status), Created: utc(in.CreatedAt),
		Role: aws.ToString(in.RoleArn), Endpoint: aws.ToString(in.Endpoint),
		DeletionProtection: aws.ToBool(in.DeletionProtection), Tags: in.Tags,
		// Before there were modes, there was the ConfigMap.
		AuthenticationMode: string(types.AuthenticationModeConfigMap),
	}
	if a := in.AccessConfig; a != nil && a.AuthenticationMode != "" {
		c.AuthenticationMode = string(a.AuthenticationMode)
	}
	if v := in.ResourcesVpcConfig; v != nil {
		c.PublicEndpoint, c.PrivateEndpoint, c.PublicCIDRs = v.EndpointPublicAccess, v.EndpointPrivateAccess, v.PublicAccessCidrs
		c.VPC, c.Subnets, c.SecurityGroups = aws.ToString(v.VpcId), v.SubnetIds, v.SecurityGroupIds
		if group := aws.ToString(v.ClusterSecurityGroupId); group != "" && !slices.Contains(c.SecurityGroups, group) {
			c.SecurityGroups = append(c.SecurityGroups, group)
		}
	}
	if in.Logging != nil {
		for _, setup := range in.Logging.ClusterLogging {
			if aws.ToBool(setup.Enabled) {
				for _, t := range setup.Types {
					c.Logging = append(c.Logging, string(t))
				}
			}
		}
		slices.Sort(c.Logging)
	}
	for _, e := range in.EncryptionConfig {
		// Which resources it names says nothing any more: EKS encrypts all of them.
		if e.Provider != nil {
			c.SecretsKey = aws.ToString(e.Provider.KeyArn)
		}
	}
	if in.Identity != nil && in.Identity.Oidc != nil {
		c.OIDCIssuer = aws.ToString(in.Identity.Oidc.Issuer)
	}
	if in.UpgradePolicy != nil {
		c.SupportType = string(in.UpgradePolicy.SupportType)
	}
	return c
}

// accessEntries reads whom the cluster lets in. Between two full discoveries only
// entries that are new are read in detail.
func (r *regionReader) accessEntries(ctx context.Context, c *Cluster) {
	name := aws.String(c.Name)
	principals, err := all(ctx, func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := r.eks.ListAccessEntries(ctx, &eks.ListAccessEntriesInput{ClusterName: name, MaxResults: aws.Int32(eksPage), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.AccessEntries, out.NextToken, nil
	})
	if err != nil {
		c.Unseen = mark(c.Unseen, PartAccessEntries)
		r.missed(readAccessEntries, err, "")
	}
	slices.Sort(principals)
	for _, principal := range principals {
		if known := r.knownEntry(c, principal); known != nil {
			c.AccessEntries = append(c.AccessEntries, *known)
			continue
		}
		entry, whole := r.accessEntry(ctx, name, principal)
		if !whole {
			c.Unseen = mark(c.Unseen, PartAccessEntries)
		}
		c.AccessEntries = append(c.AccessEntries, entry)
	}
}

// knownEntry returns the entry as it was at the last discovery, or nil. A cluster
// that was made again under its name has another time of creation.
func (r *regionReader) knownEntry(c *Cluster, principal string) *AccessEntry {
	if r.before == nil {
		return nil
	}
	for i := range r.before.Clusters {
		was := &r.before.Clusters[i]
		if was.Name != c.Name || !was.Created.Equal(c.Created) || !was.Seen(PartAccessEntries) {
			continue
		}
		if j := slices.IndexFunc(was.AccessEntries, func(e AccessEntry) bool { return e.Principal == principal }); j >= 0 {
			return &was.AccessEntries[j]
		}
	}
	return nil
}

// accessEntry reads one entry; whole is false where a part of it could not be read.
func (r *regionReader) accessEntry(ctx context.Context, cluster *string, principal string) (entry AccessEntry, whole bool) {
	entry.Principal = principal
	out, err := r.eks.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: cluster, PrincipalArn: aws.String(principal)})
	if err != nil {
		r.missed(readAccessEntry, err, "")
		return entry, false
	}
	if e := out.AccessEntry; e != nil {
		entry.Type, entry.Username, entry.Groups = aws.ToString(e.Type), aws.ToString(e.Username), e.KubernetesGroups
		entry.Created, entry.Tags = utc(e.CreatedAt), e.Tags
	}
	policies, err := all(ctx, func(ctx context.Context, token *string) ([]types.AssociatedAccessPolicy, *string, error) {
		out, err := r.eks.ListAssociatedAccessPolicies(ctx, &eks.ListAssociatedAccessPoliciesInput{
			ClusterName: cluster, PrincipalArn: aws.String(principal), MaxResults: aws.Int32(eksPage), NextToken: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.AssociatedAccessPolicies, out.NextToken, nil
	})
	for i := range policies {
		p := AccessPolicy{ARN: aws.ToString(policies[i].PolicyArn)}
		if s := policies[i].AccessScope; s != nil {
			p.Scope, p.Namespaces = string(s.Type), s.Namespaces
		}
		entry.Policies = append(entry.Policies, p)
	}
	slices.SortFunc(entry.Policies, func(a, b AccessPolicy) int { return cmp.Compare(a.ARN, b.ARN) })
	if err != nil {
		r.missed(readEntryPolicies, err, "")
	}
	return entry, err == nil
}
