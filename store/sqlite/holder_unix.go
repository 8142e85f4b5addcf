//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// canLock says that the kernel gives a lock of a file back when its process ends.
const canLock = true

// lockFile makes a file and locks it until it is closed. The lock is of the open file and
// not of the process, so that two stores of one process see one another's.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "flock", Path: name, Err: err}, f.Close(), os.Remove(name))
	}
	return f, nil
}

// unlocked reports whether nobody has the lock of a file, or it is not there. Where that
// cannot be told, somebody has it.
func unlocked(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer func() { _ = f.Close() }() // which unlocks it
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}
