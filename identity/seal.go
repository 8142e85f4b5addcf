package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// secret returns 260 random bits in URL-safe text.
func secret() string { return rand.Text() + rand.Text() }

// keyOf is what a secret is kept under: a dump of the store lets nobody in.
func keyOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

var errSeal = errors.New("this was not sealed here, or was changed since")

// seal encrypts text under a key that is derived from a secret for one purpose, so
// that what was sealed for one cannot be passed off as another.
func seal(secret, purpose string, text []byte) []byte {
	aead := aeadOf(secret, purpose)
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(text)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return aead.Seal(nonce, nonce, text, nil)
}

// unseal returns what seal was given.
func unseal(secret, purpose string, sealed []byte) ([]byte, error) {
	aead := aeadOf(secret, purpose)
	if len(sealed) < aead.NonceSize() {
		return nil, errSeal
	}
	text, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, errSeal
	}
	return text, nil
}

func aeadOf(secret, purpose string) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "gatehouse "+purpose, 32)
	if err != nil {
		panic("identity: deriving a key: " + err.Error()) // only for keys that are longer than this one
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("identity: making a cipher: " + err.Error()) // only for keys of another length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("identity: making a cipher: " + err.Error()) // only for another block size
	}
	return aead
}
