package vt

import "strconv"

// Ground reports whether the parser is in the ground state: no sequence and no
// character is unfinished.
func (t *Terminal) Ground() bool { return t.state == ground && t.partialLen == 0 }

// Pending returns the bytes of the unfinished sequence or character. A terminal that
// gets a snapshot and then these bytes continues as this one does. They may differ
// from the bytes that were written: control characters inside a sequence have been
// carried out already, and a sequence that is too long has no effect, whatever it is.
func (t *Terminal) Pending() []byte {
	var b []byte
	switch t.state {
	case ground:
	case escape:
		b = append(b, esc)
	case escapeIntermediate:
		b = t.appendIntermediates(append(b, esc))
	case csiEntry, csiParam, csiIntermediate:
		b = t.appendIntermediates(t.appendParams(append(b, esc, '[')))
	case csiIgnore:
		b = append(b, "\x1b[0<"...)
	case dcsEntry, dcsParam, dcsIntermediate:
		b = t.appendIntermediates(t.appendParams(append(b, esc, 'P')))
	case dcsPassthrough:
		b = t.appendIntermediates(t.appendParams(append(b, esc, 'P')))
		b = append(append(b, t.final), t.data...)
	case oscString:
		b = append(append(b, esc, ']'), t.data...)
	}
	switch {
	case t.state == oscString && t.excess:
		b = []byte("\x1b]x") // no continuation makes this a known command
	case t.state == ignoreString, t.state == dcsPassthrough && t.excess:
		b = []byte("\x1bX")
	}
	return append(b, t.partial[:t.partialLen]...)
}

// appendParams appends the prefix and the parameters.
func (p *parser) appendParams(b []byte) []byte {
	if p.prefix != 0 {
		b = append(b, p.prefix)
	}
	for i, v := range p.values() {
		if i > 0 {
			b = append(b, ";:"[p.subs>>i&1])
		}
		if v >= 0 {
			b = strconv.AppendInt(b, int64(v), 10)
		}
	}
	if p.paramN > maxParams {
		b = append(b, ';')
	}
	return b
}

func (p *parser) appendIntermediates(b []byte) []byte {
	b = append(b, p.intermediates[:min(p.intermediateN, maxIntermediates)]...)
	if p.intermediateN > maxIntermediates {
		b = append(b, p.intermediates[0])
	}
	return b
}
