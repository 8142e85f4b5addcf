package spool

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	eventsPrefix   = "events/"
	groupsPrefix   = "groups/"
	rejectedPrefix = "rejected/"

	minute = 60_000 // milliseconds
	// countsKept is for how long, in milliseconds, the receipts of a minute are
	// kept: the collector asks for the last hour.
	countsKept = 2 * 60 * minute
)

// entry is a blob of events as its name tells of it.
type entry struct {
	name   string
	at     int64 // when it arrived: its place in the order of reading
	events int64
	size   int64
}

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.name, b.name))
}

// shelf is what is known of one log group.
type shelf struct {
	group   transaction.Group
	known   bool    // its groups/ blob is written
	entries []entry // in the order of reading
	// passed is what the saved cursors have passed; hasPassed says that there are
	// any.
	passed    int64
	hasPassed bool
	counts    map[int64]int64 // events taken in, by minute
}

// add puts an entry into its place.
func (s *shelf) add(e entry) bool {
	i, found := slices.BinarySearchFunc(s.entries, e, compareEntries)
	if found {
		return false
	}
	s.entries = slices.Insert(s.entries, i, e)
	if s.counts == nil {
		s.counts = make(map[int64]int64)
	}
	s.counts[e.at-e.at%minute] += e.events
	return true
}

// drop takes an entry out.
func (s *shelf) drop(e entry) bool {
	i, found := slices.BinarySearchFunc(s.entries, e, compareEntries)
	if found {
		s.entries = slices.Delete(s.entries, i, i+1)
	}
	return found
}

// between are the entries with from <= at <= to that follow the one named after.
func (s *shelf) between(from, to int64) []entry {
	i, _ := slices.BinarySearchFunc(s.entries, from, func(e entry, at int64) int { return cmp.Compare(e.at, at) })
	j, _ := slices.BinarySearchFunc(s.entries, to, func(e entry, at int64) int {
		if e.at <= at {
			return -1
		}
		return 1
	})
	if i >= j {
		return nil
	}
	return slices.Clone(s.entries[i:j])
}

// forget drops the receipts of minutes that nobody asks for any more.
func (s *shelf) forget(before int64) {
	for m := range s.counts {
		if m < before {
			delete(s.counts, m)
		}
	}
}

// idOf names a group in the names of blobs.
func idOf(g *transaction.Group) string {
	sum := sha256.Sum256([]byte(g.Key()))
	return hex.EncodeToString(sum[:8])
}

// nameOf makes the name of a blob. The random part keeps two processes that write
// in the same millisecond apart.
func nameOf(at int64, group string, events int) string {
	return fmt.Sprintf("%s%013d-%s-%d-%s", eventsPrefix, at, group, events, rand.Text()[:8])
}

// parseName reads what nameOf wrote.
func parseName(name string) (group string, e entry, ok bool) {
	rest, ok := strings.CutPrefix(name, eventsPrefix)
	parts := strings.Split(rest, "-")
	if !ok || len(parts) != 4 || len(parts[0]) < 13 || len(parts[1]) != 16 {
		return "", entry{}, false
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || at < 0 {
		return "", entry{}, false
	}
	events, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || events < 1 {
		return "", entry{}, false
	}
	return parts[1], entry{name: name, at: at, events: events}, true
}
