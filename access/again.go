package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// keyed is the ID of the request that an ask with a key makes, and the digest of what
// is asked. The ID follows from the person and the key alone, so that of two that are
// sent at once, to whichever server, the store takes one.
func (a *Ask) keyed() (id, digest string) {
	sum := sha256.Sum256([]byte(a.By.ID + "\x00" + a.Key))
	id = "r" + idEncoding.EncodeToString(sum[:10])
	text, err := json.Marshal([]any{a.For, a.Items, a.Bundle, a.Duration, a.Justification, a.BreakGlass})
	if err != nil { // strings and numbers alone
		panic(err)
	}
	sum = sha256.Sum256(text)
	return id, hex.EncodeToString(sum[:])
}

// asked returns the request that an ask with that key has made; nil: none yet.
func (d *Desk) asked(ctx context.Context, id, digest string) (*Request, error) {
	before, err := d.store.Request(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil //nolint:nilnil // there is none, and that is no error
	case err != nil:
		return nil, err
	case before.Asked != digest:
		return nil, fmt.Errorf("%w: something else was asked with this key before, as request %s; take a new key", ErrInvalid, id)
	}
	return before, nil
}
