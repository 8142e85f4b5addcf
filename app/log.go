package app

import (
	"io"
	"log/slog"

	"github.com/gatehouse-project/gatehouse/config"
)

// newLogger logs to w, or nowhere if that is nil, in the format and from the level that c says. Validate
// has checked both.
func newLogger(w io.Writer, c *config.Config) *slog.Logger {
	if w == nil {
		return slog.New(slog.DiscardHandler)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
