package estate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/account"
)

const (
	// defaultConcurrency is how many regions are read at once. AWS counts calls
	// by account and region, so regions hardly slow each other down.
	defaultConcurrency = 192
	// defaultFullEvery is after how many discoveries everything is read anew. At one
	// discovery in five minutes it is once an hour.
	defaultFullEvery = 12
	// apisAtOnce is how many APIs of one region are read at once: enough to use
	// API Gateway's 10 calls a second at 300 ms a call.
	apisAtOnce = 4
)

// Accounts reaches the accounts to read; *account.Accounts does.
type Accounts interface {
	Targets(ctx context.Context) ([]account.Target, []account.Problem)
	Config(t account.Target, region string) aws.Config
}

var _ Accounts = (*account.Accounts)(nil)

// Options are what a Discoverer can be told. The zero value works.
type Options struct {
	Concurrency int // regions at once; 0: 192
	// FullEvery is after how many discoveries everything is read anew; those between
	// read the details of what shows a change alone. 1: each discovery reads
	// everything; 0: 12.
	FullEvery int
	// Principals has the IAM roles and users of each account read too, which needs
	// iam:GetAccountAuthorizationDetails.
	Principals bool
	Logger     *slog.Logger          // nil: no log
	Registerer prometheus.Registerer // nil: no metrics
	Clock      func() time.Time      // nil: time.Now
}

// Progress is how far a discovery has come.
type Progress struct {
	Accounts    int // found, those that cannot be read included
	Regions     int // to read
	RegionsDone int
	APIs        int
	Stages      int
	Routes      int
	LogGroups   int
	Faults      int // reads that failed
	// Account and Region were read last; empty in the first report, which tells
	// what there is to do.
	Account string
	Region  string
}

// Discoverer finds what exists. It may be used again and again, one discovery
// at a time or several.
type Discoverer struct {
	accounts    Accounts
	concurrency int
	fullEvery   int
	iam         bool
	logger      *slog.Logger
	clock       func() time.Time
	metrics     *metrics

	mu   sync.Mutex
	last *Snapshot // never changed once it is here
}

// New returns a Discoverer. It fails only where its metrics cannot be
// registered.
func New(accounts Accounts, opts Options) (*Discoverer, error) {
	if opts.Concurrency <= 0 {
		opts.Concurrency = defaultConcurrency
	}
	if opts.FullEvery <= 0 {
		opts.FullEvery = defaultFullEvery
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	return &Discoverer{
		accounts:    accounts,
		concurrency: opts.Concurrency,
		fullEvery:   opts.FullEvery,
		iam:         opts.Principals,
		logger:      opts.Logger,
		clock:       opts.Clock,
		metrics:     m,
	}, nil
}

// Resume tells what an earlier discovery found, so that the next one need not read
// what shows no sign of change. The snapshot must not be changed any more. Nil makes
// the next discovery read everything.
func (d *Discoverer) Resume(s *Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = s
}

// begin returns a new snapshot and what it may go on from: nil where everything is
// to be read.
func (d *Discoverer) begin() (s, before *Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s = &Snapshot{Started: d.clock(), Form: form}
	if d.last == nil || d.last.Form != form || d.last.SinceFull+1 >= d.fullEvery {
		return s, nil
	}
	s.SinceFull = d.last.SinceFull + 1
	return s, d.last
}

// regions are the regions of a snapshot by account and name. A nil Snapshot has
// none.
func (s *Snapshot) regions() map[[2]string]*Region {
	if s == nil {
		return nil
	}
	m := map[[2]string]*Region{}
	for i := range s.Accounts {
		a := &s.Accounts[i]
		for j := range a.Regions {
			m[[2]string{a.ID, a.Regions[j].Name}] = &a.Regions[j]
		}
	}
	return m
}

// job is one region of one target, and where its result goes.
type job struct {
	target  account.Target
	region  string
	account int     // index into the snapshot's accounts
	before  *Region // at the last discovery; nil: read everything
	result  Region
}

// Discover reads the whole estate. What cannot be read is told in the snapshot,
// by account and region, and hides nothing else. It returns an error with the
// snapshot so far when ctx ends, and with an otherwise empty snapshot when not a
// single account could be reached. Progress is called from one goroutine at a
// time, and may be nil. A discovery after the first one reads the details of what
// shows a change alone, but for one in FullEvery.
func (d *Discoverer) Discover(ctx context.Context, progress func(Progress)) (*Snapshot, error) {
	snapshot, before := d.begin()
	targets, problems := d.accounts.Targets(ctx)
	if err := ctx.Err(); err != nil {
		return snapshot, err
	}
	jobs := d.plan(ctx, snapshot, targets, problems)
	snapshot.Partial = slices.ContainsFunc(problems, func(p account.Problem) bool {
		chain, ok := errors.AsType[*account.ChainError](p.Err)
		return p.Account == "" || ok && chain.Link == account.LinkOrganization
	})

	known := before.regions()
	for _, j := range jobs {
		j.before = known[[2]string{j.target.Account, j.region}]
	}

	p := &reporter{report: progress}
	p.start(len(snapshot.Accounts), len(jobs), countFaults(snapshot))
	work := make(chan *job)
	var wg sync.WaitGroup
	for range min(d.concurrency, len(jobs)) {
		wg.Go(func() {
			for j := range work {
				j.result = d.region(ctx, j.target, j.region, j.before)
				p.done(j)
			}
		})
	}
feed:
	for _, j := range jobs {
		select {
		case work <- j:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wg.Wait()

	for _, j := range jobs {
		if j.result.Name != "" {
			a := &snapshot.Accounts[j.account]
			a.Regions = append(a.Regions, j.result)
		}
	}
	for i := range snapshot.Accounts {
		slices.SortFunc(snapshot.Accounts[i].Regions, func(a, b Region) int { return cmp.Compare(a.Name, b.Name) })
	}
	d.foreignFunctions(ctx, snapshot, targets)
	if d.iam {
		d.principals(ctx, snapshot, before, targets)
	}
	snapshot.Finished = d.clock()
	if err := ctx.Err(); err != nil {
		return snapshot, err
	}
	d.metrics.discovered(snapshot)
	if len(targets) == 0 {
		return snapshot, unreachable(problems)
	}
	d.Resume(snapshot)
	return snapshot, nil
}

// plan lists every account, readable or not, and the regions to read. Two
// targets of one account, which a role each makes, are one account.
func (d *Discoverer) plan(ctx context.Context, s *Snapshot, targets []account.Target, problems []account.Problem) []*job {
	index := map[string]int{}
	find := func(id, name, status string) *Account {
		i, ok := index[id]
		if !ok {
			i = len(s.Accounts)
			index[id] = i
			s.Accounts = append(s.Accounts, Account{ID: id, Name: name, Status: status})
		}
		return &s.Accounts[i]
	}
	readable := map[string]bool{}
	var jobs []*job
	for _, t := range targets {
		find(t.Account, t.Name, t.Status)
		readable[t.Account] = true
	}
	for _, p := range problems {
		d.logger.WarnContext(ctx, "account not read as asked",
			slog.String("account", p.Account), slog.String("role", p.RoleARN), slog.String("problem", p.What), slog.String("mend", p.Mend))
		a := find(p.Account, p.Name, p.Status)
		switch {
		case p.Note && p.Err == nil:
			a.Note = p.What
		case readable[p.Account]:
			a.Errors = append(a.Errors, Fault{What: whatOf(p.Err), Error: p.What, Mend: p.Mend})
		default:
			a.Error, a.Mend = p.What, p.Mend
		}
	}
	slices.SortStableFunc(s.Accounts, func(a, b Account) int { return cmp.Compare(a.ID, b.ID) })
	for i := range s.Accounts {
		index[s.Accounts[i].ID] = i
	}
	for _, t := range targets {
		for _, region := range t.Regions {
			jobs = append(jobs, &job{target: t, region: region, account: index[t.Account]})
		}
	}
	return jobs
}

// whatOf names the read behind a problem of an account.
func whatOf(err error) string {
	if chain, ok := errors.AsType[*account.ChainError](err); ok {
		switch chain.Link {
		case account.LinkRegions:
			return "account:ListRegions"
		case account.LinkOrganization:
			return "organizations:ListAccounts"
		case account.LinkBase, account.LinkHub, account.LinkRole:
			return "sts:AssumeRole"
		}
	}
	return "account"
}

// unreachable joins why no account could be reached, so that the caller's
// errors.As finds the link that failed first.
func unreachable(problems []account.Problem) error {
	var failed []error
	for _, p := range problems {
		if p.Err != nil {
			failed = append(failed, p.Err)
		}
	}
	switch {
	case len(failed) == 0:
		return errors.New("no account can be read: every account was left out")
	case len(failed) == 1:
		return fmt.Errorf("no account can be read: %w", failed[0])
	default:
		return fmt.Errorf("none of %d accounts can be read, the first because of %w", len(failed), failed[0])
	}
}

// reporter counts what was found and reports it in order.
type reporter struct {
	report func(Progress)

	mu sync.Mutex
	p  Progress
}

func (r *reporter) start(accounts, regions, faults int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p.Accounts, r.p.Regions, r.p.Faults = accounts, regions, faults
	r.send()
}

func (r *reporter) done(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p.RegionsDone++
	r.p.Account, r.p.Region = j.target.Account, j.region
	r.p.Faults += len(j.result.Errors)
	r.p.LogGroups += len(j.result.LogGroups)
	r.p.APIs += len(j.result.APIs)
	for i := range j.result.APIs {
		r.p.Stages += len(j.result.APIs[i].Stages)
		r.p.Routes += len(j.result.APIs[i].Routes)
	}
	r.send()
}

func (r *reporter) send() {
	if r.report != nil {
		r.report(r.p)
	}
}

func countFaults(s *Snapshot) int {
	n := 0
	for i := range s.Accounts {
		a := &s.Accounts[i]
		n += len(a.Errors)
		if a.Error != "" {
			n++
		}
		for j := range a.Regions {
			n += len(a.Regions[j].Errors)
		}
	}
	return n
}
