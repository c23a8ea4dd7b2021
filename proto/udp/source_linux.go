package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// source is a sender's address in the form of the kernel. It is comparable.
type source struct {
	ip    [16]byte // an IPv4 address in its IPv6 form
	scope uint32   // interface index of a link-local address, else 0
	port  uint16
}

// parseSource parses the address, of n bytes, that recvmsg(2) has written to sa. It
// reports false for anything but IPv4 and IPv6.
func parseSource(sa *unix.RawSockaddrInet6, n uint32) (source, bool) {
	var s source
	switch {
	case sa.Family == unix.AF_INET && n >= unix.SizeofSockaddrInet4:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		s.ip[10], s.ip[11] = 0xff, 0xff
		copy(s.ip[12:], sa4.Addr[:])
	case sa.Family == unix.AF_INET6 && n >= unix.SizeofSockaddrInet6:
		s.ip, s.scope = sa.Addr, sa.Scope_id
	default:
		return s, false
	}
	s.port = binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	return s, true
}

func (s *source) addrPort() netip.AddrPort {
	ip := netip.AddrFrom16(s.ip).Unmap()
	if s.scope != 0 {
		ip = ip.WithZone(zone(s.scope))
	}
	return netip.AddrPortFrom(ip, s.port)
}

// zone returns the name of an interface, or its index if it no longer exists.
func zone(index uint32) string {
	if ifi, err := net.InterfaceByIndex(int(index)); err == nil {
		return ifi.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}

// sources is a cache of the addresses of recent senders, so that a datagram from one
// of them costs no allocation. A collision costs one allocation.
type sources [64]struct {
	key  source
	addr *net.UDPAddr
}

func (t *sources) lookup(s source) *net.UDPAddr {
	// The port distinguishes senders behind one address; the last bytes of the
	// address distinguish senders with the same port.
	e := &t[(s.port^s.port>>6^uint16(s.ip[15])^uint16(s.ip[7]))%uint16(len(t))]
	if e.addr == nil || e.key != s {
		e.key, e.addr = s, net.UDPAddrFromAddrPort(s.addrPort())
	}
	return e.addr
}
