package draw

import (
	"strings"
	"unicode/utf8"

	"mesh/pipe/term/vt"
)

// maxTitleBytes bounds the title of the person's terminal.
const maxTitleBytes = 256

// Title returns the title for the person's terminal: the name of the peer, then the
// shared terminal's title, or else its name. It has no character that could end the
// title or change how it is shown. It is empty if peer is.
func Title(peer, name string, t *vt.Terminal) string {
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
