package inventory

import (
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Live is what the overview shows of the running inventory, without asking the
// store.
type Live struct {
	Endpoints int `json:"endpoints"`
	// Coverage counts endpoints by the best that was seen of them.
	Coverage map[transaction.Visibility]int `json:"coverage"`
	// CallsPerSecond by what was seen of the calls, over the minute that ends
	// with the youngest call; zero if that is more than five minutes ago. Logs
	// arrive late, so the minute that ends now would always look quiet.
	CallsPerSecond map[transaction.Visibility]float64 `json:"calls_per_second"`
	// Until is the end of that minute; zero if no call was observed.
	Until time.Time `json:"until,omitzero"`
	// Newest are the endpoints found last, youngest first.
	Newest []Endpoint `json:"newest"`
	// Probes are calls, since the inventory began, to what is not there.
	Probes int64 `json:"probes"`
	Full   bool  `json:"full"` // no more endpoints are taken in
}

const liveSeconds = 60

// live counts the calls of the last minute of log time by second.
type live struct {
	newest int64 // second since the epoch
	counts [liveSeconds][4]uint32
}

func (l *live) add(ms int64, rank uint8) {
	second := ms / 1000
	if second > l.newest {
		if second-l.newest >= liveSeconds {
			l.counts = [liveSeconds][4]uint32{}
		} else {
			for s := l.newest + 1; s <= second; s++ {
				l.counts[s%liveSeconds] = [4]uint32{}
			}
		}
		l.newest = second
	}
	if second > l.newest-liveSeconds {
		l.counts[second%liveSeconds][rank]++
	}
}

// Live returns a snapshot. It is cheap enough to ask each second.
func (inv *Inventory) Live() Live {
	now := inv.clock()
	inv.mu.Lock()
	defer inv.mu.Unlock()
	out := Live{
		Endpoints:      inv.count,
		Coverage:       map[transaction.Visibility]int{},
		CallsPerSecond: map[transaction.Visibility]float64{},
		Newest:         []Endpoint{},
		Probes:         inv.probes,
		Full:           inv.full(),
	}
	var calls [4]int64
	if inv.live.newest > 0 {
		out.Until = time.Unix(inv.live.newest, 0).UTC()
		if now.Sub(out.Until) <= 5*time.Minute {
			for _, second := range inv.live.counts {
				for rank, n := range second {
					calls[rank] += int64(n)
				}
			}
		}
	}
	for rank := 1; rank < len(calls); rank++ {
		v := visibilityOf(rank)
		out.Coverage[v] = inv.coverage[rank]
		out.CallsPerSecond[v] = float64(calls[rank]) / liveSeconds
	}
	for i := len(inv.newest) - 1; i >= 0 && len(out.Newest) < newestKept; i-- {
		if e := inv.newest[i]; !e.gone {
			row := e.row()
			row.Recent = e.recent.until(minuteOf(now.UnixMilli()))
			out.Newest = append(out.Newest, row)
		}
	}
	return out
}
