package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// savedAudit answers the audit commands from a store.
type savedAudit struct{ audit.Store }

func (a *savedAudit) Audit(context.Context, *config.Config) (audit.Reader, func() error, error) {
	return a.Store, func() error { return nil }, nil
}

func newSavedAudit(t *testing.T) *savedAudit {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite::memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for _, e := range []audit.Event{
		{Actor: audit.Actor{Kind: audit.Gatehouse, Name: "gatehouse", Via: audit.ViaServer}, Action: "server.started", Subject: audit.Subject{Kind: "server", ID: "host"}},
		{Actor: audit.Actor{Kind: audit.Person, ID: "p-1", Name: "ann", Via: audit.ViaWeb}, Action: "finding.decided", Subject: audit.Subject{Kind: "finding", ID: "f1", Name: "route-open at GET /"}, Reason: "known \x1b[31m"},
		{Actor: audit.Actor{Kind: audit.Unknown, Address: "192.0.2.7", Via: audit.ViaWeb}, Action: "session.refused"},
	} {
		e.Time = at
		if err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		at = at.Add(-time.Minute)
	}
	return &savedAudit{s}
}

func runAudit(t *testing.T, rt auditRuntime, in string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	s := Streams{In: strings.NewReader(in), Out: &out, Err: &errs}
	cmd := newAudit(rt, &s)
	cmd.SetArgs(append(args, "--state", "file:"+t.TempDir()+"/state.db"))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestAuditList(t *testing.T) {
	t.Parallel()
	rt := newSavedAudit(t)
	out, _, err := runAudit(t, rt, "", "list")
	want := `SEQ  TIME (UTC)           ACTOR      VIA     ACTION           SUBJECT                      REASON
3    2026-03-14 15:07:26  192.0.2.7  web     session.refused  -                            -
2    2026-03-14 15:08:26  ann        web     finding.decided  finding route-open at GET /  known ?[31m
1    2026-03-14 15:09:26  gatehouse  server  server.started   server host                  -
`
	if err != nil || out != want {
		t.Errorf("list: %v\n%s\nwant\n%s", err, out, want)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"actor":   {[]string{"--actor", "ann"}, "2"},
		"kind":    {[]string{"--kind", "unknown"}, "3"},
		"action":  {[]string{"--action", "finding."}, "2"},
		"subject": {[]string{"--subject", "host"}, "1"},
		"limit":   {[]string{"--limit", "1"}, "3"},
		"since":   {[]string{"--since", "2026-03-14T15:09:00Z"}, "1"},
		"until":   {[]string{"--until", "2026-03-14T15:08:00Z"}, "3"},
	} {
		out, _, err := runAudit(t, rt, "", append([]string{"list", "-o", "json"}, c.args...)...)
		var events []struct{ Seq json.Number }
		if err != nil || json.Unmarshal([]byte(out), &events) != nil || len(events) != 1 || events[0].Seq.String() != c.want {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if out, _, err := runAudit(t, rt, "", "list", "--actor", "nobody"); err != nil || out != "no events\n" {
		t.Errorf("no events: %q, %v", out, err)
	}
	for _, args := range [][]string{{"--kind", "robot"}, {"--since", "x"}, {"--limit", "0"}, {"-o", "xml"}} {
		if _, _, err := runAudit(t, rt, "", append([]string{"list"}, args...)...); !isUsage(err) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func isUsage(err error) bool {
	_, ok := errors.AsType[*UsageError](err)
	return ok
}

func TestAuditExportAndVerify(t *testing.T) {
	t.Parallel()
	rt := newSavedAudit(t)
	export, _, err := runAudit(t, rt, "", "export")
	if err != nil || strings.Count(export, "\n") != 3 {
		t.Fatalf("export: %v\n%s", err, export)
	}
	head, err := rt.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "audit.ndjson")
	if err := os.WriteFile(file, []byte(export), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "whole: events 1 to 3\nhead:  " + head.String() + "\n"
	for name, args := range map[string][]string{
		"store":            {"verify"},
		"file":             {"verify", file},
		"input":            {"verify", "-"},
		"file with a head": {"verify", file, "--head", head.String()},
	} {
		out, errs, err := runAudit(t, rt, export, args...)
		if err != nil || out != want || strings.Count(errs, "before that of the event before") != 2 {
			t.Errorf("%s: %v\n%s%s", name, err, out, errs)
		}
	}
	first, err := rt.AuditEvent(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	rest, _, err := runAudit(t, rt, "", "export", "--after", "1")
	if err != nil || !strings.HasSuffix(export, rest) || strings.Count(rest, "\n") != 2 {
		t.Errorf("export after 1: %v\n%s", err, rest)
	}
	if out, _, err := runAudit(t, rt, rest, "verify", "-", "--after", audit.Head{Seq: 1, Hash: first.Hash}.String()); err != nil || !strings.HasPrefix(out, "whole: events 2 to 3\n") {
		t.Errorf("verifying what comes after 1: %v\n%s", err, out)
	}

	changed := strings.Replace(export, "route-open", "route-shut", 1)
	out, _, err := runAudit(t, rt, changed, "verify", "-")
	if broken, ok := errors.AsType[*audit.BreakError](err); !ok || broken.Seq != 2 || broken.Line != 2 || out != "events 1 to 1 are whole\n" {
		t.Errorf("a changed event: %v\n%s", err, out)
	}
	if hintOf(err) == "" {
		t.Error("a break has no hint")
	}
	out, _, err = runAudit(t, rt, changed, "verify", "-", "-o", "json")
	var v verified
	if err == nil || json.Unmarshal([]byte(out), &v) != nil || v.Whole || v.Fault != audit.Changed || v.Event != 2 || v.Events != 1 {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
	cut := export[:strings.LastIndex(strings.TrimSuffix(export, "\n"), "\n")+1]
	if _, _, err := runAudit(t, rt, cut, "verify", "-"); err != nil {
		t.Errorf("a log that is cut off is whole in itself: %v", err)
	}
	_, _, err = runAudit(t, rt, cut, "verify", "-", "--head", head.String())
	if broken, ok := errors.AsType[*audit.BreakError](err); !ok || broken.Fault != audit.Truncated {
		t.Errorf("a log that is cut off before a noted head: %v", err)
	}
	for _, args := range [][]string{{"--head", "3"}, {"--head", "0:" + head.Hash.String()}, {"--after", "3:xyz"}, {file, file}} {
		if _, _, err := runAudit(t, rt, "", append([]string{"verify"}, args...)...); !isUsage(err) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
