//go:build integration && unix

package postgres

import (
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/store"
)

// Whoever has only the tables cannot change the audit log unseen.
func TestIntegrationAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	s := openURL(t, newURL(t), store.Options{})
	for range 3 {
		if err := s.Append(t.Context(), audit.Event{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "a.b"}); err != nil {
			t.Fatal(err)
		}
	}
	copied := `SELECT %, at, action, kind, via, actor_id, actor_name, subject_kind, subject_id, subject_name, line FROM audit_events WHERE seq = 1`
	for _, statement := range []string{
		"UPDATE audit_events SET line = 'x' WHERE seq = 2", "DELETE FROM audit_events WHERE seq = 3", "TRUNCATE audit_events",
		"INSERT INTO audit_events " + strings.Replace(copied, "%", "7", 1), "INSERT INTO audit_events " + strings.Replace(copied, "%", "0", 1),
	} {
		if _, err := s.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("done: %s", statement)
		}
	}
	// Who takes the triggers away is found out.
	if _, err := s.pool.Exec(t.Context(), `ALTER TABLE audit_events DISABLE TRIGGER USER; DELETE FROM audit_events WHERE seq = 2`); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.VerifyStore(t.Context(), s, audit.VerifyOptions{}, nil); err == nil {
		t.Error("an event is missing, and the log is called whole")
	}
}

// What was answered is on the disk, whatever the server is set to promise.
func TestIntegrationCommitsAreSynchronous(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{"off": "on", "on": "on", "local": "local", "remote_apply": "remote_apply"} {
		s := openURL(t, newURL(t)+"&synchronous_commit="+set, store.Options{})
		var got string
		if err := s.pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != want {
			t.Errorf("set to %s it is %s, %v; want %s", set, got, err, want)
		}
	}
}

// Statements of the store are ended by the server when they take too long.
func TestIntegrationStatementsHaveAnEnd(t *testing.T) {
	t.Parallel()
	s := openURL(t, newURL(t)+"&statement_timeout=100ms", store.Options{})
	err := s.read(t.Context(), "waiting", func(q querier) error {
		_, err := q.Exec(t.Context(), "SELECT pg_sleep(60)")
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("a statement of a minute: %v", err)
	}
	if _, err := s.Setting(t.Context(), "a"); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// Marks of transactions that nobody asks for any more go.
func TestIntegrationMarksGo(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	s := openURL(t, url, store.Options{})
	if err := s.SetSetting(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), `INSERT INTO commits (id, at) SELECT gen_random_uuid(), now() - interval '1 hour' FROM generate_series(1, 1000)`); err != nil {
		t.Fatal(err)
	}
	if err := openURL(t, url, store.Options{}).SetSetting(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	var marks int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM commits").Scan(&marks); err != nil || marks != 2 {
		t.Errorf("%d marks, %v; want those of two changes", marks, err)
	}
}
