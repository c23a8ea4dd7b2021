package share

import (
	"strings"
	"unicode/utf8"

	"mesh/proto"
)

// label returns the name of a viewer for others: the address book's, or else the one
// that it gives itself with the beginning of its node id, so that it cannot
// impersonate anybody.
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

// Shown makes a peer's text safe to show, on one line of at most n bytes.
func Shown(s string, n int) string {
	s = proto.EscapeText(strings.ToValidUTF8(s, "?"))
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
