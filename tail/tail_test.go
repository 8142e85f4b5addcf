package tail_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/tail"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func calls(from, n int) []*transaction.Transaction {
	out := make([]*transaction.Transaction, n)
	for i := range out {
		out[i] = &transaction.Transaction{ID: fmt.Sprint(from + i), Path: "/p"}
	}
	return out
}

func ids(ts []*transaction.Transaction) string {
	var out []string
	for _, t := range ts {
		out = append(out, t.ID)
	}
	return strings.Join(out, " ")
}

func compile(t *testing.T, f tail.Filter) *tail.Match {
	t.Helper()
	m, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestReaderSeesWhatComesAfterIt(t *testing.T) {
	t.Parallel()
	h := tail.New(tail.Options{})
	h.Observe(calls(0, 3))
	r, err := h.Subscribe(compile(t, tail.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h.Observe(calls(3, 2))
	b, err := r.Next(t.Context(), 0)
	if err != nil || ids(b.Calls) != "3 4" || b.Skipped != 0 {
		t.Errorf("reads %q, skipped %d, %v", ids(b.Calls), b.Skipped, err)
	}
	old, err := h.Subscribe(compile(t, tail.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	old.Rewind()
	if b, _ := old.Next(t.Context(), 0); ids(b.Calls) != "0 1 2 3 4" {
		t.Errorf("from the beginning it reads %q", ids(b.Calls))
	}
	old.Seek(b.At - 1)
	if b, _ := old.Next(t.Context(), 0); ids(b.Calls) != "4" || b.Skipped != 0 || b.At != h.Seen() {
		t.Errorf("from the last call on it reads %q, skipped %d, until %d", ids(b.Calls), b.Skipped, b.At)
	}
	old.Seek(1 << 40)
	h.Observe(calls(5, 1))
	if b, _ := old.Next(t.Context(), 0); ids(b.Calls) != "5" {
		t.Errorf("from a number that is not of this hub it reads %q", ids(b.Calls))
	}
	if b, _ := r.Next(t.Context(), 0); ids(b.Calls) != "5" {
		t.Errorf("it goes on with %q", ids(b.Calls))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Next(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context it returns %v", err)
	}
}

func TestReaderThatCannotFollowIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	h := tail.New(tail.Options{Keep: 4, Registerer: reg})
	r, err := h.Subscribe(compile(t, tail.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h.Observe(calls(0, 3))
	h.Observe(calls(3, 7))
	b, _ := r.Next(t.Context(), 0)
	if ids(b.Calls) != "6 7 8 9" || b.Skipped != 6 {
		t.Errorf("reads %q, skipped %d", ids(b.Calls), b.Skipped)
	}
	h.Observe(calls(10, 4))
	if b, _ := r.Next(t.Context(), 1); ids(b.Calls) != "13" || b.Skipped != 3 {
		t.Errorf("with a limit of one it reads %q, skipped %d", ids(b.Calls), b.Skipped)
	}
	h.Observe(calls(14, 2))
	if b, _ := r.Next(t.Context(), 0); ids(b.Calls) != "14 15" || b.Skipped != 0 {
		t.Errorf("later it reads %q, skipped %d", ids(b.Calls), b.Skipped)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	meters := map[string]float64{}
	for _, f := range families {
		meters[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
	}
	if meters["gatehouse_tail_skipped_calls_total"] != 9 || meters["gatehouse_tail_readers"] != 1 {
		t.Errorf("the metrics say %v", meters)
	}
}

func TestEveryCallIsReadOrSkipped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := tail.New(tail.Options{Keep: rapid.IntRange(1, 20).Draw(t, "keep"), KeepBytes: int64(rapid.IntRange(1, 20).Draw(t, "kilobytes")) << 10})
		m, _ := tail.Filter{}.Compile()
		r, err := h.Subscribe(m)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		sent, read, last := 0, uint64(0), -1
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			n := rapid.IntRange(1, 40).Draw(t, "batch")
			h.Observe(calls(sent, n))
			sent += n
			if rapid.Bool().Draw(t, "reads") {
				b, err := r.Next(context.Background(), rapid.IntRange(0, 5).Draw(t, "limit"))
				if err != nil {
					t.Fatal(err)
				}
				read += uint64(len(b.Calls)) + b.Skipped
				for _, c := range b.Calls {
					var id int
					if _, err := fmt.Sscan(c.ID, &id); err != nil || id <= last {
						t.Fatalf("call %s comes after %d", c.ID, last)
					}
					last = id
				}
				if read != uint64(sent) || last != sent-1 {
					t.Fatalf("%d calls were sent and %d accounted for; the last read is %d", sent, read, last)
				}
			}
		}
	})
}

func TestLatestAndFind(t *testing.T) {
	t.Parallel()
	h := tail.New(tail.Options{Keep: 5})
	h.Observe(append(calls(0, 8), nil))
	if got := ids(h.Latest(compile(t, tail.Filter{}), 3)); got != "7 6 5" {
		t.Errorf("the latest are %q", got)
	}
	if h.Find("2") != nil || h.Find("6") == nil || h.Find("6").ID != "6" {
		t.Error("a call is found that is gone, or not found that is there")
	}
	if got := ids(h.Latest(compile(t, tail.Filter{Text: "nothing"}), 3)); got != "" {
		t.Errorf("the filter leaves %q", got)
	}
	if h.Changes() != nil {
		t.Error("there is something to save")
	}
}

func TestMemoryIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	h := tail.New(tail.Options{Keep: 100, KeepBytes: 40 << 10})
	body := strings.Repeat("x", 10<<10)
	for i := range 50 {
		h.Observe([]*transaction.Transaction{{ID: fmt.Sprint(i), Response: &transaction.Response{Body: body}}})
	}
	if got := ids(h.Latest(compile(t, tail.Filter{}), 100)); got != "49 48 47" {
		t.Errorf("40 kB keep %q", got)
	}
	h.Observe([]*transaction.Transaction{{ID: "large", Response: &transaction.Response{Body: strings.Repeat("x", 1<<20)}}})
	if got := ids(h.Latest(compile(t, tail.Filter{}), 100)); got != "large" {
		t.Errorf("beside a call of 1 MB it keeps %q", got)
	}
}

func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	h := tail.New(tail.Options{MaxReaders: 2})
	m := compile(t, tail.Filter{})
	a, err1 := h.Subscribe(m)
	_, err2 := h.Subscribe(m)
	if _, err := h.Subscribe(m); err1 != nil || err2 != nil || !errors.Is(err, tail.ErrTooManyReaders) {
		t.Fatalf("subscribing answers %v, %v, %v", err1, err2, err)
	}
	a.Close()
	a.Close()
	if _, err := h.Subscribe(m); err != nil {
		t.Errorf("a place that was left cannot be taken: %v", err)
	}
	if _, err := h.Subscribe(m); err == nil {
		t.Error("closing twice leaves two places")
	}
}

func TestManyReadWhileCallsCome(t *testing.T) {
	t.Parallel()
	h := tail.New(tail.Options{Keep: 64})
	m := compile(t, tail.Filter{})
	const total = 5000
	var wg sync.WaitGroup
	for range 4 {
		r, err := h.Subscribe(m)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer r.Close()
			for n := uint64(0); n < total; {
				b, err := r.Next(t.Context(), 16)
				if err != nil {
					t.Error(err)
					return
				}
				n += uint64(len(b.Calls)) + b.Skipped
			}
		})
	}
	for i := range total / 10 {
		h.Observe(calls(i*10, 10))
	}
	wg.Wait()
}

func TestFollowPacesAndNotices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := tail.New(tail.Options{})
		m, _ := tail.Filter{}.Compile()
		r, err := h.Subscribe(m)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var got []string
		ended := make(chan error)
		go func() {
			ended <- tail.Follow(ctx, r, tail.Pace{Every: time.Second, Limit: 2, Idle: 15 * time.Second}, func(b tail.Batch) error {
				got = append(got, fmt.Sprintf("%v %s skipped %d", time.Since(start), ids(b.Calls), b.Skipped))
				return nil
			})
		}()
		h.Observe(calls(0, 1))
		synctest.Wait()
		h.Observe(calls(1, 1))
		h.Observe(calls(2, 2))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("following ends with %v", err)
		}
		want := []string{"0s 0 skipped 0", "1s 2 3 skipped 1", "17s  skipped 0"}
		if !slices.Equal(got, want) {
			t.Errorf("it was given %q, want %q", got, want)
		}
		r.Rewind()
		gone := errors.New("the client is gone")
		if err := tail.Follow(t.Context(), r, tail.Pace{}, func(tail.Batch) error { return gone }); !errors.Is(err, gone) {
			t.Errorf("after a failed write it returns %v", err)
		}
	})
}

func TestFilter(t *testing.T) {
	t.Parallel()
	call := &transaction.Transaction{
		ID: "t1", Account: "111111111111", Region: "eu-west-1", APIID: "a1b2", Stage: "prod", Method: "GET", Path: "/orders/8812", Route: "/orders/{id}",
		RequestID: "6F9C-1D2E", SourceIP: "198.51.100.23", UserAgent: "curl/8", Response: &transaction.Response{Status: 403, Body: "private"},
		Caller: &transaction.Caller{Kind: transaction.CallerIAM, ARN: "arn:aws:sts::444444444444:assumed-role/Web/i-0"},
		Error:  &transaction.Error{Type: "ACCESS_DENIED", Message: "explicit deny"},
	}
	bare := &transaction.Transaction{ID: "t2", Path: "/orders", Request: &transaction.Request{}}
	for name, c := range map[string]struct {
		filter     tail.Filter
		call, bare bool
	}{
		"all":            {tail.Filter{}, true, true},
		"account":        {tail.Filter{Account: "111111111111"}, true, false},
		"other account":  {tail.Filter{Account: "2"}, false, false},
		"place":          {tail.Filter{Region: "eu-west-1", APIID: "a1b2", Stage: "prod", Method: "get"}, true, false},
		"other stage":    {tail.Filter{Stage: "dev"}, false, false},
		"route":          {tail.Filter{Route: "/orders/{"}, true, false},
		"path":           {tail.Filter{Route: "/orders"}, true, true},
		"not the path":   {tail.Filter{Route: "/orders/8"}, false, false},
		"code":           {tail.Filter{Status: "403"}, true, false},
		"class":          {tail.Filter{Status: "4XX"}, true, false},
		"other class":    {tail.Filter{Status: "2xx"}, false, false},
		"error":          {tail.Filter{Status: "error"}, true, false},
		"no status":      {tail.Filter{Status: "none"}, false, true},
		"kind":           {tail.Filter{Caller: "IAM"}, true, false},
		"unknown":        {tail.Filter{Caller: "unknown"}, false, true},
		"caller":         {tail.Filter{Caller: "role/web"}, true, false},
		"other caller":   {tail.Filter{Caller: "role/other"}, false, false},
		"text in error":  {tail.Filter{Text: "Explicit"}, true, false},
		"text in id":     {tail.Filter{Text: "6f9c"}, true, false},
		"text in path":   {tail.Filter{Text: "ORDERS"}, true, true},
		"text in bodies": {tail.Filter{Text: "private"}, false, false},
		"two, one wrong": {tail.Filter{Text: "orders", Status: "2xx"}, false, false},
	} {
		m := compile(t, c.filter)
		if got, gotBare := m.Matches(call), m.Matches(bare); got != c.call || gotBare != c.bare {
			t.Errorf("%s: matches %v and %v, want %v and %v", name, got, gotBare, c.call, c.bare)
		}
	}
	for _, status := range []string{"6xx", "x", "99", "1000", "4x", "-1"} {
		if _, err := (tail.Filter{Status: status}).Compile(); err == nil || !strings.Contains(err.Error(), "no code") {
			t.Errorf("status %q is taken: %v", status, err)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, readers := range []int{0, 8} {
		b.Run(fmt.Sprint(readers, " idle readers"), func(b *testing.B) {
			h := tail.New(tail.Options{})
			m, _ := tail.Filter{}.Compile()
			for range readers {
				r, err := h.Subscribe(m)
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
			}
			batch := calls(0, 1000)
			b.ReportAllocs()
			for b.Loop() {
				h.Observe(batch)
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
