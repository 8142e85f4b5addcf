package kafka

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// clientLog carries the client's warnings and errors to slog. The client names
// brokers, topics and causes; it never logs keys or values.
type clientLog struct{ logger *slog.Logger }

// Level is that of warnings.
func (l clientLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log writes one line; what the client says is an attribute.
func (l clientLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelWarn
	if level == kgo.LogLevelError {
		to = slog.LevelError
	}
	l.logger.Log(context.Background(), to, "kafka client", append([]any{"says", msg}, keyvals...)...)
}

// connections remembers why the last attempt to reach a broker failed. The
// client itself tries on and tells nobody, and "no acknowledgement" alone would
// leave an operator with nothing to mend.
type connections struct{ last atomic.Pointer[error] }

var _ kgo.HookBrokerConnect = (*connections)(nil)

// OnBrokerConnect is called by the client after each attempt.
func (c *connections) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		c.last.Store(nil)
		return
	}
	c.last.Store(&err)
}

func (c *connections) err() error {
	if p := c.last.Load(); p != nil {
		return *p
	}
	return nil
}
