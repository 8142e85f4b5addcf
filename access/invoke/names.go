package invoke

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// maxSessionName is the longest name of a role session.
const maxSessionName = 64

// probeSession is the name of sessions that Gatehouse begins to look at a role with. No
// person's can be named so: an equals sign is followed by two hexadecimal digits, or by
// a point and 16 digits at the end.
const probeSession = "gatehouse=.probe"

// sessionName is the session name of a person. What STS takes in a name stays as it is;
// every other byte, and the equals sign, becomes "=" and two hexadecimal digits, so two
// people never have one name. A name that is then too long keeps its first 46 characters
// and ends in "=." and the first 16 hexadecimal digits of the SHA-256 digest of the
// person's ID.
func sessionName(person string) (string, error) {
	if person == "" {
		return "", errors.New("somebody without an ID can have no session")
	}
	var b strings.Builder
	for i := range len(person) {
		if c := person[i]; plainInSession(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	name := b.String()
	if len(name) >= 2 && len(name) <= maxSessionName {
		return name, nil
	}
	sum := sha256.Sum256([]byte(person))
	digest := "=." + hex.EncodeToString(sum[:8])
	return name[:min(len(name), maxSessionName-len(digest))] + digest, nil
}

func plainInSession(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_+,.@-", c) >= 0
}

// isSessionName reports whether a text can be what sessionName returned.
func isSessionName(s string) bool {
	if len(s) < 2 || len(s) > maxSessionName {
		return false
	}
	for i := range len(s) {
		if !plainInSession(s[i]) && s[i] != '=' {
			return false
		}
	}
	return true
}
