package transaction

import (
	"crypto/sha256"
	"encoding/binary"
)

// idLength is how many characters a transaction's id has: 128 bits, five in each.
const idLength = 26

// idPairs holds what ten bits are in base32, in lower case.
var idPairs = func() (pairs [1024][2]byte) {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	for i := range pairs {
		pairs[i] = [2]byte{alphabet[i>>5], alphabet[i&31]}
	}
	return pairs
}()

// TransactionID is the id of a call: 26 URL-safe characters, a digest of where
// the call was made and of the ids that API Gateway gave it. It never depends on
// a time or an event id, so reading the same logs again gives the same id. A
// cryptographic digest, because a caller may choose its request id and must not
// be able to make its call look like the repeat of another.
func TransactionID(account, region, apiID, stage, requestID, extendedRequestID string) string {
	text := idText(account, region, apiID, stage, requestID, extendedRequestID)
	return string(text[:])
}

func idText(account, region, apiID, stage, requestID, extendedRequestID string) (text [idLength]byte) {
	var room [384]byte
	b := room[:0]
	for _, part := range [...]string{account, region, apiID, stage, requestID, extendedRequestID} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	// Base32 of the first 16 bytes, two characters at a time.
	high, low := binary.BigEndian.Uint64(sum[0:]), binary.BigEndian.Uint64(sum[8:])
	for i := range 6 {
		*(*[2]byte)(text[2*i:]) = idPairs[high>>(54-10*i)&1023]
	}
	*(*[2]byte)(text[12:]) = idPairs[(high<<6|low>>58)&1023]
	for i := range 5 {
		*(*[2]byte)(text[14+2*i:]) = idPairs[low>>(48-10*i)&1023]
	}
	*(*[2]byte)(text[24:]) = idPairs[low<<2&1023]
	return text
}
