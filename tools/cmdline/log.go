package cmdline

import (
	"io"
	"log/slog"

	"mesh/proto"
)

// logWriter hides secrets in the records of a log, each of which is one write.
type logWriter struct{ io.Writer }

// Write implements [io.Writer].
func (w logWriter) Write(record []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, proto.HideSecrets(string(record))); err != nil {
		return 0, err
	}
	return len(record), nil
}

// NewLogger returns the log of a tool on w, for -v given verbose times: level info for
// once, debug for more, silent for less.
func NewLogger(w io.Writer, verbose int) *slog.Logger {
	level := slog.LevelInfo
	switch {
	case verbose < 1:
		return slog.New(slog.DiscardHandler)
	case verbose > 1:
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(logWriter{w}, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
