package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// DefaultPrefix is how the names of the log groups begin into which API Gateway
// writes the execution logs of REST APIs.
const DefaultPrefix = "API-Gateway-Execution-Logs"

// Clients gives the accounts and regions to read and the configurations of their
// AWS clients, with credentials, retries and rate limits in them.
type Clients interface {
	Targets(ctx context.Context) ([]account.Target, []account.Problem)
	Config(t account.Target, region string) aws.Config
}

// CloudWatchConfig chooses log groups. A group that is chosen in several ways is
// read once.
type CloudWatchConfig struct {
	// Prefix chooses all groups whose names begin with it; empty: none.
	Prefix string
	// ARNs are groups by ARN, with or without ":*" at the end. Each is read in
	// its own account and region, whatever the regions of the Clients are.
	ARNs []string
	// Stages returns the groups that the estate's stages write to, with their
	// API, stage and access-log format, once for each stage. A group need not
	// exist: API Gateway makes an execution log group with its first event. Nil:
	// none.
	Stages func() []transaction.Group
	// Restriction leaves out the groups of APIs and stages that are not to be
	// read.
	Restriction Restriction
	// Unmask asks for what a data protection policy would mask; the role then
	// needs logs:Unmask.
	Unmask bool
	// Log may be nil.
	Log *slog.Logger
}

// CloudWatch is the Source that polls CloudWatch Logs with FilterLogEvents: one
// call reads all streams of a group, and, unlike GetLogEvents, it gives every
// event an id.
type CloudWatch struct {
	cfg     CloudWatchConfig
	clients Clients
	arns    []arnGroup
	log     *slog.Logger

	mu      sync.Mutex
	targets map[string]account.Target // by account and region
	used    map[string]*cloudwatchlogs.Client
	// counters are the clients of the metrics, by the same key as used.
	counters map[string]*cloudwatch.Client
	noted    map[string]bool      // notes that were logged
	exist    map[string]time.Time // groups outside the prefix that are known to exist, with their creation
	named    map[string]named     // what stages write to, or wrote to not long ago, by Key
}

var (
	_ Source  = (*CloudWatch)(nil)
	_ Finder  = (*CloudWatch)(nil)
	_ Counter = (*CloudWatch)(nil)
)

type arnGroup struct {
	arn   string
	group transaction.Group
}

// NewCloudWatch makes a CloudWatch. It fails if an ARN is not that of a log
// group, or if no groups are chosen at all.
func NewCloudWatch(clients Clients, cfg CloudWatchConfig) (*CloudWatch, error) {
	s := &CloudWatch{
		cfg:      cfg,
		clients:  clients,
		log:      cfg.Log,
		targets:  make(map[string]account.Target),
		used:     make(map[string]*cloudwatchlogs.Client),
		counters: make(map[string]*cloudwatch.Client),
		noted:    make(map[string]bool),
		exist:    make(map[string]time.Time),
		named:    make(map[string]named),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, arn := range cfg.ARNs {
		g := transaction.NewGroup(strings.TrimSpace(arn))
		if g.Account == "" || g.Region == "" || g.Name == "" || strings.ContainsAny(g.Name, ":*") {
			return nil, fmt.Errorf("%q is not the ARN of a log group, such as arn:aws:logs:eu-west-1:111122223333:log-group:NAME", arn)
		}
		s.arns = append(s.arns, arnGroup{arn: arn, group: g})
	}
	if cfg.Prefix == "" && len(s.arns) == 0 && cfg.Stages == nil {
		return nil, errors.New("no log groups are chosen: give a prefix, ARNs or the estate's stages")
	}
	return s, nil
}

// Read gives one page of a group.
func (s *CloudWatch) Read(ctx context.Context, group transaction.Group, from, to int64, next string) (Page, error) {
	target, ok := s.target(group.Account, group.Region)
	if !ok {
		return Page{}, fmt.Errorf("account %s is not among those that can be read", group.Account)
	}
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String(group.Name),
		StartTime:    aws.Int64(from),
		EndTime:      aws.Int64(to),
		// AWS always interleaves; emulators still ask, and without it give the
		// events stream by stream.
		Interleaved: aws.Bool(true), //nolint:staticcheck // deprecated, see above
		Unmask:      s.cfg.Unmask,
	}
	if next != "" {
		in.NextToken = aws.String(next)
	}
	out, err := s.client(target, group.Region).FilterLogEvents(ctx, in)
	if err != nil {
		return Page{}, err
	}
	page := Page{Next: aws.ToString(out.NextToken), Events: make([]transaction.Event, len(out.Events))}
	for i := range out.Events {
		e := &out.Events[i]
		page.Events[i] = transaction.Event{
			ID:        aws.ToString(e.EventId),
			Stream:    aws.ToString(e.LogStreamName),
			Timestamp: aws.ToInt64(e.Timestamp),
			Message:   aws.ToString(e.Message),
			Ingested:  aws.ToInt64(e.IngestionTime),
		}
		page.Bytes += int64(len(page.Events[i].Message))
	}
	return page, nil
}

// learn keeps which target reads which account and region. Targets that are not
// listed at the moment stay: their role may come back, and until then each read
// says what is wrong with it.
func (s *CloudWatch) learn(targets []account.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range targets {
		for _, region := range t.Regions {
			s.targets[t.Account+"/"+region] = t
		}
		if before, ok := s.targets[t.Account]; !ok || before.RoleARN == t.RoleARN {
			s.targets[t.Account] = t
		}
	}
}

// target returns who reads an account and region. A group that was named by its
// ARN may be in a region that the target does not list.
func (s *CloudWatch) target(accountID, region string) (account.Target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.targets[accountID+"/"+region]
	if !ok {
		t, ok = s.targets[accountID]
	}
	return t, ok
}

func (s *CloudWatch) client(t account.Target, region string) *cloudwatchlogs.Client {
	key := t.Account + "/" + t.RoleARN + "/" + region
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.used[key]
	if c == nil {
		c = cloudwatchlogs.NewFromConfig(s.clients.Config(t, region))
		s.used[key] = c
	}
	return c
}
