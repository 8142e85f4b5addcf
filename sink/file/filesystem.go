package file

import (
	"io"
	"os"
)

// fileSystem is all that the sink asks of an operating system, so that tests
// can let it fail, or stop, at every step.
type fileSystem interface {
	MkdirAll(dir string, mode os.FileMode) error
	OpenFile(name string, flag int, mode os.FileMode) (handle, error)
	Rename(from, to string) error
	Remove(name string) error
	Stat(name string) (os.FileInfo, error)
	ReadDir(dir string) ([]os.DirEntry, error)
	// SyncDir makes the names in dir survive power loss.
	SyncDir(dir string) error
}

// handle is an open file.
type handle interface {
	io.ReadWriteCloser
	io.ReaderAt
	Stat() (os.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// osFileSystem is package os.
type osFileSystem struct{}

// MkdirAll is os.MkdirAll.
func (osFileSystem) MkdirAll(dir string, mode os.FileMode) error { return os.MkdirAll(dir, mode) }

// OpenFile is os.OpenFile.
func (osFileSystem) OpenFile(name string, flag int, mode os.FileMode) (handle, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

// Rename is os.Rename.
func (osFileSystem) Rename(from, to string) error { return os.Rename(from, to) }

// Remove is os.Remove.
func (osFileSystem) Remove(name string) error { return os.Remove(name) }

// Stat is os.Stat.
func (osFileSystem) Stat(name string) (os.FileInfo, error) { return os.Stat(name) }

// ReadDir is os.ReadDir.
func (osFileSystem) ReadDir(dir string) ([]os.DirEntry, error) { return os.ReadDir(dir) }

// SyncDir opens dir and syncs it.
func (osFileSystem) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}
