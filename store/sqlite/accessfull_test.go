package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/store"
)

// A change of lending that finds no space is not there by half, whatever it is of, and can
// be made once there is space.
func TestDiskFullWhileLending(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openFile(t, path)
	l := &Lending{s}
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	if err := l.Commit(t.Context(), lendOne(1, at)); err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) {
		if _, err := s.write.ExecContext(t.Context(), "PRAGMA max_page_count = "+itoa(pages)); err != nil {
			t.Fatal(err)
		}
	}
	var pages int
	if err := s.write.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	big := lendOne(2, at)
	big.Letters[0].Body = []byte(strings.Repeat("x", 1<<20)) // the last part but one of a change
	for room := range 5 {
		limit(pages + room)
		wantFault(t, l.Commit(t.Context(), big), store.ErrFull, path)
		if p, err := l.Pulse(t.Context()); err != nil || p.Seq != 1 {
			t.Fatalf("after a change that found no space: %+v, %v", p, err)
		}
		wantLent(t, path, 1)
	}
	limit(1 << 20)
	// What ends is not in the way of what is full.
	leased, err := l.LeaseObjects(t.Context(), access.LeaseQuery{Integration: "prod", Holder: "one", Now: at, Until: at.Add(time.Second), Limit: 1})
	if err != nil || len(leased) != 1 {
		t.Fatalf("leasing after space returned: %+v, %v", leased, err)
	}
	if err := l.Commit(t.Context(), big); err != nil {
		t.Fatalf("after space returned: %v", err)
	}
	wantLent(t, path, 2)
}
