package view

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// filter passes raw output on to a terminal, without what makes that answer, write
// to the clipboard, change its title, print, or run anything: of escape sequences
// it knows those that are harmless, and the strings (OSC, DCS, APC, PM, SOS) are
// none of them.
type filter struct {
	w     io.Writer
	state filterState
	seq   []byte // of the unfinished sequence or character
	out   []byte
	alt   bool // the alternate screen is on
}

type filterState int

const (
	filterText   filterState = iota
	filterEscape             // behind ESC
	filterCSI                // behind ESC [
	filterString             // in a string
	filterEnd                // in a string, behind ESC
)

// maxFilterSeq bounds a sequence; longer ones are dropped.
const maxFilterSeq = 256

// passes lists the sequences that pass, by prefix and intermediates: their finals.
var passes = map[string]string{
	"":  "@ABCDEFGHIJKLMPSTXZ`abdefghlmrsu",
	"?": "JKhl",
	" ": "q", // the cursor's look
	"!": "p", // soft reset
}

// modesThatPass are what CSI h and CSI l may have. Not among them are those which
// make a terminal report anything.
var modesThatPass = []string{"4", "?1", "?5", "?6", "?7", "?12", "?25", "?47", "?1047", "?1048", "?1049", "?2026"}

// escapes are those that pass, by what is between ESC and the last byte.
var escapes = map[string]string{
	"":  "78DEHMc=>",
	"#": "34568", "(": "012ABCEHKQRYZ456=<>`", ")": "012ABCEHKQRYZ456=<>`", "*": "012AB", "+": "012AB",
}

// Write writes what passes of p. It always takes all of it.
func (f *filter) Write(p []byte) (int, error) {
	f.out = f.out[:0]
	for _, b := range p {
		f.byte(b)
	}
	if len(f.out) == 0 {
		return len(p), nil
	}
	if _, err := f.w.Write(f.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *filter) byte(b byte) {
	if f.state == filterString || f.state == filterEnd {
		f.inString(b)
		return
	}
	if f.state == filterText && len(f.seq) > 0 { // a character
		f.character(b)
		return
	}
	switch {
	case b == 0x1b:
		f.state, f.seq = filterEscape, f.seq[:0]
	case b == 0x18 || b == 0x1a: // CAN and SUB end a sequence
		f.state, f.seq = filterText, f.seq[:0]
	case b < ' ':
		if strings.IndexByte("\a\b\t\n\v\f\r\x0e\x0f", b) >= 0 {
			f.out = append(f.out, b)
		}
	case b == 0x7f:
	case f.state == filterEscape:
		f.escape(b)
	case f.state == filterCSI:
		f.csi(b)
	case b < utf8.RuneSelf:
		f.out = append(f.out, b)
	default:
		f.character(b)
	}
}

// character takes a byte of a character that is not ASCII.
func (f *filter) character(b byte) {
	if len(f.seq) > 0 && utf8.RuneStart(b) { // the one before was cut off
		f.out = utf8.AppendRune(f.out, utf8.RuneError)
		f.seq = f.seq[:0]
		f.byte(b)
		return
	}
	f.seq = append(f.seq, b)
	if !utf8.FullRune(f.seq) {
		return
	}
	r, _ := utf8.DecodeRune(f.seq)
	f.seq = f.seq[:0]
	if r >= 0x80 && r < 0xa0 { // control characters, to some terminals
		r = utf8.RuneError
	}
	f.out = utf8.AppendRune(f.out, r)
}

func (f *filter) escape(b byte) {
	switch {
	case len(f.seq) == 0 && b == '[':
		f.state = filterCSI
	case len(f.seq) == 0 && strings.IndexByte("]P_^X", b) >= 0:
		f.state = filterString
	case b < '0' && len(f.seq) < maxFilterSeq:
		f.seq = append(f.seq, b)
	default:
		if finals, ok := escapes[string(f.seq)]; ok && strings.IndexByte(finals, b) >= 0 {
			f.pass("\x1b", b)
			f.alt = f.alt && b != 'c'
		}
		f.state, f.seq = filterText, f.seq[:0]
	}
}

func (f *filter) csi(b byte) {
	if b < '@' || b > '~' {
		if len(f.seq) < maxFilterSeq {
			f.seq = append(f.seq, b)
		}
		return
	}
	if len(f.seq) < maxFilterSeq && b < utf8.RuneSelf && f.csiPasses(string(f.seq), b) {
		f.pass("\x1b[", b)
	}
	f.state, f.seq = filterText, f.seq[:0]
}

func (f *filter) pass(introducer string, final byte) {
	f.out = append(f.out, introducer...)
	f.out = append(f.out, f.seq...)
	f.out = append(f.out, final)
}

func (f *filter) csiPasses(params string, final byte) bool {
	numbers := strings.Trim(params, "?<=> !\"#$%&'()*+,-./")
	if strings.Trim(numbers, "0123456789;:") != "" {
		return false
	}
	around := strings.Replace(params, numbers, "", 1)
	finals, ok := passes[around]
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

func (f *filter) inString(b byte) {
	switch {
	case b == '\a' || b == 0x18 || b == 0x1a || f.state == filterEnd && b == '\\':
		f.state, f.seq = filterText, f.seq[:0]
	case b == 0x1b:
		f.state = filterEnd
	case f.state == filterEnd: // ESC has ended the string and begins another sequence
		f.state, f.seq = filterEscape, f.seq[:0]
		f.byte(b)
	}
}
