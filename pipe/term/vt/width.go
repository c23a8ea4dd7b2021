package vt

import "github.com/clipperhouse/displaywidth"

// Width returns how many columns a character takes: 0 for one that combines with the
// character before it, 1, or 2. It considers one code point at a time, as xterm.js
// and tmux do: if widths depended on neighbours, every later column would move where
// two programs disagree. Characters of ambiguous width take 1.
func Width(r rune) int {
	if r < 0x300 {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return 0
		}
		return 1
	}
	switch {
	case r >= 0x1160 && r <= 0x11ff, r >= 0xd7b0 && r <= 0xd7ff:
		return 0 // vowels and finals of Hangul combine with the consonant before them, as in wcwidth
	case r >= 0x1f1e6 && r <= 0x1f1ff:
		return 1 // half a flag, as in wcwidth
	}
	return displaywidth.Rune(r)
}
