package vt

import (
	"fmt"
	"strings"
)

// MaxAnswerBytes bounds what one Write causes to be answered: who prints a
// million questions gets no flood.
const MaxAnswerBytes = 4096

// answer replies to the program.
func (t *Terminal) answer(format string, args ...any) {
	if t.Answer == nil {
		return
	}
	reply := fmt.Sprintf(format, args...)
	if t.answered += len(reply); t.answered <= MaxAnswerBytes {
		t.Answer([]byte(reply))
	}
}

// answerAttributes is DA1: a VT220 with colour.
func (t *Terminal) answerAttributes() { t.answer("\x1b[?62;22c") }

// answerSecondary is DA2.
func (t *Terminal) answerSecondary() {
	if t.arg(0, 0) == 0 {
		t.answer("\x1b[>1;10;0c")
	}
}

// answerTertiary is DA3.
func (t *Terminal) answerTertiary() {
	if t.arg(0, 0) == 0 {
		t.answer("\x1bP!|00000000\x1b\\")
	}
}

// answerVersion is XTVERSION.
func (t *Terminal) answerVersion() {
	if t.arg(0, 0) == 0 {
		t.answer("\x1bP>|mesh-tty\x1b\\")
	}
}

// answerStatus is DSR.
func (t *Terminal) answerStatus(private bool) {
	mark := ""
	if private {
		mark = "?"
	}
	s := t.active
	y := s.y
	if t.modes.Origin {
		y -= s.top
	}
	switch t.arg(0, 0) {
	case 5:
		if !private {
			t.answer("\x1b[0n")
		}
	case 6:
		t.answer("\x1b[%s%d;%dR", mark, y+1, min(s.x, t.cols-1)+1)
	case 996: // light or dark
		if private {
			t.answer("\x1b[?997;1n")
		}
	}
}

// answerMode is DECRQM: 0 unknown, 1 set, 2 reset.
func (t *Terminal) answerMode(private bool) {
	n := t.arg(0, 0)
	if !private {
		state := 0
		switch n {
		case 4:
			state = settled(t.modes.Insert)
		case 20:
			state = settled(t.modes.Newline)
		}
		t.answer("\x1b[%d;%d$y", n, state)
		return
	}
	state := 0
	switch n {
	case 9, 1000, 1002, 1003:
		state = settled(t.modes.Mouse == n)
	case 1005, 1006, 1015, 1016:
		state = settled(t.modes.MouseFormat == n)
	case 47, 1047, 1049:
		state = settled(t.active == t.alt)
	default:
		if flag := t.modes.flag(n); flag != nil {
			state = settled(*flag)
		}
	}
	t.answer("\x1b[?%d;%d$y", n, state)
}

func settled(on bool) int {
	if on {
		return 1
	}
	return 2
}

// reportSize is the report of mode 2048; a size in pixels there is none.
func (t *Terminal) reportSize() { t.answer("\x1b[48;%d;%d;0;0t", t.rows, t.cols) }

// answerKitty tells the flags of the keyboard protocol.
func (t *Terminal) answerKitty() { t.answer("\x1b[?%du", t.active.keys.flags()) }

// dcsDispatch answers the two questions that come as a device control string;
// all others are skipped.
func (t *Terminal) dcsDispatch(text string) {
	if t.intermediateN != 1 || t.final != 'q' {
		return
	}
	switch t.intermediates[0] {
	case '$': // DECRQSS
		t.answerSetting(text)
	case '+': // XTGETTCAP: nothing is known
		if len(text) <= 256 && strings.Trim(text, "0123456789abcdefABCDEF;") == "" {
			t.answer("\x1bP0+r%s\x1b\\", text)
		}
	}
}

// answerSetting is DECRQSS.
func (t *Terminal) answerSetting(what string) {
	s := t.active
	switch what {
	case "m":
		t.answer("\x1bP1$r%sm\x1b\\", t.pen.appendSGR(nil))
	case "r":
		t.answer("\x1bP1$r%d;%dr\x1b\\", s.top+1, s.bottom+1)
	case " q":
		t.answer("\x1bP1$r%d q\x1b\\", t.modes.CursorStyle)
	case "\"q":
		t.answer("\x1bP1$r%d\"q\x1b\\", t.pen.attr&Protected/Protected)
	case "\"p":
		t.answer("\x1bP1$r62;1\"p\x1b\\")
	default:
		t.answer("\x1bP0$r\x1b\\")
	}
}
