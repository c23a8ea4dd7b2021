package draw

import (
	"strconv"

	"mesh/pipe/term/vt"
)

// keyModes is how a terminal encodes keys and the mouse. The zero value is how
// terminals do it by default.
type keyModes struct {
	cursorKeys, keypad, focus, paste bool
	mouse, mouseFormat               int
	kitty, otherKeys                 int
}

// Flags of the kitty keyboard protocol.
const (
	kittyAll  = 8  // all keys are reported as numbers, those of text too
	kittyText = 16 // with their text
)

// keyModesOf returns the modes that a terminal needs to encode keys as one with the
// modes m does. The mouse is left out unless inPlace is set: a position is the same
// in both terminals.
func keyModesOf(m vt.Modes, use Keyboard, inPlace bool) keyModes {
	if use == KeysUnused {
		return keyModes{}
	}
	k := keyModes{
		cursorKeys: m.CursorKeys, keypad: m.Keypad, focus: m.Focus, paste: m.Paste,
		kitty: m.Kitty, otherKeys: m.OtherKeys,
	}
	if use == KeysParsed {
		k.paste = true
		if AddsText(m) {
			k.kitty |= kittyText
		}
	}
	if inPlace && m.MouseFormat != 1016 { // pixels have another size here
		k.mouse, k.mouseFormat = m.Mouse, m.MouseFormat
	}
	return k
}

// AddsText reports whether [KeysParsed] makes a terminal add the text of keys, which
// the shared terminal does not ask for. Without it the character that a key types
// with Shift is unknown.
func AddsText(m vt.Modes) bool { return m.Kitty&kittyAll != 0 && m.Kitty&kittyText == 0 }

// append appends what changes a terminal's modes from those before; all of them if
// whole is set.
func (k keyModes) append(dst []byte, before keyModes, whole bool) []byte {
	for _, m := range []struct {
		number      int
		before, now bool
	}{
		{1, before.cursorKeys, k.cursorKeys},
		{1004, before.focus, k.focus},
		{2004, before.paste, k.paste},
	} {
		if whole || m.before != m.now {
			dst = appendMode(dst, m.number, m.now)
		}
	}
	if whole || k.keypad != before.keypad {
		if k.keypad {
			dst = append(dst, "\x1b="...)
		} else {
			dst = append(dst, "\x1b>"...)
		}
	}
	if whole || k.kitty != before.kitty {
		dst = append(strconv.AppendInt(append(dst, "\x1b[="...), int64(k.kitty), 10), ";1u"...)
	}
	if whole || k.otherKeys != before.otherKeys {
		dst = append(strconv.AppendInt(append(dst, "\x1b[>4;"...), int64(k.otherKeys), 10), 'm')
	}
	dst = appendChoice(dst, []int{9, 1000, 1002, 1003}, before.mouse, k.mouse, whole)
	return appendChoice(dst, []int{1005, 1006, 1015}, before.mouseFormat, k.mouseFormat, whole)
}

// appendChoice appends what selects one of several modes that exclude each other,
// or none.
func appendChoice(dst []byte, modes []int, before, now int, whole bool) []byte {
	if before == now && !whole {
		return dst
	}
	for _, m := range modes {
		if m == before || whole {
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
