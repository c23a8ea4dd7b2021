package nat

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"mesh/proto/identity"
)

// A node that knows the key of a peer, but not its address, asks for it by multicast in
// the networks that this machine is in. Nobody but the peer can tell whom the question is
// for, and nobody but the peer answers: both messages have a MAC under the peer's node id.
//
//	question   0x05, "mesh-lan/1", nonce, HMAC-SHA-256(node id, nonce), zeros up to 128 bytes
//	answer     0x05, "mesh-lan/1", nonce, port u16, HMAC-SHA-256(node id, nonce | port)
//
// The first byte is none of QUIC and none of STUN.
const (
	lanPort = 4601
	lanHead = "\x05mesh-lan/1"

	lanNonceBytes    = 16
	lanQuestionBytes = 128
	lanAnswerBytes   = len(lanHead) + lanNonceBytes + 2 + sha256.Size
)

// The groups, of which no packet leaves the network that it is sent in: see RFC 2365 and
// RFC 4291, section 2.7.
var (
	lanGroup4 = netip.AddrFrom4([4]byte{239, 255, 77, 69})
	lanGroup6 = netip.MustParseAddr("ff12::4d45")
)

// maxLANInterfaces bounds the interfaces on which a node asks and is asked.
const maxLANInterfaces = 8

// lanNonce ties answers to a question.
type lanNonce [lanNonceBytes]byte

func newLANQuestion(id identity.ID, nonce lanNonce) []byte {
	b := append(append(make([]byte, 0, lanQuestionBytes), lanHead...), nonce[:]...)
	b = append(b, lanMAC(id, nonce[:])...)
	return b[:lanQuestionBytes]
}

// parseLANQuestion reports whether b asks for the node id.
func parseLANQuestion(b []byte, id identity.ID) (nonce lanNonce, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(lanHead))
	if !ok || len(b) != lanQuestionBytes {
		return nonce, false
	}
	rest = rest[copy(nonce[:], rest):]
	padding := rest[sha256.Size:]
	return nonce, hmac.Equal(rest[:sha256.Size], lanMAC(id, nonce[:])) && !bytes.ContainsFunc(padding, func(r rune) bool { return r != 0 })
}

func newLANAnswer(id identity.ID, nonce lanNonce, port uint16) []byte {
	b := append(append(make([]byte, 0, lanAnswerBytes), lanHead...), nonce[:]...)
	b = binary.BigEndian.AppendUint16(b, port)
	return append(b, lanMAC(id, b[len(lanHead):])...)
}

// parseLANAnswer returns the port in b if that is the answer of the node id.
func parseLANAnswer(b []byte, id identity.ID, nonce lanNonce) (port uint16, ok bool) {
	if len(b) != lanAnswerBytes {
		return 0, false
	}
	port = binary.BigEndian.Uint16(b[len(lanHead)+lanNonceBytes:])
	return port, hmac.Equal(b, newLANAnswer(id, nonce, port))
}

func lanMAC(id identity.ID, text []byte) []byte {
	h := hmac.New(sha256.New, id[:])
	h.Write(text)
	return h.Sum(nil)
}

// lanInterface is an interface to a network in which a node asks and is asked.
type lanInterface struct {
	net.Interface
	prefixes []netip.Prefix
}

// lanInterfaces returns the interfaces that are up and know multicast, but no tunnels. Those
// to networks inside this machine come last.
func lanInterfaces() (list []lanInterface, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		tunnel := isTunnel(Interface{Name: i.Name, PointToPoint: i.Flags&net.FlagPointToPoint != 0})
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 || i.Flags&net.FlagLoopback != 0 || tunnel {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it was removed just now
		}
		in := lanInterface{Interface: i}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				in.prefixes = append(in.prefixes, netip.PrefixFrom(p.Addr().Unmap().WithZone(""), p.Bits()))
			}
		}
		list = append(list, in)
	}
	slices.SortStableFunc(list, func(a, b lanInterface) int {
		return lanRank(a) - lanRank(b)
	})
	return list[:min(len(list), maxLANInterfaces)], nil
}

func lanRank(i lanInterface) int {
	if isInternal(i.Name) {
		return 1
	}
	return 0
}

// has reports whether the interface has an address of the family of a.
func (i lanInterface) has(a netip.Addr) bool {
	return slices.ContainsFunc(i.prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() == a.Is4() })
}

// isNear reports whether a is a private or link-local address in the network of an interface.
func isNear(list []lanInterface, a netip.Addr) bool {
	if !a.IsPrivate() && !a.IsLinkLocalUnicast() {
		return false
	}
	return slices.ContainsFunc(list, func(i lanInterface) bool {
		return slices.ContainsFunc(i.prefixes, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) })
	})
}
