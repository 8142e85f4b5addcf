package spool

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
)

const (
	// rejectedSlots and maxRejected bound what is kept of what could not be read.
	rejectedSlots = 64
	maxRejected   = 1 << 20
)

// Reject counts a piece that is no log events and keeps the beginning of it for a
// person to look at, in one of 64 places of 1 MiB: which one follows from the
// content, so that the same piece, sent again and again, takes no more room. It
// may hold what is secret, as the events in the spool do. Keeping it is no
// condition of going on, so a failure is only logged.
func (s *Spool) Reject(ctx context.Context, why string, data []byte) {
	s.metrics.rejected.Inc()
	sum := sha256.Sum256(data)
	name := fmt.Sprintf("%s%02d", rejectedPrefix, int(sum[0])%rejectedSlots)
	s.log.WarnContext(ctx, "a pushed record holds no log events; it is kept aside and does not hold up the others",
		slog.String("why", why), slog.Int("bytes", len(data)), slog.String("kept_as", name))
	kept := append([]byte(why+"\n"), data[:min(len(data), maxRejected)]...)
	if err := s.blobs.Put(ctx, name, kept); err != nil {
		s.log.WarnContext(ctx, "a rejected record cannot be kept", slog.String("error", err.Error()))
	}
}
