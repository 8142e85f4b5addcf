package invoke

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
)

// Type is the type of integrations that lend APIs.
const Type = "api-gateway"

// authIAM is the authorization of methods that ask for signed requests.
const authIAM = "AWS_IAM"

// AWS makes configurations of AWS clients: an account.Accounts does.
type AWS interface {
	Config(t account.Target, region string) aws.Config
	// Region is the region of the base credentials.
	Region() string
}

var _ AWS = (*account.Accounts)(nil)

// Options are what APIs are lent with.
type Options struct {
	// AWS reaches accounts. Its base credentials assume the invoker roles. Nil: nothing
	// can be lent.
	AWS AWS
	// Estate returns the last discovery, or nil if there was none. Which routes an API
	// has is read there.
	Estate     func(context.Context) (*estate.Snapshot, error)
	Logger     *slog.Logger          // nil: no log
	Registerer prometheus.Registerer // nil: no metrics
	Clock      func() time.Time      // nil: time.Now
	// Settle is how long IAM is given to make a denial known everywhere after it shows
	// it itself; 0: 10 s.
	Settle time.Duration
	// VendEvery and VendBurst limit the sessions that one person begins; 0: one in 5 s,
	// after 10 at once.
	VendEvery time.Duration
	VendBurst int
}

// controlSession is the name of the sessions with which roles are read and changed.
const controlSession = "gatehouse"

const (
	defaultSettle = 10 * time.Second
	defaultEvery  = 5 * time.Second
	defaultBurst  = 10

	// maxPeople bounds the memory for limits, and maxCached that for credentials.
	maxPeople = 10_000
	maxCached = 10_000
)

// Lender lends APIs. It is safe for concurrent use.
type Lender struct {
	opts    Options
	metrics *metrics
	sleep   func(ctx context.Context, d time.Duration) error

	mu       sync.Mutex
	switches map[string]*denySwitch           // by integration, digest of its settings, and role
	controls map[string]*aws.CredentialsCache // by integration and digest of its settings
	skews    map[string]skew                  // by the same
	limits   map[string]*rate.Limiter
	sessions map[string]*vended
}

var (
	_ access.Provisioner = (*Lender)(nil)
	_ access.Revealer    = (*Lender)(nil)
	_ access.Sparse      = (*Lender)(nil)
)

// New returns a Lender. It calls nothing.
func New(o Options) (*Lender, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Estate == nil {
		o.Estate = func(context.Context) (*estate.Snapshot, error) { return nil, nil } //nolint:nilnil // nothing is known
	}
	o.Settle, o.VendEvery, o.VendBurst = cmp.Or(o.Settle, defaultSettle), cmp.Or(o.VendEvery, defaultEvery), cmp.Or(o.VendBurst, defaultBurst)
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	return &Lender{
		opts: o, metrics: m, sleep: sleep,
		switches: map[string]*denySwitch{}, controls: map[string]*aws.CredentialsCache{}, skews: map[string]skew{}, limits: map[string]*rate.Limiter{}, sessions: map[string]*vended{},
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Type is "api-gateway".
func (*Lender) Type() string { return Type }

// Sparse is true: nothing stands in AWS while access is lent.
func (*Lender) Sparse() bool { return true }

// ResourceTypes are APIs, stages and routes.
func (*Lender) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{
		{Name: resourceAPI, Title: "API"},
		{Name: resourceStage, Title: "Stage"},
		{Name: resourceRoute, Title: "Route"},
	}
}

// Validate returns an error for settings that cannot be right.
func (*Lender) Validate(i *access.Integration) error {
	_, err := readSettings(i)
	return err
}

// connection is one integration with its settings read.
type connection struct {
	*settings
	lender    *Lender
	id        string // changes with the settings
	partition string
}

func (l *Lender) connect(i *access.Integration) (*connection, error) {
	s, err := readSettings(i)
	if err != nil {
		return nil, fmt.Errorf("integration %s: %w", i.Name, err)
	}
	// JSON of maps is sorted, so the same settings have the same text.
	text, err := json.Marshal(i.Config)
	if err != nil {
		return nil, fmt.Errorf("integration %s: %w", i.Name, err)
	}
	sum := sha256.Sum256(text)
	return &connection{settings: s, lender: l, id: i.Name + "\x00" + string(sum[:]), partition: account.PartitionOf(s.region)}, nil
}

// base is the configuration with which invoker roles are assumed.
func (c *connection) base() (aws.Config, error) {
	if c.lender.opts.AWS == nil {
		return aws.Config{}, errNoAWS
	}
	return c.lender.opts.AWS.Config(account.Target{}, c.region), nil
}

func (c *connection) sts() (*sts.Client, error) {
	cfg, err := c.base()
	if err != nil {
		return nil, err
	}
	return sts.NewFromConfig(cfg), nil
}

// control is the configuration with which the role is read and its sessions denied.
func (c *connection) control() (aws.Config, error) {
	l := c.lender
	if l.opts.AWS == nil {
		return aws.Config{}, errNoAWS
	}
	cfg := l.opts.AWS.Config(account.Target{Account: c.account}, c.region)
	if c.settings.control == "" {
		return cfg, nil
	}
	base, err := c.sts()
	if err != nil {
		return aws.Config{}, err
	}
	cfg = l.opts.AWS.Config(account.Target{}, c.region).Copy()
	l.mu.Lock()
	defer l.mu.Unlock()
	cache := l.controls[c.id]
	if cache == nil {
		cache = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(base, c.settings.control, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.Duration = controlSession, maxSession
			if c.externalID != "" {
				o.ExternalID = &c.externalID
			}
		}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute })
		l.controls[c.id] = cache
	}
	cfg.Credentials = cache
	return cfg, nil
}

func (c *connection) iam() (*awsiam.Client, error) {
	cfg, err := c.control()
	if err != nil {
		return nil, err
	}
	return awsiam.NewFromConfig(cfg), nil
}

// refused is refused for a call with the credentials of control. Those that AWS takes for
// too old, because a clock jumped, are made anew by the next call.
func (c *connection) refused(err error) error {
	if account.Classify(err) == account.Expired {
		c.lender.mu.Lock()
		defer c.lender.mu.Unlock()
		delete(c.lender.controls, c.id)
	}
	return refused(err)
}

// switchOf is the switch of a role. Integrations that share a role have one each, and
// so a policy each.
func (c *connection) switchOf(role string) *denySwitch {
	l := c.lender
	l.mu.Lock()
	defer l.mu.Unlock()
	key := c.id + "\x00" + role
	s := l.switches[key]
	if s == nil {
		s = newDenySwitch(role, c.iam, c.refused, l.opts.Logger, l.opts.Clock)
		l.switches[key] = s
	}
	return s
}

// api is an API of the integration as it was discovered last; nil: it is not known.
func (c *connection) api(s *estate.Snapshot, id string) *estate.API {
	for _, r := range c.regions(s) {
		for n := range r.APIs {
			if r.APIs[n].ID == id {
				return &r.APIs[n]
			}
		}
	}
	return nil
}

func (c *connection) regions(s *estate.Snapshot) []*estate.Region {
	var out []*estate.Region
	if s == nil {
		return nil
	}
	for a := range s.Accounts {
		if s.Accounts[a].ID != c.account {
			continue
		}
		for r := range s.Accounts[a].Regions {
			if s.Accounts[a].Regions[r].Name == c.region {
				out = append(out, &s.Accounts[a].Regions[r])
			}
		}
	}
	return out
}

// lends reports whether a stage is one that is lent.
func (c *connection) lends(stage string) bool {
	return len(c.stages) == 0 || slices.Contains(c.stages, stage)
}

var errNoSession = errors.New("sts:AssumeRole answered without credentials")
