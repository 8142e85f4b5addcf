// Package doctor checks the whole chain on which collecting stands, from the base
// credentials to the sinks, for each account and region, and says of each fault how
// to mend it. It reads only: every permission is tried with the smallest call that
// needs it. One fault never hides another.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Status is how a check came out.
type Status string

// The outcomes of a check.
const (
	// OK means that nothing is to be done.
	OK Status = "ok"
	// Warn means that something works less well than it could, or could not be
	// checked for the moment.
	Warn Status = "warn"
	// Fail means that something does not work until it is mended.
	Fail Status = "fail"
)

// Result is the outcome of one check in one place.
type Result struct {
	Status Status `json:"status"`
	// Check names what was checked: "role", "logs:FilterLogEvents".
	Check string `json:"check"`
	// Account, Region and Subject say where; each may be empty.
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	Subject string `json:"subject,omitempty"` // a sink, a log group, a setting
	// What was found, in one sentence.
	What string `json:"what"`
	// Why is the error behind it, as AWS or the system words it.
	Why string `json:"why,omitempty"`
	// Mend says what to do, and Statement is the policy statement to add, as JSON.
	Mend      string `json:"mend,omitempty"`
	Statement string `json:"statement,omitempty"`
}

// Report is everything that was checked.
type Report struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Results  []Result  `json:"results"`
	// OK, Warnings and Failures count the results.
	OK       int `json:"ok"`
	Warnings int `json:"warnings"`
	Failures int `json:"failures"`
}

// Checker is a part of the product that can check itself without changing anything.
// It returns nil if all is well. An error with a method Mend() string says how to
// mend it, and one with Warning() bool that returns true is a warning. Sinks and
// stores implement it without knowing this package.
type Checker interface {
	Check(ctx context.Context) error
}

// CheckerFunc is a function that is a Checker.
type CheckerFunc func(ctx context.Context) error

// Check calls f.
func (f CheckerFunc) Check(ctx context.Context) error { return f(ctx) }

// Part is a part of the product that is checked beside AWS.
type Part struct {
	Check   string // "store", "sink"
	Subject string // its URL, without secrets
	// Fine is what is said if all is well: "answers".
	Fine    string
	Checker Checker
}

// Options say what to check.
type Options struct {
	Accounts account.Config
	Account  account.Options
	// Prefix and PrefixOnly choose the log groups, as for collecting. With Groups
	// these alone are read.
	Prefix     string
	PrefixOnly bool
	Groups     []transaction.Group
	// PollInterval is how often log groups will be read.
	PollInterval time.Duration
	Parts        []Part
	// Done are results of checks that were made before, such as of the settings.
	Done []Result
	// Concurrency bounds what is checked at once; 0: 16.
	Concurrency int
	Clock       func() time.Time // nil: time.Now
	Log         *slog.Logger     // nil: no log
	// Progress is called from one goroutine at a time; may be nil.
	Progress func(Progress)
}

// Progress is how far the checks have come.
type Progress struct {
	Done, Total int
	Note        string // what was checked last
}

const (
	defaultConcurrency = 16
	// partTimeout bounds the check of a store or a sink.
	partTimeout = 20 * time.Second
)

// run is one run of the doctor.
type run struct {
	o     Options
	clock func() time.Time
	log   *slog.Logger

	mu       sync.Mutex
	results  []Result
	progress Progress
}

// Run makes every check and returns what came of them. It returns early only if ctx
// ends, with what was found until then.
func Run(ctx context.Context, o Options) *Report {
	r := &run{o: o, clock: o.Clock, log: o.Log}
	if r.clock == nil {
		r.clock = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.o.Concurrency <= 0 {
		r.o.Concurrency = defaultConcurrency
	}
	report := &Report{Started: r.clock()}
	r.results = slices.Clone(o.Done)
	r.total(len(o.Parts) + 1)
	var wg sync.WaitGroup
	for i := range o.Parts {
		wg.Go(func() { r.part(ctx, &o.Parts[i]) })
	}
	r.aws(ctx)
	wg.Wait()

	slices.SortStableFunc(r.results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(rank(a.Check), rank(b.Check)), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region),
			cmp.Compare(a.Check, b.Check), cmp.Compare(a.Subject, b.Subject))
	})
	report.Results, report.Finished = r.results, r.clock()
	for i := range report.Results {
		switch report.Results[i].Status {
		case OK:
			report.OK++
		case Warn:
			report.Warnings++
		case Fail:
			report.Failures++
		}
	}
	return report
}

// order is the order in which checks are shown: that of the chain.
var order = []string{
	checkSettings, checkStore, checkBase, checkClock, checkHub, checkOrganization, checkRole, checkRegion, checkQuota,
}

// The checks, by name. Those of a permission are named by its action.
const (
	checkSettings     = "settings"
	checkStore        = "store"
	checkBase         = "base credentials"
	checkClock        = "clock"
	checkHub          = "hub role"
	checkOrganization = "organizations:ListAccounts"
	checkRole         = "role"
	checkRegion       = "region"
	checkQuota        = "quota"
	checkSink         = "sink"
)

func rank(check string) int {
	if i := slices.Index(order, check); i >= 0 {
		return i
	}
	if check == checkSink {
		return len(order) + 1
	}
	return len(order)
}

func (r *run) add(results ...Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, results...)
}

func (r *run) total(more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Total += more
	r.report()
}

func (r *run) done(note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Done++
	r.progress.Note = note
	r.report()
}

// report tells the progress. r.mu is held.
func (r *run) report() {
	if r.o.Progress != nil {
		r.o.Progress(r.progress)
	}
}

// part checks a store or a sink.
func (r *run) part(ctx context.Context, p *Part) {
	defer r.done(p.Check)
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	err := p.Checker.Check(ctx)
	if err == nil {
		r.add(Result{Status: OK, Check: p.Check, Subject: p.Subject, What: p.Fine})
		return
	}
	for _, err := range split(err) {
		result := Result{Status: Fail, Check: p.Check, Subject: p.Subject, What: err.Error(), Mend: mendOf(err)}
		if result.Mend == "" && p.Check == checkSink {
			result.Mend = "check the sink's address, that it runs, and that this machine reaches it (docs/sinks.md)"
		}
		if w, ok := errors.AsType[interface {
			error
			Warning() bool
		}](err); ok && w.Warning() {
			result.Status = Warn
		}
		r.add(result)
	}
}

// split takes joined errors apart: each is a line of its own.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		wrapped := joined.Unwrap()
		all := make([]error, 0, len(wrapped))
		for _, e := range wrapped {
			all = append(all, split(e)...)
		}
		return all
	}
	return []error{err}
}

func mendOf(err error) string {
	var m interface{ Mend() string }
	if errors.As(err, &m) {
		return m.Mend()
	}
	return ""
}

// aws checks everything in AWS, link by link.
func (r *run) aws(ctx context.Context) {
	defer r.done("credentials")
	base, ok := r.base(ctx)
	if !ok {
		return
	}
	accounts, err := account.New(r.o.Accounts, r.o.Account)
	if err != nil {
		r.add(Result{Status: Fail, Check: checkSettings, What: "the accounts cannot be reached as they are configured", Why: err.Error(), Mend: mendOf(err)})
		return
	}
	if !r.hub(ctx, accounts, base) {
		return
	}
	targets := r.roles(ctx, accounts, base)
	r.quotas(targets)
	regions := 0
	for i := range targets {
		regions += len(targets[i].Regions)
	}
	r.total(2 * regions) // each is discovered, then tried
	snapshot := r.discover(ctx, accounts, targets)
	if snapshot == nil {
		return
	}
	r.regions(ctx, accounts, targets, snapshot)
}

// resolved are accounts whose targets are known already.
type resolved struct {
	*account.Accounts
	targets []account.Target
}

// Targets returns what was found before.
func (r resolved) Targets(context.Context) ([]account.Target, []account.Problem) {
	return r.targets, nil
}

// discover reads the estate of all targets, which tries every permission that
// knowing the APIs needs. It returns nil if there is nothing to discover.
func (r *run) discover(ctx context.Context, accounts *account.Accounts, targets []account.Target) *estate.Snapshot {
	if len(targets) == 0 {
		return nil
	}
	d, err := estate.New(resolved{accounts, targets}, estate.Options{Clock: r.clock, Logger: r.log})
	if err != nil {
		r.add(Result{Status: Fail, Check: checkSettings, What: "the estate cannot be discovered", Why: err.Error()})
		return nil
	}
	last := 0
	snapshot, err := d.Discover(ctx, func(p estate.Progress) {
		for ; last < p.RegionsDone; last++ {
			r.done(fmt.Sprintf("%s %s", p.Account, p.Region))
		}
	})
	if err != nil {
		r.add(Result{Status: Fail, Check: checkRegion, What: "the estate could not be discovered", Why: account.Text(err), Mend: mendOf(err)})
		return nil
	}
	return snapshot
}
