package view

import (
	"strings"
	"unicode/utf8"

	"mesh/pipe/term/vt"
)

// maxTitleBytes bounds a title that the terminal gets.
const maxTitleBytes = 256

// title returns the title for the terminal: whose the shared one is, and the title
// that this has, or else its name. There is nothing in it that could end it, or
// change how it is shown.
func title(peer, name string, t *vt.Terminal) string {
	if peer == "" {
		return ""
	}
	text := t.Title()
	if text == "" {
		text = name
	}
	text = peer + ": " + text
	var b strings.Builder
	for _, r := range text {
		switch r = printable(r); r {
		case -1, '\u200d', '\ufe0e', '\ufe0f':
			continue
		}
		if b.Len()+utf8.RuneLen(r) > maxTitleBytes {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimRight(b.String(), ": ")
}
