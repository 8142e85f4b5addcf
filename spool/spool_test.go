package spool_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func open(t *testing.T, blobs spool.Blobs, cfg spool.Config) *spool.Spool {
	t.Helper()
	s, err := spool.Open(t.Context(), blobs, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func folder(t *testing.T, dir string) *spool.Folder {
	t.Helper()
	f, err := spool.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// readAll reads a window page by page.
func readAll(t *testing.T, s *spool.Spool, g transaction.Group, from, to int64) (events []transaction.Event, pages int) {
	t.Helper()
	for next := ""; ; {
		page, err := s.Read(t.Context(), g, from, to, next)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, page.Events...)
		pages++
		if page.Next == "" {
			return events, pages
		}
		next = page.Next
	}
}

func TestReadGivesWhatWasAppended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := folder(t, dir)
	s := open(t, f, spool.Config{})
	hourAgo := time.Now().Add(-time.Hour)
	first, second := callEvents(1, hourAgo), callEvents(2, time.Now())
	before := time.Now().UnixMilli()
	if err := s.Append(t.Context(), spool.Batch{Group: groupOf(0), Events: first}, spool.Batch{Group: groupOf(1), Events: second}); err != nil {
		t.Fatal(err)
	}
	check := func(s *spool.Spool) {
		t.Helper()
		found, problems := s.Find(t.Context())
		if len(found) != 2 || len(problems) != 0 || found[0].First.UnixMilli() < before {
			t.Fatalf("Find: %+v, %v", found, problems)
		}
		got, _ := readAll(t, s, groupOf(0), before, before+10_000)
		want := make([]transaction.Event, len(first))
		for i, ev := range first {
			ev.Logged = ev.Timestamp
			ev.Timestamp = got[i].Timestamp
			want[i] = ev
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
		if at := got[0].Timestamp; at < before || at > time.Now().UnixMilli()+1 {
			t.Errorf("an event that is an hour old is read at %d, not when it arrived", at)
		}
		counts, err := s.Counts(t.Context(), []transaction.Group{groupOf(0), groupOf(7)}, before-60_000, before+120_000)
		if err != nil || len(counts) != 2 || len(counts[0]) != 1 || counts[0][0].Events != int64(len(first)) || len(counts[1]) != 0 {
			t.Errorf("Counts: %v, %v", counts, err)
		}
	}
	check(s)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, folder(t, dir), spool.Config{}))
}

func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t, t.TempDir()), spool.Config{})
	var all []transaction.Event
	for n := range 4000 {
		for _, ev := range callEvents(n, time.Now()) {
			ev.Message += strings.Repeat("x", 300)
			all = append(all, ev)
		}
	}
	from := time.Now().UnixMilli()
	if err := s.Append(t.Context(), spool.Batch{Group: groupOf(0), Events: all}); err != nil {
		t.Fatal(err)
	}
	got, pages := readAll(t, s, groupOf(0), from, from+60_000)
	if len(got) != len(all) || pages < 8 {
		t.Errorf("%d of %d events on %d pages", len(got), len(all), pages)
	}
	seen := map[string]bool{}
	for i := range got {
		seen[got[i].ID] = true
	}
	if len(seen) != len(all) {
		t.Errorf("%d distinct events of %d", len(seen), len(all))
	}
	if _, err := s.Read(t.Context(), groupOf(0), from, from+1, "nonsense"); err == nil {
		t.Error("a token that is none was taken")
	}
}

// A spool that is full acknowledges nothing; once its content was delivered and
// removed it takes more.
func TestFull(t *testing.T) {
	t.Parallel()
	d := newDisk(1)
	p := &process{d: d}
	s := open(t, p, spool.Config{MaxBytes: 1000, Metrics: prometheus.NewRegistry()})
	g := groupOf(0)
	n := 0
	var err error
	for ; err == nil && n < 100; n++ {
		err = s.Append(t.Context(), spool.Batch{Group: g, Events: callEvents(n, time.Now())})
	}
	if !errors.Is(err, spool.ErrFull) || n < 2 {
		t.Fatalf("append %d: %v; want ErrFull", n, err)
	}
	_, bytes, _ := s.Size()
	if bytes > 1000 {
		t.Errorf("%d bytes in a spool of 1000", bytes)
	}
	state := s.State(p)
	later := time.Now().Add(time.Minute).UnixMilli()
	slow := collect.GroupCheckpoint{Group: g, Fast: later, Slow: 5}
	if err := errors.Join(state.Commit(t.Context(), &collect.Checkpoint{Groups: []collect.GroupCheckpoint{slow}}), s.Trim(t.Context())); err != nil {
		t.Fatal(err)
	}
	if blobs, _, _ := s.Size(); blobs == 0 {
		t.Error("blobs were removed that the second reading has not passed")
	}
	slow.Slow = later
	if err := errors.Join(state.Commit(t.Context(), &collect.Checkpoint{Groups: []collect.GroupCheckpoint{slow}}), s.Trim(t.Context())); err != nil {
		t.Fatal(err)
	}
	if blobs, bytes, oldest := s.Size(); blobs != 0 || bytes != 0 || oldest != 0 {
		t.Errorf("%d blobs, %d bytes, %v old after everything was passed", blobs, bytes, oldest)
	}
	if err := s.Append(t.Context(), spool.Batch{Group: g, Events: callEvents(n, time.Now())}); err != nil {
		t.Errorf("Append after Trim: %v", err)
	}
}

// Reading waits for a blob of its window that is still being written: otherwise
// the cursor would pass it.
func TestReadWaitsForWriters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(1)
		s := open(t, &process{d: d}, spool.Config{})
		g := groupOf(0)
		if err := s.Append(t.Context(), spool.Batch{Group: g, Events: callEvents(1, time.Now())}); err != nil {
			t.Fatal(err)
		}
		d.slow = 20 * time.Second
		from := time.Now().UnixMilli()
		done := make(chan error, 1)
		go func() { done <- s.Append(t.Context(), spool.Batch{Group: g, Events: callEvents(2, time.Now())}) }()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		got, _ := readAll(t, s, g, from, time.Now().UnixMilli())
		if len(got) != 14 {
			t.Errorf("%d events were read beside a writer; want both calls, 14", len(got))
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// What is appended comes after everything that was read or passed before, even if
// the clock was set back.
func TestTheClockMayGoBack(t *testing.T) {
	t.Parallel()
	d := newDisk(1)
	p := &process{d: d}
	now := time.Now()
	s := open(t, p, spool.Config{Clock: func() time.Time { return now }})
	g := groupOf(0)
	cursor := now.Add(-time.Second).UnixMilli()
	if err := s.State(p).Commit(t.Context(), &collect.Checkpoint{Groups: []collect.GroupCheckpoint{{Group: g, Fast: cursor, Slow: cursor}}}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(-time.Hour)
	if err := s.Append(t.Context(), spool.Batch{Group: g, Events: callEvents(1, now)}); err != nil {
		t.Fatal(err)
	}
	if got, _ := readAll(t, s, g, cursor, cursor+1000); len(got) != 7 {
		t.Errorf("%d events after the cursor; want 7", len(got))
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := folder(t, dir)
	if _, err := spool.OpenFolder(dir); err == nil {
		t.Error("two processes may open the same folder")
	}
	for _, name := range []string{"../x", "events/../../x", "events", "/events/x", "events/a/b"} {
		if err := f.Put(t.Context(), name, nil); err == nil {
			t.Errorf("Put(%q) works", name)
		}
	}
	if _, err := f.Get(t.Context(), "events/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of nothing: %v", err)
	}
	if err := f.Delete(t.Context(), "events/none"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	for _, name := range []string{"events/b", "events/a", "groups/c"} {
		if err := errors.Join(f.Put(t.Context(), name, []byte("old")), f.Put(t.Context(), name, []byte(name))); err != nil {
			t.Fatal(err)
		}
	}
	// A file that a crash left half written.
	if err := os.WriteFile(filepath.Join(dir, "events", ".writing-123"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []spool.Blob{{Name: "events/a", Size: 8}, {Name: "events/b", Size: 8}}
	got, err := f.List(t.Context(), "events/")
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("List: %v\n%s", err, d)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = folder(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "events", ".writing-123")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was half written is still there: %v", err)
	}
	if data, err := f.Get(t.Context(), "events/a"); string(data) != "events/a" || err != nil {
		t.Errorf("Get: %q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "events", "a")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the spool: %v, %v", info.Mode(), err)
	}
}

// A damaged blob says which one it is and what to do, and holds up no other group.
func TestDamagedBlob(t *testing.T) {
	t.Parallel()
	d := newDisk(1)
	s := open(t, &process{d: d}, spool.Config{})
	from := time.Now().UnixMilli()
	for n := range 2 {
		if err := s.Append(t.Context(), spool.Batch{Group: groupOf(n), Events: callEvents(n, time.Now())}); err != nil {
			t.Fatal(err)
		}
	}
	var damaged string
	for name, data := range d.blobs {
		if _, events, err := spool.Decode(data); err == nil && strings.Contains(events[0].Message, requestID(0)) {
			damaged = name
			data[len(data)-1] ^= 1
		}
	}
	_, err := s.Read(t.Context(), groupOf(0), from, from+1000, "")
	var mender interface{ Mend() string }
	if !errors.As(err, &mender) || !strings.Contains(err.Error(), damaged) || !strings.Contains(mender.Mend(), "remove it") {
		t.Errorf("reading a damaged blob: %v", err)
	}
	if got, _ := readAll(t, s, groupOf(1), from, from+1000); len(got) != 7 {
		t.Errorf("%d events of the other group", len(got))
	}
	delete(d.blobs, damaged)
	if got, _ := readAll(t, s, groupOf(0), from, from+1000); len(got) != 0 {
		t.Errorf("%d events after the blob was removed", len(got))
	}
}

func TestRejectedIsKeptBounded(t *testing.T) {
	t.Parallel()
	d := newDisk(1)
	s := open(t, &process{d: d}, spool.Config{})
	for range 3 {
		s.Reject(t.Context(), "not JSON", []byte("hello"))
	}
	s.Reject(t.Context(), "too long", make([]byte, 5<<20))
	blobs, err := (&process{d: d}).List(context.Background(), "rejected/")
	if err != nil || len(blobs) != 2 {
		t.Fatalf("rejected: %v, %v", blobs, err)
	}
	for _, b := range blobs {
		if b.Size > 1<<20+100 {
			t.Errorf("%s has %d bytes", b.Name, b.Size)
		}
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		events := rapid.SliceOf(rapid.Custom(func(rt *rapid.T) transaction.Event {
			return transaction.Event{
				ID: rapid.String().Draw(rt, "id"), Stream: rapid.String().Draw(rt, "stream"),
				Timestamp: rapid.Int64().Draw(rt, "timestamp"), Message: rapid.String().Draw(rt, "message"),
			}
		})).Draw(rt, "events")
		data, err := spool.Encode(groupOf(3), events)
		if err != nil {
			rt.Fatal(err)
		}
		g, got, err := spool.Decode(data)
		if err != nil || g != groupOf(3) {
			rt.Fatalf("Decode: %+v, %v", g, err)
		}
		if d := cmp.Diff(events, got, cmpopts.EquateEmpty()); d != "" {
			rt.Errorf("events (-want +got):\n%s", d)
		}
	})
}

func FuzzDecode(f *testing.F) {
	good, err := spool.Encode(groupOf(0), callEvents(1, time.Unix(0, 0)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("GHSPOOL1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, events, err := spool.Decode(data)
		if err != nil && len(events) > 0 {
			t.Error("a damaged blob gave events")
		}
	})
}
