package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"sync"
)

const terminator = "aws4_request"

// hmacSHA256 is HMAC-SHA256 of a text that has 64 bytes of room before it, which
// are overwritten: block = room + text. It exists because crypto/hmac allocates a
// state for each key, and a verification needs one key once.
func hmacSHA256(key, block []byte) [sha256.Size]byte {
	var outer [sha256.BlockSize + sha256.Size]byte
	var short [sha256.Size]byte
	if len(key) > sha256.BlockSize {
		short = sha256.Sum256(key)
		key = short[:]
	}
	for i := range sha256.BlockSize {
		var k byte
		if i < len(key) {
			k = key[i]
		}
		block[i] = k ^ 0x36
		outer[i] = k ^ 0x5c
	}
	inner := sha256.Sum256(block)
	copy(outer[sha256.BlockSize:], inner[:])
	return sha256.Sum256(outer[:])
}

// hmacText is hmacSHA256 of a short text.
func hmacText(key []byte, text string) [sha256.Size]byte {
	block := make([]byte, sha256.BlockSize, sha256.BlockSize+64)
	return hmacSHA256(key, append(block, text...))
}

// signingKey derives the key that signs for one day, region and service.
func signingKey(secret, date, region, service string) [sha256.Size]byte {
	k := hmacText([]byte("AWS4"+secret), date)
	k = hmacText(k[:], region)
	k = hmacText(k[:], service)
	return hmacText(k[:], terminator)
}

// orderMinusTwo is n − 2 of the curve P-256.
var orderMinusTwo = new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(2))

// PrivateKey derives the ECDSA key with which SigV4a signs from an access key: a
// NIST SP 800-108 KDF in counter mode gives a candidate for each value of a
// counter, and the first that is below the order of the curve is taken.
func PrivateKey(accessKeyID, secretAccessKey string) (*ecdsa.PrivateKey, error) {
	key := []byte("AWS4A" + secretAccessKey)
	const label = ecdsaName
	for counter := 1; counter < 255; counter++ {
		block := make([]byte, sha256.BlockSize, sha256.BlockSize+4+len(label)+1+len(accessKeyID)+1+4)
		block = binary.BigEndian.AppendUint32(block, 1)
		block = append(block, label...)
		block = append(block, 0)
		block = append(block, accessKeyID...)
		block = append(block, byte(counter))
		block = binary.BigEndian.AppendUint32(block, 256)
		sum := hmacSHA256(key, block)
		d := new(big.Int).SetBytes(sum[:])
		if d.Cmp(orderMinusTwo) > 0 {
			continue
		}
		d.Add(d, big.NewInt(1))
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(sum[:]))
		if err != nil {
			return nil, fmt.Errorf("deriving the SigV4a key of %s: %w", accessKeyID, err)
		}
		return private, nil
	}
	// One in 2^8128.
	return nil, errors.New("deriving the SigV4a key of " + accessKeyID + ": no candidate is below the order of the curve")
}

// maxKeys bounds each generation of a keys cache.
const maxKeys = 2048

// keys remembers derived keys in two generations: when the young one is full it
// becomes the old one, and what is in neither is derived again. Only keys whose
// signature was good are put in, so that forged requests push nothing out.
type keys[K comparable, V any] struct {
	mu         sync.RWMutex
	young, old map[K]V
}

func (c *keys[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	v, ok := c.young[k]
	if ok {
		c.mu.RUnlock()
		return v, true
	}
	v, ok = c.old[k]
	c.mu.RUnlock()
	if ok {
		// In use still, so it lives for another generation.
		c.put(k, v)
	}
	return v, ok
}

func (c *keys[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= maxKeys {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = make(map[K]V)
	}
	c.young[k] = v
}

// hmacKey names a derived HMAC key. The secret is part of it, so that a key that
// was given a new secret is never verified with the old one.
type hmacKey struct{ secret, date, region, service string }

// ecdsaKey names a derived ECDSA key.
type ecdsaKey struct{ accessKeyID, secret string }
