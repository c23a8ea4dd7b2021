package cmdline

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/coreos/go-systemd/v22/journal"

	"mesh/proto"
)

// journalHandler sends records to the journal of systemd. The field MESSAGE is what a
// line of text would say; each attribute is also a field of its own, MESH_ and its name in
// upper case. What the journal does not take becomes a line of text.
type journalHandler struct {
	name  string // of the tool
	level slog.Level
	attrs []slog.Attr
	text  slog.Handler
}

// fieldPrefix begins the fields of this project.
const fieldPrefix = "MESH_"

// Enabled implements [slog.Handler].
func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements [slog.Handler].
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	fields := map[string]string{"SYSLOG_IDENTIFIER": h.name}
	var message strings.Builder
	message.WriteString(plain(slog.StringValue(r.Message)).String())
	add := func(a slog.Attr) bool {
		v := plain(a.Value.Resolve())
		text := v.String()
		if raw, ok := v.Any().(json.RawMessage); ok {
			text = string(raw)
		}
		if a.Key != eventKey {
			message.WriteString(" " + proto.OneLine(a.Key) + "=" + valueText(text))
		}
		name := fieldName(a.Key)
		if old, twice := fields[name]; twice { // several hints
			text = old + "; " + text
		}
		fields[name] = text
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	if journal.Send(message.String(), priority(r.Level), fields) != nil {
		return h.text.Handle(ctx, r)
	}
	return nil
}

// WithAttrs implements [slog.Handler].
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs, with.text = slices.Concat(h.attrs, attrs), h.text.WithAttrs(attrs)
	return &with
}

// WithGroup implements [slog.Handler]. The names of fields have no groups.
func (h *journalHandler) WithGroup(string) slog.Handler { return h }

// fieldName returns the name of the field for an attribute.
func fieldName(key string) string {
	return fieldPrefix + strings.Map(func(r rune) rune {
		switch r = unicode.ToUpper(r); {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

// valueText returns a value of one line as a line of key=value has it.
func valueText(text string) string {
	if text == "" || strings.ContainsAny(text, ` "=`) {
		return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"`
	}
	return text
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
