package node_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/tools/node"
)

// With hide a peer is told the addresses that the user gives, and none of an interface.
func TestHide(t *testing.T) {
	t.Parallel()
	const given = "192.0.2.77:4600"
	for _, hide := range []bool{false, true} {
		n := newNode(t, func(o *node.Options) { o.Reach.Hide = hide })
		others := 0
		list := n.Candidates(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4600}, []string{given})
		for _, c := range list {
			if c.Addr != given {
				others++
			}
		}
		if len(list) == others || (others > 0) == hide {
			t.Errorf("hide %v: got %v, want %s and others only without it", hide, list, given)
		}
	}
}

// A port that the router forwards is told, with hide too.
func TestForwardedPort(t *testing.T) {
	t.Parallel()
	want := candidate.At(candidate.PortMapped, candidate.TCP, netip.MustParseAddrPort("192.0.2.1:4600"), 1)
	for _, hide := range []bool{false, true} {
		n := newNode(t, func(o *node.Options) { o.Reach.Hide = hide })
		list := n.CandidatesBehind(want, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4600})
		if !slices.Contains(list, hub.Candidate(want)) || (len(list) > 1) == hide {
			t.Errorf("hide %v: got %v, want %v and others only without it", hide, list, want)
		}
	}
}
