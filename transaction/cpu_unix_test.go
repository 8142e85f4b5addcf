//go:build unix

package transaction

import (
	"syscall"
	"time"
)

// cpuTime is the processor time this process has used, collection of garbage
// included. On a machine with other work it says more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
