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

// A peer is told the addresses that the user gives, and those of this machine only without
// any, and only without hide. A host name is no address.
func TestGivenAddrs(t *testing.T) {
	t.Parallel()
	const own, given, name = "127.0.0.1:4600", "192.0.2.77:4600", "bob.example:4600"
	for _, c := range []struct {
		given []string
		hide  bool
		want  []string
	}{
		{nil, false, []string{own}},
		{nil, true, nil},
		{[]string{given}, false, []string{given}},
		{[]string{given}, true, []string{given}},
		{[]string{name}, false, []string{own}},
		{[]string{name}, true, nil},
		{[]string{name, given}, false, []string{given}},
	} {
		n := newNode(t, func(o *node.Options) { o.Reach.Hide = c.hide })
		var got []string
		for _, c := range n.Candidates(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4600}, c.given) {
			if !slices.Contains(got, c.Addr) {
				got = append(got, c.Addr)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("given %v, hide %v: got %v, want %v", c.given, c.hide, got, c.want)
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

// A waiter for one peer asks the router in a moment, one that stays with patience, and each
// for the ports of its transports alone.
func TestPortsOfRouter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		via      string
		udp, tcp uint16
	}{{"auto", 4600, 4600}, {"quic", 4600, 0}, {"tcp", 0, 4600}} {
		for _, once := range []bool{false, true} {
			got := newNode(t, via(t, tt.via)).PortsOf(node.Offer{Once: once}, 4600)
			if got.Quick != once || got.UDP != tt.udp || got.TCP != tt.tcp {
				t.Errorf("via %s, once %v: got quick %v, UDP %d, TCP %d, want quick %v, UDP %d, TCP %d", tt.via, once, got.Quick, got.UDP, got.TCP, once, tt.udp, tt.tcp)
			}
		}
	}
}
