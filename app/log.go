package app

import (
	"io"
	"log/slog"

	"github.com/gatehouse-project/gatehouse/config"
)

// levelTrace is below debug: what is said there is said often.
const levelTrace = slog.LevelDebug - 4

// nameTrace writes TRACE where slog would write DEBUG-4.
func nameTrace(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey && level == levelTrace {
		a.Value = slog.StringValue("TRACE")
	}
	return a
}

// newLogger logs to w, or nowhere if that is nil, in the format and from the level that c says. Validate
// has checked both.
func newLogger(w io.Writer, c *config.Config) *slog.Logger {
	if w == nil {
		return slog.New(slog.DiscardHandler)
	}
	var level slog.Level
	if c.LogLevel == "trace" {
		level = levelTrace
	} else if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: nameTrace}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
