package link

import "net/netip"

// Unreachable is what the socket calls when a host has said that nobody listens
// at addr.
func (e *Endpoint) Unreachable(addr netip.AddrPort) { e.watchers.unreachable(addr) }
