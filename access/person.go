package access

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"os"
	"strings"
)

// samePerson compares IDs of people. Identity providers hold addresses that differ
// in case alone for one mailbox, so nobody approves their own request by another
// spelling.
func samePerson(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID returns 80 random bits in letters and digits that fit a Kubernetes label.
func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // it never fails: see crypto/rand
	return idEncoding.EncodeToString(b[:])
}

// grantOf is the ID of a request's grant. It follows from the request's, so that a
// request can never have two.
func grantOf(request string) string { return "g" + strings.TrimPrefix(request, "r") }

func instanceName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), newID()[:6])
}
