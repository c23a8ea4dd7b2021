package nat

import (
	"net/netip"

	"mesh/proto/candidate"
)

// Targets returns what Connect would dial. It dials nothing.
func (h *Hole) Targets(remote []candidate.Candidate) []netip.AddrPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.takeListLocked(remote)
}
