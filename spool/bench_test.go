package spool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// BenchmarkAppend writes requests of about 1 MiB, each safe on the disk, and
// reads them back.
func BenchmarkAppend(b *testing.B) {
	f, err := spool.OpenFolder(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	s, err := spool.Open(b.Context(), f, spool.Config{})
	if err != nil {
		b.Fatal(err)
	}
	var events []transaction.Event
	size := 0
	for n := 0; size < 1<<20; n++ {
		for _, ev := range callEvents(n, time.Now()) {
			events = append(events, ev)
			size += len(ev.Message)
		}
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		batch := append([]transaction.Event(nil), events...)
		for i := range batch {
			batch[i].ID = fmt.Sprintf("%d-%d", n, i)
		}
		from := time.Now().UnixMilli()
		if err := s.Append(b.Context(), spool.Batch{Group: groupOf(0), Events: batch}); err != nil {
			b.Fatal(err)
		}
		for next := ""; ; {
			page, err := s.Read(b.Context(), groupOf(0), from, from+10_000, next)
			if err != nil {
				b.Fatal(err)
			}
			if next = page.Next; next == "" {
				break
			}
		}
	}
}
