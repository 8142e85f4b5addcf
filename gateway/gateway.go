package gateway

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

// Options are what a Gateway needs beside its configuration.
type Options struct {
	// Credentials find who signs with a key that the configuration does not have;
	// nil: nobody.
	Credentials CredentialStore
	// Logs gives the writer of an account's and region's log events; nil: nothing
	// is logged. It is called once for each API.
	Logs func(account, region string) LogWriter
	// Transport calls integrations and authorizers; a plain HTTP transport if nil.
	Transport http.RoundTripper
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Log gets what an operator must know; nothing is logged if nil.
	Log *slog.Logger
}

// Gateway is a running API Gateway: an http.Handler that any server may serve.
type Gateway struct {
	*prepared
	only        *api // where there is one API alone
	limits      Limits
	skew        time.Duration
	credentials CredentialStore
	writers     map[*api]LogWriter
	streams     map[*stage][]string
	transport   http.RoundTripper
	now         func() time.Time
	log         *slog.Logger
	sockets     *sockets

	mu        sync.Mutex
	verifiers map[string]*sigv4.Verifier // by region
}

// New makes a gateway of a configuration. The errors are of type *ConfigError,
// joined.
func New(c *Config, o Options) (*Gateway, error) {
	p, err := c.compile()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		prepared: p, limits: c.Limits, skew: c.ClockSkew, transport: o.Transport, now: o.Now, log: o.Log,
		writers: map[*api]LogWriter{}, streams: map[*stage][]string{}, verifiers: map[string]*sigv4.Verifier{}, sockets: newSockets(),
	}
	g.credentials = principals{p.principals, o.Credentials}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.transport == nil {
		g.transport = newTransport()
	}
	for _, a := range p.apis {
		if len(p.apis) == 1 {
			g.only = a
		}
		if o.Logs != nil {
			g.writers[a] = o.Logs(a.Account, a.Region)
		}
		for _, s := range a.stages {
			g.streams[s] = streamNames(s.target)
		}
		for _, z := range a.authorizers {
			z.start(g)
		}
	}
	return g, nil
}

// Shutdown closes the WebSocket connections with status 1001 and waits until their
// $disconnect routes were called, or ctx is done. New ones are refused. Whoever
// serves a Gateway without a Server calls it after the last call.
func (g *Gateway) Shutdown(ctx context.Context) { g.sockets.closeAll(ctx) }

// newTransport calls endpoints as they are: no proxy of the environment, no
// compression of its own, and connections that are kept.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:           1000,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

// verifier is the verifier of a region, which keeps derived keys.
func (g *Gateway) verifier(region string) *sigv4.Verifier {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.verifiers[region]
	if v == nil {
		v = &sigv4.Verifier{Lookup: g.lookup, Region: region, Service: "execute-api", Skew: g.skew, MaxBody: maxPayload}
		g.verifiers[region] = v
	}
	return v
}

// lookup finds the secret of an access key.
func (g *Gateway) lookup(accessKeyID string) (sigv4.Credentials, error) {
	p, err := g.credentials.Lookup(accessKeyID)
	switch {
	case err != nil:
		return sigv4.Credentials{}, err
	case p == nil:
		return sigv4.Credentials{}, sigv4.ErrUnknownAccessKey
	case p.SecretAccessKey == "":
		return sigv4.Credentials{}, errors.New("the access key has no secret")
	}
	return sigv4.Credentials{AccessKeyID: p.AccessKeyID, SecretAccessKey: p.SecretAccessKey, SessionToken: p.SessionToken, Expires: p.Expires}, nil
}

// newIDs are the request id and the extended request id of a call. They name a
// call and protect nothing.
func (g *Gateway) newIDs() (id, extended string) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], rand.Uint64()) //nolint:gosec // names a call, protects nothing
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64()) //nolint:gosec // as above
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:8], b[:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:], b[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	var x [11]byte
	binary.LittleEndian.PutUint64(x[:], rand.Uint64())  //nolint:gosec // as above
	binary.LittleEndian.PutUint32(x[7:], rand.Uint32()) //nolint:gosec // as above
	return string(text[:]), base64.URLEncoding.EncodeToString(x[:])
}

// streamNames are the log streams of a stage. API Gateway spreads a stage's calls
// over several.
func streamNames(target string) []string {
	const streams = 4
	out := make([]string, streams)
	for i := range out {
		h := fnv.New128a()
		_, _ = h.Write([]byte(target + "#" + strconv.Itoa(i))) // a hash never fails
		out[i] = hex.EncodeToString(h.Sum(nil))
	}
	return out
}

// timeout is how long an integration that sets no timeout may take.
func (l Limits) timeout() time.Duration { return orDefault(l.Timeout, 29*time.Second) }

func (l Limits) payload() int64 { return orDefault(l.Payload, int64(maxPayload)) }

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
