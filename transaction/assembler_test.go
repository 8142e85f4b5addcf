package transaction

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ext1, ext2 = "AbCdEfGhIAMFqXw=", "ZyXwVuTsRQPFqXw="

// log is a test's hand on one feed: it adds lines at times in milliseconds after
// the start.
type log struct {
	t *testing.T
	f *Feed
	n *int
}

func (l log) add(at int64, stream, message string) Outcome {
	l.t.Helper()
	*l.n++
	return l.f.Add(&Event{ID: eventIDOf(at, *l.n), Stream: stream, Timestamp: corpusStart + at, Message: message}).Outcome
}

func (l log) lines(at int64, id string, texts ...string) {
	l.t.Helper()
	for i, m := range lines(id, texts...) {
		if o := l.add(at+int64(i), "s", m); o != Held {
			l.t.Errorf("%s: %v", m, o)
		}
	}
}

func (l log) to(at int64) { l.f.Advance(corpusStart + at) }

func accessGroup() Group {
	return Group{Account: "111122223333", Region: "eu-central-1", Name: "access", APIID: "a1b2c3d4e5", Stage: "prod"}
}

func accessLine(id, ext string) string {
	return fmt.Sprintf(`{"requestId":"%s","extendedRequestId":"%s","httpMethod":"GET","resourcePath":"/x/{id}","status":"200"}`, id, ext)
}

var callLines = []string{"Extended Request Id: " + ext1, "Starting execution for request: " + rid, "HTTP Method: GET, Resource Path: /x/1", "Method completed with status: 200"}

func TestClosingInLogTime(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{Grace: 2 * time.Second, Idle: time.Minute}), 0
	exec := log{t, a.Feed(restGroup()), &n}
	exec.lines(0, rid, callLines...)
	exec.lines(10, "5d1c2b3a-0a0b-4c0d-8e0f-001122334455", callLines[1:3]...)
	exec.to(2002)
	if got := a.Take(nil); len(got) != 0 {
		t.Fatalf("closed before the grace: %s", joined(got))
	}
	exec.lines(1900, rid, "X-ray Tracing ID : Root=1-a")
	exec.to(2003)
	if got := a.Take(nil); len(got) != 1 || !got[0].Transaction.Complete || got[0].Transaction.Log.Events != 5 {
		t.Fatalf("at completion + grace: %s", joined(got))
	}
	exec.to(60_010)
	if got := a.Take(nil); len(got) != 0 {
		t.Fatalf("closed before idle: %s", joined(got))
	}
	exec.to(60_011)
	if got := a.Take(nil); len(got) != 1 || got[0].Transaction.Complete {
		t.Fatalf("at idle: %s", joined(got))
	}
}

func TestAccessFeedHoldsCallsBack(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{}), 0
	exec, access := log{t, a.Feed(restGroup()), &n}, log{t, a.Feed(accessGroup()), &n}
	exec.lines(0, rid, callLines...)
	exec.to(30_000)
	if got := a.Take(nil); len(got) != 0 {
		t.Fatalf("did not wait for the access log: %s", joined(got))
	}
	access.add(5, "s", accessLine(rid, ext1))
	access.to(2005)
	got := a.Take(nil)
	if len(got) != 1 || len(got[0].Transaction.Sources) != 2 || got[0].Transaction.Route != "/x/{id}" || len(got[0].Parts) != 2 {
		t.Fatalf("got %s", joined(got))
	}
	exec.lines(40_000, rid, "Extended Request Id: "+ext2, "Method completed with status: 200")
	exec.to(42_001 + 58_000)
	if got := a.Take(nil); len(got) != 1 {
		t.Errorf("an access log that stands still holds back for more than idle: %s", joined(got))
	}
	exec.lines(200_000, rid, "Extended Request Id: cCdEfGhIAMFqXw=", "Method completed with status: 200")
	access.f.Detach()
	exec.to(202_001)
	if got := a.Take(nil); len(got) != 1 {
		t.Errorf("a detached feed holds back: %s", joined(got))
	}
}

func TestDetachedFeedClosesIdle(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{}), 0
	exec := log{t, a.Feed(restGroup()), &n}
	exec.lines(0, rid, callLines[:2]...)
	exec.f.Detach()
	a.CloseIdle(corpusStart + 60_000)
	if got := a.Take(nil); len(got) != 0 {
		t.Fatal("closed before idle")
	}
	a.CloseIdle(corpusStart + 60_001)
	if got := a.Take(nil); len(got) != 1 {
		t.Fatal("not closed by idle")
	}
}

// A group shared by stages tells its stage in each record, or not at all; which
// execution log its records belong to is learnt from the first that joins.
func TestLooseAccessFeedJoinsAndLearns(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{}), 0
	g := accessGroup()
	g.APIID, g.Stage = "", ""
	exec, access := log{t, a.Feed(restGroup()), &n}, log{t, a.Feed(g), &n}
	access.add(3, "s", accessLine(rid, ext1))
	access.to(10_000)
	if got := a.Take(nil); len(got) != 0 {
		t.Fatalf("did not wait for the execution log: %s", joined(got))
	}
	exec.lines(0, rid, callLines...)
	exec.to(2003)
	got := a.Take(nil)
	if len(got) != 1 || len(got[0].Transaction.Sources) != 2 || got[0].Transaction.APIID != "a1b2c3d4e5" {
		t.Fatalf("got %s", joined(got))
	}
	exec.lines(20_000, rid, "Extended Request Id: "+ext2, "Method completed with status: 200")
	exec.to(30_000)
	if got := a.Take(nil); len(got) != 0 {
		t.Errorf("the stage's access log is known by now, and was not waited for: %s", joined(got))
	}
}

func TestJoinByExtendedID(t *testing.T) {
	t.Parallel()
	record := `{"extendedRequestId":"` + ext1 + `","httpMethod":"GET","resourcePath":"/x/{id}","status":"200"}`
	for name, order := range map[string][]int{"record first": {1, 0}, "lines first": {0, 1}} {
		a, n := NewAssembler(Options{}), 0
		exec, access := log{t, a.Feed(restGroup()), &n}, log{t, a.Feed(accessGroup()), &n}
		for _, what := range order {
			if what == 0 {
				exec.lines(0, rid, callLines...)
			} else {
				access.add(3, "s", record)
			}
		}
		a.Flush()
		if got := a.Take(nil); len(got) != 1 || got[0].Transaction.RequestID != rid || len(got[0].Transaction.Sources) != 2 {
			t.Errorf("%s: got %s", name, joined(got))
		}
	}
}

func TestCollidingRequestIDs(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{}), 0
	exec := log{t, a.Feed(restGroup()), &n}
	// Two calls at the same time under one chosen id, from two log streams.
	for i, line := range callLines {
		for k, ext := range []string{ext1, ext2} {
			line := strings.Replace(line, ext1, ext, 1)
			line = strings.Replace(line, "/x/1", fmt.Sprint("/x/", k), 1)
			exec.add(int64(i), fmt.Sprint("stream", k), "("+rid+") "+line)
		}
	}
	// And two after one another.
	exec.lines(100, rid, "Extended Request Id: 3rdEfGhIAMFqXw=", "Method completed with status: 201")
	a.Flush()
	got := a.Take(nil)
	if len(got) != 3 || got[0].Transaction.ID == got[1].Transaction.ID {
		t.Fatalf("got %s", joined(got))
	}
	for k, ext := range []string{ext1, ext2} {
		if tx := got[k].Transaction; tx.ExtendedRequestID != ext || tx.Path != fmt.Sprint("/x/", k) || tx.Log.Events != 4 {
			t.Errorf("call %d: %s", k, jsonOf(got[k]))
		}
	}
}

func TestLateLines(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{}), 0
	exec := log{t, a.Feed(restGroup()), &n}
	exec.lines(0, rid, callLines...)
	exec.to(5000)
	calls := a.Take(nil)
	check := func(a *Assembler, f *Feed) {
		t.Helper()
		exec := log{t, f, &n}
		for _, late := range []string{callLines[0], callLines[2], "AWS Integration Endpoint RequestId : x"} {
			if o := exec.add(3, "s", "("+rid+") "+late); o != Late {
				t.Errorf("%s: %v, want late", late, o)
			}
		}
		// A caller that uses its id again hides nothing.
		if o := exec.add(9000, "s", "("+rid+") "+callLines[1]); o != Held {
			t.Errorf("another call under the same id: %v, want held", o)
		}
		if a.OpenCalls() != 1 {
			t.Errorf("%d open calls, want 1", a.OpenCalls())
		}
	}
	restarted := NewAssembler(Options{})
	check(a, exec.f)

	restarted.Remember([]uint64{calls[0].Key}, calls[0].Newest)
	f := restarted.Feed(restGroup())
	exec = log{t, f, &n}
	if o := exec.add(3, "s", "("+rid+") "+callLines[2]); o != Late {
		t.Errorf("after a restart: %v, want late", o)
	}
	if o := exec.add(3, "s", "("+rid+") Extended Request Id: "+ext2); o != Held {
		t.Errorf("another extended id after a restart: %v, want held", o)
	}
	restarted = NewAssembler(Options{})
	restarted.Remember([]uint64{calls[0].Key}, calls[0].Newest)
	restarted.Forget(calls[0].Newest + 1<<closedSpan)
	exec = log{t, restarted.Feed(restGroup()), &n}
	if o := exec.add(3, "s", "("+rid+") "+callLines[2]); o != Held {
		t.Errorf("after Forget: %v, want held", o)
	}
}

func TestEviction(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{MaxOpen: 2}), 0
	exec := log{t, a.Feed(restGroup()), &n}
	for i := range 3 {
		exec.lines(int64(i), fmt.Sprintf("7d1c2b3a-0a0b-4c0d-8e0f-00112233445%d", i), callLines[1])
	}
	got := a.Take(nil)
	if len(got) != 1 || !got[0].Evicted || got[0].Transaction.Complete || a.OpenCalls() != 2 {
		t.Fatalf("got %d, %s", a.OpenCalls(), joined(got))
	}
	a = NewAssembler(Options{MaxBytes: 10_000})
	exec = log{t, a.Feed(restGroup()), &n}
	for range 100 {
		exec.add(0, "s", "("+rid+") Endpoint response headers: {A="+strings.Repeat("x", 900))
	}
	if a.bytes > 10_000 {
		t.Errorf("%d bytes are held", a.bytes)
	}
}

func TestLow(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{}), 0
	exec := log{t, a.Feed(restGroup()), &n}
	if _, ok := exec.f.Low(); ok {
		t.Error("a low without events")
	}
	exec.lines(50, rid, callLines...)
	exec.lines(20, "5d1c2b3a-0a0b-4c0d-8e0f-001122334455", callLines[1:2]...)
	exec.add(10, "s", "(5d1c2b3a-0a0b-4c0d-8e0f-001122334455) Extended Request Id: x=")
	want := func(at int64) {
		t.Helper()
		if got, ok := exec.f.Low(); !ok || got != corpusStart+at {
			t.Errorf("low %d %v, want %d", got-corpusStart, ok, at)
		}
	}
	want(10)
	exec.to(10_000)
	want(10)
	a.Flush()
	want(10) // closed, but not taken
	a.Take(nil)
	if _, ok := exec.f.Low(); ok {
		t.Error("a low after all was taken")
	}
}

func TestLingering(t *testing.T) {
	t.Parallel()
	a, n := NewAssembler(Options{Linger: 10}), 0
	exec := log{t, a.Feed(restGroup()), &n}
	access := log{t, a.Feed(Group{Account: "111122223333", Region: "eu-central-1", Name: "elsewhere"}), &n}
	exec.lines(0, rid, callLines...)
	for i := range 5 {
		exec.lines(100_000*int64(i+1), fmt.Sprintf("5d1c2b3a-0a0b-4c0d-8e0f-00112233445%d", i), "Method completed with status: 200")
		exec.to(100_000 * int64(i+1))
		access.to(100_000 * int64(i+1))
	}
	if got := a.Take(nil); len(got) != 0 || a.OpenCalls() != 6 {
		t.Fatalf("nothing should be given yet: %d, %s", a.OpenCalls(), joined(got))
	}
	access.to(0)
	exec.to(0)
	access.add(3, "s", accessLine(rid, ext1))
	access.to(10_000)
	exec.to(10_000)
	if got := a.Take(nil); len(got) != 1 || len(got[0].Transaction.Sources) != 2 {
		t.Fatalf("the record did not join: %s", joined(got))
	}
	for i := range 20 {
		exec.lines(900_000, fmt.Sprintf("4d1c2b3a-0a0b-4c0d-8e0f-0011223344%02d", i), "Method completed with status: 200")
	}
	exec.to(990_000)
	access.to(990_000)
	if got := a.Take(nil); len(got) != 15 || a.OpenCalls() != 10 {
		t.Errorf("%d given and %d held back, want 15 and 10", len(got), a.OpenCalls())
	}
}

func TestOrderWithinAMillisecond(t *testing.T) {
	t.Parallel()
	a := NewAssembler(Options{})
	f := a.Feed(restGroup())
	texts := append(slices.Clip(authorizerPhase), "Starting execution for request: "+rid, "Endpoint request URI: https://backend", "Method completed with status: 200")
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(texts)) {
		// Ids of different lengths: 9 comes before 10.
		f.Add(&Event{ID: fmt.Sprint(i + 1), Timestamp: corpusStart, Message: "(" + rid + ") " + texts[i]})
	}
	a.Flush()
	got := a.Take(nil)
	if len(got) != 1 || got[0].Transaction.Integration.URI != "https://backend" || got[0].Transaction.Authorizer.Outcome != "allow" {
		t.Errorf("got %s", joined(got))
	}
}

// Each event that is added is held, late or unparsed, and each that is held is
// in one part of one call, whatever comes in which order.
func TestBooksBalance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := NewAssembler(Options{
			MaxOpen: rapid.IntRange(1, 8).Draw(t, "open"),
			Linger:  rapid.IntRange(0, 3).Draw(t, "linger"),
			Idle:    5 * time.Second,
		})
		feeds := []*Feed{a.Feed(restGroup()), a.Feed(accessGroup()), a.Feed(Group{Name: "loose", Account: "111122223333", Region: "eu-central-1"})}
		ids := []string{rid, "5d1c2b3a-0a0b-4c0d-8e0f-001122334455", "chosen"}
		exts := []string{ext1, ext2, ""}
		texts := append([]string{"", "garbage", "Extended Request Id: " + ext2}, callLines...)
		outcomes := map[Outcome]int{}
		added := map[uint64]int{}
		parts := 0
		given := map[uint64]int{}
		take := func() {
			for _, c := range a.Take(nil) {
				events := 0
				for _, p := range c.Parts {
					events += len(p.Events)
					for _, d := range p.Events {
						given[d]++
					}
				}
				parts += events
				if c.Transaction.ID == "" || c.Transaction.Log.Events > events {
					t.Fatalf("call %s of %d events", jsonOf(c), events)
				}
			}
		}
		n := rapid.IntRange(1, 120).Draw(t, "events")
		for i := range n {
			f := feeds[rapid.IntRange(0, 2).Draw(t, "feed")]
			at := corpusStart + rapid.Int64Range(0, 40_000).Draw(t, "at")
			id := rapid.SampledFrom(ids).Draw(t, "id")
			m := rapid.OneOf(
				rapid.Custom(func(t *rapid.T) string { return "(" + id + ") " + rapid.SampledFrom(texts).Draw(t, "text") }),
				rapid.Custom(func(t *rapid.T) string { return accessLine(id, rapid.SampledFrom(exts).Draw(t, "ext")) }),
				rapid.Custom(func(t *rapid.T) string { return accessLine("-", rapid.SampledFrom(exts).Draw(t, "ext")) }),
				rapid.SampledFrom([]string{"", "nonsense", "{}", "(x"}),
			).Draw(t, "message")
			ev := Event{ID: fmt.Sprint(rapid.IntRange(0, i).Draw(t, "event id")), Timestamp: at, Message: m}
			o := f.Add(&ev).Outcome
			outcomes[o]++
			if o == Held {
				added[ev.Digest()]++
			}
			switch rapid.IntRange(0, 9).Draw(t, "then") {
			case 0:
				f.Advance(at)
			case 1:
				take()
			case 2:
				f.Detach()
			case 3:
				a.CloseIdle(at)
			}
			for _, f := range feeds {
				if low, ok := f.Low(); ok && low < corpusStart {
					t.Fatalf("low %d", low)
				}
			}
		}
		if outcomes[Held]+outcomes[Late]+outcomes[Unparsed] != n {
			t.Fatalf("%v of %d events", outcomes, n)
		}
		a.Flush()
		take()
		if parts != outcomes[Held] || a.OpenCalls() != 0 || a.index.chains != 0 || len(a.extended) != 0 || a.bytes != 0 {
			t.Fatalf("%d events in parts, %v; %d calls and %d ids left, %d bytes", parts, outcomes, a.OpenCalls(), a.index.chains, a.bytes)
		}
		for d, k := range added {
			if given[d] != k {
				t.Fatalf("event %x was held %d times and given %d times", d, k, given[d])
			}
		}
	})
}

// Whatever the order in which the lines of several calls come, each call is the
// same in the end.
func TestInterleavingChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var events []Event
		for i := range rapid.IntRange(1, 5).Draw(t, "calls") {
			events = append(events, executionCall(r, i, corpusStart)...)
		}
		run := func() map[string]string {
			a := NewAssembler(Options{})
			f := a.Feed(restGroup())
			for i := range events {
				f.Add(&events[i])
			}
			a.Flush()
			all := map[string]string{}
			for _, c := range a.Take(nil) {
				all[c.Transaction.ID] = jsonOf(c)
			}
			return all
		}
		want := run()
		r.Shuffle(len(events), func(i, k int) { events[i], events[k] = events[k], events[i] })
		got := run()
		for id, text := range want {
			if got[id] != text {
				t.Fatalf("in order\n%s\nshuffled\n%s", text, got[id])
			}
		}
	})
}

func TestHundredThousandOpenCalls(t *testing.T) {
	if testing.Short() {
		t.Skip("needs some hundred megabytes")
	}
	const calls = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := NewAssembler(Options{MaxOpen: calls})
	f := a.Feed(restGroup())
	r := rand.New(rand.NewPCG(1, 1))
	for i := range calls {
		for _, ev := range executionCall(r, i, corpusStart)[:11] {
			f.Add(&ev)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if a.OpenCalls() != calls {
		t.Fatalf("%d calls are open", a.OpenCalls())
	}
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d open calls of %d bytes of text each: %d MiB", calls, a.bytes/calls, used>>20)
	if used > 512<<20 {
		t.Errorf("%d MiB, want at most 512", used>>20)
	}
	runtime.KeepAlive(a)
}

func TestTimesFromOutside(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		a := NewAssembler(Options{})
		f := a.Feed(restGroup())
		f.Add(&Event{Timestamp: at, Message: "(" + rid + ") " + callLines[3]})
		f.Advance(math.MaxInt64)
		f.Advance(at)
		a.Flush()
		if got := a.Take(nil); len(got) != 1 {
			t.Errorf("at %d: %d calls", at, len(got))
		}
	}
}
