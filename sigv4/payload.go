package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// UnsignedPayload stands in the place of a payload's digest where the body is not
// signed, which S3 alone takes.
const UnsignedPayload = "UNSIGNED-PAYLOAD"

// EmptyPayload is the digest of no body.
const EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// MaxBody is how long a body may be where nothing else is said: API Gateway's own
// limit of 10 MB.
const MaxBody = 10 << 20

// ErrBodyTooLong is returned for a body that is longer than the limit.
var ErrBodyTooLong = errors.New("the body is longer than the limit")

// PayloadHash returns the digest of a body as it is signed.
func PayloadHash(body []byte) string {
	if len(body) == 0 {
		return EmptyPayload
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// hashBody returns the digest of the request's body, which can be read again
// afterwards. A body that can be had anew (GetBody) is not kept in memory;
// another is kept once, in pieces that grow with what is read and not with what
// the request promises.
func hashBody(r *http.Request, limit int64) (string, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return EmptyPayload, nil
	}
	if r.ContentLength > limit {
		return "", fmt.Errorf("%w of %d bytes: it says it has %d", ErrBodyTooLong, limit, r.ContentLength)
	}
	h := sha256.New()
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return "", fmt.Errorf("opening the body to sign it: %w", err)
		}
		n, err := io.Copy(h, io.LimitReader(body, limit+1))
		if err := errors.Join(err, body.Close()); err != nil {
			return "", fmt.Errorf("reading the body to sign it: %w", err)
		}
		if n > limit {
			return "", fmt.Errorf("%w of %d bytes", ErrBodyTooLong, limit)
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	kept := &pieces{closer: r.Body}
	for {
		piece := kept.grow()
		n, err := r.Body.Read(piece)
		kept.add(n)
		_, _ = h.Write(piece[:n]) // a hash never fails
		if kept.size > limit {
			return "", fmt.Errorf("%w of %d bytes", ErrBodyTooLong, limit)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("reading the body: %w", err)
		}
	}
	r.Body = kept
	return hex.EncodeToString(h.Sum(nil)), nil
}

// pieces is a body in memory: read once to be hashed, and then read again by
// whoever handles the request, which frees it.
type pieces struct {
	list   [][]byte
	size   int64
	closer io.Closer
}

// The sizes of the first and of the longest piece.
const (
	firstPiece = 4 << 10
	maxPiece   = 1 << 20
)

// grow returns room for the next read.
func (p *pieces) grow() []byte {
	if n := len(p.list); n > 0 {
		if last := p.list[n-1]; len(last) < cap(last) {
			return last[len(last):cap(last)]
		}
	}
	// As much as there is already, so that at most half of it is empty.
	size := int(min(max(p.size, firstPiece), maxPiece))
	p.list = append(p.list, make([]byte, 0, size))
	return p.list[len(p.list)-1][:size]
}

// add takes the n bytes that were read into the room of grow.
func (p *pieces) add(n int) {
	last := len(p.list) - 1
	p.list[last] = p.list[last][:len(p.list[last])+n]
	p.size += int64(n)
}

// Read reads what was kept.
func (p *pieces) Read(b []byte) (int, error) {
	for len(p.list) > 0 && len(p.list[0]) == 0 {
		p.list[0] = nil
		p.list = p.list[1:]
	}
	if len(p.list) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.list[0])
	p.list[0] = p.list[0][n:]
	return n, nil
}

// Close frees what was kept and closes the body that it came from.
func (p *pieces) Close() error {
	p.list = nil
	return p.closer.Close()
}
