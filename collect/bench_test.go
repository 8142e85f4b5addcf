package collect_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// tape is a Source of one group that was written to without a pause: pages of
// 1 MB, each of the same calls under other request ids.
type tape struct {
	group transaction.Group
	from  int64
	pages int
	calls int // on a page
	size  int // bytes of a call
	lines []string
}

const tapeSpan = 1000 // milliseconds of log time on a page

func newTape(pages int) *tape {
	t := &tape{
		group: transaction.Group{Account: testAccount, Region: testRegion, Name: groupName(0)},
		from:  time.Now().Add(-24 * time.Hour).UnixMilli(),
		pages: pages,
	}
	body := strings.Repeat(`{"name":"rex","kind":"dog"},`, 12)
	for _, l := range callLines(requestID(0)) {
		t.lines = append(t.lines, strings.TrimPrefix(l, "("+requestID(0)+")"))
	}
	t.lines = append(t.lines[:6:6], append([]string{
		" Method request headers: {Accept=application/json, text/plain, Host=a1b2c3d000.execute-api.eu-west-1.amazonaws.com, User-Agent=curl/8.5.0, X-Forwarded-For=198.51.100.7}",
		" Method request body before transformations: [" + body + "]",
		" Method response body after transformations: [" + body + "]",
		" Method response headers: {Content-Type=application/json;charset=utf-8, X-Amzn-Trace-Id=Root=1-5e66d96f-7491f09xmpl79d18acf3d050}",
	}, t.lines[6:]...)...)
	for _, l := range t.lines {
		t.size += len(l) + 38
	}
	t.calls = (1 << 20) / t.size
	return t
}

func (t *tape) Groups(context.Context) ([]transaction.Group, []collect.Problem) {
	return []transaction.Group{t.group}, nil
}

// Read makes the pages of whole spans of log time in [from, to].
func (t *tape) Read(_ context.Context, _ transaction.Group, from, to int64, next string) (collect.Page, error) {
	page := (from - t.from + tapeSpan - 1) / tapeSpan
	if next != "" {
		if _, err := fmt.Sscan(next, &page); err != nil {
			return collect.Page{}, err
		}
	}
	var p collect.Page
	at := t.from + page*tapeSpan
	if page < 0 || page >= int64(t.pages) || at > to {
		return p, nil
	}
	p.Events = make([]transaction.Event, 0, t.calls*len(t.lines))
	const idLen = 56
	for n := range t.calls {
		// A call's text is one string, so that making it counts for little among
		// the allocations.
		request := "(" + requestID(int(page)*t.calls+n) + ")"
		text := make([]byte, 0, t.size+len(t.lines)*idLen)
		for i, l := range t.lines {
			text = appendPadded(appendPadded(text, at, 20), int64(n*len(t.lines)+i), 36)
			text = append(append(text, request...), l...)
		}
		rest := string(text)
		for _, l := range t.lines {
			end := idLen + len(request) + len(l)
			p.Events = append(p.Events, transaction.Event{ID: rest[:idLen], Stream: "stream", Timestamp: at, Message: rest[idLen:end]})
			rest = rest[end:]
		}
		p.Bytes += int64(t.size)
	}
	if at+tapeSpan <= to && page+1 < int64(t.pages) {
		p.Next = fmt.Sprint(page + 1)
	}
	return p, nil
}

// appendPadded writes a number with zeros before it, as %0*d does, without an
// allocation.
func appendPadded(dst []byte, n int64, width int) []byte {
	from := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= from; i, n = i-1, n/10 {
		dst[i] += byte(n % 10)
	}
	return dst
}

// null takes everything.
type null struct{}

func (null) Name() string                                              { return "null" }
func (null) Deliver(context.Context, []*transaction.Transaction) error { return nil }
func (null) Position() string                                          { return "" }
func (null) Restore(context.Context, string) error                     { return nil }
func (null) Close(context.Context) error                               { return nil }

// BenchmarkCollect is everything between a Source and a Sink, on pages as
// CloudWatch gives them. Making the pages is measured apart, by
// BenchmarkCollectSource; what CloudWatch's quota allows is at most 25 MB/s an
// account and region.
func BenchmarkCollect(b *testing.B) {
	const pages = 64
	t := newTape(pages)
	var total, calls, events int64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		p := &process{disk: newDisk()}
		c, err := collect.New(collect.Config{Concurrency: 1}, collect.Deps{Source: t, State: state{p}, Sinks: []collect.Sink{null{}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.RunOnce(b.Context(), time.UnixMilli(t.from)); err != nil {
			b.Fatal(err)
		}
		books := c.Health().Totals
		if books.Calls != int64(pages*t.calls) || books.Incomplete != 0 || !books.Balanced() {
			b.Fatalf("books: %+v", books)
		}
		total += books.Bytes
		calls += books.Calls
		events += books.Read
	}
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(total)/1e6/seconds, "MB/s")
	b.ReportMetric(float64(calls)/seconds, "calls/s")
	b.ReportMetric(float64(events)/seconds, "events/s")
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(calls), "allocs/call")
}

func BenchmarkCollectSource(b *testing.B) {
	t := newTape(64)
	var total int64
	n := int64(0)
	for b.Loop() {
		at := t.from + n%64*tapeSpan
		p, err := t.Read(b.Context(), t.group, at, at, "")
		if err != nil {
			b.Fatal(err)
		}
		total += p.Bytes
		n++
	}
	b.ReportMetric(float64(total)/1e6/b.Elapsed().Seconds(), "MB/s")
}
