package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Hash is a SHA-256 digest; 64 hexadecimal digits in lower case as text.
type Hash [sha256.Size]byte

// String returns the digest in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the digest in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits in lower case.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a hash has %d hexadecimal digits, not %d characters", hex.EncodedLen(len(h)), len(text))
	}
	var out Hash
	if _, err := hex.Decode(out[:], text); err != nil {
		return fmt.Errorf("not a hash: %w", err)
	}
	// Upper case would be the same hash written otherwise.
	if out.String() != string(text) {
		return errors.New("a hash is written in lower case")
	}
	*h = out
	return nil
}

// Head is an event's number and hash. Noted in another place it shows later that no
// event up to it was cut off or written anew.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash Hash   `json:"hash"`
}

// String returns "SEQ:HASH".
func (h Head) String() string { return strconv.FormatUint(h.Seq, 10) + ":" + h.Hash.String() }

// ParseHead reads "SEQ:HASH".
func ParseHead(text string) (Head, error) {
	seq, hash, ok := strings.Cut(text, ":")
	if !ok {
		return Head{}, fmt.Errorf("a head is SEQ:HASH, not %q", text)
	}
	var h Head
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || n == 0 {
		return Head{}, fmt.Errorf("a head is SEQ:HASH, and %q is not the number of an event", seq)
	}
	h.Seq = n
	if err := h.Hash.UnmarshalText([]byte(hash)); err != nil {
		return Head{}, err
	}
	return h, nil
}

// Seal returns the hash of an event that follows the one whose hash is prev: SHA-256
// of its canonical encoding without the field "hash" (see Encode).
func Seal(prev Hash, e Event) Hash {
	e.Prev = prev
	return sha256.Sum256(appendEvent(nil, &e, false))
}
