//go:build unix

package app

import (
	"errors"
	"syscall"
)

// gone reports whether no process of this host has this number.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
