package token

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// The bytes of a token, which its text has in base32:
//
//	claims     flags u8 | listener 32 | id 8 | caps u8 | expires u64 | uses u16 | [holder 32]
//	addresses  n u8 | n × (kind u8 | 4 or 16 bytes, or u8 length and host name | port u16)
//	secret     16 bytes; of a signed capability a signature of 64 bytes
//	checksum   4 bytes
//
// Numbers are big endian; expires is in seconds since 1970, 0 for never.
const (
	flagSigned = 1 << iota
	flagHolder
	allFlags = flagSigned | flagHolder
)

const (
	addrName = 0
	addrIPv4 = 4
	addrIPv6 = 6
)

const claimsBytes = 1 + 32 + 8 + 1 + 8 + 2

var errShort = errors.New("it ends too early")

func (c Claims) secretLen() int {
	if c.Signed {
		return ed25519.SignatureSize
	}
	return secretBytes
}

// encode returns the bytes of the claims. The signature of a capability covers
// them, and P2P_HELLO carries them.
func (c Claims) encode() []byte {
	var flags byte
	if c.Signed {
		flags |= flagSigned
	}
	if c.Holder != (identity.ID{}) {
		flags |= flagHolder
	}
	var expires uint64
	if !c.Expires.IsZero() {
		expires = uint64(c.Expires.Unix())
	}
	b := make([]byte, 0, claimsBytes+len(c.Holder))
	b = append(b, flags)
	b = append(b, c.Listener[:]...)
	b = append(b, c.ID[:]...)
	b = append(b, byte(c.Caps))
	b = binary.BigEndian.AppendUint64(b, expires)
	b = binary.BigEndian.AppendUint16(b, c.Uses)
	if flags&flagHolder != 0 {
		b = append(b, c.Holder[:]...)
	}
	return b
}

// parseClaims reads claims from the front of b and returns what follows.
func parseClaims(b []byte) (Claims, []byte, error) {
	var c Claims
	if len(b) < claimsBytes {
		return c, nil, errShort
	}
	flags := b[0]
	if flags&^allFlags != 0 {
		return c, nil, errors.New("it is of a kind that this version does not know")
	}
	c.Signed = flags&flagSigned != 0
	c.Listener = identity.ID(b[1:33])
	c.ID = ID(b[33:41])
	c.Caps = proto.Caps(b[41])
	expires := binary.BigEndian.Uint64(b[42:50])
	c.Uses = binary.BigEndian.Uint16(b[50:52])
	if c.Caps == 0 || c.Caps&^proto.AllCaps != 0 {
		return c, nil, errors.New("it allows something that this version does not know")
	}
	if expires > maxExpires {
		return c, nil, errors.New("it expires after the year 9999")
	}
	if expires != 0 {
		c.Expires = time.Unix(int64(expires), 0)
	}
	b = b[claimsBytes:]
	if flags&flagHolder != 0 {
		if len(b) < len(c.Holder) {
			return c, nil, errShort
		}
		c.Holder, b = identity.ID(b[:32]), b[32:]
		if c.Holder == (identity.ID{}) {
			return c, nil, errors.New("its holder is no node")
		}
	}
	return c, b, nil
}

// appendAddr appends HOST:PORT. An IP address has one form, without a zone.
func appendAddr(b []byte, addr string) ([]byte, error) {
	if err := identity.CheckAddr(addr); err != nil {
		return nil, err
	}
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		b = append(b, addrName, byte(len(host)))
		b = append(b, host...)
	case ip.Zone() != "":
		return nil, fmt.Errorf("address %q: a zone has no meaning on another machine", addr)
	case ip.Unmap().Is4():
		ip4 := ip.Unmap().As4()
		b = append(append(b, addrIPv4), ip4[:]...)
	default:
		ip16 := ip.As16()
		b = append(append(b, addrIPv6), ip16[:]...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(port)), nil
}

// parseAddrs reads the addresses from the front of b and returns what follows.
func parseAddrs(b []byte) ([]string, []byte, error) {
	if len(b) < 1 {
		return nil, nil, errShort
	}
	n := int(b[0])
	b = b[1:]
	if n > identity.MaxAddrs {
		return nil, nil, fmt.Errorf("it has more than %d addresses", identity.MaxAddrs)
	}
	var addrs []string
	for range n {
		host, rest, err := parseHost(b)
		if err != nil {
			return nil, nil, err
		}
		if len(rest) < 2 {
			return nil, nil, errShort
		}
		addr := net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(rest))))
		if err := identity.CheckAddr(addr); err != nil {
			return nil, nil, errors.New("an address of it is not valid")
		}
		addrs = append(addrs, addr)
		b = rest[2:]
	}
	return addrs, b, nil
}

func parseHost(b []byte) (host string, rest []byte, err error) {
	if len(b) < 2 {
		return "", nil, errShort
	}
	kind, b := b[0], b[1:]
	n := 0
	switch kind {
	case addrIPv4:
		n = 4
	case addrIPv6:
		n = 16
	case addrName:
		n, b = int(b[0]), b[1:]
	default:
		return "", nil, errors.New("it has an address of a kind that this version does not know")
	}
	if len(b) < n {
		return "", nil, errShort
	}
	if kind == addrName {
		return string(b[:n]), b[n:], nil
	}
	ip, _ := netip.AddrFromSlice(b[:n])
	return ip.String(), b[n:], nil
}
