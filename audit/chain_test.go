package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
)

var start = time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)

// chain is a log in memory, of lines, as a store would keep them.
type chain struct {
	mu    sync.Mutex
	lines [][]byte
	head  audit.Head
	time  time.Time
}

var _ audit.Reader = (*chain)(nil)

func (c *chain) add(t interface{ Fatal(...any) }, events ...audit.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range events {
		c.time = c.time.Add(time.Second)
		e, err := audit.Prepare(&events[i], start.Add(c.time.Sub(time.Time{})))
		if err != nil {
			t.Fatal(err)
		}
		e.Seq, e.Prev = c.head.Seq+1, c.head.Hash
		e.Hash = audit.Seal(c.head.Hash, e)
		c.lines = append(c.lines, audit.Encode(&e))
		c.head = audit.Head{Seq: e.Seq, Hash: e.Hash}
	}
}

func (c *chain) AuditHead(context.Context) (audit.Head, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, nil
}

func (*chain) AuditEvents(context.Context, audit.Query) (audit.Page, error) {
	return audit.Page{}, audit.ErrNotKept
}

func (*chain) AuditEvent(context.Context, uint64) (*audit.Event, error) {
	return nil, audit.ErrNotFound
}

func (c *chain) AuditLines(ctx context.Context, after uint64, fn func([]byte) error) error {
	c.mu.Lock()
	lines := slices.Clone(c.lines)
	c.mu.Unlock()
	for _, l := range lines[min(int(after), len(lines)):] {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	return nil
}

func (c *chain) file() []byte { return append(bytes.Join(c.lines, []byte("\n")), '\n') }

func verify(t interface{ Context() context.Context }, file []byte, o audit.VerifyOptions) (audit.Report, error) {
	return audit.VerifyFile(t.Context(), bytes.NewReader(file), o)
}

func event(i int) audit.Event {
	return audit.Event{
		Actor:  audit.Actor{Kind: audit.Person, ID: fmt.Sprintf("p-%d", i), Name: "Ann <ann@example.com> \u2028", Address: "192.0.2.7", Via: audit.ViaWeb},
		Action: "grant.revoked", Subject: audit.Subject{Kind: "grant", ID: fmt.Sprint(i), Name: "orders/GET /prod"}, Reason: "left\nthe team & \"more\" \x00\x7f",
		Before: json.RawMessage(`{"state": "active", "n": 1.0}`), After: json.RawMessage(`{"state":"revoked","n":1e400}`),
		Detail: map[string]string{"b": "2", "a": "1"},
	}
}

func newChain(t interface{ Fatal(...any) }, n int) *chain {
	c := &chain{}
	for i := range n {
		c.add(t, event(i))
	}
	return c
}

func TestEncodingGoesBothWays(t *testing.T) {
	t.Parallel()
	c := newChain(t, 1)
	want := `{"seq":1,"time":"2026-03-14T15:09:27.535897Z","actor":{"kind":"person","id":"p-0","name":"Ann <ann@example.com> ` + "\u2028" +
		`","address":"192.0.2.7","via":"web"},"action":"grant.revoked","subject":{"kind":"grant","id":"0","name":"orders/GET /prod"},` +
		`"reason":"left\nthe team & \"more\" \u0000` + "\x7f" + `","before":{"state":"active","n":1.0},"after":{"state":"revoked","n":1e400},` +
		`"detail":{"a":"1","b":"2"},"prev":"` + strings.Repeat("0", 64) + `","hash":"`
	if got := string(c.lines[0]); !strings.HasPrefix(got, want) {
		t.Errorf("encoding\n%s\nwant\n%s", got, want)
	}
	e, err := audit.Decode(c.lines[0])
	if err != nil || string(audit.Encode(&e)) != string(c.lines[0]) {
		t.Errorf("decoded and encoded again:\n%s, %v", audit.Encode(&e), err)
	}
	if audit.Seal(audit.Hash{}, e) != e.Hash {
		t.Error("Seal of the decoded event is another hash")
	}
	// What a general program makes of the line is no canonical encoding.
	for name, line := range map[string]string{
		"white space":    " " + string(c.lines[0]),
		"carriage":       string(c.lines[0]) + "\r",
		"key twice":      strings.Replace(string(c.lines[0]), `"action":`, `"action":"x.y","action":`, 1),
		"unknown key":    strings.Replace(string(c.lines[0]), `"action":`, `"new":1,"action":`, 1),
		"empty":          "",
		"null":           "null",
		"other time":     strings.Replace(string(c.lines[0]), `535897Z`, `5358970Z`, 1),
		"upper case":     string(c.lines[0][:len(c.lines[0])-66]) + strings.ToUpper(string(c.lines[0][len(c.lines[0])-66:])),
		"two events":     string(c.lines[0]) + string(c.lines[0]),
		"escaped letter": strings.Replace(string(c.lines[0]), `grant.revoked`, `\u0067rant.revoked`, 1),
	} {
		if _, err := audit.Decode([]byte(line)); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func TestPrepareBoundsAndChecks(t *testing.T) {
	t.Parallel()
	e := event(1)
	e.Reason = strings.Repeat("ü", 4000)
	e.After = json.RawMessage(`{"long":"` + strings.Repeat("x", audit.MaxState) + `"}`)
	e.Before = json.RawMessage(strings.Repeat("[", 70) + strings.Repeat("]", 70))
	e.Detail = map[string]string{}
	for i := range 100 {
		e.Detail[fmt.Sprintf("%03d", i)] = strings.Repeat("v", 5000)
	}
	p, err := audit.Prepare(&e, start)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Reason) > 2100 || !strings.HasSuffix(p.Reason, "(cut)") {
		t.Errorf("a long reason has %d bytes and ends in %q", len(p.Reason), p.Reason[len(p.Reason)-10:])
	}
	var note struct {
		Cut    bool
		Bytes  int
		SHA256 string
		Start  string
	}
	if err := json.Unmarshal(p.After, &note); err != nil || !note.Cut || note.Bytes != audit.MaxState+11 || len(note.SHA256) != 64 || !strings.HasPrefix(note.Start, `{"long"`) {
		t.Errorf("a state that is too long became %s", p.After)
	}
	if err := json.Unmarshal(p.Before, &note); err != nil || note.Bytes != 140 {
		t.Errorf("a state that is too deep became %s", p.Before)
	}
	if len(p.Detail) != 64 || p.Detail["cut"] != "37 more" {
		t.Errorf("details became %d, of them cut %q", len(p.Detail), p.Detail["cut"])
	}
	for name, change := range map[string]func(*audit.Event){
		"no action":     func(e *audit.Event) { e.Action = "" },
		"upper case":    func(e *audit.Event) { e.Action = "Grant.revoked" },
		"no verb":       func(e *audit.Event) { e.Action = "grant" },
		"empty verb":    func(e *audit.Event) { e.Action = "grant." },
		"no actor":      func(e *audit.Event) { e.Actor = audit.Actor{} },
		"before":        func(e *audit.Event) { e.Before = json.RawMessage(`{`) },
		"after":         func(e *audit.Event) { e.After = json.RawMessage(`{}{}`) },
		"distant years": func(e *audit.Event) { e.Time = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		e := event(1)
		change(&e)
		if _, err := audit.Prepare(&e, start); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
