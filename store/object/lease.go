package object

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-project/gatehouse/store"
)

// leaseDocument is who has a lease, and until when. No holder: it is free.
type leaseDocument struct {
	Holder string    `json:"holder,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// AcquireLease takes or prolongs a lease; see store.Leases. The processes that
// share it compare the time with their own clocks: clocks that differ by more
// than the lease lasts make it worthless, but even then only one of two
// collectors can save.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) error {
	doc, version, err := s.loadLease(ctx, name)
	if err != nil {
		return fmt.Errorf("taking the lease: %w", err)
	}
	now := s.clock()
	if doc.Holder != "" && doc.Holder != holder && doc.Until.After(now) {
		return &store.HeldError{Name: name, Holder: doc.Holder, Until: doc.Until}
	}
	data, err := json.Marshal(leaseDocument{holder, now.Add(ttl).UTC()})
	if err != nil {
		return fmt.Errorf("taking the lease: %w", err)
	}
	_, err = s.save(ctx, leaseObject+name, data, version)
	if errors.Is(err, ErrConflict) {
		// Another one was faster.
		if doc, _, err = s.loadLease(ctx, name); err == nil {
			return &store.HeldError{Name: name, Holder: doc.Holder, Until: doc.Until}
		}
	}
	if err != nil {
		return fmt.Errorf("taking the lease: %w", err)
	}
	return nil
}

// ReleaseLease gives a lease back if holder has it.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	doc, version, err := s.loadLease(ctx, name)
	if err == nil && doc.Holder == holder {
		_, err = s.save(ctx, leaseObject+name, []byte("{}"), version)
	}
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("giving the lease back: %w", err)
	}
	return nil
}

func (s *Store) loadLease(ctx context.Context, name string) (doc leaseDocument, version string, err error) {
	data, version, err := s.objects.Load(ctx, leaseObject+name)
	if err != nil || len(data) == 0 {
		return doc, version, err
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return doc, version, fmt.Errorf("%w: %w", store.ErrCorrupted, err)
	}
	return doc, version, nil
}
