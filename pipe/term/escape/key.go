package escape

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

const escape = 0x1b

// Codes of keys that are no characters.
const (
	up = utf8.MaxRune + 1 + iota
	down
	right
	left
	other // any other
)

// enter is kitty's code of the keypad's Enter.
const enter = 57414

// key is what a key says.
type key struct {
	code             int // the character that it has without modifiers, where that is known
	text             int // the character that it types, 0 if that is not known
	shift, ctrl, alt bool
	quiet            bool // it was released, or only modifies others
}

// maxKeyBytes bounds a key. What is longer is none.
const maxKeyBytes = 256

// continues reports whether b belongs to the key that begins with seq.
func continues(seq []byte, b byte) bool {
	switch {
	case len(seq) == 1:
		return b == '[' || b == 'O'
	case len(seq) >= maxKeyBytes:
		return false
	case seq[1] == 'O':
		return b >= '@' && b <= '~'
	}
	return b >= ' ' && b <= '~'
}

// whole reports whether the key has ended.
func whole(seq []byte) bool {
	if seq[0] != escape {
		return true
	}
	last := seq[len(seq)-1]
	return len(seq) > 2 && last >= '@' && last <= '~'
}

// First returns how many bytes the first of some keys has, which is all of them if
// it has not ended.
func First(keys []byte) int {
	n := 1
	for n < len(keys) && !whole(keys[:n]) && continues(keys[:n], keys[n]) {
		n++
	}
	return n
}

// parse returns what a key says that has come as one byte of a character, or as a
// sequence of xterm, its modifyOtherKeys, or kitty's protocol:
// https://sw.kovidgoyal.net/kitty/keyboard-protocol/
func parse(b []byte) key {
	if len(b) == 1 {
		return key{code: int(b[0]), text: int(b[0])}
	}
	final, params := b[len(b)-1], b[2:len(b)-1]
	code, shifted := pair(params, 0)
	held, event := pair(params, 1)
	text, more := pair(params, 2)
	k := key{code: other, quiet: event == 3}
	k.hold(held)
	switch {
	case final == 'u':
		k.code, k.text = code, code
		switch {
		case text > 0 && more == 0:
			k.text = text
		case k.shift && shifted > 0:
			k.text = shifted
		case code == enter:
			k.text = '\r'
		}
		k.quiet = k.quiet || modifies(code)
	case final == '~' && code == 27: // modifyOtherKeys
		k.code, k.text = text, text
	case final >= 'A' && final <= 'D':
		k.code = up + int(final-'A')
	}
	return k
}

// hold sets the modifiers as they are encoded, 1 and a bit for each. Those that are
// neither Shift nor Ctrl are as good as Alt, but the locks are left out.
func (k *key) hold(held int) {
	bits := max(held, 1) - 1
	k.shift, k.alt, k.ctrl = bits&1 != 0, bits&(2|8|16|32) != 0, bits&4 != 0
}

// pair returns the parameter n of a sequence and what is behind a colon there, 0
// for what is missing.
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

// modifies reports whether a code of kitty's is that of a lock or a modifier.
func modifies(code int) bool {
	return code >= 57358 && code <= 57360 || code >= 57441 && code <= 57454
}

// char is the ASCII character that the key sends where no protocol is in force, 0
// if there is none.
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

// arrow is the command of an arrow behind the escape character.
func (k key) arrow() Command {
	if k.shift || k.ctrl || k.alt || k.code < up || k.code > left {
		return None
	}
	return Up + Command(k.code-up)
}

// withoutText appends a key without the text that a terminal tells beside it, in
// kitty's protocol. Of text that has no key, from an input method, nothing else is
// left.
func withoutText(dst, b []byte) []byte {
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
