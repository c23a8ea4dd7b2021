package share

import (
	"strings"
	"unicode/utf8"

	"mesh/proto"
)

// label is how a viewer is called to others: by the name that we have for its
// key, else by the one that it gives itself and its key, so that it passes for
// nobody else.
func label(who Visitor, own string) string {
	if who.Name != "" {
		return Shown(who.Name, proto.MaxTermNameBytes)
	}
	id := who.ID[:min(len(who.ID), 10)]
	if own == "" {
		return id
	}
	return Shown(own, proto.MaxTermNameBytes-len(id)-3) + " (" + id + ")"
}

// shown makes a peer's text safe to show, in one line of at most n bytes.
func Shown(s string, n int) string {
	s = proto.EscapeText(strings.ToValidUTF8(s, "?"))
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
