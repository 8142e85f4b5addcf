//go:build integration && unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/store"
)

// commitMessage is COMMIT on the wire.
var commitMessage = []byte("Q\x00\x00\x00\x0bcommit\x00")

// What a proxy does with a COMMIT.
const (
	pass   int32 = iota
	before       // the server never gets it, and sees the connection end
	silent       // the server never gets it, and sees nothing
	after        // the server does it, and its answer never comes
)

// proxy stands between a store and its server.
type proxy struct {
	server string
	next   atomic.Int32 // what to do with the next COMMIT
	cut    atomic.Int32 // how often it was done

	meanwhile func() // runs while the client of a COMMIT that was cut off still waits
	holding   atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

// startProxy returns a proxy and the URL that leads through it.
func startProxy(t *testing.T, storeURL string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(storeURL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.server)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			var answers atomic.Bool // swallowed from now on
			wg.Go(func() { p.requests(client, server, &answers) })
			wg.Go(func() { p.answers(client, server, &answers) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.closeAll()
		wg.Wait()
	})
	return p, u.String()
}

func (p *proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) requests(client, server net.Conn, swallow *atomic.Bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			_ = server.Close()
			return
		}
		if bytes.Contains(buf[:n], commitMessage) {
			switch do := p.next.Swap(pass); do {
			case before, silent:
				p.cut.Add(1)
				if p.meanwhile != nil {
					p.holding.Store(true)
					p.meanwhile()
					p.holding.Store(false)
					p.closeAll()
				}
				_ = client.Close()
				if do == before {
					_ = server.Close()
				}
				return
			case after:
				p.cut.Add(1)
				swallow.Store(true)
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) answers(client, server net.Conn, swallow *atomic.Bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil && p.holding.Load() {
			return
		}
		if err != nil || swallow.Load() {
			_ = client.Close()
			_ = server.Close()
			return
		}
		if _, err := client.Write(buf[:n]); err != nil && !errors.Is(err, io.EOF) {
			return
		}
	}
}

// A connection that is lost at a COMMIT: the change is there once, whatever the server
// had seen of it, and the caller is told so.
func TestIntegrationCommitIsLost(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]int32{"before the server saw it": before, "and the server waits": silent, "after it was done": after} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, through := startProxy(t, newURL(t))
			s := openURL(t, through, store.Options{})
			p.next.Store(do)
			e := audit.Event{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "a.b", Subject: audit.Subject{Kind: "thing", ID: name}}
			begin := time.Now()
			if err := s.Append(t.Context(), e); err != nil {
				t.Fatalf("a commit whose connection is lost: %v", err)
			}
			t.Logf("it took %s", time.Since(begin))
			if p.cut.Load() != 1 {
				t.Fatal("no COMMIT was cut off")
			}
			page, err := s.AuditEvents(t.Context(), audit.Query{})
			if err != nil || len(page.Events) != 1 {
				t.Errorf("the log has %d events, %v; want one", len(page.Events), err)
			}
		})
	}
}

// A server that dies forgets the numbers of transactions that it had not written down,
// and gives them to others: what became of those says nothing of ours.
func TestIntegrationCommitIsLostInACrash(t *testing.T) {
	t.Parallel()
	c := cluster(t, "-c wal_writer_delay=10s -c bgwriter_delay=10s")
	other := openURL(t, c.URL("lending"), store.Options{})
	p, through := startProxy(t, c.URL("lending"))
	s := openURL(t, through, store.Options{})
	const others = 40
	p.meanwhile = func() {
		if err := errors.Join(c.Down(t.Context(), "immediate"), c.Up(t.Context())); err != nil {
			t.Error(err)
		}
		for range others {
			if err := other.SetSetting(t.Context(), "a", "b"); err != nil {
				t.Error(err)
			}
		}
	}
	p.next.Store(silent)
	if err := s.Append(t.Context(), audit.Event{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "a.b"}); err != nil {
		t.Fatal(err)
	}
	if head, err := s.AuditHead(t.Context()); err != nil || head.Seq != 1 || p.cut.Load() != 1 {
		t.Errorf("the caller was told that the event is there; the log has %d, %v", head.Seq, err)
	}
}

// A caller that gives up during a COMMIT that is done is not told that it failed.
func TestIntegrationCallerGivesUpAtCommit(t *testing.T) {
	t.Parallel()
	s := openURL(t, newURL(t), store.Options{})
	for range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		before, err := s.AuditHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(2*time.Millisecond, cancel)
		told := s.Append(ctx, audit.Event{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "a.b"})
		timer.Stop()
		cancel()
		after, err := s.AuditHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if done := after.Seq != before.Seq; done != (told == nil) {
			t.Errorf("the event was written: %v; the caller was told: %v", done, told)
		}
	}
}
