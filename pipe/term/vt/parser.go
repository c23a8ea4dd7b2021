package vt

import "unicode/utf8"

// A state of the parser has the name that it has in Williams' VT500 diagram.
type state uint8

const (
	ground state = iota
	escape
	escapeIntermediate
	csiEntry
	csiParam
	csiIntermediate
	csiIgnore
	dcsEntry
	dcsParam
	dcsIntermediate

	// From here on almost all bytes belong to a string.
	oscString
	dcsPassthrough
	ignoreString // SOS, PM, APC, and an invalid DCS
)

const (
	bel = 0x07
	can = 0x18
	sub = 0x1a
	esc = 0x1b
	del = 0x7f
)

const (
	maxParams        = 32
	maxParam         = 65535 // larger values are reduced to this
	maxIntermediates = 2
	// maxStringBytes bounds the text of an OSC or DCS, but of OSC 52 where that is wanted.
	// A longer one has no effect.
	maxStringBytes = 64 << 10
)

// parser holds an unfinished sequence.
type parser struct {
	state state

	prefix        byte // < = > or ?
	intermediates [maxIntermediates]byte
	intermediateN int // may exceed maxIntermediates: then the sequence has no effect

	params [maxParams]int32 // -1 for an empty one
	paramN int
	subs   uint32 // bit i: params[i] follows a colon

	final  byte   // of the DCS whose text is in data
	data   []byte // of an OSC or DCS
	excess bool   // data was too long

	partial    [utf8.UTFMax]byte // of a character
	partialLen int

	printed int // width of the last printed character; 0 if anything else came after it
}

// clear prepares for a new sequence.
func (p *parser) clear() {
	p.prefix, p.intermediateN = 0, 0
	p.params[0], p.paramN, p.subs = -1, 1, 0
	p.data, p.excess, p.final = p.data[:0], false, 0
}

// step handles one byte of ASCII in a state other than ground and the strings.
func (t *Terminal) step(b byte) {
	switch {
	case b == esc:
		t.clear()
		t.state = escape
		return
	case b == can || b == sub:
		t.state, t.printed = ground, 0
		return
	case b < ' ':
		if t.state < dcsEntry {
			t.execute(b)
		}
		return
	case b == del:
		return
	}
	switch t.state {
	case escape:
		t.escapeByte(b)
	case escapeIntermediate:
		if b < 0x30 {
			t.collect(b)
			return
		}
		t.state = ground
		t.escDispatch(b)
	case csiEntry, csiParam, csiIntermediate:
		if b < '@' {
			t.parameterByte(b, csiStates)
			return
		}
		t.state = ground
		t.csiDispatch(b)
	case csiIgnore:
		if b >= '@' {
			t.state = ground
		}
	default: // dcsEntry, dcsParam, dcsIntermediate
		if b < '@' {
			t.parameterByte(b, dcsStates)
			return
		}
		t.final = b
		t.state = dcsPassthrough
	}
}

// escapeByte handles the byte after ESC.
func (t *Terminal) escapeByte(b byte) {
	switch {
	case b < 0x30:
		t.collect(b)
		t.state = escapeIntermediate
	case b == '[':
		t.state = csiEntry
	case b == ']':
		t.state = oscString
	case b == 'P':
		t.state = dcsEntry
	case b == 'X' || b == '^' || b == '_':
		t.state = ignoreString
	default:
		t.state = ground
		t.escDispatch(b)
	}
}

// sequenceStates is the states between an introducer and the final byte.
type sequenceStates struct{ entry, param, intermediate, ignore state }

var (
	csiStates = sequenceStates{csiEntry, csiParam, csiIntermediate, csiIgnore}
	dcsStates = sequenceStates{dcsEntry, dcsParam, dcsIntermediate, ignoreString}
)

// parameterByte handles a printable byte after CSI or DCS, before the final byte.
func (t *Terminal) parameterByte(b byte, states sequenceStates) {
	switch {
	case b < 0x30:
		t.collect(b)
		t.state = states.intermediate
	case t.state == states.intermediate, b >= '<' && t.state != states.entry:
		t.state = states.ignore
	case b >= '<':
		t.prefix = b
		t.state = states.param
	default:
		t.param(b)
		t.state = states.param
	}
}

// collect records an intermediate byte.
func (p *parser) collect(b byte) {
	if p.intermediateN < maxIntermediates {
		p.intermediates[p.intermediateN] = b
	}
	p.intermediateN = min(p.intermediateN+1, maxIntermediates+1)
}

// param handles a digit, a semicolon or a colon. Parameters beyond maxParams are
// dropped: paramN is maxParams+1 then.
func (p *parser) param(b byte) {
	if b == ';' || b == ':' {
		if p.paramN < maxParams {
			p.params[p.paramN] = -1
			if b == ':' {
				p.subs |= 1 << p.paramN
			}
		}
		p.paramN = min(p.paramN+1, maxParams+1)
		return
	}
	if p.paramN > maxParams {
		return
	}
	v := &p.params[p.paramN-1]
	*v = min(max(*v, 0)*10+int32(b-'0'), maxParam)
}

// values returns the parameters, subparameters included.
func (p *parser) values() []int32 { return p.params[:min(p.paramN, maxParams)] }

// arg returns parameter i, not counting subparameters, or def if it is missing or 0.
func (p *parser) arg(i, def int) int {
	for j, v := range p.values() {
		if p.subs>>j&1 == 1 {
			continue
		}
		if i--; i < 0 {
			if v <= 0 {
				return def
			}
			return int(v)
		}
	}
	return def
}

// stringBytes handles bytes of a string and returns the rest of p.
func (t *Terminal) stringBytes(p []byte) []byte {
	for i, b := range p {
		switch {
		case b == esc || b == can || b == sub || b == bel && t.state == oscString:
			t.appendString(p[:i])
			t.endString(b == esc || b == bel)
			if b == esc {
				t.clear()
				t.state = escape
			}
			return p[i+1:]
		case b >= utf8.RuneSelf:
			t.appendString(p[:i])
			return t.nonASCII(p[i:])
		case b < ' ' || b == del:
			t.appendString(p[:i])
			return p[i+1:]
		}
	}
	t.appendString(p)
	return nil
}

// appendString appends to the text of an OSC or DCS.
func (t *Terminal) appendString(b []byte) {
	if t.state == ignoreString || t.excess {
		return
	}
	if n := len(t.data) + len(b); n > maxStringBytes && (n > maxCopyData || !t.isCopy(b)) {
		t.excess, t.data = true, nil
		t.printed = 0
		return
	}
	t.data = append(t.data, b...)
}

// endString ends a string and carries it out if it is complete.
func (t *Terminal) endString(complete bool) {
	s := t.state
	t.state = ground
	if s != ignoreString {
		t.printed = 0
	}
	if !complete || t.excess {
		return
	}
	switch s {
	case oscString:
		t.oscDispatch(string(t.data))
	case dcsPassthrough:
		t.dcsDispatch(string(t.data))
	}
}

// nonASCII handles the character at the start of p, in any state, and returns the rest.
func (t *Terminal) nonASCII(p []byte) []byte {
	if !utf8.FullRune(p) {
		t.partialLen = copy(t.partial[:], p)
		return nil
	}
	r, n := utf8.DecodeRune(p)
	t.rune(r)
	return p[n:]
}

// completeRune handles a character that began in partial, and returns the rest of p.
func (t *Terminal) completeRune(p []byte) []byte {
	had := t.partialLen
	n := copy(t.partial[had:], p)
	whole := t.partial[:had+n]
	if !utf8.FullRune(whole) {
		t.partialLen += n
		return p[n:]
	}
	r, size := utf8.DecodeRune(whole)
	if size < had { // no character starts with these bytes
		t.partialLen = copy(t.partial[:], t.partial[size:had])
		n = 0
	} else {
		t.partialLen = 0
		n = size - had
	}
	t.rune(r)
	return p[n:]
}

// rune handles a character that is not ASCII, in any state. Each invalid byte comes
// as U+FFFD.
func (t *Terminal) rune(r rune) {
	switch {
	case r < 0xa0:
		t.c1(byte(r))
	case t.state == ground:
		t.printRune(r)
	case t.state >= oscString:
		t.appendString(utf8.AppendRune(nil, r))
	case t.state != csiIgnore:
		t.state = ground
	}
}

// c1 handles a C1 control character: it means ESC and the character 0x40 below it.
func (t *Terminal) c1(b byte) {
	if t.state >= oscString {
		t.endString(b == 0x9c)
	}
	t.clear()
	t.state = escape
	t.escapeByte(b - 0x40)
}
