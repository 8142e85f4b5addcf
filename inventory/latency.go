package inventory

import (
	"encoding/binary"
	"errors"
	"math"
)

// latencies is a DDSketch of whole milliseconds: logarithmic bins whose
// quantiles are within 2 % of the true ones, and which merge by addition. Its
// counts are whole and 32 bits wide and only the bins between the fastest and
// the slowest call exist, because the budget of an endpoint is 8 KB and this
// must leave room for the rest.
type latencies struct {
	first int16    // index of bins[0]
	bins  []uint32 // consecutive bins
	zero  uint32   // calls of 0 ms
}

const (
	latencyError = 0.02
	latencyGamma = (1 + latencyError) / (1 - latencyError)
	// maxLatencyMS is above the longest call that API Gateway makes (15 min for
	// a streamed response); longer ones are counted as this long.
	maxLatencyMS = 3_600_000
	latencyBins  = 380 // more than index(maxLatencyMS)
)

var (
	latencyLog = 1 / math.Log(latencyGamma)
	// latencyIndex spares the logarithm for nearly all calls.
	latencyIndex = func() (table [2048]int16) {
		for ms := 1; ms < len(table); ms++ {
			table[ms] = int16(math.Ceil(math.Log(float64(ms))*latencyLog - 1e-9))
		}
		return table
	}()
)

func binOf(ms int64) int16 {
	if ms < int64(len(latencyIndex)) {
		return latencyIndex[ms]
	}
	return int16(math.Ceil(math.Log(float64(min(ms, maxLatencyMS)))*latencyLog - 1e-9))
}

// upperBound returns the greatest latency of a bin in milliseconds.
func upperBound(bin int16) float64 { return math.Pow(latencyGamma, float64(bin)) }

// middle returns the value that is within 2 % of all latencies of a bin.
func middle(bin int16) float64 { return 2 * upperBound(bin) / (latencyGamma + 1) }

func (l *latencies) add(ms int64) {
	if ms <= 0 {
		l.bump(&l.zero, 1)
		return
	}
	l.bump(l.bin(binOf(ms)), 1)
}

// bump adds n to a count. A count that would overflow halves all of them: the
// quantiles stay, and after four billion calls nobody needs the exact number.
func (l *latencies) bump(count *uint32, n uint32) {
	for *count > math.MaxUint32-n {
		l.zero /= 2
		for i := range l.bins {
			l.bins[i] /= 2
		}
		n /= 2
	}
	*count += n
}

// bin returns the count of a bin and makes room for it.
func (l *latencies) bin(at int16) *uint32 {
	switch {
	case len(l.bins) == 0:
		l.bins = make([]uint32, 1, 8)
		l.first = at
	case at < l.first:
		grown := make([]uint32, len(l.bins)+int(l.first-at))
		copy(grown[l.first-at:], l.bins)
		l.bins, l.first = grown, at
	case int(at-l.first) >= len(l.bins):
		need := int(at-l.first) + 1
		if need <= cap(l.bins) {
			l.bins = l.bins[:need]
		} else {
			grown := make([]uint32, need, need+4)
			copy(grown, l.bins)
			l.bins = grown
		}
	}
	return &l.bins[at-l.first]
}

func (l *latencies) merge(o *latencies) {
	l.bump(&l.zero, o.zero)
	for i, n := range o.bins {
		if n > 0 {
			l.bump(l.bin(o.first+int16(i)), n)
		}
	}
}

func (l *latencies) count() int64 {
	total := int64(l.zero)
	for _, n := range l.bins {
		total += int64(n)
	}
	return total
}

// quantiles returns the latencies in milliseconds below which the given shares
// (ascending, between 0 and 1) of the calls lie; zeroes if there are no calls.
func (l *latencies) quantiles(shares ...float64) []float64 {
	out := make([]float64, len(shares))
	total := l.count()
	if total == 0 {
		return out
	}
	seen, at := int64(l.zero), -1
	for i, share := range shares {
		rank := int64(share * float64(total-1))
		for seen <= rank && at+1 < len(l.bins) {
			at++
			seen += int64(l.bins[at])
		}
		if at >= 0 && rank >= int64(l.zero) {
			out[i] = middle(l.first + int16(at))
		}
	}
	return out
}

// latencyEdges are the upper ends of the bars of the chart, in milliseconds.
var latencyEdges = []float64{
	1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 30000, 60000, 300000, 900000, maxLatencyMS,
}

// buckets returns the distribution from the first to the last bar that has
// calls.
func (l *latencies) buckets() []LatencyBucket {
	counts := make([]int64, len(latencyEdges))
	counts[0] = int64(l.zero)
	edge := 0
	for i, n := range l.bins {
		for edge < len(latencyEdges)-1 && middle(l.first+int16(i)) > latencyEdges[edge] {
			edge++
		}
		counts[edge] += int64(n)
	}
	from, to := 0, len(counts)
	for from < to && counts[from] == 0 {
		from++
	}
	for to > from && counts[to-1] == 0 {
		to--
	}
	out := make([]LatencyBucket, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, LatencyBucket{UpToMS: latencyEdges[i], Calls: counts[i]})
	}
	return out
}

func (l *latencies) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(l.zero))
	b = binary.AppendVarint(b, int64(l.first))
	for _, n := range l.bins {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

var errState = errors.New("malformed endpoint state")

func (l *latencies) decode(b []byte) error {
	r := reader{b: b}
	zero, first := r.uvarint(), r.varint()
	if first < 0 || first > latencyBins || zero > math.MaxUint32 {
		return errState
	}
	*l = latencies{zero: uint32(zero), first: int16(first)}
	for len(r.b) > 0 && r.err == nil {
		n := r.uvarint()
		if n > math.MaxUint32 || int(first)+len(l.bins) > latencyBins {
			return errState
		}
		l.bins = append(l.bins, uint32(n))
	}
	return r.err
}
