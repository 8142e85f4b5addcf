package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// usageRecord is what one key has used of one usage plan. It names the key by its
// id; the value of a key is never written.
type usageRecord struct {
	Plan string `json:"plan"`
	Key  string `json:"key"`
	// Used are the calls of the quota's period that began at PeriodStart.
	Used        int       `json:"used,omitempty"`
	PeriodStart time.Time `json:"period_start,omitzero"`
	// Tokens were in the throttle's bucket at At; below zero are calls in advance.
	Tokens float64   `json:"tokens,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// usageFile is the state file.
type usageFile struct {
	Version int           `json:"version"`
	Usage   []usageRecord `json:"usage"`
}

// usageVersion is that of the file's form.
const usageVersion = 1

// saveUsageEvery is how often counts that have changed are written. A crash loses
// no more than what was counted since.
const saveUsageEvery = time.Second

// checkState asks for what a state file tells keys apart by.
func (c *Config) checkState() error {
	if c.State == "" {
		return nil
	}
	var errs []error
	plans := map[string]bool{}
	for i := range c.UsagePlans {
		p := &c.UsagePlans[i]
		path := indexed("usage_plans", i)
		if p.ID == "" || plans[p.ID] {
			errs = append(errs, at(path+".id", "with state, each usage plan needs an id of its own"))
		}
		plans[p.ID] = true
		keys := map[string]bool{}
		for j := range p.Keys {
			if id := p.Keys[j].ID; id == "" || keys[id] {
				errs = append(errs, at(indexed(path+".keys", j)+".id", "with state, each key of a plan needs an id of its own"))
			}
			keys[p.Keys[j].ID] = true
		}
	}
	return errors.Join(errs...)
}

// usageState keeps the counts of the usage plans in a file.
type usageState struct {
	path   string
	shares []*keyPlan
	now    func() time.Time
	log    *slog.Logger
	last   []byte
	failed bool // the last time, and it was told
}

// loadUsage reads the counts of a state file into the gateway. A file that cannot
// be read is an error: a quota that is not known must not be taken for unused.
func (g *Gateway) loadUsage(path string) (*usageState, error) {
	s := &usageState{path: path, shares: g.shares, now: g.now, log: g.log}
	text, err := readBounded(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("reading the usage plans' counts: %w", err)
	}
	var in usageFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&in); err == nil && in.Version != usageVersion {
		err = fmt.Errorf("version %d is not known", in.Version)
	}
	if err != nil {
		e := at("state", "the usage plans' counts in %s cannot be read: %w", path, err)
		e.Hint = "take the file away to begin counting anew"
		return nil, e
	}
	byKey := make(map[[2]string]*usageRecord, len(in.Usage))
	for i := range in.Usage {
		byKey[[2]string{in.Usage[i].Plan, in.Usage[i].Key}] = &in.Usage[i]
	}
	for _, share := range s.shares {
		if r := byKey[[2]string{share.plan.ID, share.keyID}]; r != nil {
			share.restore(r)
		}
	}
	return s, nil
}

// restore takes a record's counts.
func (p *keyPlan) restore(r *usageRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Used > 0 {
		p.used, p.from = r.Used, r.PeriodStart.UTC()
	}
	if p.bucket == nil || r.At.IsZero() {
		return
	}
	// What was taken out of a full bucket until then is taken again, at that time.
	if taken := p.bucket.burst - int(r.Tokens); taken > 0 {
		p.bucket.ReserveN(r.At, min(taken, p.bucket.burst))
	}
}

// record is what the key has used by now.
func (p *keyPlan) record(now time.Time) usageRecord {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := usageRecord{Plan: p.plan.ID, Key: p.keyID, Used: p.used, PeriodStart: p.from}
	if p.used == 0 {
		r.PeriodStart = time.Time{}
	}
	if p.bucket != nil {
		if tokens := p.bucket.TokensAt(now); tokens < float64(p.bucket.burst) {
			r.Tokens, r.At = tokens, now.UTC()
		}
	}
	return r
}

// Run writes the counts when they have changed, until ctx is done, and then once
// more. It returns an error if the last counts could not be written.
func (s *usageState) Run(ctx context.Context) error {
	tick := time.NewTicker(saveUsageEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.save()
		case <-tick.C:
			err := s.save()
			if err != nil && !s.failed {
				s.log.Error("cannot save the usage plans' counts; it is tried again", "error", err)
			}
			s.failed = err != nil
		}
	}
}

// save writes the counts, if they are others than those in the file.
func (s *usageState) save() error {
	now := s.now()
	out := usageFile{Version: usageVersion, Usage: []usageRecord{}}
	for _, share := range s.shares {
		if r := share.record(now); r.Used > 0 || !r.At.IsZero() {
			out.Usage = append(out.Usage, r)
		}
	}
	text, err := json.Marshal(out)
	if err == nil && !bytes.Equal(text, s.last) {
		if err = replaceFile(s.path, append(text, '\n')); err == nil {
			s.last = text
		}
	}
	if err != nil {
		return fmt.Errorf("writing the usage plans' counts: %w", err)
	}
	return nil
}

// replaceFile writes a file beside the old one and puts it in its place, so that
// after a crash there is the one or the other, and never a half.
func replaceFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
