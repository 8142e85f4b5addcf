package mail_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// letter is a message that the server took.
type letter struct {
	from, to string
	user     string // who signed in
	secure   bool
	data     string
}

// server is a small SMTP server.
type server struct {
	addr   string
	caFile string
	config *tls.Config

	implicit   bool              // TLS from the first byte
	noTLS      bool              // offers no STARTTLS
	password   string            // that it asks for; empty: nobody signs in
	answers    map[string]string // by command: what it says instead
	dropAtQuit bool
	endless    bool // greets without an end

	mu      sync.Mutex
	letters []letter
	spoken  []string // commands heard before TLS
}

func serve(t *testing.T, s *server) *server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "smtp"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s.config = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				s.talk(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

func (s *server) talk(conn net.Conn) {
	secure := s.implicit
	if secure {
		conn = tls.Server(conn, s.config)
	}
	if s.endless {
		for {
			if _, err := conn.Write([]byte("220-" + strings.Repeat("x", 1000) + "\r\n")); err != nil {
				return
			}
		}
	}
	r := textproto.NewReader(bufio.NewReader(conn))
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 test ESMTP")
	var now letter
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if !secure {
			s.mu.Lock()
			s.spoken = append(s.spoken, verb)
			s.mu.Unlock()
		}
		if answer := s.answers[verb]; answer != "" {
			say(answer)
			continue
		}
		switch verb {
		case "EHLO":
			say("250-test")
			if !secure && !s.noTLS {
				say("250-STARTTLS")
			}
			if s.password != "" {
				say("250-AUTH PLAIN LOGIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.config)
			r = textproto.NewReader(bufio.NewReader(conn))
			secure = true
		case "AUTH":
			_, encoded, _ := strings.Cut(rest, " ")
			b, _ := base64.StdEncoding.DecodeString(encoded)
			parts := strings.Split(string(b), "\x00")
			if len(parts) != 3 || parts[2] != s.password {
				say("535 5.7.8 bad credentials: " + encoded)
				continue
			}
			now.user = parts[1]
			say("235 welcome")
		case "MAIL":
			now.from = strings.TrimPrefix(rest, "FROM:")
			say("250 ok")
		case "RCPT":
			now.to = strings.TrimPrefix(rest, "TO:")
			say("250 ok")
		case "DATA":
			say("354 go on")
			b, err := r.ReadDotBytes()
			if err != nil {
				return
			}
			now.data, now.secure = string(b), secure
			if answer := s.answers["."]; answer != "" {
				say(answer)
				continue
			}
			s.mu.Lock()
			s.letters = append(s.letters, now)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			if s.dropAtQuit {
				return
			}
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) got() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter(nil), s.letters...)
}
