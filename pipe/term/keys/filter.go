package keys

import "bytes"

// maxHeld bounds a sequence that a [Filter] holds until its end. A longer one is no
// key.
const maxHeld = 64

// Filter cuts what one viewer types into whole keys, so that nothing can get between
// two bytes of one. It drops replies, which terminals send to a program by
// themselves: only one terminal is to answer, and it is not the viewer's. The zero
// value is ready to use.
type Filter struct {
	held  []byte // a sequence that has not ended
	paste bool   // within pasted text
}

// Pass returns the whole keys of what was held and p, without replies.
func (f *Filter) Pass(p []byte) []byte {
	p = append(f.held, p...)
	f.held = nil
	var out []byte
	for len(p) > 0 {
		n, whole := scanInput(p)
		if !whole && n > 1 && n <= maxHeld { // a lone ESC is a key: the rest of a sequence comes in the same frame
			f.held = bytes.Clone(p[:n])
			break
		}
		key := p[:n]
		p = p[n:]
		switch {
		case string(key) == PasteBegin:
			f.paste = true
		case string(key) == PasteEnd:
			f.paste = false
		case isReply(key):
			continue
		}
		out = append(out, key...)
	}
	return out
}

// HasKeys follows p as [Filter.Pass] does, and reports whether there is a key in it,
// or only replies. It does not wait for the end of a sequence.
func (f *Filter) HasKeys(p []byte) bool {
	has := len(f.Pass(p)) > 0 || len(f.held) > 0
	f.held = nil
	return has
}

// Held returns the sequence that waits for its end.
func (f *Filter) Held() []byte { return f.held }

// Release returns the held sequence, when its end has not come in time, and holds it
// no longer. It returns nothing for the beginning of a reply.
func (f *Filter) Release() []byte {
	held := f.held
	f.held = nil
	if isReply(append(bytes.Clone(held), 'c')) {
		return nil
	}
	return held
}

// Pasting reports whether the keys so far end within pasted text.
func (f *Filter) Pasting() bool { return f.paste }

// scanInput is [Scan] for what may have replies in it: strings count as one key. So do
// ESC and the sequence behind it, which some terminals send for Alt, and characters up
// to the next ESC.
func scanInput(p []byte) (n int, whole bool) {
	switch {
	case p[0] != escape:
		if n = bytes.IndexByte(p, escape); n < 0 {
			n = len(p)
		}
		return n, true
	case len(p) > 1 && isString(p[1]):
		return scanString(p)
	case len(p) > 2 && p[1] == escape && (p[2] == '[' || p[2] == 'O'):
		n, whole = Scan(p[1:])
		return n + 1, whole
	}
	return Scan(p)
}

// isString reports whether ESC and b begin a string: DCS, OSC, APC, PM or SOS.
func isString(b byte) bool { return bytes.IndexByte([]byte("P]_^X"), b) >= 0 }

// scanString returns the length of a string, which ends with ST or BEL, or is
// cancelled by another ESC, CAN or SUB.
func scanString(p []byte) (n int, whole bool) {
	for n = 2; n < len(p); n++ {
		switch {
		case p[n] == 0x07:
			return n + 1, true
		case p[n] == escape && n+1 < len(p) && p[n+1] == '\\':
			return n + 2, true
		case p[n] == escape && n+1 < len(p), p[n] == 0x18, p[n] == 0x1a:
			return n, true
		}
	}
	return n, false
}

// isReply reports whether only a terminal sends this key, in reply to a program.
// Reports of the mouse and of the focus are no replies: a program that asks for them
// wants those of the person who types.
func isReply(key []byte) bool {
	if len(key) < 2 || key[0] != escape {
		return false
	}
	if isString(key[1]) {
		return true
	}
	if len(key) == 2 || key[1] != '[' {
		return false
	}
	final, params := key[len(key)-1], key[2:len(key)-1]
	private := len(params) > 0 && params[0] >= '<' && params[0] <= '?'
	switch final {
	case 'c', 't', 'x', 'n': // DA, window size, DECREPTPARM, DSR
		return true
	case 'y': // DECRPM
		return bytes.HasSuffix(params, []byte("$"))
	case 'u': // the kitty keyboard flags; without the mark it is a key
		return private
	case 'R': // CPR, or F3 with Shift, Alt and Ctrl: 1;2 to 1;8
		return private || len(params) > 0 && !(len(params) == 3 && params[0] == '1' && params[1] == ';' && params[2] >= '2' && params[2] <= '8')
	}
	return false
}
