package view

import (
	"strconv"

	"mesh/pipe/term/vt"
)

// keyModes is how a terminal encodes keys and the mouse. A viewer who may type
// has those of the shared terminal; the zero value is a terminal at rest. Pasted
// text is always marked, and a key that is told by a number has its text beside it:
// [escape.Keys] must know both, and drops what the program does not want.
type keyModes struct {
	cursorKeys, keypad, focus, paste bool
	mouse, mouseFormat               int
	kitty, otherKeys                 int
}

// Flags of kitty's protocol.
const (
	kittyAll  = 8  // all keys are told by numbers, those of text too
	kittyText = 16 // with their text
)

// keyModesOf returns the modes of the shared terminal. The mouse is left out when
// its place there is not its place here.
func keyModesOf(m vt.Modes, mouse bool) keyModes {
	k := keyModes{cursorKeys: m.CursorKeys, keypad: m.Keypad, focus: m.Focus, paste: true, kitty: m.Kitty, otherKeys: m.OtherKeys}
	if textUnasked(m) {
		k.kitty |= kittyText
	}
	if mouse && m.MouseFormat != 1016 { // pixels are of other size here
		k.mouse, k.mouseFormat = m.Mouse, m.MouseFormat
	}
	return k
}

// textUnasked reports whether keys have their text beside them for our sake alone.
// Which character a key types with Shift cannot be told without it.
func textUnasked(m vt.Modes) bool { return m.Kitty&kittyAll != 0 && m.Kitty&kittyText == 0 }

// append appends what changes a terminal's modes from those that were; all of
// them if whole.
func (k keyModes) append(dst []byte, was keyModes, whole bool) []byte {
	for _, m := range []struct {
		number   int
		was, now bool
	}{
		{1, was.cursorKeys, k.cursorKeys},
		{1004, was.focus, k.focus},
		{2004, was.paste, k.paste},
	} {
		if whole || m.was != m.now {
			dst = appendMode(dst, m.number, m.now)
		}
	}
	if whole || k.keypad != was.keypad {
		if k.keypad {
			dst = append(dst, "\x1b="...)
		} else {
			dst = append(dst, "\x1b>"...)
		}
	}
	if whole || k.kitty != was.kitty {
		dst = append(strconv.AppendInt(append(dst, "\x1b[="...), int64(k.kitty), 10), ";1u"...)
	}
	if whole || k.otherKeys != was.otherKeys {
		dst = append(strconv.AppendInt(append(dst, "\x1b[>4;"...), int64(k.otherKeys), 10), 'm')
	}
	dst = appendChoice(dst, []int{9, 1000, 1002, 1003}, was.mouse, k.mouse, whole)
	return appendChoice(dst, []int{1005, 1006, 1015}, was.mouseFormat, k.mouseFormat, whole)
}

// appendChoice appends what chooses one of modes that exclude each other, or none.
func appendChoice(dst []byte, modes []int, was, now int, whole bool) []byte {
	if was == now && !whole {
		return dst
	}
	for _, m := range modes {
		if m == was || whole {
			dst = appendMode(dst, m, false)
		}
	}
	for _, m := range modes {
		if m == now {
			dst = appendMode(dst, m, true)
		}
	}
	return dst
}

func appendMode(dst []byte, number int, on bool) []byte {
	dst = append(dst, "\x1b[?"...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	if on {
		return append(dst, 'h')
	}
	return append(dst, 'l')
}
