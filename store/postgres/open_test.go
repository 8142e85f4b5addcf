package postgres

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-project/gatehouse/store"
)

// No error tells a password, however the URL is wrong.
func TestPasswordStaysOutOfErrors(t *testing.T) {
	t.Parallel()
	const secret = "hunter2%zz"
	escaped := url.QueryEscape(secret)
	for _, u := range []string{
		"postgres://ann:" + escaped + "@127.0.0.1:1/db",                             // nothing listens
		"postgres://ann:" + escaped + "@127.0.0.1:1/db?sslmode=" + escaped,          // a wrong setting
		"postgres://ann:" + escaped + "@127.0.0.1:port/db",                          // a wrong port
		"postgres://ann:" + secret + "@127.0.0.1:1/db",                              // not percent-encoded
		"postgres://127.0.0.1:1/db?user=ann&password=" + escaped + "&sslmode=wrong", // elsewhere
		"postgres://ann:" + escaped + "@127.0.0.1:1/db?pool_max_conns=" + escaped,
		"postgres://ann:" + escaped + "@127.0.0.1:1/db?connect_timeout=x",
		"postgres:ann:" + secret + "@127.0.0.1/db",
		"postgresql://ann:" + escaped + "@[::1/db",
	} {
		ctx, cancel := contextFor(t, 300*time.Millisecond)
		_, err := Open(ctx, u, store.Options{})
		cancel()
		if err == nil {
			t.Fatalf("%s was opened", u)
		}
		text := err.Error()
		if mend, ok := errors.AsType[interface {
			error
			Mend() string
		}](err); ok {
			text += mend.Mend()
		}
		for _, s := range []string{secret, escaped, "hunter2"} {
			if strings.Contains(text, s) {
				t.Errorf("%s: the password is in %q", u, text)
			}
		}
	}
}

func TestURLSettings(t *testing.T) {
	t.Parallel()
	config, schema, err := parse("PostgreSQL://ann@db.example.com:5433/gate?sslmode=verify-full&search_path=lending&statement_timeout=5s&pool_max_conns=3")
	if err != nil {
		t.Fatal(err)
	}
	c := config.ConnConfig
	if c.Host != "db.example.com" || c.Port != 5433 || c.Database != "gate" || c.TLSConfig == nil || c.TLSConfig.InsecureSkipVerify || schema != "lending" {
		t.Errorf("%s:%d/%s, schema %q, TLS %v", c.Host, c.Port, c.Database, schema, c.TLSConfig)
	}
	if config.MaxConns != 3 || c.RuntimeParams["statement_timeout"] != "5s" || c.RuntimeParams["lock_timeout"] != lockTimeout || c.ConnectTimeout != connectTimeout {
		t.Errorf("%d connections, %v", config.MaxConns, c.RuntimeParams)
	}
	if _, schema, err := parse(`postgres://ann@db/gate?search_path=a,b`); err != nil || schema != "" {
		t.Errorf("a path of several schemas: %q, %v", schema, err)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	server := func(code string) error {
		return &pgconn.PgError{Code: code, Message: "cached plan must not change result type"}
	}
	gone := &lostError{errors.New("EOF")}
	for name, c := range map[string]struct {
		err   error
		tries int
		since time.Duration
		again bool
	}{
		"a deadlock":                    {server("40P01"), 50, time.Minute, true},
		"a serialization failure":       {server("40001"), 3, time.Second, true},
		"a lost connection":             {gone, 3, time.Second, true},
		"a lost connection for long":    {gone, 30, patience, false},
		"a server that starts":          {server("57P03"), 3, time.Second, true},
		"a server that starts for ever": {server("57P03"), 30, patience, false},
		"a cached plan":                 {server("0A000"), 0, 0, true},
		"a cached plan again and again": {server("0A000"), 3, 0, false},
		"a wrong password":              {&lostError{server("28P01")}, 0, 0, false},
		"a full disk":                   {server("53100"), 0, 0, false},
		"a statement that took long":    {server("57014"), 0, 0, false},
		"a conflict":                    {store.ErrSequence, 0, 0, false},
	} {
		if again := retry(c.err, c.tries, c.since) >= 0; again != c.again {
			t.Errorf("%s: tried again: %v", name, again)
		}
	}
}

func TestErrorsHaveKinds(t *testing.T) {
	t.Parallel()
	s := &Store{place: "postgres://db:5432/gate"}
	for code, kind := range map[string]error{
		"53100": store.ErrFull, "25006": store.ErrReadOnly, "42501": store.ErrReadOnly, "55P03": store.ErrLocked, "28P01": store.ErrUnreachable,
		"3D000": store.ErrUnreachable, "57P01": store.ErrUnreachable, "XX001": store.ErrCorrupted,
	} {
		err := s.wrap("saving", &pgconn.PgError{Severity: "ERROR", Code: code, Message: "no"})
		mend, ok := errors.AsType[*Error](err)
		if !errors.Is(err, kind) || !ok || mend.Mend() == "" || !strings.Contains(err.Error(), "db:5432") {
			t.Errorf("%s: %v", code, err)
		}
	}
	if err := s.wrap("saving", store.ErrSequence); !errors.Is(err, store.ErrSequence) || errors.Is(err, store.ErrUnreachable) {
		t.Error(err)
	}
	if err := s.wrap("saving", nil); err != nil {
		t.Error(err)
	}
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}
