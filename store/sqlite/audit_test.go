package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/store"
)

const auditCrashEnv = "GATEHOUSE_TEST_CRASH_AUDIT"

func auditStore(tb testing.TB, events int) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), filepath.Join(tb.TempDir(), "state.db"), store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	fill(tb, s, events)
	return s
}

func fill(tb testing.TB, s *Store, events int) {
	tb.Helper()
	all := make([]audit.Event, 0, min(events, 1000))
	for n := range events {
		all = append(all, audit.Event{
			Actor:  audit.Actor{Kind: audit.Person, ID: "p-1", Name: "ann", Via: audit.ViaWeb},
			Action: "grant.revoked", Subject: audit.Subject{Kind: "grant", ID: fmt.Sprint(n)}, Reason: "it ended",
		})
		if len(all) == cap(all) || n == events-1 {
			if err := s.Append(tb.Context(), all...); err != nil {
				tb.Fatal(err)
			}
			all = all[:0]
		}
	}
}

// The engine itself refuses to change the log, whatever code asks for it.
func TestAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	s := auditStore(t, 3)
	line := func(seq int) string {
		var line string
		if err := s.read.QueryRowContext(t.Context(), `SELECT line FROM audit_events WHERE seq = ?`, seq).Scan(&line); err != nil {
			t.Fatal(err)
		}
		return line
	}
	before := line(2)
	for _, statement := range []string{
		`UPDATE audit_events SET line = '{}' WHERE seq = 2`,
		`UPDATE audit_events SET seq = 9 WHERE seq = 3`,
		`UPDATE OR REPLACE audit_events SET seq = 2 WHERE seq = 3`,
		`DELETE FROM audit_events WHERE seq = 3`,
		`DELETE FROM audit_events`,
		`INSERT INTO audit_events (seq, line) VALUES (2, '{}')`,
		`INSERT OR REPLACE INTO audit_events (seq, line) VALUES (2, '{}')`,
		`INSERT OR IGNORE INTO audit_events (seq, line) VALUES (9, '{}')`,
		`REPLACE INTO audit_events (seq, line) VALUES (3, '{}')`,
	} {
		if _, err := s.write.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: done", statement)
		}
	}
	if line(2) != before {
		t.Error("the second event was changed")
	}
	if report, err := audit.VerifyStore(t.Context(), s, audit.VerifyOptions{}, nil); err != nil || report.Events != 3 {
		t.Errorf("verified %+v, %v", report, err)
	}
}

// Somebody who writes the file by other means is found, and an end of the log that
// cannot be read is not built upon.
func TestAuditTamperingIsFound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		statement string
		fault     audit.Fault
		seq       uint64
	}{
		"a word":        {`UPDATE audit_events SET line = replace(line, 'it ended', 'it lasts') WHERE seq = 2`, audit.Changed, 2},
		"removed":       {`DELETE FROM audit_events WHERE seq = 2`, audit.Missing, 2},
		"no event":      {`UPDATE audit_events SET line = '{"hash":""}' WHERE seq = 2`, audit.Unreadable, 2},
		"other numbers": {`UPDATE audit_events SET seq = seq + 10 WHERE seq > 1`, "", 0},
		"swapped lines": {`WITH o AS MATERIALIZED (SELECT seq, line FROM audit_events) UPDATE audit_events SET line = (SELECT line FROM o WHERE o.seq = 5 - audit_events.seq) WHERE seq IN (2, 3)`, audit.Reordered, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := auditStore(t, 4)
			for _, statement := range []string{
				`DROP TRIGGER audit_events_stand`, `DROP TRIGGER audit_events_stay`,
				`DROP INDEX audit_events_by_time`, `DROP INDEX audit_events_by_action`, `DROP INDEX audit_events_by_actor_id`,
				`DROP INDEX audit_events_by_actor_name`, `DROP INDEX audit_events_by_subject_id`, `DROP INDEX audit_events_by_subject_name`,
				`DROP INDEX audit_events_by_subject_kind`, tc.statement,
			} {
				if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			_, err := audit.VerifyStore(t.Context(), s, audit.VerifyOptions{}, nil)
			broken, ok := errors.AsType[*audit.BreakError](err)
			if tc.fault == "" {
				// The rows' own numbers are no part of the chain; the lines are whole, and
				// the next event finds that the head is not where it says.
				if err := s.Append(t.Context(), audit.Event{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "a.b"}); err == nil {
					t.Error("an event was added behind a head of another number")
				}
				return
			}
			if !ok || broken.Fault != tc.fault || broken.Seq != tc.seq {
				t.Errorf("found %v; want %s at event %d", err, tc.fault, tc.seq)
			}
		})
	}
}

// TestAuditCrashChild is the process that is killed: it appends for ever, two events
// at a time, and says the head after each.
func TestAuditCrashChild(t *testing.T) {
	path := os.Getenv(auditCrashEnv)
	if path == "" {
		t.Skip("runs as a child of TestKilledWhileAppending")
	}
	s, err := Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		fill(t, s, 2)
		head, err := s.AuditHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("head %s\n", head)
	}
}

func TestKilledWhileAppending(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	for round := range 4 {
		// Two processes at once, killed at different moments.
		a, b := appendAndKill(t, path, 10+round), appendAndKill(t, path, 5)
		s, err := Open(t.Context(), path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := audit.VerifyStore(t.Context(), s, audit.VerifyOptions{Heads: []audit.Head{a(), b()}}, nil)
		if err != nil || report.Last.Seq%2 != 0 {
			t.Errorf("after a kill: %+v, %v", report.Last, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// appendAndKill starts a child, and returns a function that kills it after so many
// heads and returns the last head that it said.
func appendAndKill(t *testing.T, path string, heads int) func() audit.Head {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestAuditCrashChild$")
	cmd.Env = append(os.Environ(), auditCrashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() audit.Head {
		defer cancel()
		var last audit.Head
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); {
			text, ok := strings.CutPrefix(lines.Text(), "head ")
			if !ok {
				continue
			}
			h, err := audit.ParseHead(text)
			if err != nil {
				t.Errorf("the child said %q: %v", text, err)
			}
			last = h
			if n++; n == heads {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if last.Seq == 0 {
			t.Error("the child said no head")
		}
		return last
	}
}

// A page of a long log by each filter reads an index and not the whole log.
func TestAuditQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	s := auditStore(t, 10)
	for name, q := range map[string]audit.Query{
		"actor":   {Actor: "ann"},
		"action":  {Action: "grant."},
		"subject": {Subject: "x"},
		"since":   {Since: time.Now()},
		"own":     {By: &audit.Actor{Kind: audit.Person, ID: "p-1"}},
	} {
		chosen, args, err := auditChoice(&q)
		if err != nil {
			t.Fatal(err)
		}
		plan := ""
		err = s.view(t.Context(), "explaining", func(tx *sql.Tx) error {
			return each(t.Context(), tx, `EXPLAIN QUERY PLAN `+chosen+` LIMIT 10`, args, func(rows *sql.Rows) error {
				var id, parent, unused int
				var detail string
				err := rows.Scan(&id, &parent, &unused, &detail)
				plan += detail + "\n"
				return err
			})
		})
		if err != nil || !strings.Contains(plan, "audit_events_by_") || strings.Contains(plan, "SCAN audit_events") {
			t.Errorf("%s: %v\n%s", name, err, plan)
		}
	}
}

func BenchmarkAuditAppend(b *testing.B) {
	s := auditStore(b, 0)
	e := audit.Event{
		Actor:  audit.Actor{Kind: audit.Person, ID: "p-1", Name: "ann", Via: audit.ViaWeb},
		Action: "grant.revoked", Subject: audit.Subject{Kind: "grant", ID: "1"}, Reason: "it ended",
	}
	for b.Loop() {
		if err := s.Append(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuditVerify(b *testing.B) {
	s := auditStore(b, 20_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.VerifyStore(b.Context(), s, audit.VerifyOptions{}, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds(), "events/s")
}
