package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// Quotas of API Gateway on an issuer, and how long its keys are kept. The two hours
// are documented for HTTP APIs.
const (
	maxKeySet     = 150_000 // bytes
	issuerTimeout = 1500 * time.Millisecond
	keepKeys      = 2 * time.Hour
	// retryKeys is how long a key that is not there, or an issuer that does not
	// answer, is not asked for again. Anyone can write a token with a key id that
	// nobody has: without this each of them would be a call to the issuer.
	retryKeys = 30 * time.Second
)

// keySet are the keys of an issuer, fetched when they are needed.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when keys were fetched; zero: never
	tried   time.Time // when it was last tried
	failure error
	asking  chan struct{} // closed when the fetch under way has ended; nil: none is
}

var _ oidc.KeySet = (*keySet)(nil)

// VerifySignature checks a token against the key that its header names.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512})
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	if len(signed.Signatures) != 1 || signed.Signatures[0].Header.KeyID == "" {
		return nil, errors.New("the token's header names no key")
	}
	id := signed.Signatures[0].Header.KeyID
	key, err := k.find(ctx, id)
	if err != nil {
		return nil, err
	}
	// The key is right by its id: if the signature is not, new keys would not help.
	return signed.Verify(key)
}

// find returns the key of an id, and asks the issuer where it is not there or the
// keys are too old, but not more often than every retryKeys.
func (k *keySet) find(ctx context.Context, id string) (*jose.JSONWebKey, error) {
	for {
		k.mu.Lock()
		now := k.now()
		fresh := !k.fetched.IsZero() && now.Sub(k.fetched) < keepKeys
		if fresh {
			for i := range k.keys {
				if k.keys[i].KeyID == id {
					defer k.mu.Unlock()
					return &k.keys[i], nil
				}
			}
		}
		if k.asking == nil {
			if !k.tried.IsZero() && now.Sub(k.tried) < retryKeys {
				defer k.mu.Unlock()
				if !fresh && k.failure != nil {
					return nil, k.failure
				}
				return nil, errors.New("the issuer has no key of the token's id")
			}
			k.tried, k.asking = now, make(chan struct{})
			k.mu.Unlock()
			k.fetch()
			continue
		}
		asking := k.asking
		k.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fetch asks the issuer, for all who wait. It does not depend on the call that
// happened to need a key: if its caller hangs up, the others still get theirs.
func (k *keySet) fetch() {
	keys, err := k.ask()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failure = err
	if err == nil {
		k.keys, k.fetched = keys, k.now()
	}
	close(k.asking)
	k.asking = nil
}

func (k *keySet) ask() ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), issuerTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the issuer's keys: %w", err)
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking for the issuer's keys: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for the issuer's keys: the answer is %d", resp.StatusCode)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// Keys of kinds that are not known here are of no use here.
		if json.Unmarshal(raw, &key) == nil && key.Valid() && key.IsPublic() && key.KeyID != "" {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// boundedTransport cuts answers of an issuer at API Gateway's limit.
type boundedTransport struct{ http.RoundTripper }

// RoundTrip answers with a body that is an error beyond the limit.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, maxKeySet}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read fails once the limit is passed.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("the issuer's answer is larger than %d bytes", maxKeySet)
	}
	return n, err
}
