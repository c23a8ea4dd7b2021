package draw

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"

	"mesh/pipe/term/vt"
)

// Limits of links, in bytes.
const (
	maxLinkBytes  = 1024
	maxLinksBytes = 64 << 10 // in one picture; the last link may exceed it
)

const noLink = "\x1b]8;;\x1b\\"

// linkOf returns the sequence that begins a style's link (OSC 8), or "" for a link
// that is not safe to follow with a click. The id in it is a hash: it does not show
// the program's own id, and is the same for all cells of a link, whenever they are
// painted. https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda
func linkOf(s vt.Style) string {
	if s.Link == "" || !isSafeLink(s.Link) {
		return ""
	}
	id := fnv.New64a()
	_, _ = id.Write([]byte(s.LinkID + "\x00" + s.Link))
	return fmt.Sprintf("\x1b]8;id=%016x;%s\x1b\\", id.Sum64(), s.Link)
}

// isSafeLink reports whether a link may be clicked: an address of the web or of mail
// that a terminal shows as what it is.
func isSafeLink(link string) bool {
	if len(link) > maxLinkBytes || strings.IndexFunc(link, func(r rune) bool { return r <= ' ' || r >= 0x7f }) >= 0 {
		return false
	}
	u, err := url.Parse(link)
	if err != nil || u.User != nil { // https://a.example@b.example looks like what it is not
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Hostname() != ""
	case "mailto": // some mail programs attach files that are named after a question mark
		return u.Opaque != "" && u.RawQuery == "" && !u.ForceQuery
	}
	return false
}
