package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// keyWorld is an HTTP API whose issuer counts how often its keys are asked for.
type keyWorld struct {
	*world
	asked  atomic.Int64
	broken atomic.Bool
	mu     sync.Mutex
	keys   map[string]*rsa.PrivateKey
}

func newKeyWorld(t *testing.T) *keyWorld {
	t.Helper()
	w := &keyWorld{keys: map[string]*rsa.PrivateKey{}}
	w.world = newWorld(t, httpAPI("      - {method: GET, path: /a, authorization: JWT, authorizer: z, integration: {type: AWS_PROXY, uri: BACKEND/function}}\n",
		"    authorizers: {z: {type: JWT, audience: [shop], issuer: BACKEND/idp, jwks_url: BACKEND/keys}}\n"))
	w.backend.answers("/function", `{"statusCode":200,"body":"ok"}`)
	w.backend.mux.HandleFunc("/keys", func(rw http.ResponseWriter, _ *http.Request) {
		w.asked.Add(1)
		if w.broken.Load() {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		var set jose.JSONWebKeySet
		w.mu.Lock()
		for id, k := range w.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.PublicKey, KeyID: id, Algorithm: "RS256"})
		}
		w.mu.Unlock()
		if err := json.NewEncoder(rw).Encode(set); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *keyWorld) publish(t *testing.T, id string) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[id] = k
	return k
}

// status calls with a token of a key.
func (w *keyWorld) status(t *testing.T, id string, k *rsa.PrivateKey) int {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: k, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(map[string]any{"iss": w.backend.URL + "/idp", "aud": "shop", "exp": w.clock.now().Unix() + 60}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return w.call("GET", "/a", "", "Authorization", "Bearer "+token).status
}

// TestUnknownKeysDoNotFloodTheIssuer: tokens with key ids that nobody has are free
// to make; each of them must not become a call to the issuer.
func TestUnknownKeysDoNotFloodTheIssuer(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	k1 := w.publish(t, "k1")
	if s := w.status(t, "k1", k1); s != 200 || w.asked.Load() != 1 {
		t.Fatalf("%d, asked %d times", s, w.asked.Load())
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Minute)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 5 {
				if s := w.status(t, fmt.Sprintf("random-%d-%d", i, n), stranger); s != 401 {
					t.Errorf("a stranger's key: %d", s)
				}
			}
		})
	}
	all.Wait()
	if n := w.asked.Load(); n != 2 {
		t.Errorf("the issuer was asked %d times for 40 unknown keys", n-1)
	}
	// A wrong signature under a known id is no reason to ask.
	w.clock.advance(time.Minute)
	if s := w.status(t, "k1", stranger); s != 401 || w.asked.Load() != 2 {
		t.Errorf("%d, asked %d times", s, w.asked.Load())
	}
	// A new key is found at once when none was asked for of late, and else after the
	// cool-down.
	k2 := w.publish(t, "k2")
	if s := w.status(t, "k2", k2); s != 200 || w.asked.Load() != 3 {
		t.Errorf("%d, asked %d times", s, w.asked.Load())
	}
	k3 := w.publish(t, "k3")
	if s := w.status(t, "k3", k3); s != 401 || w.asked.Load() != 3 {
		t.Errorf("%d, asked %d times", s, w.asked.Load())
	}
	w.clock.advance(30 * time.Second)
	if s := w.status(t, "k3", k3); s != 200 || w.asked.Load() != 4 {
		t.Errorf("%d, asked %d times", s, w.asked.Load())
	}
}

// TestKeysAreKeptTwoHours: a key that the issuer has withdrawn ends with that, and
// an issuer that does not answer then lets nobody in.
func TestKeysAreKeptTwoHours(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	k1 := w.publish(t, "k1")
	if s := w.status(t, "k1", k1); s != 200 {
		t.Fatal(s)
	}
	w.broken.Store(true)
	w.clock.advance(2*time.Hour - time.Second)
	if s := w.status(t, "k1", k1); s != 200 || w.asked.Load() != 1 {
		t.Errorf("%d, asked %d times", s, w.asked.Load())
	}
	w.clock.advance(time.Second)
	for range 5 {
		if s := w.status(t, "k1", k1); s != 401 {
			t.Errorf("with keys that are too old: %d", s)
		}
	}
	if n := w.asked.Load(); n != 2 {
		t.Errorf("an issuer that fails was asked %d times", n-1)
	}
	w.broken.Store(false)
	w.clock.advance(30 * time.Second)
	if s := w.status(t, "k1", k1); s != 200 {
		t.Error(s)
	}
	w.mu.Lock()
	delete(w.keys, "k1")
	w.mu.Unlock()
	w.clock.advance(2 * time.Hour)
	if s := w.status(t, "k1", k1); s != 401 {
		t.Errorf("a key that was withdrawn: %d", s)
	}
}
