package logging

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
)

// Options are what a Switch needs beside the way to AWS.
type Options struct {
	Journal Journal
	// Who is written in the journal: a person or a machine.
	Who string
	// Run names the run of Apply in the journal; empty: a new name.
	Run   string
	Clock func() time.Time // nil: time.Now
	// CallRate tells how many calls a second a stage has; nil, or not ok: unknown.
	CallRate func(ctx context.Context, account, region, api, stage string) (perSecond float64, ok bool)
}

// Switch switches logging on and back. One process at a time may use a journal.
type Switch struct {
	accounts Accounts
	journal  Journal
	who, run string
	clock    func() time.Time
	callRate func(ctx context.Context, account, region, api, stage string) (float64, bool)
	snapshot *estate.Snapshot

	mu      sync.Mutex
	records map[Key]*Record
	targets map[[2]string]account.Target
}

// New returns a Switch for the estate as it was found just now. It reads the
// journal, and fails if it cannot.
func New(ctx context.Context, accounts Accounts, s *estate.Snapshot, o Options) (*Switch, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	sw := &Switch{
		accounts: accounts, journal: o.Journal, who: o.Who, run: o.Run, clock: o.Clock, callRate: o.CallRate, snapshot: s,
		records: map[Key]*Record{},
	}
	records, err := o.Journal.LoggingRecords(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what was switched on: %w", err)
	}
	for i := range records {
		sw.records[records[i].Key] = &records[i]
	}
	return sw, nil
}

// PlanEnable decides what to switch on. It changes nothing.
func (s *Switch) PlanEnable(ctx context.Context, o *EnableOptions) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	p := planEnable(s.snapshot, s.all(), o)
	p.Estimate = s.estimate(ctx, p, o)
	p.seal(s.snapshot, Request{Command: Enable, EnableOptions: *o})
	return p, nil
}

// PlanUndo decides what to put back, for Disable or Destroy. It changes nothing.
func (s *Switch) PlanUndo(command Command, o *UndoOptions) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	p := planUndo(command, s.snapshot, s.all(), o)
	p.seal(s.snapshot, Request{Command: command, EnableOptions: EnableOptions{Choice: o.Choice}, Force: o.Force})
	return p, nil
}

// all is a copy of the records.
func (s *Switch) all() map[Key]*Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[Key]*Record, len(s.records))
	for k, r := range s.records {
		c := *r
		all[k] = &c
	}
	return all
}

func (s *Switch) record(k Key) *Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[k]; r != nil {
		c := *r
		c.Written = slices.Clone(r.Written)
		return &c
	}
	return nil
}

// keep does to the records in memory what was saved.
func (s *Switch) keep(c *Changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range c.Put {
		r := c.Put[i]
		s.records[r.Key] = &r
	}
	for _, k := range c.Drop {
		delete(s.records, k)
	}
}

// place reaches a region of an account; without a region, any that the account has.
func (s *Switch) place(accountID, region string) (*place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.targets[[2]string{accountID, region}]
	if !ok {
		return nil, unreached(accountID, region)
	}
	if region == "" {
		region = t.Regions[0]
	}
	return newPlace(s.accounts, t, region), nil
}

// reach finds the accounts and fetches their credentials. An account that is not
// reached fails with its changes.
func (s *Switch) reach(ctx context.Context) {
	targets, _ := s.accounts.Targets(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets = map[[2]string]account.Target{}
	for _, t := range targets {
		for _, region := range t.Regions {
			s.targets[[2]string{t.Account, region}] = t
		}
		if any := [2]string{t.Account, ""}; len(t.Regions) > 0 && s.targets[any].Account == "" {
			s.targets[any] = t
		}
	}
}
