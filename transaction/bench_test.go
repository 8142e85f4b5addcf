package transaction

import (
	"math"
	"testing"
	"time"
)

// perCPU reports throughput by processor time since cpu.
func perCPU(b *testing.B, bytes int64, cpu time.Duration) {
	b.Helper()
	if used := cpuTime() - cpu; used > 0 {
		b.ReportMetric(float64(bytes)*float64(b.N)/1e6/used.Seconds(), "MB/cpu-s")
	}
}

// benchEvents runs a corpus through an assembler as a collector does: log time
// moves on every few hundred events, and closed calls are taken.
func benchEvents(b *testing.B, g Group, events []Event, bytes int64) {
	b.Helper()
	b.SetBytes(bytes)
	b.ReportAllocs()
	var calls []*Call
	n := 0
	a := NewAssembler(Options{})
	f := a.Feed(g)
	cpu := cpuTime()
	for b.Loop() {
		for i := range events {
			f.Add(&events[i])
			if i%256 == 255 {
				f.Advance(events[i].Timestamp)
				calls = a.Take(calls[:0])
				n += len(calls)
			}
		}
		a.Flush()
		calls = a.Take(calls[:0])
		n += len(calls)
		a.Forget(math.MaxInt64)
	}
	perCPU(b, bytes, cpu)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(len(events))*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkExecution measures execution-log lines to whole transactions, maps
// and redaction included.
func BenchmarkExecution(b *testing.B) {
	events, bytes := executionCorpus(2_000)
	benchEvents(b, restGroup(), events, bytes)
}

// BenchmarkAccessJSON measures access records in JSON to transactions.
func BenchmarkAccessJSON(b *testing.B) {
	events, bytes := accessCorpus(10_000, true)
	g := restGroup()
	g.AccessFormat = jsonFormat
	benchEvents(b, g, events, bytes)
}

// BenchmarkAccessCLF measures access records in a common log format.
func BenchmarkAccessCLF(b *testing.B) {
	events, bytes := accessCorpus(20_000, false)
	g := restGroup()
	g.AccessFormat = clfFormat
	benchEvents(b, g, events, bytes)
}

// BenchmarkDemux measures taking lines apart and holding them by call, without
// building transactions.
func BenchmarkDemux(b *testing.B) {
	events, bytes := executionCorpus(2_000)
	b.SetBytes(bytes)
	b.ReportAllocs()
	a := NewAssembler(Options{MaxOpen: 1 << 20, MaxBytes: 1 << 40})
	f := a.Feed(restGroup())
	cpu := cpuTime()
	for b.Loop() {
		for i := range events {
			f.Add(&events[i])
		}
		for c := a.oldest; c != nil; c = a.oldest {
			c.stage.due.remove(c)
			a.delist(c)
			a.unindex(c)
			a.bytes -= c.bytes
			a.recycle(c)
		}
	}
	perCPU(b, bytes, cpu)
	b.ReportMetric(float64(len(events))*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkAppendJSON measures writing transactions.
func BenchmarkAppendJSON(b *testing.B) {
	events, _ := executionCorpus(256)
	a := NewAssembler(Options{})
	f := a.Feed(restGroup())
	for i := range events {
		f.Add(&events[i])
	}
	a.Flush()
	calls := a.Take(nil)
	var dst []byte
	for _, c := range calls {
		dst = c.Transaction.AppendJSON(dst)
	}
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		dst = dst[:0]
		for _, c := range calls {
			dst = c.Transaction.AppendJSON(dst)
		}
	}
	perCPU(b, int64(len(dst)), cpu)
}
