package share

import "bytes"

// maxSequence bounds what of a sequence is held until its end has come; what is
// longer is no key.
const maxSequence = 64

const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// keys cuts what one viewer types into whole keys, so that nothing is ever put
// between two bytes of one, and leaves out what no keyboard sends but terminals
// do in answer to a program: there is one terminal that answers, and it is not
// the viewer's. The zero value is ready to use.
type keys struct {
	held  []byte // of a sequence that has not ended
	paste bool   // between the marks of a paste
}

// take returns the whole keys of what was typed before and p. It reports in
// k.paste whether a paste goes on behind them.
func (k *keys) take(p []byte) []byte {
	p = append(k.held, p...)
	k.held = nil
	var out []byte
	for len(p) > 0 {
		n, whole := sequence(p)
		if !whole && n <= maxSequence && !isEscape(p[:n]) {
			k.held = bytes.Clone(p[:n])
			break
		}
		key := p[:n]
		p = p[n:]
		switch {
		case bytes.Equal(key, []byte(pasteBegin)):
			k.paste = true
		case bytes.Equal(key, []byte(pasteEnd)):
			k.paste = false
		case isReply(key):
			continue
		}
		out = append(out, key...)
	}
	return out
}

// isEscape reports whether b is the key Escape, as far as one can tell: whoever
// sends more has it in the same frame.
func isEscape(b []byte) bool { return len(b) == 1 }

// sequence returns the length of the first key of p, which is not empty, and
// whether all of it is there. Bytes that are no sequence are taken as far as they
// go.
func sequence(p []byte) (n int, whole bool) {
	if p[0] != 0x1b {
		n = bytes.IndexByte(p, 0x1b)
		if n < 0 {
			n = len(p)
		}
		return n, true
	}
	if len(p) == 1 {
		return 1, false
	}
	switch p[1] {
	case '[':
		return control(p)
	case 'O': // a function key: SS3
		if len(p) < 3 {
			return 2, false
		}
		return 3, true
	case 'P', ']', '_', '^', 'X': // a string: until ST, or BEL
		return text(p)
	case 0x1b: // Alt and a sequence, or Escape typed twice
		if len(p) > 2 && (p[2] == '[' || p[2] == 'O') {
			n, whole := sequence(p[1:])
			return n + 1, whole
		}
		return 1, true
	}
	return 2, true // Alt and a key
}

// control is sequence for what begins with CSI.
func control(p []byte) (n int, whole bool) {
	for n = 2; n < len(p); n++ {
		switch c := p[n]; {
		case c >= 0x40 && c <= 0x7e:
			if n == 2 && c == '[' && n+1 < len(p) { // the Linux console's F1 to F5
				return 4, true
			}
			return n + 1, true
		case c < 0x20 || c > 0x7e: // no sequence after all
			return n, true
		}
	}
	return n, false
}

// text is sequence for what begins a string.
func text(p []byte) (n int, whole bool) {
	for n = 2; n < len(p); n++ {
		switch {
		case p[n] == 0x07:
			return n + 1, true
		case p[n] == 0x1b && n+1 < len(p) && p[n+1] == '\\':
			return n + 2, true
		case p[n] == 0x1b && n+1 < len(p), p[n] == 0x18, p[n] == 0x1a:
			return n, true
		}
	}
	return n, false
}

// isReply reports whether a sequence is one that terminals send by themselves.
// Reports of the mouse and of the focus are not among them: a program that wants
// these wants them of who types.
func isReply(key []byte) bool {
	if len(key) < 2 || key[0] != 0x1b {
		return false
	}
	switch key[1] {
	case 'P', ']', '_', '^', 'X':
		return true
	case '[':
		if len(key) == 2 { // and then no sequence
			return false
		}
	default:
		return false
	}
	final, params := key[len(key)-1], key[2:len(key)-1]
	private := len(params) > 0 && params[0] >= '<' && params[0] <= '?'
	switch final {
	case 'c', 't', 'x': // attributes, the window's size, parameters
		return true
	case 'n': // status
		return true
	case 'y': // modes
		return bytes.HasSuffix(params, []byte("$"))
	case 'u': // which keys are reported; without the mark it is a key
		return private
	case 'R': // the cursor's place, or F3 with Shift, Alt and Ctrl: 1;2 to 1;8
		return private || len(params) > 0 && !(len(params) == 3 && params[0] == '1' && params[1] == ';' && params[2] >= '2' && params[2] <= '8')
	}
	return false
}
