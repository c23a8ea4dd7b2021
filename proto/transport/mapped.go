package transport

import (
	"net/netip"
	"slices"
	"sync"
)

// maxMapped bounds what mapped remembers.
const maxMapped = 64

// mapped are the addresses that routers forward, the oldest first. The zero value is ready to
// use.
type mapped struct {
	mu    sync.Mutex
	addrs []netip.AddrPort
}

// NoteMapped notes that a peer's router forwards the port at an address, as the peer says.
func (e *Endpoint) NoteMapped(addr netip.AddrPort) {
	m := &e.mapped
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.addrs, addr) {
		return
	}
	m.addrs = append(m.addrs[max(len(m.addrs)-maxMapped+1, 0):], addr)
}

// IsMapped reports whether NoteMapped was called for an address, and not for many others since.
func (e *Endpoint) IsMapped(addr netip.AddrPort) bool {
	m := &e.mapped
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.addrs, addr)
}
