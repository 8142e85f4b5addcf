// Package awssim is an AWS in the process: one http.Handler that speaks the wire
// protocols of STS, IAM, Organizations, Account Management, CloudWatch Logs, EKS, Lambda
// and API Gateway (v1 and v2) well enough for the AWS SDKs, the AWS CLI and boto3, for
// the operations that Gatehouse calls, and for Terraform to apply its stacks. Several
// accounts and regions are kept apart. It can be told to misbehave as AWS does on a bad
// day: see Fault.
//
// A world is set up in Go and then reached over HTTP with AWS_ENDPOINT_URL:
//
//	sim := awssim.New(awssim.Options{})
//	orders := sim.Account("222222222222")
//	orders.AddRole(awssim.Role{Name: "Collector", TrustedAccounts: []string{"111111111111"}, Allow: []string{"logs:*"}})
//	orders.Region("eu-west-1").Logs().Put("group", "stream", awssim.LogEvent{Timestamp: ms, Message: "…"})
//	server, err := sim.Listen("127.0.0.1:0")
//
// Locks are taken in this order and never the other way: Sim, Account, Region
// or Logs, group. None is held while another service's handler runs.
package awssim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options says how a Sim behaves. The zero value is a well-behaved AWS on the
// system's clock.
type Options struct {
	// Clock tells the time for sessions, log events and quotas; nil: time.Now.
	Clock func() time.Time
	// Seed makes identifiers and faults by probability repeatable.
	Seed uint64
	// Control serves faults and counters under /_awssim/. It is unauthenticated,
	// so it is off unless asked for.
	Control bool
	// EnforceQuotas answers calls over AWS's documented rates with a throttling
	// error, per account, region and operation.
	EnforceQuotas bool
	// Quotas overrides calls a second by operation ("FilterLogEvents": 5).
	Quotas map[string]float64
	// Retention drops log events that are older, to bound memory; 0 keeps them
	// as long as their group's own retention says.
	Retention time.Duration
	// ScanWindow is how many log events one FilterLogEvents page looks at before
	// it ends, with a token and maybe no event; 0: 100,000.
	ScanWindow int
	// Authority checks signatures and policies; nil: AWS's own rules, as sigv4 and
	// iam have them.
	Authority Authority
	// SigningClock tells the time against which signatures are checked; nil:
	// time.Now, because clients sign by the clock of their machine, whatever time
	// Clock plays.
	SigningClock func() time.Time
	// Partition of all ARNs; empty: "aws".
	Partition string
}

// Sim is a simulated AWS. It is safe for concurrent use.
type Sim struct {
	clock     func() time.Time
	opts      Options
	authority Authority
	partition string
	tokens    tokenKey
	faults    faults
	quotas    quotas
	calls     calls
	sequence  sequence

	mu       sync.RWMutex
	accounts map[string]*Account
	keys     map[string]*Credential // by access key id
	sweepAt  int                    // size of keys at which dead sessions are dropped
	orgs     []*Organization

	randMu sync.Mutex
	random *rand.Rand
}

// New returns an AWS without accounts.
func New(o Options) *Sim {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Partition == "" {
		o.Partition = "aws"
	}
	if o.ScanWindow <= 0 {
		o.ScanWindow = 100_000
	}
	s := &Sim{
		clock:     o.Clock,
		opts:      o,
		authority: o.Authority,
		partition: o.Partition,
		accounts:  map[string]*Account{},
		keys:      map[string]*Credential{},
		sweepAt:   firstSweep,
		// Identifiers must repeat from run to run, so this is not crypto/rand;
		// nothing here guards anything real.
		random: rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15)), //nolint:gosec // repeatable on purpose
	}
	if s.authority == nil {
		if o.SigningClock == nil {
			o.SigningClock = time.Now
		}
		s.authority = newAuthority(s, o.SigningClock)
	}
	s.tokens.init(o.Seed)
	s.faults.init(o.Seed)
	s.quotas.init(o.Quotas)
	return s
}

// Account returns the account with the 12-digit id, and creates it on first use.
func (s *Sim) Account(id string) *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[id]
	if !ok {
		a = newAccount(s, id)
		s.accounts[id] = a
	}
	return a
}

// account returns an account that exists, or nil.
func (s *Sim) account(id string) *Account {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.accounts[id]
}

// now is the simulated time in milliseconds since the epoch.
func (s *Sim) now() int64 { return s.clock().UnixMilli() }

// The alphabets of AWS's identifiers: of keys and IAM ids, of API ids, and of
// secrets.
const (
	upperAlnum     = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	lowerAlnum     = "abcdefghijklmnopqrstuvwxyz0123456789"
	secretAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)

// randomID returns n letters of the alphabet.
func (s *Sim) randomID(alphabet string, n int) string {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[s.random.IntN(len(alphabet))]
	}
	return string(b)
}

// Server is a Sim that listens on a TCP address.
type Server struct {
	server   *http.Server
	listener net.Listener
	done     chan struct{}
	err      error
}

// Listen serves the Sim on a TCP address; port 0 picks a free one. The caller
// closes the Server.
func (s *Sim) Listen(addr string) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for awssim on %s: %w", addr, err)
	}
	srv := &Server{
		server:   &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second},
		listener: l,
		done:     make(chan struct{}),
	}
	go func() {
		defer close(srv.done)
		if err := srv.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			srv.err = err
		}
	}()
	return srv, nil
}

// URL is the endpoint for AWS_ENDPOINT_URL: "http://127.0.0.1:PORT".
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close stops the server at once, cuts open connections and waits until it no
// longer serves. It returns why serving ended if that was not Close.
func (s *Server) Close() error {
	err := s.server.Close()
	<-s.done
	return errors.Join(s.err, err)
}
