package transport

import (
	"net"
	"net/netip"
	"slices"

	"mesh/proto/nat"
)

// Interfaces returns the addresses of this host's interfaces, each with its
// subnet.
func (e *Endpoint) Interfaces() ([]netip.Prefix, error) {
	if e.sockets.Interfaces != nil {
		return e.sockets.Interfaces()
	}
	return systemInterfaces()
}

// Owns reports whether an interface of this host has an address. It is true if
// the system cannot say.
func (e *Endpoint) Owns(addr netip.Addr) bool {
	all, err := e.Interfaces()
	return err != nil || slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Addr() == addr })
}

// ThroughTunnel reports whether this host reaches an address through a VPN: see
// [nat.ThroughTunnel].
func (e *Endpoint) ThroughTunnel(addr netip.Addr) bool {
	switch {
	case e.sockets.ThroughTunnel != nil:
		return e.sockets.ThroughTunnel(addr)
	case addr.IsLoopback() || e.sockets.Interfaces != nil:
		return false
	}
	return nat.ThroughTunnel(addr.WithZone(""))
}

// NextChange returns what Changed does; nil without it, which is never closed.
func (e *Endpoint) NextChange() <-chan struct{} {
	if e.Changed == nil {
		return nil
	}
	return e.Changed()
}

func systemInterfaces() ([]netip.Prefix, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		ones, bits := n.Mask.Size()
		if !ok {
			continue
		}
		ip = ip.Unmap()
		if bits != ip.BitLen() { // an IPv4 mask of 16 bytes
			ones -= bits - ip.BitLen()
		}
		out = append(out, netip.PrefixFrom(ip, ones))
	}
	return out, nil
}
