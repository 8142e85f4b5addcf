package transaction

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// TransactionID is the id of a call: 26 URL-safe characters, a digest of where
// the call was made and of the ids that API Gateway gave it. It never depends on
// a time or an event id, so reading the same logs again gives the same id. A
// cryptographic digest, because a caller may choose its request id and must not
// be able to make its call look like the repeat of another.
func TransactionID(account, region, apiID, stage, requestID, extendedRequestID string) string {
	var room [384]byte
	b := room[:0]
	for _, part := range [...]string{account, region, apiID, stage, requestID, extendedRequestID} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	var text [26]byte
	idEncoding.Encode(text[:], sum[:16])
	return string(text[:])
}
