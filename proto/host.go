package proto

import (
	"net/netip"
	"strings"
)

// IsLoopbackHost reports whether the host of a URL or an address is this machine itself:
// the name localhost, or a loopback address without brackets.
func IsLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}
