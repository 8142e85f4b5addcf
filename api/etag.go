package api

import (
	"bytes"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
)

// maxTagged is the largest answer that is gathered for an ETag; a larger one,
// an export say, is passed on as it comes.
const maxTagged = 2 << 20

// withETag gives answers a weak ETag of their content and answers 304 to a
// client that has it. It saves the wire, not the work: what is shown changes
// with every batch, so no cheaper mark of a version would be true.
func withETag(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/api/") {
			next.ServeHTTP(w, r)
			return
		}
		t := &tagger{ResponseWriter: w, want: r.Header.Get("If-None-Match")}
		next.ServeHTTP(t, r)
		t.finish()
	})
}

type tagger struct {
	http.ResponseWriter
	want   string
	status int
	held   bytes.Buffer
	passed bool
}

// WriteHeader keeps the status until the answer is known whole.
func (t *tagger) WriteHeader(status int) {
	if t.status == 0 {
		t.status = status
	}
}

// Write holds the answer back, or passes it on once it is too large for that.
func (t *tagger) Write(b []byte) (int, error) {
	if t.passed {
		return t.ResponseWriter.Write(b)
	}
	if t.held.Len()+len(b) <= maxTagged {
		return t.held.Write(b)
	}
	t.passed = true
	t.writeStatus()
	if _, err := t.ResponseWriter.Write(t.held.Bytes()); err != nil {
		return 0, err
	}
	t.held = bytes.Buffer{}
	return t.ResponseWriter.Write(b)
}

func (t *tagger) writeStatus() {
	if t.status != 0 {
		t.ResponseWriter.WriteHeader(t.status)
	}
}

// finish sends what was held, or 304.
func (t *tagger) finish() {
	if t.passed {
		return
	}
	if t.status == 0 || t.status == http.StatusOK {
		// What has a version has a strong tag of its own already.
		tag := t.Header().Get("ETag")
		if tag == "" {
			h := fnv.New64a()
			_, _ = h.Write(t.held.Bytes())
			tag = `"` + strconv.FormatUint(h.Sum64(), 36) + `"`
			t.Header().Set("ETag", "W/"+tag)
		}
		if matches(t.want, tag) {
			t.Header().Del("Content-Type")
			t.ResponseWriter.WriteHeader(http.StatusNotModified)
			return
		}
	}
	t.writeStatus()
	_, _ = t.ResponseWriter.Write(t.held.Bytes())
}

// matches compares weakly, as RFC 9110 asks for If-None-Match.
func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}
