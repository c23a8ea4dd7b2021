package vt

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what a program can make a terminal store, in bytes unless noted.
const (
	maxTitleBytes = 1024
	maxLinkBytes  = 2048
	maxLinksBytes = 1 << 20 // of all links together
	maxTitles     = 10      // on the stack of titles
	maxLinkID     = 256
	linkOverhead  = 64 // the memory of a link besides its text
)

// refusalsPerSweep is how many links are refused between two searches for unused ones.
const refusalsPerSweep = 8192

// titles is the titles of window and icon, and the stacks of earlier ones.
type titles struct {
	window, icon   string
	windows, icons []string
}

// oscDispatch carries out an operating system command.
func (t *Terminal) oscDispatch(text string) {
	number, rest, _ := strings.Cut(text, ";")
	switch number {
	case "0":
		t.titles.window = title(rest)
		t.titles.icon = t.titles.window
	case "1":
		t.titles.icon = title(rest)
	case "2":
		t.titles.window = title(rest)
	case "4":
		t.setColors(rest)
	case "7":
		if len(rest) <= maxLinkBytes {
			t.cwd = rest
		}
	case "8":
		t.setLink(rest)
	case "10", "11", "12":
		n, _ := strconv.Atoi(number)
		t.setSpecialColors(n-10, rest)
	case "52":
		t.copy(rest)
	case "104":
		t.resetColors(rest)
	case "110", "111", "112":
		n, _ := strconv.Atoi(number)
		t.palette.special[n-110] = 0
	}
}

// title truncates s to maxTitleBytes, between two characters.
func title(s string) string {
	if len(s) <= maxTitleBytes {
		return s
	}
	s = s[:maxTitleBytes]
	for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) && !utf8.RuneStart(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return strings.ToValidUTF8(s, "")
}

// setLink implements OSC 8; params; address. An empty address ends the link.
func (t *Terminal) setLink(s string) {
	params, address, ok := strings.Cut(s, ";")
	if !ok {
		return
	}
	t.penKnown = false
	t.pen.link = 0
	if address == "" || len(address) > maxLinkBytes {
		return
	}
	id := ""
	for p := range strings.SplitSeq(params, ":") {
		if v, ok := strings.CutPrefix(p, "id="); ok {
			id = v
		}
	}
	if len(id) > maxLinkID {
		return
	}
	t.pen.link = t.linkNumber(id + "\x00" + address)
}

// linkNumber returns the number of a link, or 0 if there is no room for it.
func (t *Terminal) linkNumber(link string) uint32 {
	n, known := t.links.numbers[link]
	if known {
		return n
	}
	if t.linkBytes > maxLinksBytes {
		if t.linksRefused++; t.linksRefused%refusalsPerSweep == 1 {
			t.sweep() // too slow to do for every link that is refused
		}
		if t.linkBytes > maxLinksBytes {
			return 0
		}
	}
	t.linkBytes += len(link) + linkOverhead
	return t.links.number(link)
}

// splitLink returns the parts of a link as it is interned.
func splitLink(s string) (id, address string) {
	id, address, _ = strings.Cut(s, "\x00")
	return id, address
}

// windowOp implements the XTWINOPS that push and pop titles and report the size in
// characters.
func (t *Terminal) windowOp() {
	which := t.arg(1, 0)
	switch t.arg(0, 0) {
	case 18:
		t.answer("\x1b[8;%d;%dt", t.rows, t.cols)
	case 22:
		if which == 0 || which == 2 {
			t.titles.windows = pushTitle(t.titles.windows, t.titles.window)
		}
		if which == 0 || which == 1 {
			t.titles.icons = pushTitle(t.titles.icons, t.titles.icon)
		}
	case 23:
		if which == 0 || which == 2 {
			t.titles.windows, t.titles.window = popTitle(t.titles.windows, t.titles.window)
		}
		if which == 0 || which == 1 {
			t.titles.icons, t.titles.icon = popTitle(t.titles.icons, t.titles.icon)
		}
	}
}

func pushTitle(stack []string, s string) []string {
	if len(stack) == maxTitles {
		stack = slices.Delete(stack, 0, 1)
	}
	return append(stack, s)
}

func popTitle(stack []string, now string) (rest []string, title string) {
	if len(stack) == 0 {
		return stack, now
	}
	return stack[:len(stack)-1], stack[len(stack)-1]
}
