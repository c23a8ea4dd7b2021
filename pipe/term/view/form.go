package view

import (
	"io"
	"os"
	"strings"

	"mesh/pipe/term/console"
	"mesh/pipe/term/draw"
	"mesh/pipe/term/safe"
	"mesh/pipe/term/vt"
	"mesh/proto/wire"
)

// A Form is what a view writes.
type Form string

// The forms.
const (
	Screen Form = "screen" // drawn on a terminal
	Raw    Form = "raw"    // the bytes of the output, all of them
	Plain  Form = "plain"  // the output as lines of text
	Cast   Form = "cast"   // a recording, see package cast
	JSON   Form = "json"   // an object for each message
	Once   Form = "once"   // the screen as text, once
)

// mode returns the mode of TERM_OPEN that the form needs.
func (f Form) mode() string {
	switch f {
	case Raw, Plain, JSON:
		return wire.TermRaw
	case Cast:
		return wire.TermRecord
	}
	return wire.TermScreen
}

// converter writes a form other than [Screen]. convert gets all messages in order, as
// [receiver.readMessage] returns them; if it returns io.EOF, the view ends. end is
// called last.
type converter interface {
	convert(m any) error
	end() error
}

// raw writes the output as it is.
type raw struct{ w io.Writer }

func (r *raw) convert(m any) error {
	var err error
	switch m := m.(type) {
	case output:
		_, err = r.w.Write(m.data)
	case wire.TermSnapshot: // stands for missed output
		_, err = r.w.Write(m.Repaint)
	}
	return err
}

func (r *raw) end() error { return nil }

// filtered writes the output to a terminal, through a filter.
type filtered struct {
	raw
	f *safe.Writer
	c *console.Console
}

func newFiltered(terminal *os.File) (*filtered, error) {
	c, err := console.Open(nil, terminal, console.Options{Leave: console.Reset})
	if err != nil {
		return nil, err
	}
	f := safe.NewWriter(c)
	return &filtered{raw: raw{w: f}, f: f, c: c}, nil
}

func (f *filtered) convert(m any) error {
	err := f.raw.convert(m)
	if f.f.Alternate() {
		f.c.SetLeave(console.Reset + console.Main)
	} else {
		f.c.SetLeave(console.Reset)
	}
	return err
}

func (f *filtered) end() error { return f.c.Close() }

// once writes the screen as text, and ends the view.
type once struct{ w io.Writer }

func (o *once) convert(m any) error {
	s, ok := m.(wire.TermSnapshot)
	if !ok {
		return nil
	}
	t := vt.New(s.Cols, s.Rows, 0)
	_, _ = t.Write(s.Repaint)
	var b strings.Builder
	for y := range s.Rows {
		b.WriteString(draw.Text(t.Line(y)))
		b.WriteByte('\n')
	}
	text := strings.TrimRight(b.String(), "\n") + "\n" // without the rest of the screen, which is empty
	if _, err := io.WriteString(o.w, text); err != nil {
		return err
	}
	return io.EOF
}

func (o *once) end() error { return nil }
