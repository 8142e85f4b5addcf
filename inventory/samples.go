package inventory

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// maxSamples is how many redacted transactions are kept of an endpoint.
	maxSamples = 3
	// sampleRefresh is how old, in milliseconds of log time, a sample grows
	// before a call that is no better takes its place. Without it every call
	// of a busy endpoint would be written to the store.
	sampleRefresh = 60_000
	// maxSampleBody bounds each body of a sample, in bytes; one that is longer
	// is cut and marked as truncated.
	maxSampleBody = 16 << 10
	// maxSampleHeaders bounds the header fields and query parameters of a
	// sample, each, maxSampleValues the values of one of them, and
	// maxSampleValue the length of a value.
	maxSampleHeaders = 100
	maxSampleValues  = 20
	maxSampleValue   = 4 << 10
)

// sample is what memory keeps of a sample: the transaction itself is in the
// store, or waits in pending for the next Changes.
type sample struct {
	key     string // the transaction's id; empty: no sample
	at      int64  // milliseconds
	class   uint8  // status / 100
	rank    uint8  // of the visibility
	saved   bool   // the store has it, or a Changes that was handed out
	pending *transaction.Transaction
}

// choose decides whether t becomes a sample, and returns the slot it shall take
// or -1. One sample of every class of status comes first, then the fuller
// visibility, then the younger call.
func choose(samples *[maxSamples]sample, at int64, class, rank uint8) int {
	free, oldest, double := -1, -1, -1
	youngest := int64(0)
	for i := range samples {
		s := &samples[i]
		if s.key == "" {
			free = i
			continue
		}
		if s.class == class {
			youngest = max(youngest, s.at)
			if oldest < 0 || worse(s, &samples[oldest]) {
				oldest = i
			}
		}
		for j := range samples {
			if j != i && samples[j].key != "" && samples[j].class == s.class && (double < 0 || worse(s, &samples[double])) {
				double = i
			}
		}
	}
	if oldest < 0 { // a class that was not seen
		if free >= 0 {
			return free
		}
		return double
	}
	s := &samples[oldest]
	switch {
	case rank > s.rank:
		return oldest
	case at < youngest+sampleRefresh || rank < s.rank:
		return -1
	case free >= 0:
		return free
	default:
		return oldest
	}
}

func worse(a, b *sample) bool {
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	return a.at < b.at
}

// encodeSample returns the JSON of t within the bounds of a sample.
func encodeSample(t *transaction.Transaction) ([]byte, error) {
	bounded := *t
	bounded.Query = boundFields(t.Query)
	if t.Request != nil {
		r := *t.Request
		r.Headers = boundFields(r.Headers)
		if len(r.Body) > maxSampleBody {
			r.Body, r.Truncated = cut(r.Body, maxSampleBody), true
		}
		bounded.Request = &r
	}
	if t.Response != nil {
		r := *t.Response
		r.Headers = boundFields(r.Headers)
		if len(r.Body) > maxSampleBody {
			r.Body, r.Truncated = cut(r.Body, maxSampleBody), true
		}
		bounded.Response = &r
	}
	b, err := json.Marshal(&bounded)
	if err != nil {
		return nil, fmt.Errorf("encoding sample %s: %w", t.ID, err)
	}
	return b, nil
}

func boundFields(fields map[string][]string) map[string][]string {
	fits := len(fields) <= maxSampleHeaders
	for _, values := range fields {
		fits = fits && len(values) <= maxSampleValues
		for _, v := range values {
			fits = fits && len(v) <= maxSampleValue
		}
	}
	if fits {
		return fields
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make(map[string][]string, maxSampleHeaders)
	for _, name := range names[:min(len(names), maxSampleHeaders)] {
		values := fields[name]
		for _, v := range values[:min(len(values), maxSampleValues)] {
			out[name] = append(out[name], cut(v, maxSampleValue))
		}
	}
	return out
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

func sampleKeysOf(samples *[maxSamples]sample) []string {
	sorted := *samples
	slices.SortFunc(sorted[:], func(a, b sample) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.key, b.key))
	})
	var keys []string
	for _, s := range sorted {
		if s.key != "" {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func appendSamples(b []byte, samples *[maxSamples]sample) []byte {
	for _, s := range samples {
		if s.key == "" {
			continue
		}
		b = appendString(b, s.key)
		b = binary.AppendVarint(b, s.at)
		b = append(b, s.class, s.rank)
	}
	return b
}

func decodeSamples(b []byte, samples *[maxSamples]sample) error {
	r := reader{b: b}
	for i := 0; len(r.b) > 0 && r.err == nil; i++ {
		if i == maxSamples {
			return errState
		}
		samples[i] = sample{key: r.string(), at: r.varint(), class: r.byte(), rank: r.byte(), saved: true}
	}
	return r.err
}
