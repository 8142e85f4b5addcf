package file

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
)

// faultyFS is the real file system, made to fail. With crash, the operation
// after steps others stops half-way, and from then on nothing reaches the disk
// any more, as after the death of the process.
type faultyFS struct {
	osFileSystem

	crash  bool
	steps  atomic.Int64
	full   atomic.Bool // writes take half and then say that the disk is full
	stuck  atomic.Bool // files cannot be cut
	denied bool
}

var errDead = errors.New("the process is dead")

// step counts an operation that changes the disk. last says that this is the
// one to stop in.
func (f *faultyFS) step() (last bool, err error) {
	if !f.crash {
		return false, nil
	}
	switch left := f.steps.Add(-1); {
	case left == 0:
		return true, errDead
	case left < 0:
		return false, errDead
	}
	return false, nil
}

func (f *faultyFS) MkdirAll(dir string, mode os.FileMode) error {
	if f.denied {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrPermission}
	}
	if _, err := f.step(); err != nil {
		return err
	}
	return f.osFileSystem.MkdirAll(dir, mode)
}

func (f *faultyFS) OpenFile(name string, flag int, mode os.FileMode) (handle, error) {
	if flag&os.O_CREATE != 0 {
		if _, err := f.step(); err != nil {
			return nil, err
		}
	} else if f.crash && f.steps.Load() <= 0 {
		return nil, errDead
	}
	h, err := f.osFileSystem.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return &faultyFile{h, f}, nil
}

func (f *faultyFS) Rename(from, to string) error {
	if _, err := f.step(); err != nil {
		return err
	}
	return f.osFileSystem.Rename(from, to)
}

func (f *faultyFS) Remove(name string) error {
	if _, err := f.step(); err != nil {
		return err
	}
	return f.osFileSystem.Remove(name)
}

func (f *faultyFS) SyncDir(dir string) error {
	if _, err := f.step(); err != nil {
		return err
	}
	return f.osFileSystem.SyncDir(dir)
}

type faultyFile struct {
	handle
	fs *faultyFS
}

func (f *faultyFile) Write(p []byte) (int, error) {
	last, err := f.fs.step()
	if last || f.fs.full.Load() {
		n, writeErr := f.handle.Write(p[:len(p)/2])
		if writeErr != nil {
			return n, writeErr
		}
		if last {
			return n, err
		}
		return n, &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	if err != nil {
		return 0, err
	}
	return f.handle.Write(p)
}

func (f *faultyFile) Sync() error {
	if _, err := f.fs.step(); err != nil {
		return err
	}
	return f.handle.Sync()
}

func (f *faultyFile) Truncate(size int64) error {
	if f.fs.stuck.Load() {
		return &fs.PathError{Op: "truncate", Path: "x", Err: syscall.EIO}
	}
	if _, err := f.fs.step(); err != nil {
		return err
	}
	return f.handle.Truncate(size)
}
