// Package objecttest plays the parts of Amazon S3 and DynamoDB on which state in
// objects and spools in buckets depend: over the wire, strict about conditions,
// and able to lose an answer.
package objecttest

import (
	"bufio"
	"bytes"
	"crypto/md5" //nolint:gosec // S3's ETag of a plain object is its MD5
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// S3 is a server of buckets, addressed by path. Buckets exist once they are used.
type S3 struct {
	URL string

	mu      sync.Mutex
	objects map[string][]byte // by "bucket/key"
	// lose is how many answers to writes are lost: done, but answered with 500.
	lose int
	down bool
	puts int
}

// NewS3 starts a server that ends with the test.
func NewS3(tb testing.TB) *S3 {
	tb.Helper()
	s := &S3{objects: make(map[string][]byte)}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// LoseAnswers lets the next n writes be done and answered as failed.
func (s *S3) LoseAnswers(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = n
}

// SetDown lets every request fail, or no longer.
func (s *S3) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Puts counts the writes that were done.
func (s *S3) Puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

// Keys lists the objects of a bucket under a prefix.
func (s *S3) Keys(bucket, prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys(bucket, prefix)
}

func (s *S3) keys(bucket, prefix string) []string {
	var keys []string
	for name := range s.objects {
		if key, ok := strings.CutPrefix(name, bucket+"/"); ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// ServeHTTP answers one request.
func (s *S3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := s3Body(r)
	if err != nil {
		s3Error(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	if r.Header.Get("Authorization") == "" {
		s3Error(w, http.StatusForbidden, "AccessDenied")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		s3Error(w, http.StatusServiceUnavailable, "SlowDown")
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	bucket, key, _ := strings.Cut(name, "/")
	if key == "" {
		s.list(w, r, bucket)
		return
	}
	there, exists := s.objects[name]
	switch r.Method {
	case http.MethodGet:
		if !exists {
			s3Error(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("Etag", etag(there))
		_, _ = w.Write(there)
	case http.MethodPut:
		match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
		switch {
		case match != "" && !exists:
			s3Error(w, http.StatusNotFound, "NoSuchKey")
			return
		case match != "" && match != etag(there), none == "*" && exists:
			s3Error(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		s.objects[name] = body
		s.puts++
		if s.lost() {
			s3Error(w, http.StatusInternalServerError, "InternalError")
			return
		}
		w.Header().Set("Etag", etag(body))
	case http.MethodDelete:
		delete(s.objects, name)
		w.WriteHeader(http.StatusNoContent)
	default:
		s3Error(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func (s *S3) lost() bool {
	if s.lose == 0 {
		return false
	}
	s.lose--
	return true
}

// pageOfKeys is short, so that listings have several pages.
const pageOfKeys = 7

func (s *S3) list(w http.ResponseWriter, r *http.Request, bucket string) {
	type content struct {
		Key  string
		Size int
	}
	var result struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	q := r.URL.Query()
	after := q.Get("continuation-token")
	for _, key := range s.keys(bucket, q.Get("prefix")) {
		if key <= after {
			continue
		}
		if len(result.Contents) == pageOfKeys {
			result.IsTruncated, result.NextContinuationToken = true, result.Contents[pageOfKeys-1].Key
			break
		}
		result.Contents = append(result.Contents, content{key, len(s.objects[bucket+"/"+key])})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(result)
}

func etag(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // see the import
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func s3Error(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

// s3Body reads a body, in S3's own chunks where the client sends it so.
func s3Body(r *http.Request) ([]byte, error) {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return io.ReadAll(r.Body)
	}
	var out bytes.Buffer
	in := bufio.NewReader(r.Body)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		hexSize, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		size, err := strconv.ParseInt(hexSize, 16, 32)
		if err != nil {
			return nil, err
		}
		if size == 0 {
			_, err = io.Copy(io.Discard, in)
			return out.Bytes(), err
		}
		if _, err := io.CopyN(&out, in, size); err != nil {
			return nil, err
		}
		if _, err := in.Discard(2); err != nil {
			return nil, err
		}
	}
}
