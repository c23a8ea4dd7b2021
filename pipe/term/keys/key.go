package keys

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// Codes of keys that type no character.
const (
	up = utf8.MaxRune + 1 + iota
	down
	right
	left
	other // any other
)

// keypadEnter is the code of the keypad's Enter in the kitty keyboard protocol.
const keypadEnter = 57414

// key is a decoded key.
type key struct {
	code             int // its character without modifiers, if known
	text             int // the character that it types, 0 if unknown
	shift, ctrl, alt bool
	quiet            bool // released, or only a modifier
}

// parse decodes a whole key: a byte, or a sequence of xterm, of its modifyOtherKeys,
// or of the kitty keyboard protocol
// (https://sw.kovidgoyal.net/kitty/keyboard-protocol/).
func parse(b []byte) key {
	if len(b) == 1 {
		return key{code: int(b[0]), text: int(b[0])}
	}
	if len(b) < 3 || isConsole(b[:3]) {
		return key{code: other}
	}
	final, params := b[len(b)-1], b[2:len(b)-1]
	code, shifted := pair(params, 0)
	held, event := pair(params, 1)
	text, more := pair(params, 2)
	k := key{code: other, quiet: event == 3}
	k.setModifiers(held)
	switch {
	case final == 'u':
		k.code, k.text = code, code
		switch {
		case text > 0 && more == 0:
			k.text = text
		case k.shift && shifted > 0:
			k.text = shifted
		case code == keypadEnter:
			k.text = '\r'
		}
		k.quiet = k.quiet || isModifier(code)
	case final == '~' && code == 27: // modifyOtherKeys
		k.code, k.text = text, text
	case final >= 'A' && final <= 'D':
		k.code = up + int(final-'A')
	}
	return k
}

// setModifiers sets the modifiers from their encoding: 1 and a bit for each. Those
// other than Shift and Ctrl count as Alt; Caps Lock and Num Lock are ignored.
func (k *key) setModifiers(held int) {
	bits := max(held, 1) - 1
	k.shift, k.alt, k.ctrl = bits&1 != 0, bits&(2|8|16|32) != 0, bits&4 != 0
}

// pair returns parameter n of a sequence and its first subparameter, after a colon. A
// missing one is 0.
func pair(params []byte, n int) (value, sub int) {
	for range n {
		_, params, _ = bytes.Cut(params, []byte(";"))
	}
	params, _, _ = bytes.Cut(params, []byte(";"))
	first, rest, _ := bytes.Cut(params, []byte(":"))
	second, _, _ := bytes.Cut(rest, []byte(":"))
	return number(first), number(second)
}

func number(b []byte) int {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 || n > utf8.MaxRune {
		return 0
	}
	return n
}

// isModifier reports whether a code of the kitty keyboard protocol is a lock or a
// modifier.
func isModifier(code int) bool {
	return code >= 57358 && code <= 57360 || code >= 57441 && code <= 57454
}

// char returns the ASCII character that the key sends without any protocol, 0 if there
// is none.
func (k key) char() int {
	switch {
	case k.alt || k.text >= utf8.RuneSelf:
		return 0
	case k.ctrl && k.text >= '@' && k.text <= '~':
		return k.text & 0x1f
	case k.ctrl:
		return 0
	}
	return k.text
}

// interrupt is the character of Ctrl-C.
const interrupt = 0x03

// LastInterrupt returns the key Ctrl-C with which keys end, in any encoding, or nil.
func LastInterrupt(keys []byte) []byte {
	if n := len(keys); n > 0 && keys[n-1] == interrupt {
		return keys[n-1:]
	}
	i := bytes.LastIndexByte(keys, escape)
	if i < 0 {
		return nil
	}
	last := keys[i:]
	if n, whole := Scan(last); n < len(last) || !whole {
		return nil
	}
	if k := parse(last); k.quiet || k.char() != interrupt {
		return nil
	}
	return last
}

// pan returns the command of an arrow after the escape character.
func (k key) pan() Command {
	if k.shift || k.ctrl || k.alt || k.code < up || k.code > left {
		return None
	}
	return PanUp + Command(k.code-up)
}

// appendWithoutText appends a key of the kitty keyboard protocol without the text
// beside it. Of text without a key, from an input method, it appends the text.
func appendWithoutText(dst, b []byte) []byte {
	if len(b) < 3 || b[1] != '[' || b[len(b)-1] != 'u' {
		return append(dst, b...)
	}
	params := bytes.SplitN(b[2:len(b)-1], []byte(";"), 3)
	if len(params) < 3 {
		return append(dst, b...)
	}
	if string(params[0]) == "0" {
		for code := range bytes.SplitSeq(params[2], []byte(":")) {
			if n := number(code); n >= ' ' {
				dst = utf8.AppendRune(dst, rune(n))
			}
		}
		return dst
	}
	dst = append(append(dst, b[:2]...), params[0]...)
	if len(params[1]) > 0 {
		dst = append(append(dst, ';'), params[1]...)
	}
	return append(dst, 'u')
}
