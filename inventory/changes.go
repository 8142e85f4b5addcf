package inventory

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Changes is what an Inventory has to save since it was last asked. It is
// finished when it is handed out: later observations go into the next one, so
// whoever holds it can offer it to a store again and again until it is saved.
//
// Sequence numbers the Changes of one inventory without a gap. A store applies
// each number once: one that it has already is a commit that succeeded although
// its answer was lost, and is skipped; a gap is an error.
type Changes struct {
	Sequence  uint64
	Endpoints []Saved  // whole, not differences; put in or replaced by ID
	Removed   []string // IDs; none of them is in Endpoints
	Aliases   []Alias
	Samples   []Sample
	// RemovedSamples are keys of samples that no endpoint has any more.
	RemovedSamples []string
	Stages         []SavedStage // whole; put in or replaced by key
	Minutes        []StageMinutes
}

// Saved is an endpoint as a store keeps it.
type Saved struct {
	Endpoint // Recent is in Minutes
	// State is what NewDetail reads, and Minutes what DecodeRecent reads.
	State   []byte
	Minutes []byte
}

// Alias leads from the ID of an endpoint that became part of another.
type Alias struct{ From, To string }

// Sample is a redacted transaction as JSON, under a key that NewDetail names.
type Sample struct {
	Key  string
	JSON []byte
}

// SavedStage is a stage with its counters and the places where its learned
// templates take any text.
type SavedStage struct {
	StageKey
	APIName  string `json:"api_name,omitempty"`
	Probes   int64  `json:"probes"`
	Unrouted int64  `json:"unrouted"`
	Overflow int64  `json:"overflow"`
	// Open are the templates below which text is a value ("/users").
	Open []string `json:"open,omitempty"`
}

// StageMinutes are calls to add to one minute of an API
// ("account/region/api_id/stage"), or of everything if API is empty.
type StageMinutes struct {
	API string
	Minute
}

// Changes returns what there is to save since the last call as a *Changes, or
// nil if nothing is. It implements collect.Observer.
func (inv *Inventory) Changes() any {
	c, samples := inv.take()
	if c == nil {
		return nil
	}
	// Outside of the lock: the samples are the dearest part.
	for _, t := range samples {
		b, err := encodeSample(t)
		if err != nil {
			inv.log.Warn("a sample could not be encoded", slog.String("transaction", t.ID), slog.Any("error", err))
			continue
		}
		c.Samples = append(c.Samples, Sample{Key: t.ID, JSON: b})
	}
	return c
}

func (inv *Inventory) take() (*Changes, []*transaction.Transaction) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if len(inv.dirty)+len(inv.dirtyStages)+len(inv.removed)+len(inv.minutes) == 0 {
		return nil, nil
	}
	inv.sequence++
	c := &Changes{
		Sequence:       inv.sequence,
		Endpoints:      make([]Saved, 0, len(inv.dirty)),
		Aliases:        inv.aliases,
		RemovedSamples: inv.droppedSamples,
		Minutes:        make([]StageMinutes, 0, len(inv.minutes)),
	}
	var samples []*transaction.Transaction
	for _, e := range inv.dirty {
		e.dirty = false
		if e.gone {
			continue
		}
		for i := range e.state.samples {
			if s := &e.state.samples[i]; s.pending != nil {
				samples = append(samples, s.pending)
				s.pending, s.saved = nil, true
			}
		}
		if name := inv.apiName(e.stage.key.Account, e.stage.key.Region, e.stage.key.APIID); name != e.stage.name && name != "" {
			e.stage.name = name
			inv.touchStage(e.stage)
		}
		saved, err := e.save()
		if err != nil {
			inv.log.Error("an endpoint could not be encoded", slog.String("endpoint", e.id), slog.Any("error", err))
			continue
		}
		c.Endpoints = append(c.Endpoints, saved)
	}
	for _, s := range inv.dirtyStages {
		s.dirty = false
		c.Stages = append(c.Stages, s.save())
	}
	// An endpoint may have gone and come back under the same ID.
	present := make(map[string]bool, len(c.Endpoints))
	for i := range c.Endpoints {
		present[c.Endpoints[i].ID] = true
	}
	for _, id := range inv.removed {
		if !present[id] {
			c.Removed = append(c.Removed, id)
		}
	}
	for key, m := range inv.minutes {
		c.Minutes = append(c.Minutes, StageMinutes{API: key.api, Minute: *m})
	}
	clear(inv.minutes)
	clear(inv.dirty)
	inv.dirty, inv.dirtyStages = inv.dirty[:0], inv.dirtyStages[:0]
	inv.removed, inv.aliases, inv.droppedSamples = nil, nil, nil
	return c, samples
}

func (e *endpoint) save() (Saved, error) {
	b, err := e.state.append(make([]byte, 0, 1024))
	if err != nil {
		return Saved{}, err
	}
	return Saved{Endpoint: e.row(), State: b, Minutes: e.recent.append(nil)}, nil
}

func (s *stage) save() SavedStage {
	return SavedStage{
		StageKey: s.key, APIName: s.name, Probes: s.probes, Unrouted: s.unrouted, Overflow: s.overflow,
		Open: s.tree.root.openBelow(nil),
	}
}

func (n *node) openBelow(out []string) []string {
	if n.open {
		out = append(out, n.template())
	}
	for _, child := range n.literals {
		out = child.openBelow(out)
	}
	if n.param != nil {
		out = n.param.openBelow(out)
	}
	return out
}

// Loader gives back what a store has saved of an inventory.
type Loader interface {
	// InventorySequence returns the Sequence of the last Changes applied, or 0.
	InventorySequence(ctx context.Context) (uint64, error)
	// SavedStages returns all stages.
	SavedStages(ctx context.Context) ([]SavedStage, error)
	// EachEndpoint calls yield with every endpoint, in no order, until it
	// returns an error, which EachEndpoint returns.
	EachEndpoint(ctx context.Context, yield func(*Saved) error) error
}

// Load fills an empty inventory with what a store has, so that counts and
// sketches go on where they stopped. Call it once, before the first Observe.
func (inv *Inventory) Load(ctx context.Context, from Loader) error {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	sequence, err := from.InventorySequence(ctx)
	if err != nil {
		return fmt.Errorf("loading the inventory: %w", err)
	}
	stages, err := from.SavedStages(ctx)
	if err != nil {
		return fmt.Errorf("loading the inventory's stages: %w", err)
	}
	for i := range stages {
		inv.loadStage(&stages[i])
	}
	err = from.EachEndpoint(ctx, inv.loadEndpoint)
	if err != nil {
		return fmt.Errorf("loading the inventory's endpoints: %w", err)
	}
	// A merge that was not saved any more is made again.
	for _, s := range inv.stages {
		for _, e := range s.tree.root.settleBelow(nil) {
			inv.move(e)
		}
	}
	inv.sequence = sequence
	inv.metrics.endpoints.Set(float64(inv.count))
	return nil
}

func (inv *Inventory) loadStage(saved *SavedStage) *stage {
	s := inv.newStage(saved.StageKey)
	s.name, s.probes, s.unrouted, s.overflow = saved.APIName, saved.Probes, saved.Unrouted, saved.Overflow
	inv.probes += saved.Probes
	for _, template := range saved.Open {
		s.tree.plant(template).open = true
	}
	s.dirty = false
	inv.dirtyStages = inv.dirtyStages[:0]
	return s
}

func (inv *Inventory) loadEndpoint(saved *Saved) error {
	key := StageKey{
		APIType: saved.APIType, Account: saved.Account, Region: saved.Region, APIID: saved.APIID, Stage: saved.Stage,
	}
	s := inv.stages[key]
	if s == nil {
		s = inv.loadStage(&SavedStage{StageKey: key})
	}
	e := &endpoint{
		id: saved.ID, stage: s, method: saved.Method, route: strings.Clone(saved.Route), source: saved.RouteSource,
		first: saved.FirstSeen.UnixMilli(), last: saved.LastSeen.UnixMilli(),
		calls: saved.Calls, errors4xx: saved.Errors4xx, errors5xx: saved.Errors5xx,
		best: uint8(saved.Visibility.Rank()),
	}
	if err := e.state.decode(saved.State); err != nil {
		return fmt.Errorf("endpoint %s: %w", saved.ID, err)
	}
	if err := e.recent.decode(saved.Minutes); err != nil {
		return fmt.Errorf("endpoint %s: recent minutes: %w", saved.ID, err)
	}
	s.endpoints[methodRoute{e.method, e.route}] = e
	if e.source == learned {
		e.node = s.tree.plant(e.route)
		e.node.ends = append(e.node.ends, e)
	}
	inv.count++
	inv.coverage[e.best]++
	at, _ := slices.BinarySearchFunc(inv.newest, e, func(a, b *endpoint) int { return int(a.first - b.first) })
	inv.newest = slices.Insert(inv.newest, at, e)
	if len(inv.newest) > newestKept {
		inv.newest = slices.Delete(inv.newest, 0, 1)
	}
	return nil
}
