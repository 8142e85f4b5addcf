package object

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Folder keeps objects as files, one for each version: NAME.7 is the seventh.
// Several processes of one machine may use it.
type Folder struct{ path string }

var _ Objects = (*Folder)(nil)

// OpenFolder opens a folder and makes it if it is not there.
func OpenFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("opening the folder of the state: %w", err)
	}
	return &Folder{path}, nil
}

// Load reads the last version.
func (f *Folder) Load(_ context.Context, name string) ([]byte, string, error) {
	for {
		last, err := f.last(name)
		if err != nil || last == 0 {
			return nil, "", err
		}
		data, err := os.ReadFile(f.file(name, last))
		if errors.Is(err, fs.ErrNotExist) {
			continue // replaced since
		}
		return data, strconv.FormatUint(last, 10), err
	}
}

// Save gives the next version its name, which only one of several can do.
func (f *Folder) Save(_ context.Context, name string, data []byte, ifVersion string) (version string, err error) {
	var before uint64
	if ifVersion != "" {
		if before, err = strconv.ParseUint(ifVersion, 10, 64); err != nil {
			return "", fmt.Errorf("version %q is not of this folder", ifVersion)
		}
	}
	next := before + 1
	half, err := os.CreateTemp(f.path, ".writing-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.Remove(half.Name())) }()
	_, err = half.Write(data)
	if err = errors.Join(err, half.Sync(), half.Close()); err != nil {
		return "", err
	}
	if err := os.Link(half.Name(), f.file(name, next)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return "", ErrConflict
		}
		return "", err
	}
	// Others may have gone two versions further and removed the one that would
	// have been in our way. Ours is then older than theirs and nobody reads it.
	last, err := f.last(name)
	if err != nil {
		return "", err
	}
	if last > next || before == 0 && last != next {
		return "", errors.Join(ErrConflict, os.Remove(f.file(name, next)))
	}
	if err := syncFolder(f.path); err != nil {
		return "", err
	}
	if before > 0 {
		if err := os.Remove(f.file(name, before)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return strconv.FormatUint(next, 10), nil
}

// last is the last version of an object, or 0.
func (f *Folder) last(name string) (uint64, error) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return 0, err
	}
	var last uint64
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), name+".")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			last = max(last, n)
		}
	}
	return last, nil
}

func (f *Folder) file(name string, version uint64) string {
	return filepath.Join(f.path, name+"."+strconv.FormatUint(version, 10))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
