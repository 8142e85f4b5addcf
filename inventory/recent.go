package inventory

import (
	"encoding/binary"
	"math"
	"time"
)

// recentMinutes is how far back the calls of an endpoint are known by minute.
const recentMinutes = 60

// recent counts the calls of each of the last 60 minutes by event time. newest
// is the youngest minute counted, in minutes since the epoch.
type recent struct {
	newest int64
	counts [recentMinutes]uint32 // by minute modulo 60
}

func slot(minute int64) int { return int(((minute % recentMinutes) + recentMinutes) % recentMinutes) }

func (r *recent) add(minute int64, n uint32) {
	r.advance(minute)
	if minute <= r.newest-recentMinutes {
		return
	}
	count := &r.counts[slot(minute)]
	*count += min(n, math.MaxUint32-*count)
}

func (r *recent) advance(minute int64) {
	if minute <= r.newest {
		return
	}
	if minute-r.newest >= recentMinutes {
		r.counts = [recentMinutes]uint32{}
	} else {
		for m := r.newest + 1; m <= minute; m++ {
			r.counts[slot(m)] = 0
		}
	}
	r.newest = minute
}

func (r *recent) merge(o *recent) {
	for m := o.newest - recentMinutes + 1; m <= o.newest; m++ {
		if n := o.counts[slot(m)]; n > 0 {
			r.add(m, n)
		}
	}
}

// until returns the 60 minutes that end with the given one, oldest first.
func (r *recent) until(minute int64) []uint32 {
	out := make([]uint32, recentMinutes)
	for i := range out {
		m := minute - recentMinutes + 1 + int64(i)
		if m <= r.newest && m > r.newest-recentMinutes {
			out[i] = r.counts[slot(m)]
		}
	}
	return out
}

func (r *recent) append(b []byte) []byte {
	b = binary.AppendVarint(b, r.newest)
	started := false
	for m := r.newest - recentMinutes + 1; m <= r.newest; m++ {
		n := r.counts[slot(m)]
		if !started {
			if n == 0 {
				continue
			}
			started = true
			b = binary.AppendUvarint(b, uint64(r.newest-m))
		}
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func (r *recent) decode(b []byte) error {
	rd := reader{b: b}
	*r = recent{newest: rd.varint()}
	if len(rd.b) > 0 && rd.err == nil {
		age := rd.uvarint()
		if age >= recentMinutes {
			return errState
		}
		for m := r.newest - int64(age); m <= r.newest && len(rd.b) > 0; m++ {
			r.counts[slot(m)] = uint32(min(rd.uvarint(), math.MaxUint32))
		}
	}
	return rd.err
}

func minuteOf(ms int64) int64 { return ms / 60_000 }

// DecodeRecent reads Saved.Minutes and returns calls a minute over the 60
// minutes that end with the one of now, oldest first.
func DecodeRecent(saved []byte, now time.Time) ([]uint32, error) {
	var r recent
	if err := r.decode(saved); err != nil {
		return nil, err
	}
	return r.until(minuteOf(now.UnixMilli())), nil
}
