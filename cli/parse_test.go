package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	parseGroup = "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"
	parseStart = 1_767_225_600_000 // 2026-01-01T00:00:00Z
)

// parsed is what a user of gatehouse parse gets.
type parsed struct {
	calls  []transaction.Transaction
	stderr string
	status int
}

func runParse(t *testing.T, stdin string, args ...string) parsed {
	t.Helper()
	var out, errs bytes.Buffer
	var p parsed
	p.status = Run(context.Background(), nil, Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs}, append([]string{"parse"}, args...))
	p.stderr = errs.String()
	for line := range strings.Lines(out.String()) {
		var tx transaction.Transaction
		if err := json.Unmarshal([]byte(line), &tx); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		p.calls = append(p.calls, tx)
	}
	return p
}

func (p parsed) wants(t *testing.T, calls, status int, counts ...string) {
	t.Helper()
	if len(p.calls) != calls || p.status != status {
		t.Errorf("%d calls and status %d, want %d and %d; %s", len(p.calls), p.status, calls, status, p.stderr)
	}
	for _, count := range counts {
		name, n, _ := strings.Cut(count, " ")
		found := false
		for line := range strings.Lines(p.stderr) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == name+":" && f[1] == n {
				found = true
			}
		}
		if !found {
			t.Errorf("%s is not in %s", count, p.stderr)
		}
	}
}

func parseID(n int) string { return fmt.Sprintf("7d1c2b3a-0a0b-4c0d-8e0f-%012d", n) }

func parseExt(n int) string { return fmt.Sprintf("AbCdEf%04dAMFqXw=", n) }

// page is what aws logs filter-log-events prints.
func page(t *testing.T, events ...map[string]any) string {
	t.Helper()
	text, err := json.MarshalIndent(map[string]any{"events": events, "searchedLogStreams": []any{}}, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func event(n int, at int64, message string) map[string]any {
	return map[string]any{"logStreamName": "s", "timestamp": parseStart + at, "message": message, "ingestionTime": parseStart + at, "eventId": fmt.Sprintf("3%055d", n)}
}

func execution(n int, at int64) []map[string]any {
	var events []map[string]any
	for i, text := range []string{"Extended Request Id: " + parseExt(n), "Starting execution for request: " + parseID(n), "HTTP Method: GET, Resource Path: /pets/7", "Method completed with status: 200"} {
		events = append(events, event(n*10+i, at+int64(i), "("+parseID(n)+") "+text))
	}
	return events
}

func accessRecord(n int, at int64) map[string]any {
	return event(1_000_000+n, at, fmt.Sprintf(`{"requestId":"%s","extendedRequestId":"%s","ip":"203.0.113.9","httpMethod":"GET","resourcePath":"/pets/{id}","status":"200"}`, parseID(n), parseExt(n)))
}

func TestParseJoinsFilesAndConcatenations(t *testing.T) {
	t.Parallel()
	const calls = 20
	var exec, acc []map[string]any
	for n := range calls {
		exec = append(exec, execution(n, int64(n)*60_000)...)
		acc = append(acc, accessRecord(n, int64(n)*60_000+5))
	}
	dir := t.TempDir()
	execFile, accFile := filepath.Join(dir, "exec.json"), filepath.Join(dir, "access.json")
	for name, text := range map[string]string{execFile: page(t, exec...), accFile: page(t, acc...)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, p := range map[string]parsed{
		"two files":           runParse(t, "", "--log-group", parseGroup, execFile, accFile),
		"access first":        runParse(t, "", "--log-group", parseGroup, accFile, execFile),
		"one after the other": runParse(t, page(t, exec...)+page(t, acc...), "--log-group", parseGroup),
		"the other way round": runParse(t, page(t, acc...)+page(t, exec...), "--log-group", parseGroup),
		"without a group":     runParse(t, page(t, exec...)+page(t, acc...)),
		"each page twice":     runParse(t, page(t, exec...)+page(t, acc...)+page(t, exec...), "--log-group", parseGroup, "-"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.wants(t, calls, 0, "calls 20", "incomplete 0", "late_lines 0", "unparsed 0")
			for _, tx := range p.calls {
				if len(tx.Sources) != 2 || tx.Route != "/pets/{id}" || tx.Path != "/pets/7" || tx.Log.Events != 5 || !tx.Complete {
					t.Errorf("got %s", tx.AppendJSON(nil))
				}
			}
		})
	}
	runParse(t, page(t, exec...)+page(t, exec...), "--log-group", parseGroup).wants(t, calls, 0, "doubles 80", "events 160")
}

func TestParseGroupAccountRegion(t *testing.T) {
	t.Parallel()
	in := page(t, execution(1, 0)...)
	arn := "arn:aws:logs:eu-west-1:111122223333:log-group:" + parseGroup + ":*"
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"nothing":     {nil, "   "},
		"a group":     {[]string{"--log-group", parseGroup}, "  a1b2c3d4e5 prod"},
		"an ARN":      {[]string{"--log-group", arn}, "111122223333 eu-west-1 a1b2c3d4e5 prod"},
		"flags first": {[]string{"--log-group", arn, "--account", "444455556666", "--region", "eu-north-1"}, "444455556666 eu-north-1 a1b2c3d4e5 prod"},
	} {
		p := runParse(t, in, tc.args...)
		p.wants(t, 1, 0)
		tx := p.calls[0]
		if got := strings.Join([]string{tx.Account, tx.Region, tx.APIID, tx.Stage}, " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestParseAccessFormats(t *testing.T) {
	t.Parallel()
	line := func(group, message string) string {
		text, err := json.Marshal(map[string]any{"logGroup": group, "timestamp": parseStart, "message": message})
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	const one, two = "$context.requestId|$context.status|$context.httpMethod", `{"r":"$context.requestId","s":$context.status,"m":"$context.httpMethod"}`
	in := line("a", parseID(1)+"|201|GET") + line("b", `{"r":"`+parseID(2)+`","s":202,"m":"PUT"}`) + line("c", parseID(3)+"|203|POST")
	p := runParse(t, in, "--access-format", one, "--access-format", "b="+two)
	p.wants(t, 3, 0)
	for i, tx := range p.calls {
		if tx.Response.Status != 201+i || tx.RequestID != parseID(i+1) {
			t.Errorf("got %s", tx.AppendJSON(nil))
		}
	}
	runParse(t, in, "--access-format", "a="+one).wants(t, 1, 0, "unparsed 2", "foreign_json 1", "no_request_id 1")
	for _, args := range [][]string{{"--access-format", "nothing"}, {"--access-format", one, "--access-format", two}, {"--idle", "0s"}} {
		if p := runParse(t, in, args...); p.status != 2 {
			t.Errorf("%v: status %d, %s", args, p.status, p.stderr)
		}
	}
}

func TestParseGoesOnAfterBrokenInput(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.json")
	in := "{\"message\":\"broken\n" + page(t, execution(1, 0)...)
	p := runParse(t, in, missing, "-")
	p.wants(t, 1, 1, "calls 1")
	for _, want := range []string{"missing.json: no such file", "standard input: line 1 (byte 0): broken JSON", "2 places of the input could not be read"} {
		if !strings.Contains(p.stderr, want) {
			t.Errorf("%q is not in %s", want, p.stderr)
		}
	}
}

func TestParseUnparsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "unparsed.ndjson")
	p := runParse(t, page(t, event(1, 0, "hello"), event(2, 1, ""), event(3, 2, "{}")), "--unparsed", file)
	p.wants(t, 0, 0, "unparsed 3", "no_request_id 1", "empty 1", "foreign_json 1")
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"kind":"no_request_id","logStreamName":"s","eventId":"3%055d","timestamp":%d,"message":"hello"}`, 1, parseStart)
	if diff := cmp.Diff(want, strings.SplitN(string(got), "\n", 2)[0]); diff != "" {
		t.Errorf("unparsed (-want +got):\n%s", diff)
	}
	if runParse(t, string(got)).wants(t, 0, 0, "unparsed 3"); strings.Count(string(got), "\n") != 3 {
		t.Errorf("got %s", got)
	}
}

func TestParseTailAndCut(t *testing.T) {
	t.Parallel()
	p := runParse(t, "2026-01-01T00:00:00.000000+00:00 s1 ("+parseID(1)+") Starting execution for request: "+parseID(1)+"\n"+
		"2026-01-01T00:00:00.001000+00:00 s1 ("+parseID(1)+") HTTP Method: POST, Resource Path: /pets\n"+
		"2026-01-01T00:00:00.002000+00:00 s1 ("+parseID(1)+") Method request body before transformations: {\n  \"a\": 1\n}\n"+
		"2026-01-01T00:00:01.000000+00:00 s1 ("+parseID(2)+") Starting execution for request: "+parseID(2)+"\n"+
		"2026-01-01T00:00:02.000000+00:00 s1 ("+parseID(1)+") Method completed with status: 200\n", "--log-group", parseGroup)
	p.wants(t, 2, 0, "events 5", "incomplete 1")
	tx := p.calls[0]
	if tx.Request.Body != "{\n  \"a\": 1\n}" || !tx.Complete || p.calls[1].Complete {
		t.Errorf("got %s", tx.AppendJSON(nil))
	}
	if got := tx.Time.Time().Format("15:04:05"); got != "00:00:00" {
		t.Errorf("time %s", got)
	}
}

func TestParseOrderWithinAMillisecond(t *testing.T) {
	t.Parallel()
	events := execution(1, 0)
	for i, e := range events {
		e["timestamp"] = parseStart
		e["eventId"] = fmt.Sprint(8 + i) // 8, 9, 10, 11: by number, not by letter
	}
	events[0], events[1], events[2], events[3] = events[3], events[2], events[0], events[1]
	p := runParse(t, page(t, events...))
	p.wants(t, 1, 0)
	if p.calls[0].Log.FirstEventID != "8" {
		t.Errorf("first event %s", p.calls[0].Log.FirstEventID)
	}
}

func TestParseFollowWritesAtOnce(t *testing.T) {
	t.Parallel()
	in := page(t, append(append(execution(1, 0), execution(2, 100_000)...), execution(3, 200_000)...)...)
	p := runParse(t, in, "--follow", "--max-open-calls", "1")
	p.wants(t, 3, 0)
}
