package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// secretPrefix marks a secret of the Standard Webhooks specification.
const secretPrefix = "whsec_"

// ParseSecret reads a signing secret: whsec_ and 24 to 64 bytes in base64. Its
// errors do not repeat the text.
func ParseSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New(`a signing secret must be whsec_ and 24 to 64 random bytes in base64: echo "whsec_$(openssl rand -base64 32)"`)
	}
	return key, nil
}

// Sign gives the value of the webhook-signature header: one signature for each
// key, so that a receiver can change from one secret to the next.
func Sign(keys [][]byte, id string, at time.Time, body []byte) string {
	var out strings.Builder
	for i, key := range keys {
		if i > 0 {
			out.WriteByte(' ')
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		out.WriteString("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return out.String()
}
