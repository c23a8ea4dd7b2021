// Package safe writes the bytes of a peer to a terminal.
package safe

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Writer writes raw output to a terminal, without what makes that reply, write to the
// clipboard, change its title, print, or run anything. Only escape sequences known to
// be harmless pass; strings (OSC, DCS, APC, PM, SOS) do not. It is not safe for more
// than one goroutine.
//
// It shares no code with vt/parser.go: that executes everything it knows, and this
// passes a list of sequences unchanged, so that an error in one does not open the
// other.
type Writer struct {
	w     io.Writer
	state state
	seq   []byte // an unfinished sequence or character
	out   []byte
	alt   bool // the alternate screen is on
}

// NewWriter returns a writer to the terminal w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Alternate reports whether the output has switched to the alternate screen.
func (f *Writer) Alternate() bool { return f.alt }

type state int

const (
	inText         state = iota
	inEscape             // after ESC
	inCSI                // after ESC [
	inString             // in a string
	inStringEscape       // in a string, after ESC
)

// maxSequence bounds a sequence; longer ones are dropped.
const maxSequence = 256

// csiThatPass lists the final bytes of the CSI sequences that pass, by private prefix
// and intermediates.
var csiThatPass = map[string]string{
	"":  "@ABCDEFGHIJKLMPSTXZ`abdefghlmrsu",
	"?": "JKhl",
	" ": "q", // the cursor's style
	"!": "p", // soft reset
}

// modesThatPass are the modes of CSI h and CSI l that pass. None of them makes a terminal
// report anything.
var modesThatPass = []string{"4", "?1", "?5", "?6", "?7", "?12", "?25", "?47", "?1047", "?1048", "?1049", "?2026"}

// escapesThatPass lists the final bytes of other sequences, by the bytes before.
var escapesThatPass = map[string]string{
	"":  "78DEHMc=>",
	"#": "34568", "(": "012ABCEHKQRYZ456=<>`", ")": "012ABCEHKQRYZ456=<>`", "*": "012AB", "+": "012AB",
}

// Write writes what passes of p. It always takes all of it.
func (f *Writer) Write(p []byte) (int, error) {
	f.out = f.out[:0]
	for _, b := range p {
		f.takeByte(b)
	}
	if len(f.out) == 0 {
		return len(p), nil
	}
	if _, err := f.w.Write(f.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *Writer) takeByte(b byte) {
	if f.state == inString || f.state == inStringEscape {
		f.takeStringByte(b)
		return
	}
	if f.state == inText && len(f.seq) > 0 { // a character
		f.takeCharacterByte(b)
		return
	}
	switch {
	case b == 0x1b:
		f.state, f.seq = inEscape, f.seq[:0]
	case b == 0x18 || b == 0x1a: // CAN and SUB end a sequence
		f.state, f.seq = inText, f.seq[:0]
	case b < ' ':
		if strings.IndexByte("\a\b\t\n\v\f\r\x0e\x0f", b) >= 0 {
			f.out = append(f.out, b)
		}
	case b == 0x7f:
	case f.state == inEscape:
		f.takeEscapeByte(b)
	case f.state == inCSI:
		f.takeCSIByte(b)
	case b < utf8.RuneSelf:
		f.out = append(f.out, b)
	default:
		f.takeCharacterByte(b)
	}
}

// takeCharacterByte handles a byte of a character that is not ASCII.
func (f *Writer) takeCharacterByte(b byte) {
	if len(f.seq) > 0 && utf8.RuneStart(b) { // the previous one was cut off
		f.out = utf8.AppendRune(f.out, utf8.RuneError)
		f.seq = f.seq[:0]
		f.takeByte(b)
		return
	}
	f.seq = append(f.seq, b)
	if !utf8.FullRune(f.seq) {
		return
	}
	r, _ := utf8.DecodeRune(f.seq)
	f.seq = f.seq[:0]
	if r >= 0x80 && r < 0xa0 { // C1 control characters
		r = utf8.RuneError
	}
	f.out = utf8.AppendRune(f.out, r)
}

func (f *Writer) takeEscapeByte(b byte) {
	switch {
	case len(f.seq) == 0 && b == '[':
		f.state = inCSI
	case len(f.seq) == 0 && strings.IndexByte("]P_^X", b) >= 0:
		f.state = inString
	case b < '0' && len(f.seq) < maxSequence:
		f.seq = append(f.seq, b)
	default:
		if finals, ok := escapesThatPass[string(f.seq)]; ok && strings.IndexByte(finals, b) >= 0 {
			f.emit("\x1b", b)
			f.alt = f.alt && b != 'c'
		}
		f.state, f.seq = inText, f.seq[:0]
	}
}

func (f *Writer) takeCSIByte(b byte) {
	if b < '@' || b > '~' {
		if len(f.seq) < maxSequence {
			f.seq = append(f.seq, b)
		}
		return
	}
	if len(f.seq) < maxSequence && b < utf8.RuneSelf && f.csiPasses(string(f.seq), b) {
		f.emit("\x1b[", b)
	}
	f.state, f.seq = inText, f.seq[:0]
}

func (f *Writer) emit(introducer string, final byte) {
	f.out = append(f.out, introducer...)
	f.out = append(f.out, f.seq...)
	f.out = append(f.out, final)
}

func (f *Writer) csiPasses(params string, final byte) bool {
	numbers := strings.Trim(params, "?<=> !\"#$%&'()*+,-./")
	if strings.Trim(numbers, "0123456789;:") != "" {
		return false
	}
	around := strings.Replace(params, numbers, "", 1)
	finals, ok := csiThatPass[around]
	if !ok || strings.IndexByte(finals, final) < 0 {
		return false
	}
	if final != 'h' && final != 'l' {
		return true
	}
	for n := range strings.SplitSeq(numbers, ";") {
		if !slices.Contains(modesThatPass, around+n) {
			return false
		}
		if n == "47" || n == "1047" || n == "1049" {
			f.alt = final == 'h'
		}
	}
	return true
}

func (f *Writer) takeStringByte(b byte) {
	switch {
	case b == '\a' || b == 0x18 || b == 0x1a || f.state == inStringEscape && b == '\\':
		f.state, f.seq = inText, f.seq[:0]
	case b == 0x1b:
		f.state = inStringEscape
	case f.state == inStringEscape: // ESC has ended the string and begins another sequence
		f.state, f.seq = inEscape, f.seq[:0]
		f.takeByte(b)
	}
}
