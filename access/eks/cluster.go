package eks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/account"
)

// AWS makes configurations of AWS clients: an account.Accounts does.
type AWS interface {
	Config(t account.Target, region string) aws.Config
	// Region is the region of the base credentials.
	Region() string
}

var _ AWS = (*account.Accounts)(nil)

// Options are what clusters are reached with.
type Options struct {
	// AWS reaches accounts. Nil: clusters are reached with what their integration
	// says alone, and what AWS knows is not seen.
	AWS AWS
	// Installation returns the id of this installation of Gatehouse, which is made once
	// and kept with what it lends: at most 63 letters, digits, -, _ and dots. Nil: it has
	// none, and nobody else lends in its clusters under the same names.
	Installation func(ctx context.Context) (string, error)
	// Ledger tells what this installation has lent, for things in clusters from before
	// installations had ids. Nil: nothing of those is known to be its own.
	Ledger Ledger
	// People returns the IDs of the people known, for names that would be one in a
	// cluster. Nil: none are known.
	People     func(ctx context.Context) []string
	Logger     *slog.Logger          // nil: no log
	Registerer prometheus.Registerer // nil: no metrics
	Clock      func() time.Time      // nil: time.Now
	Getenv     func(string) string   // nil: os.Getenv
	// ServiceAccount is the folder with token, ca.crt and namespace of the pod that
	// Gatehouse runs in; empty: where Kubernetes mounts it.
	ServiceAccount string
	// Rate is the requests a second to one Kubernetes API server; 0: 200.
	Rate float64
	// Timeout of one request to a Kubernetes API server; 0: 15 s.
	Timeout time.Duration
}

const (
	defaultRate    = 200
	defaultTimeout = 15 * time.Second

	// clusterFor is how long what DescribeCluster said is believed, and templatesFor
	// how long the templates of the shared role are: they are read for every binding.
	clusterFor   = 5 * time.Minute
	templatesFor = 20 * time.Second
	// describeWithin bounds a question to EKS that an older answer can stand in for, and
	// doubtAfter is how long what was read is believed although the cluster is not reached.
	describeWithin = 5 * time.Second
	doubtAfter     = 5 * time.Second

	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// Clusters are the connections to clusters, shared by both provisioners. It is safe for
// concurrent use.
type Clusters struct {
	opts    Options
	metrics *metrics

	mu        sync.Mutex
	conns     map[string]*connection // by the integration's name
	installed string                 // the id of the installation, once known
}

// New returns Clusters. It calls nothing.
func New(o Options) (*Clusters, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	o.ServiceAccount = cmp.Or(o.ServiceAccount, serviceAccount)
	o.Rate = cmp.Or(o.Rate, defaultRate)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	return &Clusters{opts: o, metrics: m, conns: map[string]*connection{}}, nil
}

// connection is one integration's way to its cluster. What it has found out is kept for
// a while; a changed integration has a new connection.
type connection struct {
	*settings
	all    *Clusters
	digest [sha256.Size]byte
	limit  *rate.Limiter
	// aftermath is held by whoever looks what somebody may still do at the end.
	aftermath sync.Mutex

	mu        sync.Mutex
	cluster   *types.Cluster
	clusterAt time.Time
	kube      *kube
	inCluster bool
	kubeFrom  string // the server and authority that kube was made for
	token     bearer
	account   string // of the cluster, once known
	live      *liveNames
	liveAt    time.Time
	roles     map[string]roleRules // by path
	refusedAt time.Time            // when the cluster last refused to say what others may
	noOlderAt time.Time            // when the last list had nothing from before installations had ids; zero: it had
}

// connect returns the connection of an integration, without any I/O.
func (c *Clusters) connect(i *access.Integration, s *settings) (*connection, error) {
	// JSON of maps is sorted, so the same settings have the same text.
	text, err := json.Marshal([]any{i.Type, i.Config, i.Secret})
	if err != nil {
		return nil, fmt.Errorf("integration %s: %w", i.Name, err)
	}
	digest := sha256.Sum256(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	// Two types of one name cannot be, but an integration may change its type.
	if have := c.conns[i.Name]; have != nil && have.digest == digest {
		return have, nil
	}
	conn := &connection{
		settings: s, all: c, digest: digest, account: s.account,
		limit: rate.NewLimiter(rate.Limit(c.opts.Rate), max(1, int(c.opts.Rate))),
	}
	c.conns[i.Name] = conn
	return conn, nil
}

// errNoAWS is why AWS cannot be asked.
var errNoAWS = errors.New("gatehouse has no AWS credentials here; set config.server_url, config.certificate_authority and a secret store, or give it an AWS role")

// config is the configuration for AWS clients of the cluster's account.
func (c *connection) config() (aws.Config, error) {
	if c.all.opts.AWS == nil {
		return aws.Config{}, errNoAWS
	}
	region := cmp.Or(c.region, c.all.opts.AWS.Region())
	t := account.Target{Account: c.account}
	if c.role != "" {
		t.RoleARN = roleARN(c.role, partitionOf(region), c.accountSetting())
		if t.RoleARN == "" {
			return aws.Config{}, fmt.Errorf("integration %s: config.%s is a name; write the role's ARN, or set config.%s", c.integration, keyRole, keyAccount)
		}
		t.Account = accountOf(t.RoleARN)
	}
	return c.all.opts.AWS.Config(t, region), nil
}

// accountSetting is the account as the integration gives it: t.Account of a role must
// not come from what that role found out.
func (c *connection) accountSetting() string { return c.settings.account }

func (c *connection) eksClient() (*eks.Client, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	return eks.NewFromConfig(cfg), nil
}

func (c *connection) iamClient() (*iam.Client, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	return iam.NewFromConfig(cfg), nil
}

func (c *connection) stsClient() (*sts.Client, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	return sts.NewFromConfig(cfg), nil
}

// describe returns the cluster as EKS knows it, at most so old; 0: as it is now.
func (c *connection) describe(ctx context.Context, atMost time.Duration) (*types.Cluster, error) {
	now := c.all.opts.Clock()
	c.mu.Lock()
	have, at := c.cluster, c.clusterAt
	c.mu.Unlock()
	if have != nil && now.Sub(at) < atMost {
		return have, nil
	}
	client, err := c.eksClient()
	if err != nil {
		return nil, err
	}
	out, err := client.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &c.settings.cluster})
	if err != nil {
		return nil, fmt.Errorf("eks:DescribeCluster of %s: %w", c.settings.cluster, refused(err))
	}
	if out.Cluster == nil {
		return nil, fmt.Errorf("eks:DescribeCluster of %s answered without a cluster", c.settings.cluster)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cluster, c.clusterAt = out.Cluster, now
	if c.account == "" {
		c.account = accountOf(aws.ToString(out.Cluster.Arn))
	}
	return out.Cluster, nil
}

// accountID is the account of the cluster and of the shared role; empty if it is not
// known without asking.
func (c *connection) accountID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(c.accessRole, "arn:") {
		return accountOf(c.accessRole)
	}
	return c.account
}

// regionName is the cluster's region, as far as is known without asking.
func (c *connection) regionName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.region != "" {
		return c.region
	}
	if c.cluster != nil {
		if part := strings.SplitN(aws.ToString(c.cluster.Arn), ":", 6); len(part) == 6 {
			return part[3]
		}
	}
	if c.all.opts.AWS != nil {
		return c.all.opts.AWS.Region()
	}
	return ""
}

func (c *connection) partition() string {
	if part := strings.SplitN(c.accessRole, ":", 3); part[0] == "arn" {
		return part[1]
	}
	return partitionOf(c.regionName())
}

// api returns a client of the cluster's Kubernetes API. Where the server is: the
// settings; else the secret; else, with none of region, account and role set and
// Gatehouse in a cluster, that cluster; else what EKS says.
func (c *connection) api(ctx context.Context) (*kube, error) {
	server, authority := c.server, c.authority
	creds := c.token.own(c)
	inCluster := false
	switch {
	case c.secret != nil:
		found, err := c.secretOf(ctx)
		if err != nil {
			return nil, err
		}
		server = orElse(server, found.server)
		if len(authority) == 0 {
			authority = found.authority
		}
		if found.token != "" {
			creds = c.token.stored(c)
		}
	case c.besideUs():
		inCluster = true
		host, port := c.all.opts.Getenv("KUBERNETES_SERVICE_HOST"), c.all.opts.Getenv("KUBERNETES_SERVICE_PORT")
		server = "https://" + net.JoinHostPort(host, orElse(port, "443"))
		pem, err := os.ReadFile(filepath.Join(c.all.opts.ServiceAccount, "ca.crt"))
		if err != nil {
			return nil, fmt.Errorf("integration %s: the certificate authority of the cluster that gatehouse runs in: %w", c.integration, err)
		}
		authority, creds = pem, c.token.mounted(c)
	}
	if server == "" || len(authority) == 0 && c.server == "" {
		found, err := c.whereabouts(ctx)
		if err != nil {
			return nil, fmt.Errorf("integration %s: config.%s and config.%s are not set: %w", c.integration, keyServer, keyAuthority, err)
		}
		if server == "" {
			if server = aws.ToString(found.Endpoint); server == "" {
				return nil, fmt.Errorf("integration %s: the cluster %s has no endpoint yet; its status is %s", c.integration, c.settings.cluster, found.Status)
			}
		}
		if len(authority) == 0 && found.CertificateAuthority != nil {
			if authority, err = readAuthority(aws.ToString(found.CertificateAuthority.Data)); err != nil {
				return nil, fmt.Errorf("integration %s: the certificate authority that EKS answered: %w", c.integration, err)
			}
		}
	}
	if !strings.HasPrefix(server, "https://") {
		return nil, fmt.Errorf("integration %s: the API server's URL is not https", c.integration)
	}
	from := server + "\x00" + string(authority)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kube != nil && c.kubeFrom == from {
		return c.kube, nil
	}
	k, err := newKube(server, authority, creds, c.limit, c.all.opts.Timeout)
	if err != nil {
		return nil, fmt.Errorf("integration %s: %w", c.integration, err)
	}
	k.unreached = c.doubt
	c.kube, c.kubeFrom, c.inCluster = k, from, inCluster
	return k, nil
}

// whereabouts is the cluster as EKS knows it, for its address and certificates. Where EKS
// does not answer, what it said before has to do: whoever answers there must still have a
// certificate of the cluster's, and access is taken back also while EKS is away.
func (c *connection) whereabouts(ctx context.Context) (*types.Cluster, error) {
	c.mu.Lock()
	have := c.cluster
	c.mu.Unlock()
	if have == nil {
		return c.describe(ctx, clusterFor)
	}
	bound, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	found, err := c.describe(bound, clusterFor)
	if err != nil && ctx.Err() == nil && !isNotFound(err) {
		c.all.opts.Logger.WarnContext(ctx, "reaching a cluster by what EKS said before", "integration", c.integration, "error", err)
		return have, nil
	}
	return found, err
}

// doubt has EKS and the secret store asked again where the cluster is, after it was not
// reached: its certificates may have been replaced, or it may be elsewhere.
func (c *connection) doubt() {
	now := c.all.opts.Clock()
	c.mu.Lock()
	if now.Sub(c.clusterAt) >= doubtAfter {
		c.clusterAt = time.Time{}
	}
	c.mu.Unlock()
	c.token.mu.Lock()
	defer c.token.mu.Unlock()
	if now.Sub(c.token.read) >= doubtAfter {
		c.token.read = time.Time{}
	}
}

// besideUs reports whether the cluster is taken to be the one that Gatehouse runs in:
// the settings that would lead to another are empty.
func (c *connection) besideUs() bool {
	return c.server == "" && c.region == "" && c.role == "" && c.settings.account == "" && c.all.opts.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// endpoint is the server and authority by which people reach the cluster: those of the
// connection that was made, else those of the settings. In a pod the connection's are the
// cluster's own, which nobody outside can use.
func (c *connection) endpoint() (server, authority string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.inCluster {
		server, authority, _ = strings.Cut(c.kubeFrom, "\x00")
	}
	if server == "" && len(c.authority) > 0 {
		return c.server, string(c.authority)
	}
	return server, authority
}
