package vt

// Modes is the modes of a terminal. A viewer that may type needs those of keyboard and
// mouse to send what the program expects.
type Modes struct {
	CursorKeys    bool // DECCKM, ?1: arrows send ESC O
	Keypad        bool // DECKPAM, ESC =
	ReverseVideo  bool // DECSCNM, ?5
	Origin        bool // DECOM, ?6
	Wrap          bool // DECAWM, ?7
	Insert        bool // IRM, 4
	Newline       bool // LNM, 20
	CursorVisible bool // DECTCEM, ?25
	CursorStyle   int  // DECSCUSR: 0 default, 1 to 6
	CursorBlink   bool // ?12

	Mouse       int  // which events are reported: 0, 9, 1000, 1002 or 1003
	MouseFormat int  // in which encoding: 0, 1005, 1006, 1015 or 1016
	WheelKeys   bool // ?1007: on the alternate screen the wheel sends arrows
	Focus       bool // ?1004
	Paste       bool // ?2004: bracketed paste
	ColorScheme bool // ?2031: light and dark are reported
	SizeReports bool // ?2048: sizes are reported
	Sync        bool // ?2026: synchronized output: the program is in the middle of drawing
	Kitty       int  // flags of the kitty keyboard protocol
	OtherKeys   int  // modifyOtherKeys: 0, 1 or 2

	AltScreen bool // ?1049
}

func defaultModes() Modes { return Modes{Wrap: true, CursorVisible: true, WheelKeys: true} }

// softReset resets the modes that DECSTR resets.
func (m *Modes) softReset() {
	m.CursorKeys, m.Keypad, m.Origin, m.Insert, m.Focus, m.Paste, m.Sync = false, false, false, false, false, false, false
	m.Wrap, m.CursorVisible = true, true
	m.CursorStyle = 0
}

func (m *Modes) setCursorStyle(n int) {
	if n <= 6 {
		m.CursorStyle = n
	}
}

// setModes implements SM and RM.
func (t *Terminal) setModes(on bool) {
	for _, p := range t.values() {
		switch p {
		case 4:
			t.modes.Insert = on
		case 20:
			t.modes.Newline = on
		}
	}
}

// setPrivateModes implements DECSET and DECRST.
func (t *Terminal) setPrivateModes(on bool) {
	for _, p := range t.values() {
		if flag := t.modes.flag(int(p)); flag != nil {
			*flag = on
		}
		switch p {
		case 2:
			if on {
				t.charsets = charsets{}
			}
		case 6:
			t.moveTo(0, 0)
		case 9, 1000, 1002, 1003:
			t.modes.Mouse = int(p)
			if !on {
				t.modes.Mouse = 0
			}
		case 1005, 1006, 1015, 1016:
			t.modes.MouseFormat = int(p)
			if !on {
				t.modes.MouseFormat = 0
			}
		case 47, 1047, 1049:
			t.switchScreen(on, p == 1049)
		case 2048:
			if on {
				t.reportSize()
			}
		case 1048:
			if on {
				t.saveCursor()
			} else {
				t.restoreCursor()
			}
		}
	}
}

// flag returns the field of the private mode with this number, nil for a mode that is
// unknown or more than a bool.
func (m *Modes) flag(mode int) *bool {
	switch mode {
	case 1:
		return &m.CursorKeys
	case 5:
		return &m.ReverseVideo
	case 6:
		return &m.Origin
	case 7:
		return &m.Wrap
	case 12:
		return &m.CursorBlink
	case 25:
		return &m.CursorVisible
	case 66:
		return &m.Keypad
	case 1004:
		return &m.Focus
	case 1007:
		return &m.WheelKeys
	case 2004:
		return &m.Paste
	case 2026:
		return &m.Sync
	case 2031:
		return &m.ColorScheme
	case 2048:
		return &m.SizeReports
	}
	return nil
}

// switchScreen switches to the alternate screen and clears it, or back to the main
// one. The cursor keeps its place, unless it is restored.
func (t *Terminal) switchScreen(toAlt, withCursor bool) {
	from, to := t.active, t.main
	if toAlt {
		to = t.alt
	}
	if toAlt && withCursor {
		t.saveCursor()
	}
	if from != to {
		to.x, to.y = from.x, from.y
		t.active = to
		if toAlt {
			x, y := to.x, to.y
			to.reset()
			to.x, to.y = x, y
			to.blank(0, t.rows-1, t.erased())
		}
	}
	if !toAlt && withCursor {
		t.restoreCursor()
	}
	t.clampOrigin()
}

// clampOrigin moves the cursor between the margins in origin mode. It may stay behind
// the last column.
func (t *Terminal) clampOrigin() {
	if s := t.active; t.modes.Origin {
		s.y = min(max(s.y, s.top), s.bottom)
	}
}

// keyStack is the kitty keyboard protocol's flags of one screen: those in force, and
// the stack of earlier ones.
// https://sw.kovidgoyal.net/kitty/keyboard-protocol/#progressive-enhancement
type keyStack struct {
	now   uint8
	under [maxKeys]uint8
	n     int
}

// maxKeys bounds the stack. When it is full, the oldest entry makes room.
const maxKeys = 8

// keyFlags is all flags that the protocol defines.
const keyFlags = 31

func (k *keyStack) flags() int { return int(k.now) }

func (k *keyStack) set(flags, how int) {
	f := uint8(flags & keyFlags)
	switch how {
	case 1:
		k.now = f
	case 2:
		k.now |= f
	case 3:
		k.now &^= f
	}
}

func (k *keyStack) push(flags int) {
	if k.n == maxKeys {
		copy(k.under[:], k.under[1:])
		k.n--
	}
	k.under[k.n] = k.now
	k.n++
	k.now = uint8(flags & keyFlags)
}

func (k *keyStack) pop(n int) {
	if n > k.n {
		*k = keyStack{}
		return
	}
	k.n -= n
	k.now = k.under[k.n]
	clear(k.under[k.n:])
}

// setOtherKeys implements XTMODKEYS, of which only modifyOtherKeys (4) is known.
func (t *Terminal) setOtherKeys() {
	switch {
	case t.paramN == 1 && t.arg(0, 0) == 0: // resets all of them
		t.modes.OtherKeys = 0
	case t.arg(0, 0) == 4:
		if v := t.arg(1, 0); v <= 2 {
			t.modes.OtherKeys = v
		}
	}
}
