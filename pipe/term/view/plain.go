package view

import (
	"bytes"
	"io"

	"mesh/pipe/term/draw"
	"mesh/pipe/term/vt"
	"mesh/proto/wire"
)

// plain writes the output as lines of text, each when it is complete: what was
// overwritten in a line is gone, and so are colours and all that programs do on
// the alternate screen. The line is that of a terminal with one very long line,
// and what scrolls out of that is complete.
type plain struct {
	w     io.Writer
	t     *vt.Terminal
	line  bytes.Buffer // its parts that were longer than the terminal is wide
	begun bool         // parts before those are written
	out   bytes.Buffer
}

// plainStep is how much output at most comes between two looks at the terminal:
// so much less than its width that few lines scroll away at a time.
const (
	plainStep    = 256
	plainHistory = 64
	// maxPlainLine bounds what is held of a line: what nothing can overwrite any
	// more is written without waiting for its end.
	maxPlainLine = 64 << 10
)

// newPlain begins each line at its beginning, also after a line feed alone (LNM), as
// a stream has it that came from no terminal.
func newPlain(w io.Writer) *plain {
	p := &plain{w: w, t: vt.New(vt.MaxCols, 1, plainHistory)}
	_, _ = p.t.Write([]byte("\x1b[20h")) // never fails
	return p
}

func (p *plain) take(m any) error {
	switch m := m.(type) {
	case output:
		for data := m.data; len(data) > 0; {
			n := min(len(data), plainStep)
			if i := bytes.IndexByte(data[:n], '\n'); i >= 0 {
				n = i + 1
			}
			p.write(data[:n])
			data = data[n:]
		}
	case wire.TermSnapshot: // what came before is unknown
		p.line.Reset()
		if p.begun {
			p.complete()
		}
		p.write([]byte("\x1b\\\x1bc"))
	}
	return p.flush()
}

// write takes output with at most one newline, at its end.
func (p *plain) write(data []byte) {
	_, _ = p.t.Write(data)
	n := p.t.HistoryLen()
	if n == 0 {
		return
	}
	for i := n - 1; i >= 0; i-- {
		p.line.WriteString(draw.Text(p.t.History(i)))
	}
	if data[len(data)-1] == '\n' {
		p.complete()
	} else if p.line.Len() > maxPlainLine {
		p.begun = true
		p.pass()
	}
	_, _ = p.t.Write([]byte("\x1b[3J")) // forgets the history
}

func (p *plain) complete() {
	p.line.WriteByte('\n')
	p.begun = false
	p.pass()
}

// pass passes on what there is of the line.
func (p *plain) pass() {
	p.out.Write(p.line.Bytes())
	p.line.Reset()
}

func (p *plain) flush() error {
	if p.out.Len() == 0 {
		return nil
	}
	_, err := p.w.Write(p.out.Bytes())
	p.out.Reset()
	return err
}

// end writes the line that is not complete.
func (p *plain) end() error {
	if !p.t.Modes().AltScreen {
		p.line.WriteString(draw.Text(p.t.Line(0)))
	}
	if p.line.Len() > 0 || p.begun {
		p.complete()
	}
	return p.flush()
}
