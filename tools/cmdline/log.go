package cmdline

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
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

// newText returns a handler that writes lines of key=value.
func newText(w io.Writer, level slog.Level, withTime bool) slog.Handler {
	return slog.NewTextHandler(logWriter{w}, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey && !withTime {
				return slog.Attr{}
			}
			return a
		},
	})
}

// newJSON returns a handler that writes one object a line.
func newJSON(w io.Writer, level slog.Level) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindAny || a.Value.Kind() == slog.KindString {
				a.Value = plain(a.Value)
			}
			return a
		},
	})
}

// plain returns a value of a record without secrets, and its text on one line: JSON
// stays, and every other value that is no number becomes a text.
func plain(v slog.Value) slog.Value {
	text := ""
	switch x := v.Any().(type) {
	case string:
		text = x
	case *slog.Source, slog.Level, json.RawMessage:
		return v
	case error:
		text = x.Error()
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			b = []byte(err.Error())
		}
		text = string(b)
	default:
		text = fmt.Sprint(x)
	}
	return slog.StringValue(proto.HideSecrets(proto.OneLine(text)))
}

// eventKey is the attribute with the name of an event.
const eventKey = "event"

// stepLevel is the level of the log of steps, for -v given verbose times.
func stepLevel(verbose int) slog.Level {
	switch {
	case verbose < 1:
		return slog.LevelWarn
	case verbose == 1:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// daemonLog is the log of a tool that runs until it is stopped.
type daemonLog struct {
	handler func(slog.Level) slog.Handler
	records bool // errors and warnings are records too, not lines
	events  bool // there are records of events
}

// Forms of a log, as the key log has them.
const (
	logText = "text"
	logJSON = "json"
)

// DaemonStreams is [StreamsOf] for a tool that runs until it is stopped, which logs one
// record for each event. Where nobody has set the key log, that is at a terminal only
// with -v; otherwise as text, and to the journal where that reads standard error.
func DaemonStreams(c *cli.Context) (Streams, error) {
	s := StreamsOf(c)
	l := &daemonLog{handler: func(level slog.Level) slog.Handler { return newText(s.Err, level, true) }}
	form, set := KeySetting(c, "log")
	switch {
	case !set && toJournal(s):
		l.records = true
		l.handler = func(level slog.Level) slog.Handler {
			return &journalHandler{name: s.Name, level: level, text: newText(s.Err, level, true)}
		}
	case !set, form.Words[0] == logText:
	case form.Words[0] == logJSON:
		l.records = true
		l.handler = func(level slog.Level) slog.Handler { return newJSON(s.Err, level) }
	default:
		return s, form.Errorf("want %s or %s", logText, logJSON)
	}
	l.events = !c.Bool(quietName) && (set || c.Count(verboseName) > 0 || !term.IsTerminal(s.Err))
	s.log = l
	if r, ok := c.App.Metadata[runKey].(*run); ok {
		r.log = l
	}
	return s, nil
}

// toJournal reports whether standard error goes to the journal of systemd, as
// sd_journal_stream_fd(3) says.
func toJournal(s Streams) bool {
	if s.Err != io.Writer(os.Stderr) {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// Logger returns the log of a tool's steps, for -v given verbose times: level info for
// once, debug for more. For less it is silent, but for the warnings of a daemon.
func (s Streams) Logger(verbose int) *slog.Logger {
	if s.log != nil {
		return slog.New(s.log.handler(stepLevel(verbose)))
	}
	if verbose < 1 {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(newText(s.Err, stepLevel(verbose), false))
}

// Events returns the log of a daemon's events, nil for a tool without.
func (s Streams) Events() *slog.Logger {
	if s.log == nil || !s.log.events {
		return nil
	}
	return slog.New(s.log.handler(slog.LevelInfo))
}

// Records returns the log of what would otherwise be lines for people, nil for a tool
// that prints lines.
func (s Streams) Records() *slog.Logger { return s.log.recorder() }

func (l *daemonLog) recorder() *slog.Logger {
	if l == nil || !l.records {
		return nil
	}
	return slog.New(l.handler(slog.LevelInfo))
}

// recordError logs an error with its code, its hints and what it is about.
func recordError(log *slog.Logger, err error, about []any) {
	code := proto.CodeOf(err)
	args := append([]any{"code", int(code), "name", code.String()}, about...)
	for _, h := range proto.Hints(err) {
		args = append(args, "hint", h)
	}
	if p, ok := errors.AsType[*panicked](err); ok && len(p.stack) > 0 {
		args = append(args, "stack", string(p.stack))
	}
	log.Log(context.Background(), slog.LevelError, err.Error(), args...)
}
