//go:build !linux && !darwin && !freebsd

package app

// freeBytes cannot be told on this system.
func freeBytes(string) (uint64, bool) { return 0, false }
