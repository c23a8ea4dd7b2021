package proto

import (
	"fmt"
	"strings"
)

// Caps is a set of capabilities: what a token, or an entry in authorized_peers,
// allows a dialer to do.
type Caps uint8

// The capabilities of a dialer: to send to the listener, to receive from it, to
// view its shared terminal, and to type into that.
const (
	CapSend Caps = 1 << iota
	CapRecv
	CapTTYView
	CapTTYControl
)

// AllCaps is the set of all capabilities.
const AllCaps = CapSend | CapRecv | CapTTYView | CapTTYControl

var capNames = [...]string{"send", "recv", "tty:view", "tty:control"}

// ParseCaps reads a list such as "send,recv". An unknown, empty or repeated
// name is an error.
func ParseCaps(s string) (Caps, error) {
	var caps Caps
next:
	for name := range strings.SplitSeq(s, ",") {
		for i, known := range capNames {
			if name != known {
				continue
			}
			if caps.Has(1 << i) {
				return 0, fmt.Errorf("capability %q is listed twice", name)
			}
			caps |= 1 << i
			continue next
		}
		return 0, fmt.Errorf("unknown capability %s (want some of %s)", QuoteText(name), AllCaps)
	}
	return caps, nil
}

// Has reports whether c holds every capability in want.
func (c Caps) Has(want Caps) bool { return c&want == want }

// String returns the names, comma-separated, in a fixed order; "" for none.
func (c Caps) String() string {
	var names []string
	for i, name := range capNames {
		if c.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
