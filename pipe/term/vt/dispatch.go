package vt

// execute carries out a C0 control character.
func (t *Terminal) execute(b byte) {
	t.printed = 0
	switch b {
	case '\b':
		t.backspace()
	case '\t':
		t.tab(1)
	case '\n', '\v', '\f':
		t.lineFeed()
	case '\r':
		t.active.x = 0
	case 0x0e: // SO
		t.charsets.gl = 1
	case 0x0f: // SI
		t.charsets.gl = 0
	}
}

// escDispatch carries out an escape sequence.
func (t *Terminal) escDispatch(final byte) {
	t.printed = 0
	switch t.intermediateN {
	case 0:
		t.escFinal(final)
	case 1:
		switch i := t.intermediates[0]; i {
		case '(', ')', '*', '+': // SCS, sets of 94
			t.charsets.designate(int(i-'('), final)
		case '-', '.': // SCS, sets of 96
			t.charsets.designate(int(i-'-')+1, 'B') // all unknown: ASCII
		case '#':
			if final == '8' {
				t.align()
			}
		case '%': // DOCS: the encoding stays UTF-8
			if final == '@' || final == 'G' {
				t.charsets.gl, t.charsets.g[0] = 0, ascii7
			}
		}
	}
}

func (t *Terminal) escFinal(final byte) {
	s := t.active
	switch final {
	case '7':
		t.saveCursor()
	case '8':
		t.restoreCursor()
	case '=':
		t.modes.Keypad = true
	case '>':
		t.modes.Keypad = false
	case 'D': // IND
		s.feed(t.erased())
		t.clamp()
	case 'E': // NEL
		s.x = 0
		s.feed(t.erased())
	case 'H': // HTS
		if s.x < t.cols {
			t.tabs[s.x] = true
		}
	case 'M': // RI
		t.reverseIndex()
	case 'Z': // DECID
		t.answerAttributes()
	case 'c': // RIS
		t.reset()
	case 'n', 'o': // LS2, LS3
		t.charsets.gl = final - 'n' + 2
	}
}

// csiDispatch carries out a control sequence.
func (t *Terminal) csiDispatch(final byte) {
	if final != 'b' {
		t.printed = 0
	}
	switch {
	case t.intermediateN == 0 && t.prefix == 0:
		t.csiPlain(final)
	case t.intermediateN == 0:
		t.csiPrefixed(final)
	case t.intermediateN == 1:
		t.csiIntermediate(final)
	}
	t.printed = 0
}

// csiPlain carries out a sequence of parameters and a final byte alone: here SGR,
// the modes and the reports.
func (t *Terminal) csiPlain(final byte) {
	switch final {
	case 'c': // DA1
		if t.arg(0, 0) == 0 {
			t.answerAttributes()
		}
	case 'g':
		t.clearTab(t.arg(0, 0))
	case 'h', 'l':
		t.setModes(final == 'h')
	case 'm':
		t.selectGraphics()
	case 'n':
		t.answerStatus(false)
	case 'r':
		t.setMargins(t.arg(0, 1), t.arg(1, t.rows))
	case 't':
		t.windowOp()
	default:
		t.csiCursor(final)
	}
}

// csiCursor carries out the plain sequences that move, save or restore the cursor,
// and leaves the others to csiEdit.
func (t *Terminal) csiCursor(final byte) {
	s := t.active
	n := t.arg(0, 1)
	switch final {
	case 'A': // CUU
		t.up(n)
	case 'B', 'e': // CUD, VPR
		t.down(n)
	case 'C', 'a': // CUF, HPR
		t.right(n)
	case 'D': // CUB
		t.right(-n)
	case 'E': // CNL
		t.down(n)
		s.x = 0
	case 'F': // CPL
		t.up(n)
		s.x = 0
	case 'G', '`': // CHA, HPA
		s.x = n - 1
		t.clamp()
	case 'H', 'f': // CUP, HVP
		t.moveTo(t.arg(1, 1)-1, n-1)
	case 'I': // CHT
		t.tab(n)
	case 'Z': // CBT
		t.backTab(n)
	case 'd': // VPA
		t.moveTo(min(s.x, t.cols-1), n-1)
	case 's':
		t.saveCursor()
	case 'u':
		t.restoreCursor()
	default:
		t.csiEdit(final, n)
	}
}

// csiEdit carries out the plain sequences that change the screen, and ignores all
// others.
func (t *Terminal) csiEdit(final byte, n int) {
	s := t.active
	switch final {
	case '@': // ICH
		t.clamp()
		t.insertCells(s.line(s.y), s.x, n, t.erased())
	case 'J':
		t.eraseDisplay(t.arg(0, 0), false)
	case 'K':
		t.eraseLine(t.arg(0, 0), false)
	case 'L':
		t.clamp()
		t.insertLines(n)
	case 'M':
		t.clamp()
		t.deleteLines(n)
	case 'P': // DCH
		t.clamp()
		t.deleteCells(s.line(s.y), s.x, n, t.erased())
	case 'S': // SU
		s.remove(s.top, n, t.erased())
	case 'T': // SD
		s.scrollDown(s.top, s.bottom, n, t.erased())
	case 'X': // ECH
		t.clamp()
		t.erase(s.y, s.x, s.x+n, false)
	case 'b':
		t.repeat(n)
	}
}

// csiPrefixed carries out a sequence with a private prefix: one of < = > ?.
func (t *Terminal) csiPrefixed(final byte) {
	switch string([]byte{t.prefix, final}) {
	case "?J":
		t.eraseDisplay(t.arg(0, 0), true)
	case "?K":
		t.eraseLine(t.arg(0, 0), true)
	case "?h", "?l":
		t.setPrivateModes(final == 'h')
	case "?n":
		t.answerStatus(true)
	case ">c":
		t.answerSecondary()
	case "=c":
		t.answerTertiary()
	case ">q":
		t.answerVersion()
	case "?u":
		t.answerKitty()
	case "=u":
		t.active.keys.set(t.arg(0, 0), t.arg(1, 1))
	case ">u":
		t.active.keys.push(t.arg(0, 0))
	case "<u":
		t.active.keys.pop(t.arg(0, 1))
	case ">m":
		t.setOtherKeys()
	}
}

// csiIntermediate carries out a sequence with an intermediate byte between the
// parameters and the final byte.
func (t *Terminal) csiIntermediate(final byte) {
	s := t.active
	n := t.arg(0, 1)
	switch string([]byte{t.intermediates[0], final}) {
	case "!p":
		t.softReset()
	case " q":
		if t.prefix == 0 {
			t.modes.setCursorStyle(t.arg(0, 0))
		}
	case "\"q": // DECSCA
		switch t.arg(0, 0) {
		case 1:
			t.pen.attr |= Protected
		case 0, 2:
			t.pen.attr &^= Protected
		}
		t.penKnown = false
	case "$p":
		t.answerMode(t.prefix == '?')
	case " @": // SL
		t.eachMarginLine(func(r *row) { t.deleteCells(r, 0, n, t.erased()) })
	case " A": // SR
		t.eachMarginLine(func(r *row) { t.insertCells(r, 0, n, t.erased()) })
	case "'}": // DECIC
		t.clamp()
		t.eachMarginLine(func(r *row) { t.insertCells(r, s.x, n, t.erased()) })
	case "'~": // DECDC
		t.clamp()
		t.eachMarginLine(func(r *row) { t.deleteCells(r, s.x, n, t.erased()) })
	}
}

// setMargins implements DECSTBM. Lines count from 1.
func (t *Terminal) setMargins(top, bottom int) {
	bottom = min(bottom, t.rows)
	if bottom <= top {
		return
	}
	t.active.top, t.active.bottom = top-1, bottom-1
	t.moveTo(0, 0)
}

// clearTab implements TBC.
func (t *Terminal) clearTab(what int) {
	switch x := t.active.x; {
	case what == 3:
		clear(t.tabs)
	case what == 0 && x < t.cols:
		t.tabs[x] = false
	}
}

// softReset implements DECSTR.
func (t *Terminal) softReset() {
	s := t.active
	s.top, s.bottom = 0, t.rows-1
	s.saved = saved{}
	t.setPen(style{})
	t.charsets = charsets{}
	t.modes.softReset()
}

// reset implements RIS. Titles stay, as in xterm.
func (t *Terminal) reset() {
	t.main.reset()
	t.alt.reset()
	t.active = t.main
	t.setPen(style{})
	t.charsets = charsets{}
	t.modes = defaultModes()
	t.tabs = defaultTabs(nil, t.cols)
	t.palette = palette{}
}
