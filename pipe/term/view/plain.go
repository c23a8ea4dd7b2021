package view

import (
	"bytes"
	"io"

	"mesh/pipe/term/draw"
	"mesh/pipe/term/vt"
	"mesh/proto/wire"
)

// plain writes the output as lines of text, each when it is complete. It drops what was
// overwritten, colours, and everything on the alternate screen. It uses an emulator
// with one very long line: what scrolls out of that is complete.
type plain struct {
	w     io.Writer
	t     *vt.Terminal
	line  bytes.Buffer // the parts of the line that have scrolled out
	begun bool         // parts of the line are written already
	out   bytes.Buffer
}

// plainStep is how much output the emulator gets at once: so much less than its width
// that few lines scroll out at a time.
const (
	plainStep    = 256
	plainHistory = 64
	// maxPlainLine bounds the memory for a line. Parts that nothing can overwrite any
	// more are then written before the line ends.
	maxPlainLine = 64 << 10
)

// newPlain sets LNM, so that a line feed alone begins a new line: a shared stream may
// come from no terminal.
func newPlain(w io.Writer) *plain {
	p := &plain{w: w, t: vt.New(vt.MaxCols, 1, plainHistory)}
	_, _ = p.t.Write([]byte("\x1b[20h")) // never fails
	return p
}

func (p *plain) convert(m any) error {
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
	case wire.TermSnapshot: // the output before it is missing
		p.line.Reset()
		if p.begun {
			p.endLine()
		}
		p.write([]byte("\x1b\\\x1bc"))
	}
	return p.flush()
}

// write interprets output with at most one newline, at its end.
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
		p.endLine()
	} else if p.line.Len() > maxPlainLine {
		p.begun = true
		p.emitLine()
	}
	_, _ = p.t.Write([]byte("\x1b[3J")) // clears the scrolled lines
}

// endLine writes the line, which is complete.
func (p *plain) endLine() {
	p.line.WriteByte('\n')
	p.begun = false
	p.emitLine()
}

// emitLine moves the line, as far as it is known, to the output.
func (p *plain) emitLine() {
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

// end writes the last line, which has no newline.
func (p *plain) end() error {
	if !p.t.Modes().AltScreen {
		p.line.WriteString(draw.Text(p.t.Line(0)))
	}
	if p.line.Len() > 0 || p.begun {
		p.endLine()
	}
	return p.flush()
}
