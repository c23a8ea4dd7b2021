package candidate

import "net/netip"

// Dialable reports whether a candidate that a peer has told may be dialled: it is an
// address of one host, and no port of another service. Loopback addresses are refused
// unless local is set: the peer's own means another machine than this one's.
func (c Candidate) Dialable(local bool) bool {
	at, ok := c.AddrPort()
	if !ok || at.Port() == 0 || at.Addr().Zone() != "" {
		return false
	}
	ip := at.Addr().Unmap()
	if embedded.Contains(ip) { // an IPv4 address behind a translator (RFC 6052)
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
		local = false // a loopback address there is the translator's
	}
	if ip.IsLoopback() {
		return local
	}
	if ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || thisNetwork.Contains(ip) || reserved.Contains(ip) {
		return false
	}
	return c.Proto == UDP || at.Port() >= 1024 || at.Port() == 80 || at.Port() == 443
}

var (
	embedded    = netip.MustParsePrefix("64:ff9b::/96")
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	reserved    = netip.MustParsePrefix("240.0.0.0/4") // with the broadcast address
)
