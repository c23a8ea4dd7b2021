package vt

import (
	"fmt"
	"strings"
)

// MaxAnswerBytes bounds the answers to one Write: a program that prints a million
// queries gets no flood.
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

// answerAttributes implements DA1. The answer is a VT220 with colour.
func (t *Terminal) answerAttributes() { t.answer("\x1b[?62;22c") }

// answerSecondary implements DA2.
func (t *Terminal) answerSecondary() {
	if t.arg(0, 0) == 0 {
		t.answer("\x1b[>1;10;0c")
	}
}

// answerTertiary implements DA3.
func (t *Terminal) answerTertiary() {
	if t.arg(0, 0) == 0 {
		t.answer("\x1bP!|00000000\x1b\\")
	}
}

// answerVersion implements XTVERSION.
func (t *Terminal) answerVersion() {
	if t.arg(0, 0) == 0 {
		t.answer("\x1bP>|mesh-tty\x1b\\")
	}
}

// answerStatus implements DSR.
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

// answerMode implements DECRQM. The answer is 0 for unknown, 1 for set, 2 for reset.
func (t *Terminal) answerMode(private bool) {
	n := t.arg(0, 0)
	if !private {
		state := 0
		switch n {
		case 4:
			state = modeState(t.modes.Insert)
		case 20:
			state = modeState(t.modes.Newline)
		}
		t.answer("\x1b[%d;%d$y", n, state)
		return
	}
	state := 0
	switch n {
	case 9, 1000, 1002, 1003:
		state = modeState(t.modes.Mouse == n)
	case 1005, 1006, 1015, 1016:
		state = modeState(t.modes.MouseFormat == n)
	case 47, 1047, 1049:
		state = modeState(t.active == t.alt)
	default:
		if flag := t.modes.flag(n); flag != nil {
			state = modeState(*flag)
		}
	}
	t.answer("\x1b[?%d;%d$y", n, state)
}

func modeState(on bool) int {
	if on {
		return 1
	}
	return 2
}

// reportSize sends the report of mode 2048. The size in pixels is unknown: 0.
func (t *Terminal) reportSize() { t.answer("\x1b[48;%d;%d;0;0t", t.rows, t.cols) }

// answerKitty reports the flags of the kitty keyboard protocol.
func (t *Terminal) answerKitty() { t.answer("\x1b[?%du", t.active.keys.flags()) }

// dcsDispatch answers the two queries that are device control strings. All other
// strings are ignored.
func (t *Terminal) dcsDispatch(text string) {
	if t.intermediateN != 1 || t.final != 'q' {
		return
	}
	switch t.intermediates[0] {
	case '$': // DECRQSS
		t.answerSetting(text)
	case '+': // XTGETTCAP: no capability is known
		if len(text) <= 256 && strings.Trim(text, "0123456789abcdefABCDEF;") == "" {
			t.answer("\x1bP0+r%s\x1b\\", text)
		}
	}
}

// answerSetting implements DECRQSS.
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
