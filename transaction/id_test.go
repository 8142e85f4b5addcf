package transaction

import (
	"crypto/sha256"
	"encoding/base32"
	"testing"
)

func TestTransactionIDIsBase32OfADigest(t *testing.T) {
	t.Parallel()
	encoding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	for i := range 100 {
		id := string(rune('a'+i%26)) + rid[:i%30]
		text := "\x01a\x01r\x00\x01s" + string(rune(len(id))) + id + "\x00"
		sum := sha256.Sum256([]byte(text))
		if got, want := TransactionID("a", "r", "", "s", id, ""), encoding.EncodeToString(sum[:16]); got != want {
			t.Fatalf("%q: got %s, want %s", id, got, want)
		}
	}
}
