package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// temporary begins the names of files that are not whole yet.
const temporary = ".writing-"

// Folder keeps blobs as files. One process at a time has it.
type Folder struct {
	path string
	lock *os.File
}

var _ Blobs = (*Folder)(nil)

// OpenFolder opens a folder and makes it if it is not there. It fails if another
// process has it.
func OpenFolder(path string) (*Folder, error) {
	for _, sub := range []string{eventsPrefix, groupsPrefix, rejectedPrefix} {
		dir := filepath.Join(path, sub)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("opening the spool's folder: %w", err)
		}
	}
	if err := syncFolder(path); err != nil {
		return nil, fmt.Errorf("opening the spool's folder: %w", err)
	}
	lock, err := acquireLock(filepath.Join(path, "lock"))
	if err != nil {
		return nil, fmt.Errorf("opening the spool's folder %s: %w", path, err)
	}
	f := &Folder{path, lock}
	// What a crash left half written was never acknowledged.
	half, err := filepath.Glob(filepath.Join(path, "*", temporary+"*"))
	if err == nil {
		for _, name := range half {
			err = errors.Join(err, os.Remove(name))
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the spool's folder: %w", err), f.Close())
	}
	return f, nil
}

// Close lets another process have the folder.
func (f *Folder) Close() error { return f.lock.Close() }

func (f *Folder) file(name string) (string, error) {
	if !filepath.IsLocal(name) || strings.Count(name, "/") != 1 {
		return "", fmt.Errorf("%q is not the name of a blob", name)
	}
	return filepath.Join(f.path, filepath.FromSlash(name)), nil
}

// Put writes a file beside the one it replaces, and renames it once it is on the
// disk. The folder is synced too: without that a crash of the machine may undo
// the renaming.
func (f *Folder) Put(ctx context.Context, name string, data []byte) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, err := f.file(name)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), temporary+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close(), ignoreGone(os.Remove(file.Name())))
		}
	}()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return err
	}
	return file.Close()
}

// Get reads a file.
func (f *Folder) Get(_ context.Context, name string) ([]byte, error) {
	path, err := f.file(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// List lists the files of the folder that prefix names, as "events/".
func (f *Folder) List(_ context.Context, prefix string) ([]Blob, error) {
	path, err := f.file(prefix + "x")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	blobs := make([]Blob, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || strings.HasPrefix(e.Name(), temporary)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, Blob{Name: prefix + e.Name(), Size: info.Size()})
	}
	return blobs, nil
}

// Delete removes a file. It is not synced: a file that comes back after a crash
// of the machine is one that the cursor has passed, and is removed again.
func (f *Folder) Delete(_ context.Context, name string) error {
	path, err := f.file(name)
	if err != nil {
		return err
	}
	return ignoreGone(os.Remove(path))
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
