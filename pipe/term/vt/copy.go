package vt

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxCopyBytes bounds the text that a program puts into a clipboard at once.
const MaxCopyBytes = 1 << 20

// maxCopyData bounds an OSC 52: its number, its selections, and the text in base64.
const maxCopyData = 64 + (MaxCopyBytes+2)/3*4

// isCopy reports whether the string that b continues is text for a clipboard, and that is
// wanted.
func (t *Terminal) isCopy(b []byte) bool {
	if t.Copy == nil || t.state != oscString {
		return false
	}
	const number = "52;"
	start := slices.Concat(t.data[:min(len(t.data), len(number))], b[:min(len(b), len(number))])
	return bytes.HasPrefix(start, []byte(number))
}

// copy implements OSC 52; selections; text in base64. As in xterm, no selection means the
// clipboard, and those that are unknown here are left alone.
func (t *Terminal) copy(s string) {
	selections, encoded, ok := strings.Cut(s, ";")
	if t.Copy == nil || !ok {
		return
	}
	known := ""
	for _, c := range []string{"c", "p", "s"} {
		if strings.Contains(selections, c) {
			known += c
		}
	}
	if selections == "" {
		known = "c"
	}
	text, err := base64.StdEncoding.Strict().DecodeString(encoded) // a query is no base64
	if known == "" || err != nil || len(text) > MaxCopyBytes || !utf8.Valid(text) || bytes.ContainsFunc(text, isUnsafe) {
		return
	}
	t.Copy(known, string(text))
}

// isUnsafe reports whether a character could do more in a terminal than to be typed: it
// could end a bracketed paste.
func isUnsafe(r rune) bool {
	return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r'
}
