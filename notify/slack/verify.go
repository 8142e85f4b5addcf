package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxSkew is how old, or how far ahead, a request may be.
	maxSkew = 5 * time.Minute
	// maxBody is several times what Slack sends for a message of ours.
	maxBody = 512 << 10
)

// requestError is a request that is not taken, with what to answer.
type requestError struct {
	status int
	text   string
}

func (e *requestError) Error() string { return e.text }

// verifier checks that a request comes from Slack and was not seen before. The
// scheme is v0 of Slack's signing secrets: HMAC-SHA256 over v0:timestamp:body.
type verifier struct {
	secret func() (string, error)
	now    func() time.Time
	seen   seen
}

// read returns the form of a request that Slack signed.
func (v *verifier) read(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &requestError{http.StatusRequestEntityTooLarge, "the body is too large"}
		}
		return nil, &requestError{http.StatusBadRequest, "the body cannot be read"}
	}
	if err := v.check(r.Header, body); err != nil {
		return nil, err
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, &requestError{http.StatusUnsupportedMediaType, "the body must be a form"}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &requestError{http.StatusBadRequest, "the form cannot be read"}
	}
	return form, nil
}

func (v *verifier) check(h http.Header, body []byte) error {
	refused := &requestError{http.StatusUnauthorized, "the signature is not Slack's"}
	secret, err := v.secret()
	if err != nil || secret == "" {
		return &requestError{http.StatusServiceUnavailable, "there is no signing secret"}
	}
	stamp := h.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return refused
	}
	given, ok := strings.CutPrefix(h.Get("X-Slack-Signature"), "v0=")
	mac, err := hex.DecodeString(given)
	if !ok || err != nil {
		return refused
	}
	want := hmac.New(sha256.New, []byte(secret))
	want.Write([]byte("v0:" + stamp + ":"))
	want.Write(body)
	sum := want.Sum(nil)
	if !hmac.Equal(sum, mac) {
		return refused
	}
	// Only now: what is said of time is Slack's word.
	at := time.Unix(seconds, 0)
	if d := v.now().Sub(at); d > maxSkew || d < -maxSkew {
		return &requestError{http.StatusUnauthorized, "the request is too old, or the clocks differ by more than five minutes"}
	}
	if !v.seen.first([32]byte(sum), at.Add(maxSkew), v.now()) {
		return &requestError{http.StatusConflict, "the request was seen before"}
	}
	return nil
}

// maxSeen bounds the memory for requests seen. Only Slack can fill it.
const maxSeen = 100_000

// seen remembers signatures until they are too old to be taken. It is that of one
// process; with several, a Decider still decides a request only once.
type seen struct {
	mu    sync.Mutex
	until map[[32]byte]time.Time
	swept time.Time
}

// first reports whether a signature is new. When there is no room it is not: a
// decision that is not taken can be made again, one that is taken twice cannot be
// undone.
func (s *seen) first(sum [32]byte, until, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = map[[32]byte]time.Time{}
	}
	if now.Sub(s.swept) > time.Minute || len(s.until) >= maxSeen {
		s.swept = now
		for k, t := range s.until {
			if now.After(t) {
				delete(s.until, k)
			}
		}
	}
	if _, ok := s.until[sum]; ok || len(s.until) >= maxSeen {
		return false
	}
	s.until[sum] = until
	return true
}
