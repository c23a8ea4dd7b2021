// Package keys is the one parser of what keyboards send. It cuts input into keys
// ([Scan]). A viewer finds commands among them ([Finder]); a sharer keeps each key
// whole, and drops what only terminals send ([Filter]).
//
// Output has two parsers of its own, with other rules. vt/parser.go executes output
// as a terminal does: strings, control characters within sequences, and 8-bit text.
// view/filter.go lets only harmless sequences through. Input is different: the key
// Escape is the byte that also begins sequences, so only time tells whether one has
// ended, and the rules depend on the keyboard protocol.
package keys

const escape = 0x1b

// The marks around pasted text (xterm's mode 2004, bracketed paste).
const (
	PasteBegin = "\x1b[200~"
	PasteEnd   = "\x1b[201~"
)

// Scan returns the length of the first key of p, and whether the key is whole. If it
// is not, the rest of it may still come. A key is a byte, or a sequence that begins
// with CSI (ESC [) or SS3 (ESC O). A sequence that is broken off counts as a whole
// key. An ESC that begins neither is the key Escape, also in front of another key,
// as many terminals send Alt. p must not be empty.
func Scan(p []byte) (n int, whole bool) {
	for n = 1; !ended(p[:n]); n++ {
		if n == len(p) {
			return n, false
		}
		if !continues(p[:n], p[n]) {
			break
		}
	}
	return n, true
}

// ended reports whether a sequence has its last byte.
func ended(seq []byte) bool {
	if seq[0] != escape {
		return true
	}
	last := seq[len(seq)-1]
	return len(seq) > 2 && last >= '@' && last <= '~' && !isConsole(seq)
}

// continues reports whether b belongs to the key that begins with seq.
func continues(seq []byte, b byte) bool {
	switch {
	case len(seq) == 1:
		return b == '[' || b == 'O'
	case seq[1] == 'O' || isConsole(seq):
		return b >= '@' && b <= '~'
	}
	return b >= ' ' && b <= '~'
}

// isConsole reports whether seq begins F1 to F5 of the Linux console, ESC [ [ A to E.
func isConsole(seq []byte) bool { return len(seq) == 3 && seq[1] == '[' && seq[2] == '[' }
