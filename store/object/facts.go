package object

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
)

// SaveEstate replaces the last snapshot.
func (s *Store) SaveEstate(ctx context.Context, snapshot *estate.Snapshot) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(snapshot), z.Close()); err != nil {
		return fmt.Errorf("encoding the estate: %w", err)
	}
	err := s.update(ctx, estateObject, func([]byte) ([]byte, error) { return b.Bytes(), nil })
	if err != nil {
		return fmt.Errorf("saving the estate: %w", err)
	}
	return nil
}

// LoadEstate returns the last saved snapshot, or nil if there is none.
func (s *Store) LoadEstate(ctx context.Context) (*estate.Snapshot, error) {
	data, _, err := s.objects.Load(ctx, estateObject)
	if err != nil {
		return nil, fmt.Errorf("loading the estate: %w", err)
	}
	if len(data) == 0 {
		return nil, nil
	}
	snapshot := new(estate.Snapshot)
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		err = json.NewDecoder(z).Decode(snapshot)
	}
	if err != nil {
		return nil, fmt.Errorf("loading the estate: the saved snapshot cannot be read: %w", err)
	}
	return snapshot, nil
}

// Setting returns the value of a key, or "" if it was never set.
func (s *Store) Setting(ctx context.Context, key string) (string, error) {
	data, _, err := s.objects.Load(ctx, settingsObject)
	if err != nil {
		return "", fmt.Errorf("reading setting %s: %w", key, err)
	}
	all, err := settingsOf(data)
	return all[key], err
}

// SetSetting sets the value of a key.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	err := s.update(ctx, settingsObject, func(data []byte) ([]byte, error) {
		all, err := settingsOf(data)
		if err != nil {
			return nil, err
		}
		all[key] = value
		return json.Marshal(all)
	})
	if err != nil {
		return fmt.Errorf("saving setting %s: %w", key, err)
	}
	return nil
}

// EnsureSetting returns the value of a key, which it sets first if it was never set.
func (s *Store) EnsureSetting(ctx context.Context, key, value string) (kept string, err error) {
	err = s.update(ctx, settingsObject, func(data []byte) ([]byte, error) {
		all, err := settingsOf(data)
		if err != nil {
			return nil, err
		}
		if _, ok := all[key]; !ok {
			all[key] = value
		}
		kept = all[key]
		return json.Marshal(all)
	})
	if err != nil {
		return "", fmt.Errorf("saving setting %s: %w", key, err)
	}
	return kept, nil
}

func settingsOf(data []byte) (map[string]string, error) {
	all := make(map[string]string)
	if len(data) == 0 {
		return all, nil
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupted, err)
	}
	return all, nil
}

// noInventoryError is returned for everything that concerns the inventory.
type noInventoryError struct{}

func (noInventoryError) Error() string {
	return "this state holds cursors alone and no inventory"
}

// Mend says what to do.
func (noInventoryError) Mend() string {
	return "keep the state in a database (--state sqlite:PATH), or only collect with this one"
}

// EstateHistory fails: an object holds the last snapshot alone.
func (*Store) EstateHistory(context.Context, estate.HistoryQuery) (estate.HistoryPage, error) {
	return estate.HistoryPage{}, noHistoryError{}
}

// noHistoryError is returned for what the estate was earlier.
type noHistoryError struct{ noInventoryError }

func (noHistoryError) Error() string {
	return "this state holds the last discovery alone and no history of the estate"
}

// Endpoints fails: there is no inventory.
func (*Store) Endpoints(context.Context, inventory.Query) (inventory.Page, error) {
	return inventory.Page{}, noInventoryError{}
}

// Endpoint fails: there is no inventory.
func (*Store) Endpoint(context.Context, string) (*inventory.Detail, error) {
	return nil, noInventoryError{}
}

// Facets fails: there is no inventory.
func (*Store) Facets(context.Context, inventory.Query) (*inventory.Facets, error) {
	return nil, noInventoryError{}
}

// Traffic fails: there is no inventory.
func (*Store) Traffic(context.Context, string, time.Time, time.Time) ([]inventory.Minute, error) {
	return nil, noInventoryError{}
}

// InventorySequence fails: there is no inventory.
func (*Store) InventorySequence(context.Context) (uint64, error) { return 0, noInventoryError{} }

// SavedStages fails: there is no inventory.
func (*Store) SavedStages(context.Context) ([]inventory.SavedStage, error) {
	return nil, noInventoryError{}
}

// EachEndpoint fails: there is no inventory.
func (*Store) EachEndpoint(context.Context, func(*inventory.Saved) error) error {
	return noInventoryError{}
}
