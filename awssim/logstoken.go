package awssim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"sync/atomic"
	"time"
)

// tokenLife is how long a FilterLogEvents token can be used.
const tokenLife = 24 * time.Hour

// tokenKey signs the tokens of FilterLogEvents, so that a garbled one is told
// from a good one.
type tokenKey struct {
	key   [8]byte
	nonce atomic.Uint32
}

func (t *tokenKey) init(seed uint64) { binary.BigEndian.PutUint64(t.key[:], mix(seed)) }

// filterToken is where a FilterLogEvents walk goes on.
type filterToken struct {
	bound key // ascending: the first key not read; descending: the last one read
	// descending walks from the newest event.
	descending bool
	// struck says that a fault made this token, so that the same position is
	// not struck for ever.
	struck bool
	issued int64  // milliseconds
	params uint64 // digest of what the walk asks for
}

const (
	tokenBody = 1 + 8 + 8 + 8 + 8 + 4
	tokenMAC  = 8
)

// encode makes the token. Two tokens are never alike, even for one position.
func (t *tokenKey) encode(f *filterToken) string {
	b := make([]byte, 0, tokenBody+tokenMAC)
	var flags byte
	if f.descending {
		flags |= 1
	}
	if f.struck {
		flags |= 2
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(f.bound.ts))
	b = binary.BigEndian.AppendUint64(b, f.bound.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(f.issued))
	b = binary.BigEndian.AppendUint64(b, f.params)
	b = binary.BigEndian.AppendUint32(b, t.nonce.Add(1))
	b = append(b, t.mac(b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (t *tokenKey) mac(b []byte) []byte {
	m := hmac.New(sha256.New, t.key[:])
	m.Write(b)
	return m.Sum(nil)[:tokenMAC]
}

// decode reads a token; ok is false for one that encode did not make.
func (t *tokenKey) decode(text string) (f filterToken, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != tokenBody+tokenMAC || !hmac.Equal(t.mac(b[:tokenBody]), b[tokenBody:]) {
		return filterToken{}, false
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	return filterToken{
		descending: b[0]&1 != 0,
		struck:     b[0]&2 != 0,
		bound:      key{ts: int64(word(0)), seq: word(1)},
		issued:     int64(word(2)),
		params:     word(3),
	}, true
}

// params is the digest of what a walk asks for, but for its page size.
func (in *filterLogEventsInput) params(groupARN string) uint64 {
	h := fnv.New64a()
	part := func(s string) {
		_, _ = h.Write([]byte(s)) // never fails
		_, _ = h.Write([]byte{0})
	}
	part(groupARN)
	part(strconv.FormatInt(in.from(), 10))
	part(strconv.FormatInt(in.to(), 10))
	part(in.FilterPattern)
	part(in.LogStreamNamePrefix)
	for _, s := range in.LogStreamNames {
		part(s)
	}
	return h.Sum64()
}
