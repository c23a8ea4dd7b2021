package proto

import (
	"net"
	"net/netip"
	"strings"
)

// IsLoopbackHost reports whether the host of a URL or an address is this machine itself:
// the name localhost, or a loopback address without brackets.
func IsLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// IsUnproxiedHost reports whether the host of a URL is this machine itself, and the rules of
// net/http for proxies take it for that too. Clear text to LOCALHOST, or to an address with
// a zone, would go to the proxy of the environment.
func IsUnproxiedHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
