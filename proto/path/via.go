package path

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mesh/proto"
)

// Via says over which paths a link may run. The zero value allows all.
type Via struct {
	Transport string // [proto.ViaQUIC] or [proto.ViaTCP]; "" for both
	// Kind is [LAN], [Relay], or [Direct], which here stands for each path without a
	// relay: a LAN, a mapped, punched or tunnelled path too; "" for all.
	Kind Kind
}

// viaAuto is the word for the zero value.
const viaAuto = "auto"

// ViaWords are the words of the text form.
var ViaWords = []string{viaAuto, proto.ViaQUIC, proto.ViaTCP, string(LAN), string(Direct), string(Relay)}

// ParseVia reads the text form: "auto" or "" for all paths, a transport, a kind, or one
// of each with a comma between them, in any order.
func ParseVia(text string) (Via, error) {
	var v Via
	if text == "" || text == viaAuto {
		return v, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		switch {
		case !slices.Contains(ViaWords, word):
			return v, fmt.Errorf("%q is none of %s", word, strings.Join(ViaWords, ", "))
		case word == viaAuto:
			return v, errors.New(`"auto" stands alone`)
		case word == proto.ViaQUIC || word == proto.ViaTCP:
			if v.Transport != "" {
				return v, fmt.Errorf("%s and %s are both transports; without one, both are used", v.Transport, word)
			}
			v.Transport = word
		default:
			if v.Kind != "" {
				return v, fmt.Errorf("%s and %s are both kinds of paths", v.Kind, word)
			}
			v.Kind = Kind(word)
		}
	}
	if v.Transport == proto.ViaQUIC && v.Kind == Relay {
		return v, errors.New("a link through a relay runs over tcp")
	}
	return v, nil
}

// String returns the text form: "auto" for the zero value.
func (v Via) String() string {
	switch {
	case v == Via{}:
		return viaAuto
	case v.Kind == "":
		return v.Transport
	case v.Transport == "":
		return string(v.Kind)
	}
	return v.Transport + "," + string(v.Kind)
}

// Uses reports whether a path over a transport may be allowed.
func (v Via) Uses(transport string) bool {
	return v.Transport == "" || v.Transport == transport
}

// Reaches reports whether a path without a relay may be allowed, and one through a relay.
func (v Via) Reaches() (direct, relayed bool) {
	return v.Kind != Relay, (v.Kind == "" || v.Kind == Relay) && v.Transport != proto.ViaQUIC
}

// Allows reports whether a link may run over a path.
func (v Via) Allows(p Path) bool {
	if !v.Uses(transportOf(p)) {
		return false
	}
	switch v.Kind {
	case "":
		return true
	case Direct:
		return p.Kind != Relay
	}
	return p.Kind == v.Kind
}

func transportOf(p Path) string {
	if strings.HasPrefix(p.Proto, "udp") {
		return proto.ViaQUIC
	}
	return proto.ViaTCP
}

// And returns what both ends of a link allow; ok is false if that is nothing.
func (v Via) And(other Via) (both Via, ok bool) {
	both = v
	switch {
	case v.Transport == "":
		both.Transport = other.Transport
	case other.Transport != "" && other.Transport != v.Transport:
		return Via{}, false
	}
	switch {
	case v.Kind == "" || v.Kind == Direct && other.Kind == LAN:
		both.Kind = other.Kind
	case other.Kind == "" || other.Kind == v.Kind || other.Kind == Direct && v.Kind == LAN:
	default:
		return Via{}, false
	}
	if both.Transport == proto.ViaQUIC && both.Kind == Relay {
		return Via{}, false
	}
	return both, true
}
