package inventory

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// The saved state of an endpoint is a row of sections, each a tag, a length and
// its content. A reader skips tags that it does not know, so that a state
// gains sections without a migration.
const (
	sectionStatuses     = 1
	sectionKinds        = 2
	sectionVisibilities = 3
	sectionLatencies    = 4
	sectionCallers      = 5
	sectionTopCallers   = 6
	sectionSamples      = 7
	sectionSchema       = 8
)

// state is what an endpoint knows beside its row.
type state struct {
	statuses     []statusCount
	kinds        [len(callerKinds)]int64
	visibilities [4]int64 // by Visibility.Rank
	latencies    latencies
	callers      callers
	top          topCallers
	samples      [maxSamples]sample
	schema       schema
}

type statusCount struct {
	status int
	calls  int64
}

// maxStatuses bounds the distinct status codes of an endpoint; a backend may
// answer with any number. Those beyond are counted as the first of their class.
const maxStatuses = 24

func (s *state) countStatus(status int, n int64) {
	for i := range s.statuses {
		if s.statuses[i].status == status {
			s.statuses[i].calls += n
			return
		}
	}
	if class := status / 100 * 100; len(s.statuses) >= maxStatuses && status != class {
		s.countStatus(class, n)
		return
	}
	if len(s.statuses) >= 2*maxStatuses {
		s.statuses[0].calls += n
		return
	}
	s.statuses = append(s.statuses, statusCount{status, n})
}

func (s *state) merge(o *state) {
	for _, c := range o.statuses {
		s.countStatus(c.status, c.calls)
	}
	for i, n := range o.kinds {
		s.kinds[i] += n
	}
	for i, n := range o.visibilities {
		s.visibilities[i] += n
	}
	s.latencies.merge(&o.latencies)
	s.callers.merge(&o.callers)
	s.top.merge(o.top)
	s.schema.merge(&o.schema)
}

func (s *state) append(b []byte) ([]byte, error) {
	section := func(tag byte, write func([]byte) ([]byte, error)) error {
		b = append(b, tag, 0, 0, 0, 0)
		start := len(b)
		var err error
		if b, err = write(b); err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(b[start-4:], uint32(len(b)-start))
		return nil
	}
	plain := func(tag byte, write func([]byte) []byte) {
		// A plain section has no error to report.
		_ = section(tag, func(b []byte) ([]byte, error) { return write(b), nil })
	}
	plain(sectionStatuses, func(b []byte) []byte {
		for _, c := range s.statuses {
			b = binary.AppendVarint(b, int64(c.status))
			b = binary.AppendUvarint(b, uint64(c.calls))
		}
		return b
	})
	plain(sectionKinds, func(b []byte) []byte { return appendCounts(b, s.kinds[:]) })
	plain(sectionVisibilities, func(b []byte) []byte { return appendCounts(b, s.visibilities[:]) })
	plain(sectionLatencies, s.latencies.append)
	plain(sectionTopCallers, s.top.append)
	plain(sectionSamples, func(b []byte) []byte { return appendSamples(b, &s.samples) })
	plain(sectionSchema, s.schema.append)
	err := section(sectionCallers, s.callers.append)
	return b, err
}

func (s *state) decode(b []byte) error {
	for len(b) > 0 {
		if len(b) < 5 {
			return errState
		}
		tag, size := b[0], binary.LittleEndian.Uint32(b[1:5])
		if uint64(size) > uint64(len(b)-5) {
			return errState
		}
		content := b[5 : 5+size]
		b = b[5+size:]
		var err error
		switch tag {
		case sectionStatuses:
			r := reader{b: content}
			for len(r.b) > 0 && r.err == nil {
				status, calls := r.varint(), r.uvarint()
				if len(s.statuses) > 2*maxStatuses || status < math.MinInt32 || status > math.MaxInt32 {
					return errState
				}
				s.statuses = append(s.statuses, statusCount{int(status), int64(calls)})
			}
			err = r.err
		case sectionKinds:
			err = decodeCounts(content, s.kinds[:])
		case sectionVisibilities:
			err = decodeCounts(content, s.visibilities[:])
		case sectionLatencies:
			err = s.latencies.decode(content)
		case sectionCallers:
			err = s.callers.decode(content)
		case sectionTopCallers:
			err = s.top.decode(content)
		case sectionSamples:
			err = decodeSamples(content, &s.samples)
		case sectionSchema:
			err = s.schema.decode(content)
		}
		if err != nil {
			return fmt.Errorf("section %d: %w", tag, err)
		}
	}
	return nil
}

// NewDetail builds what an endpoint's own page shows from its saved row and
// state. The keys name its samples, youngest first, which the caller fetches.
func NewDetail(e Endpoint, saved []byte) (d *Detail, sampleKeys []string, err error) {
	var s state
	if err := s.decode(saved); err != nil {
		return nil, nil, fmt.Errorf("reading the state of endpoint %s: %w", e.ID, err)
	}
	d = &Detail{
		Endpoint:       e,
		Statuses:       map[int]int64{},
		Kinds:          map[transaction.CallerKind]int64{},
		TopCallers:     s.top.counts(),
		Visibilities:   map[transaction.Visibility]int64{},
		LatencyBuckets: s.latencies.buckets(),
		Samples:        []*transaction.Transaction{},
	}
	d.Schema, d.Sensitive = s.schema.shown()
	for _, c := range s.statuses {
		if c.status != 0 {
			d.Statuses[c.status] = c.calls
		}
	}
	for i, n := range s.kinds {
		if n > 0 {
			d.Kinds[callerKinds[i]] = n
		}
	}
	for rank, n := range s.visibilities {
		if v := visibilityOf(rank); n > 0 && v != "" {
			d.Visibilities[v] = n
		}
	}
	return d, sampleKeysOf(&s.samples), nil
}

var visibilities = [4]transaction.Visibility{1: transaction.Metadata, 2: transaction.Truncated, 3: transaction.Full}

// visibilityOf is the inverse of Visibility.Rank.
func visibilityOf(rank int) transaction.Visibility { return visibilities[rank] }

func appendCounts(b []byte, counts []int64) []byte {
	for _, n := range counts {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// decodeCounts accepts fewer counts than there are now: kinds may be added.
func decodeCounts(b []byte, counts []int64) error {
	r := reader{b: b}
	for i := 0; i < len(counts) && len(r.b) > 0; i++ {
		counts[i] = int64(r.uvarint())
	}
	return r.err
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// reader takes values from saved bytes. After the first error it gives zeroes.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() { r.b, r.err = nil, errState }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) fixed64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	v := string(r.b[:n])
	r.b = r.b[n:]
	return v
}
