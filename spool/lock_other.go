//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package spool

import (
	"errors"
	"os"
)

// errLocked says that another process holds the lock.
var errLocked = errors.New("another process has it; give each its own with spool")

// acquireLock opens the lock file at path. These systems have no lock in the
// standard library that ends with its process, so two processes on one
// directory are found only when one sees the other's lines.
func acquireLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
