package postgres

import (
	"sync"
	"time"
)

// everyMinute is how often what is old is looked for.
const everyMinute = time.Minute

// every is when something was last done that is done once a minute.
type every struct {
	mu   sync.Mutex
	last time.Time
}

// due reports whether it is to be done now, and takes it as done.
func (e *every) due(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.last) < everyMinute {
		return false
	}
	e.last = now
	return true
}
