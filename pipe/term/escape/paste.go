package escape

// The marks around pasted text, in mode 2004 of xterm.
const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// marks finds them.
type marks struct {
	seen  [len(pasteBegin)]byte
	n     int // how many of seen are the begin of a mark
	paste bool
	out   [len(pasteBegin) + 1]byte
}

// take returns what b makes known: b itself, or when drop is set nothing while b
// may be part of a mark, and nothing of a mark.
func (m *marks) take(b byte, drop bool) []byte {
	if b == pasteBegin[m.n] || b == pasteEnd[m.n] {
		m.seen[m.n] = b
		m.n++
		if m.n == len(m.seen) {
			m.n = 0
			m.paste = m.seen[4] == pasteBegin[4]
		}
		if drop {
			return nil
		}
		m.out[0] = b
		return m.out[:1]
	}
	out := m.out[:0]
	if drop {
		out = m.release()
	}
	m.n = 0
	if b == escape {
		m.seen[0], m.n = b, 1
		if drop {
			return out
		}
	}
	return append(out, b)
}

// release returns the keys that were withheld for a mark that did not come.
func (m *marks) release() []byte {
	out := append(m.out[:0], m.seen[:m.n]...)
	m.n = 0
	return out
}
