package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// defaultSession is the session name of roles that are given none; it is
	// what CloudTrail of the target account shows.
	defaultSession = "gatehouse"

	allRegions = "all"

	defaultMaxAttempts = 6
	defaultMaxBackoff  = 20 * time.Second

	// Idle connections that are kept: a host is one service in one region, for
	// all accounts.
	maxIdle        = 1024 // a large estate is read with some 600 calls at once
	maxIdlePerHost = 32
)

// The shapes that STS documents. They are checked once, when the Accounts are
// made.
var (
	sessionNameShape = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalIDShape  = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
	roleNameShape    = regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`)
	regionShape      = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$`)
)

// Options are what Accounts need beside their Config. The zero value works.
type Options struct {
	Logger     *slog.Logger          // nil: no log
	Registerer prometheus.Registerer // nil: no metrics
	Clock      func() time.Time      // nil: time.Now
	HTTPClient aws.HTTPClient        // nil: the SDK's own
	// MaxAttempts of one call, the first included, and the longest wait between
	// two of them. 0: AWS_MAX_ATTEMPTS or 6, and 20 s.
	MaxAttempts int
	MaxBackoff  time.Duration
	// AttemptTimeout ends one attempt that gets no answer. 0: 60 s.
	AttemptTimeout time.Duration
	// BaseConfig stands in the place of the default chain.
	BaseConfig *aws.Config
}

// Accounts makes the configurations of AWS clients: for each account and region
// the right temporary credentials, one set of rate limits for all, and the same
// way to retry. It is safe for concurrent use.
type Accounts struct {
	cfg     Config
	clock   func() time.Time
	logger  *slog.Logger
	metrics *metrics
	limiter *limiter
	timeout time.Duration

	base     aws.Config // without credentials
	baseLink *link
	entry    *link           // what account roles are assumed from: the hub, or the base
	roles    map[string]Role // as configured, by ARN

	mu      sync.Mutex
	links   map[string]*link // by role ARN
	configs map[configKey]aws.Config
}

type configKey struct{ account, role, region string }

// New checks cfg and prepares the chain. It calls nothing: credentials are
// fetched when they are first needed. It fails on a value that could never work
// (a *ChainError or an error that names the value), and when no region is known.
func New(cfg Config, opts Options) (*Accounts, error) {
	cfg, err := normalize(cfg)
	if err != nil {
		return nil, err
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.AttemptTimeout <= 0 {
		opts.AttemptTimeout = defaultAttemptTimeout
	}
	base, err := loadBase(cfg, opts)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	a := &Accounts{
		cfg:     cfg,
		clock:   opts.Clock,
		logger:  opts.Logger,
		metrics: m,
		limiter: newLimiter(opts.Clock, cfg.Quota, m),
		timeout: opts.AttemptTimeout,
		base:    base,
		roles:   map[string]Role{},
		links:   map[string]*link{},
		configs: map[configKey]aws.Config{},
	}
	var reserve time.Duration
	if opts.BaseConfig == nil {
		reserve = baseReserve
	}
	a.baseLink = a.newBase(base, reserve)
	a.entry = a.baseLink
	if cfg.Hub != nil {
		a.entry = a.newRole(LinkHub, a.baseLink, *cfg.Hub, a.stsRegions(*cfg.Hub))
	}
	for _, role := range cfg.Roles {
		a.roles[role.ARN] = role
	}
	return a, nil
}

// normalize fills in what roles inherit and refuses what could never work.
func normalize(cfg Config) (Config, error) {
	if cfg.SessionName == "" {
		cfg.SessionName = defaultSession
	}
	if err := checkRegions(cfg.Regions); err != nil {
		return cfg, err
	}
	if err := checkOverrides(cfg.Quota); err != nil {
		return cfg, err
	}
	if cfg.Organization {
		if !roleNameShape.MatchString(cfg.RoleName) {
			return cfg, fmt.Errorf("organization: role name %q is not the name of an IAM role", cfg.RoleName)
		}
		if len(cfg.Roles) > 0 {
			return cfg, errors.New("organization: roles are given too; either name the roles or read the whole organization")
		}
	}
	if cfg.Hub != nil {
		hub, err := inherit(*cfg.Hub, cfg)
		if err != nil {
			return cfg, fmt.Errorf("hub: %w", err)
		}
		cfg.Hub = &hub
	}
	roles := make([]Role, 0, len(cfg.Roles))
	at := map[string]int{}
	for i, role := range cfg.Roles {
		role, err := inherit(role, cfg)
		if err != nil {
			return cfg, fmt.Errorf("role %d: %w", i+1, err)
		}
		j, again := at[role.ARN]
		if !again {
			at[role.ARN] = len(roles)
			roles = append(roles, role)
			continue
		}
		first := &roles[j]
		if first.ExternalID != role.ExternalID || first.SessionName != role.SessionName || !maps.Equal(first.SessionTags, role.SessionTags) {
			return cfg, fmt.Errorf("role %d: %s is given twice, with another external id, session name or session tags", i+1, role.ARN)
		}
		if len(first.Regions) == 0 || len(role.Regions) == 0 {
			return cfg, fmt.Errorf("role %d: %s is given twice, and not each time with its regions", i+1, role.ARN)
		}
		first.Regions = union(first.Regions, role.Regions)
		if err := checkRegions(first.Regions); err != nil {
			return cfg, fmt.Errorf("role %d: %w", i+1, err)
		}
	}
	cfg.Roles = roles
	return cfg, nil
}

// union joins the regions of a role that is given twice.
func union(a, b []string) []string {
	joined := slices.Clone(a)
	for _, region := range b {
		if !slices.Contains(joined, region) {
			joined = append(joined, region)
		}
	}
	return joined
}

func inherit(role Role, cfg Config) (Role, error) {
	parsed, err := parseRoleARN(role.ARN)
	if err != nil {
		return role, err
	}
	if role.ExternalID == "" {
		role.ExternalID = cfg.ExternalID
	}
	if role.SessionName == "" {
		role.SessionName = cfg.SessionName
	}
	if !sessionNameShape.MatchString(role.SessionName) {
		return role, fmt.Errorf("session name %q: STS wants 2 to 64 characters of letters, digits and _+=,.@-", role.SessionName)
	}
	if role.ExternalID != "" && (len(role.ExternalID) < 2 || len(role.ExternalID) > 1224 || !externalIDShape.MatchString(role.ExternalID)) {
		return role, fmt.Errorf("external id of %s: STS wants 2 to 1,224 characters of letters, digits and _+=,.@:/-", role.ARN)
	}
	if len(role.SessionTags) > 50 {
		return role, fmt.Errorf("%d session tags: STS takes at most 50", len(role.SessionTags))
	}
	for key, value := range role.SessionTags {
		if key == "" || len([]rune(key)) > 128 || len([]rune(value)) > 256 {
			return role, fmt.Errorf("session tag %q: STS wants a key of 1 to 128 and a value of at most 256 characters", key)
		}
	}
	if err := checkRegions(role.Regions); err != nil {
		return role, err
	}
	for _, region := range role.Regions {
		if region != allRegions && PartitionOf(region) != parsed.partition {
			return role, fmt.Errorf("%s is of partition %s, and region %s of %s", role.ARN, parsed.partition, region, PartitionOf(region))
		}
	}
	return role, nil
}

func checkRegions(regions []string) error {
	for _, region := range regions {
		if region == allRegions {
			if len(regions) > 1 {
				return errors.New(`regions: "all" stands alone`)
			}
			continue
		}
		if !regionShape.MatchString(region) {
			return fmt.Errorf("%q is not the name of a region, such as eu-west-1", region)
		}
	}
	return nil
}

// loadBase reads the default chain: environment, shared configuration, and
// where its credentials come from. Endpoints of AWS_ENDPOINT_URL and
// AWS_ENDPOINT_URL_<SERVICE> stay in it and reach every client.
func loadBase(cfg Config, opts Options) (aws.Config, error) {
	if opts.BaseConfig != nil {
		base := opts.BaseConfig.Copy()
		return finishBase(base, cfg, opts)
	}
	late := &lateEndpoint{}
	load := append(late.load(),
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
			// The base is renewed before it ends too: see newBase.
			o.ExpiryWindow = 2 * baseReserve
			o.ExpiryWindowJitterFrac = 0.5
		}),
	)
	if cfg.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(cfg.Profile))
	}
	if opts.HTTPClient != nil {
		load = append(load, config.WithHTTPClient(opts.HTTPClient))
	}
	if region := defaultRegion(cfg); region != "" {
		load = append(load, config.WithDefaultRegion(region))
	}
	base, err := config.LoadDefaultConfig(context.Background(), load...)
	if err != nil {
		return aws.Config{}, &ChainError{Link: LinkBase, Err: err, profile: cfg.Profile, now: opts.Clock()}
	}
	late.url = base.BaseEndpoint
	return finishBase(base, cfg, opts)
}

func finishBase(base aws.Config, cfg Config, opts Options) (aws.Config, error) {
	if base.Region == "" {
		base.Region = defaultRegion(cfg)
	}
	if base.Region == "" {
		return aws.Config{}, errors.New("no region is known: set AWS_REGION, or name the regions to read")
	}
	if opts.HTTPClient != nil {
		base.HTTPClient = opts.HTTPClient
	}
	base.HTTPClient = Connections(base.HTTPClient)
	base.Logger = sdkLog{opts.Logger}
	attempts := opts.MaxAttempts
	if attempts <= 0 {
		attempts = base.RetryMaxAttempts
	}
	if attempts <= 0 {
		attempts = defaultMaxAttempts
	}
	backoff := opts.MaxBackoff
	if backoff <= 0 {
		backoff = defaultMaxBackoff
	}
	base.RetryMaxAttempts = 0
	base.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.MaxBackoff = backoff
			// The SDK's own budget of retries would end them after some 100 in a
			// row and lose pages; the rate limit, which every retry passes, is what
			// keeps them from becoming a storm.
			o.RateLimiter = ratelimit.None
		})
	}
	return base, nil
}

// defaultRegion is the region to use where neither the environment nor the
// profile names one.
func defaultRegion(cfg Config) string {
	candidates := slices.Clone(cfg.Regions)
	for _, role := range cfg.Roles {
		candidates = append(candidates, role.Regions...)
	}
	for _, region := range candidates {
		if region != allRegions {
			return region
		}
	}
	roles := cfg.Roles
	if cfg.Hub != nil {
		roles = append([]Role{*cfg.Hub}, roles...)
	}
	if len(candidates) == 0 {
		return ""
	}
	// "all" without a single name: the home of the partition that the roles say.
	for _, role := range roles {
		if parsed, err := parseRoleARN(role.ARN); err == nil {
			if p, ok := partitionByID(parsed.partition); ok {
				return p.home
			}
		}
	}
	return partitionOfRegion("").home
}

// Config returns the configuration for clients of one target in one region. It
// is cached, and all clients made from it, and from those of other targets,
// share the rate limits. Calls fail with a *ChainError where the target's
// credentials cannot be had.
func (a *Accounts) Config(t Target, region string) aws.Config {
	key := configKey{account: t.Account, role: t.RoleARN, region: region}
	a.mu.Lock()
	defer a.mu.Unlock()
	cfg, ok := a.configs[key]
	if !ok {
		cfg = a.configOf(a.linkLocked(t.RoleARN).session, t.Account, region)
		a.configs[key] = cfg
	}
	return cfg
}

// configOf makes a configuration whose calls count against caller's quotas.
func (a *Accounts) configOf(creds *session, caller, region string) aws.Config {
	cfg := a.base.Copy()
	cfg.Region = region
	cfg.Credentials = creds
	step := &attempt{limiter: a.limiter, creds: creds, account: caller, region: region, timeout: a.timeout}
	cfg.APIOptions = append(slices.Clip(slices.Clone(cfg.APIOptions)), func(stack *middleware.Stack) error {
		return step.install(stack)
	})
	return cfg
}

// linkLocked returns the link of a role, or for no role that from which roles
// are assumed. a.mu is held.
func (a *Accounts) linkLocked(arn string) *link {
	if arn == "" {
		return a.entry
	}
	l, ok := a.links[arn]
	if !ok {
		role, configured := a.roles[arn]
		if !configured {
			role = Role{ARN: arn, ExternalID: a.cfg.ExternalID, SessionName: a.cfg.SessionName}
		}
		l = a.newRole(LinkRole, a.entry, role, a.stsRegions(role))
		a.links[arn] = l
	}
	return l
}

func (a *Accounts) linkOf(arn string) *link {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.linkLocked(arn)
}

// Region returns the region of the base configuration.
func (a *Accounts) Region() string { return a.base.Region }
