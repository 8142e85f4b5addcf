package file

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Names in the directory.
const (
	activeName   = "transactions.ndjson"
	rotatedStart = "transactions-"
	rotatedEnd   = ".ndjson"
	asideStart   = "set-aside-"
	temporaryEnd = ".tmp"
	stateName    = ".transactions.json"
	lockName     = ".lock"
)

// identity names a file by the moment it was begun. Identities compare as text
// in the order of time.
type identity string

const identityFormat = "20060102T150405.000Z"

func identityOf(t time.Time) identity {
	return identity(t.UTC().Format(identityFormat))
}

func parseIdentity(s string) (identity, error) {
	at, err := time.Parse(identityFormat, s)
	if err != nil {
		return "", err
	}
	if identityOf(at) != identity(s) {
		return "", fmt.Errorf("%q is not in the form %s", s, identityFormat)
	}
	return identity(s), nil
}

// began returns the moment that id names.
func (id identity) began() time.Time {
	at, err := time.Parse(identityFormat, string(id))
	if err != nil {
		return time.Time{} // only for the identity of no file
	}
	return at
}

// rotatedName is the name of the file after its rotation, uncompressed.
func (id identity) rotatedName() string { return rotatedStart + string(id) + rotatedEnd }

// position is what Position returns and Restore takes.
type position struct {
	file   identity
	offset int64
}

func (p position) String() string {
	return string(p.file) + ":" + strconv.FormatInt(p.offset, 10)
}

func parsePosition(s string) (position, error) {
	name, offset, ok := strings.Cut(s, ":")
	if !ok {
		return position{}, fmt.Errorf("%q is not FILE:OFFSET", s)
	}
	id, err := parseIdentity(name)
	if err != nil {
		return position{}, err
	}
	n, err := strconv.ParseInt(offset, 10, 64)
	if err != nil || n < 0 {
		return position{}, fmt.Errorf("offset %q is not a number of bytes", offset)
	}
	return position{id, n}, nil
}

// rotated is a rotated file.
type rotated struct {
	file  identity
	name  string // in the directory
	codec string // none, zstd or gzip
}

// parseRotated reads the name of a rotated file.
func parseRotated(name string) (rotated, bool) {
	rest, ok := strings.CutPrefix(name, rotatedStart)
	if !ok {
		return rotated{}, false
	}
	for codec, extension := range extensions {
		middle, ok := strings.CutSuffix(rest, rotatedEnd+extension)
		if !ok {
			continue
		}
		if id, err := parseIdentity(middle); err == nil {
			return rotated{file: id, name: name, codec: codec}, true
		}
	}
	return rotated{}, false
}

// extensions are what compression adds to a name.
var extensions = map[string]string{"none": "", "zstd": ".zst", "gzip": ".gz"}

func (s *Sink) path(name string) string { return filepath.Join(s.config.Dir, name) }
