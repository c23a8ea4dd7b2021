package view

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
	maxLinksBytes = 64 << 10 // in one picture, and one more; what is drawn then has none
)

const noLink = "\x1b]8;;\x1b\\"

// linkOf returns what begins the link of a style (OSC 8), or nothing for one that a
// person should not follow by a click: it is to be an address of the web or of mail,
// shown by a terminal as what it is. The program's id may be anything; ours is the
// same for all cells of a link, so that what is drawn later is the same link still.
// https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda
func linkOf(s vt.Style) string {
	if s.Link == "" || !follows(s.Link) {
		return ""
	}
	id := fnv.New64a()
	_, _ = id.Write([]byte(s.LinkID + "\x00" + s.Link))
	return fmt.Sprintf("\x1b]8;id=%016x;%s\x1b\\", id.Sum64(), s.Link)
}

// follows reports whether a person may follow the link.
func follows(link string) bool {
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
	case "mailto": // some programs attach the files that are named behind a question mark
		return u.Opaque != "" && u.RawQuery == "" && !u.ForceQuery
	}
	return false
}
